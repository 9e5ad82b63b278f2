// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What a descriptor is open for. Where time_t or the numbers of files have 32 bits, fstat()
 * fails for a file with a time after 2038, or with a larger number: statx() does not.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "internal.h"

int mbox__get_file(int fd, struct mbox__file *to)
{
#if __SIZEOF_LONG__ == 4
	struct statx stx;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &stx) < 0)
		return -1;
	*to = (struct mbox__file){
		.dev = makedev(stx.stx_dev_major, stx.stx_dev_minor),
		.ino = stx.stx_ino,
		.mode = stx.stx_mode,
		.atime = stx.stx_atime.tv_sec,
		.mtime = stx.stx_mtime.tv_sec,
		.ctime = stx.stx_ctime.tv_sec,
	};
#else
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -1;
	*to = (struct mbox__file){
		.dev = st.st_dev,
		.ino = st.st_ino,
		.mode = st.st_mode,
		.atime = st.st_atime,
		.mtime = st.st_mtime,
		.ctime = st.st_ctime,
	};
#endif

	return 0;
}
