#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The examples of the library: do they run, and print what they are to print?
set -eu

if [ ! -c /dev/mbox ] || ! command -v mbox-hello >/dev/null; then
	echo "1..0 # SKIP no /dev/mbox, or no examples"
	exit 4
fi
number=0
bad=0

# prints PROGRAM TEXT
prints()
{
	number=$((number + 1))
	status=0
	out=$(timeout $((50 * ${MBOX_TIME_FACTOR:-1})) "mbox-$1" 2>&1) || status=$?
	if [ "$status:$out" = "0:$2" ]; then
		echo "ok $number $1"
		return
	fi
	echo "# status $status, prints '$out'"
	echo "not ok $number $1"
	bad=1
}

echo "KTAP version 1"
echo "1..4"
prints hello hello
prints handover "picture: 16 MiB, from 'x' to 'x'"
# It ends only if each worker, and then the parent, finds the end of its queue.
prints workers "100 results, their sum is 338350"
# One thread, thousands of calls; one of them is never answered.
prints events "9999 replies, 1 without"
exit $bad
