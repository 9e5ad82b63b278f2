// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mailboxes: order of start and end, and parameters.
 */
#include <linux/module.h>

#include "device.h"
#include "limits.h"
#include "mailbox.h"
#include "namespace.h"
#include "ring.h"

unsigned int mbox_user_mailboxes = 256;
module_param_named(user_mailboxes, mbox_user_mailboxes, uint, 0644);
MODULE_PARM_DESC(user_mailboxes, "mailboxes that a user may have (256)");

unsigned long mbox_user_bytes = 16UL << 20;
module_param_named(user_bytes, mbox_user_bytes, ulong, 0644);
MODULE_PARM_DESC(user_bytes, "bytes that a user may have queued (16 MiB)");

unsigned int mbox_msg_max_limit = 1U << 20;
module_param_named(msg_max_limit, mbox_msg_max_limit, uint, 0644);
MODULE_PARM_DESC(msg_max_limit, "largest msg_max of a new mailbox (1 MiB)");

int mbox_ring_barriers = -1;
module_param_named(ring_barriers, mbox_ring_barriers, int, 0644);
MODULE_PARM_DESC(ring_barriers, "new rings spare their one sender or receiver its fences: 0 no, 1 yes, -1 but in virtual machines (-1)");

static int __init mbox_init(void)
{
	int ret;

	ret = mbox_mailbox_init();
	if (ret)
		return ret;
	ret = mbox_namespace_init();
	if (ret)
		goto err_mailbox;
	ret = mbox_device_init();
	if (ret)
		goto err_namespace;
	return 0;

err_namespace:
	mbox_namespace_exit();
err_mailbox:
	mbox_mailbox_exit();
	return ret;
}

static void __exit mbox_exit(void)
{
	mbox_device_exit();
	mbox_namespace_exit();
	mbox_mailbox_exit();
}

module_init(mbox_init);
module_exit(mbox_exit);

MODULE_DESCRIPTION("Mailboxes");
MODULE_AUTHOR("the mbox authors");
MODULE_LICENSE("GPL");
