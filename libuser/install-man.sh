#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# install-man.sh FROM TO VERSION: install the man pages of folder FROM below TO,
# with VERSION in their footers, and for each further name that a page's NAME
# section lists a page that refers to it.
set -eu
umask 022

from=$1
to=$2
version=$3

for page in "$from"/*.[1-9]; do
	file=${page##*/}
	section=${file##*.}
	dir=$to/man$section

	mkdir -p "$dir"
	sed "s/^\.Os mbox\$/& $version/" "$page" >"$dir/$file"
	chmod 0644 "$dir/$file"

	awk '/^\.Nd/ { exit } /^\.Nm/ { print $2 }' "$page" |
	while read -r name; do
		[ "$name.$section" = "$file" ] && continue
		echo ".so man$section/$file" > "$dir/$name.$section"
		chmod 0644 "$dir/$name.$section"
	done
done
