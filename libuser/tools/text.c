// SPDX-License-Identifier: GPL-2.0-only
/* Names as text, for people and for JSON. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "text.h"

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
	/* C0, DEL and C1 control characters; line and direction marks. */
	return code >= 0x20 && (code < 0x7f || code >= 0xa0) && (code < 0x200b || code > 0x200f) &&
	       (code < 0x2028 || code > 0x202e) && (code < 0x2066 || code > 0x2069);
}

/* Prints to @out, or only counts if that is NULL. */
static int print_escaped(FILE *out, const char *text)
{
	const unsigned char *p = (const unsigned char *)text;
	uint32_t code;
	int len, width = 0;

	while (*p) {
		len = utf8_decode(p, &code);
		if (len == 1 && code == '\\') {
			if (out)
				fputs("\\\\", out);
			width += 2;
			p++;
		} else if (len && printable(code)) {
			if (out)
				fwrite(p, 1, len, out);
			width++;
			p += len;
		} else {
			if (out)
				fprintf(out, "\\x%02x", *p);
			width += 4;
			p++;
		}
	}

	return width;
}

int text_width(const char *text)
{
	return print_escaped(NULL, text);
}

void text_print_padded(const char *text, int width)
{
	int used;

	used = print_escaped(stdout, text);
	if (used < width)
		printf("%*s", width - used, "");
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
		else if (code < 0x20 || code == 0x7f)
			printf("\\u%04x", (unsigned int)code);
		else
			fwrite(p, 1, len, stdout);
		p += len;
	}
	putchar('"');
}
