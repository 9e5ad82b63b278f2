// SPDX-License-Identifier: GPL-2.0-only
/*
 * Operations of /dev/mbox, and on a mailbox as a whole.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

#include <mbox.h>

#include "fuzz.h"

size_t pool_name(unsigned int i, char *name)
{
	if (i == NAMES - 1) {
		memset(name, 'L', MBOX_NAME_MAX);
		return MBOX_NAME_MAX;
	}
	memcpy(name, "fz0", 3);
	name[2] += i;
	return 3;
}

/* A name: none, one of a few, or a bad one. Sets *@len; returns its address. */
static uint64_t pick_name(struct worker *l, uint8_t b, uint32_t *len)
{
	char *name = (char *)l->arg + 8 * PAGE;

	if (b < 96) {
		*len = 0;
		return 0;
	}
	if (b < 224) {
		*len = pool_name(b % NAMES, name);
		return (uintptr_t)name;
	}
	*len = pool_name(b % 3, name);
	switch (b & 7) {
	case 0:
		*len = MBOX_NAME_MAX + 1;
		break;
	case 1:
		name[1] = '/';
		break;
	case 2:
		name[1] = '\0';
		break;
	case 3:
		return (uintptr_t)memory_hole();
	case 4:
		return (uintptr_t)memory_source(l, 189, 0);
	case 5:
		*len = pick32(b >> 3);
		break;
	case 6:
		return 0;
	case 7:
		name[0] = (char)0xff;
		break;
	}
	return (uintptr_t)name;
}

static uint32_t pick_oflags(uint8_t b, uint8_t other)
{
	static const uint32_t modes[] = { O_RDWR, O_RDWR, O_RDONLY, O_WRONLY };
	uint32_t flags = modes[b & 3];

	if (b & 4)
		flags |= O_NONBLOCK;
	if (b & 8)
		flags |= O_EXCL;
	if (b & 16)
		flags |= O_CREAT;
	if (b & 32)
		flags |= O_CLOEXEC;
	if (b >= 0xf8)
		flags = 1U << (other & 31);
	else if (b >= 0xf0)
		flags |= O_ACCMODE;
	return flags;
}

static void pick_attr(struct mbox_attr *attr, const struct op *op)
{
	const uint32_t old = MBOX_DROP_OLDEST, new = MBOX_DROP_NEWEST;
	const uint32_t flags[] = {
		0, 0, 0, 0, MBOX_FIXED, old, old, new, MBOX_HANGUP,
		MBOX_HANGUP, MBOX_HANGUP | old, MBOX_FIXED | MBOX_HANGUP,
		MBOX_FIXED | old, old | MBOX_BROADCAST, MBOX_BROADCAST,
		MBOX_HANGUP | new,
	};
	static const uint32_t capacities[] = {
		0, 0, 1, 1, 2, 3, 4, MBOX_UNBOUNDED,
	};
	static const uint32_t sizes[] = {
		64, 64, 100, 256, 4096, 8192, 65536, 1 << 20,
	};
	static const uint32_t perms[] = {
		0666, 0777, 0200, 0400, 0060, 0006, 0, 01000, 0622, 0644,
		0xffffffff,
	};

	attr->mode = op->a[7] >= 0xe0 ? op->a[7] & 3 : MBOX_QUEUE;
	attr->flags = flags[op->a[3] & 15];
	if (op->a[3] >= 0xe0)
		attr->flags |= 1U << (op->a[7] & 31);
	if (attr->mode == MBOX_QUEUE && (op->a[3] & 0x70) == 0x50)
		attr->flags |= MBOX_INHERIT;
	if ((op->a[3] & 0x70) == 0x60 && op->a[7] & 1)
		attr->flags |= MBOX_LEAF;
	if (attr->mode == MBOX_RING && op->a[3] & 16)
		attr->flags &= MBOX_FIXED | MBOX_HANGUP;
	if (attr->mode == MBOX_RING && op->a[3] & 32)
		attr->flags |= MBOX_ONE_SENDER;
	if (attr->mode == MBOX_RING && op->a[3] & 64)
		attr->flags |= MBOX_ONE_RECEIVER;
	if (op->a[6] % 11 == 3)
		attr->flags |= MBOX_TEMPORARY;
	if (attr->flags == (old | MBOX_BROADCAST) && op->a[6] & 1)
		attr->flags |= MBOX_ALLOW_WAIT;
	attr->capacity = op->a[4] < 224 ? capacities[op->a[4] & 7] :
					  pick32(op->a[4] & 31);
	attr->msg_max = op->a[5] < 224 ? sizes[op->a[5] & 7] :
					 pick32(op->a[5] & 31);
	attr->perm = op->a[6] < 96 ? 0600 :
				     perms[op->a[6] % ARRAY_SIZE(perms)];
}

static void note_id(uint64_t id)
{
	uint32_t n = __atomic_fetch_add(&shared->nids, 1, __ATOMIC_RELAXED);

	shared->ids[n % ARRAY_SIZE(shared->ids)] = id;
}

long op_create(struct worker *l, const struct op *op)
{
	struct mbox_create create = {};
	long ret;

	create.name = pick_name(l, op->a[1], &create.name_len);
	create.oflags = pick_oflags(op->a[2], op->a[7]);
	pick_attr(&create.attr, op);
	if (op->a[2] % 5 == 1) {
		create.options = (struct mbox_options)MBOX_OPTIONS_INIT;
		if (create.attr.flags & MBOX_BROADCAST)
			create.options.history = op->a[4] & 3;
		if (op->a[2] & 8)
			create.options.max_bytes = op->a[5] * 16;
		if (op->a[6] & 1)
			create.options.max_deliveries = 1 + (op->a[4] & 1);
		if (op->a[6] & 2)
			create.options.dead_letter = slot_fd(op->a[7]);
	}
	ret = do_ioctl(l, op, l->proc->device, MBOX_IOC_CREATE, &create,
		       sizeof(create));
	if (ret >= 0) {
		slot_put(op->a[0], ret);
		note_id(create.id);
	}
	return ret;
}

long op_open(struct worker *l, const struct op *op)
{
	struct mbox_open open = {};
	long ret;

	open.name = pick_name(l, op->a[1], &open.name_len);
	open.oflags = pick_oflags(op->a[2], op->a[7]);
	/* Creation has more flags. */
	if (op->a[2] < 0xf0)
		open.oflags &= ~(O_CREAT | O_EXCL);
	ret = do_ioctl(l, op, l->proc->device, MBOX_IOC_OPEN, &open,
		       sizeof(open));
	if (ret >= 0)
		slot_put(op->a[0], ret);
	return ret;
}

long op_open_id(struct worker *l, const struct op *op)
{
	struct mbox_open open = {};
	long ret;

	open.id = op->a[1] < 224 ?
		  shared->ids[op->a[1] % ARRAY_SIZE(shared->ids)] :
		  pick64(op->a[1] & 31);
	open.oflags = pick_oflags(op->a[2], op->a[7]) & ~(O_CREAT | O_EXCL);
	ret = do_ioctl(l, op, l->proc->device, MBOX_IOC_OPEN, &open,
		       sizeof(open));
	if (ret >= 0)
		slot_put(op->a[0], ret);
	return ret;
}

/* A process that plays, a child of the worker, or some number. */
static int32_t pick_peer(struct worker *l, uint8_t b)
{
	if (b < 160)
		return shared->worker[b % shared->workers].pid;
	if (b < 208 && l->nchildren)
		return l->children[b % l->nchildren];
	return b < 224 ? getppid() : (int32_t)pick32(b & 31);
}

long op_direct(struct worker *l, const struct op *op)
{
	struct mbox_direct direct = {};
	long ret;

	direct.pid = pick_peer(l, op->a[1]);
	direct.oflags = pick_oflags(op->a[2], op->a[7]) & ~(O_CREAT | O_EXCL);
	ret = do_ioctl(l, op, l->proc->device, MBOX_IOC_DIRECT, &direct,
		       sizeof(direct));
	if (ret >= 0)
		slot_put(op->a[0], ret);
	return ret;
}

/* Sets *@opened when it is to be closed. */
static int pick_pidfd(struct worker *l, uint8_t b, bool *opened)
{
	*opened = b < 176;
	if (*opened)
		return syscall(SYS_pidfd_open, pick_peer(l, b), 0);
	if (b < 224)
		return l->proc->gone;
	return b < 248 ? slot_fd(b) : (int)pick32(b & 31);
}

/* By the library, which names a process by what cannot become another's. */
long op_pidfd(struct worker *l, const struct op *op)
{
	static const int known[] = {
		EACCES, EBADF, EDQUOT, EINVAL, EMFILE, ENFILE, ENODEV, ENOENT,
		ENOMEM, EPERM, ESRCH,
	};
	int pidfd, fd, error;
	struct mbox *mb;
	unsigned int i;
	bool opened;

	/* It allocates, which a child of a process with threads cannot. */
	if (l->child)
		return -EOPNOTSUPP;
	pidfd = pick_pidfd(l, op->a[1], &opened);
	mb = mbox_direct_pidfd(pidfd, pick_oflags(op->a[2] & 7, 0));
	error = errno;
	if (opened && pidfd >= 0)
		close(pidfd);
	if (mb) {
		if (pidfd == l->proc->gone)
			broken("a link to a process that has exited");
		fd = fcntl(mbox_fd(mb), F_DUPFD_CLOEXEC, 0);
		mbox_close(mb);
		if (fd >= 0)
			slot_put(op->a[0], fd);
		return fd;
	}
	for (i = 0; i < ARRAY_SIZE(known); i++)
		if (error == known[i])
			break;
	if (i == ARRAY_SIZE(known) && !l->failing)
		broken("a link by pidfd: %s", strerror(error));
	if (pidfd == l->proc->gone && error != ESRCH && !l->failing)
		broken("a link to a process that has exited: %s",
		       strerror(error));
	return -error;
}

long op_unlink(struct worker *l, const struct op *op)
{
	struct mbox_unlink unlink = {};

	unlink.name = pick_name(l, op->a[1], &unlink.name_len);
	return do_ioctl(l, op, l->proc->device, MBOX_IOC_UNLINK, &unlink,
			sizeof(unlink));
}

long op_walk(struct worker *l, const struct op *op)
{
	struct mbox_walk walk = {};
	unsigned int i;
	uint64_t last;
	long ret = 0;

	if (op->a[1] >= 224)
		walk.id = pick64(op->a[1] & 31);
	for (i = 0; i <= op->a[2] % 16; i++) {
		last = walk.id;
		memset(&walk.name, 0xa5, sizeof(walk) - sizeof(walk.id));
		ret = do_ioctl(l, op, l->proc->device, MBOX_IOC_WALK, &walk,
			       sizeof(walk));
		if (ret)
			break;
		/* A tweak can have changed what was asked. */
		if (op->tweak)
			break;
		if (walk.id <= last || walk.id != walk.stat.id ||
		    !memchr(walk.name, '\0', sizeof(walk.name)))
			broken("walk from %llu gave %llu, %llu",
			       (unsigned long long)last,
			       (unsigned long long)walk.id,
			       (unsigned long long)walk.stat.id);
	}
	return ret;
}

long op_info(struct worker *l, const struct op *op)
{
	struct mbox_info info;
	long ret;

	memset(&info, 0xa5, sizeof(info));
	ret = do_ioctl(l, op, l->proc->device, MBOX_IOC_INFO, &info,
		       sizeof(info));
	if (!ret && !op->tweak && info.abi != MBOX_ABI_VERSION)
		broken("ABI version %u", info.abi);
	return ret;
}

long op_stat(struct worker *l, const struct op *op)
{
	struct mbox_stat stat;

	memset(&stat, 0xa5, sizeof(stat));
	return do_ioctl(l, op, slot_fd(op->a[0]), MBOX_IOC_STAT, &stat,
			sizeof(stat));
}

long op_set_capacity(struct worker *l, const struct op *op)
{
	static const uint32_t capacities[] = {
		0, 0, 1, 1, 2, 3, 16, MBOX_UNBOUNDED,
	};
	struct mbox_set_capacity set = {};

	set.capacity = op->a[1] < 224 ? capacities[op->a[1] & 7] :
					pick32(op->a[1] & 31);
	/* Of few mailboxes: the others refuse it. */
	if (op->a[1] & 16)
		set.max_bytes = 1 + (op->a[1] >> 5) * 100;
	return do_ioctl(l, op, slot_fd(op->a[0]), MBOX_IOC_SET_CAPACITY, &set,
			sizeof(set));
}

/* A reader by its number, or the slowest, and mostly only if it has messages to receive. */
long op_expel(struct worker *l, const struct op *op)
{
	struct mbox_expel expel = {
		.reader = op->a[1] < 224 ? op->a[1] & 7 : pick64(op->a[1] & 31),
		.unread = op->a[2] & 3,
		.flags = op->a[2] & 4 ? MBOX_EXPEL_LOOK : 0,
	};
	uint64_t wanted = expel.reader;
	long ret;

	ret = do_ioctl(l, op, slot_fd(op->a[0]), MBOX_IOC_EXPEL, &expel, sizeof(expel));
	if (!ret && !op->tweak && (!expel.reader || (wanted && expel.reader != wanted) ||
				   expel.unread < (op->a[2] & 3)))
		broken("expel: reader %llu, wanted %llu, %llu unread",
		       (unsigned long long)expel.reader, (unsigned long long)wanted,
		       (unsigned long long)expel.unread);
	return ret;
}

/* Mostly to lose messages, so that senders do not wait for a handle that is never read. */
long op_set_reader(struct worker *l, const struct op *op)
{
	struct mbox_set_reader arg = {
		.policy = op->a[1] < 128 ? MBOX_READER_DROP :
			  op->a[1] < 240 ? (op->a[1] & 3) : pick32(op->a[1] & 31),
	};

	return do_ioctl(l, op, slot_fd(op->a[0]), MBOX_IOC_SET_READER, &arg, sizeof(arg));
}

long op_destroy(struct worker *l, const struct op *op)
{
	return do_ioctl(l, op, slot_fd(op->a[0]), MBOX_IOC_DESTROY, "", 0);
}

long op_notify(struct worker *l, const struct op *op)
{
	static const uint32_t signals[] = { SIGUSR1, SIGUSR2, SIGIO, 0 };
	struct mbox_notify n = { .kind = op->a[1] & 3 };
	int fd = -1;
	long ret;

	/* The mailbox may keep what is closed here. */
	if (n.kind == MBOX_NOTIFY_EVENTFD) {
		fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		n.fd = op->a[2] < 240 ? fd : slot_fd(op->a[3]);
	} else if (n.kind == MBOX_NOTIFY_SIGNAL) {
		n.signo = signals[op->a[2] & 3];
		n.value = pick64(op->a[3]);
	}
	if (op->a[4] >= 0xf0)
		n.reserved = pick32(op->a[5] & 31);
	ret = do_ioctl(l, op, slot_fd(op->a[0]), MBOX_IOC_NOTIFY, &n,
		       sizeof(n));
	if (fd >= 0)
		close(fd);
	return ret;
}
