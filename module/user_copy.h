/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Copying payloads, and arguments of ioctls, from and to user space.
 *
 * copy_from_user() and copy_to_user() look up whether the kernel's side of a copy of
 * variable length is within one object (CONFIG_HARDENED_USERCOPY). For a small message
 * this costs more than all the rest of the copy. The callers here copy to and from memory
 * whose length they know. So short copies are made word by word, and
 * longer ones in pieces of constant length, as far as they go.
 */
#ifndef MBX_USER_COPY_H
#define MBX_USER_COPY_H

#include <linux/types.h>

bool mbx_copy_from_user(void *to, const void __user *from, size_t len);
bool mbx_copy_to_user(void __user *to, const void *from, size_t len);

#endif /* MBX_USER_COPY_H */
