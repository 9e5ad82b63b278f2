#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# usage: packages.sh
# Are the Debian packages right? They are built twice, in two folders, and must be the
# same bytes; lintian says nothing. In a copy of a new root of Debian 12 apt installs
# them, DKMS builds the module for two kernels, and programs are compiled with pkg-config
# and run. A machine boots that root, loads the module and runs programs, and the package
# goes while a mailbox exists. In the copy, no file is left after the purge. KTAP. Needs
# root.
#
# shellcheck disable=SC2013,SC2016,SC2317 # names without blanks; the shell in the root
# expands them; step calls them
set -eu
. "$(dirname "$0")/lib.sh"
# shellcheck source=root.sh
. "$(dirname "$0")/root.sh"

[ "$(id -u)" = 0 ] || die "debootstrap and chroot need root"
case $# in
0) ;;
*) sed -n '3,/^set/{/^set/d; s/^# \?//; p}' "$0" >&2; exit 2 ;;
esac

"$VM_DIR/deps.sh" module vm deb

RELEASE=bookworm
export TESTS=
WORK=$(mktemp -d "${TMPDIR:-/tmp}/mbox-packages.XXXXXX")
trap 'rm -rf --one-file-system "$WORK"' EXIT
trap 'exit 130' INT TERM HUP
ROOT=$WORK/root
number=0 failed=0

# step NAME COMMAND...: one test; what it prints is shown if it fails.
step()
{
	local name=$1 status=0 start=$SECONDS
	shift
	number=$((number + 1))
	"$@" >"$WORK/log" 2>&1 </dev/null || status=$?
	if [ $status = 0 ]; then
		echo "ok $number $name # $((SECONDS - start)) s"
	else
		tail -n 40 "$WORK/log" | sed 's/^/# /'
		echo "not ok $number $name # status $status"
		failed=1
	fi
}

build_twice()
{
	"$TOP_DIR/debian/build-deb" "$WORK/one" && "$TOP_DIR/debian/build-deb" "$WORK/two"
}

same_bytes()
{
	(cd "$WORK/one" && sha256sum ./*.deb) | (cd "$WORK/two" && sha256sum -c --quiet)
}

# Of all but what a machine writes as it goes, depmod for one.
files()
{
	inside 'find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /run \
		-o -path /tmp -o -path /var/cache -o -path /var/log -o -path /var/lib/apt \
		-o -path /var/lib/dpkg -o -path /root -o -name modules.\* \) -prune \
		-o -print | LC_ALL=C sort'
}

prepare()
{
	[ -d "$CACHE/root/$RELEASE" ] || (new_root "$RELEASE" "$CACHE/root/$RELEASE")
	cp -a "$CACHE/root/$RELEASE" "$ROOT"
	cp /etc/resolv.conf "$ROOT/etc/resolv.conf"
	# Headers of two kernels, the second from backports' predecessor: the RT one.
	inside 'apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq \
		--no-install-recommends install dkms gcc libc6-dev make pkg-config python3 libtirpc-dev \
		kmod linux-headers-amd64 linux-headers-rt-amd64'
}

install_packages()
{
	cp "$WORK"/one/*.deb "$ROOT/root/"
	inside 'rm -f ./*-dbgsym_*.deb && DEBIAN_FRONTEND=noninteractive apt-get -qq \
		--no-install-recommends install ./*.deb'
}

built_for_both()
{
	inside 'dkms status mbox && [ $(dkms status mbox | grep -c ": installed") = 2 ] &&
		for k in /lib/modules/*; do modinfo -b / -k ${k##*/} -F version mbox; done'
}

programs_compile()
{
	inside 'gcc -o hello /usr/share/doc/mbox-doc/examples/processes/hello.c \
		$(pkg-config --cflags --libs libmbox) &&
		ldd hello | grep -q "libmbox.so.0 => /lib/" &&
		echo "#include <mbox_rpc.h>
			int main(void) { return svc_mbox_create(\"\", 0) != NULL; }" >rpc.c &&
		gcc -o rpc rpc.c $(pkg-config --cflags --libs libmbox-rpc) && ./rpc &&
		{ ./hello || [ $? = 1 ]; } && mboxctl --version &&
		mbox-nats -t "export a -> b" &&
		LD_PRELOAD=libmbox-mq.so:libmbox-sysv.so /bin/true &&
		[ -e /usr/lib/*/libmbox-mq.so ] && [ -e /usr/lib/*/libmbox-sysv.so ] &&
		python3 -c "import mbox; mbox.Mailbox.create" &&
		[ -e /lib/udev/rules.d/60-mbox-dkms.rules ] &&
		[ -e /usr/lib/modules-load.d/mbox.conf ]'
}

# What the machine does not need, and the sources of kernels, are left out of its root.
machine_root()
{
	cp "$VM_DIR/packages-in-guest" "$ROOT/root/"
	(cd "$ROOT" && find . -xdev \( -path './usr/src/linux-*' -o -path ./usr/lib/gcc -o \
		-path ./usr/share/doc -o -path ./usr/share/man -o -path ./usr/share/locale -o \
		-path ./var/cache -o -path ./var/lib/apt -o -name '*.a' \) -prune -o -print0 |
		cpio --quiet -0 -o -H newc) | gzip -1 >"$WORK/initramfs"
}

runs_in_a_machine()
{
	local accel name

	[ -d "$ROOT/lib/modules/$KVER/updates/dkms" ] || { echo "no module for $KVER"; return 1; }
	machine_root || return
	accel=$("$VM_DIR/accel.sh" "$KQEMU" "$KIMAGE") || return
	timeout -k 5 600 "$KQEMU" -accel "$accel" -cpu max -m 3072 -nodefaults -display none \
		-no-reboot -serial "file:$WORK/serial" -kernel "$KIMAGE" -initrd "$WORK/initramfs" \
		-append "console=ttyS0 panic=-1 quiet rdinit=/root/packages-in-guest" || return
	tr -d '\r' <"$WORK/serial" | tee "$WORK/said"
	for name in $(sed -n 's/^try \([a-z_]*\) .*/\1/p' "$VM_DIR/packages-in-guest"); do
		grep -qx "ok $name" "$WORK/said" || { echo "no ok $name"; return 1; }
	done
}

# Without a package, on a machine that has dkms.
dkms_of_the_tree()
{
	git -c safe.directory='*' clone -q --no-hardlinks "$TOP_DIR" "$ROOT/root/mbox" &&
		inside 'make -s -C mbox dkms-install KVER=$(ls /lib/modules | head -n 1) && dkms status mbox | grep installed &&
		make -s -C mbox dkms-uninstall && [ -z "$(dkms status mbox)" ] && rm -r mbox'
}

purge()
{
	inside 'DEBIAN_FRONTEND=noninteractive apt-get -qq --autoremove purge mbox-dkms mbox-tools \
		mbox-doc mbox-drop-in python3-mbox mbox-nats libmbox-rpc-dev libmbox-rpc0 libmbox-dev \
		libmbox0'
}

nothing_left()
{
	files >"$WORK/after"
	diff "$WORK/before" "$WORK/after"
}

# Of the same version as the headers that apt installs.
# shellcheck source=/dev/null
. "$(UPDATE=1 "$VM_DIR/kernel.sh" 6.1)"

echo "KTAP version 1"
echo "1..10"
step "packages are built, and lintian is silent" build_twice
step "two builds have the same bytes" same_bytes
step "a root of $RELEASE with two kernels' headers" prepare
files >"$WORK/before" 2>/dev/null || :
step "apt installs the packages" install_packages
step "DKMS builds the module for both kernels" built_for_both
step "programs compile and run" programs_compile
step "a machine loads the module and runs programs" runs_in_a_machine
step "apt purges the packages" purge
step "no file is left" nothing_left
step "make dkms-install and dkms-uninstall" dkms_of_the_tree
exit $failed
