// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mailboxes are files: names, attributes, opening.
 *
 * The directory of an instance is the only table of names. Every mailbox has an inode
 * there, also one without a name. The inode and the mailbox are one object: a mailbox
 * lives as long as something refers to its inode, which is a name, a file, or a mount.
 *
 * An ioctl that creates a mailbox has attributes that open(2) cannot pass on. It opens
 * the file as open(2) does, so that the same checks decide. Before that, it leaves the
 * attributes where create() finds them by the task that calls it. The memory of a ring
 * takes long to make, so create() does not make it, with the directory locked. It tells the
 * ioctl that it is needed, which makes it and opens again.
 */
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/dcache.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/fsnotify.h>
#include <linux/mbox.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/namei.h>
#include <linux/rbtree.h>
#include <linux/sched.h>
#include <linux/sizes.h>
#include <linux/spinlock.h>

#include "acl.h"
#include "compat.h"
#include "fs.h"
#include "instance.h"
#include "limits.h"
#include "mailbox.h"
#include "namespace.h"
#include "ring.h"
#include "trace.h"

/**
 * struct creation - what is created, by an ioctl or open(2)
 * @node: in creations
 * @task: the task that is in the ioctl; NULL: none is
 * @attr: the attributes
 * @options: the options
 * @user: who is charged for @ring, with a reference
 * @ring: the memory of the ring, until a mailbox has it
 * @needs_ring: there is no such mailbox yet, and @ring has to be made
 * @mb: the mailbox when it was created, with a reference
 * @error: why it could not be created
 */
struct creation {
	struct rb_node node;
	struct task_struct *task;
	const struct mbox_attr *attr;
	const struct mbox_options *options;
	struct mbx_user *user;
	struct mbx_ring *ring;
	bool needs_ring;
	struct mailbox *mb;
	int error;
};

static struct rb_root creations = RB_ROOT;
static DEFINE_SPINLOCK(creations_lock);

static const struct file_operations *queue_fops, *ring_fops;

/* ---- creations ------------------------------------------------------------ */

static void creation_begin(struct creation *creation)
{
	struct rb_node **link = &creations.rb_node, *parent = NULL;

	spin_lock(&creations_lock);
	while (*link) {
		parent = *link;
		if (creation->task < rb_entry(parent, struct creation, node)->task)
			link = &parent->rb_left;
		else
			link = &parent->rb_right;
	}
	rb_link_node(&creation->node, parent, link);
	rb_insert_color(&creation->node, &creations);
	spin_unlock(&creations_lock);
}

static void creation_end(struct creation *creation)
{
	spin_lock(&creations_lock);
	rb_erase(&creation->node, &creations);
	spin_unlock(&creations_lock);
}

/* The creation that the current task is in, or NULL. */
static struct creation *creation_current(void)
{
	struct creation *creation, *found = NULL;
	struct rb_node *node;

	spin_lock(&creations_lock);
	node = creations.rb_node;
	while (node && !found) {
		creation = rb_entry(node, struct creation, node);
		if (creation->task == current)
			found = creation;
		node = current < creation->task ? node->rb_left : node->rb_right;
	}
	spin_unlock(&creations_lock);
	return found;
}

static int make_ring(struct creation *creation)
{
	struct mbx_ring *ring;

	if (!creation->user)
		creation->user = mbx_user_get();
	if (!creation->user)
		return -ENOMEM;
	ring = mbx_ring_new(creation->attr, creation->user);
	if (IS_ERR(ring))
		return PTR_ERR(ring);
	creation->ring = ring;
	return 0;
}

/* Free what no mailbox has. */
static void drop_ring(struct creation *creation)
{
	if (creation->ring) {
		mbx_ring_put(creation->ring, creation->user);
		mbx_ring_free(creation->ring);
	}
	if (creation->user)
		mbx_user_put(creation->user);
}

/* ---- files ---------------------------------------------------------------- */

static int mailbox_permission(struct mbx_idmap *idmap, struct inode *inode, int mask)
{
	int ret = generic_permission(idmap, inode, mask);

	if (ret == -EACCES && !(mask & MAY_EXEC) &&
	    ns_capable(inode->i_sb->s_user_ns, CAP_IPC_OWNER))
		return 0;
	return ret;
}

static int mailbox_getattr(struct mbx_idmap *idmap, const struct path *path,
			   struct kstat *stat, u32 mask, unsigned int flags)
{
	struct inode *inode = d_inode(path->dentry);
	u64 size = mbx_mailbox_getattr(mbx_mailbox_of(inode));

	mbx_fillattr(idmap, mask, inode, stat);
	stat->size = size;
	return 0;
}

static int set_attributes(struct mbx_idmap *idmap, struct dentry *dentry,
			  struct iattr *attr)
{
	int ret = setattr_prepare(idmap, dentry, attr);

	/* The list first: if that fails, nothing has changed. */
	if (!ret && attr->ia_valid & ATTR_MODE)
		ret = mbx_acl_chmod(idmap, dentry, attr->ia_mode);
	return ret ? ret : simple_setattr(idmap, dentry, attr);
}

static int mailbox_setattr(struct mbx_idmap *idmap, struct dentry *dentry,
			   struct iattr *attr)
{
	struct mailbox *mb = mbx_mailbox_of(d_inode(dentry));

	/* Handles, bind mounts and O_PATH descriptors still lead to a destroyed one. */
	if (READ_ONCE(mb->dead))
		return -EIDRM;
	/* Times of calls before this one do not replace those that it sets. */
	mbx_mailbox_getattr(mb);
	return set_attributes(idmap, dentry, attr);
}

#ifdef CONFIG_FS_POSIX_ACL
static int mailbox_acl_set(struct mbx_idmap *idmap, struct mbx_acl_target *target,
			   struct posix_acl *acl, int type)
{
	if (READ_ONCE(mbx_mailbox_of(mbx_acl_inode(target))->dead))
		return -EIDRM;
	return mbx_acl_set(idmap, target, acl, type);
}
#else
#define mailbox_acl_set NULL
#endif

static const struct inode_operations mailbox_iops = {
	.permission = mailbox_permission,
	.getattr = mailbox_getattr,
	.setattr = mailbox_setattr,
	.set_acl = mailbox_acl_set,
	.listxattr = mbx_acl_list,
};

/* ---- the directory --------------------------------------------------------- */

static struct mailbox *new_mailbox(struct super_block *sb, struct creation *creation,
				   struct inode *dir, umode_t mode)
{
	struct posix_acl *acl = NULL;
	struct mailbox *mb;
	struct inode *inode;
	int ret;

	if (!kuid_has_mapping(sb->s_user_ns, current_fsuid()) ||
	    !kgid_has_mapping(sb->s_user_ns, current_fsgid()))
		return ERR_PTR(-EOVERFLOW);
	if (dir) {
		ret = mbx_acl_inherit(dir, &mode, &acl);
		if (ret)
			return ERR_PTR(ret);
	}
	mb = mbx_mailbox_new(creation->attr, creation->options, &creation->ring, sb);
	if (IS_ERR(mb)) {
		posix_acl_release(acl);
		return mb;
	}
	inode = &mb->inode;
	mbx_acl_init(inode, acl);
	inode_init_owner(mbx_nop_idmap, inode, dir, S_IFIFO | (mode & 0777));
	mbx_inode_init_times(inode);
	inode->i_op = &mailbox_iops;
	inode->i_fop = mb->ring ? ring_fops : queue_fops;
	return mb;
}

/* Create a mailbox with the attributes of the ioctl, or the default ones. */
static int create(struct inode *dir, struct dentry *dentry, umode_t mode)
{
	static const struct mbox_attr defaults = {
		.mode = MBOX_QUEUE,
		.capacity = 64,
		.msg_max = 8192,
	};
	struct creation by_open = { .attr = &defaults, .options = &mbx_no_options };
	struct creation *creation = creation_current();
	struct mailbox *mb;
	int ret;

	mbx_late_ready(dir);
	/* Who makes names helps to remove others: they are not to become more and more. */
	mbx_fs_forget_late(dir, 2);
	/* Pairs with the WRITE_ONCE() of the end. mbx_namespace_publish() checks it again. */
	if (!READ_ONCE(mbx_instance_of(dir->i_sb)->ns))
		return -ESTALE;
	if (!creation) {
		creation = &by_open;
		ret = mbx_attr_check(&defaults);
		if (ret)
			return ret;
	}
	if (creation->attr->mode == MBOX_RING && !creation->ring) {
		creation->needs_ring = true;
		return -EAGAIN;
	}
	mb = new_mailbox(dir->i_sb, creation, dir, mode);
	if (IS_ERR(mb)) {
		creation->error = PTR_ERR(mb);
		return PTR_ERR(mb);
	}
	/* The name keeps the mailbox. Whoever is to remove it waits for the lock of @dir. */
	mb->dentry = dget(dentry);
	ret = mbx_namespace_publish(mb);
	if (ret) {
		mb->dentry = NULL;
		dput(dentry);
		iput(&mb->inode);
		return ret;
	}
	if (creation->task) {
		ihold(&mb->inode);
		creation->mb = mb;
	}
	d_instantiate(dentry, &mb->inode);
	mbx_inode_touch(dir);
	trace_mbox_create(mb, dentry->d_name.name, dentry->d_name.len);
	return 0;
}

/*
 * open(2) of a name that is not in use, as far as the directory is concerned. The kernel has
 * checked what the caller may create, and removed O_CREAT from @flags if it may not. Afterwards
 * it opens what @dentry leads to.
 */
static int dir_atomic_open(struct inode *dir, struct dentry *dentry, struct file *file,
			   unsigned int flags, umode_t mode)
{
	int ret = 0;

	/* This never finds another dentry: those of all names stay. */
	if (d_in_lookup(dentry))
		ret = PTR_ERR_OR_ZERO(simple_lookup(dir, dentry, 0));
	if (ret)
		return ret;
	if (flags & O_CREAT && d_really_is_negative(dentry)) {
		/* Before 6.4 the kernel would create first, and then fail. */
		if (flags & O_DIRECTORY)
			return -EINVAL;
		/* As the kernel does where it creates by itself. */
		audit_inode_child(dir, dentry, AUDIT_TYPE_CHILD_CREATE);
		ret = create(dir, dentry, mode);
		if (ret)
			return ret;
		file->f_mode |= FMODE_CREATED;
	}
	return finish_no_open(file, NULL);
}

/* mknod(2) of a regular file: without it, that would be EACCES. open(2) does not come here. */
static int dir_create(struct mbx_idmap *idmap, struct inode *dir,
		      struct dentry *dentry, MBX_CREATE_ARGS)
{
	return -EPERM;
}

static int dir_mknod(struct mbx_idmap *idmap, struct inode *dir, struct dentry *dentry,
		     umode_t mode, dev_t dev)
{
	return S_ISFIFO(mode) ? create(dir, dentry, mode) : -EPERM;
}

/* Take the name from the mailbox that has it. */
static void drop_name(struct inode *dir, struct dentry *dentry)
{
	struct inode *inode = d_inode(dentry);

	spin_lock(&inode->i_lock);
	mbx_mailbox_of(inode)->dentry = NULL;
	spin_unlock(&inode->i_lock);
	drop_nlink(inode);
	mbx_inode_touch(dir);
	dput(dentry);
}

static int dir_unlink(struct inode *dir, struct dentry *dentry)
{
	mbx_late_ready(dir);
	drop_name(dir, dentry);
	mbx_fs_forget_late(dir, 2);
	return 0;
}

/*
 * Linux 6.1 drops the last reference to what had the new name before it unlocks. It can take
 * long to free it, so it is kept until then.
 */
static int replace(struct inode *dir, struct dentry *dentry)
{
	struct mailbox *mb = mbx_mailbox_of(d_inode(dentry));
	struct mbx_late_put *late = mbx_late_put_new();

	if (!late)
		return -ENOMEM;
	if (mbx_mailbox_keep_late(mb))
		mbx_late_put(late, mb);
	else
		kfree(late);
	drop_name(dir, dentry);
	return 0;
}

static int dir_rename(struct mbx_idmap *idmap, struct inode *old_dir,
		      struct dentry *old_dentry, struct inode *new_dir,
		      struct dentry *new_dentry, unsigned int flags)
{
	int ret = 0;

	if (flags & ~RENAME_NOREPLACE)
		return -EINVAL;
	mbx_late_ready(new_dir);
	if (d_really_is_positive(new_dentry))
		ret = replace(new_dir, new_dentry);
	if (!ret)
		mbx_inode_touch(new_dir);
	return ret;
}

const struct inode_operations mbx_dir_iops = {
	.lookup = simple_lookup,
	.atomic_open = dir_atomic_open,
	.create = dir_create,
	.mknod = dir_mknod,
	.unlink = dir_unlink,
	.rename = dir_rename,
	.setattr = set_attributes,
	.set_acl = mbx_acl_set,
	.listxattr = mbx_acl_list,
};

static bool remove_locked(struct inode *dir, struct dentry *dentry)
{
	bool found = simple_positive(dentry);

	lockdep_assert_held_write(&dir->i_rwsem);
	if (found) {
		drop_name(dir, dentry);
		/* As vfs_unlink() does. */
		fsnotify_link_count(d_inode(dentry));
		/* Something may be mounted on it. */
		d_invalidate(dentry);
		fsnotify_delete(dir, d_inode(dentry), dentry);
	}
	return found;
}

/*
 * Remove a name of which the caller holds the dentry, unless it is removed already.
 * The sticky bit does not matter: the caller has checked who may.
 * Return: 0, -ENOENT: it was removed already, or -EINTR: the caller was killed.
 */
static int remove_name(struct dentry *dentry)
{
	struct inode *dir = d_inode(dentry->d_sb->s_root);
	bool found;

	if (down_write_killable_nested(&dir->i_rwsem, I_MUTEX_PARENT))
		return -EINTR;
	found = remove_locked(dir, dentry);
	inode_unlock(dir);
	return found ? 0 : -ENOENT;
}

/* The dentry of the name, with a reference, or NULL. */
static struct dentry *get_name(struct mailbox *mb)
{
	struct dentry *dentry;

	if (mb->direct)
		return NULL;
	spin_lock(&mb->inode.i_lock);
	dentry = mb->dentry;
	if (dentry)
		dget(dentry);
	spin_unlock(&mb->inode.i_lock);
	return dentry;
}

/**
 * mbx_fs_name() - get the present name of a mailbox
 * @mb: the mailbox
 * @name: out: the name, to be released
 *
 * Return: whether it has a name.
 */
bool mbx_fs_name(struct mailbox *mb, struct name_snapshot *name)
{
	struct dentry *dentry = get_name(mb);

	if (!dentry)
		return false;
	take_dentry_name_snapshot(name, dentry);
	dput(dentry);
	return true;
}

/* How many ticks a close waits for the directory; and if its process exits or is killed. */
#define PATIENCE (HZ / 10 + 1)
#define LITTLE_PATIENCE 3

/*
 * Lock the directory for the close of a last handle, unless that takes longer than usual. A
 * process can hold the lock for as long as it likes, by reading the directory into memory that
 * does not come, and it can pass a handle on to others, who close it. So this never queues for
 * the lock. A kernel thread does not wait at all, since it works for others, too. After it has
 * waited in vain, nobody does for a second: an exit can close handles of many mailboxes.
 */
static bool lock_briefly(struct inode *dir)
{
	static unsigned long in_vain_until;
	static bool in_vain;
	unsigned long since = jiffies;
	bool ends;

	if (inode_trylock(dir))
		return true;
	if (READ_ONCE(in_vain) && time_after(jiffies, READ_ONCE(in_vain_until)))
		WRITE_ONCE(in_vain, false);
	if (current->flags & PF_KTHREAD || READ_ONCE(in_vain))
		return false;
	do {
		schedule_timeout_uninterruptible(1);
		if (inode_trylock(dir))
			return true;
		ends = current->flags & PF_EXITING || fatal_signal_pending(current);
	} while (time_before(jiffies, since + (ends ? LITTLE_PATIENCE : PATIENCE)));
	WRITE_ONCE(in_vain_until, jiffies + HZ);
	WRITE_ONCE(in_vain, true);
	return false;
}

static void forget(struct mailbox *mb, bool waits)
{
	struct inode *dir = d_inode(mb->inode.i_sb->s_root);
	struct dentry *dentry = get_name(mb);
	bool locked, first;

	if (!dentry)
		return;
	if (waits)
		locked = !down_write_killable_nested(&dir->i_rwsem, I_MUTEX_PARENT);
	else
		locked = lock_briefly(dir);
	if (locked) {
		remove_locked(dir, dentry);
		inode_unlock(dir);
	} else {
		mbx_namespace_forget(mb);
		spin_lock(&mb->lock);
		first = !mb->late_name;
		mb->late_name = true;
		spin_unlock(&mb->lock);
		if (first)
			mbx_late_forget(mb);
	}
	dput(dentry);
}

/**
 * mbx_fs_forget() - remove the name of a mailbox, if it has one
 * @mb: the mailbox; the caller has a reference
 *
 * This waits for the lock of the directory, or until the thread is killed, which leaves the
 * name to a work item.
 */
void mbx_fs_forget(struct mailbox *mb)
{
	forget(mb, true);
}

/**
 * mbx_fs_forget_soon() - remove the name of a mailbox, if it has one, or leave it to a work item
 * @mb: the mailbox; the caller has a reference
 *
 * This waits for the lock of the directory no longer than a tenth of a second.
 */
void mbx_fs_forget_soon(struct mailbox *mb)
{
	forget(mb, false);
}

/**
 * mbx_fs_try_forget() - likewise, unless another thread has locked the directory
 * @mb: the mailbox; the caller has a reference
 *
 * Return: whether the mailbox has no name now.
 */
bool mbx_fs_try_forget(struct mailbox *mb)
{
	struct inode *dir = d_inode(mb->inode.i_sb->s_root);
	struct dentry *dentry = get_name(mb);

	/* It gets no other one. */
	if (!dentry)
		return true;
	dput(dentry);
	if (!inode_trylock(dir))
		return false;
	dentry = get_name(mb);
	if (dentry)
		remove_locked(dir, dentry);
	inode_unlock(dir);
	/* This may free the dentry. */
	dput(dentry);
	return true;
}

/**
 * mbx_fs_forget_late() - remove names that threads have left to others
 * @dir: the directory, which the caller has locked
 * @n: how many
 */
void mbx_fs_forget_late(struct inode *dir, int n)
{
	struct mbx_instance *instance = mbx_instance_of(dir->i_sb);
	struct llist_node *node;
	struct dentry *dentry;

	lockdep_assert_held_write(&dir->i_rwsem);
	while (n-- && (node = llist_del_first(&instance->late_names))) {
		dentry = get_name(llist_entry(node, struct mailbox, late));
		if (dentry)
			remove_locked(dir, dentry);
		/* Its inode stays: the list has a reference. */
		dput(dentry);
		llist_add(node, &instance->late_done);
	}
}

/* ---- opening ------------------------------------------------------------------ */

/**
 * mbx_fs_anonymous() - make a mailbox without a name
 * @mnt: the mount of its network namespace
 * @attr: its attributes, already checked
 * @options: its options, already checked
 *
 * Return: the mailbox with a reference, or an error.
 */
struct mailbox *mbx_fs_anonymous(struct vfsmount *mnt,
				 const struct mbox_attr *attr,
				 const struct mbox_options *options)
{
	struct creation creation = { .attr = attr, .options = options };
	struct super_block *sb = mnt->mnt_sb;
	struct mailbox *mb;
	int ret = attr->mode == MBOX_RING ? make_ring(&creation) : 0;

	/* The caller is a process of the namespace, so it has not ended. */
	mb = ret ? ERR_PTR(ret) : new_mailbox(sb, &creation, NULL, attr->perm & ~current_umask());
	drop_ring(&creation);
	if (IS_ERR(mb))
		return mb;
	clear_nlink(&mb->inode);
	mbx_namespace_number(mbx_instance_of(sb)->ns, mb);
	return mb;
}

/* Remove a name if it leads to a destroyed mailbox. Return whether it does not exist now. */
static bool remove_dead(const char *name, struct dentry *root)
{
	struct dentry *dentry = mbx_lookup(name, root);
	bool dead;

	if (IS_ERR(dentry))
		return dentry == ERR_PTR(-ENOENT);
	dead = READ_ONCE(mbx_mailbox_of(d_inode(dentry))->dead);
	if (dead)
		remove_name(dentry);
	dput(dentry);
	return dead;
}

/**
 * mbx_fs_create() - open a name, and create the mailbox if the name is not there
 * @name: the name
 * @attr: the attributes of a new mailbox, already checked
 * @options: its options, already checked
 * @oflags: as for open(2)
 *
 * Return: a handle, or an error.
 */
struct file *mbx_fs_create(const char *name, const struct mbox_attr *attr,
			   const struct mbox_options *options, unsigned int oflags)
{
	struct creation creation = {
		.task = current,
		.attr = attr,
		.options = options,
	};
	struct vfsmount *mnt = mbx_instance_mount();
	struct file *file;
	struct path path;
	bool removed;
	int ret;

	if (IS_ERR(mnt))
		return ERR_CAST(mnt);
	path.mnt = mnt;
	path.dentry = mnt->mnt_root;
	for (;;) {
		creation_begin(&creation);
		file = file_open_root(&path, name, oflags | O_CREAT,
				      attr->perm);
		creation_end(&creation);
		if (creation.mb) {
			/* A call that fails leaves no mailbox behind. */
			if (IS_ERR(file))
				mbx_fs_forget(creation.mb);
			mbx_mailbox_put(creation.mb);
			creation.mb = NULL;
		}
		if (creation.needs_ring) {
			creation.needs_ring = false;
			ret = make_ring(&creation);
			if (!ret)
				continue;
			file = ERR_PTR(ret);
			break;
		}
		if ((file != ERR_PTR(-EIDRM) && file != ERR_PTR(-EEXIST)) || creation.error)
			break;
		/*
		 * The mailbox was destroyed before or after it was found: create a new one. The
		 * thread that destroyed it may have yet to remove the name, and may not run
		 * before this one sleeps.
		 */
		removed = remove_dead(name, path.dentry);
		if (file == ERR_PTR(-EEXIST) && !removed)
			break;
		if (signal_pending(current)) {
			file = ERR_PTR(-ERESTARTSYS);
			break;
		}
	}
	drop_ring(&creation);
	return file;
}

/**
 * mbx_fs_creates() - whether the current task is in mbx_fs_create()
 */
bool mbx_fs_creates(void)
{
	return creation_current();
}

/**
 * mbx_fs_open() - open a name
 * @name: the name
 * @oflags: as for open(2)
 *
 * Return: a handle, or an error; -EIDRM: the mailbox was destroyed meanwhile.
 */
struct file *mbx_fs_open(const char *name, unsigned int oflags)
{
	struct vfsmount *mnt = mbx_instance_mount();
	struct path path;

	if (IS_ERR(mnt))
		return ERR_CAST(mnt);
	path.mnt = mnt;
	path.dentry = mnt->mnt_root;
	return file_open_root(&path, name, oflags, 0);
}

/**
 * mbx_fs_may() - whether the caller may open a mailbox
 * @mb: the mailbox
 * @rights: MBX_MAY_RECV, MBX_MAY_SEND
 *
 * Return: 0, or -EACCES.
 */
int mbx_fs_may(struct mailbox *mb, unsigned int rights)
{
	int mask = MAY_OPEN;

	if (rights & MBX_MAY_RECV)
		mask |= MAY_READ;
	if (rights & MBX_MAY_SEND)
		mask |= MAY_WRITE;
	return inode_permission(mbx_nop_idmap, &mb->inode, mask);
}

/**
 * mbx_fs_reopen() - open a mailbox of the current network namespace
 * @mb: the mailbox; the caller may open it
 * @oflags: O_ACCMODE, O_NONBLOCK
 *
 * Return: a handle, or an error; NULL: nothing but lookups refers to the mailbox.
 */
struct file *mbx_fs_reopen(struct mailbox *mb, unsigned int oflags)
{
	struct vfsmount *mnt = mbx_instance_mount();
	struct dentry *dentry;
	struct file *file;
	struct path path;

	if (IS_ERR(mnt))
		return ERR_CAST(mnt);
	path.mnt = mnt;
	path.dentry = d_find_any_alias(&mb->inode);
	if (!path.dentry) {
		/* With a name: create() is about to use it, so the mailbox is not there yet. */
		dentry = get_name(mb);
		dput(dentry);
		return dentry ? ERR_PTR(-ENOENT) : NULL;
	}
	file = dentry_open(&path, oflags, current_cred());
	dput(path.dentry);
	return file;
}

/**
 * mbx_fs_file() - make a file that is not opened by its name
 * @mb: the mailbox
 * @mnt: the mount of its network namespace
 * @fops: operations of the file, of which @open is not called
 * @oflags: O_ACCMODE, O_NONBLOCK
 *
 * Return: the file, or -ENFILE, -ENOMEM.
 */
struct file *mbx_fs_file(struct mailbox *mb, struct vfsmount *mnt,
			 const struct file_operations *fops, unsigned int oflags)
{
	struct file *file;

	/* The file drops both. */
	ihold(&mb->inode);
	__module_get(fops->owner);
	file = alloc_file_pseudo(&mb->inode, mnt, "[mbox]", oflags, fops);
	if (IS_ERR(file)) {
		iput(&mb->inode);
		module_put(fops->owner);
	}
	return file;
}

/**
 * mbx_fs_unlink() - remove a name
 * @name: the name
 *
 * Return: 0, or -ENOENT, -EACCES, or -EINTR: the caller was killed.
 */
int mbx_fs_unlink(const char *name)
{
	struct vfsmount *mnt = mbx_instance_mount();
	struct dentry *dentry;
	struct mailbox *mb;
	int ret = 0;

	if (IS_ERR(mnt))
		return PTR_ERR(mnt);
	dentry = mbx_lookup(name, mnt->mnt_root);
	if (IS_ERR(dentry))
		return PTR_ERR(dentry);
	mb = mbx_mailbox_of(d_inode(dentry));
	if (!mbx_mailbox_owned(mb) &&
	    !inode_owner_or_capable(mbx_nop_idmap, &mb->inode))
		ret = -EACCES;
	else
		ret = remove_name(dentry);
	dput(dentry);
	return ret;
}

/**
 * mbx_fs_init() - tell what handles do
 * @queue: the file operations of handles of queues
 * @ring: the file operations of handles of rings
 */
void __init mbx_fs_init(const struct file_operations *queue,
			const struct file_operations *ring)
{
	queue_fops = queue;
	ring_fops = ring;
}
