# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Sourced by the scripts beside it: where things are, how to fetch a package.

# shellcheck disable=SC2034 # the scripts that source this use them
VM_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
TOP_DIR=$(cd "$VM_DIR/../.." && pwd)
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/mbox
ME=${0##*/}
# These scripts are the upper end: what a make above us was told is not meant
# for the kernel's make.
unset MAKEFLAGS MFLAGS MAKELEVEL

say()
{
	printf '%s: %s\n' "$ME" "$*" >&2
}

die()
{
	say "$@"
	exit 2
}

# One writer at a time: several of us may run. $1 is a word. Held until the
# process ends; locks nest in the order kernel, cross, source.
lock_cache()
{
	local fd

	mkdir -p "$CACHE"
	exec {fd}>"$CACHE/.lock-$1"
	flock "$fd"
}

# apt with a configuration of its own under the cache: ARCH and SUITE may be
# ones that the machine itself is not set up for, and nothing of it changes.
# The mirror is the machine's own.
apt_setup()
{
	local arch=$1 suite=$2 key=/usr/share/keyrings/debian-archive-keyring.gpg
	local uri release component by opt=''

	APT_ROOT=$CACHE/apt/$arch-$suite
	export APT_CONFIG=$APT_ROOT/apt.conf
	[ ! -e "$APT_ROOT/fresh" ] || return 0
	rm -rf "$APT_ROOT"
	mkdir -p "$APT_ROOT/lists/partial" "$APT_ROOT/cache/archives/partial"
	: >"$APT_ROOT/status"
	if [ -r "$key" ]; then
		opt="[signed-by=$key]"
	fi
	# shellcheck disable=SC2016 # apt's own variables
	env -u APT_CONFIG apt-get indextargets \
		--format '$(REPO_URI) $(RELEASE) $(COMPONENT) $(CREATED_BY)' |
	while read -r uri release component by; do
		case $component:$by:$release in
		main:Packages:bookworm|main:Packages:bookworm-*)
			echo "$uri $release" ;;
		esac
	done | sort -u >"$APT_ROOT/mirrors"
	[ -s "$APT_ROOT/mirrors" ] || die "apt has no source for bookworm"
	while read -r uri release; do
		echo "deb $opt $uri $release main"
		if [ "$suite" != bookworm ] && [ "$release" = bookworm ]; then
			echo "deb $opt $uri $suite main"
		fi
	done <"$APT_ROOT/mirrors" >"$APT_ROOT/sources.list"
	cat >"$APT_CONFIG" <<-EOF
	APT::Architecture "$arch";
	APT::Architectures { "$arch"; };
	APT::Sandbox::User "root";
	Dir::State::lists "$APT_ROOT/lists";
	Dir::State::status "$APT_ROOT/status";
	Dir::Cache "$APT_ROOT/cache";
	Dir::Etc::sourcelist "$APT_ROOT/sources.list";
	Dir::Etc::sourceparts "/dev/null";
	Dir::Etc::preferencesparts "/dev/null";
	Acquire::Languages "none";
	EOF
	# Preferred to bookworm, of which only security fixes are wanted besides.
	[ "$suite" = bookworm ] ||
		echo "APT::Default-Release \"$suite\";" >>"$APT_CONFIG"
	apt-get -qq update >&2 || die "apt-get update failed"
	touch "$APT_ROOT/fresh"
}

# The newest version of package $1.
apt_version()
{
	apt-cache policy "$1" | sed -n 's/^  Candidate: //p'
}

# The first dependency of package $1 that begins with $2.
apt_depends()
{
	apt-cache depends --important "$1" |
		sed -n "s/^  Depends: \($2[^ ]*\)\$/\1/p" | head -n 1
}

# Download package $1 into directory $2; sets DEB.
apt_fetch()
{
	say "fetching $1"
	mkdir -p "$2"
	(cd "$2" && rm -f "${1}_"*.deb && apt-get -qq download "$1" >&2) ||
		die "cannot fetch $1"
	DEB=$(echo "$2/${1}_"*.deb)
}

# make for programs of the guest: for the architecture of the kernel whose env
# file was read, this machine's if none was.
make_user()
{
	local tools=()

	[ -z "${CROSS-}" ] || tools=(CC="${CROSS}gcc" AR="${CROSS}ar")
	PATH=${KPATH:+$KPATH:}$PATH make -s "$@" "${tools[@]}"
}

# Build the library and its programs; lists what a guest gets of them.
user_files()
{
	local lib=$TOP_DIR/build/lib${CROSS:+-$KARCH} file

	make_user -C "$TOP_DIR/libuser" O="$lib" all >&2
	echo "$lib/tools/mboxctl:/usr/bin/"
	echo "$lib/libmbox.so.0:/usr/lib/"
	for file in "$lib"/examples/*; do
		case $file in
		*.[od]) ;;
		*) [ ! -x "$file" ] || echo "$file:/usr/bin/mbox-${file##*/}" ;;
		esac
	done
}
