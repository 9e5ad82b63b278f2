// SPDX-License-Identifier: GPL-2.0-only
/*
 * Handles: open mailboxes, from the open to the last close. What has a path is opened by
 * the kernel, which calls mbx_handle_open(). A handle of something without a path is made
 * in two steps: it is prepared, and then published or aborted. All that can fail happens
 * before a process can use the handle. The file operations are in a layer above this
 * file, so the caller passes them. The lock of handle.outlet is taken here only to set
 * handle.polling.
 */
#include <linux/file.h>
#include <linux/mount.h>
#include <linux/slab.h>

#include "ack.h"
#include "compat.h"
#include "fs.h"
#include "handle.h"
#include "notify.h"

/* Every open mailbox has one, of a size just above one that kmalloc() has. */
static struct kmem_cache *handle_cache;

/*
 * Allocate what a handle needs to be polled, when it is polled first: most handles
 * never are. poll(2) has no way to fail here, so the allocation must not fail.
 */
struct polling *mbx_start_polling(struct handle *handle)
{
	unsigned int i, n = handle->mb == handle->outlet.to ? 1 : 2;
	struct polling *new, *old;

	/* Pairs with the release below. */
	old = smp_load_acquire(&handle->polling);
	if (old)
		return old;
	new = kzalloc(struct_size(new, pollers, n),
		      GFP_KERNEL_ACCOUNT | __GFP_NOFAIL);
	for (i = 0; i < n; i++)
		mbx_poller_init(&new->pollers[i]);
	mbx_want_init(&new->want, &new->pollers[n - 1].queue, NULL);
	spin_lock(&handle->outlet.lock);
	old = handle->polling;
	if (!old) {
		/* Pairs with the acquire above. */
		smp_store_release(&handle->polling, new);
		if (handle->started)
			mbx_started_polled(handle->started, &new->pollers[n - 1]);
	}
	spin_unlock(&handle->outlet.lock);
	if (!old)
		return new;
	kfree(new);
	return old;
}

/**
 * mbx_handle_started() - the calls that were started with a handle
 * @handle: the handle
 *
 * Most handles never have any, so this is made when it is first asked for.
 *
 * Context: Process context, may sleep.
 * Return: the object, which lives as long as the handle, or NULL if there is no memory.
 */
struct mbx_started *mbx_handle_started(struct handle *handle)
{
	unsigned int n = handle->mb == handle->outlet.to ? 1 : 2;
	struct mbx_started *new, *old;

	/* Pairs with the release below. */
	old = smp_load_acquire(&handle->started);
	if (old)
		return old;
	new = mbx_started_new();
	if (!new)
		return NULL;
	spin_lock(&handle->outlet.lock);
	old = handle->started;
	if (!old) {
		if (handle->polling)
			mbx_started_polled(new, &handle->polling->pollers[n - 1]);
		/* Pairs with the acquire above, and with that of poll. */
		smp_store_release(&handle->started, new);
	}
	spin_unlock(&handle->outlet.lock);
	if (!old)
		return new;
	mbx_started_put(new);
	return old;
}

/* Free what mbx_start_polling() allocated. The handle is not polled any more. */
static void stop_polling(struct handle *handle)
{
	struct polling *polling = handle->polling;

	if (!polling)
		return;
	mbx_want_cancel(&polling->want);
	mbx_poller_leave(handle->mb, &polling->pollers[0]);
	if (handle->mb != handle->outlet.to)
		mbx_poller_leave(handle->outlet.to, &polling->pollers[1]);
	kfree_rcu(polling, rcu);
}

/**
 * mbx_handle_free() - release a handle and all that it holds
 * @handle: the handle; no other thread uses it
 */
void mbx_handle_free(struct handle *handle)
{
	struct mbx_sender *sender = rcu_dereference_protected(handle->outlet.sender, true);

	if (sender)
		mbx_sender_put(sender);
	/* First: the requests among them are put back, and their callers go on waiting. */
	mbx_leases_shutdown(handle->mb, &handle->tokens.leases);
	mbx_tokens_shutdown(handle->mb, &handle->tokens);
	mbx_parked_shutdown(handle->outlet.to, &handle->parked);
	if (handle->started)
		mbx_started_shutdown(handle->outlet.to, handle->started);
	mbx_registration_release(handle->mb, &handle->reader);
	stop_polling(handle);
	if (handle->endpoint)
		mbx_direct_close(handle->endpoint);
	else
		mbx_mailbox_detach(handle->mb, handle->rights,
				   &handle->reader);
	kmem_cache_free(handle_cache, handle);
}

static struct handle *handle_alloc(struct mailbox *from, struct mailbox *to,
				   unsigned int rights)
{
	struct handle *handle = kmem_cache_zalloc(handle_cache, GFP_KERNEL);

	if (!handle)
		return NULL;
	handle->mb = from;
	handle->outlet.to = to;
	handle->rights = rights;
	handle->outlet.privileged = mbx_unlimited();
	spin_lock_init(&handle->outlet.lock);
	return handle;
}

/* A new handle that counts at its mailbox, or an error. */
static struct handle *handle_attach(struct mailbox *mb, unsigned int rights)
{
	struct handle *handle = handle_alloc(mb, mb, rights);
	int ret;

	if (!handle)
		return ERR_PTR(-ENOMEM);
	ret = mbx_mailbox_attach(mb, rights, &handle->reader);
	if (!ret)
		return handle;
	kmem_cache_free(handle_cache, handle);
	return ERR_PTR(ret);
}

/*
 * Make a file a handle.
 *
 * Every participant of a ring maps some regions for reading and some for writing.
 * mmap(2) allows this only for files that were opened for both. The rights of the handle
 * limit what it may do, and F_GETFL shows them.
 */
static void set_up(struct file *file, struct handle *handle)
{
	file->private_data = handle;
	stream_open(NULL, file);
	if (handle->mb->ring)
		file->f_mode |= FMODE_READ | FMODE_WRITE;
	else
		/* Reading and writing support IOCB_NOWAIT. */
		file->f_mode |= FMODE_NOWAIT;
	mbx_file_no_events(file);
}

/**
 * mbx_handle_open() - make the file that is being opened a handle
 * @mb: the mailbox
 * @file: the file
 *
 * Context: Process context, may sleep.
 * Return: 0, or -EINVAL, -EROFS, -EIDRM, -ENOMEM.
 */
int mbx_handle_open(struct mailbox *mb, struct file *file)
{
	unsigned int rights = 0;
	struct handle *handle;

	if (file->f_mode & FMODE_READ)
		rights |= MBX_MAY_RECV;
	if (file->f_mode & FMODE_WRITE)
		rights |= MBX_MAY_SEND;
	if ((!rights && !mbx_fs_creates()) || file->f_flags & O_DIRECT)
		return -EINVAL;
	/* For FIFOs, the kernel does not check this. */
	if (rights & MBX_MAY_SEND && __mnt_is_readonly(file->f_path.mnt))
		return -EROFS;
	handle = handle_attach(mb, rights);
	if (IS_ERR(handle))
		return PTR_ERR(handle);
	mbx_mailbox_arrived(mb, rights);
	/* The kernel counts files that are open for reading only. */
	if (mb->ring && rights == MBX_MAY_RECV)
		i_readcount_dec(file_inode(file));
	set_up(file, handle);
	return 0;
}

static struct file *new_file(struct handle *handle, struct vfsmount *mnt,
			     const struct file_operations *fops,
			     unsigned int oflags)
{
	unsigned int mode = handle->mb->ring ? O_RDWR : oflags & O_ACCMODE;
	struct file *file;

	file = mbx_fs_file(handle->mb, mnt, fops, mode | (oflags & O_NONBLOCK));
	if (IS_ERR(file))
		return file;
	file->f_flags = (file->f_flags & ~O_ACCMODE) | (oflags & O_ACCMODE);
	set_up(file, handle);
	return file;
}

/* Give a handle a descriptor and a file. If this fails, the handle is freed. */
static int finish(struct handle *handle, struct vfsmount *mnt,
		  const struct file_operations *fops, unsigned int oflags,
		  struct mbx_new_handle *new)
{
	int ret;

	ret = get_unused_fd_flags(oflags & O_CLOEXEC);
	if (ret < 0)
		goto err_free_handle;
	new->fd = ret;
	new->file = new_file(handle, mnt, fops, oflags);
	if (IS_ERR(new->file)) {
		ret = PTR_ERR(new->file);
		goto err_put_fd;
	}
	return 0;

err_put_fd:
	put_unused_fd(new->fd);
err_free_handle:
	mbx_handle_free(handle);
	return ret;
}

/**
 * mbx_handle_prepare() - make a handle
 * @mb: the mailbox
 * @mnt: the mount of its network namespace
 * @fops: operations of the handle's file
 * @oflags: O_ACCMODE, O_NONBLOCK, O_CLOEXEC
 * @rights: what the access mode means
 * @new: out: to be published or aborted
 *
 * Context: Process context, may sleep.
 * Return: 0, or -EIDRM, -EMFILE, -ENFILE, -ENOMEM.
 */
int mbx_handle_prepare(struct mailbox *mb, struct vfsmount *mnt,
		       const struct file_operations *fops, unsigned int oflags,
		       unsigned int rights,
		       struct mbx_new_handle *new)
{
	struct handle *handle = handle_attach(mb, rights);

	if (IS_ERR(handle))
		return PTR_ERR(handle);
	return finish(handle, mnt, fops, oflags, new);
}

/**
 * mbx_handle_prepare_direct() - make a handle of a direct link
 * @endpoint: the endpoint of the caller, with a count for the handle; the count is
 *	taken over even if this fails
 * @fops: operations of the handle's file
 * @oflags: O_ACCMODE, O_NONBLOCK, O_CLOEXEC
 * @rights: what the access mode means
 * @new: out: to be published or aborted
 *
 * Context: Process context, may sleep.
 * Return: 0, or -EMFILE, -ENFILE, -ENOMEM.
 */
int mbx_handle_prepare_direct(struct mbx_endpoint *endpoint,
			      const struct file_operations *fops,
			      unsigned int oflags, unsigned int rights,
			      struct mbx_new_handle *new)
{
	struct handle *handle;

	handle = handle_alloc(mbx_direct_from(endpoint), mbx_direct_to(endpoint),
			      rights);
	if (!handle) {
		mbx_direct_close(endpoint);
		return -ENOMEM;
	}
	handle->endpoint = endpoint;
	return finish(handle, mbx_direct_mount(endpoint), fops, oflags, new);
}

/**
 * mbx_handle_publish() - install the descriptor of a prepared handle
 * @new: the handle
 *
 * Return: the descriptor.
 */
int mbx_handle_publish(struct mbx_new_handle *new)
{
	struct handle *handle = new->file->private_data;

	if (!handle->endpoint)
		mbx_mailbox_arrived(handle->mb, handle->rights);
	fd_install(new->fd, new->file);
	return new->fd;
}

/**
 * mbx_handle_abort() - undo mbx_handle_prepare()
 * @new: the handle
 */
void mbx_handle_abort(struct mbx_new_handle *new)
{
	put_unused_fd(new->fd);
	fput(new->file);
}

int __init mbx_handle_init(void)
{
	handle_cache = kmem_cache_create("mbox_handle", sizeof(struct handle), 0,
					 SLAB_ACCOUNT, NULL);
	return handle_cache ? 0 : -ENOMEM;
}

void mbx_handle_exit(void)
{
	kmem_cache_destroy(handle_cache);
}
