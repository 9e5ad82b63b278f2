#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# usage: accel.sh QEMU KERNEL-IMAGE
# Print "kvm" if QEMU boots that kernel with KVM, else "tcg", and say why not. A
# machine can have /dev/kvm and no use of it: where it is itself a virtual one,
# guests may hang or QEMU end at once. So it is tried, with a guest whose first
# process ends it. The answer is kept in the cache until the machine boots again.
set -eu
. "$(dirname "$0")/lib.sh"

[ $# = 2 ] || { sed -n '3p' "$0" >&2; exit 2; }
QEMU=$1 IMAGE=$2
: "${KVM_DEVICE:=/dev/kvm}"
: "${PROBE_SECONDS:=20}"

if [ ! -r "$KVM_DEVICE" ] || [ ! -w "$KVM_DEVICE" ]; then
	say "no access to $KVM_DEVICE: QEMU emulates"
	echo tcg
	exit
fi

BOOT=$(cat /proc/sys/kernel/random/boot_id)
KEPT=$CACHE/accel/$BOOT-$({ "$QEMU" --version; ls -lL "$IMAGE"; } | cksum | tr ' ' -)
if [ ! -s "$KEPT" ]; then
	WORK=$(mktemp -d "${TMPDIR:-/tmp}/mbox-accel.XXXXXX")
	trap 'rm -rf "$WORK"' EXIT
	trap 'exit 130' INT TERM HUP
	gcc -static -O2 -Wall -o "$WORK/init" "$VM_DIR/vmexit.c"
	(cd "$WORK" && echo init | cpio --quiet -o -H newc -R 0:0) >"$WORK/initramfs"
	status=0
	# Its own shell, which says what signal ended it, is not heard.
	{ timeout -k 2 "$PROBE_SECONDS" "$QEMU" -accel kvm -M pc -cpu host -smp 2 -m 512 \
		-device "isa-debug-exit,iobase=0xf4,iosize=0x04" \
		-nodefaults -display none -no-reboot -serial "file:$WORK/log" \
		-kernel "$IMAGE" -initrd "$WORK/initramfs" \
		-append "no_timer_check console=ttyS0 loglevel=5 panic=-1 -- 42" \
		>"$WORK/out" 2>&1 </dev/null; } 2>/dev/null || status=$?
	mkdir -p "$CACHE/accel"
	# Those of earlier boots are of no use any more.
	find "$CACHE/accel" -type f ! -name "$BOOT-*" -delete
	if [ $status = 85 ]; then
		echo kvm >"$KEPT"
	else
		reason=$(cat "$WORK/out" "$WORK/log" 2>/dev/null | tr -d '\r' |
			grep . | head -n 1) || :
		[ $status != 124 ] || reason="nothing for $PROBE_SECONDS s"
		echo "tcg ${reason:-exit status $status}" >"$KEPT"
	fi
fi
read -r accel reason <"$KEPT"
if [ "$accel" = kvm ]; then
	say "a guest boots with KVM: QEMU uses it"
else
	say "no guest boots with KVM ($reason): QEMU emulates"
fi
echo "$accel"
