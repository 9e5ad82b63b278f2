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

echo "KTAP version 1"
echo "1..6"

preloaded -w | sort -u >"$tmp/kinds"
echo mbox | diff - "$tmp/kinds" >"$tmp/wrong" || :
result preloaded_library_has_every_version_of_the_names

compare 180 'no queue' 10
exit $bad
