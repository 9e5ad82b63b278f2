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

Packages of i386 are unpacked there: libtirpc, and the libraries that it needs, and
libsmartcols. The C library for 32 bits is the machine's (libc6-dev-i386).
EOF
}

LIBS="libtirpc3 libtirpc-dev libgssapi-krb5-2 libkrb5-3 libk5crypto3 libkrb5support0
	libcom-err2 libkeyutils1 libssl3 libsmartcols1 libsmartcols-dev"

case $#,${1-} in
0,) ;;
1,-h|1,--help) usage; exit ;;
*) usage >&2; exit 2 ;;
esac

DIR=$CACHE/libs32
lock_cache libs32
[ -z "${UPDATE-}" ] || rm -rf "$DIR"
# Those that are there stay: another build may use them.
missing=()
for pkg in $LIBS; do
	grep -qsxF "$pkg" "$DIR/packages" || missing+=("$pkg")
done
if [ ${#missing[@]} != 0 ]; then
	apt_setup i386 bookworm
	for pkg in "${missing[@]}"; do
		apt_fetch "$pkg" "$DIR/deb"
		dpkg -x "$DEB" "$DIR"
	done
	relink "$DIR"
	rm -r "$DIR/deb"
	printf '%s\n' "${missing[@]}" >>"$DIR/packages"
fi
echo "$DIR"
