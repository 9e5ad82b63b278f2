/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MBOX_MAILBOX_H
#define MBOX_MAILBOX_H

#include <linux/kref.h>
#include <linux/mbox.h>
#include <linux/rbtree.h>
#include <linux/spinlock.h>
#include <linux/uidgid.h>
#include <linux/wait.h>

#include "queue.h"

struct mbox_namespace;
struct mbox_reader;
struct mbox_ring;
struct mbox_user;
struct mbox_watch;
struct user_namespace;

/**
 * struct mailbox - a mailbox
 * @lock: protects what says so; of this module's, only inherit_lock is taken
 *	before it
 * @capacity: present capacity; under @lock
 * @msg_max: largest message
 * @flags: MBOX_FIXED and so on
 * @perm: permission bits, read for receiving and write for sending
 * @uid: owner
 * @gid: group
 * @dead: destroyed; under @lock, also read without it to fail early
 * @stored: messages that were accepted; under @lock
 * @offers: messages of @senders, not accepted yet; under @lock
 * @ages: MBOX_DROP_OLDEST without MBOX_BROADCAST: @stored by arrival; under @lock
 * @shares: MBOX_FAIR: what each user has of @stored; under @lock
 * @next_seq: MBOX_BROADCAST: number of the next message; under @lock
 * @caught_up: MBOX_BROADCAST: handles that have got all messages; under @lock
 * @receivers: calls that wait for a message; under @lock
 * @peekers: calls that wait to look at a message; under @lock
 * @senders: calls that wait for room or for a receiver; under @lock
 * @syncers: calls whose message was accepted, waiting for its receipt; under
 *	@lock
 * @callers: calls whose request was accepted, waiting for the reply; under
 *	@lock
 * @peeks: messages that are being looked at; under @lock
 * @waiting_receivers: length of @receivers and @peekers; under @lock
 * @waiting_senders: length of @senders, @syncers and @callers; under @lock
 * @recv_handles: open handles that may receive; under @lock
 * @send_handles: open handles that may send; under @lock
 * @sent: messages accepted; under @lock
 * @received: messages delivered; under @lock
 * @dropped: messages dropped by the overflow policy; under @lock
 * @last_token: of a request that was received; under @lock
 * @pollers: poll, epoll, io_uring
 * @refs: handles, the name, and lookups that are under way
 * @id: unique while the module is loaded
 * @name: NUL-terminated, or NULL; does not change when it is unlinked
 * @name_len: its length
 * @named: @name leads here; under namespace_lock
 * @published: it could be found once; set before anybody can
 * @direct: one direction of a direct link
 * @ns: where name and id are known, NULL at the end; under namespace_lock
 * @id_node: in ns->ids; under namespace_lock
 * @name_node: in ns->names while @named; under namespace_lock
 * @user_ns: whose CAP_IPC_OWNER counts
 * @user: whose limit of mailboxes is charged
 * @ring: MBOX_RING: the memory; otherwise NULL
 * @watch: who is to be told besides @pollers, NULL until there was somebody;
 *	set once, under @lock, with release order
 */
struct mailbox {
	spinlock_t lock;
	u32 capacity;
	u32 msg_max;
	u32 flags;
	struct mbox_queue stored;
	struct mbox_queue offers;
	/* Only one of these is in use: the flags exclude each other. */
	union {
		struct list_head ages;
		struct rb_root shares;
		struct {
			u64 next_seq;
			u32 caught_up;
		};
	};
	struct list_head receivers;
	struct list_head senders;
	struct list_head syncers;
	struct list_head callers;
	struct list_head peekers;
	struct list_head peeks;
	u32 waiting_receivers;
	u32 waiting_senders;
	u32 recv_handles;
	u32 send_handles;
	u64 sent;
	u64 received;
	u64 dropped;
	u64 last_token;
	wait_queue_head_t pollers;
	u16 perm;
	u8 name_len;
	bool dead;
	bool named;
	bool published;
	bool direct;
	kuid_t uid;
	kgid_t gid;
	struct kref refs;
	u64 id;
	char *name;
	struct mbox_namespace *ns;
	struct rb_node id_node;
	struct rb_node name_node;
	struct user_namespace *user_ns;
	struct mbox_user *user;
	struct mbox_ring *ring;
	struct mbox_watch *watch;
};

/* The flags that a mailbox can have, and those of each mode. */
#define MBOX_ATTR_FLAGS (MBOX_QUEUE_FLAGS | MBOX_RING_FLAGS)
#define MBOX_QUEUE_FLAGS (MBOX_FIXED | MBOX_DROP_OLDEST | MBOX_DROP_NEWEST | \
			  MBOX_HANGUP | MBOX_FAIR | MBOX_BROADCAST | \
			  MBOX_INHERIT)
#define MBOX_RING_FLAGS (MBOX_FIXED | MBOX_HANGUP | MBOX_ONE_SENDER | \
			 MBOX_ONE_RECEIVER)

/* Rights of a handle, as bits of a permission class. */
#define MBOX_MAY_RECV 4
#define MBOX_MAY_SEND 2

int mbox_attr_check(const struct mbox_attr *attr);
struct mailbox *mbox_mailbox_new(const struct mbox_attr *attr, const char *name,
				 size_t name_len);
void mbox_mailbox_put(struct mailbox *mb);
bool mbox_mailbox_may(struct mailbox *mb, unsigned int rights);
bool mbox_mailbox_visible(struct mailbox *mb);
bool mbox_mailbox_owned(struct mailbox *mb);
int mbox_mailbox_attach(struct mailbox *mb, unsigned int rights,
			struct mbox_reader *reader);
void mbox_mailbox_detach(struct mailbox *mb, unsigned int rights,
			 struct mbox_reader *reader);
int mbox_mailbox_set_capacity(struct mailbox *mb, u32 capacity);
int mbox_mailbox_destroy(struct mailbox *mb);
int mbox_mailbox_stat(struct mailbox *mb, struct mbox_stat *st);

int mbox_mailbox_init(void);
void mbox_mailbox_exit(void);

#endif /* MBOX_MAILBOX_H */
