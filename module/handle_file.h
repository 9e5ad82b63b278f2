/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The file operations of handles.
 */
#ifndef MBX_HANDLE_FILE_H
#define MBX_HANDLE_FILE_H

#include <linux/fs.h>

#include "mailbox.h"

extern const struct file_operations mbx_handle_fops;
extern const struct file_operations mbx_direct_fops;
extern const struct file_operations mbx_ring_fops;

/* The operations for handles of a mailbox that is not part of a direct link. */
static inline const struct file_operations *
mbx_mailbox_fops(const struct mailbox *mb)
{
	return mb->ring ? &mbx_ring_fops : &mbx_handle_fops;
}

#endif /* MBX_HANDLE_FILE_H */
