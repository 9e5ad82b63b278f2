// SPDX-License-Identifier: GPL-2.0-only
/*
 * mboxctl doctor: whether mailboxes work for whoever asks, and what to type if not.
 * It looks at what the kernel shows of the module, and tries a queue and a ring.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <mntent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "common.h"
#include "text.h"

#define MODULE_DIR "/sys/module/mbox"
#define DEVICE "/dev/mbox"
#define ENROL "mokutil --import mok.der (with DKMS: /var/lib/dkms/mok.pub)"
/* From this part of a limit on, the user is told. */
#define NEARLY 0.8

/**
 * struct finding - what one check found
 * @verdict: "ok", "note" or "FAIL"
 * @what: what was looked at, and how it is
 * @advice: what to do, or empty
 */
struct finding {
	const char *verdict;
	char what[512];
	char advice[256];
};

/* Whether something is wrong, not only worth a note. */
static bool failed;

static bool at_terminal;

static void print_finding(const struct finding *f)
{
	const char *colour = "32";

	if (!strcmp(f->verdict, "FAIL"))
		colour = "31";
	else if (strcmp(f->verdict, "ok"))
		colour = "33";
	if (at_terminal)
		printf("\033[%sm%-4s\033[0m  ", colour, f->verdict);
	else
		printf("%-4s  ", f->verdict);
	text_print(stdout, f->what);
	putchar('\n');
	if (*f->advice) {
		printf("      -> ");
		text_print(stdout, f->advice);
		putchar('\n');
	}
}

/* A finding: its verdict, and then @what and @advice as of printf(3). */
__attribute__((format(printf, 2, 3))) static void say(struct finding *f, const char *fmt, ...)
{
	va_list va;

	va_start(va, fmt);
	vsnprintf(f->what, sizeof(f->what), fmt, va);
	va_end(va);
}

__attribute__((format(printf, 2, 3))) static void advise(struct finding *f, const char *fmt, ...)
{
	va_list va;

	va_start(va, fmt);
	vsnprintf(f->advice, sizeof(f->advice), fmt, va);
	va_end(va);
}

static void conclude(struct finding *f, const char *verdict)
{
	f->verdict = verdict;
	if (!strcmp(verdict, "FAIL"))
		failed = true;
	print_finding(f);
}

/* The first line of a file. */
static bool read_line(const char *path, char *line, size_t size)
{
	FILE *file = fopen(path, "re");
	bool done;

	if (!file)
		return false;
	done = fgets(line, size, file);
	fclose(file);
	if (done)
		line[strcspn(line, "\n")] = '\0';

	return done;
}

/* ---- the module ------------------------------------------------------------ */

/* The module's file for this kernel, if depmod knows one. */
static bool find_module(const char *release, char *path, size_t size)
{
	char folder[128], line[4096];
	bool found = false;
	FILE *file;

	snprintf(folder, sizeof(folder), "/lib/modules/%.100s", release);
	snprintf(path, size, "%s/modules.dep", folder);
	file = fopen(path, "re");
	if (!file)
		return false;
	while (!found && fgets(line, sizeof(line), file)) {
		line[strcspn(line, ":")] = '\0';
		found = !!strstr(line, "/mbox.ko");
	}
	fclose(file);
	snprintf(path, size, "%s/%.256s", folder, line);

	return found;
}

/* Whether the kernel refuses modules without a signature that it can verify. */
static bool only_signed(void)
{
	char line[128];

	if (!read_line("/sys/module/module/parameters/sig_enforce", line, sizeof(line)))
		return false;
	if (*line == 'Y')
		return true;

	/* The one in brackets is in force: "none [integrity] confidentiality". */
	return read_line("/sys/kernel/security/lockdown", line, sizeof(line)) &&
	       !strstr(line, "[none]");
}

/* Whether a module has no signature. A compressed file does not show it. */
static bool is_unsigned(const char *path)
{
	static const char mark[] = "~Module signature appended~\n";
	char end[sizeof(mark) - 1];
	bool has_none;
	FILE *file;

	if (strlen(path) < 3 || strcmp(path + strlen(path) - 3, ".ko"))
		return false;
	file = fopen(path, "re");
	if (!file)
		return false;
	has_none = !fseek(file, -(long)sizeof(end), SEEK_END) &&
		   fread(end, sizeof(end), 1, file) == 1 && memcmp(end, mark, sizeof(end));
	fclose(file);

	return has_none;
}

/* What to do about a module that is not loaded. */
static void advise_loading(struct finding *f, const char *release)
{
	char path[512];

	if (!find_module(release, path, sizeof(path)))
		advise(f, "install mbox-dkms and linux-headers-%.100s, or 'make dkms-install'",
		       release);
	else if (!only_signed())
		advise(f, "modprobe mbox (as root)");
	else if (is_unsigned(path))
		advise(f, "not signed: make modules_install KEY=mok.key CERT=mok.der; " ENROL);
	else
		advise(f, "modprobe mbox (as root); if its key is rejected: " ENROL);
}

static bool check_module(void)
{
	struct finding f = { 0 };
	char version[64], taint[64];
	struct utsname name;

	uname(&name);
	if (access(MODULE_DIR, F_OK)) {
		say(&f, "module: not loaded into Linux %s%s", name.release,
		    only_signed() ? ", which loads only signed modules" : "");
		advise_loading(&f, name.release);
		/* It may be hidden, as in a container; the node decides. */
		conclude(&f, access(DEVICE, F_OK) ? "FAIL" : "note");
		return !access(DEVICE, F_OK);
	}
	if (!read_line(MODULE_DIR "/version", version, sizeof(version)))
		snprintf(version, sizeof(version), "of unknown version");
	say(&f, "module: %s, loaded into Linux %s", version, name.release);
	if (strcmp(version, MBOX_VERSION)) {
		advise(&f, "mboxctl is %s; install the same version of both", MBOX_VERSION);
		conclude(&f, "note");
	} else {
		conclude(&f, "ok");
	}

	f = (struct finding){ 0 };
	if (!read_line(MODULE_DIR "/taint", taint, sizeof(taint)))
		*taint = '\0';
	if (strchr(taint, 'E')) {
		say(&f, "signature: the module has none");
		advise(&f,
		       "Secure Boot refuses it: sign it, and enrol the key (mokutil --import)");
		conclude(&f, "note");
	} else {
		say(&f, "signature: nothing to say against it");
		conclude(&f, "ok");
	}

	return true;
}

/* ---- the node -------------------------------------------------------------- */

static bool check_node(void)
{
	struct finding f = { 0 };
	struct stat st;
	int fd;

	if (stat(DEVICE, &st)) {
		say(&f, DEVICE ": %s", strerror(errno));
		if (!access(MODULE_DIR, F_OK))
			advise(&f,
			       "hidden here: --device " DEVICE " (container), DeviceAllow=" DEVICE);
		else
			advise(&f, "modprobe mbox (as root)");
		conclude(&f, "FAIL");
		return false;
	}
	if (!S_ISCHR(st.st_mode)) {
		say(&f, DEVICE ": not a device");
		advise(&f, "remove it, and load the module again");
		conclude(&f, "FAIL");
		return false;
	}
	fd = open(DEVICE, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		say(&f, DEVICE ": mode %04o, device %u:%u: %s", st.st_mode & 07777,
		    major(st.st_rdev), minor(st.st_rdev), strerror(errno));
		if (errno == EACCES)
			advise(&f, "chmod 666 " DEVICE " (as root)");
		else if (errno == EPERM)
			advise(&f,
			       "the device cgroup forbids it: DeviceAllow=" DEVICE);
		else
			advise(&f, "remove the node, and load the module again");
		conclude(&f, "FAIL");
		return false;
	}
	close(fd);
	say(&f, DEVICE ": mode %04o, device %u:%u", st.st_mode & 07777, major(st.st_rdev),
	    minor(st.st_rdev));
	conclude(&f, "ok");

	return true;
}

static void check_abi(const struct mbox_info *info)
{
	struct finding f = { 0 };

	say(&f, "kernel interface: ABI %" PRIu32 ", mboxctl knows %d", info->abi,
	    MBOX_ABI_VERSION);
	if (info->abi == MBOX_ABI_VERSION) {
		conclude(&f, "ok");
		return;
	}
	advise(&f, "%s is older: what is newer in the other one does not work",
	       info->abi < MBOX_ABI_VERSION ? "the module" : "mboxctl");
	conclude(&f, "note");
}

static void check_mount(void)
{
	struct finding f = { 0 };
	FILE *mounts = setmntent("/proc/self/mounts", "re");
	struct mntent *entry;

	say(&f, "file system: not mounted here");
	while (mounts && (entry = getmntent(mounts))) {
		if (strcmp(entry->mnt_type, "mbox"))
			continue;
		say(&f, "file system: mounted at %s", entry->mnt_dir);
		endmntent(mounts);
		conclude(&f, "ok");
		return;
	}
	if (mounts)
		endmntent(mounts);
	advise(&f, "mount -t mbox none /dev/mailbox (as root) shows mailboxes as files");
	conclude(&f, "note");
}

/* ---- where the caller is ---------------------------------------------------- */

static bool same_namespace(const char *name, bool *known)
{
	char path[64], ours[64], first[64];
	ssize_t len;

	snprintf(path, sizeof(path), "/proc/self/ns/%s", name);
	len = readlink(path, ours, sizeof(ours));
	snprintf(path, sizeof(path), "/proc/1/ns/%s", name);
	*known = len > 0 && readlink(path, first, sizeof(first)) == len;

	return *known && !memcmp(ours, first, len);
}

static const char *container(void)
{
	if (!access("/run/.containerenv", F_OK))
		return "podman";
	if (!access("/.dockerenv", F_OK))
		return "docker";
	if (!access("/run/systemd/container", F_OK))
		return "a container of systemd";

	return NULL;
}

static void check_namespaces(void)
{
	struct finding f = { 0 };
	const char *box = container();
	bool known, net;

	net = same_namespace("net", &known);
	if (box) {
		say(&f, "container: %s; names and ids count in its network namespace", box);
		advise(&f, "a bind mount gives it a mailbox of the host, see containers.rst");
		conclude(&f, "note");
	} else if (known && !net) {
		say(&f, "network namespace: not that of process 1; other names and ids count here");
		advise(&f, "nsenter --net=/proc/1/ns/net mboxctl ls (as root) shows the others");
		conclude(&f, "note");
	} else {
		say(&f, "network namespace: %s", known ? "that of process 1" : "not known to be another");
		conclude(&f, "ok");
	}
}

/* ---- limits ---------------------------------------------------------------- */

static void check_limit(const char *what, uint64_t used, uint64_t limit, const char *advice)
{
	struct finding f = { 0 };

	say(&f, "%s: %" PRIu64 " of %" PRIu64, what, used, limit);
	if (used < NEARLY * limit) {
		conclude(&f, "ok");
		return;
	}
	advise(&f, "%s", advice);
	conclude(&f, used >= limit ? "FAIL" : "note");
}

static void check_limits(const struct mbox_info *info)
{
	struct rlimit files;

	check_limit("mailboxes of this user", info->mailboxes, info->user_mailboxes,
		    "remove some (mboxctl ls), or raise " MODULE_DIR
		    "/parameters/user_mailboxes");
	check_limit("bytes of this user's messages and rings", info->bytes, info->user_bytes,
		    "receive or drop some (mboxctl ls), or raise " MODULE_DIR
		    "/parameters/user_bytes");
	if (getrlimit(RLIMIT_NOFILE, &files) == 0)
		check_limit("descriptors in this user's messages", info->fds, files.rlim_cur,
			    "receive or drop such messages, or raise ulimit -n");
}

static void check_sysctls(void)
{
	struct finding f = { 0 };
	char value[32];

	if (!read_line("/proc/sys/fs/protected_fifos", value, sizeof(value)))
		return;
	say(&f, "fs.protected_fifos: %s", value);
	if (strcmp(value, "0")) {
		conclude(&f, "ok");
		return;
	}
	advise(&f, "sysctl fs.protected_fifos=1, so that nobody can take a name before its owner");
	conclude(&f, "note");
}

/* ---- a trial ---------------------------------------------------------------- */

/* A message through a new mailbox. Returns false and sets errno. */
static bool try_mailbox(uint32_t mode)
{
	struct mbox_attr attr = MBOX_ATTR_INIT;
	struct mbox *mb;
	bool done;
	char c = 0;

	attr.mode = mode;
	attr.capacity = 1;
	attr.msg_max = 1;
	mb = mbox_create(NULL, O_RDWR, &attr);
	if (!mb)
		return false;
	done = mbox_send(mb, "x", 1, MBOX_DONTWAIT) == 0 &&
	       mbox_recv(mb, &c, 1, MBOX_DONTWAIT) == 1 && c == 'x';
	mbox_close(mb);

	return done;
}

static void check_trial(const char *kind, uint32_t mode)
{
	struct finding f = { 0 };

	errno = 0;
	if (try_mailbox(mode)) {
		say(&f, "trial: a message through a new %s", kind);
		conclude(&f, "ok");
		return;
	}
	say(&f, "trial: a message through a new %s: %s", kind, strerror(errno));
	if (errno == EDQUOT)
		advise(&f, "a limit above is reached");
	else if (errno == EAGAIN || errno == ENOMEM)
		advise(&f, "memory is short: ulimit -l, and the memory cgroup");
	conclude(&f, "FAIL");
}

static int run_doctor(int argc, char **argv)
{
	struct mbox_info info;
	int status;

	status = parse_options(&doctor_command, argc, argv, NULL);
	if (status >= 0)
		return status;
	if (optind != argc)
		return usage_error("doctor takes no operands");

	at_terminal = isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
	if (!check_module() || !check_node())
		return EXIT_FAILED;
	if (mbox_info(&info) < 0) {
		print_perror("cannot ask the module");
		return EXIT_FAILED;
	}
	check_abi(&info);
	check_mount();
	check_namespaces();
	check_limits(&info);
	check_sysctls();
	check_trial("queue", MBOX_QUEUE);
	check_trial("ring", MBOX_RING);

	return failed ? EXIT_FAILED : EXIT_OK;
}

const struct command doctor_command = {
	.name = "doctor",
	.operands = "",
	.summary = "check whether mailboxes work here, and say what to do",
	.about = "Check the module, its node, the limits and what they are used for, and try a\n"
		 "queue and a ring. What is not as it should be comes with what to type.\n",
	.notes = "Exit status: 0 if mailboxes work, 1 if something fails.\n",
	.run = run_doctor,
};
