// SPDX-License-Identifier: GPL-2.0-only
/*
 * The binary interface: sizes, numbers, flags, reserved fields and addresses of
 * every ioctl. A call that fails leaves everything as it was.
 */
#include "wrappers.h"

#define TEXT_LEN 100
#define KERNEL_ADDRESS 0xffff888000000000ULL

/* Two mapped pages, and behind them one that cannot be touched. */
static char *pages_before_hole(size_t *len)
{
	size_t size = getpagesize();
	char *p;

	p = mmap(NULL, 3 * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED || mprotect(p + 2 * size, size, PROT_NONE))
		return NULL;
	*len = 2 * size;
	return p;
}

/* What every ioctl can act on: a mailbox with two messages, and a name. */
struct target {
	int dev;
	int fd;
	int seen;
	char name[64];
	char text[TEXT_LEN];
	struct mbox_msg msg;
	struct mbox_stat before;
};

static int target_build(struct target *t)
{
	struct mbox_attr attr = attr_of(0, 8);
	int i, fd;

	t->dev = open_device();
	t->fd = raw_create(NULL, O_RDWR, &attr);
	test_name(t->name, sizeof(t->name), "abi");
	fd = raw_create(t->name, O_RDWR | O_EXCL, &attr);
	if (t->dev < 0 || t->fd < 0 || fd < 0)
		return -1;
	close(fd);
	for (i = 0; i < 2; i++) {
		memset(t->text, 'a' + i, TEXT_LEN);
		if (raw_send(t->fd, t->text, TEXT_LEN, 0))
			return -1;
	}
	t->before = stat_of(t->fd);
	t->seen = count_mailboxes();
	return 0;
}

static void target_scrap(struct target *t)
{
	raw_unlink(t->name);
	close(t->fd);
	close(t->dev);
}

static bool target_unchanged(struct target *t)
{
	int fd = raw_open(t->name, O_RDWR);

	close(fd);
	return fd >= 0 && same_stat(t->fd, &t->before) && count_mailboxes() == t->seen;
}

/* The messages themselves are still there, first one first. */
static bool target_intact(struct target *t)
{
	char text[TEXT_LEN];
	int i;

	if (!target_unchanged(t))
		return false;
	for (i = 0; i < 2; i++) {
		memset(text, POISON, sizeof(text));
		if (raw_recv(t->fd, text, sizeof(text), MBOX_DONTWAIT) != TEXT_LEN)
			return false;
		if (text[0] != 'a' + i || text[TEXT_LEN - 1] != 'a' + i)
			return false;
	}
	return true;
}

FIXTURE(ioc)
{
	struct target t;
	char *page;
	size_t len;
};

FIXTURE_VARIANT(ioc)
{
	unsigned int cmd;
	/* Of the structure, and of the part that must be there. */
	size_t size;
	size_t required;
	bool control;
	bool writes;
	/* What success returns; -1: a descriptor. */
	long result;
};

#define IOC_VARIANT(name, type, need, is_control, does_write, success)	\
	FIXTURE_VARIANT_ADD(ioc, name) {				\
		.cmd = MBOX_IOC_##name,					\
		.size = sizeof(struct type),				\
		.required = need,					\
		.control = is_control,					\
		.writes = does_write,					\
		.result = success,					\
	}

IOC_VARIANT(INFO, mbox_info, 8, true, true, 0);
IOC_VARIANT(CREATE, mbox_create, MBOX_CREATE_SIZE_MIN, true, true, -1);
IOC_VARIANT(OPEN, mbox_open, sizeof(struct mbox_open), true, false, -1);
IOC_VARIANT(UNLINK, mbox_unlink, sizeof(struct mbox_unlink), true, false, 0);
IOC_VARIANT(WALK, mbox_walk, 360, true, true, 0);
IOC_VARIANT(TOTAL, mbox_total, sizeof(struct mbox_total), true, true, 0);
IOC_VARIANT(DIRECT, mbox_direct, sizeof(struct mbox_direct), true, false, -1);
IOC_VARIANT(SEND, mbox_msg, MBOX_MSG_SIZE_MIN, false, false, 0);
IOC_VARIANT(RECV, mbox_msg, MBOX_MSG_SIZE_MIN, false, true, TEXT_LEN);
IOC_VARIANT(SENDV, mbox_vec, sizeof(struct mbox_vec), false, false, 1);
IOC_VARIANT(RECVV, mbox_vec, sizeof(struct mbox_vec), false, false, 1);
IOC_VARIANT(STAT, mbox_stat, 8, false, true, 0);
IOC_VARIANT(SET_CAPACITY, mbox_set_capacity, 8, false, false, 0);

/* No thread replies, and none calls. */
IOC_VARIANT(CALL, mbox_request, MBOX_REQUEST_SIZE_MIN, false, false, -ETIMEDOUT);
IOC_VARIANT(REPLY, mbox_reply, sizeof(struct mbox_reply), false, false, -ESRCH);
/* It writes only where it fails. */
IOC_VARIANT(REPLY_RECV, mbox_reply_recv, sizeof(struct mbox_reply_recv), false, false, TEXT_LEN);

/* No server replies, no call has ended, and none has this number. */
IOC_VARIANT(CALL_START, mbox_call_start, sizeof(struct mbox_call_start), false, true, 0);
IOC_VARIANT(CALL_WAIT, mbox_call_wait, sizeof(struct mbox_call_wait), false, false, -EAGAIN);
IOC_VARIANT(CALL_CANCEL, mbox_call_cancel, sizeof(struct mbox_call_cancel), false, false, -ESRCH);
IOC_VARIANT(CALLMSG, mbox_callmsg, sizeof(struct mbox_callmsg), false, false, -ETIMEDOUT);
IOC_VARIANT(REPLYMSG, mbox_replymsg, sizeof(struct mbox_replymsg), false, false, -ESRCH);

/* Not of a queue that is no broadcast. */
IOC_VARIANT(EXPEL, mbox_expel, sizeof(struct mbox_expel), false, true, -EOPNOTSUPP);
IOC_VARIANT(SET_READER, mbox_set_reader, sizeof(struct mbox_set_reader), false, false, -EOPNOTSUPP);

IOC_VARIANT(NOTIFY, mbox_notify, sizeof(struct mbox_notify), false, false, 0);

/* No message is on lease. */
IOC_VARIANT(ACK, mbox_lease, 16, false, false, -ESRCH);
IOC_VARIANT(NACK, mbox_lease, 16, false, false, -ESRCH);

FIXTURE_VARIANT_ADD(ioc, DESTROY)
{
	.cmd = MBOX_IOC_DESTROY,
};

FIXTURE_SETUP(ioc)
{
	self->page = pages_before_hole(&self->len);
	ASSERT_TRUE(!!self->page);
	ASSERT_EQ(0, target_build(&self->t));
}

FIXTURE_TEARDOWN(ioc)
{
	target_scrap(&self->t);
}

/* An argument with which @cmd succeeds. */
static void fill(struct target *t, unsigned int cmd, void *arg)
{
	t->msg = msg_of(t->text, TEXT_LEN, MBOX_DONTWAIT);
	switch (cmd) {
	case MBOX_IOC_CREATE:
		*(struct mbox_create *)arg = (struct mbox_create){
			.oflags = O_RDWR, .attr = MBOX_ATTR_INIT };
		break;
	case MBOX_IOC_OPEN:
		*(struct mbox_open *)arg = (struct mbox_open){
			.oflags = O_RDWR, .id = t->before.id };
		break;
	case MBOX_IOC_UNLINK:
		*(struct mbox_unlink *)arg = (struct mbox_unlink){
			.name = (uintptr_t)t->name, .name_len = strlen(t->name) };
		break;
	case MBOX_IOC_WALK:
		((struct mbox_walk *)arg)->id = 0;
		break;
	case MBOX_IOC_TOTAL:
		*(struct mbox_total *)arg = (struct mbox_total){ .max = 1 };
		break;
	case MBOX_IOC_DIRECT:
		*(struct mbox_direct *)arg = (struct mbox_direct){
			.pid = getppid(), .oflags = O_RDWR };
		break;
	case MBOX_IOC_SEND:
	case MBOX_IOC_RECV:
		*(struct mbox_msg *)arg = t->msg;
		break;
	case MBOX_IOC_SENDV:
	case MBOX_IOC_RECVV:
		*(struct mbox_vec *)arg = (struct mbox_vec){
			.msgs = (uintptr_t)&t->msg, .n = 1, .msg_size = sizeof(t->msg) };
		break;
	case MBOX_IOC_CALL:
		*(struct mbox_request *)arg = (struct mbox_request){
			.buf = (uintptr_t)t->text, .len = TEXT_LEN, .deadline_ns = 1 };
		break;
	case MBOX_IOC_REPLY:
		*(struct mbox_reply *)arg = (struct mbox_reply){ .token = 1 };
		break;
	case MBOX_IOC_REPLY_RECV:
		*(struct mbox_reply_recv *)arg = (struct mbox_reply_recv){
			.next = (uintptr_t)&t->msg, .next_size = sizeof(t->msg) };
		break;
	case MBOX_IOC_CALL_START:
		*(struct mbox_call_start *)arg = (struct mbox_call_start){
			.req = (uintptr_t)&t->msg, .msg_size = sizeof(t->msg) };
		break;
	case MBOX_IOC_CALL_WAIT:
		*(struct mbox_call_wait *)arg = (struct mbox_call_wait){
			.rep = (uintptr_t)&t->msg, .msg_size = sizeof(t->msg) };
		break;
	case MBOX_IOC_CALL_CANCEL:
		*(struct mbox_call_cancel *)arg = (struct mbox_call_cancel){ .token = 1 };
		break;
	case MBOX_IOC_CALLMSG:
		t->msg.flags = 0;
		t->msg.deadline_ns = 1;
		*(struct mbox_callmsg *)arg = (struct mbox_callmsg){
			.req = (uintptr_t)&t->msg, .rep = (uintptr_t)&t->msg,
			.msg_size = sizeof(t->msg) };
		break;
	case MBOX_IOC_REPLYMSG:
		*(struct mbox_replymsg *)arg = (struct mbox_replymsg){ .token = 1 };
		break;
	case MBOX_IOC_NOTIFY:
		*(struct mbox_notify *)arg = (struct mbox_notify){ .kind = MBOX_NOTIFY_NONE };
		break;
	case MBOX_IOC_ACK:
	case MBOX_IOC_NACK:
		*(struct mbox_lease *)arg = (struct mbox_lease){ .token = 1 };
		break;
	case MBOX_IOC_SET_CAPACITY:
		*(struct mbox_set_capacity *)arg = (struct mbox_set_capacity){ .capacity = 3 };
		break;
	}
}

/* Run @cmd, on the file that it is not meant for if @wrong. */
static long issue(struct target *t, const FIXTURE_VARIANT(ioc) *v, unsigned int cmd, void *arg,
		  bool wrong)
{
	long ret = raw(v->control != wrong ? t->dev : t->fd, cmd, arg);

	if (v->result == -1 && ret >= 0) {
		close(ret);
		return -1;
	}
	return ret;
}

TEST_F(ioc, exact_size_works)
{
	void *arg = self->page + self->len - variant->size;

	fill(&self->t, variant->cmd, arg);
	EXPECT_EQ(variant->result, issue(&self->t, variant, variant->cmd, arg, false));
}

TEST_F(ioc, shorter_than_required_is_EINVAL)
{
	size_t size;

	if (!variant->required)
		SKIP(return, "it has no argument");
	fill(&self->t, variant->cmd, self->page);
	for (size = 0; size < variant->required; size++) {
		EXPECT_EQ(-EINVAL, issue(&self->t, variant, sized(variant->cmd, size), self->page,
					 false))
			TH_LOG("size %zu", size);
	}
	EXPECT_TRUE(target_intact(&self->t));
}

TEST_F(ioc, longer_with_zero_tail_works)
{
	static const size_t more[] = { 1, 8, 256 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(more); i++) {
		memset(self->page, 0, self->len);
		fill(&self->t, variant->cmd, self->page);
		EXPECT_EQ(variant->result, issue(&self->t, variant,
						 sized(variant->cmd, variant->size + more[i]),
						 self->page, false))
			TH_LOG("%zu bytes more", more[i]);
		target_scrap(&self->t);
		ASSERT_EQ(0, target_build(&self->t));
	}
}

TEST_F(ioc, longer_with_nonzero_tail_is_E2BIG)
{
	static const size_t more[] = { 1, 8, 256 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(more); i++) {
		memset(self->page, 0, self->len);
		fill(&self->t, variant->cmd, self->page);
		self->page[variant->size + more[i] - 1] = 1;
		EXPECT_EQ(-E2BIG, issue(&self->t, variant,
					sized(variant->cmd, variant->size + more[i]),
					self->page, false))
			TH_LOG("%zu bytes more", more[i]);
	}
	EXPECT_TRUE(target_intact(&self->t));
}

TEST_F(ioc, other_directions_are_ENOTTY)
{
	unsigned int dir, cmd;

	fill(&self->t, variant->cmd, self->page);
	for (dir = 0; dir < 4; dir++) {
		cmd = _IOC(dir, MBOX_IOC_MAGIC, _IOC_NR(variant->cmd), variant->size);
		if (dir == _IOC_DIR(variant->cmd))
			continue;
		EXPECT_EQ(-ENOTTY, issue(&self->t, variant, cmd, self->page, false))
			TH_LOG("direction %u", dir);
	}
	EXPECT_TRUE(target_intact(&self->t));
}

TEST_F(ioc, wrong_file_is_ENOTTY)
{
	fill(&self->t, variant->cmd, self->page);
	EXPECT_EQ(-ENOTTY, issue(&self->t, variant, variant->cmd, self->page, true));
	EXPECT_TRUE(target_intact(&self->t));
}

TEST_F(ioc, bad_argument_address_is_EFAULT)
{
	size_t half = variant->required / 2;
	uintptr_t addresses[] = {
		0,
		(uintptr_t)KERNEL_ADDRESS,
		(uintptr_t)self->page + self->len,
		(uintptr_t)self->page + self->len - half,
	};
	unsigned int i;

	if (!variant->size) {
		EXPECT_EQ(0, issue(&self->t, variant, variant->cmd, (void *)addresses[1], false));
		return;
	}
	fill(&self->t, variant->cmd, self->page);
	memmove(self->page + self->len - half, self->page, half);
	for (i = 0; i < ARRAY_SIZE(addresses); i++) {
		EXPECT_EQ(-EFAULT, issue(&self->t, variant, variant->cmd, (void *)addresses[i],
					 false))
			TH_LOG("address %#lx", (unsigned long)addresses[i]);
	}
	EXPECT_TRUE(target_intact(&self->t));
}

TEST_F(ioc, read_only_argument_is_EFAULT_for_outputs)
{
	memset(self->page, 0, self->len);
	fill(&self->t, variant->cmd, self->page);
	ASSERT_EQ(0, mprotect(self->page, self->len, PROT_READ));
	if (variant->writes) {
		EXPECT_EQ(-EFAULT, issue(&self->t, variant, variant->cmd, self->page, false));
		EXPECT_TRUE(target_intact(&self->t));
	} else {
		EXPECT_EQ(variant->result, issue(&self->t, variant, variant->cmd, self->page,
						 false));
	}
}

/* Every address inside an argument. */
FIXTURE(pointer)
{
	struct target t;
	char *page;
	size_t len;
};

FIXTURE_VARIANT(pointer)
{
	long (*call)(struct target *t, __u64 address);
	bool written;
};

static long create_name(struct target *t, __u64 address)
{
	struct mbox_create arg = {
		.name = address, .name_len = TEXT_LEN, .oflags = O_RDWR, .attr = MBOX_ATTR_INIT };

	long ret = raw(t->dev, MBOX_IOC_CREATE, &arg);
	struct mbox_unlink gone = { .name = address, .name_len = TEXT_LEN };

	if (ret >= 0) {
		close(ret);
		raw(t->dev, MBOX_IOC_UNLINK, &gone);
	}
	return ret;
}

static long open_name(struct target *t, __u64 address)
{
	struct mbox_open arg = { .name = address, .name_len = TEXT_LEN, .oflags = O_RDWR };

	return raw(t->dev, MBOX_IOC_OPEN, &arg);
}

static long unlink_name(struct target *t, __u64 address)
{
	struct mbox_unlink arg = { .name = address, .name_len = TEXT_LEN };

	return raw(t->dev, MBOX_IOC_UNLINK, &arg);
}

static long msg_buf(struct target *t, unsigned int cmd, __u64 address)
{
	struct mbox_msg msg = { .buf = address, .len = TEXT_LEN, .flags = MBOX_DONTWAIT };

	if (cmd == MBOX_IOC_SEND || cmd == MBOX_IOC_RECV)
		return raw(t->fd, cmd, &msg);
	return raw_vec(t->fd, cmd, &msg, 1, 0);
}

static long send_buf(struct target *t, __u64 address)
{
	return msg_buf(t, MBOX_IOC_SEND, address);
}

static long recv_buf(struct target *t, __u64 address)
{
	return msg_buf(t, MBOX_IOC_RECV, address);
}

static long sendv_buf(struct target *t, __u64 address)
{
	return msg_buf(t, MBOX_IOC_SENDV, address);
}

static long recvv_buf(struct target *t, __u64 address)
{
	return msg_buf(t, MBOX_IOC_RECVV, address);
}

static long vec_msgs(struct target *t, unsigned int cmd, __u64 address)
{
	struct mbox_vec vec = { .msgs = address, .n = 1, .msg_size = sizeof(t->msg) };

	return raw(t->fd, cmd, &vec);
}

static long sendv_msgs(struct target *t, __u64 address)
{
	return vec_msgs(t, MBOX_IOC_SENDV, address);
}

static long recvv_msgs(struct target *t, __u64 address)
{
	return vec_msgs(t, MBOX_IOC_RECVV, address);
}

static long call_buf(struct target *t, __u64 address)
{
	struct mbox_request req = { .buf = address, .len = TEXT_LEN };

	/* No thread replies. */
	req.deadline_ns = in_ms(CLOCK_MONOTONIC, 50);
	return raw(t->fd, MBOX_IOC_CALL, &req);
}

static long reply_recv_next(struct target *t, __u64 address)
{
	struct mbox_reply_recv arg = { .next = address, .next_size = sizeof(t->msg) };

	return raw(t->fd, MBOX_IOC_REPLY_RECV, &arg);
}

#define POINTER_VARIANT(name, is_written)				\
	FIXTURE_VARIANT_ADD(pointer, name) {				\
		.call = name,						\
		.written = is_written,					\
	}

POINTER_VARIANT(create_name, false);
POINTER_VARIANT(open_name, false);
POINTER_VARIANT(unlink_name, false);
POINTER_VARIANT(send_buf, false);
POINTER_VARIANT(recv_buf, true);
POINTER_VARIANT(sendv_buf, false);
POINTER_VARIANT(recvv_buf, true);
POINTER_VARIANT(sendv_msgs, false);
POINTER_VARIANT(recvv_msgs, true);
POINTER_VARIANT(call_buf, false);
POINTER_VARIANT(reply_recv_next, true);

FIXTURE_SETUP(pointer)
{
	self->page = pages_before_hole(&self->len);
	ASSERT_TRUE(!!self->page);
	ASSERT_EQ(0, target_build(&self->t));
	/* Good values up to the hole, whatever the address is of. */
	memset(self->page, 'x', self->len);
}

FIXTURE_TEARDOWN(pointer)
{
	target_scrap(&self->t);
}

TEST_F(pointer, NULL_is_EFAULT)
{
	EXPECT_EQ(-EFAULT, variant->call(&self->t, 0));
	EXPECT_TRUE(target_intact(&self->t));
}

TEST_F(pointer, kernel_address_is_EFAULT)
{
	EXPECT_EQ(-EFAULT, variant->call(&self->t, KERNEL_ADDRESS));
	EXPECT_EQ(-EFAULT, variant->call(&self->t, ~0ULL));
	EXPECT_TRUE(target_intact(&self->t));
}

TEST_F(pointer, inaccessible_page_is_EFAULT)
{
	EXPECT_EQ(-EFAULT, variant->call(&self->t, (uintptr_t)self->page + self->len));
	EXPECT_TRUE(target_intact(&self->t));
}

TEST_F(pointer, partly_mapped_is_EFAULT)
{
	struct mbox_msg msg = msg_of(self->t.text, TEXT_LEN, MBOX_DONTWAIT);
	size_t part = sizeof(msg) / 2;
	char *address = self->page + self->len - part;

	memcpy(address, &msg, part);
	EXPECT_EQ(-EFAULT, variant->call(&self->t, (uintptr_t)address));
	EXPECT_TRUE(target_intact(&self->t));
}

TEST_F(pointer, read_only_is_EFAULT_for_outputs_only)
{
	struct mbox_msg msg = msg_of(self->t.text, TEXT_LEN, MBOX_DONTWAIT);
	char *address = self->page;

	/* A good element for a batch, a good name and payload for the others. */
	if (variant->call == sendv_msgs || variant->call == recvv_msgs ||
	    variant->call == reply_recv_next)
		memcpy(address, &msg, sizeof(msg));
	ASSERT_EQ(0, mprotect(self->page, self->len, PROT_READ));
	if (variant->written) {
		EXPECT_EQ(-EFAULT, variant->call(&self->t, (uintptr_t)address));
		EXPECT_TRUE(target_intact(&self->t));
	} else {
		EXPECT_NE(-EFAULT, variant->call(&self->t, (uintptr_t)address));
	}
}

TEST_HARNESS_MAIN
