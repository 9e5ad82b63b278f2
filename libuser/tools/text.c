// SPDX-License-Identifier: GPL-2.0-only
/* Text from others, for people and for JSON. */
#include <ctype.h>
#include <langinfo.h>
#include <limits.h>
#include <locale.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

/* What print_escaped() does with characters that are harmless. */
#define ESCAPE_BLANKS 1
#define KEEP_BACKSLASHES 2
#define ONLY_ASCII 4

static bool only_ascii;

void text_init(void)
{
	const char *codeset;

	if (!setlocale(LC_CTYPE, ""))
		return;
	codeset = nl_langinfo(CODESET);
	/* The locale "C" says nothing about the terminal. */
	if (!strcmp(codeset, "ANSI_X3.4-1968")) {
		setlocale(LC_CTYPE, "C.UTF-8");
		return;
	}
	only_ascii = strcmp(codeset, "UTF-8");
}

/*
 * The number of bytes of the UTF-8 character at @p and its code point; 0 if it
 * is not valid: cut short, overlong, a surrogate, or beyond Unicode.
 */
static int utf8_decode(const unsigned char *p, uint32_t *code)
{
	static const uint32_t lowest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint32_t value;
	int i, len;

	if (p[0] < 0x80) {
		*code = p[0];
		return 1;
	} else if (p[0] >= 0xc0 && p[0] < 0xe0) {
		len = 2;
		value = p[0] & 0x1f;
	} else if (p[0] >= 0xe0 && p[0] < 0xf0) {
		len = 3;
		value = p[0] & 0x0f;
	} else if (p[0] >= 0xf0 && p[0] < 0xf8) {
		len = 4;
		value = p[0] & 0x07;
	} else {
		return 0;
	}

	/* The terminator is no continuation byte, so this stops at it. */
	for (i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		value = value << 6 | (p[i] & 0x3f);
	}
	if (value < lowest[len] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000))
		return 0;
	*code = value;

	return len;
}

static bool printable(uint32_t code)
{
	/* What is not seen, or turns the direction of what is around it. */
	static const struct {
		uint32_t first, last;
	} hidden[] = {
		{ 0x00, 0x1f },
		{ 0x7f, 0x9f },
		{ 0x61c, 0x61c },
		{ 0x180e, 0x180e },
		{ 0x200b, 0x200f },
		{ 0x2028, 0x202e },
		{ 0x2060, 0x206f },
		{ 0xfeff, 0xfeff },
		{ 0xfff9, 0xfffb },
		{ 0xe0000, 0xe0fff },
	};
	size_t i;

	if (code >= 0x80 && only_ascii)
		return false;
	for (i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++) {
		if (code >= hidden[i].first && code <= hidden[i].last)
			return false;
	}

	return true;
}

/*
 * Prints to @out, or only counts if that is NULL; at most @max columns of it, without a
 * part of what stands for one character.
 */
static int print_upto(FILE *out, const char *text, int how, int max)
{
	const unsigned char *p = (const unsigned char *)text;
	int len, used, width = 0;
	char escaped[8];
	uint32_t code;

	for (; *p; p += len, width += used) {
		len = utf8_decode(p, &code);
		if (len == 1 && code == '\\' && !(how & KEEP_BACKSLASHES)) {
			used = sprintf(escaped, "\\\\");
		} else if (len && printable(code) && !(code == ' ' && how & ESCAPE_BLANKS) &&
			   !(code >= 0x80 && how & ONLY_ASCII)) {
			memcpy(escaped, p, len);
			escaped[len] = '\0';
			used = 1;
		} else {
			used = sprintf(escaped, "\\x%02x", *p);
			len = 1;
		}
		if (used > max - width)
			break;
		if (out)
			fputs(escaped, out);
	}

	return width;
}

static int print_escaped(FILE *out, const char *text, int how)
{
	return print_upto(out, text, how, INT_MAX);
}

void text_print(FILE *out, const char *text)
{
	print_escaped(out, text, 0);
}

void text_print_ascii(FILE *out, const char *text)
{
	print_escaped(out, text, ONLY_ASCII);
}

void text_print_word(FILE *out, const char *text)
{
	print_escaped(out, text, ESCAPE_BLANKS);
}

/* The byte that begins with "\x" at @p, or -1 if there is none. */
static int escaped_byte(const char *p)
{
	unsigned int byte;

	if (p[0] != '\\' || p[1] != 'x' || !isxdigit((unsigned char)p[2]) ||
	    !isxdigit((unsigned char)p[3]) || sscanf(p + 2, "%2x", &byte) != 1)
		return -1;

	return byte;
}

void text_print_fields(FILE *out, const char *text)
{
	char *bytes = malloc(strlen(text) + 1), *to = bytes;
	int byte;

	if (!bytes) {
		print_escaped(out, text, KEEP_BACKSLASHES);
		return;
	}
	while (*text) {
		byte = escaped_byte(text);
		/* ASCII stays escaped: there it has a meaning in the line. */
		if (byte >= 0x80) {
			*to++ = byte;
			text += 4;
		} else {
			*to++ = *text++;
		}
	}
	*to = '\0';
	print_escaped(out, bytes, KEEP_BACKSLASHES);
	free(bytes);
}

int text_width(const char *text)
{
	return print_escaped(NULL, text, 0);
}

void text_print_padded(const char *text, int width)
{
	int used;

	used = print_escaped(stdout, text, 0);
	if (used < width)
		printf("%*s", width - used, "");
}

void text_print_cut(const char *text, int width)
{
	const char *more = only_ascii ? "~" : "…";
	int used;

	if (text_width(text) <= width) {
		text_print_padded(text, width);
		return;
	}
	used = print_upto(stdout, text, 0, width - 1);
	printf("%s%*s", more, width - 1 - used, "");
}

bool text_has_utf8(void)
{
	return !only_ascii;
}

void text_print_json(const char *text)
{
	const unsigned char *p = (const unsigned char *)text;
	uint32_t code;
	int len;

	putchar('"');
	while (*p) {
		len = utf8_decode(p, &code);
		if (!len) {
			printf("\\udc%02x", *p);
			p++;
			continue;
		}
		if (code == '"' || code == '\\')
			printf("\\%c", (int)code);
		else if (code < 0x20 || (code >= 0x7f && code < 0xa0))
			printf("\\u%04x", (unsigned int)code);
		else
			fwrite(p, 1, len, stdout);
		p += len;
	}
	putchar('"');
}

void text_print_label(const char *text)
{
	const unsigned char *p = (const unsigned char *)text;
	uint32_t code;
	int len;

	while (*p) {
		len = utf8_decode(p, &code);
		if (!len) {
			printf("\xef\xbf\xbd");
			p++;
			continue;
		}
		if (code == '"' || code == '\\')
			printf("\\%c", (int)code);
		else if (code == '\n')
			printf("\\n");
		else if (code < 0x20 || (code >= 0x7f && code < 0xa0))
			/* No control sequences for a terminal either. */
			printf("\xef\xbf\xbd");
		else
			fwrite(p, 1, len, stdout);
		p += len;
	}
}
