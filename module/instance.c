// SPDX-License-Identifier: GPL-2.0-only
/*
 * Instances of the file system: super blocks, mounts, and how long they live.
 *
 * Each network namespace has an instance, made when it is first needed. The module holds
 * it by a mount of its own, on which it opens what ioctls ask for. This mount does not
 * keep the network namespace alive. When the namespace ends, the names go and the module
 * drops its mount. What is open or mounted goes on. A work item does this, which never waits
 * for the lock of the directory: a process can hold that for as long as it likes, by reading
 * the directory into memory that does not come.
 *
 * An instance does not keep the module loaded either, unless it is mounted: names do
 * not prevent unloading. Nothing tells a file system that one of its mounts is gone, so
 * a mounted instance is checked once a second. Unloading waits for what remains, which
 * is O_PATH descriptors of handles that are closed.
 */
#include <linux/cred.h>
#include <linux/err.h>
#include <linux/fs_context.h>
#include <linux/fs_parser.h>
#include <linux/mbox.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/mutex.h>
#include <linux/nsproxy.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/user_namespace.h>
#include <linux/workqueue.h>
#include <net/net_namespace.h>

#include "acl.h"
#include "compat.h"
#include "fs.h"
#include "instance.h"
#include "mailbox.h"
#include "namespace.h"

#define ROOT_MODE 01777
/* How long the end of an instance is put off while its directory is locked. */
#define END_AGAIN (HZ / 10 + 1)
/*
 * How many names are removed in one hold of that lock, and how often at once: to remove a
 * name takes long where others have mounted something on it.
 */
#define FORGET_AT_ONCE 2
#define FORGET_TIMES 32

static struct kmem_cache *inode_cache;
/*
 * Ends instances and drops references. Not one of the kernel's queues, so that it can be
 * waited for.
 */
static struct workqueue_struct *end_queue;
/* Makes instances one at a time. */
static DEFINE_MUTEX(instances_mutex);
/* The network namespace of the instance that is being made; under instances_mutex. */
static struct net *mounting;
/* Instances whose super block is not gone yet. */
static atomic_t n_instances = ATOMIC_INIT(0);
/* There has been an instance. */
static bool was_used;

static struct file_system_type fs_type;

/* ---- super blocks ----------------------------------------------------------- */

static struct inode *fs_alloc_inode(struct super_block *sb)
{
	struct mailbox *mb = alloc_inode_sb(sb, inode_cache, GFP_KERNEL);

	if (!mb)
		return NULL;
	memset(mb, 0, offsetof(struct mailbox, inode));
	return &mb->inode;
}

static void fs_free_inode(struct inode *inode)
{
	kmem_cache_free(inode_cache, mbx_mailbox_of(inode));
}

static void fs_evict_inode(struct inode *inode)
{
	clear_inode(inode);
	if (S_ISDIR(inode->i_mode))
		return;
	mbx_namespace_forget(mbx_mailbox_of(inode));
	mbx_mailbox_release(mbx_mailbox_of(inode));
}

static int fs_show_options(struct seq_file *m, struct dentry *root)
{
	struct inode *dir = d_inode(root->d_sb->s_root);
	struct user_namespace *user_ns = root->d_sb->s_user_ns;

	if ((dir->i_mode & 07777) != ROOT_MODE)
		seq_printf(m, ",mode=%o", dir->i_mode & 07777);
	if (!uid_eq(dir->i_uid, GLOBAL_ROOT_UID))
		seq_printf(m, ",uid=%u", from_kuid_munged(user_ns, dir->i_uid));
	if (!gid_eq(dir->i_gid, GLOBAL_ROOT_GID))
		seq_printf(m, ",gid=%u", from_kgid_munged(user_ns, dir->i_gid));
	return 0;
}

static const struct super_operations super_ops = {
	.alloc_inode = fs_alloc_inode,
	.free_inode = fs_free_inode,
	.evict_inode = fs_evict_inode,
	.statfs = simple_statfs,
	.show_options = fs_show_options,
};

static int fill_super(struct super_block *sb, struct fs_context *fc)
{
	kuid_t uid = make_kuid(sb->s_user_ns, 0);
	kgid_t gid = make_kgid(sb->s_user_ns, 0);
	struct inode *dir;

	sb->s_iflags |= SB_I_NOEXEC | SB_I_NODEV;
	sb->s_blocksize = PAGE_SIZE;
	sb->s_blocksize_bits = PAGE_SHIFT;
	sb->s_magic = MBX_FS_MAGIC;
	sb->s_op = &super_ops;
	sb->s_time_gran = 1;
	mbx_acl_enable(sb);

	dir = new_inode(sb);
	if (!dir)
		return -ENOMEM;
	dir->i_ino = MBX_ROOT_INO;
	dir->i_mode = S_IFDIR | ROOT_MODE;
	dir->i_uid = uid_valid(uid) ? uid : GLOBAL_ROOT_UID;
	dir->i_gid = gid_valid(gid) ? gid : GLOBAL_ROOT_GID;
	dir->i_op = &mbx_dir_iops;
	dir->i_fop = &simple_dir_operations;
	set_nlink(dir, 2);
	mbx_inode_init_times(dir);
	mbx_acl_init(dir, NULL);
	sb->s_root = d_make_root(dir);
	return sb->s_root ? 0 : -ENOMEM;
}

/* ---- mounts ------------------------------------------------------------------ */

/**
 * struct options - the options of a mount
 * @given: BIT() of each option that is given
 * @mode: permission bits of the directory
 * @uid: its owner
 * @gid: its group
 */
struct options {
	unsigned int given;
	umode_t mode;
	kuid_t uid;
	kgid_t gid;
};

enum {
	OPT_MODE,
	OPT_UID,
	OPT_GID,
};

static const struct fs_parameter_spec parameters[] = {
	fsparam_u32oct("mode", OPT_MODE),
	fsparam_u32("uid", OPT_UID),
	fsparam_u32("gid", OPT_GID),
	{}
};

static int fs_parse_param(struct fs_context *fc, struct fs_parameter *param)
{
	struct options *options = fc->fs_private;
	struct fs_parse_result result;
	int opt = fs_parse(fc, parameters, param, &result);

	switch (opt) {
	case OPT_MODE:
		if (result.uint_32 & ~07777)
			return invalf(fc, "mbox: bad mode");
		options->mode = result.uint_32;
		break;
	case OPT_UID:
		options->uid = make_kuid(current_user_ns(), result.uint_32);
		if (!uid_valid(options->uid) ||
		    !kuid_has_mapping(fc->user_ns, options->uid))
			return invalf(fc, "mbox: bad uid");
		break;
	case OPT_GID:
		options->gid = make_kgid(current_user_ns(), result.uint_32);
		if (!gid_valid(options->gid) ||
		    !kgid_has_mapping(fc->user_ns, options->gid))
			return invalf(fc, "mbox: bad gid");
		break;
	default:
		return opt;
	}
	options->given |= BIT(opt);
	return 0;
}

/* The lock of the directory is held. */
static int apply(const struct options *options, struct super_block *sb)
{
	struct inode *dir = d_inode(sb->s_root);
	int ret;

	lockdep_assert_held_write(&dir->i_rwsem);
	if (options->given & BIT(OPT_MODE)) {
		ret = mbx_acl_chmod(mbx_nop_idmap, sb->s_root, options->mode);
		if (ret)
			return ret;
		dir->i_mode = S_IFDIR | options->mode;
	}
	if (options->given & BIT(OPT_UID))
		dir->i_uid = options->uid;
	if (options->given & BIT(OPT_GID))
		dir->i_gid = options->gid;
	return 0;
}

/*
 * Apply the options of the first mount. Any other mount waits until that is done, because
 * its process may then change the directory, and is not to be overruled.
 */
static void configure(struct mbx_instance *instance, const struct options *options,
		      struct super_block *sb)
{
	struct inode *dir = d_inode(sb->s_root);

	/* Pairs with the release below. */
	if (smp_load_acquire(&instance->configured))
		return;
	inode_lock(dir);
	if (!instance->configured) {
		/* It cannot fail: the directory has no list of access rights yet. */
		apply(options, sb);
		/* Pairs with the acquire above. */
		smp_store_release(&instance->configured, true);
	}
	inode_unlock(dir);
}

static void unpin(struct work_struct *work)
{
	struct mbx_instance *instance =
		container_of(to_delayed_work(work), struct mbx_instance, unpin);
	bool mounted;

	spin_lock(&instance->lock);
	/* Once the namespace has ended, the end of the super block unpins. */
	mounted = instance->ended ||
		  atomic_read(&instance->mnt->mnt_sb->s_active) > 1;
	if (!mounted) {
		instance->pinned = false;
		module_put(THIS_MODULE);
	} else if (!instance->ended) {
		queue_delayed_work(system_power_efficient_wq, &instance->unpin, HZ);
	}
	spin_unlock(&instance->lock);
}

/* A mount is made: keep the module until it is gone. The caller has a reference. */
static void pin(struct mbx_instance *instance)
{
	spin_lock(&instance->lock);
	if (!instance->pinned) {
		instance->pinned = true;
		__module_get(THIS_MODULE);
		if (!instance->ended)
			queue_delayed_work(system_power_efficient_wq,
					   &instance->unpin, HZ);
	}
	spin_unlock(&instance->lock);
}

/* Remove the names that a network namespace left behind, and drop the mount. */
static void end(struct work_struct *work)
{
	struct mbx_instance *instance =
		container_of(to_delayed_work(work), struct mbx_instance, end);
	struct mailbox *mb;
	bool done;

	while ((mb = mbx_namespace_first(instance))) {
		done = mbx_fs_try_forget(mb);
		if (done)
			mbx_namespace_forget(mb);
		mbx_mailbox_put(mb);
		if (!done) {
			queue_delayed_work(end_queue, &instance->end, END_AGAIN);
			return;
		}
		cond_resched();
	}
	spin_lock(&instance->lock);
	instance->ended = true;
	spin_unlock(&instance->lock);
	kern_unmount(instance->mnt);
}

/* ---- what waits for the lock of the directory ------------------------------------ */

/**
 * struct mbx_late_put - a reference that is dropped without the lock of the directory
 * @node: in mbx_instance.late_puts
 * @mb: the mailbox
 */
struct mbx_late_put {
	struct list_head node;
	struct mailbox *mb;
};

/**
 * mbx_late_ready() - tell that those who had the lock of a directory have unlocked
 * @dir: the directory, which the caller has locked
 *
 * Whoever locks the directory calls this before it adds a put of its own, so that they do not
 * become more and more while others read the directory all the time.
 */
void mbx_late_ready(struct inode *dir)
{
	struct mbx_instance *instance = mbx_instance_of(dir->i_sb);

	lockdep_assert_held_write(&dir->i_rwsem);
	spin_lock(&instance->lock);
	list_splice_tail_init(&instance->late_puts, &instance->ready_puts);
	spin_unlock(&instance->lock);
}

static void drop_ready(struct mbx_instance *instance)
{
	struct mbx_late_put *put, *next;
	LIST_HEAD(ready);

	spin_lock(&instance->lock);
	list_splice_init(&instance->ready_puts, &ready);
	spin_unlock(&instance->lock);
	list_for_each_entry_safe(put, next, &ready, node) {
		mbx_mailbox_put_late(put->mb);
		kfree(put);
		cond_resched();
	}
}

static void late(struct work_struct *work)
{
	struct mbx_instance *instance =
		container_of(to_delayed_work(work), struct mbx_instance, late);
	struct super_block *sb = instance->sb;
	struct inode *dir = d_inode(sb->s_root);
	struct mailbox *mb, *next;
	struct llist_node *node;
	bool locked, again;
	int i = 0;

	do {
		locked = inode_trylock(dir);
		again = !locked;
		if (locked) {
			mbx_late_ready(dir);
			mbx_fs_forget_late(dir, FORGET_AT_ONCE);
			again = !llist_empty(&instance->late_names);
			inode_unlock(dir);
		}
		cond_resched();
	} while (locked && again && ++i < FORGET_TIMES);
	drop_ready(instance);
	node = llist_del_all(&instance->late_done);
	llist_for_each_entry_safe(mb, next, node, late) {
		mbx_mailbox_forgotten(mb);
		cond_resched();
	}
	/* The instance may end with the super block. */
	if (!again || !queue_delayed_work(end_queue, &instance->late, locked ? 1 : END_AGAIN))
		deactivate_super(sb);
}

/* The caller has a reference to the super block. */
static void late_begin(struct mbx_instance *instance)
{
	atomic_inc(&instance->sb->s_active);
	/* By then, the caller has unlocked. */
	if (!queue_delayed_work(end_queue, &instance->late, 1))
		atomic_dec(&instance->sb->s_active);
}

/**
 * mbx_late_put_new() - prepare mbx_late_put()
 *
 * Return: what it takes, or NULL.
 */
struct mbx_late_put *mbx_late_put_new(void)
{
	return kmalloc(sizeof(struct mbx_late_put), GFP_KERNEL_ACCOUNT);
}

/**
 * mbx_late_put() - keep a mailbox until nobody has the lock of the directory
 * @put: of mbx_late_put_new()
 * @mb: the mailbox, of which mailbox.late_put is set; the caller has the lock, and a
 *	reference
 */
void mbx_late_put(struct mbx_late_put *put, struct mailbox *mb)
{
	struct mbx_instance *instance = mbx_instance_of(mb->inode.i_sb);

	ihold(&mb->inode);
	put->mb = mb;
	list_add_tail(&put->node, &instance->late_puts);
	late_begin(instance);
}

/**
 * mbx_late_forget() - remove the name of a mailbox when nobody has the lock of the directory
 * @mb: the mailbox; the caller has a reference, and no id leads to it any more
 *
 * To be called once for a mailbox.
 */
void mbx_late_forget(struct mailbox *mb)
{
	struct mbx_instance *instance = mbx_instance_of(mb->inode.i_sb);

	ihold(&mb->inode);
	llist_add(&mb->late, &instance->late_names);
	late_begin(instance);
}

static struct mbx_instance *new_instance(struct net *net)
{
	struct mbx_instance *instance = kzalloc(sizeof(*instance),
						GFP_KERNEL_ACCOUNT);

	if (!instance)
		return NULL;
	instance->ns = mbx_namespace_of(net);
	instance->ids = RB_ROOT;
	RB_CLEAR_NODE(&instance->left);
	spin_lock_init(&instance->lock);
	INIT_DEFERRABLE_WORK(&instance->unpin, unpin);
	INIT_DELAYED_WORK(&instance->end, end);
	INIT_DELAYED_WORK(&instance->late, late);
	init_llist_head(&instance->late_names);
	init_llist_head(&instance->late_done);
	INIT_LIST_HEAD(&instance->late_puts);
	INIT_LIST_HEAD(&instance->ready_puts);
	return instance;
}

static struct mbx_instance *get_instance(struct net *net);

static int fs_get_tree(struct fs_context *fc)
{
	struct mbx_instance *instance;
	int ret;

	if (fc->sb_flags & SB_KERNMOUNT) {
		instance = new_instance(mounting);
		if (!instance)
			return -ENOMEM;
		fc->s_fs_info = instance;
		ret = get_tree_nodev(fc, fill_super);
		/* The super block took it over unless there is none. */
		if (fc->s_fs_info) {
			fc->s_fs_info = NULL;
			kfree(instance);
		}
		return ret;
	}
	instance = get_instance(fc->net_ns);
	if (IS_ERR(instance))
		return PTR_ERR(instance);
	ret = get_tree_keyed(fc, fill_super, instance);
	fc->s_fs_info = NULL;
	if (!ret) {
		pin(instance);
		configure(instance, fc->fs_private, fc->root->d_sb);
	}
	return ret;
}

static int fs_reconfigure(struct fs_context *fc)
{
	struct super_block *sb = fc->root->d_sb;
	const struct options *options = fc->fs_private;
	struct inode *dir = d_inode(sb->s_root);
	int ret;

	/* A mount is read-only. The instance is not: others use it too. */
	fc->sb_flags_mask &= ~SB_RDONLY;
	if (!options->given)
		return 0;
	/* The caller holds s_umount, for which sync(2) waits: wait for no reader here. */
	if (!inode_trylock(dir))
		return -EBUSY;
	ret = apply(options, sb);
	inode_unlock(dir);
	return ret;
}

static void fs_free(struct fs_context *fc)
{
	kfree(fc->fs_private);
}

static const struct fs_context_operations context_ops = {
	.free = fs_free,
	.parse_param = fs_parse_param,
	.get_tree = fs_get_tree,
	.reconfigure = fs_reconfigure,
};

static int fs_init_context(struct fs_context *fc)
{
	struct options *options;
	struct net *net;

	options = kzalloc(sizeof(*options), GFP_KERNEL_ACCOUNT);
	if (!options)
		return -ENOMEM;
	fc->fs_private = options;
	fc->ops = &context_ops;
	/* The caller of a remount can be in another network namespace. */
	if (fc->purpose != FS_CONTEXT_FOR_MOUNT)
		return 0;
	net = fc->sb_flags & SB_KERNMOUNT ? mounting : fc->net_ns;
	/* Not that of the process: one instance has one user namespace. */
	put_user_ns(fc->user_ns);
	fc->user_ns = get_user_ns(net->user_ns);
	return 0;
}

static void fs_kill_sb(struct super_block *sb)
{
	struct mbx_instance *instance = mbx_instance_of(sb);

	kill_anon_super(sb);
	sb->s_fs_info = NULL;
	if (!instance)
		return;
	mbx_namespace_gone(instance);
	cancel_delayed_work_sync(&instance->unpin);
	if (instance->pinned)
		module_put(THIS_MODULE);
	if (instance->mnt) {
		/* The caller is going to drop what get_instance() gave back. */
		__module_get(THIS_MODULE);
		atomic_dec(&n_instances);
	}
	kfree(instance);
}

static struct file_system_type fs_type = {
	.owner = THIS_MODULE,
	.name = "mbox",
	.init_fs_context = fs_init_context,
	.parameters = parameters,
	.kill_sb = fs_kill_sb,
	.fs_flags = FS_USERNS_MOUNT,
};

/* The instance of a network namespace, which the caller keeps alive. */
static struct mbx_instance *get_instance(struct net *net)
{
	struct mbx_namespace *ns = mbx_namespace_of(net);
	struct mbx_instance *instance;
	struct vfsmount *mnt;

	/* Pairs with the release below. */
	instance = smp_load_acquire(&ns->instance);
	if (likely(instance))
		return instance;
	mutex_lock(&instances_mutex);
	instance = ns->instance;
	if (instance)
		goto out;
	mounting = net;
	mnt = kern_mount(&fs_type);
	mounting = NULL;
	if (IS_ERR(mnt)) {
		instance = ERR_CAST(mnt);
		goto out;
	}
	instance = mbx_instance_of(mnt->mnt_sb);
	instance->sb = mnt->mnt_sb;
	instance->mnt = mnt;
	atomic_inc(&n_instances);
	was_used = true;
	/* The super block has a reference. This mount is not to keep the module. */
	module_put(THIS_MODULE);
	/* Pairs with the acquire above. */
	smp_store_release(&ns->instance, instance);
out:
	mutex_unlock(&instances_mutex);
	return instance;
}

/**
 * mbx_instance_mount() - the mount of the current network namespace
 *
 * Return: the mount without a reference, or -ENOMEM.
 */
struct vfsmount *mbx_instance_mount(void)
{
	struct mbx_instance *instance = get_instance(current->nsproxy->net_ns);

	return IS_ERR(instance) ? ERR_CAST(instance) : instance->mnt;
}

/**
 * mbx_instance_end() - let go of the instance of a network namespace that has ended
 * @instance: the instance, in which no mailbox can be created any more
 */
void mbx_instance_end(struct mbx_instance *instance)
{
	queue_delayed_work(end_queue, &instance->end, 0);
}

/* ---- setting up ------------------------------------------------------------------ */

static void init_once(void *mb)
{
	inode_init_once(&((struct mailbox *)mb)->inode);
}

int __init mbx_instance_init(void)
{
	end_queue = alloc_workqueue("mbox_end", WQ_UNBOUND, 0);
	if (!end_queue)
		return -ENOMEM;
	inode_cache = kmem_cache_create("mbox_mailbox", sizeof(struct mailbox),
					0, SLAB_ACCOUNT, init_once);
	if (inode_cache)
		return 0;
	destroy_workqueue(end_queue);
	return -ENOMEM;
}

/**
 * mbx_instance_register() - let the file system be mounted, and instances be made
 */
int __init mbx_instance_register(void)
{
	return register_filesystem(&fs_type);
}

void mbx_instance_unregister(void)
{
	unregister_filesystem(&fs_type);
}

/**
 * mbx_instance_exit() - undo mbx_instance_init(), after all network namespaces were left
 * @base: what module_refcount() is without any instance: 1 while the module is set up, -1
 *	while it is unloaded
 */
void mbx_instance_exit(int base)
{
	/* Of unmounted instances, O_PATH descriptors can be left. */
	while (atomic_read(&n_instances))
		schedule_timeout_idle(HZ / 100 + 1);
	/*
	 * The kernel drops the reference of a super block after fs_kill_sb(). Nothing refers to
	 * what is a part of the kernel.
	 */
	while (__is_defined(MODULE) && was_used && module_refcount(THIS_MODULE) > base)
		schedule_timeout_idle(1);
	destroy_workqueue(end_queue);
	/* Inodes are freed after a grace period. */
	rcu_barrier();
	kmem_cache_destroy(inode_cache);
}
