#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The program that the README shows, as docs_test.sh left it: does it run?
set -eu

program=/mbox/readme_example
if [ ! -x $program ]; then
	echo "1..0 # SKIP no $program"
	exit 4
fi
echo "TAP version 13"
echo "1..1"
if [ "$($program)" = hello ]; then
	echo "ok 1 program_of_the_readme_runs"
else
	echo "not ok 1 program_of_the_readme_runs"
	exit 1
fi
