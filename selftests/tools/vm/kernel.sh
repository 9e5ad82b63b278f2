#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Make a kernel available in the cache; nothing is installed on the machine.
set -eu
. "$(dirname "$0")/lib.sh"

usage()
{
	cat <<EOF
usage: kernel.sh NAME     make kernel NAME available, print its env file
       kernel.sh --source [linux-source|linux-source-6.1]
                          print the directory of kernel source tools, or of that source
       kernel.sh --list   names

The env file sets KNAME, KVER, KDIR (to build modules against), KIMAGE (what
QEMU boots, or of architecture um the program itself), KARCH, KQEMU; KMODULES, a folder of modules that the guest needs
before ours; KPATH, compilers that go in front of PATH; and of an architecture
that is not the machine's CROSS and CROSS_ROOT, see cross.sh. A name that is in
the cache needs no network; UPDATE=1 looks for newer packages.
EOF
}

# name     how     arch   suite     what
# stock: the metapackages' suffix; source: package and config fragments.
table()
{
	cat <<EOF
6.1       stock   amd64  bookworm  amd64
6.1-rt    stock   amd64  bookworm  rt-amd64
6.12      stock   amd64  bookworm  6.12-cloud-amd64
trixie    stock   amd64  trixie    cloud-amd64
backports stock   amd64  trixie-backports  cloud-amd64
arm64     stock   arm64  bookworm  cloud-arm64
s390x     stock   s390x  bookworm  s390x
debug     source  amd64  bookworm  linux-source-6.1 suite base debug
lockdep   source  amd64  bookworm  linux-source-6.1 suite base lockdep
kcsan     source  amd64  bookworm  linux-source-6.1 suite base kcsan
debug-rt  source  amd64  bookworm  linux-source-6.12 suite base rt
um        source  um     trixie-backports  linux-source suite um inet
um-kasan  source  um     trixie-backports  linux-source suite um um-kasan
um-signed source  um     trixie-backports  linux-source um signed
EOF
}

# Those that the suite runs on. A kernel from source without "suite" is for one test.
listed()
{
	table | awk '$2 != "source" || / suite( |$)/ { print $1 }'
}

KMODULES='' KPATH='' CROSS='' CROSS_ROOT=''

qemu()
{
	case $ARCH in
	amd64) echo qemu-system-x86_64 ;;
	um) ;;
	arm64) echo qemu-system-aarch64 ;;
	*) echo "qemu-system-$ARCH" ;;
	esac
}

write_env()
{
	cat >"$1/env.tmp" <<EOF
KNAME='$NAME'
KVER='$KVER'
KDIR='$KDIR'
KIMAGE='$KIMAGE'
KARCH='$ARCH'
KQEMU='$(qemu)'
KMODULES='$KMODULES'
KPATH='$KPATH'
CROSS='$CROSS'
CROSS_ROOT='$CROSS_ROOT'
EOF
	mv "$1/env.tmp" "$1/env"
	ln -sfn "${1##*/}" "$CACHE/kernel/$NAME"
}

# PVH needs the ELF image that is inside bzImage: the boot protocol says where
# the payload is, and QEMU starts it without running the decompressor under TCG.
extract_vmlinux()
{
	local from=$1 to=$2 sects off len magic unpack

	sects=$(od -An -tu1 -j497 -N1 "$from")
	off=$(od -An -tu4 -j584 -N4 "$from")
	len=$(od -An -tu4 -j588 -N4 "$from")
	off=$(((sects + 1) * 512 + off))
	magic=$(od -An -tx1 -j$off -N4 "$from" | tr -d ' ')
	case $magic in
	fd377a58) unpack="xz -dc" ;;
	28b52ffd) unpack="zstd -dcq" ;;
	02214c18) unpack="lz4 -dcq" ;;
	1f8b*) unpack="gzip -dc" ;;
	*) die "$from: unknown compression $magic" ;;
	esac
	# The payload has its length appended, which unpackers complain about.
	tail -c +$((off + 1)) "$from" | head -c $((len - 4)) |
		$unpack >"$to.tmp" 2>/dev/null || true
	[ "$(head -c 4 "$to.tmp" | tail -c 3)" = ELF ] ||
		die "$from: no vmlinux in it"
	mv "$to.tmp" "$to"
}

# Make programs of a newer release run here, below directory $1: those whose
# libraries are too old on this machine are started by the newer release's
# loader, with libraries that stay in directory $2.
run_with_newer_libraries()
{
	local file pkg found='' loader

	while read -r file; do
		# Debian's modpost and objtool start one of several "real" ones.
		LC_ALL=C ldd "$file" 2>&1 | grep -q 'not found' || continue
		if [ -z "$found" ]; then
			apt_setup amd64 trixie
			for pkg in libc6 libelf1t64 zlib1g libzstd1; do
				apt_fetch "$pkg" "$2/deb"
				dpkg -x "$DEB" "$2"
			done
			rm -r "$2/deb"
			found=1
		fi
		loader=$(find "$2/" -name 'ld-linux-x86-64.so.2' ! -type d | head -n 1)
		mv "$file" "$file.elf"
		cat >"$file" <<-EOF
		#!/bin/sh
		exec '$loader' --library-path '$2/usr/lib/x86_64-linux-gnu' '$file.elf' "\$@"
		EOF
		chmod 755 "$file"
	done < <(find "$1" -type f -perm -100 -size +4k -exec sh -c \
		'for f; do case $(head -c 4 "$f" | tail -c 3) in ELF) echo "$f" ;; esac; done' \
		sh {} +)
}

# The compiler that headers $1 ask for, in directory $2. Where the machine has
# another one only: that one, without the option that older ones do not know
# (-fmin-function-alignment came with gcc 14).
compiler()
{
	local version name

	version=$(sed -n 's/^CC = .*(CROSS_COMPILE)\(gcc-[0-9]*\)$/\1/p' "$1/.kernelvariables")
	[ -n "$version" ] || return 0
	# With CROSS_COMPILE, or without.
	for name in "$version" "x86_64-linux-gnu-$version"; do
		! command -v "$name" >/dev/null || continue
		KPATH=$2
		mkdir -p "$2"
		cat >"$2/$name" <<-'EOF'
		#!/bin/bash
		exec gcc "${@/#-fmin-function-alignment=/-falign-functions=}"
		EOF
		chmod 755 "$2/$name"
	done
}

# Modules for the channels of a guest that has no three serial ports (run), and a file
# system and links between network namespaces, which tests use if they are there: packages
# with only the image lack them.
guest_modules()
{
	local modules=$1/modules kernel=./lib/modules/$KVER/kernel

	mkdir -p "$modules"
	[ "$ARCH" = amd64 ] || dpkg-deb --fsys-tarfile "$DEB" |
		tar -x -C "$modules" --strip-components=4 --wildcards \
			"$kernel/drivers/virtio/*" "$kernel/drivers/char/virtio_console.ko"
	dpkg-deb --fsys-tarfile "$DEB" |
		tar -x -C "$modules" --strip-components=4 --wildcards \
			"$kernel/fs/overlayfs/*" "$kernel/drivers/net/veth.ko" 2>/dev/null || :
}

stock()
{
	local image binary headers common kbuild dir pkg

	apt_setup "$ARCH" "$SUITE"
	image=$(apt_depends "linux-image-$WHAT" linux-image-)
	headers=$(apt_depends "linux-headers-$WHAT" linux-headers-)
	common=$(apt_depends "$headers" 'linux-headers-.*-common')
	kbuild=$(apt_depends "$headers" linux-kbuild-)
	# Newer releases have the image itself in a package of its own.
	binary=$(apt_depends "$image" linux-binary-)
	dir=$CACHE/kernel/$NAME-$(apt_version "$image")
	KVER=${image#linux-image-}
	KVER=${KVER%-unsigned}
	KDIR=$dir/usr/src/$headers
	KIMAGE=$dir/vmlinux
	if [ ! -e "$dir/env" ]; then
		rm -rf "$dir"
		need_space 400 "kernel $NAME"
		apt_fetch "${binary:-$image}" "$dir/deb"
		mkdir -p "$dir/boot"
		dpkg-deb --fsys-tarfile "$DEB" |
			tar -xO --wildcards '*/vmlinuz*' >"$dir/boot/vmlinuz"
		if [ "$ARCH" = amd64 ]; then
			extract_vmlinux "$dir/boot/vmlinuz" "$KIMAGE"
		else
			mv "$dir/boot/vmlinuz" "$KIMAGE"
		fi
		guest_modules "$dir"
		for pkg in "$headers" "$common"; do
			apt_fetch "$pkg" "$dir/deb"
			dpkg -x "$DEB" "$dir"
		done
		# Its programs run on this machine.
		(
			[ "$ARCH" = amd64 ] || apt_setup amd64 "$SUITE"
			apt_fetch "$kbuild" "$dir/deb"
			dpkg -x "$DEB" "$dir"
			run_with_newer_libraries "$dir/usr/lib/$kbuild" "$dir/runtime"
		)
		rm -r "$dir/deb"
		grep -lr --include=Makefile '/usr/src/' "$dir/usr/src/$headers" |
			xargs -r sed -i "s,\([ =]\)/usr/src/,\1$dir/usr/src/,g"
	fi
	[ ! -d "$dir/modules" ] || KMODULES=$dir/modules
	if [ "$ARCH" = amd64 ]; then
		compiler "$KDIR" "$dir/bin"
	else
		# shellcheck source=/dev/null
		. "$("$VM_DIR/cross.sh" "$ARCH")"
	fi
	write_env "$dir"
}

# Print where source package $1 of suite $2 is unpacked. In a subshell, so that the
# lock ends with it: a kernel that is built from there blocks no other.
source_tree()
(
	local pkg=$1 link=$CACHE/source/${1#linux-source-} version src

	lock_cache source
	if [ -L "$link" ] && [ -z "${UPDATE-}" ]; then
		echo "$CACHE/source/$(readlink "$link")"
		return
	fi
	apt_setup amd64 "$2"
	# The one without a version depends on the newest that has one.
	[ "$pkg" != linux-source ] || pkg=$(apt_depends linux-source linux-source-)
	version=$(apt_version "$pkg")
	src=$CACHE/source/$version
	if [ ! -d "$src" ]; then
		need_space 1000 "$pkg"
		apt_fetch "$pkg" "$CACHE/source/deb"
		say "unpacking $pkg"
		rm -rf "$src.tmp"
		mkdir -p "$src.tmp"
		# What neither a build for x86 nor the checkers read is half of it.
		dpkg-deb --fsys-tarfile "$DEB" |
			tar -xO "./usr/src/$pkg.tar.xz" | xz -dc |
			tar -x -C "$src.tmp" --strip-components=1 --no-same-owner \
				--exclude='*/drivers/gpu/drm/*.[ch]' \
				--exclude='*/drivers/net/*/*.[ch]' \
				--exclude='*/drivers/media/*.[ch]' \
				--exclude='*/drivers/staging/*.[ch]' \
				--exclude='*/sound/*.[ch]' \
				--exclude='*/Documentation/*.rst' \
				--exclude='*/arch/[!xu]*/*.[chS]' \
				--exclude='*.dts' --exclude='*.dtsi'
		rm -rf "$CACHE/source/deb"
		mv "$src.tmp" "$src"
	fi
	ln -sfn "$version" "$link"
	echo "$src"
)

build()
{
	local frags=() targets=(bzImage modules_prepare modules) f hash dir out log start

	SRC=$(source_tree "${WHAT%% *}" "$SUITE")
	for f in ${WHAT#* }; do
		frags+=("$VM_DIR/kernel-$f.config")
	done
	hash=$(cat "${frags[@]}" | sha256sum | head -c 12)
	dir=$CACHE/kernel/$NAME-${SRC##*/}-$hash
	out=$dir/out
	MAKE=(make -C "$SRC" O="$out")
	if [ "$ARCH" = um ]; then
		MAKE+=(ARCH=um)
		targets=(linux modules)
	fi
	if [ ! -e "$dir/env" ]; then
		start=$SECONDS
		log=$dir/build.log
		need_space 400 "kernel $NAME"
		say "building kernel $NAME from ${SRC##*/}, config $hash; log: $log"
		mkdir -p "$out"
		configure "$out" "${frags[@]}" >"$dir/config.log" 2>&1 ||
			{ tail -n 20 "$dir/config.log" >&2; die "no config"; }
		check_config "$out/.config" "${frags[@]}"
		nice -n 19 "${MAKE[@]}" -j"$(nproc)" "${targets[@]}" >"$log" 2>&1 ||
			{ tail -n 30 "$log" >&2; die "kernel $NAME does not build"; }
		say "built in $((SECONDS - start)) s"
		echo "$((SECONDS - start))" >"$dir/build.seconds"
	fi
	KVER=$(cat "$out/include/config/kernel.release")
	KDIR=$out
	# A KASAN kernel dies silently when it is entered through PVH.
	KIMAGE=$out/arch/x86/boot/bzImage
	[ "$ARCH" != um ] || KIMAGE=$out/linux
	write_env "$dir"
}

configure()
{
	local out=$1

	shift
	"${MAKE[@]}" tinyconfig &&
	(cd "$SRC" && scripts/kconfig/merge_config.sh -m -O "$out" \
		"$out/.config" "$@") &&
	"${MAKE[@]}" olddefconfig
}

# merge_config.sh is silent about a choice that a dependency undid. Of several
# lines about one option, the last counts.
check_config()
{
	local config=$1 line lost=0

	shift
	while read -r line; do
		case $line in
		CONFIG_*=*)
			grep -qxF "$line" "$config" ||
				{ say "lost: $line"; lost=1; } ;;
		"# CONFIG_"*" is not set")
			line=${line#\# }
			! grep -q "^${line%% *}=" "$config" ||
				{ say "on all the same: ${line%% *}"; lost=1; } ;;
		esac
	done < <(cat "$@" | tac | awk '{ option = $1 == "#" ? $2 : $1; sub(/=.*/, "", option) }
		option ~ /^CONFIG_/ && !seen[option]++')
	[ $lost = 0 ] || die "the config is not what the fragments ask for"
}

[ $# = 1 ] || [ "$#:${1-}" = 2:--source ] || { usage >&2; exit 2; }
case $1 in
-h|--help)
	usage; exit ;;
--list)
	listed
	exit ;;
--source)
	case ${2-linux-source-6.1} in
	linux-source-6.1) source_tree linux-source-6.1 bookworm ;;
	linux-source) source_tree linux-source trixie-backports ;;
	*) usage >&2; exit 2 ;;
	esac
	exit ;;
esac

NAME=$1
read -r _ HOW ARCH SUITE WHAT < <(table | grep "^$NAME  *") ||
	die "no kernel $NAME; there are: $(listed | xargs)"
mkdir -p "$CACHE/kernel"
if [ "$HOW" = stock ] && [ -e "$CACHE/kernel/$NAME/env" ] &&
	[ -z "${UPDATE-}" ]; then
	echo "$CACHE/kernel/$NAME/env"
	exit
fi
lock_cache "kernel-$NAME"
case $HOW in
stock) stock ;;
source) build ;;
esac
echo "$CACHE/kernel/$NAME/env"
