#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# check.sh BUILD MAN: the functions of mbox.h and mbox_rpc.h, the symbols of libmbox.map
# and libmbox-rpc.map, those that the libraries in BUILD export, and the names in the man
# pages of section 3 in MAN must be the same ones.
set -eu

build=$1
man=$2
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

headers="include/mbox.h rpc/mbox_rpc.h"
maps="libmbox.map rpc/libmbox-rpc.map"
libraries=$build/libmbox.so
if [ -e "$build/libmbox-rpc.so" ]; then
	libraries="$libraries $build/libmbox-rpc.so"
else
	echo "without libtirpc, libmbox-rpc is not checked" >&2
	headers=include/mbox.h
	maps=libmbox.map
fi

# Declarations begin at the left margin; their comments do not.
# shellcheck disable=SC2086 # words
sed -n 's/^[a-zA-Z].*[ *]\([a-z_]*mbox_[a-z_]*\)(.*/\1/p' $headers | sort > "$tmp/header"
# A function whose comment is missing, or the other way round.
# shellcheck disable=SC2086
sed -n 's/^ \* \([a-z_]*mbox_[a-z_]*\)() - .*/\1/p' $headers | sort > "$tmp/comments"
# shellcheck disable=SC2086
sed -n 's/^\t\([a-z_]*mbox_[a-z_]*\);$/\1/p' $maps | sort > "$tmp/map"
# shellcheck disable=SC2086
nm -D --defined-only $libraries |
	sed -n 's/.* T \([a-z_]*mbox_[a-z_]*\)@.*/\1/p' | sort > "$tmp/library"
for page in "$man"/*.3; do
	case $libraries:$page in
	*-rpc.so:*) ;;
	*/clnt_*|*/svc_*) continue ;;
	esac
	awk '/^\.Nd/ { exit } /^\.Nm/ { print $2 }' "$page"
done | sort > "$tmp/man"

status=0
for list in comments map library man; do
	if ! diff -u "$tmp/header" "$tmp/$list" > "$tmp/diff"; then
		echo "the headers and $list differ:" >&2
		sed '/^[-+][-+]/d; /^@@/d; /^ /d' "$tmp/diff" >&2
		status=1
	fi
done

# Nothing else may be exported.
# shellcheck disable=SC2086
if nm -D --defined-only $libraries |
	grep -v -e '^$' -e ':$' -e ' T \(clnt_\|svc_\)\{0,1\}mbox_' -e ' A MBOX_'; then
	echo "the libraries export the symbols above" >&2
	status=1
fi

exit $status
