// SPDX-License-Identifier: GPL-2.0-only
/*
 * usage: kill [-k KILLS] [-s SEED]
 *
 * Processes send and receive, sleeping as they have to, and one after the other
 * is killed at a random moment; its parent does what the kernel would, and starts
 * another. In memory that they share, each notes what it is about to do and what
 * is done:
 *
 *   sender      the number of a message before ring_send(), and after it returned.
 *               The message in between when it is killed may arrive or not; all
 *               others before it were sent, and must arrive.
 *   receiver    receives into that memory, then sets the message's bit. If it is
 *               killed in between, the message is there, and nowhere else.
 */
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "random.h"
#include "sleep.h"

#define PARTIES_MAX	8
#define MSG_MAX		56
/* Messages of one sender's place; it rests when they are used up. */
#define NUMBERS		(1U << 26)
#define DEAD_MAX	65536
/* A run that gets nowhere for so long hangs. */
#define HANG_SECONDS	30

struct head {
	uint32_t sender;
	uint32_t number;
};

/**
 * struct place - of one participant after the other
 * @begun: sender: number of the message that it sends or has sent last
 * @done: sender: number of the last that it has sent
 * @buf: receiver: what it receives
 * @received: receiver: how many messages
 */
struct place {
	volatile uint32_t begun __attribute__((aligned(128)));
	volatile uint32_t done;
	unsigned char buf[64];
	uint32_t len;
	volatile uint64_t received;
};

static struct shared {
	struct sleepers receivers;
	struct sleepers senders;
	struct place sender[PARTIES_MAX];
	struct place receiver[PARTIES_MAX];
	volatile bool stop_senders;
	volatile bool stop;
} *shared;

static struct memory m;
static uint64_t *arrived[PARTIES_MAX];
static unsigned int n_senders, n_receivers;

/* Messages that may be missing, and those that need not have been sent. */
static struct head taken[DEAD_MAX], doubtful[DEAD_MAX];
static unsigned int n_taken, n_doubtful;

static uint32_t message_make(unsigned char *buf, struct head h)
{
	uint32_t len = sizeof(h) + h.number % (MSG_MAX - sizeof(h) + 1), i;

	memcpy(buf, &h, sizeof(h));
	for (i = sizeof(h); i < len; i++)
		buf[i] = h.sender * 17 + h.number * 3 + i;
	return len;
}

/* Its length, or 0. */
static uint32_t message_is_whole(const unsigned char *buf, struct head *h)
{
	unsigned char want[MSG_MAX];
	uint32_t len;

	memcpy(h, buf, sizeof(*h));
	if (h->sender >= n_senders || !h->number || h->number >= NUMBERS)
		return 0;
	len = message_make(want, *h);
	return memcmp(want, buf, len) ? 0 : len;
}

static bool has_arrived(struct head h)
{
	return arrived[h.sender][h.number / 64] >> h.number % 64 & 1;
}

/* In place, taking its time over it. */
static int send_slowly(struct ring *r, const unsigned char *buf, uint32_t len)
{
	unsigned int i;
	uint64_t pos;
	int result = ring_claim(r, &pos);

	if (result != RING_OK)
		return result;
	for (i = 0; i < 20000; i++)
		__atomic_signal_fence(__ATOMIC_SEQ_CST);
	ring__copy_in(r, ring_payload(r, pos), buf, len);
	ring_commit(r, pos, len);
	return RING_OK;
}

static void sender(unsigned int id, unsigned int owner)
{
	struct place *p = &shared->sender[id];
	unsigned char buf[MSG_MAX];
	uint32_t number, len;
	struct ring r;
	int result;

	memory_join(&m, &r, owner);
	for (number = p->begun + 1; number < NUMBERS && !shared->stop_senders; number++) {
		len = message_make(buf, (struct head){ id, number });
		p->begun = number;
		while ((result = number % 16 ? ring_send(&r, buf, len) :
					       send_slowly(&r, buf, len)) == RING_FULL) {
			if (shared->stop_senders)
				return;
			sleep_wait(&shared->senders, &r, MBOX_RING_SENDERS, 0);
		}
		if (result != RING_OK)
			errx(1, "send: result %d", result);
		p->done = number;
		sleep_tell(&shared->receivers, &r);
	}
}

static void receiver(unsigned int id)
{
	struct place *p = &shared->receiver[id];
	struct ring r;
	struct head h;
	int result;

	memory_join(&m, &r, 0);
	while (!shared->stop) {
		result = ring_receive(&r, p->buf, MSG_MAX, false, &p->len);
		if (result == RING_EMPTY) {
			sleep_wait(&shared->receivers, &r, MBOX_RING_RECEIVERS, 0);
			continue;
		}
		if (result != RING_OK)
			errx(1, "receive: result %d", result);
		if (message_is_whole(p->buf, &h) != p->len)
			errx(1, "a torn message");
		if (__atomic_fetch_or(&arrived[h.sender][h.number / 64], 1ULL << h.number % 64,
				      __ATOMIC_RELAXED) >> h.number % 64 & 1)
			errx(1, "message %u of sender %u twice", h.number, h.sender);
		p->received++;
		sleep_tell(&shared->senders, &r);
		/* A wake-up is passed on. */
		if (ring_has_message(&r))
			sleep_tell(&shared->receivers, &r);
	}
}

static pid_t start(unsigned int i, unsigned int owner)
{
	pid_t child = fork();

	if (child < 0)
		err(1, "fork");
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (i < n_senders)
			sender(i, owner);
		else
			receiver(i - n_senders);
		_exit(0);
	}
	return child;
}

static void wake_all(void)
{
	sleep_wake(&shared->receivers, INT_MAX);
	sleep_wake(&shared->senders, INT_MAX);
}

static void reap(pid_t child, int want)
{
	int status;

	if (waitpid(child, &status, 0) != child || status != want)
		errx(1, "a participant ended with status %#x", status);
}

/* What the dead was doing. */
static void note_death(unsigned int i)
{
	struct place *p;
	struct head h;

	if (n_taken == DEAD_MAX || n_doubtful == DEAD_MAX)
		errx(2, "too many kills");
	if (i < n_senders) {
		p = &shared->sender[i];
		if (p->begun != p->done)
			doubtful[n_doubtful++] = (struct head){ i, p->begun };
		/* The next one starts after it. */
		p->done = p->begun;
	} else {
		p = &shared->receiver[i - n_senders];
		/* Its length is stored last. */
		if (message_is_whole(p->buf, &h) && !has_arrived(h))
			taken[n_taken++] = h;
	}
}

static bool among(const struct head *list, unsigned int n, struct head h)
{
	while (n--)
		if (list[n].sender == h.sender && list[n].number == h.number)
			return true;
	return false;
}

static uint64_t received(void)
{
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < n_receivers; i++)
		sum += shared->receiver[i].received;
	return sum;
}

static void watch(uint64_t *last, time_t *since)
{
	uint64_t now = received();
	unsigned int i;

	if (now != *last) {
		*last = now;
		*since = time(NULL);
	} else if (time(NULL) - *since > HANG_SECONDS) {
		printf("tail %llu, head %llu, sleeping receivers %u, senders %u\n",
		       (unsigned long long)*m.tail, (unsigned long long)*m.head,
		       m.kernel->receivers, m.kernel->senders);
		for (i = 0; i < m.info.slots; i++)
			printf("slot %u: %#llx\n", i, (unsigned long long)memory_slot(&m, i)->word);
		errx(1, "nothing was received for %d seconds", HANG_SECONDS);
	}
}

static void run(uint32_t flags, unsigned int senders, unsigned int receivers,
		uint32_t capacity, unsigned int kills, struct random *rnd)
{
	const size_t bits = NUMBERS / 8;
	unsigned int i, k, owner = 0, in_doubt = 0, lost = 0, abandoned = 0;
	uint64_t last = 0, messages = 0;
	time_t since = time(NULL);
	unsigned int owner_of[2 * PARTIES_MAX];
	pid_t pid[2 * PARTIES_MAX];
	struct timespec delay = { 0 };
	struct head h;

	n_senders = senders;
	n_receivers = receivers;
	n_taken = 0;
	n_doubtful = 0;
	memset(shared, 0, sizeof(*shared));
	memory_make(&m, capacity, MSG_MAX, flags, -100ULL);
	shared->receivers.count = &m.kernel->receivers;
	shared->senders.count = &m.kernel->senders;
	for (i = 0; i < senders; i++) {
		arrived[i] = mmap(NULL, bits, PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (arrived[i] == MAP_FAILED)
			err(1, "mmap");
	}
	for (i = 0; i < senders + receivers; i++) {
		owner_of[i] = ++owner;
		pid[i] = start(i, owner);
	}

	for (k = 0; k < kills; k++) {
		delay.tv_nsec = random_below(rnd, 400000);
		nanosleep(&delay, NULL);
		i = random_below(rnd, senders + receivers);
		kill(pid[i], SIGKILL);
		reap(pid[i], SIGKILL);
		note_death(i);
		if (i < senders)
			abandoned += ring_recover(m.slots, m.info.slots, m.info.stride,
						  owner_of[i]);
		wake_all();
		owner = owner % MBOX_SLOT_OWNER_MAX + 1;
		owner_of[i] = owner;
		pid[i] = start(i, owner);
		watch(&last, &since);
	}

	/* All that is in the ring is received. */
	shared->stop_senders = true;
	for (i = 0; i < senders; i++) {
		while (!waitpid(pid[i], NULL, WNOHANG)) {
			wake_all();
			usleep(1000);
			watch(&last, &since);
		}
	}
	while ((int64_t)(*m.tail - *m.head) > 0) {
		usleep(1000);
		watch(&last, &since);
	}
	shared->stop = true;
	for (i = senders; i < senders + receivers; i++) {
		while (!waitpid(pid[i], NULL, WNOHANG)) {
			wake_all();
			usleep(1000);
		}
	}

	for (i = 0; i < senders; i++) {
		/* The last may have been given up. */
		struct place *p = &shared->sender[i];

		h.sender = i;
		for (h.number = 1; h.number <= p->begun; h.number++) {
			messages += has_arrived(h);
			if (has_arrived(h))
				continue;
			if (among(taken, n_taken, h))
				lost++;
			else if (among(doubtful, n_doubtful, h) || h.number > p->done)
				in_doubt++;
			else
				errx(1, "message %u of sender %u was sent, and is missing",
				     h.number, i);
		}
		for (; h.number < NUMBERS; h.number++)
			if (has_arrived(h))
				errx(1, "message %u of sender %u was not sent", h.number, i);
		munmap(arrived[i], bits);
	}
	memory_free(&m);
	printf("ok: %u x %u, flags %#x, capacity %u: %u kills, %llu messages, %u taken by the dead, %u of %u not sent by them, %u slots abandoned\n",
	       senders, receivers, flags, capacity, kills, (unsigned long long)messages,
	       lost, in_doubt, n_doubtful, abandoned);
}

int main(int argc, char **argv)
{
	unsigned int kills = 10000;
	struct random rnd = { time(NULL) };
	int c;

	while ((c = getopt(argc, argv, "k:s:")) != -1) {
		switch (c) {
		case 'k':
			kills = strtoul(optarg, NULL, 0);
			break;
		case 's':
			rnd.state = strtoull(optarg, NULL, 0);
			break;
		default:
			return 2;
		}
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("seed %llu\n", (unsigned long long)rnd.state);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		err(1, "mmap");
	run(0, 3, 3, 5, kills * 4 / 10, &rnd);
	run(0, 4, 2, 64, kills * 2 / 10, &rnd);
	run(MBOX_ONE_SENDER, 1, 3, 5, kills / 10, &rnd);
	run(MBOX_ONE_RECEIVER, 3, 1, 5, kills / 10, &rnd);
	run(MBOX_ONE_SENDER | MBOX_ONE_RECEIVER, 1, 1, 4, kills / 10, &rnd);
	run(MBOX_ONE_SENDER | MBOX_ONE_RECEIVER, 1, 1, 64, kills / 10, &rnd);
	return 0;
}
