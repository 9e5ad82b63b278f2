/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Mailboxes as files.
 */
#ifndef MBX_FS_H
#define MBX_FS_H

#include <linux/dcache.h>
#include <linux/fs.h>

struct mailbox;
struct mbox_attr;
struct mbox_options;
struct vfsmount;

/* "mbox", as statfs(2) shows it. */
#define MBX_FS_MAGIC 0x6d626f78

/* Whether a file is a handle, or another descriptor of a mailbox. */
static inline bool mbx_is_fs_file(const struct inode *inode)
{
	return inode->i_sb->s_magic == MBX_FS_MAGIC &&
	       S_ISFIFO(inode->i_mode);
}

extern const struct inode_operations mbx_dir_iops;

struct file *mbx_fs_create(const char *name, const struct mbox_attr *attr,
			   const struct mbox_options *options, unsigned int oflags);
bool mbx_fs_creates(void);
struct mailbox *mbx_fs_anonymous(struct vfsmount *mnt,
				 const struct mbox_attr *attr,
				 const struct mbox_options *options);
struct file *mbx_fs_open(const char *name, unsigned int oflags);
struct file *mbx_fs_reopen(struct mailbox *mb, unsigned int oflags);
struct file *mbx_fs_file(struct mailbox *mb, struct vfsmount *mnt,
			 const struct file_operations *fops, unsigned int oflags);
int mbx_fs_may(struct mailbox *mb, unsigned int rights);
int mbx_fs_unlink(const char *name);
void mbx_fs_forget(struct mailbox *mb);
void mbx_fs_forget_soon(struct mailbox *mb);
bool mbx_fs_try_forget(struct mailbox *mb);
void mbx_fs_forget_late(struct inode *dir, int n);
bool mbx_fs_name(struct mailbox *mb, struct name_snapshot *name);

void mbx_fs_init(const struct file_operations *queue,
		 const struct file_operations *ring);

#endif /* MBX_FS_H */
