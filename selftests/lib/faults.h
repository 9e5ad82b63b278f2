/* SPDX-License-Identifier: GPL-2.0-only */
/* Failing allocations and copies: the first, the second, the third ... of a call. */
#ifndef SELFTESTS_FAULTS_H
#define SELFTESTS_FAULTS_H

#include "wrappers.h"

#define FAIL_DIR "/sys/kernel/debug/"

/* Files that tell whether allocations that may sleep are spared. */
static const char * const fault_waits[] = {
	FAIL_DIR "failslab/ignore-gfp-wait",
	FAIL_DIR "fail_page_alloc/ignore-gfp-wait",
};

/**
 * struct faults - failures of the thread that set them up
 * @waits: what was in the files of fault_waits before
 * @nth: the file that says which allocation or copy is to fail
 * @usable: the kernel can do it
 */
struct faults {
	char waits[ARRAY_SIZE(fault_waits)][8];
	int nth;
	bool usable;
};

static inline void faults_begin(struct faults *f)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(fault_waits); i++) {
		if (!read_file(fault_waits[i], f->waits[i], sizeof(f->waits[i])))
			write_file(fault_waits[i], "N");
	}
	f->nth = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	f->usable = f->nth >= 0 && !access(fault_waits[0], W_OK);
}

static inline void faults_end(struct faults *f)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(fault_waits); i++)
		write_file(fault_waits[i], "%s", f->waits[i]);
	close(f->nth);
}

#define NEED_FAULTS(self) do {						\
	if (!(self)->faults.usable)					\
		SKIP(return, "the kernel cannot inject failures");	\
} while (0)

/* For calls that allocate nothing. */
#define NEED_COPY_FAULTS() do {						\
	if (access(FAIL_DIR "fail_usercopy", F_OK))			\
		SKIP(return, "the kernel cannot let copies fail");	\
} while (0)

static inline void fault_at(const struct faults *f, int n)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%d", n), ret;

	/* What is still to be injected can hit this write itself. */
	do {
		ret = pwrite(f->nth, text, len, 0);
	} while (ret < 0 && errno == EFAULT);
	if (ret != len)
		abort();
}

/* Whether the failure has happened; none is left behind. */
static inline bool fault_happened(const struct faults *f)
{
	char text[16] = { 0 };
	bool done;

	done = pread(f->nth, text, sizeof(text) - 1, 0) > 0 && atoi(text) == 0;
	fault_at(f, 0);
	return done;
}

/* What a call that could not have its memory, or could not copy, may say. */
static inline bool is_expected(long ret)
{
	return ret == -ENOMEM || ret == -EFAULT || ret == -ENFILE || ret == -EMFILE;
}

#endif /* SELFTESTS_FAULTS_H */
