# SPDX-License-Identifier: GPL-2.0-only
# For the scripts that compare a library with the kernel's own queues: a program that has a
# row for each sentence of a standard prints what it sees on each of the two, and that must
# be the same, with few exceptions, which have names.
#
# program, library and kind are the script's: the program, the library that takes the place
# of the kernel's functions, and what "program -w" says without it.
# shellcheck shell=sh disable=SC2034,SC2154 # of the script, and for it

if [ ! -c /dev/mbox ] || [ ! -e "$library" ]; then
	echo "1..0 # SKIP no /dev/mbox, or no $library"
	exit 4
fi
if [ "$($program -w | sort -u)" != "$kind" ]; then
	echo "1..0 # SKIP no such message queues in this kernel"
	exit 4
fi
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
number=0
bad=0

# result NAME: a test has passed if there is nothing in $tmp/wrong.
result()
{
	number=$((number + 1))
	if [ -s "$tmp/wrong" ]; then
		sed 's/^/# /' "$tmp/wrong"
		echo "not ok $number $1"
		bad=1
	else
		echo "ok $number $1"
	fi
}

preloaded() { LD_PRELOAD=$library $program "$@"; }

# plan FIRST MORE: the tests of the script, and as many more as a program with 64 bits of time
# has, which there is beside a program of 32 bits. Sets time64 to that program.
plan()
{
	time64=
	[ ! -e "${program}_time64" ] || time64=${program}_time64
	echo "KTAP version 1"
	echo "1..$(($1${time64:+ + $2}))"
}

# documented PAGE: a test. The list of differences of the manual page has the names that the
# rows have, and no others.
documented()
{
	sed -n '/^\.Ss Differences/,/^\.El/ s/^\.It //p' "$1" | sort -u >"$tmp/page"
	# Of those that this kernel has no rows for, too.
	$program -d | sort -u >"$tmp/names"
	[ -s "$tmp/names" ] || echo "no names" >>"$tmp/page"
	diff "$tmp/page" "$tmp/names" >"$tmp/wrong" || :
	result named_differences_are_those_of_the_manual_page
}

# compare LEAST BROKEN MOST [OPTION]: five tests. There are at least LEAST rows, none of
# which says BROKEN, a pattern, and at most MOST names of differences.
compare()
{
	suffix=${program#"${program%_time64}"}
	least=$1 broken=$2 most=$3
	shift 3
	$program "$@" >"$tmp/kernel" 2>"$tmp/wrong" || echo "status $?" >>"$tmp/wrong"
	result "rows_run_on_the_kernel$suffix"

	preloaded "$@" >"$tmp/mailboxes" 2>"$tmp/wrong" || echo "status $?" >>"$tmp/wrong"
	result "rows_run_on_mailboxes$suffix"

	# NUMBER|NAME OF THE DIFFERENCE|SENTENCE|RESULTS
	{
		[ "$(grep -c . "$tmp/kernel")" -ge "$least" ] || echo "too few rows"
		awk -F'|' -v broken="($broken|cannot|signal (KILL|ALRM)|exit )" \
			'$4 == "" || $4 ~ broken' "$tmp/kernel" | cut -c 1-200
	} >"$tmp/wrong"
	result "rows_say_something$suffix"

	awk -F'|' '$2 == ""' "$tmp/kernel" >"$tmp/a"
	awk -F'|' '$2 == ""' "$tmp/mailboxes" >"$tmp/b"
	diff "$tmp/a" "$tmp/b" >"$tmp/wrong" || :
	result "no_difference_without_a_name$suffix"

	# A name that is not needed any more goes.
	awk -F'|' -v most="$most" '
		NR == FNR { at[$1] = $0; next }
		$2 != "" {
			if (at[$1] == $0)
				print "the same on both: " $0
			if (!($2 in names)) {
				names[$2]
				n++
			}
		}
		END { if (n > most) print n " names of differences" }' \
		"$tmp/kernel" "$tmp/mailboxes" >"$tmp/wrong"
	result "named_differences_are_few_and_there$suffix"
}
