#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# usage: module.sh KERNEL [MAKE-ARGUMENT]...
# Build mbox.ko for the kernel of that name (kernel.sh) in build/KERNEL. With
# KDIR in the environment, build against that instead. The sources are links, so
# that kernels do not share objects.
set -eu
. "$(dirname "$0")/lib.sh"

NAME=$1
shift
if [ -z "${KDIR-}" ]; then
	# shellcheck source=/dev/null
	. "$("$VM_DIR/kernel.sh" "$NAME")"
fi
PATH=${KPATH:+$KPATH:}$PATH
dir=$MODULES/$NAME
mkdir -p "$dir/module"
if [ "$MODULES" != "$TOP_DIR/build" ]; then
	mkdir -p "$TOP_DIR/build"
	[ -L "$TOP_DIR/build/$NAME" ] || rm -rf "$TOP_DIR/build/$NAME"
	ln -sfn "$dir" "$TOP_DIR/build/$NAME"
fi
# Links whose source is gone must not be built from.
find "$dir" -xtype l -delete
ln -sfn "$TOP_DIR/Kbuild" "$dir/Kbuild"
ln -sfn "$TOP_DIR/uapi" "$dir/uapi"
for file in "$TOP_DIR"/module/*.[ch]; do
	ln -sfn "$file" "$dir/module/${file##*/}"
done

# Without the kernel's own type information there is nothing to add ours to,
# and its key for signatures is not here.
args=(CONFIG_DEBUG_INFO_BTF_MODULES= CONFIG_MODULE_SIG_ALL=)
case $NAME in
debug) args+=(UBSAN_SANITIZE=y KCOV_INSTRUMENT=y) ;;
esac
[ "${KARCH-}" != um ] || args+=(ARCH=um)
[ -z "${CROSS-}" ] || args+=(CROSS_COMPILE="$CROSS")
# pahole is only for type information: no word about its version.
args+=(PAHOLE_VERSION="$(sed -n 's/^CONFIG_PAHOLE_VERSION=//p' "$KDIR/.config" 2>/dev/null || :)")
exec make --no-print-directory -s -C "$KDIR" M="$dir" "${args[@]}" "$@"
