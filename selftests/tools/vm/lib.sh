# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Sourced by the scripts beside it: where things are, how to fetch a package.

# shellcheck disable=SC2034 # the scripts that source this use them
VM_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
TOP_DIR=$(cd "$VM_DIR/../../.." && pwd)
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/mbox
ME=${0##*/}

# gcc for programs of 32 bits. gcc-multilib has just a link to the folder that is
# named here, and conflicts with every cross compiler of Debian's.
# shellcheck disable=SC2034
M32="-m32 -idirafter /usr/include/x86_64-linux-gnu"
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

# kbuild takes no path with a blank: there, the tree is used through a link, and
# modules are built beside that.
MODULES=$TOP_DIR/build
case $CACHE in
*[[:space:]]*) die "no blank may be in $CACHE: set XDG_CACHE_HOME" ;;
esac
case $TOP_DIR in
*[[:space:]]*)
	mkdir -p "$CACHE/tree"
	# What belongs to trees that are gone.
	for link in "$CACHE"/tree/*; do
		[ ! -L "$link" ] || [ -e "$link" ] || rm -rf "$link" "$link.build"
	done
	link=$CACHE/tree/$(printf %s "$TOP_DIR" | cksum | tr ' ' -)
	ln -sfn "$TOP_DIR" "$link"
	TOP_DIR=$link VM_DIR=$link/selftests/tools/vm MODULES=$link.build ;;
esac

# One writer at a time: several of us may run. $1 is a word. Held until the
# process ends; locks nest in the order kernel, cross, source.
lock_cache()
{
	local fd

	mkdir -p "$CACHE"
	exec {fd}>"$CACHE/.lock-$1"
	flock "$fd"
}

# need_space MIB WHAT: ends the script where the cache has no room for it.
need_space()
{
	local free

	free=$(df --output=avail -m "$CACHE" | tail -n 1)
	[ "$free" -ge "$1" ] ||
		die "$2 needs $1 MiB in $CACHE, and ${free##* } MiB are free"
}

# apt with a configuration of its own under the cache: ARCH and SUITE may be
# ones that the machine itself is not set up for, and nothing of it changes.
# The mirrors are the machine's own, whichever release it takes from them.
apt_setup()
{
	local arch=$1 suite=$2 key=/usr/share/keyrings/debian-archive-keyring.gpg
	local codename=${2%%-*} uri release component by opt=''

	APT_ROOT=$CACHE/apt/$arch-$suite
	export APT_CONFIG=$APT_ROOT/apt.conf
	[ ! -e "$APT_ROOT/fresh" ] || [ -n "${UPDATE-}" ] || return 0
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
		[ "$component $by" = "main Packages" ] || continue
		case $release in
		bookworm|trixie|forky|sid|oldstable|stable|testing|unstable)
			echo "deb $opt $uri $codename main"
			echo "deb $opt $uri $codename-updates main"
			[ "$suite" = "$codename" ] ||
				echo "deb $opt $uri $suite main" ;;
		bookworm-security|trixie-security|forky-security|*stable-security)
			echo "deb $opt $uri $codename-security main" ;;
		esac
	done | sort -u >"$APT_ROOT/sources.list"
	[ -s "$APT_ROOT/sources.list" ] || die "apt has no source of Debian's"
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
	# Preferred to the release that it belongs to.
	[ "$suite" = "$codename" ] ||
		echo "APT::Default-Release \"$suite\";" >>"$APT_CONFIG"
	apt-get -qq update >&2 || die "apt cannot fetch its lists: is there a network?"
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
	(cd "$2" && rm -f "${1}_"*.deb && apt-get -qq download "$1" >&2) || {
		# Perhaps its place is a newer one's by now.
		rm -f "$APT_ROOT/fresh"
		die "cannot fetch $1: is there a network? Next time apt's lists are read anew"
	}
	DEB=$(echo "$2/${1}_"*.deb)
}

# Download the source of package $1 into directory $2, as it was released.
apt_source()
{
	local options=(-o Dir::Etc::sourcelist="$2/sources.list" -o Dir::State::lists="$2/lists")

	say "fetching the source of $1"
	mkdir -p "$2/lists/partial"
	sed -n '/-security /d; s/^deb /deb-src /p' "$APT_ROOT/sources.list" >"$2/sources.list"
	apt-get -qq "${options[@]}" update >&2 || die "cannot fetch the lists of sources"
	(cd "$2" && apt-get -qq "${options[@]}" source --download-only "$1" >&2) ||
		die "cannot fetch the source of $1"
}

# Packages unpacked in folder $1: their links to absolute paths lead into it.
relink()
{
	local link

	find "$1" -type l -lname '/*' ! -lname "$1/*" | while read -r link; do
		ln -sfn "$1$(readlink "$link")" "$link"
	done
}

# TESTS="queue wait_test" names tests: sets it to what they are called without
# "_test", and ends the script where there is no such test.
name_tests()
{
	local file name names='' known=' ' unknown=''

	for file in "$TOP_DIR"/selftests/*/*_test.c "$TOP_DIR"/selftests/*/*_test.cpp \
		"$TOP_DIR"/selftests/*/*_test.sh; do
		file=${file##*/}
		known+="${file%_test.*} "
	done
	for name in ${TESTS-}; do
		name=${name%.sh}
		name=${name%_test}
		[[ $known = *" $name "* ]] || unknown+=" $name"
		names+=" $name"
	done
	if [ -n "$unknown" ]; then
		say "no such test:$unknown"
		say "there are:"
		# shellcheck disable=SC2086 # words
		printf '%s\n' $known | sort | fmt -w 72 >&2
		exit 2
	fi
	TESTS=${names# }
}

# pkg-config for the packages of the architecture with GNU name $2 that are unpacked in
# folder $1, and not for the machine's.
use_packages()
{
	export PKG_CONFIG_SYSROOT_DIR=$1
	export PKG_CONFIG_LIBDIR=$1/usr/lib/$2/pkgconfig:$1/usr/share/pkgconfig
}

# make for programs of the guest: for the architecture of the kernel whose env
# file was read, this machine's if none was.
make_user()
(
	tools=()
	if [ -n "${CROSS-}" ]; then
		tools=(CC="${CROSS}gcc" AR="${CROSS}ar")
		use_packages "$CROSS_ROOT" "${CROSS%-}"
	fi
	PATH=${KPATH:+$KPATH:}$PATH make -s "$@" "${tools[@]}"
)

# Build the library and its programs; lists what a guest gets of them.
user_files()
{
	local lib=$TOP_DIR/build/lib${CROSS:+-$KARCH} file

	make_user -C "$TOP_DIR/libuser" O="$lib" all >&2
	echo "$lib/tools/mboxctl:/usr/bin/"
	echo "$lib/libmbox.so.0:/usr/lib/"
	echo "$lib/libmbox-mq.so:/usr/lib/"
	echo "$lib/libmbox-sysv.so:/usr/lib/"
	[ ! -x "$lib/nats/mbox-nats" ] || echo "$lib/nats/mbox-nats:/usr/bin/"
	for file in "$lib"/examples/*; do
		case $file in
		*.[od]) ;;
		*) [ ! -x "$file" ] || echo "$file:/usr/bin/mbox-${file##*/}" ;;
		esac
	done
}
