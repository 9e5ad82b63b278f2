// SPDX-License-Identifier: LGPL-2.1-or-later
/* Direct links: a handle like others, opened by naming a process. */
#include "internal.h"

MBOX_API struct mbox *mbox_direct(pid_t peer, int oflags)
{
	struct mbox_direct arg = { .pid = peer, .oflags = oflags };

	return mbox__handle_from_control(MBOX_IOC_DIRECT, &arg);
}
