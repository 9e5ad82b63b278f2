// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ioctls of handles, for queues, direct links and rings. A handler checks the
 * structure and the rights of the handle, and then calls the file that implements the
 * operation. Nothing here takes a lock.
 */
#include <linux/err.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <linux/uaccess.h>

#include "ack.h"
#include "handle.h"
#include "handle_ioctl.h"
#include "inherit.h"
#include "ioctl.h"
#include "lifespan.h"
#include "notify.h"
#include "recv.h"
#include "ring.h"
#include "send.h"

/* The numbers of the ioctls of handles. */
#define FIRST_NR 0x10
#define N_IOCTLS 22
/* Largest size of the caller's struct mbox_msg in a batch. */
#define VEC_MSG_SIZE_MAX 4096

/* Flags that do not matter to a call that need not wait. */
#define SIMPLE_FLAGS (MBOX_DONTWAIT | MBOX_REALTIME | MBOX_NORESTART)

/*
 * Whether a message with no more than some flags has nothing, and asks for nothing, that
 * takes longer than to store it, or to take the first one.
 */
static bool is_simple(const struct mbox_msg *m, u32 flags, bool send)
{
	if (m->flags & ~flags || m->skip || m->nfds || m->fds || m->reserved)
		return false;
	return !send || (m->prio <= MBOX_PRIO_MAX && !m->token && !m->lifespan_ns);
}

/* ---- send --------------------------------------------------------------- */

/* A message has a number of descriptors and an address, or neither. */
static bool fds_valid(const struct mbox_msg *m)
{
	return m->nfds <= MBOX_FDS_MAX && !m->nfds == !m->fds;
}

/* What a call returns that has to begin again unless a signal handler runs. */
static int interrupted(const struct mbox_msg *m)
{
	return m->flags & MBOX_NORESTART ? -ERESTARTNOHAND : -ERESTARTSYS;
}

static int send_msg(struct file *file, const struct mbox_msg *m)
{
	struct mbx_send_args args = {
		.from = { .user = u64_to_user_ptr(m->buf), .len = m->len },
		.type = m->type,
		.prio = m->prio,
		.fds = u64_to_user_ptr(m->fds),
		.nfds = m->nfds,
		.lifespan_end = mbx_lifespan_from_now(m->lifespan_ns),
	};
	struct mbx_wait_opts opts;
	int ret;

	if (unlikely(m->flags & ~MBX_SEND_FLAGS || m->prio > MBOX_PRIO_MAX ||
		     m->skip || m->token || m->reserved || !fds_valid(m)))
		return -EINVAL;
	if (unlikely(!(file->f_mode & FMODE_WRITE)))
		return -EBADF;
	/*
	 * With several receivers, no single receipt can end the call. And broadcasts have
	 * consecutive numbers, so that only the first can leave.
	 */
	if (unlikely((m->flags & MBOX_SYNC || m->lifespan_ns) &&
		     mbx_file_mailbox(file)->flags & MBOX_BROADCAST))
		return -EOPNOTSUPP;
	mbx_wait_opts_init(&opts, m->flags, m->deadline_ns, mbx_nonblock(file));
	ret = mbx_handle_send(file->private_data, &args, &opts);
	if (likely(ret != -ERESTARTSYS))
		return ret;
	/* If the call began again, so would the lifespan. */
	return m->lifespan_ns ? -EINTR : interrupted(m);
}

static long ioctl_send(struct file *file, union mbx_arg *arg,
		       void __user *uarg, size_t usize)
{
	struct handle *handle = file->private_data;
	int ret;

	if (likely(is_simple(&arg->msg, SIMPLE_FLAGS, true) && file->f_mode & FMODE_WRITE)) {
		ret = mbx_send_at_once(&handle->outlet, &arg->msg);
		if (likely(ret != MBX_OTHERWISE))
			return ret;
	}
	return send_msg(file, &arg->msg);
}

/* ---- receive ------------------------------------------------------------ */

static bool recv_flags_valid(const struct mbox_msg *m)
{
	const u32 special = MBOX_MATCH_NOT | MBOX_MATCH_LE;

	if (m->flags & ~MBX_RECV_FLAGS || (m->flags & special) == special)
		return false;
	if (!m->skip)
		return true;
	/* MBOX_MATCH_LE gives no order in which messages could be skipped. */
	return m->flags & MBOX_PEEK && !(m->flags & MBOX_MATCH_LE);
}

/* MBOX_LONGEST: whether the buffer is too short for some message, if not for the next one. */
static bool is_short(struct file *file, const struct mbox_msg *m)
{
	return unlikely(m->flags & MBOX_LONGEST && m->len < mbx_file_mailbox(file)->msg_max);
}

static int recv_check(struct file *file, const struct mbox_msg *m)
{
	if (unlikely(!recv_flags_valid(m) || m->reserved || !fds_valid(m)))
		return -EINVAL;
	if (unlikely(!(file->f_mode & FMODE_READ)))
		return -EBADF;
	return is_short(file, m) ? -EMSGSIZE : 0;
}

/* Receive one message, of a batch or alone. recv_check() has passed. */
static ssize_t recv_msg(struct file *file, struct mbox_msg *m,
			struct mbox_msg __user *umsg, size_t usize, bool batch)
{
	struct handle *handle = file->private_data;
	struct mbx_match match = {
		.type = m->type,
		.flags = m->flags,
		.skip = m->skip,
	};
	struct mbx_recv_args args = {
		.to = { .user = u64_to_user_ptr(m->buf), .len = m->len },
		.umsg = umsg,
		.kmsg = m,
		.usize = usize,
		.tokens = &handle->tokens,
		.fds = u64_to_user_ptr(m->fds),
		.nfds = m->nfds,
		.batch = batch,
	};
	struct mbx_wait_opts opts;
	ssize_t ret;

	if (unlikely(handle->mb->flags & MBOX_INHERIT && mbx_reply_tokens(&args))) {
		args.pi_task = mbx_pi_task_get();
		if (IS_ERR(args.pi_task))
			return PTR_ERR(args.pi_task);
	}
	mbx_wait_opts_init(&opts, m->flags, m->deadline_ns, mbx_nonblock(file));
	ret = mbx_handle_recv(handle, &args, &match, &opts);
	if (unlikely(args.pi_task))
		mbx_pi_task_put(args.pi_task);
	return likely(ret != -ERESTARTSYS) ? ret : interrupted(m);
}

static long ioctl_recv(struct file *file, union mbx_arg *arg,
		       void __user *uarg, size_t usize)
{
	const struct mbx_recv_args args = { .umsg = uarg, .kmsg = &arg->msg, .usize = usize };
	const struct handle *handle = file->private_data;
	ssize_t ret;

	/* With nothing that recv_check() would find. */
	if (likely(is_simple(&arg->msg, SIMPLE_FLAGS | MBOX_LONGEST, false) &&
		   file->f_mode & FMODE_READ && !is_short(file, &arg->msg))) {
		ret = mbx_recv_at_once(handle->mb, &args);
		if (likely(ret != MBX_OTHERWISE))
			return ret;
	}
	ret = recv_check(file, &arg->msg);
	return ret ?: recv_msg(file, &arg->msg, uarg, usize, false);
}

/* ---- batches ------------------------------------------------------------ */

/* Send or receive one message of a batch. Return what that call returns. */
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
	return ret ? ret : recv_msg(file, &m, umsg, vec->msg_size, true);
}

/*
 * Send or receive some messages of a batch together, and return how many, or an error of
 * the first. The next one is up to batch_one().
 */
static int batch_some(struct file *file, const struct mbox_vec *vec, u32 flags,
		      unsigned int i, unsigned int n, bool send)
{
	void __user *umsgs = u64_to_user_ptr(vec->msgs) + (size_t)i * vec->msg_size;
	struct handle *handle = file->private_data;
	struct mbox_msg msgs[MBX_SOME];
	unsigned long left;

	n = min_t(unsigned int, n, MBX_SOME);
	/* The memory of older and newer programs is up to batch_one(). */
	if (n < 2 || vec->msg_size != sizeof(msgs[0]))
		return 0;
	/* Most often of constant length: see user_copy.h. */
	if (n == MBX_SOME)
		left = copy_from_user(msgs, umsgs, sizeof(msgs));
	else
		left = copy_from_user(msgs, umsgs, n * sizeof(msgs[0]));
	if (left)
		return 0;
	for (i = 0; i < n; i++) {
		msgs[i].flags |= flags;
		if (!is_simple(&msgs[i], SIMPLE_FLAGS, send))
			break;
	}
	if (send)
		return mbx_send_some(&handle->outlet, msgs, i);
	return mbx_recv_some(handle->mb, vec->msg_size, msgs, umsgs, i);
}

static long batch(struct file *file, const struct mbox_vec *vec, bool send)
{
	u32 flags = vec->flags & ~MBOX_WAITFORONE;
	unsigned int i, n = min_t(u32, vec->n, MBOX_BATCH_MAX);
	ssize_t ret;
	int done;

	if (vec->reserved || vec->msg_size < MBOX_MSG_SIZE_MIN ||
	    vec->msg_size > VEC_MSG_SIZE_MAX)
		return -EINVAL;
	if (vec->flags & ~(send ? MBX_SEND_FLAGS : MBX_RECV_FLAGS | MBOX_WAITFORONE))
		return -EINVAL;
	if (!(file->f_mode & (send ? FMODE_WRITE : FMODE_READ)))
		return -EBADF;

	for (i = 0; i < n; i += done) {
		done = batch_some(file, vec, flags, i, n - i, send);
		if (done < 0)
			return i ? i : done;
		if (!done) {
			ret = batch_one(file, vec, flags, i, send);
			if (ret < 0)
				return i ? i : ret;
			done = 1;
		}
		if (vec->flags & MBOX_WAITFORONE)
			flags |= MBOX_DONTWAIT;
		cond_resched();
	}
	return n;
}

static long ioctl_sendv(struct file *file, union mbx_arg *arg,
			void __user *uarg, size_t usize)
{
	return batch(file, &arg->vec, true);
}

static long ioctl_recvv(struct file *file, union mbx_arg *arg,
			void __user *uarg, size_t usize)
{
	return batch(file, &arg->vec, false);
}

/* ---- call and reply ----------------------------------------------------- */

static long ioctl_call(struct file *file, union mbx_arg *arg,
		       void __user *uarg, size_t usize)
{
	const struct mbox_request *r = &arg->request;
	struct handle *handle = file->private_data;
	struct mbx_buffer to = {
		.user = u64_to_user_ptr(r->rep),
		.len = r->rep_len,
	};
	struct mbx_send_args args = {
		.from = { .user = u64_to_user_ptr(r->buf), .len = r->len },
		.type = r->type,
		.prio = r->prio,
	};
	struct mbox_request __user *ur = uarg;
	struct mbx_resume resume = {
		.parked = &handle->parked,
		.number = r->ticket,
	};
	struct mbx_wait_opts opts;

	if (r->flags & ~MBOX_REALTIME || r->prio > MBOX_PRIO_MAX)
		return -EINVAL;
	if (!(file->f_mode & FMODE_WRITE))
		return -EBADF;
	/* With several receivers, no single server could reply. */
	if (handle->mb->flags & MBOX_BROADCAST)
		return -EOPNOTSUPP;
	mbx_wait_opts_init(&opts, r->flags, r->deadline_ns, mbx_nonblock(file));
	if (usize >= offsetofend(struct mbox_request, ticket))
		resume.unumber = &ur->ticket;
	return mbx_call(&handle->outlet, &args, &to, &opts, &resume);
}

/* ---- calls that do not wait, and calls with descriptors ------------------- */

/* Copy in one of the two messages of a call. */
static int copy_msg(struct mbox_msg *m, const struct mbox_msg __user *umsg, u32 size, u32 flags)
{
	int ret;

	if (size < MBOX_MSG_SIZE_MIN || size > VEC_MSG_SIZE_MAX)
		return -EINVAL;
	ret = copy_struct_from_user(m, sizeof(*m), umsg, size);
	if (ret)
		return ret;
	return m->flags & ~flags || !fds_valid(m) ? -EINVAL : 0;
}

/* Copy in a request. @flags are those that it may have. */
static int request_of(struct file *file, u64 address, u32 size, u32 flags,
		      struct mbx_send_args *args, struct mbx_wait_opts *opts)
{
	struct mbox_msg m;
	int ret = copy_msg(&m, u64_to_user_ptr(address), size, flags);

	if (ret)
		return ret;
	if (m.prio > MBOX_PRIO_MAX || m.skip || m.token || m.reserved)
		return -EINVAL;
	if (!(file->f_mode & FMODE_WRITE))
		return -EBADF;
	/*
	 * With several receivers, no single server could reply. And a call has a deadline,
	 * until which its request is worth anything.
	 */
	if (mbx_file_mailbox(file)->flags & MBOX_BROADCAST || m.lifespan_ns)
		return -EOPNOTSUPP;
	*args = (struct mbx_send_args){
		.from = { .user = u64_to_user_ptr(m.buf), .len = m.len },
		.type = m.type,
		.prio = m.prio,
		.fds = u64_to_user_ptr(m.fds),
		.nfds = m.nfds,
	};
	mbx_wait_opts_init(opts, m.flags, m.deadline_ns, mbx_nonblock(file));
	return 0;
}

/* Copy in the structure for a reply. @flags are those that it may have. */
static int reply_args_of(u64 address, u32 size, u32 flags, struct mbx_reply_args *args,
			 struct mbox_msg *m)
{
	int ret = copy_msg(m, u64_to_user_ptr(address), size, flags);

	if (ret)
		return ret;
	*args = (struct mbx_reply_args){
		.to = { .user = u64_to_user_ptr(m->buf), .len = m->len },
		.umsg = u64_to_user_ptr(address),
		.kmsg = m,
		.usize = size,
	};
	return 0;
}

static long ioctl_call_start(struct file *file, union mbx_arg *arg,
			     void __user *uarg, size_t usize)
{
	const struct mbox_call_start *r = &arg->call_start;
	struct mbox_call_start __user *ur = uarg;
	struct handle *handle = file->private_data;
	struct mbx_started *started;
	struct mbx_send_args args;
	struct mbx_wait_opts opts;
	int ret;

	ret = request_of(file, r->req, r->msg_size, MBOX_DONTWAIT | MBOX_REALTIME, &args, &opts);
	if (ret)
		return ret;
	started = mbx_handle_started(handle);
	if (!started)
		return -ENOMEM;
	return mbx_call_start(&handle->outlet, started, &args, r->rep_max, &opts, &ur->token,
			      r->token);
}

static long ioctl_call_wait(struct file *file, union mbx_arg *arg,
			    void __user *uarg, size_t usize)
{
	const struct mbox_call_wait *r = &arg->call_wait;
	struct mbox_call_wait __user *ur = uarg;
	struct handle *handle = file->private_data;
	struct mbx_collect_args args = {
		.token = r->token,
		.utoken = &ur->token,
		.uended = &ur->ended,
	};
	struct mbx_started *started;
	struct mbx_wait_opts opts;
	struct mbox_msg m;
	int ret;

	if (r->ended)
		return -EINVAL;
	ret = reply_args_of(r->rep, r->msg_size, MBOX_DONTWAIT | MBOX_REALTIME | MBOX_TRUNC,
			    &args.reply, &m);
	if (ret)
		return ret;
	if (!(file->f_mode & FMODE_WRITE))
		return -EBADF;
	if (mbx_file_mailbox(file)->flags & MBOX_BROADCAST)
		return -EOPNOTSUPP;
	started = mbx_handle_started(handle);
	if (!started)
		return -ENOMEM;
	mbx_wait_opts_init(&opts, m.flags, r->deadline_ns, mbx_nonblock(file));
	return mbx_call_wait(handle->outlet.to, started, &args, &opts);
}

static long ioctl_call_cancel(struct file *file, union mbx_arg *arg,
			      void __user *uarg, size_t usize)
{
	struct handle *handle = file->private_data;
	struct mbx_started *started;

	if (!(file->f_mode & FMODE_WRITE))
		return -EBADF;
	if (mbx_file_mailbox(file)->flags & MBOX_BROADCAST)
		return -EOPNOTSUPP;
	started = mbx_handle_started(handle);
	if (!started)
		return -ENOMEM;
	return mbx_call_cancel(handle->outlet.to, started, arg->call_cancel.token);
}

static long ioctl_callmsg(struct file *file, union mbx_arg *arg,
			  void __user *uarg, size_t usize)
{
	const struct mbox_callmsg *r = &arg->callmsg;
	struct mbox_callmsg __user *ur = uarg;
	struct handle *handle = file->private_data;
	const struct mbx_resume resume = {
		.parked = &handle->parked,
		.unumber = &ur->ticket,
		.number = r->ticket,
	};
	struct mbx_reply_args reply;
	struct mbx_send_args args;
	struct mbx_wait_opts opts;
	struct mbox_msg m;
	int ret;

	if (r->reserved)
		return -EINVAL;
	ret = request_of(file, r->req, r->msg_size, MBOX_DONTWAIT | MBOX_REALTIME, &args, &opts);
	if (!ret)
		ret = reply_args_of(r->rep, r->msg_size, 0, &reply, &m);
	if (ret)
		return ret;
	/* O_NONBLOCK is for the reply, too. */
	if (mbx_nonblock(file))
		opts.flags &= ~MBOX_DONTWAIT;
	return mbx_callmsg(&handle->outlet, &args, &reply, &opts, &resume);
}

static long ioctl_replymsg(struct file *file, union mbx_arg *arg,
			   void __user *uarg, size_t usize)
{
	const struct mbox_replymsg *r = &arg->replymsg;
	struct handle *handle = file->private_data;
	struct mbx_buffer from = {
		.user = u64_to_user_ptr(r->buf),
		.len = r->len,
	};

	if (r->nfds > MBOX_FDS_MAX || !r->nfds != !r->fds)
		return -EINVAL;
	if (!(file->f_mode & FMODE_READ))
		return -EBADF;
	return mbx_replymsg(handle->mb, &handle->tokens, r->token, &from,
			    u64_to_user_ptr(r->fds), r->nfds);
}

/* ---- replies --------------------------------------------------------------- */

static int reply_with(struct file *file, const struct mbox_reply *r)
{
	struct handle *handle = file->private_data;
	struct mbx_buffer from = {
		.user = u64_to_user_ptr(r->buf),
		.len = r->len,
	};

	/* Such a handle has received no request. */
	if (unlikely(!(file->f_mode & FMODE_READ)))
		return -EBADF;
	return mbx_reply(handle->mb, &handle->tokens, r->token, &from);
}

static long ioctl_reply(struct file *file, union mbx_arg *arg,
			void __user *uarg, size_t usize)
{
	return arg->reply.reserved ? -EINVAL : reply_with(file, &arg->reply);
}

static long ioctl_reply_recv(struct file *file, union mbx_arg *arg,
			     void __user *uarg, size_t usize)
{
	const struct mbox_reply_recv *r = &arg->reply_recv;
	struct mbox_msg __user *next = u64_to_user_ptr(r->next);
	struct mbox_reply_recv __user *ur = uarg;
	struct mbx_pi_task *pi_task = NULL;
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
	if (mbx_file_mailbox(file)->flags & MBOX_INHERIT) {
		pi_task = mbx_pi_task_get();
		if (IS_ERR(pi_task))
			return PTR_ERR(pi_task);
	}
	if (r->reply.token) {
		ret = reply_with(file, &r->reply);
		replied = !ret;
	}
	if (!ret)
		ret = recv_msg(file, &m, next, r->next_size, false);
	if (pi_task)
		mbx_pi_task_put(pi_task);
	/* A restarted call must not reply again. */
	if (ret < 0 && replied && put_user(0, &ur->reply.token) &&
	    (ret == -ERESTARTSYS || ret == -ERESTARTNOHAND))
		return -EINTR;
	return ret;
}

/* ---- leases -------------------------------------------------------------- */

static int lease_check(const struct file *file)
{
	const struct handle *handle = file->private_data;

	if (!(file->f_mode & FMODE_READ))
		return -EBADF;
	/* A broadcast is for all receivers, so none has it alone. */
	return handle->mb->flags & MBOX_BROADCAST ? -EOPNOTSUPP : 0;
}

static long ioctl_ack(struct file *file, union mbx_arg *arg,
		      void __user *uarg, size_t usize)
{
	struct handle *handle = file->private_data;
	int ret;

	if (arg->lease.delay_ns || arg->lease.flags || arg->lease.reserved)
		return -EINVAL;
	ret = lease_check(file);
	return ret ?: mbx_ack(handle->mb, &handle->tokens.leases, arg->lease.token);
}

static long ioctl_nack(struct file *file, union mbx_arg *arg,
		       void __user *uarg, size_t usize)
{
	const struct mbox_lease *lease = &arg->lease;
	struct handle *handle = file->private_data;
	int ret;

	if (lease->flags & ~MBOX_NACK_UNCOUNTED || lease->reserved)
		return -EINVAL;
	ret = lease_check(file);
	if (ret)
		return ret;
	return mbx_nack(handle->mb, &handle->tokens.leases, lease->token, lease->delay_ns,
			lease->flags & MBOX_NACK_UNCOUNTED);
}

/* ---- the mailbox itself ------------------------------------------------- */

static long ioctl_stat(struct file *file, union mbx_arg *arg,
		       void __user *uarg, size_t usize)
{
	int ret = mbx_mailbox_stat(mbx_file_mailbox(file), &arg->stat);

	if (ret)
		return ret;
	return mbx_ioctl_respond(uarg, usize, &arg->stat, sizeof(arg->stat));
}

static long ioctl_set_capacity(struct file *file, union mbx_arg *arg,
			       void __user *uarg, size_t usize)
{
	struct handle *handle = file->private_data;
	u32 capacity = arg->set_capacity.capacity;
	u64 max_bytes = arg->set_capacity.max_bytes;
	int ret;

	if (arg->set_capacity.reserved)
		return -EINVAL;
	if (handle->endpoint && max_bytes)
		return -EOPNOTSUPP;
	if (handle->endpoint)
		return mbx_direct_set_capacity(handle->endpoint, capacity);
	/* As of the mode: fchmod(2) through a handle of a read-only mount is EROFS. */
	ret = mnt_want_write_file(file);
	if (ret)
		return ret;
	ret = mbx_mailbox_set_capacity(handle->mb, capacity, max_bytes);
	mnt_drop_write_file(file);
	return ret;
}

static long ioctl_expel(struct file *file, union mbx_arg *arg,
			void __user *uarg, size_t usize)
{
	struct mbox_expel *expel = &arg->expel;
	bool changes = !(expel->flags & MBOX_EXPEL_LOOK);
	int ret;

	if (expel->flags & ~MBOX_EXPEL_LOOK || expel->reserved)
		return -EINVAL;
	/* Before anything changes: afterwards, a fault could not undo that. */
	if (mbx_ioctl_respond(uarg, usize, expel, sizeof(*expel)))
		return -EFAULT;
	/* As for the capacity. */
	ret = changes ? mnt_want_write_file(file) : 0;
	if (ret)
		return ret;
	ret = mbx_mailbox_expel(mbx_file_mailbox(file), expel);
	if (changes)
		mnt_drop_write_file(file);
	if (ret)
		return ret;
	/* If the address is no longer mapped, nothing can read it either. */
	mbx_ioctl_respond(uarg, usize, expel, sizeof(*expel));
	return 0;
}

static long ioctl_set_reader(struct file *file, union mbx_arg *arg,
			     void __user *uarg, size_t usize)
{
	const struct mbox_set_reader *r = &arg->set_reader;
	struct handle *handle = file->private_data;

	if (r->policy > MBOX_READER_DROP || r->reserved)
		return -EINVAL;
	if (!(handle->rights & MBX_MAY_RECV))
		return -EBADF;
	return mbx_mailbox_set_reader(handle->mb, &handle->reader, r->policy);
}

static long ioctl_destroy(struct file *file, union mbx_arg *arg,
			  void __user *uarg, size_t usize)
{
	struct handle *handle = file->private_data;
	int ret;

	if (handle->rights != (MBX_MAY_RECV | MBX_MAY_SEND))
		return -EBADF;
	if (handle->endpoint)
		return mbx_direct_destroy(handle->endpoint);
	/* It was opened before the mount became read-only. */
	ret = mnt_want_write_file(file);
	if (ret)
		return ret;
	ret = mbx_mailbox_destroy(handle->mb);
	mnt_drop_write_file(file);
	return ret;
}

static long ioctl_notify(struct file *file, union mbx_arg *arg,
			 void __user *uarg, size_t usize)
{
	struct handle *handle = file->private_data;

	if (!(handle->rights & MBX_MAY_RECV))
		return -EBADF;
	return mbx_mailbox_notify(handle->mb, &handle->reader, &arg->notify);
}

/* ---- rings --------------------------------------------------------------- */

/* An ioctl that the mode of the mailbox does not support. */
static long ioctl_unsupported(struct file *file, union mbx_arg *arg,
			      void __user *uarg, size_t usize)
{
	return -EOPNOTSUPP;
}

static long ioctl_ring_wait(struct file *file, union mbx_arg *arg,
			    void __user *uarg, size_t usize)
{
	const struct mbox_ring_wait *wait = &arg->ring_wait;
	struct handle *handle = file->private_data;
	bool send = wait->side == MBOX_RING_SENDERS;
	struct mbx_wait_opts opts;

	if (wait->side > MBOX_RING_SENDERS ||
	    wait->flags & ~(MBOX_DONTWAIT | MBOX_REALTIME))
		return -EINVAL;
	if (!(handle->rights & (send ? MBX_MAY_SEND : MBX_MAY_RECV)))
		return -EBADF;
	mbx_wait_opts_init(&opts, wait->flags, wait->deadline_ns,
			   mbx_nonblock(file));
	return mbx_ring_wait(handle->mb, wait->side, &opts);
}

static long ioctl_ring_wake(struct file *file, union mbx_arg *arg,
			    void __user *uarg, size_t usize)
{
	const struct mbox_ring_wake *wake = &arg->ring_wake;

	if (wake->side > MBOX_RING_SENDERS)
		return -EINVAL;
	return mbx_ring_wake(mbx_file_mailbox(file), wake->side, wake->n);
}

/* ---- tables -------------------------------------------------------------- */

#define IOCTL(number, handler, type, last) \
	MBX_IOCTL(FIRST_NR, number, handler, struct type, last)

static const struct mbx_ioctl handle_ioctls[N_IOCTLS] = {
	IOCTL(MBOX_IOC_SEND, ioctl_send, mbox_msg, flags),
	IOCTL(MBOX_IOC_RECV, ioctl_recv, mbox_msg, flags),
	IOCTL(MBOX_IOC_SENDV, ioctl_sendv, mbox_vec, reserved),
	IOCTL(MBOX_IOC_RECVV, ioctl_recvv, mbox_vec, reserved),
	IOCTL(MBOX_IOC_STAT, ioctl_stat, mbox_stat, id),
	IOCTL(MBOX_IOC_SET_CAPACITY, ioctl_set_capacity, mbox_set_capacity,
	      reserved),
	MBX_IOCTL_PLAIN(FIRST_NR, MBOX_IOC_DESTROY, ioctl_destroy),
	IOCTL(MBOX_IOC_RING_WAIT, ioctl_unsupported, mbox_ring_wait,
	      deadline_ns),
	IOCTL(MBOX_IOC_RING_WAKE, ioctl_unsupported, mbox_ring_wake, n),
	IOCTL(MBOX_IOC_CALL, ioctl_call, mbox_request, deadline_ns),
	IOCTL(MBOX_IOC_REPLY, ioctl_reply, mbox_reply, reserved),
	IOCTL(MBOX_IOC_REPLY_RECV, ioctl_reply_recv, mbox_reply_recv, reserved),
	IOCTL(MBOX_IOC_NOTIFY, ioctl_notify, mbox_notify, reserved),
	IOCTL(MBOX_IOC_ACK, ioctl_ack, mbox_lease, delay_ns),
	IOCTL(MBOX_IOC_NACK, ioctl_nack, mbox_lease, delay_ns),
	IOCTL(MBOX_IOC_CALL_START, ioctl_call_start, mbox_call_start, token),
	IOCTL(MBOX_IOC_CALL_WAIT, ioctl_call_wait, mbox_call_wait, ended),
	IOCTL(MBOX_IOC_CALL_CANCEL, ioctl_call_cancel, mbox_call_cancel, token),
	IOCTL(MBOX_IOC_CALLMSG, ioctl_callmsg, mbox_callmsg, ticket),
	IOCTL(MBOX_IOC_REPLYMSG, ioctl_replymsg, mbox_replymsg, fds),
	IOCTL(MBOX_IOC_EXPEL, ioctl_expel, mbox_expel, reserved),
	IOCTL(MBOX_IOC_SET_READER, ioctl_set_reader, mbox_set_reader, reserved),
};

static const struct mbx_ioctl ring_ioctls[N_IOCTLS] = {
	IOCTL(MBOX_IOC_SEND, ioctl_unsupported, mbox_msg, flags),
	IOCTL(MBOX_IOC_RECV, ioctl_unsupported, mbox_msg, flags),
	IOCTL(MBOX_IOC_SENDV, ioctl_unsupported, mbox_vec, reserved),
	IOCTL(MBOX_IOC_RECVV, ioctl_unsupported, mbox_vec, reserved),
	IOCTL(MBOX_IOC_STAT, ioctl_stat, mbox_stat, id),
	IOCTL(MBOX_IOC_SET_CAPACITY, ioctl_set_capacity, mbox_set_capacity,
	      reserved),
	MBX_IOCTL_PLAIN(FIRST_NR, MBOX_IOC_DESTROY, ioctl_destroy),
	IOCTL(MBOX_IOC_RING_WAIT, ioctl_ring_wait, mbox_ring_wait, deadline_ns),
	IOCTL(MBOX_IOC_RING_WAKE, ioctl_ring_wake, mbox_ring_wake, n),
	IOCTL(MBOX_IOC_CALL, ioctl_unsupported, mbox_request, deadline_ns),
	IOCTL(MBOX_IOC_REPLY, ioctl_unsupported, mbox_reply, reserved),
	IOCTL(MBOX_IOC_REPLY_RECV, ioctl_unsupported, mbox_reply_recv,
	      reserved),
	IOCTL(MBOX_IOC_NOTIFY, ioctl_unsupported, mbox_notify, reserved),
	IOCTL(MBOX_IOC_ACK, ioctl_unsupported, mbox_lease, delay_ns),
	IOCTL(MBOX_IOC_NACK, ioctl_unsupported, mbox_lease, delay_ns),
	IOCTL(MBOX_IOC_CALL_START, ioctl_unsupported, mbox_call_start, token),
	IOCTL(MBOX_IOC_CALL_WAIT, ioctl_unsupported, mbox_call_wait, ended),
	IOCTL(MBOX_IOC_CALL_CANCEL, ioctl_unsupported, mbox_call_cancel, token),
	IOCTL(MBOX_IOC_CALLMSG, ioctl_unsupported, mbox_callmsg, ticket),
	IOCTL(MBOX_IOC_REPLYMSG, ioctl_unsupported, mbox_replymsg, fds),
	IOCTL(MBOX_IOC_EXPEL, ioctl_unsupported, mbox_expel, reserved),
	IOCTL(MBOX_IOC_SET_READER, ioctl_unsupported, mbox_set_reader, reserved),
};

long mbx_handle_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return mbx_ioctl(file, cmd, arg, handle_ioctls, FIRST_NR, N_IOCTLS);
}

long mbx_ring_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return mbx_ioctl(file, cmd, arg, ring_ioctls, FIRST_NR, N_IOCTLS);
}

long mbx_direct_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	if (_IOC_TYPE(cmd) == MBOX_IOC_MAGIC &&
	    _IOC_NR(cmd) != _IOC_NR(MBOX_IOC_STAT) && !mbx_file_is_mine(file))
		return -EPERM;
	return mbx_handle_ioctl(file, cmd, arg);
}
