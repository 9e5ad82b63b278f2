#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Work for several machines: one has the jobs, two do them, and a worker is killed with a
# job in its hands.
#
# A machine is a network namespace here, with mailboxes of its own, and a link to the one
# that has the server of NATS. So this wants to be root, and to have nats-server, mbox-nats,
# unshare, nsenter and ip. Without them it says so, and exits with 4.
set -eu

jobs=30
# The hub's address, which every other machine has a route to.
hub=10.78.0.1
dir=$(mktemp -d)
spaces=
pid=''
pid_hub=''

# What runs on a machine is found by its namespace.
cleanup()
{
	status=$?
	for process in /proc/[0-9]*; do
		space=$(readlink "$process/ns/net" 2>/dev/null) || continue
		case " $spaces " in
		*" $space "*) kill -9 "${process#/proc/}" 2>/dev/null || : ;;
		esac
	done
	# What the servers have said, if it went wrong.
	case $status in
	0|4) ;;
	*) cat "$dir/log" >&2 ;;
	esac
	rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

cannot()
{
	echo "cluster: $*" >&2
	exit 4
}

for program in nats-server mbox-nats mboxctl unshare nsenter ip; do
	command -v "$program" >/dev/null || cannot "no $program"
done
[ -e /proc/net/tcp ] || cannot "no Internet protocols in this kernel"

# machine NAME: a network namespace, which a process keeps.
machine()
{
	# shellcheck disable=SC2016 # the inner shell's
	unshare -n sh -c 'echo >"$1"; while :; do sleep 1000; done' sh "$dir/up.$1" \
		>/dev/null 2>&1 &
	eval "pid_$1=$!"
	until [ -e "$dir/up.$1" ]; do
		kill -0 "$!" 2>/dev/null || cannot "no network namespace: not root?"
		sleep 0.05
	done
	spaces="$spaces $(readlink "/proc/$!/ns/net")"
}

# on "MACHINE..." COMMAND...: run it there.
on()
{
	machines=$1 running=
	shift
	for machine in $machines; do
		eval "pid=\$pid_$machine"
		MACHINE=$machine nsenter -t "$pid" -n "$@" <&8 &
		running="$running $!"
	done 8<&0
	for pid in $running; do
		wait "$pid"
	done
}

# link NAME NUMBER: between the hub and that machine.
link()
{
	# The kernel names the other end.
	ip link add name "mb$$-$2" type veth >"$dir/log" 2>&1 ||
		cannot "no link between two namespaces: $(cat "$dir/log")"
	other=$(cat "/sys/class/net/mb$$-$2/iflink")
	for end in /sys/class/net/*; do
		[ "$(cat "$end/ifindex")" != "$other" ] || break
	done
	end=${end##*/}
	eval "pid=\$pid_$1"
	ip link set "mb$$-$2" netns "$pid_hub"
	ip link set "$end" netns "$pid"
	on hub ip addr add "10.78.$2.1/24" dev "mb$$-$2"
	on hub ip link set "mb$$-$2" up
	on "$1" ip addr add "10.78.$2.2/24" dev "$end"
	on "$1" ip link set "$end" up
	on "$1" ip route add "$hub/32" via "10.78.$2.1"
}

machine hub
on hub ip link set lo up
on hub ip addr add "$hub/32" dev lo
number=0
for name in a b c; do
	number=$((number + 1))
	machine $name
	link $name $number
done

exec 9>&1 >"$dir/log" 2>&1
# [commands]
on hub nats-server -js -sd "$dir" &
on a mboxctl create orders
on a mbox-nats -s "nats://$hub" 'export orders -> jobs.new jetstream stream JOBS' &
on "b c" mboxctl create --capacity 4 jobs
on "b c" mbox-nats -s "nats://$hub" 'import jobs.new durable workers -> jobs' &
# [/commands]
exec >&9

# Until a command succeeds.
until_true()
{
	tries=1000
	until "$@"; do
		tries=$((tries - 1))
		[ $tries != 0 ] || exit 1
		sleep 0.1
	done
}

seq $jobs | on a mboxctl send -l orders
echo "a sends $jobs jobs"

# The first worker, which never ends its job.
# shellcheck disable=SC2016 # the inner shell's
on b mboxctl serve jobs sh -c 'echo $PPID >"$0"; sleep 1000' "$dir/taken" 2>>"$dir/log" &
until_true test -s "$dir/taken"
kill -9 "$(cat "$dir/taken")"
echo "b: a worker has taken a job, and is killed"

# has_work MACHINE
has_work()
{
	on "$1" mboxctl stat --json jobs | grep -q '"queued":[1-9]'
}

until_true has_work b
until_true has_work c
# shellcheck disable=SC2016 # the inner shell's
on "b c" mboxctl serve jobs sh -c 'sleep 0.1; cat >>"$0.$MACHINE"; echo >>"$0.$MACHINE"' \
	"$dir/done" 2>>"$dir/log" &

# done_by MACHINE...: how many different jobs
done_by()
{
	for machine; do
		[ ! -e "$dir/done.$machine" ] || cat "$dir/done.$machine"
	done | sort -u | wc -l
}

all_done()
{
	[ "$(done_by b c)" = $jobs ]
}

until_true all_done
by=
for machine in b c; do
	[ "$(done_by $machine)" = 0 ] || by="${by:+$by and }$machine"
done
echo "$(done_by b c) jobs are done, by workers on $by"
