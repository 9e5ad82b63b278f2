// SPDX-License-Identifier: GPL-2.0-only
/*
 * Access control lists of mailboxes and of the directory.
 *
 * A list is in the inode, where the kernel looks for it when it checks a permission. The
 * file system is in memory, so there is no other copy. The directory can also have a
 * default list, which new mailboxes inherit.
 *
 * The kernel allocates what a caller sets without charging anybody. So what is kept is a
 * copy that is charged to the memory cgroup of the caller. The number of entries is
 * limited: a permission check compares them one by one.
 */
#include <linux/fs.h>
#include <linux/limits.h>
#include <linux/posix_acl.h>
#include <linux/string.h>
#include <linux/xattr.h>

#include "acl.h"
#include "compat.h"

#define MAX_ENTRIES 64

/* A charged copy of a list, or an error. */
static struct posix_acl *copy(const struct posix_acl *acl)
{
	struct posix_acl *new;

	if (acl->a_count > MAX_ENTRIES)
		return ERR_PTR(-E2BIG);
	new = posix_acl_clone(acl, GFP_KERNEL_ACCOUNT);
	return new ? new : ERR_PTR(-ENOMEM);
}

/**
 * mbx_acl_set() - set or remove a list
 * @idmap: the mapping of the mount
 * @target: whose list; the caller has checked who may change it
 * @acl: the list, already checked; NULL: none
 * @type: ACL_TYPE_ACCESS, or ACL_TYPE_DEFAULT of the directory
 *
 * Return: 0, or -E2BIG, -ENOMEM.
 */
int mbx_acl_set(struct mbx_idmap *idmap, struct mbx_acl_target *target,
		struct posix_acl *acl, int type)
{
	struct inode *inode = mbx_acl_inode(target);
	umode_t mode = inode->i_mode;
	int ret;

	if (type == ACL_TYPE_ACCESS) {
		ret = posix_acl_update_mode(idmap, inode, &mode, &acl);
		if (ret)
			return ret;
	}
	if (acl) {
		acl = copy(acl);
		if (IS_ERR(acl))
			return PTR_ERR(acl);
	}
	inode->i_mode = mode;
	mbx_inode_changed(inode);
	set_cached_acl(inode, type, acl);
	posix_acl_release(acl);
	return 0;
}

/**
 * mbx_acl_list() - list the names of extended attributes
 * @dentry: whose
 * @buffer: out: the names, each with its NUL; NULL: only find out the length
 * @size: size of @buffer
 *
 * Return: the length, or -ERANGE.
 */
ssize_t mbx_acl_list(struct dentry *dentry, char *buffer, size_t size)
{
	const struct inode *inode = d_inode(dentry);
	const char *const names[] = {
		READ_ONCE(inode->i_acl) ? XATTR_NAME_POSIX_ACL_ACCESS : NULL,
		READ_ONCE(inode->i_default_acl) ? XATTR_NAME_POSIX_ACL_DEFAULT : NULL,
	};
	ssize_t done = mbx_list_labels(d_inode(dentry), buffer, size);
	unsigned int i;
	size_t len;

	if (done < 0)
		return done;
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		if (!names[i])
			continue;
		len = strlen(names[i]) + 1;
		if (buffer && done + len > size)
			return -ERANGE;
		if (buffer)
			memcpy(buffer + done, names[i], len);
		done += len;
	}
	return done;
}

/**
 * mbx_acl_inherit() - what a new mailbox inherits from the directory
 * @dir: the directory
 * @mode: the mode of the mailbox; without a default list, the umask is applied
 * @acl: out: its list, for mbx_acl_init(); NULL: none
 *
 * Return: 0, or -ENOMEM.
 */
int mbx_acl_inherit(struct inode *dir, umode_t *mode, struct posix_acl **acl)
{
	struct posix_acl *unused, *inherited;
	int ret;

	ret = posix_acl_create(dir, mode, &unused, &inherited);
	*acl = NULL;
	if (ret || !inherited)
		return ret;
	*acl = copy(inherited);
	posix_acl_release(inherited);
	return PTR_ERR_OR_ZERO(*acl);
}

/**
 * mbx_acl_init() - give a new inode its list
 * @inode: the inode
 * @acl: the list, whose reference it takes over; NULL: none
 */
void mbx_acl_init(struct inode *inode, struct posix_acl *acl)
{
	cache_no_acl(inode);
	inode->i_acl = acl;
}

/**
 * mbx_acl_enable() - let an instance have lists
 * @sb: its super block, without inodes
 */
void mbx_acl_enable(struct super_block *sb)
{
	sb->s_flags |= SB_POSIXACL;
	mbx_serve_acls(sb);
}
