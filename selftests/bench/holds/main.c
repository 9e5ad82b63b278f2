// SPDX-License-Identifier: GPL-2.0-only
/* One state after the other. */
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "holds.h"

#define LEAST 16

unsigned int nwaiters = 10000, nmessages = 100000, npeekers = 3000, nreaders = 1000,
	     nmappings = 1000;
struct current s;

static const struct state *const states[] = {
	message_states,
	waiter_states,
	caller_states,
	peeker_states,
	reader_states,
	ring_states,
	mailbox_states,
};

/* Leaves nothing behind. */
static void end_state(void)
{
	unsigned int i;

	if (s.mb)
		OPERATION("destroy", mbox_destroy(s.mb));
	await_workers();
	for (i = 0; i < s.nhandles; i++)
		mbox_close(s.handles[i]);
	free(s.handles);
	mbox_close(s.mb);
	memset(&s, 0, sizeof(s));
}

static void run_state(const struct state *state)
{
	uint64_t started = soon();

	s.state = state;
	state->prepare();
	quiet();
	if (!state->only)
		every_operation();
	if (state->then)
		state->then();
	end_state();
	printf("state %s: %.3f s\n", state->name, (soon() - started) / 1e9);
	fflush(stdout);
}

static void raise_limits(void)
{
	struct rlimit many = { .rlim_cur = 65536, .rlim_max = 65536 };

	if (setrlimit(RLIMIT_NOFILE, &many))
		err(1, "RLIMIT_NOFILE");
}

static unsigned int number(const char *text)
{
	unsigned long n = strtoul(text, NULL, 10);

	if (n < LEAST || n > 1000000)
		errx(2, "%s: %d to 1000000", text, LEAST);

	return n;
}

/* Each of them divided, as far as possible. */
static void divide(unsigned int by)
{
	unsigned int *const all[] = { &nwaiters, &nmessages, &npeekers, &nreaders, &nmappings };
	size_t i;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		*all[i] = *all[i] / by > LEAST ? *all[i] / by : LEAST;
}

/* All, if there are no names. */
static bool chosen(const char *name, char **names)
{
	if (!*names)
		return true;
	for (; *names; names++)
		if (!strcmp(*names, name))
			return true;
	return false;
}

int main(int argc, char **argv)
{
	const struct state *state;
	int opt, part = -1, n = 0;
	unsigned int by = 1;
	size_t i;

	while ((opt = getopt(argc, argv, "P:d:w:m:p:r:M:")) != -1) {
		switch (opt) {
		case 'P':
			part = atoi(optarg);
			break;
		case 'd':
			by *= atoi(optarg);
			break;
		case 'w':
			nwaiters = number(optarg);
			break;
		case 'm':
			nmessages = number(optarg);
			break;
		case 'p':
			npeekers = number(optarg);
			break;
		case 'r':
			nreaders = number(optarg);
			break;
		case 'M':
			nmappings = number(optarg);
			break;
		default:
			return 2;
		}
	}
	if (!by)
		return 2;
	divide(by);
	raise_limits();
	show_symbols();
	start_workers();
	for (i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		for (state = states[i]; state->name; state++, n++)
			if ((part < 0 || n % 2 == part) && chosen(state->name, argv + optind))
				run_state(state);
	}
	printf("end\n");
	fflush(stdout);

	/* The workers end with the process. */
	return 0;
}
