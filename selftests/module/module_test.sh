#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The module itself: loading, unloading, and what keeps it from that.
set -u

plan=10
count=0
failed=0
name=mbox-test-module-$$
node=/tmp/$name

result()
{
	count=$((count + 1))
	case $1 in
	ok) echo "ok $count $2" ;;
	skip) echo "ok $count # SKIP $2: $3" ;;
	*) echo "not ok $count $2"; failed=$((failed + 1)) ;;
	esac
}

# check NAME COMMAND...: the command succeeds.
check()
{
	what=$1
	shift
	if "$@"; then
		result ok "$what"
	else
		result fail "$what"
	fi
}

loaded()
{
	[ -d /sys/module/mbox ]
}

refused()
{
	! rmmod mbox 2>/dev/null && loaded
}

reload()
{
	rmmod mbox && ! loaded && modprobe mbox && loaded && [ -c /dev/mbox ]
}

has_handle()
{
	for fd in "/proc/$1/fd"/*; do
		case $(readlink "$fd") in
		/"$name") return 0 ;;
		esac
	done
	return 1
}

# A program that waits for a message has a handle.
refused_with_a_handle()
{
	mboxctl create "$name" || return 1
	mboxctl recv "$name" >/dev/null &
	pid=$!
	tries=0
	until has_handle $pid; do
		tries=$((tries + 1))
		[ $tries -lt 200 ] || break
		sleep 0.1
	done
	refused
	ret=$?
	kill $pid
	wait $pid 2>/dev/null
	return $ret
}

# Nothing tells the module that a mount is gone: it looks once a second.
mounted_once()
{
	mkdir "$node" && mount -t mbox mbox "$node" && refused || return 1
	umount "$node" && rmdir "$node"
}

# Until nobody uses it, which can be a second after the last mount.
await_unused()
{
	tries=0
	until [ "$(cat /sys/module/mbox/refcnt)" = 0 ]; do
		tries=$((tries + 1))
		[ $tries -lt 100 ] || return 1
		sleep 0.1
	done
}

reload_soon()
{
	await_unused && reload
}

has_aliases()
{
	modinfo -F alias mbox | grep -qx 'devname:mbox' &&
		modinfo -F alias mbox | grep -qx "char-major-10-$minor"
}

# The module and the program were built from one tree.
has_the_version_of_mboxctl()
{
	[ "$(mboxctl --version | sed -n '1s/.* v//p')" = "$(cat /sys/module/mbox/version)" ]
}

# The kernel loads it when a process opens the device node that kmod's table of
# aliases makes udev create at boot.
loads_on_open()
{
	rmmod mbox && mknod "$node" c 10 "$minor" || return 1
	(exec 3<"$node") 2>/dev/null
	loaded
}

if [ "$(id -u)" != 0 ]; then
	echo "1..0 # SKIP needs root"
	exit 4
fi
if ! loaded && ! modprobe mbox; then
	echo "1..0 # SKIP there is no module mbox"
	exit 4
fi
if ! modinfo mbox >/dev/null 2>&1; then
	echo "1..0 # SKIP mbox is not where modprobe finds it"
	exit 4
fi
minor=$(cut -d: -f2 /sys/class/misc/mbox/dev)

echo "TAP version 13"
echo "1..$plan"
check "aliases name the device" has_aliases
# The tests before this one may have mounted it.
await_unused
check "unload and load again" reload

exec 3</dev/mbox
check "no unload while the device is open" refused
exec 3<&-
check "no unload while the file system is mounted" mounted_once
check "unload after it was unmounted" reload_soon

if command -v mboxctl >/dev/null; then
	check "the version is that of mboxctl" has_the_version_of_mboxctl
	check "no unload while a handle is open" refused_with_a_handle
	check "a name without handles does not hold the module" reload
	if mboxctl stat "$name" >/dev/null 2>&1; then
		result fail "names do not survive the module"
	else
		result ok "names do not survive the module"
	fi
else
	result skip "the version is that of mboxctl" "no mboxctl"
	result skip "no unload while a handle is open" "no mboxctl"
	result skip "a name without handles does not hold the module" "no mboxctl"
	result skip "names do not survive the module" "no mboxctl"
fi

if [ -x "$(cat /proc/sys/kernel/modprobe)" ]; then
	check "opening the device loads the module" loads_on_open
else
	result skip "opening the device loads the module" "the kernel has no modprobe"
fi

# Others need it.
rm -f "$node"
loaded || modprobe mbox
[ $failed = 0 ]
