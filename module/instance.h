/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Instances of the file system, one for each network namespace.
 */
#ifndef MBX_INSTANCE_H
#define MBX_INSTANCE_H

#include <linux/fs.h>
#include <linux/llist.h>
#include <linux/rbtree.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

struct mailbox;
struct mbx_late_put;
struct mbx_namespace;
struct vfsmount;

/* The inode number of the directory. Those of mailboxes are higher. */
#define MBX_ROOT_INO 1

/**
 * struct mbx_instance - an instance of the file system
 * @ns: its network namespace, NULL once that has ended; under namespace_lock, also read
 *	without it to fail early
 * @ids: its mailboxes by id; under namespace_lock
 * @left: among the instances of namespaces that have ended; under namespace_lock
 * @net_ino: inode number of its network namespace, once that has ended
 * @last_id: the highest id that was given there, likewise
 * @sb: its super block
 * @mnt: the mount that the module uses itself
 * @lock: protects @ended, @pinned and @ready_puts
 * @ended: @mnt is not held by the network namespace any more
 * @pinned: it has been mounted, and this holds a reference to the module
 * @configured: the options of the first mount have been applied; set under the lock of the
 *	directory, with release order
 * @unpin: checks whether it is still mounted
 * @end: removes the names after the network namespace has ended
 * @late: does what has to wait until nobody has locked the directory; while it is queued, it
 *	has a reference to @sb
 * @late_names: mailboxes that are to lose their names, each with a reference; taken from under
 *	the lock of the directory
 * @late_done: mailboxes that have lost them since, each with a reference
 * @late_puts: references that are to be dropped when the directory is not locked any more;
 *	under the lock of the directory
 * @ready_puts: those of earlier holders of that lock
 */
struct mbx_instance {
	struct mbx_namespace *ns;
	struct rb_root ids;
	struct rb_node left;
	u32 net_ino;
	u64 last_id;
	struct super_block *sb;
	struct vfsmount *mnt;
	spinlock_t lock;
	bool ended;
	bool pinned;
	bool configured;
	struct delayed_work unpin;
	struct delayed_work end;
	struct delayed_work late;
	struct llist_head late_names;
	struct llist_head late_done;
	struct list_head late_puts;
	struct list_head ready_puts;
};

static inline struct mbx_instance *mbx_instance_of(const struct super_block *sb)
{
	return sb->s_fs_info;
}

struct mbx_late_put *mbx_late_put_new(void);
void mbx_late_put(struct mbx_late_put *put, struct mailbox *mb);
void mbx_late_ready(struct inode *dir);
void mbx_late_forget(struct mailbox *mb);

struct vfsmount *mbx_instance_mount(void);
void mbx_instance_end(struct mbx_instance *instance);

int mbx_instance_init(void);
int mbx_instance_register(void);
void mbx_instance_unregister(void);
void mbx_instance_exit(int base);

#endif /* MBX_INSTANCE_H */
