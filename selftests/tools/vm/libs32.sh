#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Make libraries for programs of 32 bits available in the cache. Nothing is installed:
# apt would want i386 as a second architecture of the machine.
set -eu
. "$(dirname "$0")/lib.sh"

usage()
{
	cat <<EOF
usage: libs32.sh     make them available, print their folder

Packages of i386 are unpacked there: libtirpc, and the libraries that it needs. The C
library for 32 bits is the machine's (libc6-dev-i386).
EOF
}

LIBS="libtirpc3 libtirpc-dev libgssapi-krb5-2 libkrb5-3 libk5crypto3 libkrb5support0
	libcom-err2 libkeyutils1 libssl3"

case $#,${1-} in
0,) ;;
1,-h|1,--help) usage; exit ;;
*) usage >&2; exit 2 ;;
esac

DIR=$CACHE/libs32
lock_cache libs32
if [ ! -e "$DIR/complete" ] || [ -n "${UPDATE-}" ]; then
	rm -rf "$DIR"
	apt_setup i386 bookworm
	for pkg in $LIBS; do
		apt_fetch "$pkg" "$DIR/deb"
		dpkg -x "$DEB" "$DIR"
	done
	relink "$DIR"
	rm -r "$DIR/deb"
	touch "$DIR/complete"
fi
echo "$DIR"
