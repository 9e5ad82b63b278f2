#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# usage: nats.sh [--judge] [SECONDS [BYTES...]]
# Messages a second through a stream of JetStream: from a mailbox to a mailbox by two
# bridges, and from a publisher to a subscriber that use libnats themselves, with the same
# payloads, windows and acknowledgements; each for SECONDS (60). --judge: fail if the bridges
# have less than 0.7 of it.
#
# shellcheck disable=SC2317 # the trap calls cleanup, and the loop at the end the two ways
set -eu

PATH=$PATH:/usr/sbin
here=$(cd "$(dirname "$0")" && pwd)
rate=$here/nats_rate
judge=
if [ "${1-}" = --judge ]; then
	judge=0.7
	shift
fi
seconds=${1:-60}
shift || :
sizes=${*:-128 1024}
window=256
port=23456
url=nats://127.0.0.1:$port
dir=$(mktemp -d)
pids=

cleanup()
{
	stop
	[ -z "${server-}" ] || kill -9 "$server" 2>/dev/null || :
	rm -rf "$dir"
}

stop()
{
	for pid in $pids; do
		kill -9 "$pid" 2>/dev/null || :
		wait "$pid" 2>/dev/null || :
	done
	pids=
}
trap cleanup EXIT

run()
{
	"$@" >>"$dir/log" 2>&1 &
	pids="$pids $!"
}

# The way of the others to make a stream: an export, which makes it.
stream()
{
	mboxctl create first
	mboxctl send first one
	run mbox-nats -s "$url" "export first -> rate jetstream stream RATE"
	until grep -q 'made the stream' "$dir/log"; do sleep 0.1; done
	stop
	mboxctl rm -D first
}

start_server()
{
	rm -rf "$dir/js"
	: >"$dir/log"
	nats-server -a 127.0.0.1 -p $port -js -sd "$dir/js" >>"$dir/log" 2>&1 &
	server=$!
	until grep -q 'Server is ready' "$dir/log"; do sleep 0.1; done
}

stop_server()
{
	kill -9 "$server"
	wait "$server" 2>/dev/null || :
	server=
}

by_libnats()
{
	run "$rate" pub "$url" rate "$1" "$window"
	timeout $((seconds + 60)) "$rate" sub "$url" rate "$window" "$seconds"
}

by_mailboxes()
{
	mboxctl create -c 1024 -s 65536 from to
	run mbox-nats -s "$url" "export from -> rate jetstream window $window"
	run mbox-nats -s "$url" "import rate durable rate -> to window $window"
	run "$rate" send from "$1"
	timeout $((seconds + 60)) "$rate" recv to "$seconds"
	stop
	mboxctl rm -D from to
}

status=0
printf '%6s  %10s  %10s  %s\n' bytes libnats mailboxes ratio
for bytes in $sizes; do
	for way in by_libnats by_mailboxes; do
		start_server
		stream
		$way "$bytes" >"$dir/$way" || { cat "$dir/log" >&2; exit 1; }
		stop
		stop_server
	done
	awk -v bytes="$bytes" -v judge="$judge" '
		FNR == 1 { n[FILENAME ~ /mailboxes/] = $1 }
		END {
			ratio = n[1] / n[0]
			printf "%6d  %10d  %10d  %.3f\n", bytes, n[0], n[1], ratio
			exit judge && ratio < judge
		}' "$dir/by_libnats" "$dir/by_mailboxes" || status=1
done
exit $status
