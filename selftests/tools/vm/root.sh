# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Roots of Debian releases that have nothing yet, made by debootstrap and kept in the
# cache. To be sourced after lib.sh; needs root.

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
