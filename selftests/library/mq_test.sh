#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# libmbox-mq.so against the kernel's own message queues.
set -eu

program=./mq_conformance
# The library for 32 bits is beside the program.
library=$PWD/libmbox-mq.so
[ -e "$library" ] || library=/usr/lib/libmbox-mq.so
kind=mqueue
# shellcheck source=selftests/library/conformance/conformance.sh
. ./conformance.sh

# preloaded_takes_the_place NAME: by each name and version that there is.
preloaded_takes_the_place()
{
	preloaded -w | sort -u >"$tmp/kinds"
	echo mbox | diff - "$tmp/kinds" >"$tmp/wrong" || :
	result "$1"
}

plan 7 6
preloaded_takes_the_place preloaded_library_has_every_version_of_the_names
documented mbox_mq.7
# With those of sysv_test.sh there are at most ten names, of which one is of both.
compare 180 'no queue' 7
if [ -n "$time64" ]; then
	program=$time64
	preloaded_takes_the_place preloaded_library_has_the_names_of_64_bits_of_time
	compare 180 'no queue' 7
fi
exit $bad
