// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is to survive the guest: bytes to the debug console of QEMU, which are
 * with the host when the instruction has been executed, whatever happens to the
 * guest's kernel next. They cost no system call.
 */
#include <stdarg.h>
#include <sys/io.h>

#include "fuzz.h"

#define PORT 0xe9

static bool port_open;

void log_to_port(void)
{
	if (ioperm(PORT, 1, 1))
		die("ioperm: %s", strerror(errno));
	port_open = true;
}

static void put(const char *text, size_t len)
{
	if (!port_open)
		return;
	lock(&jobs->log_lock);
	outsb(PORT, text, len);
	unlock(&jobs->log_lock);
}

void log_line(const char *format, ...)
{
	char text[512];
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(text, sizeof(text) - 1, format, args);
	va_end(args);
	len = MIN((size_t)len, sizeof(text) - 2);
	text[len] = '\n';
	put(text, len + 1);
}

void log_program(const char *what, const struct program *p)
{
	static const char digits[] = "0123456789abcdef";
	char text[32 + 2 * PROGRAM_BYTES_MAX];
	uint8_t bytes[PROGRAM_BYTES_MAX];
	size_t len = program_to_bytes(p, bytes);
	size_t i;
	int at;

	at = snprintf(text, 32, "%s ", what);
	for (i = 0; i < len; i++) {
		text[at++] = digits[bytes[i] >> 4];
		text[at++] = digits[bytes[i] & 15];
	}
	text[at++] = '\n';
	put(text, at);
}
