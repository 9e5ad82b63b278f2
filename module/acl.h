/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Access control lists. A kernel without them answers EOPNOTSUPP.
 */
#ifndef MBX_ACL_H
#define MBX_ACL_H

#include <linux/fs.h>
#include <linux/posix_acl.h>

#include "compat.h"

#ifdef CONFIG_FS_POSIX_ACL

int mbx_acl_set(struct mbx_idmap *idmap, struct mbx_acl_target *target,
		struct posix_acl *acl, int type);
ssize_t mbx_acl_list(struct dentry *dentry, char *buffer, size_t size);
int mbx_acl_inherit(struct inode *dir, umode_t *mode, struct posix_acl **acl);
void mbx_acl_init(struct inode *inode, struct posix_acl *acl);
void mbx_acl_enable(struct super_block *sb);

#else

#define mbx_acl_set NULL
#define mbx_acl_list NULL

static inline int mbx_acl_inherit(struct inode *dir, umode_t *mode,
				  struct posix_acl **acl)
{
	*acl = NULL;
	return 0;
}

static inline void mbx_acl_init(struct inode *inode, struct posix_acl *acl)
{
}

static inline void mbx_acl_enable(struct super_block *sb)
{
}

#endif /* CONFIG_FS_POSIX_ACL */

#endif /* MBX_ACL_H */
