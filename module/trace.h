/* SPDX-License-Identifier: GPL-2.0-only */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM mbox

#if !defined(MBOX_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define MBOX_TRACE_H

#include <linux/tracepoint.h>

#include "transaction.h"
#include "mailbox.h"

TRACE_EVENT(mbox_create,
	TP_PROTO(const struct mailbox *mb, const char *name, size_t len),
	TP_ARGS(mb, name, len),
	TP_STRUCT__entry(
		__field(u64, id)
		__field(u32, ns)
		__field(u32, capacity)
		__field(u32, msg_max)
		__field(u32, flags)
		__dynamic_array(char, name,
				mbx_name_escape(name, len, NULL, 0) + 1)
	),
	TP_fast_assign(
		int size;

		__entry->id = mb->id;
		__entry->ns = mb->net_ino;
		/* Another process can already find the mailbox, and change this. */
		__entry->capacity = data_race(mb->capacity);
		__entry->msg_max = mb->msg_max;
		__entry->flags = mb->flags & ~MBX_FLAG_EXT;
		/* Escaped here, so that raw records contain printable text too. */
		size = __get_dynamic_array_len(name);
		mbx_name_escape(name, len, __get_str(name), size);
		__get_str(name)[size - 1] = '\0';
	),
	TP_printk("id=%llu ns=%u capacity=%u msg_max=%u flags=%#x name=%s",
		  __entry->id, __entry->ns, __entry->capacity, __entry->msg_max,
		  __entry->flags, __get_str(name))
);

TRACE_EVENT(mbox_destroy,
	TP_PROTO(const struct mailbox *mb, bool forced),
	TP_ARGS(mb, forced),
	TP_STRUCT__entry(
		__field(u64, id)
		__field(u32, ns)
		__field(u32, queued)
		__field(bool, forced)
	),
	TP_fast_assign(
		__entry->id = mb->id;
		__entry->ns = mb->net_ino;
		__entry->queued = mb->stored.count;
		__entry->forced = forced;
	),
	TP_printk("id=%llu ns=%u queued=%u %s", __entry->id, __entry->ns,
		  __entry->queued, __entry->forced ? "destroyed" : "released")
);

TRACE_EVENT(mbox_expel,
	TP_PROTO(const struct mailbox *mb, u64 reader, u64 unread),
	TP_ARGS(mb, reader, unread),
	TP_STRUCT__entry(
		__field(u64, id)
		__field(u64, reader)
		__field(u64, unread)
		__field(u32, ns)
	),
	TP_fast_assign(
		__entry->id = mb->id;
		__entry->ns = mb->net_ino;
		__entry->reader = reader;
		__entry->unread = unread;
	),
	TP_printk("id=%llu ns=%u reader=%llu unread=%llu", __entry->id, __entry->ns,
		  __entry->reader, __entry->unread)
);

TRACE_EVENT(mbox_attach,
	TP_PROTO(const struct mailbox *mb, unsigned int rights),
	TP_ARGS(mb, rights),
	TP_STRUCT__entry(
		__field(u64, id)
		__field(u32, ns)
		__field(unsigned int, rights)
	),
	TP_fast_assign(
		__entry->id = mb->id;
		__entry->ns = mb->net_ino;
		__entry->rights = rights;
	),
	TP_printk("id=%llu ns=%u rights=%s%s", __entry->id, __entry->ns,
		  __entry->rights & MBX_MAY_RECV ? "r" : "",
		  __entry->rights & MBX_MAY_SEND ? "w" : "")
);

/* A process has opened its end of a direct link. */
TRACE_EVENT(mbox_direct,
	TP_PROTO(const struct mailbox *from, const struct mailbox *to,
		 pid_t pid, pid_t peer),
	TP_ARGS(from, to, pid, peer),
	TP_STRUCT__entry(
		__field(u64, id)
		__field(u32, ns)
		__field(u64, to)
		__field(pid_t, pid)
		__field(pid_t, peer)
	),
	TP_fast_assign(
		__entry->id = from->id;
		__entry->ns = from->net_ino;
		__entry->to = to->id;
		__entry->pid = pid;
		__entry->peer = peer;
	),
	TP_printk("id=%llu ns=%u to=%llu pid=%d peer=%d", __entry->id,
		  __entry->ns, __entry->to, __entry->pid, __entry->peer)
);

DECLARE_EVENT_CLASS(mbox_message_class,
	TP_PROTO(const struct mailbox *mb, const struct mbx_message *msg),
	TP_ARGS(mb, msg),
	TP_STRUCT__entry(
		__field(u64, id)
		__field(u32, ns)
		__field(u64, type)
		__field(u64, arrival)
		__field(u32, len)
		__field(u32, prio)
		__field(u32, queued)
		__field(u32, waited_ms)
	),
	TP_fast_assign(
		u64 then = msg->arrival >> MBX_ARRIVAL_SHIFT, now = mbx_jiffy();

		__entry->waited_ms = now > then ? jiffies64_to_msecs(now - then) : 0;
		__entry->id = mb->id;
		__entry->ns = mb->net_ino;
		__entry->type = msg->type;
		/* For programs: by it, they know a message again. */
		__entry->arrival = msg->arrival;
		__entry->len = msg->len;
		__entry->prio = msg->prio;
		__entry->queued = mb->stored.count;
	),
	TP_printk("id=%llu ns=%u len=%u prio=%u type=%llu queued=%u waited_ms=%u",
		  __entry->id, __entry->ns, __entry->len, __entry->prio,
		  __entry->type, __entry->queued, __entry->waited_ms)
);

/* A message was accepted: stored, or delivered to a waiting receiver. */
DEFINE_EVENT(mbox_message_class, mbox_send,
	TP_PROTO(const struct mailbox *mb, const struct mbx_message *msg),
	TP_ARGS(mb, msg)
);

/* A receiver took a message out of the mailbox. */
DEFINE_EVENT(mbox_message_class, mbox_recv,
	TP_PROTO(const struct mailbox *mb, const struct mbx_message *msg),
	TP_ARGS(mb, msg)
);

/* The overflow policy dropped a message. */
DEFINE_EVENT(mbox_message_class, mbox_drop,
	TP_PROTO(const struct mailbox *mb, const struct mbx_message *msg),
	TP_ARGS(mb, msg)
);

/* A message was dropped because its lifespan ended. */
DEFINE_EVENT(mbox_message_class, mbox_expire,
	TP_PROTO(const struct mailbox *mb, const struct mbx_message *msg),
	TP_ARGS(mb, msg)
);

/* A receiver failed to copy a message, which was put back. */
DEFINE_EVENT(mbox_message_class, mbox_recover,
	TP_PROTO(const struct mailbox *mb, const struct mbx_message *msg),
	TP_ARGS(mb, msg)
);

DECLARE_EVENT_CLASS(mbox_lease_class,
	TP_PROTO(const struct mailbox *mb, const struct mbx_message *msg, u64 token),
	TP_ARGS(mb, msg, token),
	TP_STRUCT__entry(
		__field(u64, id)
		__field(u32, ns)
		__field(u64, token)
		__field(u64, type)
		__field(u32, len)
		__field(u32, prio)
		__field(u32, deliveries)
		__field(u32, leased)
	),
	TP_fast_assign(
		__entry->id = mb->id;
		__entry->ns = mb->net_ino;
		__entry->token = token;
		__entry->type = msg->type;
		__entry->len = msg->len;
		__entry->prio = msg->prio;
		__entry->deliveries = msg->deliveries;
		__entry->leased = mb->held;
	),
	TP_printk("id=%llu ns=%u token=%llu len=%u prio=%u type=%llu deliveries=%u leased=%u",
		  __entry->id, __entry->ns, __entry->token, __entry->len,
		  __entry->prio, __entry->type, __entry->deliveries, __entry->leased)
);

/* A receiver has a message on lease. */
DEFINE_EVENT(mbox_lease_class, mbox_lease,
	TP_PROTO(const struct mailbox *mb, const struct mbx_message *msg, u64 token),
	TP_ARGS(mb, msg, token)
);

/* A message on lease was acknowledged. */
DEFINE_EVENT(mbox_lease_class, mbox_ack,
	TP_PROTO(const struct mailbox *mb, const struct mbx_message *msg, u64 token),
	TP_ARGS(mb, msg, token)
);

/* A lease ended without that: the message comes back, or goes to the dead letters. */
DEFINE_EVENT(mbox_lease_class, mbox_nack,
	TP_PROTO(const struct mailbox *mb, const struct mbx_message *msg, u64 token),
	TP_ARGS(mb, msg, token)
);

/* A message came back too often, and goes to the dead-letter mailbox or is dropped. */
DEFINE_EVENT(mbox_message_class, mbox_dead_letter,
	TP_PROTO(const struct mailbox *mb, const struct mbx_message *msg),
	TP_ARGS(mb, msg)
);

/* A registered process is notified of a message. */
TRACE_EVENT(mbox_notify,
	TP_PROTO(const struct mailbox *mb, u32 kind, u32 signo),
	TP_ARGS(mb, kind, signo),
	TP_STRUCT__entry(
		__field(u64, id)
		__field(u32, ns)
		__field(u32, kind)
		__field(u32, signo)
	),
	TP_fast_assign(
		__entry->id = mb->id;
		__entry->ns = mb->net_ino;
		__entry->kind = kind;
		__entry->signo = signo;
	),
	TP_printk("id=%llu ns=%u kind=%u signo=%u", __entry->id, __entry->ns,
		  __entry->kind, __entry->signo)
);

/* A process maps a ring to send, with an owner number, or to receive. */
TRACE_EVENT(mbox_ring_attach,
	TP_PROTO(const struct mailbox *mb, bool sender, u32 owner),
	TP_ARGS(mb, sender, owner),
	TP_STRUCT__entry(
		__field(u64, id)
		__field(u32, ns)
		__field(u32, owner)
		__field(bool, sender)
	),
	TP_fast_assign(
		__entry->id = mb->id;
		__entry->ns = mb->net_ino;
		__entry->owner = owner;
		__entry->sender = sender;
	),
	TP_printk("id=%llu ns=%u %s owner=%u", __entry->id, __entry->ns,
		  __entry->sender ? "sender" : "receiver", __entry->owner)
);

/* A process stopped sending to a ring; the slots that it was filling are abandoned. */
TRACE_EVENT(mbox_ring_recover,
	TP_PROTO(const struct mailbox *mb, u32 owner, unsigned int abandoned),
	TP_ARGS(mb, owner, abandoned),
	TP_STRUCT__entry(
		__field(u64, id)
		__field(u32, ns)
		__field(u32, owner)
		__field(unsigned int, abandoned)
	),
	TP_fast_assign(
		__entry->id = mb->id;
		__entry->ns = mb->net_ino;
		__entry->owner = owner;
		__entry->abandoned = abandoned;
	),
	TP_printk("id=%llu ns=%u owner=%u abandoned=%u", __entry->id,
		  __entry->ns, __entry->owner, __entry->abandoned)
);

/* A reply is about to be delivered to its caller. */
TRACE_EVENT(mbox_reply,
	TP_PROTO(const struct mailbox *mb, const struct mbx_transaction *txn),
	TP_ARGS(mb, txn),
	TP_STRUCT__entry(
		__field(u64, id)
		__field(u32, ns)
		__field(u64, token)
		__field(u32, len)
	),
	TP_fast_assign(
		__entry->id = mb->id;
		__entry->ns = mb->net_ino;
		__entry->token = txn->token;
		__entry->len = txn->reply->len;
	),
	TP_printk("id=%llu ns=%u token=%llu len=%u", __entry->id, __entry->ns,
		  __entry->token, __entry->len)
);

/* A call that was started has ended. */
TRACE_EVENT(mbox_call_end,
	TP_PROTO(const struct mailbox *mb, const struct mbx_transaction *txn, int result),
	TP_ARGS(mb, txn, result),
	TP_STRUCT__entry(
		__field(u64, id)
		__field(u32, ns)
		__field(u64, call)
		__field(int, result)
	),
	TP_fast_assign(
		__entry->id = mb->id;
		__entry->ns = mb->net_ino;
		__entry->call = txn->number;
		__entry->result = result;
	),
	TP_printk("id=%llu ns=%u call=%llu result=%d", __entry->id, __entry->ns,
		  __entry->call, __entry->result)
);

TRACE_EVENT(mbox_wait,
	TP_PROTO(const struct mailbox *mb, bool sender),
	TP_ARGS(mb, sender),
	TP_STRUCT__entry(
		__field(u64, id)
		__field(u32, ns)
		__field(bool, sender)
	),
	TP_fast_assign(
		__entry->id = mb->id;
		__entry->ns = mb->net_ino;
		__entry->sender = sender;
	),
	TP_printk("id=%llu ns=%u %s", __entry->id, __entry->ns,
		  __entry->sender ? "sender" : "receiver")
);

TRACE_EVENT(mbox_wake,
	TP_PROTO(const struct mailbox *mb, pid_t pid, int result),
	TP_ARGS(mb, pid, result),
	TP_STRUCT__entry(
		__field(u64, id)
		__field(u32, ns)
		__field(pid_t, pid)
		__field(int, result)
	),
	TP_fast_assign(
		__entry->id = mb->id;
		__entry->ns = mb->net_ino;
		__entry->pid = pid;
		__entry->result = result;
	),
	TP_printk("id=%llu ns=%u pid=%d result=%d", __entry->id, __entry->ns,
		  __entry->pid, __entry->result)
);

/* A server thread is boosted to a caller's real-time priority; 0: deboosted. */
TRACE_EVENT(mbox_inherit,
	TP_PROTO(pid_t pid, unsigned int prio),
	TP_ARGS(pid, prio),
	TP_STRUCT__entry(
		__field(pid_t, pid)
		__field(unsigned int, prio)
	),
	TP_fast_assign(
		__entry->pid = pid;
		__entry->prio = prio;
	),
	TP_printk("pid=%d prio=%u", __entry->pid, __entry->prio)
);

#endif /* MBOX_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
