/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * /dev/mbox.
 */
#ifndef MBX_DEVICE_H
#define MBX_DEVICE_H

int mbx_device_init(void);
void mbx_device_exit(void);

#endif /* MBX_DEVICE_H */
