/* SPDX-License-Identifier: GPL-2.0-only */
/* What the parts of the demonstration share. */
#ifndef MBOX_DEMO_H
#define MBOX_DEMO_H

#include <mbox.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

/* Nothing here takes that long, even where everything is 20 times slower. */
#define PATIENCE_MS 20000

/* Milliseconds of CLOCK_MONOTONIC. */
int64_t now_ms(void);
void pause_ms(int ms);

/* Ends the demonstration unless what it was about to show is true. */
#define CHECK(condition) check((condition), __FILE__, __LINE__, #condition)
void check(bool good, const char *file, int line, const char *condition);

/* A new step: what it shows, and why somebody wants that. */
void step(const char *title, const char *why);

/* A line of what was seen. */
#define saw(...) \
	do { \
		printf("    " __VA_ARGS__); \
		putchar('\n'); \
		fflush(stdout); \
	} while (0)

/* Forks. The child does not outlive a demonstration that failed. */
pid_t begin_child(void);
/* A child that has checked all of its own part exits with 0. */
void end_child(pid_t pid);
void end_killed(pid_t pid);

/* These end the demonstration if they fail. */
struct mbox *create(const char *name, uint32_t capacity);
void send_text(struct mbox *mb, const char *text);
void recv_text(struct mbox *mb, const char *expected);

/* files.c: a mailbox in the shell. */
void show_files(void);
/* work.c: a job whose worker is killed, and calls that do not wait. */
void show_lease(void);
void show_started_calls(void);
/* remote.c: one server, by mailbox and by TCP. */
void show_rpc(void);
/* drop_in.c: a program for POSIX message queues, unmodified. */
void show_drop_in(void);
/* rate.c, the last step: messages per second. */
void show_rates(void);

#endif /* MBOX_DEMO_H */
