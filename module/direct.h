/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Direct links: one for each pair of processes.
 */
#ifndef MBX_DIRECT_H
#define MBX_DIRECT_H

#include <linux/types.h>

struct mailbox;
struct vfsmount;
struct mbx_endpoint;
struct pid_namespace;

struct mbx_endpoint *mbx_direct_open(pid_t nr);
void mbx_direct_opened(struct mbx_endpoint *endpoint);
void mbx_direct_close(struct mbx_endpoint *endpoint);

bool mbx_direct_is_mine(const struct mbx_endpoint *endpoint);
struct mailbox *mbx_direct_from(const struct mbx_endpoint *endpoint);
struct vfsmount *mbx_direct_mount(const struct mbx_endpoint *endpoint);
struct mailbox *mbx_direct_to(const struct mbx_endpoint *endpoint);
pid_t mbx_direct_peer(const struct mbx_endpoint *endpoint, struct pid_namespace *ns);
int mbx_direct_set_capacity(struct mbx_endpoint *endpoint, u32 capacity);
int mbx_direct_destroy(struct mbx_endpoint *endpoint);

#endif /* MBX_DIRECT_H */
