// SPDX-License-Identifier: GPL-2.0-only
/*
 * The module as a whole: load it and unload it so that this is covered too, and
 * its parameters.
 */
#include <fcntl.h>
#include <sys/syscall.h>

#include "fuzz.h"

#define PARAM_DIR "/sys/module/mbox/parameters/"

const char *module_file;

static const char *const names[] = {
	"user_mailboxes", "user_bytes", "msg_max_limit",
};

static unsigned long defaults[ARRAY_SIZE(names)];

bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool good;

	if (fd < 0)
		return false;
	good = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	close(fd);
	return good;
}

void module_load(void)
{
	int fd = open(module_file, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || syscall(SYS_finit_module, fd, "", 0))
		die("%s: %s", module_file, strerror(errno));
	close(fd);
}

void module_unload(void)
{
	unsigned int tries = 0;

	while (syscall(SYS_delete_module, "mbox", O_NONBLOCK)) {
		/* Files and mounts of processes that have just ended. */
		if (errno != EAGAIN && errno != EBUSY)
			die("cannot unload the module: %s", strerror(errno));
		if (++tries == 100) {
			broken("the module stays in use");
			return;
		}
		usleep(50000);
	}
}

/* Mounts keep the module for up to a second after they are gone. */
void module_settle(void)
{
	char text[16] = "";
	unsigned int tries;
	int fd;

	for (tries = 0; tries < 600; tries++) {
		fd = open("/sys/module/mbox/refcnt", O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return;
		text[0] = '\0';
		if (read(fd, text, sizeof(text) - 1) < 0 || !atoi(text))
			tries = 600;
		close(fd);
		usleep(50000);
	}
}

unsigned long module_param_get(unsigned int which)
{
	char path[128], text[32] = "";
	int fd;

	snprintf(path, sizeof(path), PARAM_DIR "%s", names[which]);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
		die("%s: %s", path, strerror(errno));
	close(fd);
	return strtoul(text, NULL, 10);
}

static void set(unsigned int which, unsigned long value)
{
	char path[128], text[32];

	snprintf(path, sizeof(path), PARAM_DIR "%s", names[which]);
	snprintf(text, sizeof(text), "%lu", value);
	/* An unprivileged worker may not. */
	write_file(path, text);
}

void module_params_init(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		defaults[i] = module_param_get(i);
}

void module_params_reset(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		set(i, defaults[i]);
}

void module_set_user_bytes(unsigned long bytes)
{
	set(1, bytes);
}

bool program_has_params(const struct program *p)
{
	return program_has(p, "param") || program_has(p, "poor") ||
	       program_has(p, "quota");
}

void module_param_set(unsigned int which, uint8_t value)
{
	static const unsigned long values[] = { 0, 1, 2, 64, 100, 1000, 8192,
						1 << 20 };

	set(which % ARRAY_SIZE(names), values[value % ARRAY_SIZE(values)]);
}
