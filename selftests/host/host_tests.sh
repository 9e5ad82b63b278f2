# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# For the scripts that test on this machine, without a guest.

# run_tests FILE FOLDER: run each function test_* of FILE, the caller, and exit. KTAP. A test
# fails if it prints something or its status is not 0, and is skipped if all that it
# prints is a line "SKIP reason". What it prints is kept in FOLDER.
run_tests()
{
	findings=$2/findings
	tests=$(sed -n 's/^test_\([a-z_]*\)()$/\1/p' "$1")
	# shellcheck disable=SC2086 # words
	set -- $tests
	echo "TAP version 13"
	echo "1..$#"
	number=0
	status=0
	for name in "$@"; do
		number=$((number + 1))
		result=0
		("test_$name") >"$findings" 2>&1 || result=$?
		said=$(head -c 200 "$findings")
		if [ "$said" != "${said#SKIP }" ] && [ "$(wc -l <"$findings")" = 1 ]; then
			echo "ok $number $name # $said"
		elif [ $result = 0 ] && [ ! -s "$findings" ]; then
			echo "ok $number $name"
		else
			sed 's/^/# /' "$findings"
			echo "not ok $number $name"
			status=1
		fi
	done
	exit $status
}
