/* SPDX-License-Identifier: GPL-2.0-only */
/* What the parts of the demonstration share. */
#ifndef MBOX_DEMO_H
#define MBOX_DEMO_H

#include <stdbool.h>
#include <stdint.h>

/* Milliseconds of CLOCK_MONOTONIC. */
int64_t now_ms(void);

/* Ends the demonstration unless what it was about to show is true. */
#define CHECK(condition) check((condition), __FILE__, __LINE__, #condition)
void check(bool good, const char *file, int line, const char *condition);

/* The last step: messages per second. */
void show_rates(void);

#endif /* MBOX_DEMO_H */
