// SPDX-License-Identifier: GPL-2.0-only
/*
 * Handles: the file operations and ioctls of an open mailbox.
 */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/module.h>
#include <linux/proc_fs.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "broadcast.h"
#include "call.h"
#include "device.h"
#include "direct.h"
#include "handle.h"
#include "inherit.h"
#include "mailbox.h"
#include "notify.h"
#include "recv.h"
#include "ring.h"
#include "send.h"

/* Number of the first ioctl of handles. */
#define FIRST_NR 0x10
/* A caller's struct mbox_msg in a batch can be this large. */
#define VEC_MSG_SIZE_MAX 4096

/**
 * struct handle - an open mailbox
 * @mb: the mailbox, one reference; where it receives from
 * @to: where it sends to: @mb, or the other direction of a direct link
 * @end: of a direct link, whose references are those of the handle then;
 *	otherwise NULL
 * @sender: identity of the last process that sent with this handle
 * @tokens: requests that it received and has to reply to; under mailbox.lock
 * @reader: MBOX_BROADCAST: how far it has read; under mailbox.lock
 * @lock: protects @sender
 * @rights: MBOX_MAY_RECV, MBOX_MAY_SEND
 */
struct handle {
	struct mailbox *mb;
	struct mailbox *to;
	struct mbox_end *end;
	struct mbox_sender *sender;
	struct mbox_tokens tokens;
	struct mbox_reader reader;
	spinlock_t lock;
	unsigned int rights;
};

static struct mailbox *file_mailbox(struct file *file)
{
	return ((struct handle *)file->private_data)->mb;
}

/* ---- send --------------------------------------------------------------- */

static bool nonblock(struct file *file)
{
	/* fcntl(2) may be changing it: either value will do. */
	return data_race(file->f_flags) & O_NONBLOCK;
}

static bool nowait(struct kiocb *iocb)
{
	return iocb->ki_flags & IOCB_NOWAIT || nonblock(iocb->ki_filp);
}

static int send_draft(struct file *file, const struct mbox_draft *draft,
		      const struct mbox_call *call)
{
	struct handle *handle = file->private_data;

	return mbox_send(handle->to, &handle->sender, &handle->lock, draft,
			 call);
}

/* A number of descriptors and an address, or neither. */
static bool fds_valid(const struct mbox_msg *m)
{
	return m->nfds <= MBOX_FDS_MAX && !m->nfds == !m->fds;
}

static int send_msg(struct file *file, const struct mbox_msg *m)
{
	struct mbox_draft draft = {
		.from = { .user = u64_to_user_ptr(m->buf), .len = m->len },
		.type = m->type,
		.prio = m->prio,
		.fds = u64_to_user_ptr(m->fds),
		.nfds = m->nfds,
	};
	struct mbox_call call;

	if (unlikely(m->flags & ~MBOX_SEND_FLAGS || m->prio > MBOX_PRIO_MAX ||
		     m->skip || m->token || !fds_valid(m)))
		return -EINVAL;
	if (unlikely(!(file->f_mode & FMODE_WRITE)))
		return -EBADF;
	/* Received by whom, of all? */
	if (unlikely(m->flags & MBOX_SYNC &&
		     file_mailbox(file)->flags & MBOX_BROADCAST))
		return -EOPNOTSUPP;
	mbox_call_init(&call, m->flags, m->deadline_ns, nonblock(file));
	return send_draft(file, &draft, &call);
}

static long ioctl_send(struct file *file, union mbox_arg *arg,
		       void __user *uarg, size_t usize)
{
	return send_msg(file, &arg->msg);
}

/* For write(2); all others come to handle_write_iter(). */
static ssize_t handle_write(struct file *file, const char __user *buf,
			    size_t len, loff_t *pos)
{
	struct mbox_draft draft = {
		.from = { .user = (void __user *)buf, .len = len },
	};
	struct mbox_call call;
	int ret;

	mbox_call_nonblock(&call, nonblock(file));
	ret = send_draft(file, &draft, &call);
	return ret ? ret : (ssize_t)len;
}

static ssize_t handle_write_iter(struct kiocb *iocb, struct iov_iter *iter)
{
	struct mbox_draft draft = {
		.from = { .iter = iter, .len = iov_iter_count(iter) },
	};
	struct mbox_call call;
	int ret;

	mbox_call_nonblock(&call, nowait(iocb));
	ret = send_draft(iocb->ki_filp, &draft, &call);
	if (!ret)
		return draft.from.len;
	mbox_buffer_rewind(&draft.from);
	return ret;
}

/* ---- receive ------------------------------------------------------------ */

static bool recv_flags_valid(const struct mbox_msg *m)
{
	const u32 special = MBOX_MATCH_NOT | MBOX_MATCH_LE;

	if (m->flags & ~MBOX_RECV_FLAGS || (m->flags & special) == special)
		return false;
	if (!m->skip)
		return true;
	/* "The lowest type" has no order in which to look past some. */
	return m->flags & MBOX_PEEK && !(m->flags & MBOX_MATCH_LE);
}

static int recv_check(struct file *file, const struct mbox_msg *m)
{
	if (unlikely(!recv_flags_valid(m) || !fds_valid(m)))
		return -EINVAL;
	if (unlikely(!(file->f_mode & FMODE_READ)))
		return -EBADF;
	return 0;
}

static ssize_t recv_to(struct handle *handle,
		       const struct mbox_receipt *receipt,
		       const struct mbox_match *match,
		       const struct mbox_call *call)
{
	struct mailbox *mb = handle->mb;

	if (unlikely(mb->flags & MBOX_BROADCAST))
		return mbox_broadcast_recv(mb, &handle->reader, receipt, match,
					   call);
	return mbox_recv(mb, receipt, match, call);
}

/* After recv_check(). */
static ssize_t recv_msg(struct file *file, struct mbox_msg *m,
			struct mbox_msg __user *umsg, size_t usize)
{
	struct handle *handle = file->private_data;
	struct mbox_match match = {
		.type = m->type,
		.flags = m->flags,
		.skip = m->skip,
	};
	struct mbox_receipt receipt = {
		.to = { .user = u64_to_user_ptr(m->buf), .len = m->len },
		.umsg = umsg,
		.kmsg = m,
		.usize = usize,
		.fds = u64_to_user_ptr(m->fds),
		.nfds = m->nfds,
	};
	struct mbox_call call;
	ssize_t ret;

	if (usize >= offsetofend(struct mbox_msg, token)) {
		receipt.tokens = &handle->tokens;
		if (unlikely(handle->mb->flags & MBOX_INHERIT)) {
			receipt.debtor = mbox_debtor_get();
			if (IS_ERR(receipt.debtor))
				return PTR_ERR(receipt.debtor);
		}
	}
	mbox_call_init(&call, m->flags, m->deadline_ns, nonblock(file));
	ret = recv_to(handle, &receipt, &match, &call);
	if (unlikely(receipt.debtor))
		mbox_debtor_put(receipt.debtor);
	return ret;
}

static long ioctl_recv(struct file *file, union mbox_arg *arg,
		       void __user *uarg, size_t usize)
{
	int ret = recv_check(file, &arg->msg);

	return ret ? ret : recv_msg(file, &arg->msg, uarg, usize);
}

static __always_inline ssize_t read_to(struct file *file,
				       const struct mbox_receipt *receipt,
				       bool nonblock)
{
	static const struct mbox_match any;
	struct mbox_call call;
	ssize_t ret;

	mbox_call_nonblock(&call, nonblock);
	ret = recv_to(file->private_data, receipt, &any, &call);
	/* As for a pipe that nobody writes to any more. */
	return ret == -EPIPE ? 0 : ret;
}

/* For read(2); all others come to handle_read_iter(). */
static ssize_t handle_read(struct file *file, char __user *buf, size_t len,
			   loff_t *pos)
{
	struct mbox_receipt receipt = { .to = { .user = buf, .len = len } };

	return read_to(file, &receipt, nonblock(file));
}

static ssize_t handle_read_iter(struct kiocb *iocb, struct iov_iter *iter)
{
	struct mbox_receipt receipt = {
		.to = { .iter = iter, .len = iov_iter_count(iter) },
	};

	return read_to(iocb->ki_filp, &receipt, nowait(iocb));
}

/* ---- batches ------------------------------------------------------------ */

/* One message of a batch. Return a negative error, or what the call returns. */
static ssize_t batch_one(struct file *file, const struct mbox_vec *vec,
			 u32 flags, unsigned int i, bool send)
{
	void __user *umsg = u64_to_user_ptr(vec->msgs) +
			    (size_t)i * vec->msg_size;
	struct mbox_msg m;
	int ret;

	ret = copy_struct_from_user(&m, sizeof(m), umsg, vec->msg_size);
	if (ret)
		return ret;
	m.flags |= flags;
	if (send)
		return send_msg(file, &m);
	ret = recv_check(file, &m);
	return ret ? ret : recv_msg(file, &m, umsg, vec->msg_size);
}

static long batch(struct file *file, const struct mbox_vec *vec, bool send)
{
	u32 flags = vec->flags & ~MBOX_WAITFORONE;
	unsigned int i, n = min_t(u32, vec->n, MBOX_BATCH_MAX);
	ssize_t ret;

	if (vec->reserved || vec->msg_size < MBOX_MSG_SIZE_MIN ||
	    vec->msg_size > VEC_MSG_SIZE_MAX)
		return -EINVAL;
	if (vec->flags & ~(send ? MBOX_SEND_FLAGS : MBOX_RECV_FLAGS | MBOX_WAITFORONE))
		return -EINVAL;
	if (!(file->f_mode & (send ? FMODE_WRITE : FMODE_READ)))
		return -EBADF;

	for (i = 0; i < n; i++) {
		ret = batch_one(file, vec, flags, i, send);
		if (ret < 0)
			return i ? i : ret;
		if (vec->flags & MBOX_WAITFORONE)
			flags |= MBOX_DONTWAIT;
		cond_resched();
	}
	return n;
}

static long ioctl_sendv(struct file *file, union mbox_arg *arg,
			void __user *uarg, size_t usize)
{
	return batch(file, &arg->vec, true);
}

static long ioctl_recvv(struct file *file, union mbox_arg *arg,
			void __user *uarg, size_t usize)
{
	return batch(file, &arg->vec, false);
}

/* ---- call and reply ----------------------------------------------------- */

static long ioctl_call(struct file *file, union mbox_arg *arg,
		       void __user *uarg, size_t usize)
{
	const struct mbox_request *r = &arg->request;
	struct handle *handle = file->private_data;
	struct mbox_buffer to = {
		.user = u64_to_user_ptr(r->rep),
		.len = r->rep_len,
	};
	struct mbox_draft draft = {
		.from = { .user = u64_to_user_ptr(r->buf), .len = r->len },
		.type = r->type,
		.prio = r->prio,
	};
	struct mbox_call call;

	if (r->flags & ~MBOX_REALTIME || r->prio > MBOX_PRIO_MAX)
		return -EINVAL;
	if (!(file->f_mode & FMODE_WRITE))
		return -EBADF;
	/* Who would reply? */
	if (handle->mb->flags & MBOX_BROADCAST)
		return -EOPNOTSUPP;
	mbox_call_init(&call, r->flags, r->deadline_ns, nonblock(file));
	return mbox_call(handle->to, &handle->sender, &handle->lock, &draft,
			 &to, &call);
}

static int reply_with(struct file *file, const struct mbox_reply *r)
{
	struct handle *handle = file->private_data;
	struct mbox_buffer from = {
		.user = u64_to_user_ptr(r->buf),
		.len = r->len,
	};

	return mbox_reply(handle->mb, &handle->tokens, r->token, &from);
}

static long ioctl_reply(struct file *file, union mbox_arg *arg,
			void __user *uarg, size_t usize)
{
	return arg->reply.reserved ? -EINVAL : reply_with(file, &arg->reply);
}

static long ioctl_reply_recv(struct file *file, union mbox_arg *arg,
			     void __user *uarg, size_t usize)
{
	const struct mbox_reply_recv *r = &arg->reply_recv;
	struct mbox_msg __user *next = u64_to_user_ptr(r->next);
	struct mbox_reply_recv __user *ur = uarg;
	struct mbox_debtor *debtor = NULL;
	bool replied = false;
	struct mbox_msg m;
	ssize_t ret;

	if (r->reserved || r->reply.reserved ||
	    r->next_size < MBOX_MSG_SIZE_MIN || r->next_size > VEC_MSG_SIZE_MAX)
		return -EINVAL;
	ret = copy_struct_from_user(&m, sizeof(m), next, r->next_size);
	if (!ret)
		ret = recv_check(file, &m);
	if (ret)
		return ret;
	if (file_mailbox(file)->flags & MBOX_INHERIT) {
		debtor = mbox_debtor_get();
		if (IS_ERR(debtor))
			return PTR_ERR(debtor);
	}
	if (r->reply.token) {
		ret = reply_with(file, &r->reply);
		replied = !ret;
	}
	if (!ret)
		ret = recv_msg(file, &m, next, r->next_size);
	if (debtor)
		mbox_debtor_put(debtor);
	/* A restarted call is not to reply again. */
	if (ret < 0 && replied && put_user(0, &ur->reply.token) &&
	    ret == -ERESTARTSYS)
		return -EINTR;
	return ret;
}

/* ---- the mailbox itself ------------------------------------------------- */

static long ioctl_stat(struct file *file, union mbox_arg *arg,
		       void __user *uarg, size_t usize)
{
	return mbox_mailbox_stat(file_mailbox(file), &arg->stat);
}

static long ioctl_set_capacity(struct file *file, union mbox_arg *arg,
			       void __user *uarg, size_t usize)
{
	struct handle *handle = file->private_data;
	u32 capacity = arg->set_capacity.capacity;

	if (arg->set_capacity.reserved)
		return -EINVAL;
	if (handle->end)
		return mbox_direct_set_capacity(handle->end, capacity);
	return mbox_mailbox_set_capacity(handle->mb, capacity);
}

static long ioctl_destroy(struct file *file, union mbox_arg *arg,
			  void __user *uarg, size_t usize)
{
	struct handle *handle = file->private_data;

	if (handle->rights != (MBOX_MAY_RECV | MBOX_MAY_SEND))
		return -EBADF;
	if (handle->end)
		return mbox_direct_destroy(handle->end);
	return mbox_mailbox_destroy(handle->mb);
}

static long ioctl_notify(struct file *file, union mbox_arg *arg,
			 void __user *uarg, size_t usize)
{
	struct handle *handle = file->private_data;

	if (!(handle->rights & MBOX_MAY_RECV))
		return -EBADF;
	return mbox_notify(handle->mb, handle, &arg->notify);
}

/* ---- rings --------------------------------------------------------------- */

/* What the mailbox's mode does not have. */
static long ioctl_unsupported(struct file *file, union mbox_arg *arg,
			      void __user *uarg, size_t usize)
{
	return -EOPNOTSUPP;
}

static long ioctl_ring_wait(struct file *file, union mbox_arg *arg,
			    void __user *uarg, size_t usize)
{
	const struct mbox_ring_wait *wait = &arg->ring_wait;
	struct handle *handle = file->private_data;
	bool send = wait->side == MBOX_RING_SENDERS;
	struct mbox_call call;

	if (wait->side > MBOX_RING_SENDERS ||
	    wait->flags & ~(MBOX_DONTWAIT | MBOX_REALTIME))
		return -EINVAL;
	if (!(handle->rights & (send ? MBOX_MAY_SEND : MBOX_MAY_RECV)))
		return -EBADF;
	mbox_call_init(&call, wait->flags, wait->deadline_ns, nonblock(file));
	return mbox_ring_wait(handle->mb, send, &call);
}

static long ioctl_ring_wake(struct file *file, union mbox_arg *arg,
			    void __user *uarg, size_t usize)
{
	const struct mbox_ring_wake *wake = &arg->ring_wake;

	if (wake->side > MBOX_RING_SENDERS)
		return -EINVAL;
	return mbox_ring_wake(file_mailbox(file),
			      wake->side == MBOX_RING_SENDERS, wake->n);
}

static ssize_t ring_read_iter(struct kiocb *iocb, struct iov_iter *iter)
{
	return -EOPNOTSUPP;
}

static ssize_t ring_write_iter(struct kiocb *iocb, struct iov_iter *iter)
{
	return -EOPNOTSUPP;
}

static int ring_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct handle *handle = file->private_data;

	return mbox_ring_mmap(handle->mb, vma, handle->rights);
}

static __poll_t ring_poll(struct file *file, poll_table *wait)
{
	struct handle *handle = file->private_data;

	return mbox_ring_poll(handle->mb, file, wait, handle->rights);
}

static const struct mbox_ioctl handle_ioctls[] = {
	{ MBOX_IOC_SEND, MBOX_MSG_SIZE_MIN, false, ioctl_send },
	{ MBOX_IOC_RECV, MBOX_MSG_SIZE_MIN, true, ioctl_recv },
	{ MBOX_IOC_SENDV, sizeof(struct mbox_vec), false, ioctl_sendv },
	{ MBOX_IOC_RECVV, sizeof(struct mbox_vec), false, ioctl_recvv },
	{ MBOX_IOC_STAT, 8, false, ioctl_stat },
	{ MBOX_IOC_SET_CAPACITY, sizeof(struct mbox_set_capacity), false,
	  ioctl_set_capacity },
	{ MBOX_IOC_DESTROY, 0, false, ioctl_destroy },
	{ MBOX_IOC_RING_WAIT, sizeof(struct mbox_ring_wait), false,
	  ioctl_unsupported },
	{ MBOX_IOC_RING_WAKE, sizeof(struct mbox_ring_wake), false,
	  ioctl_unsupported },
	{ MBOX_IOC_CALL, sizeof(struct mbox_request), false, ioctl_call },
	{ MBOX_IOC_REPLY, sizeof(struct mbox_reply), false, ioctl_reply },
	{ MBOX_IOC_REPLY_RECV, sizeof(struct mbox_reply_recv), true,
	  ioctl_reply_recv },
	{ MBOX_IOC_NOTIFY, sizeof(struct mbox_notify), false, ioctl_notify },
};

static const struct mbox_ioctl ring_ioctls[] = {
	{ MBOX_IOC_SEND, MBOX_MSG_SIZE_MIN, false, ioctl_unsupported },
	{ MBOX_IOC_RECV, MBOX_MSG_SIZE_MIN, true, ioctl_unsupported },
	{ MBOX_IOC_SENDV, sizeof(struct mbox_vec), false, ioctl_unsupported },
	{ MBOX_IOC_RECVV, sizeof(struct mbox_vec), false, ioctl_unsupported },
	{ MBOX_IOC_STAT, 8, false, ioctl_stat },
	{ MBOX_IOC_SET_CAPACITY, sizeof(struct mbox_set_capacity), false,
	  ioctl_set_capacity },
	{ MBOX_IOC_DESTROY, 0, false, ioctl_destroy },
	{ MBOX_IOC_RING_WAIT, sizeof(struct mbox_ring_wait), false,
	  ioctl_ring_wait },
	{ MBOX_IOC_RING_WAKE, sizeof(struct mbox_ring_wake), false,
	  ioctl_ring_wake },
	{ MBOX_IOC_CALL, sizeof(struct mbox_request), false,
	  ioctl_unsupported },
	{ MBOX_IOC_REPLY, sizeof(struct mbox_reply), false, ioctl_unsupported },
	{ MBOX_IOC_REPLY_RECV, sizeof(struct mbox_reply_recv), true,
	  ioctl_unsupported },
	{ MBOX_IOC_NOTIFY, sizeof(struct mbox_notify), false,
	  ioctl_unsupported },
};

static long handle_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return mbox_ioctl(file, cmd, arg, handle_ioctls, FIRST_NR,
			  ARRAY_SIZE(handle_ioctls));
}

static long ring_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return mbox_ioctl(file, cmd, arg, ring_ioctls, FIRST_NR,
			  ARRAY_SIZE(ring_ioctls));
}

static __poll_t handle_poll(struct file *file, poll_table *wait)
{
	struct handle *handle = file->private_data;

	return mbox_poll(handle->mb, &handle->reader, file, file->f_mode, wait);
}

/* ---- direct links --------------------------------------------------------- */

/*
 * Like other handles, for the process that opened them: whoever inherited one or
 * was passed one is not a side of the link. All the same, he may close it and
 * ask for its state.
 */
static bool is_mine(struct file *file)
{
	return mbox_direct_is_mine(((struct handle *)file->private_data)->end);
}

static ssize_t direct_read(struct file *file, char __user *buf, size_t len,
			   loff_t *pos)
{
	return is_mine(file) ? handle_read(file, buf, len, pos) : -EPERM;
}

static ssize_t direct_write(struct file *file, const char __user *buf,
			    size_t len, loff_t *pos)
{
	return is_mine(file) ? handle_write(file, buf, len, pos) : -EPERM;
}

static ssize_t direct_read_iter(struct kiocb *iocb, struct iov_iter *iter)
{
	return is_mine(iocb->ki_filp) ? handle_read_iter(iocb, iter) : -EPERM;
}

static ssize_t direct_write_iter(struct kiocb *iocb, struct iov_iter *iter)
{
	return is_mine(iocb->ki_filp) ? handle_write_iter(iocb, iter) : -EPERM;
}

static long direct_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	if (_IOC_TYPE(cmd) == MBOX_IOC_MAGIC &&
	    _IOC_NR(cmd) != _IOC_NR(MBOX_IOC_STAT) && !is_mine(file))
		return -EPERM;
	return handle_ioctl(file, cmd, arg);
}

static __poll_t direct_poll(struct file *file, poll_table *wait)
{
	struct handle *handle = file->private_data;
	__poll_t events = 0;

	/* No call would wait. */
	if (!is_mine(file))
		return EPOLLERR;
	if (file->f_mode & FMODE_READ)
		events |= mbox_poll(handle->mb, &handle->reader, file,
				    FMODE_READ, wait);
	if (file->f_mode & FMODE_WRITE)
		events |= mbox_poll(handle->to, &handle->reader, file,
				    FMODE_WRITE, wait);
	return events;
}

/* ---- the file ------------------------------------------------------------- */

/* In the numbers of the folder in which it is read, as a pidfd's. */
static void show_peer(struct seq_file *m, const struct mbox_end *end)
{
	struct super_block *sb = file_inode(m->file)->i_sb;

	seq_printf(m, "mbox-peer:\t%d\n",
		   mbox_direct_peer(end, proc_pid_ns(sb)));
}

/* How far a handle with the right to receive has read what is sent to all. */
static void show_reader(struct seq_file *m, struct handle *handle)
{
	struct mailbox *mb = handle->mb;
	u64 unread, lost;

	spin_lock(&mb->lock);
	unread = mbox_broadcast_unread(mb, &handle->reader);
	lost = mbox_broadcast_lost(mb, &handle->reader);
	spin_unlock(&mb->lock);
	seq_printf(m, "mbox-unread:\t%llu\n", unread);
	seq_printf(m, "mbox-lost:\t%llu\n", lost);
}

static int handle_fasync(int fd, struct file *file, int on)
{
	struct handle *handle = file->private_data;

	return mbox_fasync(handle->mb, fd, file, on, handle->rights);
}

/* Messages come from one mailbox, and room is in the other. */
static int direct_fasync(int fd, struct file *file, int on)
{
	struct handle *handle = file->private_data;
	unsigned int recv = handle->rights & MBOX_MAY_RECV;
	unsigned int send = handle->rights & MBOX_MAY_SEND;
	int ret = 0;

	if (on && !is_mine(file))
		return -EPERM;
	if (recv)
		ret = mbox_fasync(handle->mb, fd, file, on, recv);
	if (ret < 0 || !send)
		return ret;
	ret = mbox_fasync(handle->to, fd, file, on, send);
	/* Only when it is to be turned on. */
	if (ret < 0 && recv)
		mbox_fasync(handle->mb, -1, file, false, recv);
	return ret;
}

static void show_notice(struct seq_file *m, struct mailbox *mb)
{
	static const char *const kinds[] = {
		[MBOX_NOTIFY_NONE] = "none",
		[MBOX_NOTIFY_SIGNAL] = "signal",
		[MBOX_NOTIFY_EVENTFD] = "eventfd",
	};
	pid_t pid;
	u32 kind = mbox_notice_get(mb, &pid);

	if (kind != MBOX_NOTIFY_OFF)
		seq_printf(m, "mbox-notify:\t%s %d\n", kinds[kind], pid);
}

static void handle_show_fdinfo(struct seq_file *m, struct file *file)
{
	struct handle *handle = file->private_data;
	struct mailbox *mb = handle->mb;
	struct mbox_stat st;
	int ret = mbox_mailbox_stat(mb, &st);

	seq_printf(m, "mbox-id:\t%llu\n", mb->id);
	if (READ_ONCE(mb->named)) {
		seq_puts(m, "mbox-name:\t");
		seq_escape(m, mb->name, " \t\n\\");
		seq_putc(m, '\n');
	}
	if (handle->end)
		show_peer(m, handle->end);
	if (ret) {
		seq_puts(m, "mbox-state:\tdestroyed\n");
		return;
	}
	seq_printf(m, "mbox-mode:\t%s\n", mb->ring ? "ring" : "queue");
	seq_printf(m, "mbox-flags:\t%#x\n", st.attr.flags);
	if (st.attr.capacity == MBOX_UNBOUNDED)
		seq_puts(m, "mbox-capacity:\tunbounded\n");
	else
		seq_printf(m, "mbox-capacity:\t%u\n", st.attr.capacity);
	seq_printf(m, "mbox-msg-max:\t%u\n", st.attr.msg_max);
	seq_printf(m, "mbox-queued:\t%u\n", st.queued);
	seq_printf(m, "mbox-bytes:\t%llu\n", st.bytes);
	seq_printf(m, "mbox-waiting-senders:\t%u\n", st.waiting_senders);
	seq_printf(m, "mbox-waiting-receivers:\t%u\n", st.waiting_receivers);
	seq_printf(m, "mbox-dropped:\t%llu\n", st.dropped);
	seq_printf(m, "mbox-requests:\t%u\n",
		   mbox_tokens_count(mb, &handle->tokens));
	if (mb->flags & MBOX_BROADCAST && handle->rights & MBOX_MAY_RECV)
		show_reader(m, handle);
	show_notice(m, mb);
}

static void handle_free(struct handle *handle)
{
	if (handle->sender)
		mbox_sender_put(handle->sender);
	mbox_tokens_end(handle->mb, &handle->tokens);
	mbox_notice_release(handle->mb, handle);
	if (handle->end)
		mbox_direct_close(handle->end);
	else
		mbox_mailbox_detach(handle->mb, handle->rights,
				    &handle->reader);
	kfree(handle);
}

static int handle_flush(struct file *file, fl_owner_t id)
{
	struct handle *handle = file->private_data;

	mbox_notice_flush(handle->mb, handle);
	return 0;
}

static int handle_release(struct inode *inode, struct file *file)
{
	handle_free(file->private_data);
	return 0;
}

static const struct file_operations handle_fops = {
	.owner = THIS_MODULE,
	.flush = handle_flush,
	.release = handle_release,
	.read = handle_read,
	.write = handle_write,
	.read_iter = handle_read_iter,
	.write_iter = handle_write_iter,
	.poll = handle_poll,
	.fasync = handle_fasync,
	.unlocked_ioctl = handle_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.show_fdinfo = handle_show_fdinfo,
};

static const struct file_operations direct_fops = {
	.owner = THIS_MODULE,
	.flush = handle_flush,
	.release = handle_release,
	.read = direct_read,
	.write = direct_write,
	.read_iter = direct_read_iter,
	.write_iter = direct_write_iter,
	.poll = direct_poll,
	.fasync = direct_fasync,
	.unlocked_ioctl = direct_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.show_fdinfo = handle_show_fdinfo,
};

static const struct file_operations ring_fops = {
	.owner = THIS_MODULE,
	.release = handle_release,
	.read_iter = ring_read_iter,
	.write_iter = ring_write_iter,
	.poll = ring_poll,
	.fasync = handle_fasync,
	.mmap = ring_mmap,
	.unlocked_ioctl = ring_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.show_fdinfo = handle_show_fdinfo,
};

/*
 * Every participant maps some regions to read and some to write, which mmap(2)
 * allows for files that were opened for both. What the handle may do is in its
 * rights, and F_GETFL tells that.
 */
static struct file *ring_file(struct handle *handle, unsigned int oflags)
{
	struct file *file;

	file = anon_inode_getfile("[mbox]", &ring_fops, handle,
				  O_RDWR | (oflags & O_NONBLOCK));
	if (IS_ERR(file))
		return file;
	stream_open(NULL, file);
	file->f_flags = (file->f_flags & ~O_ACCMODE) | (oflags & O_ACCMODE);
	return file;
}

static struct file *handle_file(struct handle *handle, unsigned int oflags)
{
	const struct file_operations *fops = &handle_fops;
	struct file *file;

	if (handle->mb->ring)
		return ring_file(handle, oflags);
	if (handle->end)
		fops = &direct_fops;
	file = anon_inode_getfile("[mbox]", fops, handle,
				  oflags & (O_ACCMODE | O_NONBLOCK));
	if (IS_ERR(file))
		return file;
	stream_open(NULL, file);
	/* Reading and writing heed IOCB_NOWAIT. */
	file->f_mode |= FMODE_NOWAIT;
	return file;
}

/* Give a handle a file, or free it. */
static int finish(struct handle *handle, unsigned int oflags,
		  struct mbox_new_handle *new)
{
	int ret;

	ret = get_unused_fd_flags(oflags & O_CLOEXEC);
	if (ret < 0)
		goto err_free_handle;
	new->fd = ret;
	new->file = handle_file(handle, oflags);
	if (IS_ERR(new->file)) {
		ret = PTR_ERR(new->file);
		goto err_put_fd;
	}
	return 0;

err_put_fd:
	put_unused_fd(new->fd);
err_free_handle:
	handle_free(handle);
	return ret;
}

static struct handle *handle_alloc(struct mailbox *from, struct mailbox *to,
				   unsigned int rights)
{
	struct handle *handle;

	handle = kzalloc(sizeof(*handle), GFP_KERNEL_ACCOUNT);
	if (!handle)
		return NULL;
	handle->mb = from;
	handle->to = to;
	handle->rights = rights;
	spin_lock_init(&handle->lock);
	return handle;
}

/**
 * mbox_handle_prepare() - make a handle
 * @mb: the mailbox
 * @oflags: O_ACCMODE, O_NONBLOCK, O_CLOEXEC
 * @rights: what the access mode means
 * @new: out: to be published or aborted
 *
 * Context: Process context, may sleep.
 * Return: 0, or -EIDRM, -EMFILE, -ENFILE, -ENOMEM.
 */
int mbox_handle_prepare(struct mailbox *mb, unsigned int oflags,
			unsigned int rights, struct mbox_new_handle *new)
{
	struct handle *handle;
	int ret;

	handle = handle_alloc(mb, mb, rights);
	if (!handle)
		return -ENOMEM;
	ret = mbox_mailbox_attach(mb, rights, &handle->reader);
	if (ret) {
		kfree(handle);
		return ret;
	}
	return finish(handle, oflags, new);
}

/**
 * mbox_handle_prepare_direct() - make a handle of a direct link
 * @end: the caller's end, with a count for the handle, taken over also when
 *	this fails
 * @oflags: O_ACCMODE, O_NONBLOCK, O_CLOEXEC
 * @rights: what the access mode means
 * @new: out: to be published or aborted
 *
 * Context: Process context, may sleep.
 * Return: 0, or -EMFILE, -ENFILE, -ENOMEM.
 */
int mbox_handle_prepare_direct(struct mbox_end *end, unsigned int oflags,
			       unsigned int rights, struct mbox_new_handle *new)
{
	struct handle *handle;

	handle = handle_alloc(mbox_direct_from(end), mbox_direct_to(end),
			      rights);
	if (!handle) {
		mbox_direct_close(end);
		return -ENOMEM;
	}
	handle->end = end;
	return finish(handle, oflags, new);
}

/**
 * mbox_handle_publish() - give a prepared handle to the process
 * @new: the handle
 *
 * Return: the descriptor.
 */
int mbox_handle_publish(struct mbox_new_handle *new)
{
	fd_install(new->fd, new->file);
	return new->fd;
}

/**
 * mbox_handle_abort() - undo mbox_handle_prepare()
 * @new: the handle
 */
void mbox_handle_abort(struct mbox_new_handle *new)
{
	put_unused_fd(new->fd);
	fput(new->file);
}
