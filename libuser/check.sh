#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# check.sh BUILD MAN: the functions of mbox.h, the symbols of libmbox.map, those
# that the library in BUILD exports, and the names in the man pages of section
# 3 in MAN must be the same ones.
set -eu

build=$1
man=$2
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# Declarations begin at the left margin; their comments do not.
sed -n 's/^[a-z].*[ *]\(mbox_[a-z_]*\)(.*/\1/p' include/mbox.h | sort > "$tmp/header"
# A function whose comment is missing, or the other way round.
sed -n 's/^ \* \(mbox_[a-z_]*\)() - .*/\1/p' include/mbox.h | sort > "$tmp/comments"
sed -n 's/^\t\(mbox_[a-z_]*\);$/\1/p' libmbox.map | sort > "$tmp/map"
nm -D --defined-only "$build/libmbox.so" |
	sed -n 's/.* T \(mbox_[a-z_]*\)@.*/\1/p' | sort > "$tmp/library"
for page in "$man"/*.3; do
	awk '/^\.Nd/ { exit } /^\.Nm/ { print $2 }' "$page"
done | sort > "$tmp/man"

status=0
for list in comments map library man; do
	if ! diff -u "$tmp/header" "$tmp/$list" > "$tmp/diff"; then
		echo "mbox.h and $list differ:" >&2
		sed '/^[-+][-+]/d; /^@@/d; /^ /d' "$tmp/diff" >&2
		status=1
	fi
done

# Nothing else may be exported.
if nm -D --defined-only "$build/libmbox.so" | grep -v -e ' T mbox_' -e ' A MBOX_'; then
	echo "the library exports the symbols above" >&2
	status=1
fi

exit $status
