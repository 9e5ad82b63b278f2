# SPDX-License-Identifier: GPL-2.0-only
# For the scripts that test mbox-nats with real servers.
# shellcheck shell=bash

PATH=$PATH:/usr/local/bin:/usr/sbin

# needs PROGRAM...: what such a test cannot do without, besides a module and a network.
needs()
{
	local program
	for program in mboxctl mbox-nats nats-server "$@"; do
		if ! command -v "$program" >/dev/null; then
			echo "1..0 # SKIP no ${program##*/}"
			exit 4
		fi
	done
	if [ ! -c /dev/mbox ]; then
		echo "1..0 # SKIP no /dev/mbox"
		exit 4
	fi
	if [ ! -e /proc/net/tcp ]; then
		echo "1..0 # SKIP this kernel has no Internet protocols"
		exit 4
	fi
}
