#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# libmbox-sysv.so against the kernel's own System V message queues.
set -eu

program=./sysv_conformance
# The library for 32 bits is beside the program.
library=$PWD/libmbox-sysv.so
[ -e "$library" ] || library=/usr/lib/libmbox-sysv.so
kind=kernel
# shellcheck source=selftests/library/conformance/conformance.sh
. ./conformance.sh

# Not every kernel can copy messages.
rows=
if [ "$($program -c)" = no ]; then
	rows=-n
fi
plan 10 5

{
	preloaded -w
	preloaded -c
} >"$tmp/kinds"
printf 'mbox\nyes\n' | diff - "$tmp/kinds" >"$tmp/wrong" || :
result preloaded_library_takes_the_place_of_the_functions

documented mbox_sysv.7
# With those of mq_test.sh there are at most ten names, of which one is of both.
# shellcheck disable=SC2086 # an option, or none
compare 100 'no queue|no state' 3 $rows

if [ -n "$time64" ]; then
	thirty_two=$program program=$time64
	# shellcheck disable=SC2086 # an option, or none
	compare 100 'no queue|no state' 3 $rows
	program=$thirty_two
fi

# The copies work there, whatever the kernel's own queues can do.
preloaded 66 67 68 69 >"$tmp/copies" 2>&1 || :
cat >"$tmp/expected" <<END
'a' 3; 'd' 1; 'e' 5; ENOMSG; ENOMSG; 'a' 3; state(id).msg_qnum=5; 'a' 3; 'b' 1; 'c' 2; 'd' 1; 'e' 5; ENOMSG; 
ENOMSG; ENOMSG; 
END
awk -F'|' '$3 ~ /copy of the message|no message at/ { print $4 }' "$tmp/copies" |
	diff "$tmp/expected" - >"$tmp/wrong" || :
result copies_are_there_without_the_kernels

# It knows them by their names.
{
	preloaded -l
	echo "status $?"
} >"$tmp/expected" 2>&1
{
	mboxctl ls --sysv -r --noheadings -o key,id,uid,mode,bytes,queued
	echo "status 0"
} | diff "$tmp/expected" - >"$tmp/wrong" || :
for name in $(mboxctl ls --sysv -r --noheadings -o name); do
	mboxctl rm "$name"
done
result mboxctl_lists_the_queues

# All queues of the rows are gone, so none keeps its name or its memory.
mboxctl ls 2>&1 | grep sysv- >"$tmp/wrong" || :
result nothing_is_left
exit $bad
