#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# uninstall-man.sh FROM TO: remove what install-man.sh FROM TO VERSION has installed.
set -eu

from=$1
to=$2

for page in "$from"/*.[1-9]; do
	section=${page##*.}
	awk '/^\.Nd/ { exit } /^\.Nm/ { print $2 }' "$page" |
	while read -r name; do
		rm -f "$to/man$section/$name.$section"
	done
	rm -f "$to/man$section/${page##*/}"
done
