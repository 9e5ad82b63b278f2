/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel's harness, with longer time limits, for machines that have /dev/mbox. */
#ifndef SELFTESTS_HARNESS_H
#define SELFTESTS_HARNESS_H

#include <kselftest_harness.h>

#include "wrappers.h"

/* The harness's main(), with its limits stretched. */
static inline int run_tests(int argc, char **argv)
{
	struct __fixture_metadata *f;
	struct __test_metadata *t;

	for (f = __fixture_list; f; f = f->next)
		for (t = f->tests; t; t = t->next)
			t->timeout *= time_factor();
	return test_harness_run(argc, argv);
}

#define test_harness_run run_tests

/* The harness would report a failure for each test: say why there is none. */
static inline void __attribute__((constructor)) need_device(void)
{
	int fd = open(DEVICE, O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		ksft_print_header();
		ksft_exit_skip("cannot open " DEVICE ": %s\n", strerror(errno));
	}
	close(fd);
}

#endif /* SELFTESTS_HARNESS_H */
