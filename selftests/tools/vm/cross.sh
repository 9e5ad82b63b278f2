#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Make a compiler for another architecture available in the cache, and what a
# guest of that architecture runs. Nothing is installed: Debian's cross compilers
# conflict with gcc-multilib, which may be there.
set -eu
. "$(dirname "$0")/lib.sh"

usage()
{
	cat <<EOF
usage: cross.sh ARCH      make it available, print its env file
       cross.sh --list    architectures

The env file sets KPATH, a folder of programs to be put in front of PATH; CROSS,
what their names begin with ("\${CROSS}gcc"); and CROSS_ROOT, where packages of
that architecture are unpacked: the C library and its headers, against which
this compiler links, and the programs of the guest.
EOF
}

# architecture  GNU name
table()
{
	cat <<EOF
arm64 aarch64-linux-gnu
s390x s390x-linux-gnu
EOF
}

GUEST="libc6 libc6-dev linux-libc-dev libgcc-s1 busybox-static bash libtinfo6
	dash coreutils kmod libkmod2 liblzma5 libssl3 libzstd1 acl libacl1
	inotify-tools libinotifytools0 libsmartcols1 libsmartcols-dev
	libtirpc3 libtirpc-dev libtirpc-common libgssapi-krb5-2 libkrb5-3
	libk5crypto3 libkrb5support0 libcom-err2 libkeyutils1"

unpack()
{
	local pkg into=$1

	shift
	for pkg in "$@"; do
		apt_fetch "$pkg" "$DIR/deb"
		dpkg -x "$DEB" "$into"
	done
}

# The programs find each other from where they are, but not their libraries.
wrap()
{
	local file name

	mkdir -p "$DIR/bin"
	for file in "$DIR/host/usr/bin/$GNU"-*; do
		name=${file##*/}
		args=
		case $name in
		*-gcc-[0-9]*|*-cpp-[0-9]*) args=" --sysroot='$DIR/root'" ;;
		esac
		cat >"$DIR/bin/$name" <<-EOF
		#!/bin/sh
		LD_LIBRARY_PATH='$DIR/host/usr/lib/x86_64-linux-gnu' exec '$file'$args "\$@"
		EOF
		chmod 755 "$DIR/bin/$name"
	done
	ln -sf "$GNU-gcc-12" "$DIR/bin/$GNU-gcc"
}

[ $# = 1 ] || { usage >&2; exit 2; }
case $1 in
-h|--help) usage; exit ;;
--list) table | cut -d' ' -f1; exit ;;
esac

ARCH=$1
read -r _ GNU < <(table | grep "^$ARCH ") || die "no architecture $ARCH"
DIR=$CACHE/cross/$ARCH
lock_cache "cross-$ARCH"
if [ ! -e "$DIR/env" ] || [ -n "${UPDATE-}" ]; then
	rm -rf "$DIR"
	apt_setup amd64 bookworm
	unpack "$DIR/host" "binutils-$GNU" "cpp-12-$GNU" "gcc-12-$GNU" \
		"libgcc-12-dev-$ARCH-cross" "libgcc-s1-$ARCH-cross"
	apt_setup "$ARCH" bookworm
	# shellcheck disable=SC2086 # words
	unpack "$DIR/root" $GUEST
	relink "$DIR/root"
	rm -r "$DIR/deb"
	wrap
	cat >"$DIR/env.tmp" <<-EOF
	KPATH='$DIR/bin'
	CROSS='$GNU-'
	CROSS_ROOT='$DIR/root'
	EOF
	mv "$DIR/env.tmp" "$DIR/env"
fi
echo "$DIR/env"
