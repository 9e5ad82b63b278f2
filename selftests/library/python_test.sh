#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The Python package: python_test.py, if there is a Python and the package.
set -eu

if [ ! -c /dev/mbox ]; then
	echo "1..0 # SKIP no /dev/mbox"
	exit 4
fi
if ! python3 -c 'import mbox' 2>/dev/null; then
	echo "1..0 # SKIP no python3 with the package mbox"
	exit 4
fi
exec python3 -X faulthandler "$(dirname "$0")/python_test.py" "$@"
