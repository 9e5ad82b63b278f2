// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Names of queues: "sysv-" and the key, or for IPC_PRIVATE a number that is used once.
 * mboxctl lists queues by them.
 */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sysv.h"

#define PRIVATE "private-"

void sysv__name_of_key(char *name, key_t key)
{
	snprintf(name, SYSV_NAME_SIZE, SYSV_PREFIX "%08x", (unsigned int)key);
}

bool sysv__name_of_private(char *name)
{
	unsigned long long number;

	if (syscall(SYS_getrandom, &number, sizeof(number), 0) != sizeof(number))
		return false;
	snprintf(name, SYSV_NAME_SIZE, SYSV_PREFIX PRIVATE "%016llx", number);

	return true;
}

static bool key_of_name(const char *name, key_t *key)
{
	const size_t skip = sizeof(SYSV_PREFIX) - 1;
	unsigned int number;
	char text[SYSV_NAME_SIZE];

	if (strncmp(name, SYSV_PREFIX, skip))
		return false;
	if (!strncmp(name + skip, PRIVATE, sizeof(PRIVATE) - 1)) {
		*key = IPC_PRIVATE;
		return true;
	}
	if (sscanf(name + skip, "%8x", &number) != 1)
		return false;
	sysv__name_of_key(text, number);
	*key = number;

	return !strcmp(name, text);
}

bool sysv__is_queue(const struct mbox_walk *mailbox, key_t *key)
{
	return mailbox->stat.attr.mode == MBOX_QUEUE && mailbox->id <= INT_MAX &&
	       key_of_name(mailbox->name, key);
}
