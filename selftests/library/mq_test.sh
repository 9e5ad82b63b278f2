#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# libmbox-mq.so against the kernel's own message queues: a program that has a row for each
# sentence of the standard prints what it sees on each of the two, and that must be the
# same, with few exceptions, which have names.
set -eu

program=./mq_conformance
library=/usr/lib/libmbox-mq.so
if [ ! -c /dev/mbox ] || [ ! -e $library ]; then
	echo "1..0 # SKIP no /dev/mbox, or no $library"
	exit 4
fi
if [ "$($program -w | sort -u)" != mqueue ]; then
	echo "1..0 # SKIP no message queues in this kernel"
	exit 4
fi
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
number=0
bad=0

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
echo "1..6"

LD_PRELOAD=$library $program -w | sort -u >"$tmp/kinds"
echo mbox | diff - "$tmp/kinds" >"$tmp/wrong" || :
result preloaded_library_has_every_version_of_the_names "$tmp/wrong"

$program >"$tmp/kernel" 2>"$tmp/wrong" || echo "status $?" >>"$tmp/wrong"
result rows_run_on_the_kernel "$tmp/wrong"

LD_PRELOAD=$library $program >"$tmp/mailboxes" 2>"$tmp/wrong" || echo "status $?" >>"$tmp/wrong"
result rows_run_on_mailboxes "$tmp/wrong"

# NUMBER|NAME OF THE DIFFERENCE|SENTENCE|RESULTS
{
	[ "$(grep -c . "$tmp/kernel")" -ge 180 ] || echo "too few rows"
	awk -F'|' '$4 == "" || $4 ~ /(no queue|cannot|signal (KILL|ALRM)|exit )/' "$tmp/kernel" |
		cut -c 1-200
} >"$tmp/wrong"
result rows_say_something "$tmp/wrong"

awk -F'|' '$2 == ""' "$tmp/kernel" >"$tmp/a"
awk -F'|' '$2 == ""' "$tmp/mailboxes" >"$tmp/b"
diff "$tmp/a" "$tmp/b" >"$tmp/wrong" || :
result no_difference_without_a_name "$tmp/wrong"

# A name that is not needed any more goes; and there are at most ten.
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
	END { if (n > 10) print n " names of differences" }' \
	"$tmp/kernel" "$tmp/mailboxes" >"$tmp/wrong"
result named_differences_are_few_and_there "$tmp/wrong"
exit $bad
