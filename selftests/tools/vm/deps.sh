#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# usage: deps.sh [--list] SET...
# Install the Debian packages that SET needs and that are not there yet, saying
# which. What is installed stays: where a package is in the way of one that is
# wanted, this says so and installs nothing. Sets: module vm check kernel lint lint-quick
# html deb clients commands embedded model labels plot python ring signing tracing arm64
# s390x. --list: only print the packages, whether they are there or not, by the names that
# apt knows.
set -eu
# What apt says is read here.
export LC_ALL=C

# a|b: one of the two, whose names differ between releases. x-@PKG-y: the version
# in the name of the package that PKG depends on (gcc: gcc-12) is put there.
# 32 bits: not gcc-multilib, which conflicts with every cross compiler.
packages()
{
	case $1 in
	# kbuild's programs want libelf and libcrypto when they run.
	module) echo gcc libc6-dev make kmod 'libelf1|libelf1t64' \
		'libssl3|libssl3t64' xz-utils zstd ;;
	vm) echo gcc libc6-dev make kmod cpio busybox-static libsmartcols-dev \
		libtirpc-dev rpcsvc-proto pkgconf qemu-system-x86 systemtap-sdt-dev ;;
	check) echo g++ gcc-@gcc-multilib libc6-dev-i386 liburing-dev \
		python3-dev xz-utils acl inotify-tools lsof \
		libtirpc-dev rpcsvc-proto libnats-dev nats-server openssl pkgconf zsh \
		libglib2.0-dev libsystemd-dev libuv1-dev ;;
	clients) echo gcc libc6-dev git perl python3 python3-sysv-ipc rt-tests stress-ng ;;
	python) echo gcc libc6-dev make python3-dev ;;
	deb) echo debhelper dh-dkms dh-python dpkg-dev lintian libc6-dev gcc make git \
		libsmartcols-dev libtirpc-dev libnats-dev pkgconf python3-dev systemtap-sdt-dev ;;
	commands) echo gcc libc6-dev libsmartcols-dev make python3 ;;
	embedded) echo bc chrpath cpio diffstat fakeroot file g++ gawk git kmod locales-all lz4 \
		patch patchelf perl pkgconf python3 python3-flake8 python3-magic rsync socat tar unzip \
		wget xz-utils zstd ;;
	model) echo gcc libc6-dev spin ;;
	labels) echo checkpolicy ;;
	plot) echo gnuplot-nox ;;
	signing) echo openssl ovmf python3-cryptography python3-importlib-resources \
		python3-pefile sbsigntool ;;
	tracing) echo bpftrace ;;
	ring) echo gcc gcc-@gcc-multilib libc6-dev-i386 clang \
		libclang-rt-@clang-dev libck-dev xz-utils ;;
	arm64) echo qemu-system-arm ;;
	s390x) echo 'qemu-system-s390x|qemu-system-misc' ;;
	kernel) echo gcc libc6-dev make flex bison bc libelf-dev libssl-dev \
		lz4 perl xz-utils ;;
	lint) echo gcc g++ gcc-@gcc-multilib libc6-dev-i386 make perl \
		python3-minimal shellcheck sparse coccinelle \
		libpython3@python3 clang-format mandoc xz-utils \
		libsmartcols-dev libtirpc-dev libnats-dev pkgconf \
		python3-sphinx python3-sphinx-rtd-theme yamllint ;;
	html) echo mandoc python3-sphinx python3-sphinx-rtd-theme ;;
	lint-quick) echo gcc libc6-dev make perl git clang-format shellcheck ;;
	*) echo "deps.sh: no set $1" >&2; exit 2 ;;
	esac
}

LIST=
if [ "${1-}" = --list ]; then
	LIST=1
	shift
fi
wanted=
for set in "$@"; do
	wanted="$wanted $(packages "$set")"
done

if ! command -v dpkg-query >/dev/null; then
	echo "deps.sh: not a Debian system; make sure these are there:$wanted" >&2
	exit 0
fi

as_root=
if [ "$(id -u)" != 0 ]; then
	as_root=sudo
fi

installed()
{
	[ -z "$LIST" ] && dpkg-query -W -f '${db:Status-Status}\n' "$1" 2>/dev/null | grep -qx installed
}

# The version in the name of what package $1 depends on: "12" of gcc-12, ".11" of
# python3.11.
version()
{
	if installed "$1"; then
		dpkg-query -W -f '${Depends}\n' "$1"
	else
		apt-cache show --no-all-versions "$1" 2>/dev/null | sed -n 's/^Depends: //p'
	fi | tr ',' '\n' | sed -n "s/^ *$1-\{0,1\}\(\.\{0,1\}[0-9][0-9.]*\)\( .*\)\{0,1\}\$/\1/p" |
		head -n 1
}

# Sets NAME to the package that word $1 stands for. Fails where that is not known:
# without apt's lists.
resolve()
{
	NAME=$1
	case $1 in
	*@*)
		of=${1#*@}
		of=${of%%-*}
		with=$(version "$of")
		[ -n "$with" ] || return 1
		NAME=${1%%@*}$with${1#*@"$of"} ;;
	*'|'*)
		for NAME in ${1%'|'*} ${1#*'|'}; do
			! installed "$NAME" || return 0
		done
		for NAME in ${1%'|'*} ${1#*'|'}; do
			# Of a name that others provide it says nothing.
			[ -z "$(apt-cache show "$NAME" 2>/dev/null)" ] || return 0
		done
		return 1 ;;
	esac
}

# Sets MISSING and UNKNOWN.
look()
{
	MISSING='' UNKNOWN=''
	for word in $wanted; do
		resolve "$word" || { UNKNOWN="$UNKNOWN $word"; continue; }
		case " $MISSING " in
		*" $NAME "*) continue ;;
		esac
		installed "$NAME" || MISSING="$MISSING $NAME"
	done
}

apt()
{
	$as_root env DEBIAN_FRONTEND=noninteractive apt-get -q "$@"
}

look
if [ -n "$LIST" ]; then
	echo "$MISSING" | xargs -n 1
	[ -z "$UNKNOWN" ] || echo "deps.sh: apt knows no package for:$UNKNOWN" >&2
	[ -z "$UNKNOWN" ]
	exit
fi
[ -n "$MISSING$UNKNOWN" ] || exit 0
if [ -n "$as_root" ] && ! command -v sudo >/dev/null; then
	echo "deps.sh: install these first, as root:$MISSING$UNKNOWN" >&2
	exit 1
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt update >"$log" 2>&1 </dev/null || {
	tail -n 30 "$log" >&2
	echo "deps.sh: apt cannot fetch its lists: is there a network?" >&2
	exit 1
}
look
if [ -n "$UNKNOWN" ]; then
	echo "deps.sh: apt knows no package for:$UNKNOWN" >&2
	exit 1
fi
[ -n "$MISSING" ] || exit 0
echo "installing missing packages:$MISSING" >&2
# shellcheck disable=SC2086 # words
if ! apt -y --no-remove --no-install-recommends install $MISSING >>"$log" 2>&1 </dev/null; then
	tail -n 30 "$log" >&2
	# shellcheck disable=SC2086
	removed=$(apt -s --no-install-recommends install $MISSING </dev/null 2>/dev/null |
		sed -n 's/^Remv \([^ ]*\).*/ \1/p' | tr -d '\n')
	[ -z "$removed" ] ||
		echo "deps.sh: in the way, and left alone:$removed" >&2
	# Without a network, apt update warns and goes on.
	! grep -q '^E: \(Failed to fetch\|Unable to fetch\)' "$log" ||
		echo "deps.sh: apt cannot fetch packages: is there a network?" >&2
	need=$(sed -n "s/^E: You don't have enough free space in \(.*\)\.\$/\1/p" "$log")
	[ -z "$need" ] || echo "deps.sh: not enough space in $need; apt needs:" \
		"$(sed -n 's/^After this operation, \(.*\) of additional disk space will be used\.$/\1/p' \
			"$log")" >&2
	echo "deps.sh: cannot install:$MISSING" >&2
	exit 1
fi
