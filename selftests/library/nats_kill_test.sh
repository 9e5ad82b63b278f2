#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# A cluster of three servers of NATS, a stream with three replicas, a bridge that exports
# and one that imports, and two workers; one of these at a time, chosen at random, is
# killed with SIGKILL and started again. Every message must be done at least once, and
# how often more is counted.
#
# Variables: NATS_MESSAGES (5000), NATS_KILLS (10), and NATS_SEED for the same choices.
#
# shellcheck disable=SC2016,SC2317 # subjects have a $; the trap calls cleanup
set -eu

here=$(cd "$(dirname "$0")" && pwd)
client=$here/nats_client worker=$here/nats_worker
# shellcheck source=selftests/library/nats.sh
. "$here/nats.sh"
needs "$client" "$worker"

messages=${NATS_MESSAGES:-5000}
kills=${NATS_KILLS:-10}
RANDOM=${NATS_SEED:-$$}
echo "KTAP version 1"
echo "1..4"
echo "# $messages messages, $kills kills, NATS_SEED=${NATS_SEED:-$$}"
tmp=$(mktemp -d)
m=mbox-test-$$
port=$(($$ % 10000 + 20000))
urls=nats://127.0.0.1:$port,nats://127.0.0.1:$((port + 1)),nats://127.0.0.1:$((port + 2))
# Of the routes; small, so that a window for each kill is much less than all messages.
window=16
patience=$((180 * ${MBOX_TIME_FACTOR:-1}))
declare -A pids=()
mkdir "$tmp/state"

cleanup()
{
	for pid in "${pids[@]}"; do
		kill -9 "$pid" 2>/dev/null || :
	done
	mboxctl rm -D "$m-from" "$m-to" 2>/dev/null || :
	rm -rf "$tmp"
}
trap cleanup EXIT

# start NAME: in the background, with its number in pids
start()
{
	local n=${1#node} routes
	case $1 in
	node*)
		routes=nats://127.0.0.1:$((port + 10)),nats://127.0.0.1:$((port + 11)),nats://127.0.0.1:$((port + 12))
		nats-server -a 127.0.0.1 -p $((port + n)) -n "$1" -js -sd "$tmp/$1" \
			--cluster_name c --cluster "nats://127.0.0.1:$((port + 10 + n))" \
			--routes "$routes" >>"$tmp/$1.log" 2>&1 & ;;
	export)
		mbox-nats -s "$urls" "state $tmp/state" "metrics $tmp/export.metrics" \
			"export $m-from -> jobs.new jetstream window $window" 2>>"$tmp/export.log" & ;;
	import)
		mbox-nats -s "$urls" "metrics $tmp/import.metrics" \
			"import jobs.> durable workers stream JOBS -> $m-to window $window" 2>>"$tmp/import.log" & ;;
	worker*)
		"$worker" "$m-to" "$tmp/done.$1" 2>>"$tmp/worker.log" & ;;
	esac
	pids[$1]=$!
}

result()
{
	if [ "$1" = 0 ]; then
		echo "ok $2"
	else
		echo "not ok $2"
		bad=1
	fi
}

# Until COMMAND succeeds.
until_true()
{
	local begin=$SECONDS
	until "$@" >/dev/null 2>&1; do
		[ $((SECONDS - begin)) -lt "$patience" ] || return 1
		sleep 0.1
	done
}

api() { "$client" "$urls" req -t 10000 "\$JS.API.$1" "${2-}"; }

make_stream()
{
	api STREAM.CREATE.JOBS '{"name":"JOBS","subjects":["jobs.>"],"num_replicas":3}' |
		grep -q '"config":'
}

lines() { cat "$tmp"/done.* 2>/dev/null | wc -l; }

all_done()
{
	[ "$(lines)" -ge "$messages" ] || return 1
	cat "$tmp"/done.* | sort -u >"$tmp/unique"
	[ "$(wc -l <"$tmp/unique")" -ge "$messages" ]
}

# Until all are done, or none has been for so long.
wait_for_all()
{
	local begin=$SECONDS before=0 now
	until all_done; do
		now=$(lines)
		if [ "$now" != "$before" ]; then
			before=$now begin=$SECONDS
		fi
		[ $((SECONDS - begin)) -lt "$patience" ] || break
		sleep 1
	done
	cat "$tmp"/done.* 2>/dev/null | sort -u >"$tmp/unique"
}

note_memory()
{
	local name
	for name in export import; do
		sed -n 's/^VmRSS:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/${pids[$name]}/status" 2>/dev/null
	done >>"$tmp/memory"
}

bad=0
mboxctl create -c 500 "$m-from" "$m-to"
for node in node0 node1 node2; do
	start $node
done
until_true make_stream || bad=1
result $bad "1 a stream with three replicas"
for name in export import worker0 worker1; do
	start $name
done
seq "$messages" | mboxctl send -l "$m-from" &
pids[sender]=$!
# What a kill can double: a window of the bridges and the servers, one of a worker.
allowed=0
victims=(node0 node1 node2 export import worker0 worker1)
killed=0
while [ "$killed" -lt "$kills" ]; do
	sleep "$((RANDOM % 2)).$((RANDOM % 10))"
	victim=${victims[RANDOM % ${#victims[@]}]}
	kill -9 "${pids[$victim]}" 2>/dev/null || echo "# $victim had ended"
	wait "${pids[$victim]}" 2>/dev/null || :
	killed=$((killed + 1))
	case $victim in
	worker*) allowed=$((allowed + 1)) ;;
	*) allowed=$((allowed + window)) ;;
	esac
	# A node is away for a moment.
	case $victim in
	node*) sleep "$((RANDOM % 2)).$((RANDOM % 10))" ;;
	esac
	note_memory || :
	start "$victim"
done
wait_for_all
seq "$messages" | sort >"$tmp/want"
status=0
LC_ALL=C diff <(LC_ALL=C sort "$tmp/want") <(LC_ALL=C sort "$tmp/unique") >"$tmp/diff" || status=1
if [ $status != 0 ]; then
	echo "# $(grep -c '^<' "$tmp/diff") messages are lost, $(grep -c '^>' "$tmp/diff") are unknown"
	tail -n 5 "$tmp"/*.log | sed 's/^/# /'
	mboxctl stat "$m-from" "$m-to" | grep -E 'queued|lease' | sed 's/^/# /'
fi
result $status "2 every message is done"
total=$(cat "$tmp"/done.* | wc -l)
echo "# $((total - messages)) of $messages messages were done more than once; $allowed could be"
status=0
[ $((total - messages)) -le "$allowed" ] || status=1
if [ $status != 0 ]; then
	tail -n 25 "$tmp"/{export,import,worker}.log | sed 's/^/# /'
fi
result $status "3 no more than a window for each kill is doubled"
note_memory || :
most=$(sort -n "$tmp/memory" | tail -n 1)
echo "# most memory of a bridge: $most kB"
status=0
[ "$most" -lt 65536 ] || status=1
result $status "4 memory of the bridges"
exit $bad
