/* SPDX-License-Identifier: GPL-2.0-only */
/* Names as text: they are bytes that may hold anything but '/' and NUL. */
#ifndef MBOXCTL_TEXT_H
#define MBOXCTL_TEXT_H

/*
 * For people: printable UTF-8 as it is; backslashes doubled; every other byte
 * as \xNN, so that no name can send control sequences to a terminal.
 */
int text_width(const char *text);
void text_print_padded(const char *text, int width);

/*
 * As a JSON string. A byte that is not part of valid UTF-8 has no place in one;
 * it becomes the lone surrogate U+DC80 + (byte - 0x80), from which Python's
 * "surrogateescape" gets it back.
 */
void text_print_json(const char *text);

#endif /* MBOXCTL_TEXT_H */
