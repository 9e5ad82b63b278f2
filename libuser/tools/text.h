/* SPDX-License-Identifier: GPL-2.0-only */
/* Text from others: bytes that may be anything but NUL. */
#ifndef MBOXCTL_TEXT_H
#define MBOXCTL_TEXT_H

#include <stdbool.h>
#include <stdio.h>

/*
 * Reads the locale. Where it names a character set that is not UTF-8, only ASCII
 * is printable: a byte of a UTF-8 character can be a control character there.
 */
void text_init(void);

/*
 * For people: printable UTF-8 as it is; backslashes doubled; every other byte
 * as \xNN, so that no text can send control sequences to a terminal. All output
 * of mboxctl that is not a message goes through here or text_print_json().
 */
void text_print(FILE *out, const char *text);
/* The same, and every byte that is not ASCII as \xNN. */
void text_print_ascii(FILE *out, const char *text);
/* As text_print(), and a blank as \x20: one text is one word. */
void text_print_word(FILE *out, const char *text);
/* What the kernel has escaped: printable UTF-8 in it is decoded again. */
void text_print_fields(FILE *out, const char *text);

int text_width(const char *text);
void text_print_padded(const char *text, int width);
/* In exactly @width columns: a longer text ends with a mark that there is more. */
void text_print_cut(const char *text, int width);
/* Whether characters other than ASCII can be printed. */
bool text_has_utf8(void);

/*
 * As a JSON string. A byte that is not part of valid UTF-8 has no place in one;
 * it becomes the lone surrogate U+DC80 + (byte - 0x80), from which Python's
 * "surrogateescape" gets it back.
 */
void text_print_json(const char *text);

/*
 * In a label of Prometheus, whose text is UTF-8: a byte that is not part of it becomes
 * U+FFFD.
 */
void text_print_label(const char *text);

#endif /* MBOXCTL_TEXT_H */
