#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The examples for remote procedures: one server, at a mailbox and at a TCP port, and the
# same client by both, also from another network namespace; and a call to all servers.
#
# shellcheck disable=SC2317 # the trap calls cleanup
set -eu

if [ ! -c /dev/mbox ]; then
	echo "1..0 # SKIP no /dev/mbox"
	exit 4
fi
if ! command -v mbox-rpc-server >/dev/null; then
	echo "1..0 # SKIP no examples: libtirpc and rpcgen were not there"
	exit 4
fi
dir=$(mktemp -d)
name=mbox-test-$$-rpc
port=$(($$ % 10000 + 20000))
patience=$((30 * ${MBOX_TIME_FACTOR:-1}))
number=0
bad=0
servers='' other=''

# By their numbers: only what this test has started.
cleanup()
{
	for pid in $servers $other; do
		kill -9 "$pid" 2>/dev/null || :
	done
	mboxctl rm "$name" "$name-all" "$name-bytes" 2>/dev/null || :
	rm -rf "$dir"
}
trap cleanup EXIT

result()
{
	number=$((number + 1))
	if [ "$1" = 0 ]; then
		echo "ok $number $2"
		return
	fi
	sed 's/^/# /' "$dir/out"
	echo "not ok $number $2"
	bad=1
}

skip()
{
	number=$((number + 1))
	echo "ok $number $1 # SKIP $2"
}

# What the client prints, whatever the way to the server; $1 is its last line.
expected()
{
	cat <<END
6 + 7 = 13
6 * 7 = 42
1 / 4 = 0.25
1 / 0 = no number
written: Success
record 3: Ada has -12345678901, and a note of 3 bytes
record 2: No such file or directory
10 visits
procedure 99: RPC: Procedure unavailable
no arguments: RPC: Server can't decode arguments
version 2: RPC: Program/version mismatch
$1
END
}

# same NAME LAST-LINE COMMAND...: whether it prints this.
same()
{
	what=$1
	expected "$2" >"$dir/want"
	shift 2
	status=0
	timeout $patience "$@" >"$dir/out" 2>&1 || status=$?
	[ $status != 0 ] || cmp -s "$dir/want" "$dir/out" || status=1
	result $status "$what"
}

# start MAILBOX [PORT]: a server, until it serves. Fails if it cannot.
start()
{
	mkfifo "$dir/ready"
	at=$1
	shift
	mbox-rpc-server "$at" "$dir/records" "$@" >"$dir/ready" 2>"$dir/out" &
	servers="$servers $!"
	line=
	read -r line <"$dir/ready" || :
	rm "$dir/ready"
	[ "$line" = ready ]
}

echo "KTAP version 1"
echo "1..9"
tcp=1
if ! start "$name" "$port"; then
	tcp=
	start "$name" || { cat "$dir/out"; exit 1; }
fi

by_mailbox="The server knows which user I am."
by_tcp="The server does not know who I am."
same by_mailbox "$by_mailbox" mbox-rpc-client "$name"
if [ -n "$tcp" ]; then
	same by_tcp "$by_tcp" mbox-rpc-client 127.0.0.1 "$port"
else
	skip by_tcp "this kernel has no Internet protocols"
fi
# Both names of the one server go on.
same by_mailbox_again "$by_mailbox" mbox-rpc-client "$name"

# hex COMMAND...: what it prints, in hexadecimal.
hex()
{
	"$@" | od -An -v -tx1 | tr -d ' \n'
}

# The first call of the client, to a server that is none of libtirpc's. The transaction is
# another one each time, and begins both. Then the server ends.
mboxctl create --hangup "$name-bytes"
# REPLY, MSG_ACCEPTED, verifier, SUCCESS, 1234.5
printf '%b' '\0\0\0\01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0100\0223\0112\0\0\0\0\0' >"$dir/reply"
# shellcheck disable=SC2016 # the inner shell's
mboxctl serve -n 1 -T $patience "$name-bytes" \
	sh -c 'cat >"$1/call"; head -c 4 "$1/call"; cat "$1/reply"' sh "$dir" &
server=$!
timeout $patience mbox-rpc-client "$name-bytes" >"$dir/out" 2>&1 || :
wait $server || :
status=0
grep -qx '6 + 7 = 1234.5' "$dir/out" || status=1
result $status client_reads_the_bytes_of_every_server
# CALL, version of RPC, program, version, procedure; credentials and verifier; 6 and 7
status=0
want=0000000000000002200001010000000100000001
want=${want}00000000000000000000000000000000
want=${want}4018000000000000401c000000000000
hex tail -c +5 "$dir/call" >"$dir/out"
[ "$(cat "$dir/out")" = "$want" ] || status=1
result $status client_makes_the_same_bytes_on_every_machine

# Record 3 of the file, as XDR has it on machines of every byte order: the number, "Ada",
# the balance, the note.
status=0
hex dd if="$dir/records" bs=28 count=1 skip=1536 iflag=skip_bytes 2>/dev/null >"$dir/out"
[ "$(cat "$dir/out")" = 000000030000000341646100fffffffd2023e3cb0000000300010200 ] || status=1
result $status file_of_records_is_the_same_on_every_machine

# Another network namespace, and a link to it. The shell in it waits until it is killed.
connect()
{
	[ -n "$tcp" ] && command -v nsenter >/dev/null || return 1
	ip link add name rpc0 type veth 2>"$dir/out" || return 1
	# Its other end is numbered by the kernel.
	peer=$(cat /sys/class/net/rpc0/iflink)
	for link in /sys/class/net/*; do
		[ "$(cat "$link/ifindex")" != "$peer" ] || end=${link##*/}
	done
	mkfifo "$dir/inside" "$dir/never"
	# shellcheck disable=SC2016 # the inner shell's
	unshare -n sh -c 'echo >"$1/inside"; read -r _ <"$1/never"' sh "$dir" &
	other=$!
	read -r _ <"$dir/inside"
	ip link set "$end" netns "$other" &&
		ip addr add 10.77.77.1/24 dev rpc0 && ip link set rpc0 up &&
		nsenter -t "$other" -n ip addr add 10.77.77.2/24 dev "$end" &&
		nsenter -t "$other" -n ip link set "$end" up
}

if connect; then
	same by_tcp_between_namespaces "$by_tcp" \
		nsenter -t "$other" -n mbox-rpc-client 10.77.77.1 "$port"
	# Names of mailboxes end there.
	status=0
	nsenter -t "$other" -n mbox-rpc-client "$name" >"$dir/out" 2>&1 || status=$?
	grep -q 'No such file or directory' "$dir/out" && [ $status = 1 ] && status=0 || status=1
	result $status no_mailbox_between_namespaces
	ip link del rpc0
else
	skip by_tcp_between_namespaces "no link between namespaces (veth) in this kernel"
	skip no_mailbox_between_namespaces "no link between namespaces (veth) in this kernel"
fi

mboxctl create --broadcast "$name-all"
for _ in 1 2; do
	start "$name-all" || { cat "$dir/out"; exit 1; }
done
cat >"$dir/want" <<END
a server has had 3 visits
a server has had 3 visits
2 servers
END
status=0
timeout $patience mbox-rpc-everyone "$name-all" >"$dir/out" 2>&1 || status=$?
[ $status != 0 ] || cmp -s "$dir/want" "$dir/out" || status=1
result $status call_to_all_servers
exit $bad
