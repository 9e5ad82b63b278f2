#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# usage: fresh-roots.sh [--check|--only TARGET] [RELEASE]...
# Does a clean clone work on a Debian that has nothing yet? In a copy of a new root
# of each release (bookworm and trixie, by debootstrap, kept in the cache), with make
# and a cross compiler, a clone of what is committed runs "make demo"; with --check
# also "make check", of which TESTS says how much, and "make lint"; with --only that
# target of make alone. Nothing that was installed before may be missing after. KTAP.
# Needs root.
set -eu
. "$(dirname "$0")/lib.sh"

TARGETS=(demo)
if [ "${1-}" = --check ]; then
	TARGETS+=(check lint)
	shift
elif [ "${1-}" = --only ] && [ $# -gt 1 ]; then
	TARGETS=("$2")
	shift 2
fi
case ${1-} in
-*) sed -n '3,/^set/{/^set/d; s/^# \?//; p}' "$0" >&2; exit 2 ;;
esac
RELEASES=("${@-bookworm}")
[ $# != 0 ] || RELEASES=(bookworm trixie)
[ "$(id -u)" = 0 ] || die "debootstrap and chroot need root"

# Where packages and security updates of Debian's come from on this machine.
mirror()
{
	apt_setup amd64 "$1"
	MIRROR=$(sed -n "s/^deb .*\] \([^ ]*\) $1 main\$/\1/p" "$APT_ROOT/sources.list" | head -n 1)
	SECURITY=$(sed -n "s/^deb .*\] \([^ ]*\) $1-security main\$/\1/p" \
		"$APT_ROOT/sources.list" | head -n 1)
	[ -n "$MIRROR" ] || die "no mirror of $1"
}

# Make the root of release $1 in directory $2. Its sources are written as that
# release's installer does: in one line each, or in paragraphs.
new_root()
{
	local key=/usr/share/keyrings/debian-archive-keyring.gpg

	mirror "$1"
	apt_fetch debootstrap "$CACHE/root/deb"
	dpkg -x "$DEB" "$CACHE/root/debootstrap"
	rm -r "$CACHE/root/deb"
	say "making a root of $1"
	rm -rf "$2.tmp"
	DEBOOTSTRAP_DIR=$CACHE/root/debootstrap/usr/share/debootstrap \
		sh "$CACHE/root/debootstrap/usr/sbin/debootstrap" --variant=minbase \
		--keyring="$key" "$1" "$2.tmp" "$MIRROR" >"$CACHE/root/$1.log" 2>&1 ||
		{ tail -n 20 "$CACHE/root/$1.log" >&2; die "no root of $1"; }
	rm -f "$2.tmp/etc/apt/sources.list"
	if [ "$1" = bookworm ]; then
		cat >"$2.tmp/etc/apt/sources.list" <<-EOF
		deb $MIRROR $1 main
		deb $MIRROR $1-updates main
		deb $SECURITY $1-security main
		EOF
	else
		cat >"$2.tmp/etc/apt/sources.list.d/debian.sources" <<-EOF
		Types: deb
		URIs: $MIRROR
		Suites: $1 $1-updates
		Components: main
		Signed-By: $key

		Types: deb
		URIs: $SECURITY
		Suites: $1-security
		Components: main
		Signed-By: $key
		EOF
	fi
	mv "$2.tmp" "$2"
}

number=0 failed=0
result()
{
	number=$((number + 1))
	if [ "$2" = 0 ]; then
		echo "ok $number $1"
	else
		echo "not ok $number $1"
		failed=1
	fi
}

# inside COMMAND...: in the root, with file systems that end with the command.
inside()
{
	# shellcheck disable=SC2016 # the inner shell's
	unshare --mount --pid --fork sh -c '
		root=$1; shift
		mount -t proc proc "$root/proc"
		mount --rbind /sys "$root/sys"
		mount --rbind /dev "$root/dev"
		exec chroot "$root" env -i HOME=/root TERM=dumb LC_ALL=C.UTF-8 \
			PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
			TESTS="$TESTS" sh -c "cd /root && $*"' sh "$ROOT" "$@"
}

INSTALLED="dpkg-query -W -f \"\\\${Package}\\\n\" | LC_ALL=C sort"
export TESTS=${TESTS-}
WORK=$(mktemp -d "${TMPDIR:-/tmp}/mbox-root.XXXXXX")
trap 'rm -rf --one-file-system "$WORK"' EXIT
trap 'exit 130' INT TERM HUP
mkdir -p "$CACHE/root"
echo "KTAP version 1"
echo "1..$((${#RELEASES[@]} * (${#TARGETS[@]} + 1)))"
for release in "${RELEASES[@]}"; do
	[ -z "${UPDATE-}" ] || rm -rf "$CACHE/root/$release"
	[ -d "$CACHE/root/$release" ] || (new_root "$release" "$CACHE/root/$release")
	ROOT=$WORK/$release
	cp -a "$CACHE/root/$release" "$ROOT"
	cp /etc/resolv.conf "$ROOT/etc/resolv.conf"
	status=0
	# In the way of gcc-multilib, which displaces it.
	inside "apt-get -qq update && apt-get -qq --no-install-recommends install \
		make gcc-aarch64-linux-gnu" >"$WORK/log" 2>&1 </dev/null || status=$?
	inside "$INSTALLED" >"$WORK/before"
	git -c safe.directory='*' clone -q --no-hardlinks "$TOP_DIR" "$ROOT/root/mbox" || status=$?
	for target in "${TARGETS[@]}"; do
		start=$SECONDS
		[ $status != 0 ] ||
			inside "make -C mbox $target" >>"$WORK/log" 2>&1 </dev/null || status=$?
		tail -n 40 "$WORK/log" | sed 's/^/# /'
		: >"$WORK/log"
		result "$release make $target # $((SECONDS - start)) s" $status
	done
	inside "$INSTALLED" >"$WORK/after"
	status=0
	comm -23 "$WORK/before" "$WORK/after" | sed 's/^/# gone: /' | grep . && status=1
	grep -qx gcc-aarch64-linux-gnu "$WORK/after" || status=1
	result "$release nothing is removed" $status
	rm -rf --one-file-system "$ROOT"
done
exit $failed
