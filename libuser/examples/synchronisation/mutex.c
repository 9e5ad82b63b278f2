// SPDX-License-Identifier: GPL-2.0-only
/*
 * A mutex whose owner dies: a process that moves money from one account to the other is
 * killed half way. The kernel puts the token back, and the next owner is told, so that
 * it can repair the accounts before it uses them.
 */
#include <signal.h>

#include "example.h"

#define TOTAL 100
#define AMOUNT 30

static char lock[64];
static struct {
	int account[2];
} *bank;

static void move(int is_killed)
{
	struct mbox_mutex *mutex = TRY_NEW(mbox_mutex_open(lock, 0, 0));

	/* [lock] */
	if (TRY(mbox_mutex_lock(mutex, NULL))) {
		say("an owner has died, with %d and %d in the accounts",
		    bank->account[0], bank->account[1]);
		bank->account[1] = TOTAL - bank->account[0];
		TRY(mbox_mutex_consistent(mutex));
	}
	bank->account[0] -= AMOUNT;
	if (is_killed)
		raise(SIGKILL);
	bank->account[1] += AMOUNT;
	TRY(mbox_mutex_unlock(mutex));
	/* [/lock] */
	mbox_mutex_close(mutex);
}

int main(void)
{
	struct mbox_mutex *mutex;
	int status;
	pid_t pid;

	bank = shared_memory(sizeof(*bank));
	bank->account[0] = TOTAL;
	snprintf(lock, sizeof(lock), "mutex-%d", getpid());
	mutex = TRY_NEW(mbox_mutex_open(lock, O_CREAT | O_EXCL, 0600));

	pid = start(move, 1);
	TRY(waitpid(pid, &status, 0));
	start(move, 0);
	join();
	say("now %d and %d are there, %d together", bank->account[0], bank->account[1],
	    bank->account[0] + bank->account[1]);

	mbox_mutex_close(mutex);
	TRY(mbox_unlink(lock));

	return 0;
}
