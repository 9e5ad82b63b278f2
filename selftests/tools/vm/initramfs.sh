#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# usage: initramfs.sh OUT.cpio|- STAGE [SRC:DEST]...
# Fill STAGE (a directory that has the caller's own files already) with
# busybox, kmod, the shared libraries that anything in it needs, and what SRC
# names, and pack it, unless OUT is "-". With CROSS_ROOT (cross.sh) in the environment they come from
# there, and not from this machine.
set -eu
. "$(dirname "$0")/lib.sh"

root=${CROSS_ROOT-}

# What ldd does, for a program that this machine may not run: libraries of FILE that are in
# one of the folders.
add_foreign_libraries()
{
	local file=$1 name dir

	shift
	readelf -ld "$file" | sed -n 's/.*interpreter: \(.*\)\]$/\1/p; s/.*(NEEDED).*\[\(.*\)\]$/\1/p' |
	while read -r name; do
		for dir in "$stage"/usr/{lib,lib32,lib64} "$stage/usr/lib/$triplet"; do
			[ ! -e "$dir/${name##*/}" ] || continue 2
		done
		case $name in
		/*)
			install -D -m 755 "$root$name" "$stage$name"
			add_foreign_libraries "$root$name" "$@"
			continue ;;
		esac
		for dir in "$@"; do
			[ -e "$root$dir/$name" ] || continue
			[ ! -e "$stage$dir/$name" ] || continue 2
			install -D -m 755 "$root$dir/$name" "$stage$dir/$name"
			add_foreign_libraries "$root$dir/$name" "$@"
			continue 2
		done
		die "$file: no $name"
	done
}

# Every shared library that ELF file $1 needs, at the path where its loader
# looks. Libraries of ours that are in STAGE already are found there.
add_libraries()
{
	local lib

	if [ -n "$root" ]; then
		add_foreign_libraries "$1" "/lib/$triplet" "/usr/lib/$triplet"
		return
	fi
	# A kernel may run no programs of 32 bits; the fifth byte says which those are.
	if [ "$(head -c 5 "$1" | tail -c 1)" = "$(printf '\1')" ]; then
		add_foreign_libraries "$1" /lib32 /usr/lib32
		return
	fi
	LD_LIBRARY_PATH=$stage/usr/lib ldd "$1" 2>/dev/null |
	sed -n 's/^.*=> \(\/[^ ]*\) (.*/\1/p; s/^\t\(\/[^ ]*\) (.*/\1/p' |
	while read -r lib; do
		case $lib in
		"$stage"/*) continue ;;
		esac
		[ -e "$stage$lib" ] || install -D -m 755 "$lib" "$stage$lib"
	done
}

# Programs that end threads load this one by name.
add_libgcc()
{
	local dir

	for dir in "$@"; do
		[ ! -e "$dir/libgcc_s.so.1" ] ||
			install -D -m 644 "$dir/libgcc_s.so.1" \
				"$stage$dir/libgcc_s.so.1"
	done
}

out=$1
stage=$2
shift 2

mkdir -p "$stage"/{usr/{bin,sbin,lib,lib32,lib64},etc,proc,sys,dev,tmp,run,root}
for dir in bin sbin lib lib32 lib64; do
	[ -e "$stage/$dir" ] || ln -s "usr/$dir" "$stage/$dir"
done
# The path of a program for the guest, of this machine or below CROSS_ROOT.
program()
{
	local dir

	[ -n "$root" ] || { readlink -f "$(command -v "$1")"; return; }
	for dir in /usr/bin /bin /usr/sbin /sbin; do
		[ ! -e "$root$dir/$1" ] || { readlink -f "$root$dir/$1"; return; }
	done
	die "no $1"
}

triplet=
if [ -n "$root" ]; then
	triplet=$(basename "$(echo "$root"/usr/lib/*-linux-gnu)")
fi
install -m 755 "$(program busybox)" "$stage/usr/bin/busybox"
busybox --list-full | grep -v 'bin/busybox$' | sed 's,^usr/,,' | while read -r applet; do
	ln -sf /usr/bin/busybox "$stage/usr/$applet" 2>/dev/null || :
done
# busybox has modprobe and timeout too, and both are different; its shell would
# run its own whatever the PATH says, so the shells are the machine's.
install -m 755 "$(program dash)" "$stage/usr/bin/dash"
install -m 755 "$(program bash)" "$stage/usr/bin/bash"
ln -sf dash "$stage/usr/bin/sh"
mkdir -p "$stage/usr/lib/terminfo"
# Debian 13 has them in the second place.
for dir in /lib/terminfo/[lsvx] /usr/share/terminfo/[lsvx]; do
	[ ! -d "$dir" ] || cp -a "$dir" "$stage/usr/lib/terminfo/"
done
install -m 755 "$(program kmod)" "$stage/usr/bin/kmod"
for name in insmod lsmod modinfo modprobe rmmod; do
	rm -f "$stage/usr/bin/$name"
	ln -sf /usr/bin/kmod "$stage/usr/sbin/$name"
done
rm -f "$stage/usr/bin/timeout"
install -m 755 "$(program timeout)" "$stage/usr/bin/timeout"
printf 'root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n' \
	>"$stage/etc/passwd"
printf 'root:x:0:\nnogroup:x:65534:\n' >"$stage/etc/group"

for arg in "$@"; do
	src=${arg%%:*}
	dest=$stage${arg#*:}
	[ -e "$src" ] || die "$src: no such file"
	if [ -d "$src" ]; then
		mkdir -p "$dest"
		tar -C "$src" -ch . | tar -C "$dest" -x --keep-directory-symlink
	else
		[ "${dest%/}" = "$dest" ] || dest=$dest${src##*/}
		install -D -m "$([ -x "$src" ] && echo 755 || echo 644)" "$src" "$dest"
	fi
done

while read -r file; do
	add_libraries "$file"
done < <(find "$stage" -type f -size +1k \( -perm -100 -o -name '*.so*' \) \
	! -name '*.ko' -exec sh -c \
	'for f; do case $(head -c 4 "$f" | tail -c 3) in ELF) echo "$f" ;; esac; done' \
	sh {} +)
if [ -n "$root" ]; then
	install -D -m 644 "$root/lib/$triplet/libgcc_s.so.1" \
		"$stage/lib/$triplet/libgcc_s.so.1"
else
	add_libgcc /lib/x86_64-linux-gnu
fi
[ ! -e "$stage/lib/ld-linux.so.2" ] || add_libgcc /lib32 /usr/lib32

[ "$out" != - ] || exit 0
(cd "$stage" && find . | cpio --quiet -o -H newc -R 0:0) >"$out"
