#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# usage: packages.sh
# Are the Debian packages right? They are built twice, in two folders, and must be the
# same bytes; lintian says nothing. In a copy of a new root of Debian 12 apt installs
# them, DKMS builds the module for two kernels, programs are compiled with pkg-config
# and run, and after the purge no file is left. KTAP. Needs root.
#
# shellcheck disable=SC2016,SC2317 # the shell in the root expands them; step calls them
set -eu
. "$(dirname "$0")/lib.sh"
# shellcheck source=root.sh
. "$(dirname "$0")/root.sh"

[ "$(id -u)" = 0 ] || die "debootstrap and chroot need root"
case $# in
0) ;;
*) sed -n '3,/^set/{/^set/d; s/^# \?//; p}' "$0" >&2; exit 2 ;;
esac

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

# Of all but what a machine writes as it goes.
files()
{
	inside 'find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /run \
		-o -path /tmp -o -path /var/cache -o -path /var/log -o -path /var/lib/apt \
		-o -path /var/lib/dpkg -o -path /root \) -prune -o -print | LC_ALL=C sort'
}

prepare()
{
	[ -d "$CACHE/root/$RELEASE" ] || (new_root "$RELEASE" "$CACHE/root/$RELEASE")
	cp -a "$CACHE/root/$RELEASE" "$ROOT"
	cp /etc/resolv.conf "$ROOT/etc/resolv.conf"
	# Headers of two kernels, the second from backports' predecessor: the RT one.
	inside 'apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq \
		--no-install-recommends install dkms gcc libc6-dev make pkg-config python3 libtirpc-dev \
		linux-headers-amd64 linux-headers-rt-amd64'
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

# Without a package, on a machine that has dkms.
dkms_of_the_tree()
{
	git -c safe.directory='*' clone -q --no-hardlinks "$TOP_DIR" "$ROOT/root/mbox" &&
		inside 'make -s -C mbox dkms-install KVER=$(ls /lib/modules | head -n 1) && dkms status mbox | grep installed &&
		make -s -C mbox dkms-uninstall && [ -z "$(dkms status mbox)" ] && rm -r mbox'
}

purge()
{
	inside 'DEBIAN_FRONTEND=noninteractive apt-get -qq purge mbox-dkms mbox-tools \
		mbox-doc mbox-drop-in python3-mbox mbox-nats libmbox-rpc-dev libmbox-rpc0 libmbox-dev \
		libmbox0'
}

nothing_left()
{
	files >"$WORK/after"
	diff "$WORK/before" "$WORK/after"
}

echo "KTAP version 1"
echo "1..9"
step "packages are built, and lintian is silent" build_twice
step "two builds have the same bytes" same_bytes
step "a root of $RELEASE with two kernels' headers" prepare
files >"$WORK/before" 2>/dev/null || :
step "apt installs the packages" install_packages
step "DKMS builds the module for both kernels" built_for_both
step "programs compile and run" programs_compile
step "apt purges the packages" purge
step "no file is left" nothing_left
step "make dkms-install and dkms-uninstall" dkms_of_the_tree
exit $failed
