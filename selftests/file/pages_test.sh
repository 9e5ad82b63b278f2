#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The commands that the pages beside this script show, in their order: do they succeed,
# and print what the pages show? Each command is one test. A line of a literal block
# that begins with "# " is a command of root, one with "$ " a command of another user;
# the lines behind it are what it prints. One without such lines may print anything.
set -eu

if [ ! -c /dev/mbox ]; then
	echo "1..0 # SKIP no /dev/mbox"
	exit 4
fi
# In a mount namespace of its own: what is mounted goes with it.
if [ "${1-}" != inside ]; then
	exec unshare -m "$0" inside
fi
cd "$(dirname "$0")"
pages="mboxfs.5 containers.rst services.rst confinement.rst textbook.rst"
patience=$((400 * ${MBOX_TIME_FACTOR:-1}))
tmp=$(mktemp -d)

# The lines of literal blocks of page $1, as a reader sees them.
literal_lines()
{
	case $1 in
	*.rst) sed 's/^   //; t; s/.*//' "$1" ;;
	*) sed -n '/^\.Bd -literal/,/^\.Ed/{s/^\.[BE]d.*//; s/\\-/-/g; s/\\e/\\/g; p}' "$1" ;;
	esac
}

# The commands of page $1 as $tmp/N.user and $tmp/N.command, and what they print as
# $tmp/N.output; continues the numbers from $count.
extract()
{
	more=
	literal_lines "$1" >"$tmp/lines"
	echo >>"$tmp/lines"
	while IFS= read -r line; do
		case $line in
		'# '*|'$ '*)
			count=$((count + 1))
			more=1
			echo "$1" >"$tmp/$count.page"
			printf '%s' "${line%"${line#?}"}" >"$tmp/$count.user"
			printf '%s\n' "${line#??}" >"$tmp/$count.command" ;;
		'') more= ;;
		*) [ -z "$more" ] || printf '%s\n' "$line" >>"$tmp/$count.output" ;;
		esac
	done <"$tmp/lines"
}

run()
{
	case $(cat "$tmp/$1.user") in
	'#') sh "$tmp/$1.command" ;;
	*) su -s /bin/sh -c "$(cat "$tmp/$1.command")" nobody ;;
	esac >"$tmp/out" 2>"$tmp/err" </dev/null
}

# What the pages say that there is, and nothing that another page has left.
prepare()
{
	umount -l /srv/container/run/* /srv/box/run/* /run/service/* /dev/mailbox \
		2>/dev/null || :
	mboxctl unlink jobs requests reports back bell buffer credits data family letters \
		mail meeting news parts printers questions semaphore service shop there token \
		words 2>/dev/null || :
	rm -rf /srv/container /srv/box /run/service
	mkdir -p /srv/container/run /srv/box/bin /srv/box/run
	cp "$(command -v busybox)" /srv/box/bin/busybox
	for name in sh head; do
		ln -sf busybox "/srv/box/bin/$name"
	done
}

# shellcheck disable=SC2317 # called by the trap
clean_up()
{
	prepare
	rm -rf "$tmp" /srv/container /srv/box
	rmdir /dev/mailbox 2>/dev/null || :
	# A mount keeps the module for up to a second after it is gone.
	i=0
	while [ "$i" -lt "$patience" ] &&
		[ "$(cat /sys/module/mbox/refcnt 2>/dev/null || echo 0)" != 0 ]; do
		i=$((i + 1))
		sleep 0.05
	done
}

count=0
for page in $pages; do
	before=$count
	extract "$page"
	[ "$count" -gt "$before" ] || {
		echo "$page has no commands" >&2
		exit 1
	}
done
chmod -R go+rX "$tmp"
trap clean_up EXIT
prepare
if ! chroot /srv/box sh -c 'exit 0'; then
	echo "1..0 # SKIP busybox needs libraries"
	exit 4
fi

echo "KTAP version 1"
echo "1..$count"
number=0
bad=0
page=
while [ "$number" -lt "$count" ]; do
	number=$((number + 1))
	[ "$page" = "$(cat "$tmp/$number.page")" ] || prepare
	page=$(cat "$tmp/$number.page")
	name="$page: $(sed 's/#/\\#/g' "$tmp/$number.command")"
	status=0
	run "$number" || status=$?
	if [ "$status" = 0 ] && { [ ! -e "$tmp/$number.output" ] ||
		cmp -s "$tmp/out" "$tmp/$number.output"; }; then
		echo "ok $number $name"
		continue
	fi
	bad=1
	echo "# status $status; it prints:"
	sed 's/^/#   /' "$tmp/out" "$tmp/err"
	echo "not ok $number $name"
done
exit $bad
