#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# libmbox-sysv.so against the kernel's own System V message queues: a program that has a row
# for each sentence of the standard prints what it sees on each of the two, and that must be
# the same, with few exceptions, which have names.
set -eu

program=./sysv_conformance
library=/usr/lib/libmbox-sysv.so
if [ ! -c /dev/mbox ] || [ ! -e $library ]; then
	echo "1..0 # SKIP no /dev/mbox, or no $library"
	exit 4
fi
if [ "$($program -w)" != kernel ]; then
	echo "1..0 # SKIP no System V message queues in this kernel"
	exit 4
fi
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
number=0
bad=0
few=100
# Not every kernel can copy messages.
rows=
if [ "$($program -c)" = no ]; then
	rows=-n
fi

# result NAME FILE: a test has passed if there is nothing in the file.
result()
{
	number=$((number + 1))
	if [ -s "$2" ]; then
		sed 's/^/# /' "$2"
		echo "not ok $number $1"
		bad=1
	else
		echo "ok $number $1"
	fi
}

echo "KTAP version 1"
echo "1..8"

{
	LD_PRELOAD=$library $program -w
	LD_PRELOAD=$library $program -c
} >"$tmp/kinds"
printf 'mbox\nyes\n' | diff - "$tmp/kinds" >"$tmp/wrong" || :
result preloaded_library_takes_the_place_of_the_functions "$tmp/wrong"

$program $rows >"$tmp/kernel" 2>"$tmp/wrong" || echo "status $?" >>"$tmp/wrong"
result rows_run_on_the_kernel "$tmp/wrong"

LD_PRELOAD=$library $program $rows >"$tmp/mailboxes" 2>"$tmp/wrong" ||
	echo "status $?" >>"$tmp/wrong"
result rows_run_on_mailboxes "$tmp/wrong"

# NUMBER|NAME OF THE DIFFERENCE|SENTENCE|RESULTS
{
	[ "$(grep -c . "$tmp/kernel")" -ge $few ] || echo "too few rows"
	awk -F'|' '$4 == "" || $4 ~ /(no queue|no state|cannot|signal (KILL|ALRM)|exit )/' \
		"$tmp/kernel" | cut -c 1-200
} >"$tmp/wrong"
result rows_say_something "$tmp/wrong"

awk -F'|' '$2 == ""' "$tmp/kernel" >"$tmp/a"
awk -F'|' '$2 == ""' "$tmp/mailboxes" >"$tmp/b"
diff "$tmp/a" "$tmp/b" >"$tmp/wrong" || :
result no_difference_without_a_name "$tmp/wrong"

# A name that is not needed any more goes. With those of mq_test.sh there are at most ten,
# of which one is of both.
awk -F'|' '
	NR == FNR { at[$1] = $0; next }
	$2 != "" {
		if (at[$1] == $0)
			print "the same on both: " $0
		if (!($2 in names)) {
			names[$2]
			n++
		}
	}
	END { if (n > 4) print n " names of differences" }' \
	"$tmp/kernel" "$tmp/mailboxes" >"$tmp/wrong"
result named_differences_are_few_and_there "$tmp/wrong"

# The copies work there, whatever the kernel's own queues can do.
LD_PRELOAD=$library $program 66 67 68 69 >"$tmp/copies" 2>&1 || :
cat >"$tmp/expected" <<END
'a' 3; 'd' 1; 'e' 5; ENOMSG; ENOMSG; 'a' 3; state(id).msg_qnum=5; 'a' 3; 'b' 1; 'c' 2; 'd' 1; 'e' 5; ENOMSG; 
ENOMSG; ENOMSG; 
END
awk -F'|' '$3 ~ /copy of the message|no message at/ { print $4 }' "$tmp/copies" |
	diff "$tmp/expected" - >"$tmp/wrong" || :
result copies_are_there_without_the_kernels "$tmp/wrong"

# All queues of the rows are gone, so none keeps its name or its memory.
mboxctl ls 2>&1 | grep sysv- >"$tmp/wrong" || :
result nothing_is_left "$tmp/wrong"
exit $bad
