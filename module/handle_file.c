// SPDX-License-Identifier: GPL-2.0-only
/*
 * The file operations of handles. Queues, direct links and rings have a table each.
 * write(2) sends a message of priority 0 and type 0, and read(2) receives the payload
 * of a message; everything else needs an ioctl. Polling also checks the limits of the
 * user that sent last, under the lock of handle.outlet.
 */
#include <linux/module.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/uio.h>

#include "exchange.h"
#include "fs.h"
#include "handle.h"
#include "handle_file.h"
#include "handle_ioctl.h"
#include "history.h"
#include "notify.h"
#include "poll.h"
#include "ring.h"

/* ---- read and write ---------------------------------------------------- */

/*
 * read(2) and write(2) have their own operations, without an iterator, which would cost
 * more than the copy of a small message. The operations with an iterator are for readv(2),
 * RWF_NOWAIT and io_uring.
 */

static bool nowait(struct kiocb *iocb)
{
	return iocb->ki_flags & IOCB_NOWAIT || mbx_nonblock(iocb->ki_filp);
}

static ssize_t handle_write(struct file *file, const char __user *buf,
			    size_t len, loff_t *pos)
{
	struct handle *handle = file->private_data;
	int ret;

	/* As writev(2) of no bytes, which returns 0 before it calls the module. */
	if (unlikely(!len))
		return 0;
	ret = mbx_send_bytes(&handle->outlet, (void __user *)buf, len, mbx_nonblock(file));
	return ret ? ret : (ssize_t)len;
}

static ssize_t handle_write_iter(struct kiocb *iocb, struct iov_iter *iter)
{
	struct mbx_send_args args = {
		.from = { .iter = iter, .len = iov_iter_count(iter) },
	};
	struct mbx_wait_opts opts;
	int ret;

	/* Only io_uring calls this without any bytes. */
	if (unlikely(!args.from.len))
		return 0;
	mbx_wait_opts_nonblock(&opts, nowait(iocb));
	ret = mbx_handle_send(iocb->ki_filp->private_data, &args, &opts);
	if (!ret)
		return args.from.len;
	mbx_buffer_rewind(&args.from);
	return ret;
}

static __always_inline ssize_t read_to(struct file *file,
				       const struct mbx_recv_args *args,
				       bool nonblock)
{
	static const struct mbx_match any;
	struct mbx_wait_opts opts;
	ssize_t ret;

	if (unlikely(!args->to.len))
		return 0;
	mbx_wait_opts_nonblock(&opts, nonblock);
	ret = mbx_handle_recv(file->private_data, args, &any, &opts);
	/* End of file, as for a pipe without writers. */
	return ret == -EPIPE ? 0 : ret;
}

static noinline ssize_t read_broadcast(struct file *file, char __user *buf, size_t len)
{
	struct mbx_recv_args args = { .to = { .user = buf, .len = len } };

	return read_to(file, &args, mbx_nonblock(file));
}

/* mbx_recv_bytes() has returned an error or MBX_OTHERWISE. */
static noinline ssize_t read_otherwise(struct file *file, char __user *buf, size_t len,
				       ssize_t ret)
{
	struct handle *handle = file->private_data;
	struct mbx_recv_args args = {
		.to = { .user = buf, .len = len },
		.tokens = &handle->tokens,
	};

	if (ret == MBX_OTHERWISE)
		ret = mbx_recv_otherwise(handle->mb, &args, mbx_nonblock(file));
	return ret == -EPIPE ? 0 : ret;
}

static ssize_t handle_read(struct file *file, char __user *buf, size_t len,
			   loff_t *pos)
{
	struct handle *handle = file->private_data;
	ssize_t ret;

	if (unlikely(!len || handle->mb->flags & MBOX_BROADCAST))
		return read_broadcast(file, buf, len);
	ret = mbx_recv_bytes(handle->mb, buf, len);
	return unlikely(ret < 0) ? read_otherwise(file, buf, len, ret) : ret;
}

static ssize_t handle_read_iter(struct kiocb *iocb, struct iov_iter *iter)
{
	struct handle *handle = iocb->ki_filp->private_data;
	struct mbx_recv_args args = {
		.to = { .iter = iter, .len = iov_iter_count(iter) },
		.tokens = &handle->tokens,
	};

	return read_to(iocb->ki_filp, &args, nowait(iocb));
}

/* Rings have no read(2) and write(2), but a transfer of no bytes succeeds anywhere. */
static ssize_t ring_read_iter(struct kiocb *iocb, struct iov_iter *iter)
{
	return iov_iter_count(iter) ? -EOPNOTSUPP : 0;
}

static ssize_t ring_write_iter(struct kiocb *iocb, struct iov_iter *iter)
{
	return iov_iter_count(iter) ? -EOPNOTSUPP : 0;
}

static ssize_t direct_read(struct file *file, char __user *buf, size_t len,
			   loff_t *pos)
{
	if (len && !mbx_file_is_mine(file))
		return -EPERM;
	return handle_read(file, buf, len, pos);
}

static ssize_t direct_write(struct file *file, const char __user *buf,
			    size_t len, loff_t *pos)
{
	if (len && !mbx_file_is_mine(file))
		return -EPERM;
	return handle_write(file, buf, len, pos);
}

static ssize_t direct_read_iter(struct kiocb *iocb, struct iov_iter *iter)
{
	if (iov_iter_count(iter) && !mbx_file_is_mine(iocb->ki_filp))
		return -EPERM;
	return handle_read_iter(iocb, iter);
}

static ssize_t direct_write_iter(struct kiocb *iocb, struct iov_iter *iter)
{
	if (iov_iter_count(iter) && !mbx_file_is_mine(iocb->ki_filp))
		return -EPERM;
	return handle_write_iter(iocb, iter);
}

/* ---- poll -------------------------------------------------------------- */

/*
 * Whether the limits have room for a message, or the mailbox has a policy for it. At
 * the limit of a stake, MBOX_DROP_NEWEST drops the new message, and MBOX_DROP_OLDEST
 * drops older messages of the same user.
 */
static bool has_room(const struct handle *handle,
		     const struct mbx_sender *sender, unsigned int cost,
		     unsigned int nfds)
{
	unsigned int own = mbx_sender_cost(sender);
	struct mbx_shortage shortage = {};
	u32 flags = handle->outlet.to->flags;

	if (flags & MBOX_DROP_NEWEST)
		return !mbx_lacking(NULL, sender->user, cost + own);
	if (mbx_sender_has_room(sender, cost, nfds))
		return true;
	if (!(flags & MBOX_DROP_OLDEST))
		return false;
	shortage.bytes = mbx_lacking(sender->stake, sender->user, cost + own);
	if (nfds && sender->stake)
		shortage.fds = mbx_lacking_fds(sender->stake, nfds);
	return mbx_may_drop_own(handle->outlet.to, sender, &shortage);
}

/*
 * Whether the limits of the user that sent last have no room for a message: one like
 * the message that was refused, or the shortest one. The caller drops the reference in
 * *@former without the lock.
 */
static bool lacks_room(struct handle *handle, struct mbx_user **former)
{
	struct mbx_sender *sender;
	unsigned int cost, nfds;

	sender = rcu_dereference_protected(handle->outlet.sender,
					   lockdep_is_held(&handle->outlet.lock));
	if (!sender)
		return false;
	/* Pair with the WRITE_ONCE() of sends. */
	cost = READ_ONCE(sender->refused);
	nfds = READ_ONCE(sender->refused_fds);
	if (!cost && !nfds && (!sender->stake || mbx_drops(handle->outlet.to)))
		return false;
	if (!cost)
		cost = mbx_message_cost(0, false);
	if (!has_room(handle, sender, cost, nfds)) {
		*former = mbx_want_room(&handle->polling->want, sender->user);
		if (!has_room(handle, sender, cost, nfds))
			return true;
	}
	/* mbx_want_room() stays in effect: other pollers may wait with this handle. */
	WRITE_ONCE(sender->refused, 0);
	WRITE_ONCE(sender->refused_fds, 0);
	return false;
}

/* The ends of calls that were started with a handle. */
static __poll_t poll_started(struct handle *handle)
{
	/* Pairs with the release in mbx_handle_started(). */
	struct mbx_started *started = smp_load_acquire(&handle->started);

	if (likely(!started) || !mbx_started_ready(handle->outlet.to, started))
		return 0;
	return EPOLLPRI;
}

/* mbx_poll() of a handle that may send. */
static __poll_t poll_to_send(struct handle *handle, struct mbx_poller *poller,
			     struct file *file, fmode_t mode, poll_table *wait)
{
	struct mbx_user *former = NULL;
	__poll_t events;
	bool lacks;

	events = mbx_poll(handle->outlet.to, &handle->reader, &handle->tokens.leases,
			  poller, file, mode, wait);
	events |= poll_started(handle);
	if (!(events & poll_requested_events(wait) & MBX_POLL_OUT))
		return events;
	if (mbx_poll_refused(&handle->outlet))
		return events & ~MBX_POLL_OUT;
	spin_lock(&handle->outlet.lock);
	lacks = lacks_room(handle, &former);
	spin_unlock(&handle->outlet.lock);
	if (former)
		mbx_user_put(former);
	if (lacks && !mbx_is_exempt(handle->outlet.privileged))
		events &= ~MBX_POLL_OUT;
	return events;
}

static __poll_t handle_poll(struct file *file, poll_table *wait)
{
	struct handle *handle = file->private_data;
	struct mbx_poller *poller = &mbx_start_polling(handle)->pollers[0];

	if (file->f_mode & FMODE_WRITE)
		return poll_to_send(handle, poller, file, file->f_mode, wait);
	return mbx_poll(handle->mb, &handle->reader, &handle->tokens.leases, poller,
			file, file->f_mode, wait);
}

static __poll_t ring_poll(struct file *file, poll_table *wait)
{
	struct handle *handle = file->private_data;

	return mbx_ring_poll(handle->mb, &mbx_start_polling(handle)->pollers[0],
			     file, wait, handle->rights);
}

static __poll_t direct_poll(struct file *file, poll_table *wait)
{
	struct handle *handle = file->private_data;
	struct mbx_poller *pollers;
	__poll_t events = 0;

	/* No call of this process would wait. */
	if (!mbx_file_is_mine(file))
		return EPOLLERR;
	pollers = mbx_start_polling(handle)->pollers;
	if (file->f_mode & FMODE_READ)
		events |= mbx_poll(handle->mb, &handle->reader, &handle->tokens.leases,
				   &pollers[0], file, FMODE_READ, wait);
	if (file->f_mode & FMODE_WRITE)
		events |= poll_to_send(handle, &pollers[1], file, FMODE_WRITE,
				       wait);
	return events;
}

/* ---- SIGIO ------------------------------------------------------------- */

static int handle_fasync(int fd, struct file *file, int on)
{
	struct handle *handle = file->private_data;

	return mbx_fasync(handle->mb, fd, file, on, handle->rights);
}

/* Messages come from one mailbox; room is in the other one. */
static int direct_fasync(int fd, struct file *file, int on)
{
	struct handle *handle = file->private_data;
	unsigned int recv = handle->rights & MBX_MAY_RECV;
	unsigned int send = handle->rights & MBX_MAY_SEND;
	int ret = 0;

	if (on && !mbx_file_is_mine(file))
		return -EPERM;
	if (recv)
		ret = mbx_fasync(handle->mb, fd, file, on, recv);
	if (ret < 0 || !send)
		return ret;
	ret = mbx_fasync(handle->outlet.to, fd, file, on, send);
	/* The second call can fail only when @on is set: undo the first one. */
	if (ret < 0 && recv)
		mbx_fasync(handle->mb, -1, file, false, recv);
	return ret;
}

/* ---- map --------------------------------------------------------------- */

static int ring_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct handle *handle = file->private_data;

	return mbx_ring_mmap(handle->mb, vma, handle->rights);
}

/* ---- fdinfo ------------------------------------------------------------ */

/* The number is that of the pid namespace of the procfs mount, as for a pidfd. */
static void show_peer(struct seq_file *m, const struct mbx_endpoint *endpoint)
{
	struct super_block *sb = file_inode(m->file)->i_sb;

	seq_printf(m, "mbox-peer:\t%d\n",
		   mbx_direct_peer(endpoint, proc_pid_ns(sb)));
}

/* The position of a handle that reads broadcasts. */
static void show_reader(struct seq_file *m, struct handle *handle)
{
	struct mailbox *mb = handle->mb;
	u64 number, unread, lost;
	const char *policy;
	bool expelled;

	spin_lock(&mb->lock);
	number = handle->reader.number;
	policy = mbx_reader_policy(mb, &handle->reader);
	expelled = mbx_reader_expelled(&handle->reader);
	unread = mbx_reader_unread(mb, &handle->reader);
	lost = mbx_reader_lost(mb, &handle->reader);
	spin_unlock(&mb->lock);
	seq_printf(m, "mbox-reader:\t%llu\n", number);
	if (expelled)
		seq_puts(m, "mbox-expelled:\tyes\n");
	seq_printf(m, "mbox-unread:\t%llu\n", unread);
	seq_printf(m, "mbox-lost:\t%llu\n", lost);
	seq_printf(m, "mbox-reader-policy:\t%s\n", policy);
}

/* The calls that were started with a handle: how many wait, how many have ended. */
static void show_started(struct seq_file *m, const struct handle *handle)
{
	/* Pairs with the release in mbx_handle_started(). */
	struct mbx_started *started = smp_load_acquire(&handle->started);
	struct mailbox *mb = handle->outlet.to;
	u32 count, unread, waiting;

	if (!started)
		return;
	spin_lock(&mb->lock);
	count = started->count;
	unread = started->unread;
	waiting = started->waiting;
	spin_unlock(&mb->lock);
	seq_printf(m, "mbox-calls:\t%u\n", count);
	seq_printf(m, "mbox-calls-ended:\t%u\n", unread);
	seq_printf(m, "mbox-calls-waiting:\t%u\n", waiting);
}

/* How many messages later handles get first, how many are copies, and are missing. */
static void show_history(struct seq_file *m, struct mailbox *mb)
{
	struct mbx_history *history = mb->history;
	u64 missing;
	u32 kept;

	spin_lock(&mb->lock);
	kept = history->kept.count;
	missing = history->missing;
	spin_unlock(&mb->lock);
	seq_printf(m, "mbox-history:\t%u %u %llu\n", history->limit, kept, missing);
}

static void show_registration(struct seq_file *m, struct mailbox *mb)
{
	static const char *const kinds[] = {
		[MBOX_NOTIFY_NONE] = "none",
		[MBOX_NOTIFY_SIGNAL] = "signal",
		[MBOX_NOTIFY_EVENTFD] = "eventfd",
	};
	pid_t pid;
	u32 kind = mbx_registration_get(mb, &pid);

	if (kind != MBOX_NOTIFY_OFF)
		seq_printf(m, "mbox-notify:\t%s %d\n", kinds[kind], pid);
}

/* How long messages waited: no place behind the last one that is not zero. */
static void show_waited(struct seq_file *m, const struct mbox_stat *st)
{
	unsigned int i, n = MBOX_WAIT_BUCKETS;

	while (n > 1 && !st->waited[n - 1])
		n--;
	seq_puts(m, "mbox-waited:\t");
	for (i = 0; i < n; i++)
		seq_printf(m, "%s%llu", i ? " " : "", st->waited[i]);
	seq_putc(m, '\n');
}

static void handle_show_fdinfo(struct seq_file *m, struct file *file)
{
	struct handle *handle = file->private_data;
	struct mailbox *mb = handle->mb;
	struct name_snapshot name;
	struct mbox_stat st;
	int ret = mbx_mailbox_stat(mb, &st);

	seq_printf(m, "mbox-id:\t%llu\n", mb->id);
	seq_printf(m, "mbox-ns:\t%u\n", mb->net_ino);
	if (mbx_fs_name(mb, &name)) {
		seq_puts(m, "mbox-name:\t");
		seq_escape_mem(m, name.name.name, name.name.len, MBX_NAME_ESCAPE,
			       MBX_NAME_ESCAPED);
		seq_putc(m, '\n');
		release_dentry_name_snapshot(&name);
	}
	if (handle->endpoint)
		show_peer(m, handle->endpoint);
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
	seq_printf(m, "mbox-highest:\t%u\n", st.highest);
	seq_printf(m, "mbox-oldest-ns:\t%llu\n", st.oldest_ns);
	show_waited(m, &st);
	seq_printf(m, "mbox-expired:\t%llu\n", st.expired);
	seq_printf(m, "mbox-requests:\t%u\n",
		   mbx_tokens_count(mb, &handle->tokens));
	seq_printf(m, "mbox-leased:\t%u\n", st.leased);
	seq_printf(m, "mbox-leases:\t%u\n", mbx_leases_count(mb, &handle->tokens.leases));
	seq_printf(m, "mbox-redelivered:\t%llu\n", st.redelivered);
	seq_printf(m, "mbox-dead-letters:\t%llu\n", st.dead_letters);
	show_started(m, handle);
	if (mb->flags & MBOX_BROADCAST && handle->rights & MBX_MAY_RECV)
		show_reader(m, handle);
	if (mb->history)
		show_history(m, mb);
	if (READ_ONCE(mb->max_bytes))
		seq_printf(m, "mbox-max-bytes:\t%llu\n", READ_ONCE(mb->max_bytes));
	show_registration(m, mb);
}

/* ---- operations -------------------------------------------------------- */

static int handle_open(struct inode *inode, struct file *file)
{
	struct mailbox *mb = mbx_mailbox_of(inode);

	/* Only mbx_direct_open() knows who may, and what to count. */
	return mb->direct ? -ENXIO : mbx_handle_open(mb, file);
}

static int handle_flush(struct file *file, fl_owner_t id)
{
	struct handle *handle = file->private_data;

	mbx_registration_flush(handle->mb, &handle->reader);
	return 0;
}

static int handle_release(struct inode *inode, struct file *file)
{
	mbx_handle_free(file->private_data);
	return 0;
}

const struct file_operations mbx_handle_fops = {
	.owner = THIS_MODULE,
	.open = handle_open,
	.flush = handle_flush,
	.release = handle_release,
	.read = handle_read,
	.write = handle_write,
	.read_iter = handle_read_iter,
	.write_iter = handle_write_iter,
	.poll = handle_poll,
	.fasync = handle_fasync,
	.unlocked_ioctl = mbx_handle_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.show_fdinfo = handle_show_fdinfo,
};

const struct file_operations mbx_direct_fops = {
	.owner = THIS_MODULE,
	.flush = handle_flush,
	.release = handle_release,
	.read = direct_read,
	.write = direct_write,
	.read_iter = direct_read_iter,
	.write_iter = direct_write_iter,
	.poll = direct_poll,
	.fasync = direct_fasync,
	.unlocked_ioctl = mbx_direct_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.show_fdinfo = handle_show_fdinfo,
};

const struct file_operations mbx_ring_fops = {
	.owner = THIS_MODULE,
	.open = handle_open,
	.release = handle_release,
	.read_iter = ring_read_iter,
	.write_iter = ring_write_iter,
	.poll = ring_poll,
	.fasync = handle_fasync,
	.mmap = ring_mmap,
	.unlocked_ioctl = mbx_ring_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.show_fdinfo = handle_show_fdinfo,
};
