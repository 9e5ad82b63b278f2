#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# What the fuzzer has found to reach something, and random programs of a fixed
# seed: nothing may be wrong after any of them.
set -u

plan=5
steady=
names=/sys/kernel/tracing/options/record-cmd
recorded=
# Its emulation before version 8.1 can translate an instruction while another CPU
# replaces it, and execute the old one for ever. Here that is the breakpoint below which
# the kernel switches a tracepoint, perf's hook of the scheduler, or the tracepoints there
# by which the names of tasks are recorded.
if grep -q 'QEMU TCG' /proc/cpuinfo; then
	steady=--steady
	[ ! -e $names ] || recorded=$(cat $names)
	[ -z "$recorded" ] || echo 0 >$names
fi
count=0
failed=0

# run NAME FOLDER OPTION...: the fuzzer of that suite with these options passes.
run()
{
	what=$1
	dir=$2
	shift 2
	count=$((count + 1))
	if [ ! -x "$dir/fuzz/fuzz" ]; then
		echo "ok $count $what # SKIP no such fuzzer was built"
		return
	fi
	# shellcheck disable=SC2086 # nothing, or a word
	if (cd "$dir" && fuzz/fuzz --jobs 2 $steady "$@") >/tmp/fuzz_test.out 2>&1; then
		grep '^end: ' /tmp/fuzz_test.out | sed 's/^/# /'
		echo "ok $count $what"
	else
		sed 's/^/# /' /tmp/fuzz_test.out
		echo "not ok $count $what"
		failed=$((failed + 1))
	fi
}

if [ ! -c /dev/mbox ]; then
	echo "1..0 # SKIP no /dev/mbox"
	exit 4
fi
if [ ! -x fuzz/fuzz ] && [ ! -x ../selftests32/fuzz/fuzz ]; then
	echo "1..0 # SKIP the fuzzer is built for x86 only"
	exit 4
fi
echo "TAP version 13"
echo "1..$plan"
run corpus . --replay fuzz/corpus
run random_programs . --seed 1 --blind --programs 100
run corpus_with_32_bits ../selftests32 --replay fuzz/corpus
run random_programs_with_32_bits ../selftests32 --seed 1 --blind --programs 100
count=$((count + 1))
what=tracepoints_are_off_as_before
enable=/sys/kernel/tracing/events/mbox/enable
if [ ! -e $enable ]; then
	echo "ok $count $what # SKIP no tracepoints"
elif [ "$(cat $enable)" = 0 ]; then
	echo "ok $count $what"
else
	echo "# $(cat $enable)"
	echo "not ok $count $what"
	failed=$((failed + 1))
fi
rm -f /tmp/fuzz_test.out
[ -z "$recorded" ] || echo "$recorded" >$names
[ $failed = 0 ]
