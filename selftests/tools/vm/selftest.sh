#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Does the runner see what it has to see? KTAP, one result per case. The module
# is a throw-away one that misbehaves as its parameter says. KERNEL names the kernel to
# boot, GUEST another one for the cases that do not depend on what the guest runs in.
set -eu
. "$(dirname "$0")/lib.sh"

NAME=${KERNEL:-6.1}
GUEST=${GUEST:-$NAME}
"$VM_DIR/deps.sh" module vm
WORK=$(mktemp -d "${TMPDIR:-/tmp}/mbox-selftest.XXXXXX")
trap 'rm -rf "$WORK"' EXIT
trap 'exit 130' INT TERM HUP

mkdir "$WORK/source"
cat >"$WORK/source/rogue.c" <<'EOF'
#include <linux/module.h>

static char *act = "";
module_param(act, charp, 0444);

static int __init rogue_init(void)
{
	if (!strcmp(act, "stay"))
		__module_get(THIS_MODULE);
	WARN_ON(!strcmp(act, "warn"));
	if (!strcmp(act, "panic"))
		panic("rogue");
	return strcmp(act, "refuse") ? 0 : -EIO;
}
module_init(rogue_init);

static void __exit rogue_exit(void)
{
}
module_exit(rogue_exit);
MODULE_LICENSE("GPL");
EOF
echo 'obj-m := rogue.o' >"$WORK/source/Kbuild"
# rogue NAME: the module for that kernel, in folder $WORK/NAME.
rogue()
(
	um=()
	# shellcheck source=/dev/null
	. "$("$VM_DIR/kernel.sh" "$1")"
	[ -z "${CROSS-}" ] || die "only for kernels of this machine's architecture"
	[ "$KARCH" != um ] || um=(ARCH=um)
	cp -r "$WORK/source" "$WORK/$1"
	PATH=${KPATH:+$KPATH:}$PATH make -s -C "$KDIR" M="$WORK/$1" "${um[@]}" \
		CONFIG_DEBUG_INFO_BTF_MODULES= >&2
)
rogue "$NAME"
[ "$GUEST" = "$NAME" ] || rogue "$GUEST"

number=0 failed=0
result()
{
	number=$((number + 1))
	echo "$1 $number $2"
	[ "$1" = ok ] || failed=1
}

# expect KERNEL STATUS TEXT "NAME" RUN-ARGUMENT...: the runner exits with STATUS and
# says TEXT, an extended regular expression.
expect()
{
	local kernel=$1 want=$2 text=$3 name=$4 status=0

	shift 4
	"$VM_DIR/run" -k "$kernel" -M "$WORK/$kernel/rogue.ko" "$@" \
		>"$WORK/out" 2>&1 </dev/null || status=$?
	if [ "$status" = "$want" ] && grep -Eq "$text" "$WORK/out"; then
		result ok "$name"
	else
		result "not ok" "$name"
		echo "# exit status $status, not $want, or no '$text' in:"
		sed 's/^/# /' "$WORK/out"
	fi
}

echo "KTAP version 1"
echo "1..23"
expect "$NAME" 0 '^all is well$' "a run that passes" \
	-- echo all is well
expect "$NAME" 7 '^before$' "a command that fails, and its status" \
	-- sh -c 'echo before; exit 7'
late="a guest that does not boot the first time"
case $NAME in
um*) result ok "$late # SKIP not emulated" ;;
*) MBOX_BOOT_LIMIT=1 expect "$NAME" 0 'once more' "$late" -A tcg -- true ;;
esac
expect "$NAME" 124 'time limit' "a hang" \
	-t 20 -- sleep 1000
expect "$NAME" 125 'panic.*rogue' "a panic" \
	-p act=panic -- sleep 5
expect "$NAME" 125 'ended (early|before)' "a guest that powers off before the command ends" \
	-- sh -c 'poweroff; sleep 5'
expect "$GUEST" 125 'WARNING: .*rogue_init' "a warning from the module" \
	-p act=warn -- true
expect "$GUEST" 125 'not clean' "a line in the log of a run that passes" \
	-- sh -c 'echo "<4>BUG: planted" >/dev/kmsg'
expect "$GUEST" 125 'fail modprobe' "a module that does not load" \
	-p act=refuse -- true
expect "$GUEST" 125 'fail rmmod' "a module that does not unload" \
	-p act=stay -- true
expect "$GUEST" 125 'invoked oom-killer' "an OOM report that no test announced" \
	-- sh -c 'echo "<4>x invoked oom-killer: y" >/dev/kmsg'

# What make vm does without a terminal.
inside=$VM_DIR/in-vm
echo "a file" >"$WORK/file"
status=0
CMD='cat /root/file; [ -c /dev/mbox ] && exit 7' FILES="$WORK/file:/root/" \
	"$inside" shell >"$WORK/out" 2>&1 </dev/null || status=$?
if [ $status = 7 ] && grep -qx "a file" "$WORK/out"; then
	result ok "a command with a file, and its status"
else
	result "not ok" "a command with a file, and its status"
	sed 's/^/# /' "$WORK/out"
fi
status=0
printf 'mboxctl create x\nmboxctl send x hello\nmboxctl recv x\nfalse\n' |
	"$inside" shell >"$WORK/out" 2>&1 || status=$?
if [ $status = 1 ] && grep -q hello "$WORK/out"; then
	result ok "commands from a pipe"
else
	result "not ok" "commands from a pipe"
	sed 's/^/# /' "$WORK/out"
fi

# Killed without a chance to clean up: the guest must go all the same.
mkdir "$WORK/tmp"
TMPDIR=$WORK/tmp "$VM_DIR/run" -k "$NAME" -n -- sleep 1000 >/dev/null 2>&1 </dev/null &
runner=$!
# shellcheck source=/dev/null
. "$("$VM_DIR/kernel.sh" "$NAME")"
running()
{
	local dir

	for dir in /proc/[0-9]*; do
		case $(readlink "$dir/exe") in
		*/qemu-*|"$KIMAGE") ;;
		*) continue ;;
		esac
		# QEMU is told of that folder, user-mode Linux is in it.
		if grep -aqsF "$WORK/tmp/mbox-vm" "$dir/cmdline" ||
			[[ $(readlink "$dir/cwd") = "$WORK/tmp/mbox-vm"* ]]; then
			echo "${dir#/proc/}"
		fi
	done
}
for _ in $(seq 120); do
	[ -z "$(running)" ] || break
	sleep 1
done
[ -n "$(running)" ] || failed=1
kill -KILL "$runner"
wait "$runner" 2>/dev/null || :
for _ in $(seq 30); do
	[ -n "$(running)" ] || break
	sleep 1
done
if [ -z "$(running)" ]; then
	result ok "no guest outlives the runner"
else
	result "not ok" "no guest outlives the runner"
fi

# What klog.awk lets pass, and what it must not.
oom='x invoked oom-killer: gfp_mask=0x1
Call Trace:
Memory cgroup out of memory: Killed process 7 (x)'
if [ -z "$(printf '%s\n' "mbox-test: expect memcg oom" "$oom" \
	"mbox-test: end memcg oom" | awk -f "$VM_DIR/klog.awk")" ]; then
	result ok "an announced OOM report passes"
else
	result "not ok" "an announced OOM report passes"
fi
if [ "$(printf '%s\n' "mbox-test: expect memcg oom" "$oom" "BUG: KASAN: x" \
	"mbox-test: end memcg oom" "$oom" | awk -f "$VM_DIR/klog.awk" | wc -l)" = 4 ]; then
	result ok "other reports count even then"
else
	result "not ok" "other reports count even then"
fi
# race TITLE FUNCTION: KCSAN's report, of a function that the module calls.
race()
{
	cat <<EOF
[    1.000000] ==================================================================
[    1.000000] BUG: KCSAN: data-race in $1
[    1.000000]
[    1.000000] write to 0xffff888000000000 of 8 bytes by task 7 on cpu 1:
[    1.000000]  $2+0x1/0x2
[    1.000000]  mbox_send+0x1/0x2 [mbox]
[    1.000000] 1 lock held by x/7:
[    1.000000] ==================================================================
EOF
}
if [ -z "$(race "a / b" a | awk -f "$VM_DIR/klog.awk")" ]; then
	result ok "a data race of the kernel passes"
else
	result "not ok" "a data race of the kernel passes"
fi
if { race "a / mbox_send [mbox]" a; echo; race "a / rb_erase" rb_erase; } |
	awk -f "$VM_DIR/klog.awk" | grep -c KCSAN | grep -qx 2 &&
	[ "$({ race "a / b" a; echo "BUG: x"; } | awk -f "$VM_DIR/klog.awk")" = "BUG: x" ]; then
	result ok "one of the module counts"
else
	result "not ok" "one of the module counts"
fi

# Packages that are installed for us can be beside every cross compiler. What apt
# thinks of a machine on which nothing is installed does not depend on this one.
for suite in bookworm trixie; do
	status=0
	(
		apt_setup amd64 "$suite"
		packages=$("$VM_DIR/deps.sh" --list module vm check kernel lint \
			commands model plot ring arm64 s390x)
		# shellcheck disable=SC2086 # words
		apt-get -s --no-remove --no-install-recommends install $packages \
			gcc-aarch64-linux-gnu gcc-s390x-linux-gnu gcc-i686-linux-gnu
	) >"$WORK/out" 2>&1 || status=$?
	if [ $status = 0 ] && ! grep '^Remv' "$WORK/out"; then
		result ok "packages for $suite conflict with no cross compiler"
	else
		result "not ok" "packages for $suite conflict with no cross compiler"
		tail -n 20 "$WORK/out" | sed 's/^/# /'
	fi
done
# The call of apt-get that would install, and what is said of a conflict.
mkdir "$WORK/apt"
cat >"$WORK/apt/apt-get" <<'EOF'
#!/bin/sh
echo "$*" >>"$APT_CALLS"
case " $* " in
*" -s "*) echo "Remv gcc-aarch64-linux-gnu [4:12.2.0-3]" ;;
*" install "*) exit 100 ;;
esac
EOF
printf '#!/bin/sh\nexec "$@"\n' >"$WORK/apt/sudo"
printf '#!/bin/sh\nexit 1\n' >"$WORK/apt/dpkg-query"
chmod 755 "$WORK/apt"/*
if ! APT_CALLS=$WORK/calls PATH=$WORK/apt:$PATH "$VM_DIR/deps.sh" model >"$WORK/out" 2>&1 &&
	grep ' install ' "$WORK/calls" | grep -v -e ' -s ' | grep -q -e ' --no-remove ' &&
	grep -q 'left alone: gcc-aarch64-linux-gnu' "$WORK/out"; then
	result ok "a package that is in the way is left alone, and named"
else
	result "not ok" "a package that is in the way is left alone, and named"
	sed 's/^/# /' "$WORK/calls" "$WORK/out"
fi

# A path with blanks.
tree="$WORK/a tree"
mkdir "$tree"
tar -c -C "$TOP_DIR" --exclude=./build --exclude=./.git . | tar -x -C "$tree"
if make -s -j"$(nproc)" -C "$tree" lib modules >"$WORK/out" 2>&1 &&
	"$tree/selftests/tools/vm/run" -k "$NAME" -f "$tree/build/lib/tools/mboxctl:/root/" \
		-- /root/mboxctl --version >>"$WORK/out" 2>&1; then
	result ok "a path with blanks"
else
	result "not ok" "a path with blanks"
	sed 's/^/# /' "$WORK/out"
fi

# What is asked for help runs nothing.
status=0
"$TOP_DIR/.ci/run" --help >"$WORK/out" 2>&1 || status=$?
"$TOP_DIR/.ci/run" --hepl >"$WORK/wrong" 2>&1 || status=$status$?
if [ $status = 02 ] && ! grep -q === "$WORK/out" "$WORK/wrong" &&
	grep -q '^usage' "$WORK/out" && grep -q '^usage' "$WORK/wrong"; then
	result ok "help, and an argument that there is not"
else
	result "not ok" "help, and an argument that there is not"
fi
exit $failed
