// SPDX-License-Identifier: GPL-2.0-only
/*
 * A pipeline of filters: each reads from the pipe on its left and writes to the one on
 * its right. mbox_pipe() is to mailboxes what pipe(2) is to bytes: whoever has one of
 * its ends can use it, and when all of one side have closed it, the other side learns.
 */
#include <ctype.h>

#include "example.h"

/* [stages] */
/* The pipe into a filter and the pipe out of it. */
struct stage {
	struct mbox *in, *out;
};

/* Receives until all senders are gone. Returns 0 at the end. */
static int next_word(struct stage *stage, char word[64])
{
	ssize_t len = mbox_recv(stage->in, word, 63, 0);

	if (len < 0 && errno == EPIPE)
		return 0;
	word[TRY(len)] = 0;

	return 1;
}

/* [/stages] */
static void give_words(struct stage *stage)
{
	send_text(stage->out, "every");
	send_text(stage->out, "filter");
	send_text(stage->out, "runs");
}

/* [filter] */
static void shout(struct stage *stage)
{
	char word[64], *c;

	while (next_word(stage, word)) {
		for (c = word; *c; c++)
			*c = toupper(*c);
		send_text(stage->out, word);
	}
}

/* [/filter] */
static void count(struct stage *stage)
{
	char word[64], numbered[80];
	int n = 0;

	while (next_word(stage, word)) {
		snprintf(numbered, sizeof(numbered), "%d %s", ++n, word);
		send_text(stage->out, numbered);
	}
}

static void print(struct stage *stage)
{
	char word[64];

	while (next_word(stage, word))
		say("%s", word);
}

/*
 * Begin the filter that reads from @in; returns the pipe that the next one reads from.
 * This process closes what it gave away, or no filter would find the end.
 */
static struct mbox *add_filter(void (*filter)(struct stage *stage), struct mbox *in)
{
	struct mbox *ends[2];
	struct stage stage;

	TRY(mbox_pipe(ends));
	if (TRY(fork()) == 0) {
		mbox_close(ends[0]);
		stage.in = in;
		stage.out = ends[1];
		filter(&stage);
		_exit(0);
	}
	mbox_close(ends[1]);
	mbox_close(in);

	return ends[0];
}

int main(void)
{
	struct mbox *pipe;

	/* [pipeline] */
	pipe = add_filter(give_words, NULL);
	pipe = add_filter(shout, pipe);
	pipe = add_filter(count, pipe);
	pipe = add_filter(print, pipe);
	/* [/pipeline] */
	join();
	mbox_close(pipe);

	return 0;
}
