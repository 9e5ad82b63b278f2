#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# mbox-nats with a real server of NATS. Each function test_* is one test, and fails when
# any check in it does. "nats_test.sh NAME..." runs only those.
#
# shellcheck disable=SC2016,SC2317 # subjects have a $; they are called by the names found at the end
set -eu

here=$(cd "$(dirname "$0")" && pwd)
client=$here/nats_client
keys=$here/nats_keys
# shellcheck source=selftests/library/nats.sh
. "$here/nats.sh"
needs "$client"

tmp=$(mktemp -d)
m=mbox-test-$$
port=$(($$ % 10000 + 20000))
url=nats://127.0.0.1:$port
patience=$((20 * ${MBOX_TIME_FACTOR:-1}))
server='' bridge='' others=''
mkdir "$tmp/state"

# By their numbers: only what this test has started.
cleanup()
{
	for pid in $server $bridge $others; do
		kill -CONT "$pid" 2>/dev/null || :
		kill -9 "$pid" 2>/dev/null || :
	done
	mailboxes | xargs -r mboxctl rm -D 2>/dev/null || :
	rm -rf "$tmp"
}
trap cleanup EXIT

mailboxes() { mboxctl ls --json | grep -o "\"${m}[^\"]*\"" | tr -d '"' || :; }

wrong()
{
	failed=1
	printf '%s\n' "$*" | sed 's/^/# /'
}

same() { [ "$1" = "$2" ] || wrong "'$1', not '$2'"; }

# until COMMAND...: it succeeds, some time.
until_true()
{
	local begin=$SECONDS
	until "$@" >/dev/null 2>&1; do
		if [ $((SECONDS - begin)) -gt "$patience" ]; then
			wrong "never: $*"
			return 1
		fi
		sleep 0.05
	done
}

# has FILE PATTERN
has() { grep -q -e "$2" "$1"; }

start_server() { start_plain_server -js -sd "$tmp/js" "$@"; }

# Without JetStream. Each start empties the file first: what is in it is not of the last one.
start_plain_server()
{
	: >"$tmp/server"
	nats-server -a 127.0.0.1 -p "$port" "$@" >"$tmp/server" 2>&1 &
	server=$!
	until_true has "$tmp/server" 'Server is ready' || cat "$tmp/server"
}

end() { kill "-$2" "$1" 2>/dev/null || :; wait "$1" 2>/dev/null || :; }

stop_server()
{
	[ -z "$server" ] || end "$server" "${1:-KILL}"
	server=
}

# bridge LINE...: it has subscribed when this returns.
bridge()
{
	: >"$tmp/log"
	rm -f "$tmp/metrics"
	mbox-nats -s "$url" "state $tmp/state" "metrics $tmp/metrics" "$@" 2>"$tmp/log" &
	bridge=$!
	until_true has "$tmp/log" 'mbox-nats: ready' || cat "$tmp/log"
}

stop_bridge()
{
	[ -z "$bridge" ] || end "$bridge" "${1:-TERM}"
	bridge=
}

# json MAILBOX KEY: what its JSON says
json() { mboxctl stat --json "$1" | grep -o "\"$2\":[^,}]*" | head -n 1 | cut -d: -f2; }

# is MAILBOX KEY VALUE
is() { [ "$(json "$1" "$2")" = "$3" ]; }

has_receiver() { ! is "$1" recv_handles 0; }

# metric NAME: of all routes
metric()
{
	rm -f "$tmp/metrics"
	kill -USR1 "$bridge"
	until_true test -e "$tmp/metrics" || return 1
	awk -v name="mbox_nats_$1_total{" 'index($0, name) == 1 { n += $NF } END { print n + 0 }' \
		"$tmp/metrics"
}

metric_is() { [ "$(metric "$1")" = "$2" ]; }

api() { "$client" "$url" req "\$JS.API.$1" "${2-}"; }

stream() { api "STREAM.CREATE.$1" "{\"name\":\"$1\",\"subjects\":[\"$2\"]${3-}}" >/dev/null; }

# in_stream NAME: how many messages it has
in_stream() { api "STREAM.INFO.$1" | grep -o '"messages":[0-9]*' | head -n 1 | cut -d: -f2; }

in_stream_is() { [ "$(in_stream "$1")" = "$2" ]; }

pub() { "$client" "$url" pub "$@"; }

# listen FILE ARGUMENT...: what comes goes to FILE
listen()
{
	local file=$1
	shift
	: >"$file"
	"$client" "$url" "$@" >"$file" 2>&1 &
	listener=$!
	others="$others $listener"
	until_true has "$file" '^ready$'
}

# recv MAILBOX [N]: messages, a line each
recv() { mboxctl recv -N -n "${2:-1}" -T 20 "$1"; }

# What "pub -c N m%d" sends.
numbers() { seq "$1" | sed 's/^/m/' | tr '\n' ' '; }

create() { mboxctl create "$@" || wrong "no mailbox"; }

test_options()
{
	while IFS='|' read -r line error; do
		status=0
		out=$(mbox-nats -t "$line" 2>&1) || status=$?
		[ "$status" = 2 ] || wrong "$line: status $status"
		case $out in
		*"$error"*) ;;
		*) wrong "$line: $out" ;;
		esac
	done <<'END'
export|not of the form export MAILBOX -> SUBJECT
export a|not of the form
export a ->|not of the form
export a <- b|not a word for export
import a -> |not of the form import SUBJECT -> MAILBOX
serve a -> b|not a word for serve
export a -> b.*|wildcards are for import and serve
export a -> b..c|a part of the subject is empty
import a.>.b -> c|stands in a wrong place
import a* -> c|stands in a wrong place
import a queue|queue wants a name
import a queue b queue c -> d|stands there twice
import a queue b durable c -> d|exclude each other
import a stream b -> d|stream wants durable
export a stream b -> d|stream wants jetstream
export a jetstream replicas 3 -> d|replicas wants stream
export a jetstream stream b replicas 6 -> d|not a number from 1 to 5
export a jetstream stream b -> d"|without \ and "
import a\ durable b -> d|without \ and "
call a stream b -> d|stream: not a word for call
import a durable b.c -> d|a name without
import a window 0 -> d|not a number from 1 to 4096
export a window x -> d|not a number from 1 to 4096
export a reply-max 10 -> d|reply-max is not for export
import a timeout 10 -> d|timeout is not for import
export a trust -> d|not a word for export
serve a <- d jetstream|not a word for serve
nonsense|not a word that a line begins with
server|server wants one value
user a|user wants two values
name a.b|without .
pending 0|not a number from 1 to 2147483647
pending 2147483648|not a number from 1 to 2147483647
# nothing|no route
END
	printf '%s\n' '# a comment' "server $url" 'export a -> b jetstream window 3' \
		'	import b.> durable c stream d -> e dead-letter f trust' \
		'serve a <- b reply-max 100 timeout 3' 'call a -> b' >"$tmp/file"
	mbox-nats -t -f "$tmp/file" || wrong "a right file"
	printf '%s\n' 'call a -> b' 'call a  ->	b # again' >"$tmp/file"
	out=$(mbox-nats -t -f "$tmp/file" 2>&1) && wrong "a route twice"
	case $out in
	*"$tmp/file:2: this route stands there twice"*) ;;
	*) wrong "$out" ;;
	esac
	# They would have one ledger.
	out=$(mbox-nats -t 'export a -> b' 'export a -> b jetstream' 2>&1) && wrong "an export twice"
	same "$out" 'mbox-nats: command line: there is an export from a to b'
	mbox-nats -t 'export a -> b' 'export a -> c' 'export c -> b' || wrong "three exports"
	# Each would be refused the stream of the other.
	out=$(mbox-nats -t 'export a -> b jetstream stream S' 'export a -> c jetstream stream S' \
		2>&1) && wrong "a stream of two subjects"
	same "$out" 'mbox-nats: command line: the stream S is made for one subject, and that is b'
	long=$(printf '%0400d' 0)
	mbox-nats -t "import $long durable $long -> a" 2>/dev/null && wrong "names that are too long"
	out=$(mbox-nats -t -f "$tmp/none" 2>&1) && wrong "no file"
	mbox-nats --version | grep -q '^mbox-nats (libmbox) v' || wrong "no version"
	mbox-nats --help | grep -q '^usage: ' || wrong "no help"
}

test_export()
{
	create "$m-a"
	listen "$tmp/out" sub -n 3 'x.>'
	bridge "export $m-a -> x.y"
	mboxctl send -p 7 -t 9 "$m-a" one
	mboxctl send "$m-a" ''
	mboxctl send -L 1000 "$m-a" three
	wait "$listener" || wrong "not all came"
	has "$tmp/out" "^x.y \[Mbox-Prio=7 Mbox-Sender=0 0 [0-9]* Mbox-Type=9\] one\$" ||
		wrong "no properties"
	has "$tmp/out" '^x.y \[Mbox-Sender=[0-9 ]*\] $' || wrong "no empty message"
	has "$tmp/out" '^x.y \[Mbox-Lifespan=[0-9]* Mbox-Sender=[0-9 ]*\] three$' || wrong "no lifespan"
	until_true is "$m-a" leased 0
	until_true metric_is messages 3
}

test_export_with_jetstream()
{
	create -c 200 "$m-a"
	stream S 's.>'
	for i in $(seq 100); do
		echo "m$i"
	done | mboxctl send -l "$m-a"
	mboxctl send -p 5 "$m-a" first
	bridge "export $m-a -> s.a jetstream window 7"
	until_true in_stream_is S 101
	until_true is "$m-a" queued 0
	until_true is "$m-a" leased 0
	api STREAM.MSG.GET.S '{"seq":1}' | grep -qF '"data":"Zmlyc3Q="' || wrong "no priority"
	# The rest in order: m1, m100.
	api STREAM.MSG.GET.S '{"seq":2}' | grep -qF '"data":"bTE="' || wrong "m1 is not second"
	api STREAM.MSG.GET.S '{"seq":101}' | grep -qF '"data":"bTEwMA=="' || wrong "m100 is not last"
	until_true metric_is messages 101
	same "$(metric duplicates)" 0
	same "$(metric retries)" 0
}

# A message is on lease until the stream has it.
test_export_waits_for_the_stream()
{
	create "$m-a"
	bridge "export $m-a -> s.a jetstream"
	mboxctl send "$m-a" one
	until_true has "$tmp/log" 'no stream has the subject s.a'
	same "$(json "$m-a" leased)" 1
	stream S 's.>'
	until_true in_stream_is S 1
	until_true is "$m-a" leased 0
}

test_export_makes_the_stream()
{
	create "$m-a"
	bridge "export $m-a -> s.a jetstream stream S"
	printf '%s\n' 1 2 3 | mboxctl send -l "$m-a"
	until_true in_stream_is S 3
	until_true is "$m-a" leased 0
	has "$tmp/log" 'made the stream S for s.a' || cat "$tmp/log"
	api STREAM.INFO.S | grep -q '"subjects":\["s.a"\],"retention":"workqueue"' ||
		wrong "$(api STREAM.INFO.S)"
	metric_is errors 0 || wrong "$(metric errors) errors"
	metric_is messages 3 || wrong "$(metric messages) messages"
}

test_export_cannot_make_the_stream()
{
	create "$m-a" "$m-b"
	stream S s.a
	bridge "export $m-a -> t.a jetstream stream S" "export $m-b -> t.b jetstream stream T replicas 3"
	mboxctl send "$m-a" one
	until_true has "$tmp/log" 'cannot make the stream S: stream name already in use'
	mboxctl send "$m-b" one
	until_true has "$tmp/log" 'cannot make the stream T: .*replicas'
	same "$(json "$m-a" leased) $(json "$m-b" leased)" '1 1'
	stop_bridge
	stop_server
	start_plain_server
	bridge "export $m-a -> t.a jetstream stream S"
	until_true has "$tmp/log" 'cannot make the stream S: the server has no JetStream'
	same "$(json "$m-a" leased)" 1
	stop_server
}

# The senders meet a full mailbox for half a minute, and then all is as if nothing had been.
test_server_is_away()
{
	local sender
	create -c 4 "$m-a"
	create "$m-b"
	bridge "export $m-a -> s.a jetstream stream S" "import s.a durable d -> $m-b"
	mboxctl send "$m-a" 1
	same "$(recv "$m-b")" 1
	stop_server
	seq 2 40 | mboxctl send -l "$m-a" &
	sender=$!
	others="$others $sender"
	until_true is "$m-a" waiting_senders 1
	sleep 30
	kill -0 "$sender" || wrong "the sender has ended"
	same "$(($(json "$m-a" queued) + $(json "$m-a" leased)))" 4
	mboxctl send -d "$m-a" more && wrong "there is room"
	start_server
	wait "$sender" || wrong "the sender has failed"
	same "$(recv "$m-b" 39 | tr '\n' ' ')" "$(seq 2 40 | tr '\n' ' ')"
	until_true is "$m-a" leased 0
	same "$(json "$m-a" queued)$(json "$m-b" queued)" 00
}

# What the stream does not acknowledge is sent again, also while it acknowledges others.
test_export_sends_one_again()
{
	create "$m-a"
	# This takes one, and is silent; the next listener is as good as a stream.
	listen "$tmp/silent" sub -n 1 -t 60000 s.a
	bridge "export $m-a -> s.a jetstream timeout 2"
	mboxctl send "$m-a" first
	wait "$listener" || wrong "nothing came"
	listen "$tmp/out" reply -n 1000 -t 60000 s.a '{"stream":"S"} '
	for _ in $(seq 40); do
		mboxctl send "$m-a" other
		sleep 0.25
		! has "$tmp/out" ' first$' || break
	done
	has "$tmp/out" ' first$' || wrong "it did not come again"
	until_true is "$m-a" leased 0
}

# Longer than the stream, or the server, allows.
test_export_of_what_is_too_long()
{
	create -s 100000 "$m-a" "$m-b" "$m-d"
	stream S s.a ',"max_msg_size":1000'
	bridge "export $m-a -> s.a jetstream dead-letter $m-d" "export $m-b -> s.b"
	head -c 5000 /dev/zero | tr '\0' x | mboxctl send -p 3 -t 4 "$m-a"
	mboxctl send "$m-a" short
	until_true in_stream_is S 1
	same "$(mboxctl recv -T 20 "$m-d" | wc -c)" 5000
	until_true is "$m-a" leased 0
	same "$(metric dead)" 1
}

# It comes back, behind the others, until the mailbox ends that.
test_export_leaves_it_to_the_mailbox()
{
	create "$m-d"
	create --deliveries 2 --dead-letter "$m-d" "$m-a"
	stream S s.a ',"max_msg_size":1000'
	bridge "export $m-a -> s.a jetstream"
	head -c 5000 /dev/zero | tr '\0' x | mboxctl send "$m-a"
	mboxctl send "$m-a" short
	until_true in_stream_is S 1
	same "$(mboxctl recv -T 20 "$m-d" | wc -c)" 5000
	has "$tmp/log" 'a message of 5000 bytes comes back' || wrong "nothing was said"
}

# send_and_kill MESSAGE...: the stream has them, and the bridge dies before it knows.
send_and_kill()
{
	local had
	had=$(in_stream S)
	kill -STOP "$server"
	mboxctl send "$m-a" "$@"
	until_true is "$m-a" leased $#
	# They are in the server's socket.
	sleep 3
	kill -STOP "$bridge"
	kill -CONT "$server"
	until_true in_stream_is S $((had + $#))
	stop_bridge KILL
	until_true is "$m-a" queued $#
}

# What was under way when the bridge was killed is recognised by the stream.
test_export_killed()
{
	create "$m-a"
	stream S 's.>'
	bridge "export $m-a -> s.a jetstream"
	mboxctl send "$m-a" before
	until_true in_stream_is S 1
	until_true is "$m-a" leased 0
	# The last two are the same.
	send_and_kill one two same same
	bridge "export $m-a -> s.a jetstream"
	until_true is "$m-a" queued 0
	until_true is "$m-a" leased 0
	same "$(in_stream S)" 5
	until_true metric_is duplicates 4
	# A new message is none of them.
	mboxctl send "$m-a" same
	until_true in_stream_is S 6
}

# If another receiver had its hands in it, nothing is taken for known.
test_export_killed_beside_a_receiver()
{
	create "$m-a"
	stream S 's.>'
	bridge "export $m-a -> s.a jetstream"
	send_and_kill same same
	same "$(recv "$m-a")" same
	bridge "export $m-a -> s.a jetstream"
	until_true in_stream_is S 3
	same "$(metric duplicates)" 0
}

test_server_restarts()
{
	create "$m-a"
	create "$m-b"
	stream S 's.>'
	bridge "export $m-a -> s.a jetstream window 4" "import s.> durable D -> $m-b"
	mboxctl send "$m-a" one
	same "$(recv "$m-b")" one
	stop_server KILL
	until_true has "$tmp/log" disconnected
	mboxctl send "$m-a" two three four
	start_server
	same "$(recv "$m-b" 3 | tr '\n' ' ')" 'two three four '
	until_true is "$m-a" leased 0
	until_true in_stream_is S 4
}

test_import()
{
	create "$m-a"
	bridge "import x.* -> $m-a"
	pub -H Mbox-Prio:3 -H Mbox-Type:18446744073709551615 x.y 'with properties'
	pub x.z plain
	pub x.y.z 'another subject'
	pub -H Mbox-Lifespan:60000000000 x.y last
	out=$(mboxctl recv -N -n 3 -T 20 -M "$m-a")
	case $out in
	*prio=3*type=18446744073709551615*'with properties'*prio=0*plain*last) ;;
	*) wrong "$out" ;;
	esac
	until_true metric_is messages 3
}

# What has come when the bridge ends is delivered, if there is room in time.
test_import_ends_with_the_bridge()
{
	create -c 2 "$m-a"
	bridge "import x.> -> $m-a"
	pub -c 8 x.y 'm%d'
	until_true is "$m-a" queued 2
	kill "$bridge"
	same "$(recv "$m-a" 8 | tr '\n' ' ')" "$(numbers 8)"
	stop_bridge
	# What is lost is counted.
	bridge "import x.> -> $m-a"
	pub -c 200 x.y 'm%d'
	until_true is "$m-a" queued 2
	stop_bridge
	has "$tmp/log" ': 198 messages are lost$' || wrong "nothing was said"
	has "$tmp/metrics" '^mbox_nats_rejected_total{.*} 198$' || wrong "not counted"
	has "$tmp/metrics" '^mbox_nats_connected 0$' || wrong "still connected"
}

# libnats keeps that many bytes, and drops the rest.
test_import_keeps_so_many_bytes()
{
	create -c 1 "$m-a"
	head -c 5000 /dev/zero | tr '\0' x >"$tmp/text"
	bridge "pending 20000" "import x.> -> $m-a"
	pub -c 200 x.y "@$tmp/text"
	until_true is "$m-a" queued 1
	until_true has "$tmp/log" 'messages were dropped'
	# The answer comes when the bridge has read all that.
	"$client" "$url" req '$SRV.PING' '' >/dev/null
	dropped=$(metric dropped)
	[ "$dropped" -gt 100 ] || wrong "$dropped dropped"
	stop_bridge
	# The others are lost at the end; one is in the mailbox.
	lost=$(sed -n 's/.*: \([0-9]*\) messages are lost$/\1/p' "$tmp/log")
	same "$((dropped + lost))" 199
}

test_import_from_jetstream()
{
	create "$m-a"
	stream S 's.>'
	pub -c 20 s.before 'm%d'
	bridge "import s.> durable D -> $m-a"
	same "$(recv "$m-a" 20 | tr '\n' ' ')" "$(numbers 20)"
	until_true sh -c "'$client' $url req '\$JS.API.CONSUMER.INFO.S.D' '' |
		grep -q '\"num_ack_pending\":0.*\"num_pending\":0'"
	pub s.after more
	same "$(recv "$m-a")" more
}

test_import_of_a_part_of_a_stream()
{
	create "$m-a"
	stream S 's.>'
	pub s.a.x one
	pub s.b two
	pub s.a.y three
	bridge "import s.a.* durable D stream S -> $m-a"
	same "$(recv "$m-a" 2 | tr '\n' ' ')" 'one three '
}

# It would deliver something else.
test_import_by_a_wrong_consumer()
{
	create "$m-a"
	stream S 's.>'
	api CONSUMER.DURABLE.CREATE.S.D '{"stream_name":"S","config":{"durable_name":"D",
		"ack_policy":"explicit","filter_subject":"s.>"}}' >/dev/null
	api CONSUMER.DURABLE.CREATE.S.E \
		'{"stream_name":"S","config":{"durable_name":"E","ack_policy":"explicit"}}' >/dev/null
	pub s.b one
	bridge "import s.a durable D -> $m-a" "import s.* durable E -> $m-a"
	until_true has "$tmp/log" ': D is a consumer of s.>$'
	until_true has "$tmp/log" ': E is a consumer of all subjects of the stream, or of several$'
	stop_bridge
	same "$(json "$m-a" queued)" 0
	bridge "import s.> durable D -> $m-a" "import > durable E stream S -> $m-a"
	same "$(recv "$m-a" 2 | tr '\n' ' ')" 'one one '
}

test_import_from_one_of_several_streams()
{
	create "$m-a"
	stream S 's.>'
	stream T 't.>'
	pub s.a one
	pub t.a two
	bridge "import > durable D -> $m-a"
	until_true has "$tmp/log" 'several streams have the subject >: name one with stream$'
	stop_bridge
	same "$(json "$m-a" queued)" 0
	bridge "import > durable D stream T -> $m-a"
	same "$(recv "$m-a")" two
	api STREAM.DELETE.T >/dev/null
}

# Nothing is fetched for which there is no room.
test_import_into_a_full_mailbox()
{
	create -c 4 "$m-a"
	stream S 's.>'
	bridge "import s.> durable D -> $m-a"
	pub -c 50 s.a 'm%d'
	until_true is "$m-a" queued 4
	sleep 1
	api CONSUMER.INFO.S.D | grep -q '"num_ack_pending":0,' || wrong "more was fetched"
	api CONSUMER.INFO.S.D | grep -q '"num_pending":46' || wrong "more was fetched"
	same "$(recv "$m-a" 50 | tr '\n' ' ')" "$(numbers 50)"
	same "$(metric duplicates)" 0
}

# Other senders take the room.
test_import_holds_what_does_not_fit()
{
	create -c 4 "$m-a"
	stream S 's.>'
	mboxctl send "$m-a" own own own own
	bridge "import s.> durable D -> $m-a"
	pub -c 8 s.a 'm%d'
	for i in $(seq 12); do
		recv "$m-a"
		[ "$i" -gt 4 ] || mboxctl send -d "$m-a" own2 2>/dev/null || :
	done >"$tmp/out" || :
	mboxctl recv -N -d -n 0 "$m-a" >>"$tmp/out" || :
	until_true sh -c "mboxctl recv -N -d -n 0 $m-a >>'$tmp/out'; [ \$(grep -c ^m '$tmp/out') = 8 ]"
	same "$(grep ^m "$tmp/out" | tr '\n' ' ')" 'm1 m2 m3 m4 m5 m6 m7 m8 '
}

# As servers do that lost the state of the consumer.
test_import_of_what_it_has()
{
	create "$m-a"
	stream S 's.>'
	pub -c 20 s.a 'm%d'
	bridge "import s.> durable D -> $m-a"
	until_true is "$m-a" queued 20
	api CONSUMER.DELETE.S.D >/dev/null
	until_true metric_is duplicates 20
	pub s.a more
	same "$(recv "$m-a" 21 | tr '\n' ' ')" "$(numbers 20)more "
	# Another stream's messages have the same numbers, and are others.
	api STREAM.DELETE.S >/dev/null
	stream S 's.>'
	pub -c 3 s.a 'm%d'
	same "$(recv "$m-a" 3 | tr '\n' ' ')" "$(numbers 3)"
	same "$(metric duplicates)" 20
	# A bridge that begins has nothing.
	stop_bridge
	api CONSUMER.DELETE.S.D >/dev/null
	bridge "import s.> durable D -> $m-a"
	same "$(recv "$m-a" 3 | tr '\n' ' ')" "$(numbers 3)"
}

# Other machines get what was fetched for a mailbox that has ended.
test_import_gives_back_what_it_holds()
{
	create -c 4 "$m-a"
	stream S 's.>'
	bridge "import s.> durable D -> $m-a"
	until_true sh -c "'$client' $url req '\$JS.API.CONSUMER.INFO.S.D' '' |
		grep -q '\"num_waiting\":1,'"
	mboxctl send "$m-a" own own own own
	pub -c 4 s.a 'm%d'
	until_true sh -c "'$client' $url req '\$JS.API.CONSUMER.INFO.S.D' '' |
		grep -q '\"num_ack_pending\":4,'"
	mboxctl rm -D "$m-a"
	out=$("$client" "$url" req -t 20000 '$JS.API.CONSUMER.MSG.NEXT.S.D' \
		'{"batch":1,"expires":10000000000}')
	case $out in
	's.a [] m'*) ;;
	*) wrong "$out" ;;
	esac
}

test_import_of_what_does_not_fit()
{
	create -s 10 "$m-a"
	create -s 20 "$m-d"
	stream S 's.>'
	bridge "import s.> durable D -> $m-a dead-letter $m-d"
	pub s.a 'longer than ten'
	pub s.a 'longer than twenty bytes'
	pub s.a short
	same "$(recv "$m-a")" short
	same "$(recv "$m-d")" 'longer than ten'
	until_true metric_is dead 1
	same "$(metric rejected)" 1
	until_true sh -c "'$client' $url req '\$JS.API.CONSUMER.INFO.S.D' '' |
		grep -q '\"num_ack_pending\":0'"
	! mboxctl recv -d "$m-d" >/dev/null 2>&1 || wrong "more dead letters"
}

# raw TEXT: to the server, as it is
raw()
{
	exec 5<>"/dev/tcp/127.0.0.1/$port"
	read -r _ <&5
	printf 'CONNECT {"verbose":false,"headers":true}\r\n%bPING\r\n' "$1" >&5
	read -r _ <&5
	exec 5>&-
}

test_malformed_headers()
{
	create "$m-a" "$m-d"
	stream S 's.>'
	bridge "import s.> durable D -> $m-a dead-letter $m-d"
	for value in '' x 32768 -1 1x; do
		pub -H "Mbox-Prio:$value" s.a "prio $value"
	done
	pub -H Mbox-Type:18446744073709551616 s.a 'type'
	pub -H Mbox-Lifespan:9223372036854775808 s.a 'lifespan'
	# Not what this route reads.
	pub -H Mbox-Sender:nobody s.a 'sender'
	# A block of headers without a colon.
	raw 'HPUB s.a 22 27\r\nNATS/1.0\r\nno colon\r\n\r\nblock\r\n'
	pub s.a good
	same "$(recv "$m-a" 2 | tr '\n' ' ')" 'sender good '
	until_true metric_is dead 8
	recv "$m-d" 8 >"$tmp/out"
	same "$(grep -c '^prio' "$tmp/out")" 5
	has "$tmp/out" '^block$' || wrong "no block"
}

test_identity()
{
	create "$m-a" "$m-b" "$m-d"
	bridge "import x.a -> $m-a" "import x.b -> $m-b dead-letter $m-d trust"
	pub -H 'Mbox-Sender:65534 65533 77' x.a no
	pub -H 'Mbox-Sender:65534 65533 77' x.b yes
	pub x.b unknown
	pub -H 'Mbox-Sender:4294967295 0 1' x.b 'no user'
	mboxctl recv -M -T 20 "$m-a" | grep -q 'uid=0 ' || wrong "it was believed"
	mboxctl recv -M -T 20 "$m-b" | grep -q 'uid=65534 ' || wrong "it was not believed"
	mboxctl recv -M -T 20 "$m-b" | grep -q 'uid=0 ' || wrong "it stays another user"
	same "$(recv "$m-d")" 'no user'
}

test_queue_group()
{
	create "$m-a" "$m-b"
	bridge "import x.> queue G -> $m-a" "import x.> queue G -> $m-b"
	pub -c 40 x.y 'm%d'
	until_true metric_is messages 40
	a=$(json "$m-a" queued) b=$(json "$m-b" queued)
	same $((a + b)) 40
	case $a in
	0|40) wrong "$a and $b" ;;
	esac
}

test_broadcast()
{
	create --broadcast "$m-a"
	stream S 's.>'
	for i in 1 2 3; do
		mboxctl recv -N -n 5 -T 60 "$m-a" >"$tmp/out$i" &
		others="$others $!"
		eval "receiver$i=$!"
	done
	until_true is "$m-a" waiting_receivers 3
	bridge "import s.> durable D -> $m-a"
	pub -c 5 s.a 'm%d'
	for i in 1 2 3; do
		eval "wait \$receiver$i" || wrong "receiver $i"
		same "$(tr '\n' ' ' <"$tmp/out$i")" 'm1 m2 m3 m4 m5 '
	done
}

# Without leases; what is received is sent.
test_export_of_a_broadcast()
{
	create --broadcast "$m-a"
	stream S 's.>'
	bridge "export $m-a -> s.a jetstream"
	until_true is "$m-a" recv_handles 1
	mboxctl send "$m-a" one two
	until_true in_stream_is S 2
}

test_serve()
{
	create "$m-a"
	bridge "serve $m-a <- x.*"
	out=$("$client" "$url" req x.y 'nobody')
	case $out in
	*'[Nats-Service-Error=no server Nats-Service-Error-Code=503]'*) ;;
	*) wrong "$out" ;;
	esac
	mboxctl serve -j 4 "$m-a" sed 's/^/reply to /' 2>/dev/null &
	others="$others $!"
	local srv=$!
	until_true has_receiver "$m-a"
	"$client" "$url" req x.y one | grep -q '\[\] reply to one$' || wrong "no reply"
	for i in $(seq 10); do
		"$client" "$url" req x.y "$i" >"$tmp/out$i" &
		eval "req$i=$!"
	done
	for i in $(seq 10); do
		eval "wait \$req$i" || wrong "request $i"
		has "$tmp/out$i" "\[\] reply to $i\$" || wrong "request $i"
	done
	out=$("$client" "$url" req -H Mbox-Prio:x x.y one)
	case $out in
	*'[Nats-Service-Error=a header is malformed Nats-Service-Error-Code=400]'*) ;;
	*) wrong "$out" ;;
	esac
	end "$srv" TERM
	until_true metric_is messages 11
}

# ask N: as many requests, whose answers are waited for by all_get N TEXT
ask()
{
	for i in $(seq "$1"); do
		"$client" "$url" req -t 60000 x.y "$i" >"$tmp/out$i" &
		eval "req$i=$!"
	done
}

all_get()
{
	for i in $(seq "$1"); do
		eval "wait \$req$i" || wrong "request $i"
		has "$tmp/out$i" "$2" || wrong "$(cat "$tmp/out$i")"
	done
}

test_serve_ends_with_its_server()
{
	create "$m-a"
	bridge "serve $m-a <- x.y window 8"
	mboxctl serve "$m-a" sleep 1000 2>/dev/null &
	local srv=$!
	others="$others $srv"
	until_true is "$m-a" recv_handles 1
	# One has been received, the others have not.
	ask 3
	until_true is "$m-a" sent 3
	end "$srv" KILL
	all_get 3 'Nats-Service-Error=the server has ended Nats-Service-Error-Code=503'
}

test_serve_in_time()
{
	create "$m-a"
	create "$m-b"
	bridge "serve $m-a <- x.slow timeout 1" "serve $m-b <- x.long timeout 60 reply-max 10"
	mboxctl serve "$m-a" sleep 3 2>/dev/null &
	local slow=$!
	mboxctl serve "$m-b" echo 0123456789 2>/dev/null &
	local long=$!
	others="$others $slow $long"
	until_true is "$m-a" recv_handles 1
	until_true is "$m-b" recv_handles 1
	"$client" "$url" req -t 20000 x.slow a | grep -q 'Nats-Service-Error-Code=504' || wrong "no 504"
	"$client" "$url" req -t 60000 x.long a | grep -q 'Nats-Service-Error-Code=413' || wrong "no 413"
	end "$slow" TERM
	end "$long" TERM
}

# Every request that has come gets an answer, also those that wait behind the window.
test_serve_ends_with_the_bridge()
{
	create "$m-a"
	bridge "serve $m-a <- x.y window 1"
	mboxctl serve "$m-a" sleep 1000 2>/dev/null &
	local srv=$!
	others="$others $srv"
	until_true is "$m-a" recv_handles 1
	listen "$tmp/seen" sub -n 4 -t 60000 x.y
	ask 4
	wait "$listener" || wrong "not all have asked"
	until_true is "$m-a" sent 1
	stop_bridge
	all_get 4 'Nats-Service-Error=the bridge has ended Nats-Service-Error-Code=503'
	end "$srv" KILL
}

test_call()
{
	create "$m-a"
	bridge "call $m-a -> x.y timeout 60"
	# Nobody answers: at once.
	status=0
	out=$(mboxctl call -T 50 "$m-a" one 2>&1) || status=$?
	same "$status" 1
	until_true has "$tmp/log" 'nobody answers requests of x.y'
	listen "$tmp/out" reply -n 3 -t 60000 x.y 'reply to '
	same "$(mboxctl call -T 50 -p 3 "$m-a" two)" 'reply to two'
	has "$tmp/out" '^x.y \[Mbox-Prio=3 Mbox-Sender=0 0 [0-9]*\] two$' || wrong "no properties"
	same "$(mboxctl call -T 50 "$m-a" three)" 'reply to three'
	# What is no call gets no reply.
	mboxctl send "$m-a" four
	wait "$listener" || wrong "no four"
	until_true is "$m-a" leased 0
}

# The deadline is the caller's.
test_call_in_time()
{
	create "$m-a"
	bridge "call $m-a -> x.y"
	listen "$tmp/out" sub -n 1 -t 60000 x.y
	status=0
	mboxctl call -T 5 "$m-a" one 2>/dev/null || status=$?
	same "$status" 3
	wait "$listener" || wrong "no request"
}

test_call_and_serve()
{
	create "$m-a" "$m-b"
	bridge "call $m-a -> x.y" "serve $m-b <- x.y"
	# An error is none of the replies.
	status=0
	mboxctl call -T 50 "$m-a" one 2>/dev/null || status=$?
	same "$status" 1
	until_true has "$tmp/log" 'the service says: no server'
	mboxctl serve "$m-b" tr a-z A-Z 2>/dev/null &
	local srv=$!
	others="$others $srv"
	until_true is "$m-b" recv_handles 1
	same "$(mboxctl call -T 50 "$m-a" two)" TWO
	end "$srv" TERM
}

test_wrong_credentials()
{
	create "$m-a"
	stop_server
	start_server --user someone --pass right
	echo wrong >"$tmp/password"
	: >"$tmp/log"
	mbox-nats -s "$url" "user someone $tmp/password" "import x.> -> $m-a" 2>"$tmp/log" &
	bridge=$!
	until_true has "$tmp/log" 'cannot connect: .*[Aa]uthorization'
	sleep 2
	kill -0 "$bridge" || wrong "it has ended"
	echo right >"$tmp/password"
	until_true has "$tmp/log" 'mbox-nats: ready'
	"$client" "nats://someone:right@127.0.0.1:$port" pub x.y one
	same "$(recv "$m-a")" one
	# They become wrong.
	stop_server
	start_server --user someone --pass other
	until_true has "$tmp/log" 'the connection has ended: .*[Aa]uthorization'
	echo other >"$tmp/password"
	until_true sh -c "[ \$(grep -c 'mbox-nats: ready' '$tmp/log') = 2 ]"
	"$client" "nats://someone:other@127.0.0.1:$port" pub x.y two
	same "$(recv "$m-a")" two
	stop_bridge
	stop_server
	start_server
}

# refused PATTERN SETTING...: the bridge says why it cannot connect, and tries again.
refused()
{
	local pattern=$1
	shift
	: >"$tmp/log"
	mbox-nats -s "$url" "$@" "import x.> -> $m-b" 2>"$tmp/log" &
	bridge=$!
	until_true has "$tmp/log" "cannot connect: .*$pattern" || cat "$tmp/log"
	sleep 1
	kill -0 "$bridge" || wrong "it has ended: $*"
	has "$tmp/log" 'mbox-nats: ready' && wrong "it was admitted: $*"
	stop_bridge
}

# admitted SETTING...
admitted()
{
	bridge "$@" "export $m-a -> x.y" "import x.> -> $m-b"
	mboxctl send "$m-a" "$1"
	same "$(recv "$m-b")" "$1"
	stop_bridge
}

test_tls()
{
	local certificate='[Cc]ertificate'

	create "$m-a"
	create "$m-b"
	# The server has none.
	refused '[Ss]ecure' tls
	stop_server
	start_plain_server --tls --tlscert "$keys/server.pem" --tlskey "$keys/server.key"
	admitted "ca $keys/ca.pem"
	refused "$certificate" "ca $keys/other-ca.pem"
	refused "$certificate" tls
	refused . "ca $tmp/nothing"
	# Nor is one trusted that is another host's.
	stop_server
	start_plain_server --tls --tlscert "$keys/elsewhere.pem" --tlskey "$keys/elsewhere.key"
	refused mismatch "ca $keys/ca.pem"
	stop_server
	start_server
}

test_tls_of_both_sides()
{
	create "$m-a"
	create "$m-b"
	stop_server
	start_plain_server --tlsverify --tlscacert "$keys/ca.pem" \
		--tlscert "$keys/server.pem" --tlskey "$keys/server.key"
	admitted "certificate $keys/client.pem $keys/client.key" "ca $keys/ca.pem"
	refused . "ca $keys/ca.pem"
	refused . "certificate $keys/stranger.pem $keys/stranger.key" "ca $keys/ca.pem"
	# A certificate and a key that do not belong together.
	refused . "certificate $keys/client.pem $keys/stranger.key" "ca $keys/ca.pem"
	stop_server
	start_server
}

test_nkey()
{
	create "$m-a"
	create "$m-b"
	stop_server
	echo "authorization { users: [ { nkey: $(cat "$keys/user.nkey") } ] }" >"$tmp/server.conf"
	start_plain_server -c "$tmp/server.conf"
	admitted "nkey $(cat "$keys/user.nkey") $keys/user.seed"
	refused '[Aa]uthorization' "nkey $(cat "$keys/other.nkey") $keys/other.seed"
	# A seed that is not this user's, and none at all.
	refused . "nkey $(cat "$keys/user.nkey") $keys/other.seed"
	refused . "nkey $(cat "$keys/user.nkey") $tmp/nothing"
	stop_server
	start_server
}

test_credentials()
{
	create "$m-a"
	create "$m-b"
	stop_server
	start_plain_server -c "$keys/server.conf"
	admitted "credentials $keys/user.creds"
	refused '[Aa]uthorization' "credentials $keys/other.creds"
	refused . "credentials $tmp/nothing"
	refused '[Aa]uthorization' 'pending 1000000'
	stop_server
	start_server
}

test_no_server_yet()
{
	create "$m-a"
	stop_server
	: >"$tmp/log"
	mbox-nats -s "$url" "export $m-a -> x.y" 2>"$tmp/log" &
	bridge=$!
	until_true has "$tmp/log" 'cannot connect: No server'
	mboxctl send "$m-a" one
	sleep 0.5
	same "$(json "$m-a" queued)" 1
	start_server
	until_true has "$tmp/log" 'mbox-nats: ready'
	until_true is "$m-a" queued 0
}

test_mailbox_comes_later()
{
	bridge "import x.> -> $m-a"
	until_true has "$tmp/log" 'cannot open: No such file or directory'
	pub x.y one
	create "$m-a"
	same "$(recv "$m-a")" one
	# It ends, and there is another one.
	mboxctl rm -D "$m-a"
	sleep 0.5
	create "$m-a"
	pub x.y two
	same "$(recv "$m-a")" two
}

test_hangup_is_no_spin()
{
	create --hangup "$m-a"
	mboxctl send "$m-a" one
	bridge "export $m-a -> x.y" "import x.z -> $m-b"
	until_true is "$m-a" queued 0
	before=$(awk '{ print $14 + $15 }' "/proc/$bridge/stat")
	sleep 2
	after=$(awk '{ print $14 + $15 }' "/proc/$bridge/stat")
	[ $((after - before)) -lt 100 ] || wrong "busy for $((after - before)) ticks of 200"
	listen "$tmp/out" sub x.y
	mboxctl send "$m-a" two
	wait "$listener" || wrong "it does not go on"
}

test_reload()
{
	create "$m-a" "$m-b"
	printf '%s\n' "server $url" "metrics $tmp/metrics" "import x.a -> $m-a" >"$tmp/file"
	: >"$tmp/log"
	rm -f "$tmp/metrics"
	mbox-nats -f "$tmp/file" 2>"$tmp/log" &
	bridge=$!
	until_true has "$tmp/log" 'mbox-nats: ready'
	pub x.a one
	until_true metric_is messages 1
	echo "import x.b -> $m-b" >>"$tmp/file"
	kill -HUP "$bridge"
	until_true has "$tmp/log" 'mbox-nats: reloaded'
	pub x.a two
	pub x.b three
	same "$(recv "$m-b")" three
	same "$(recv "$m-a" 2 | tr '\n' ' ')" 'one two '
	# The first route has gone on all the time.
	same "$(metric messages)" 3
	echo "nonsense" >>"$tmp/file"
	kill -HUP "$bridge"
	until_true has "$tmp/log" 'all goes on as before'
	pub x.a four
	same "$(recv "$m-a")" four
	sed -i '/nonsense/d; /x.a/d' "$tmp/file"
	kill -HUP "$bridge"
	until_true sh -c "[ \$(grep -c 'mbox-nats: reloaded' '$tmp/log') = 2 ]"
	pub x.a five
	pub x.b six
	same "$(recv "$m-b")" six
	same "$(json "$m-a" queued)" 0
}

# The others begin all the same.
test_reload_of_a_route_that_cannot_start()
{
	create "$m-a" "$m-b"
	printf '%s\n' "server $url" "import x.a -> $m-a" >"$tmp/file"
	: >"$tmp/log"
	# Without the address space that malloc(3) keeps for each thread.
	(ulimit -v 900000 && MALLOC_ARENA_MAX=1 exec mbox-nats -f "$tmp/file" 2>"$tmp/log") &
	bridge=$!
	until_true has "$tmp/log" 'mbox-nats: ready'
	printf '%s\n' "import x.b -> $m-b" "serve $m-a <- x.c reply-max 1073741824" \
		"import x.d -> $m-b" >>"$tmp/file"
	kill -HUP "$bridge"
	until_true has "$tmp/log" "serve $m-a <- x.c reply-max 1073741824: Cannot allocate memory"
	until_true has "$tmp/log" 'reloaded; not all routes could be started'
	pub x.a one
	pub x.b two
	pub x.d three
	same "$(recv "$m-a")" one
	same "$(recv "$m-b" 2 | tr '\n' ' ')" 'two three '
	# It is tried again.
	kill -HUP "$bridge"
	until_true sh -c "[ \$(grep -c 'not all routes could be started' '$tmp/log') = 2 ]"
	pub x.b four
	same "$(recv "$m-b")" four
}

test_end()
{
	create "$m-a"
	stream S 's.>'
	: >"$tmp/log"
	: >"$tmp/manager"
	rm -f "$tmp/notify"
	"$client" "$tmp/notify" notify >"$tmp/manager" &
	local manager=$!
	others="$others $manager"
	until_true test -S "$tmp/notify"
	NOTIFY_SOCKET=$tmp/notify mbox-nats -s "$url" "export $m-a -> s.a jetstream" 2>"$tmp/log" &
	bridge=$!
	until_true has "$tmp/manager" '^READY=1$'
	has "$tmp/manager" "^STATUS=connected to $url" || wrong "no status"
	kill -STOP "$server"
	mboxctl send "$m-a" one
	until_true is "$m-a" leased 1
	kill "$bridge"
	# At once: it waits three seconds at most.
	kill -CONT "$server"
	status=0
	wait "$bridge" || status=$?
	same "$status" 0
	bridge=
	until_true has "$tmp/manager" '^STOPPING=1$'
	# It has waited for the acknowledgement.
	same "$(json "$m-a" queued)" 0
	same "$(in_stream S)" 1
	end "$manager" TERM
}

test_counters()
{
	create "$m-a"
	bridge "import x.> -> $m-a"
	pub x.y one
	recv "$m-a" >/dev/null
	"$client" "$url" req '$SRV.PING' '' |
		grep -q '{"name":"mbox-nats","id":"[0-9A-F]*","version":"[^"]*","metadata":{},"type":"io.nats.micro.v1.ping_response"}' ||
		wrong "no ping"
	"$client" "$url" req '$SRV.INFO.mbox-nats' '' |
		grep -q '"endpoints":\[{"name":"import-0","subject":"x.>"}\]' || wrong "no info"
	id=$("$client" "$url" req '$SRV.PING' '' | grep -o '"id":"[^"]*"' | cut -d'"' -f4)
	"$client" "$url" req "\$SRV.STATS.mbox-nats.$id" '' |
		grep -q "\"num_requests\":1,\"num_errors\":0,.*\"mailbox\":\"$m-a\",\"bytes\":3," ||
		wrong "no stats"
	# A link that others have put there is not followed.
	ln -s "$tmp/elsewhere" "$tmp/metrics.new"
	metric messages >/dev/null
	[ ! -e "$tmp/elsewhere" ] || wrong "it is in a file of others"
	has "$tmp/metrics" \
		"^mbox_nats_messages_total{kind=\"import\",mailbox=\"$m-a\",subject=\"x.>\"} 1\$" ||
		wrong "not counted"
	has "$tmp/metrics" '^mbox_nats_connected 1$' || wrong "not connected"
	# Written again because something has changed, with nobody asking.
	rm "$tmp/metrics"
	pub x.y two
	until_true test -e "$tmp/metrics"
	same "$(mboxctl monitor -j -n 1 -r "$tmp/metrics")" \
		"{\"kind\":\"import\",\"mailbox\":\"$m-a\",\"subject\":\"x.>\",\"group\":\"\",\"messages\":2,\"bytes\":6,\"errors\":0,\"retries\":0,\"duplicates\":0,\"lost\":0,\"connected\":true}"
}

# ---- all of them -------------------------------------------------------------

tests=${*:-$(sed -n 's/^test_\([a-z0-9_]*\)()$/\1/p' "$0")}
echo "KTAP version 1"
echo "1..$(echo "$tests" | wc -w)"
number=0
bad=0
start_server
for test in $tests; do
	failed=0
	number=$((number + 1))
	"test_$test" || wrong "it breaks off"
	stop_bridge
	for pid in $others; do
		end "$pid" KILL
	done
	others=
	mailboxes | xargs -r mboxctl rm -D || wrong "no rm"
	[ -n "$server" ] || start_server
	"$client" "$url" req '$JS.API.STREAM.DELETE.S' '' >/dev/null || :
	if [ $failed = 0 ]; then
		echo "ok $number $test"
	else
		sed 's/^/#   /' "$tmp/log"
		echo "not ok $number $test"
		bad=1
	fi
done
exit $bad
