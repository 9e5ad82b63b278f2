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
# shellcheck source=root.sh
. "$(dirname "$0")/root.sh"

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
