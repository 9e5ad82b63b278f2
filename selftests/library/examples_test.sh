#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The examples of the library: do they run, and print what they are to print? Each file
# examples/SUBJECT/NAME.out beside this script is what the program mbox-NAME prints.
set -eu

if [ ! -c /dev/mbox ] || ! command -v mbox-hello >/dev/null; then
	echo "1..0 # SKIP no /dev/mbox, or no examples"
	exit 4
fi
cd "$(dirname "$0")"
patience=$((50 * ${MBOX_TIME_FACTOR:-1}))
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# Some need a library for which there is no program everywhere.
needs_a_library()
{
	case $1 in
	uring|glib|libuv|sd_event|cluster) ;;
	*) return 1 ;;
	esac
}

# Whether program mbox-$1 succeeds and prints file $2.
prints()
{
	status=0
	timeout "$patience" "mbox-$1" >"$tmp/out" 2>&1 </dev/null || status=$?
	[ "$status" = 0 ] && cmp -s "$tmp/out" "$2"
}

# Whether the times that copy_or_map -t prints are there, for each size and both ways.
prints_times()
{
	status=0
	timeout "$patience" mbox-copy_or_map -t 1 >"$tmp/out" 2>&1 </dev/null || status=$?
	[ "$status" = 0 ] && awk '
		NR == 1 { good = $1 == "bytes"; size = 4096; next }
		{ good = good && NF == 3 && $1 == size && $2 > 0 && $3 > 0; size *= 4 }
		END { exit !(good && NR == 8) }' "$tmp/out"
}

set -- examples/*/*.out
echo "KTAP version 1"
echo "1..$(($# + 1))"
number=0
bad=0
for expected in "$@"; do
	number=$((number + 1))
	name=${expected#examples/}
	name=${name%.out}
	if needs_a_library "${name#*/}" && ! command -v "mbox-${name#*/}" >/dev/null; then
		echo "ok $number $name # SKIP it was not built: no library for it"
	elif prints "${name#*/}" "$expected"; then
		echo "ok $number $name"
	elif [ "$name $status" = "cluster/cluster 4" ]; then
		echo "ok $number $name # SKIP $(sed 's/^cluster: //' "$tmp/out")"
	else
		bad=1
		echo "# status $status; it prints:"
		sed 's/^/#   /' "$tmp/out"
		echo "not ok $number $name"
	fi
done

number=$((number + 1))
if prints_times; then
	echo "ok $number handover/copy_or_map_times"
else
	bad=1
	echo "# status $status; it prints:"
	sed 's/^/#   /' "$tmp/out"
	echo "not ok $number handover/copy_or_map_times"
fi
exit $bad
