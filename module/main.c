// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mailboxes: the order in which the parts of the module are set up and torn down.
 */
#include <linux/module.h>

#include "call.h"
#include "dead_letter.h"
#include "deferred.h"
#include "device.h"
#include "exchange.h"
#include "entry.h"
#include "fds.h"
#include "fs.h"
#include "handle.h"
#include "handle_file.h"
#include "instance.h"
#include "lease.h"
#include "mailbox.h"
#include "message.h"
#include "namespace.h"

static int __init mbx_init(void)
{
	int ret;

	mbx_deferred_setup(mbx_exchange_more, mbx_bury);
	mbx_message_init();
	ret = mbx_entry_init();
	if (ret)
		return ret;
	ret = mbx_lease_init();
	if (ret)
		goto err_entry;
	ret = mbx_handle_init();
	if (ret)
		goto err_lease;
	mbx_fs_init(&mbx_handle_fops, &mbx_ring_fops);
	ret = mbx_instance_init();
	if (ret)
		goto err_handle;
	ret = mbx_namespace_init();
	if (ret)
		goto err_instance;
	ret = mbx_fds_init();
	if (ret)
		goto err_namespace;
	ret = mbx_parked_init();
	if (ret)
		goto err_fds;
	ret = mbx_instance_register();
	if (ret)
		goto err_parked;
	ret = mbx_device_init();
	if (ret)
		goto err_register;
	return 0;

err_register:
	mbx_instance_unregister();
err_parked:
	mbx_parked_exit();
err_fds:
	mbx_fds_exit();
err_namespace:
	mbx_namespace_exit();
err_instance:
	mbx_instance_exit(1);
err_handle:
	mbx_handle_exit();
err_lease:
	mbx_lease_exit();
err_entry:
	mbx_entry_exit();
	return ret;
}

static void __exit mbx_exit(void)
{
	mbx_device_exit();
	mbx_instance_unregister();
	mbx_parked_exit();
	mbx_fds_exit();
	mbx_namespace_exit();
	mbx_instance_exit(-1);
	mbx_handle_exit();
	mbx_lease_exit();
	mbx_entry_exit();
}

module_init(mbx_init);
module_exit(mbx_exit);

MODULE_DESCRIPTION("Mailboxes");
MODULE_AUTHOR("the mbox authors");
MODULE_VERSION(MBOX_VERSION);
MODULE_LICENSE("GPL");
MODULE_ALIAS_FS("mbox");
