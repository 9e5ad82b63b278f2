#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# usage: deps.sh SET...
# Install the Debian packages that SET needs and that are not there yet, saying
# which. Sets: module vm check kernel lint model plot ring
# arm64 s390x.
set -eu

packages()
{
	case $1 in
	# kbuild's programs want libelf and libcrypto when they run.
	module) echo gcc libc6-dev make kmod libelf1 libssl3 xz-utils \
		zstd ;;
	vm) echo gcc libc6-dev make kmod cpio busybox-static qemu-system-x86 ;;
	check) echo gcc-multilib libc6-dev-i386 liburing-dev python3-minimal \
		xz-utils ;;
	model) echo gcc libc6-dev spin ;;
	plot) echo gnuplot-nox ;;
	ring) echo gcc gcc-multilib libc6-dev-i386 clang libclang-rt-14-dev \
		libck-dev xz-utils ;;
	arm64) echo qemu-system-arm ;;
	s390x) echo qemu-system-misc ;;
	kernel) echo gcc libc6-dev make flex bison bc libelf-dev libssl-dev \
		lz4 perl xz-utils ;;
	lint) echo gcc g++ gcc-multilib make perl python3-minimal shellcheck \
		sparse coccinelle libpython3.11 clang-format mandoc xz-utils ;;
	*) echo "deps.sh: no set $1" >&2; exit 2 ;;
	esac
}

wanted=
for set in "$@"; do
	wanted="$wanted $(packages "$set")"
done

if ! command -v dpkg-query >/dev/null; then
	echo "deps.sh: not a Debian system; make sure these are there:$wanted" >&2
	exit 0
fi

missing=
for pkg in $wanted; do
	case " $missing " in
	*" $pkg "*) continue ;;
	esac
	dpkg-query -W -f '${db:Status-Status}\n' "$pkg" 2>/dev/null |
		grep -qx installed || missing="$missing $pkg"
done
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" != 0 ]; then
	if ! command -v sudo >/dev/null; then
		echo "deps.sh: install these first, as root:$missing" >&2
		exit 1
	fi
	as_root=sudo
fi
echo "installing missing packages:$missing" >&2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086 # words
if ! $as_root apt-get -q update >"$log" 2>&1 </dev/null ||
	! $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y \
		--no-install-recommends install $missing >>"$log" 2>&1 </dev/null; then
	tail -n 30 "$log" >&2
	echo "deps.sh: cannot install:$missing" >&2
	exit 1
fi
