/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The ioctls of handles.
 */
#ifndef MBX_HANDLE_IOCTL_H
#define MBX_HANDLE_IOCTL_H

#include <linux/mbox.h>

struct file;

#define MBX_SEND_FLAGS (MBOX_DONTWAIT | MBOX_REALTIME | MBOX_SYNC | MBOX_NORESTART)
#define MBX_RECV_FLAGS (MBOX_DONTWAIT | MBOX_REALTIME | MBOX_PEEK | MBOX_LEASE | \
			MBOX_TRUNC | MBOX_MATCH | MBOX_MATCH_NOT | \
			MBOX_MATCH_LE | MBOX_LONGEST | MBOX_NORESTART)

long mbx_handle_ioctl(struct file *file, unsigned int cmd, unsigned long arg);
long mbx_direct_ioctl(struct file *file, unsigned int cmd, unsigned long arg);
long mbx_ring_ioctl(struct file *file, unsigned int cmd, unsigned long arg);

#endif /* MBX_HANDLE_IOCTL_H */
