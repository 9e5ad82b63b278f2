/* SPDX-License-Identifier: GPL-2.0-only */
/* Where messages are written, and whether that can succeed. */
#ifndef MBOXCTL_OUTPUT_H
#define MBOXCTL_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/*
 * Checks what can be checked of a write of @len bytes before there is anything to
 * lose: the file system has the room, which is reserved, a pipe has a reader, a
 * device takes data. Returns false and sets errno.
 */
bool output_ready(FILE *output, size_t len);

/* Whether @len of output_ready() matters: the output is a file. */
bool output_is_file(FILE *output);

/*
 * From now on a call that waits fails with EINTR once @output is a pipe or a socket
 * that nobody reads any more. Returns false and sets errno.
 */
bool output_watch(FILE *output);
/* That has happened. */
bool output_gone(void);

#endif /* MBOXCTL_OUTPUT_H */
