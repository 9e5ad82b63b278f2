#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Mailboxes as a shell and the usual programs see them. Each function test_* is one
# test, and fails when any check in it does.
#
# shellcheck disable=SC2317 # they are called by the names found at the end
set -eu

if [ ! -c /dev/mbox ]; then
	echo "1..0 # SKIP no /dev/mbox"
	exit 4
fi
# In a mount namespace of its own.
if [ "${1-}" != inside ]; then
	exec unshare -m "$0" inside
fi

tmp=$(mktemp -d)
dir=$tmp/mailbox
q=$dir/shell-test
patience=$((400 * ${MBOX_TIME_FACTOR:-1}))
mkdir "$dir"
mount -t mbox mbox "$dir"
chmod 755 "$tmp"

wrong()
{
	failed=1
	printf '%s\n' "$*" | sed 's/^/# /'
}

same()
{
	[ "$1" = "$2" ] || wrong "'$1', not '$2'"
}

ok()
{
	"$@" >"$tmp/out" 2>&1 || wrong "$*: $(cat "$tmp/out")"
}

# fails MESSAGE COMMAND...: its error ends with the message.
fails()
{
	want=$1
	shift
	if "$@" >"$tmp/out" 2>&1; then
		wrong "$*: succeeded"
		return
	fi
	case $(cat "$tmp/out") in
	*"$want") ;;
	*) wrong "$*: '$(cat "$tmp/out")', not '$want'" ;;
	esac
}

# With redirections.
fails_sh() { fails "$1" sh -c "$2"; }

as_nobody()
{
	# shellcheck disable=SC2016 # for that shell
	su -s /bin/sh -c 'exec "$@"' -- nobody sh "$@"
}

# Whether program $1 is there; without it, the test is skipped.
has()
{
	! command -v "$1" >/dev/null || return 0
	skip="no $1"
	return 1
}

# Until file $1 has $2.
await()
{
	i=0
	until [ -e "$1" ] && [ "$(cat "$1")" = "$2" ]; do
		i=$((i + 1))
		if [ "$i" -gt "$patience" ]; then
			wrong "$1: '$(cat "$1")', not '$2'"
			return
		fi
		sleep 0.05
	done
}

test_echo_sends_and_cat_receives()
{
	echo hello >"$q"
	printf 'no newline' >>"$q"
	cat "$q" >"$tmp/got" &
	await "$tmp/got" "hello
no newline"
	# cat goes on until a message is empty.
	echo more >"$q"
	await "$tmp/got" "hello
no newlinemore"
	mboxctl send "${q##*/}" ''
	wait
	ok rm "$q"
}

test_head_and_dd_take_one_message()
{
	for text in one two three; do
		echo "$text" >"$q"
	done
	same "$(head -n 1 <"$q")" one
	same "$(dd bs=8192 count=1 <"$q" 2>/dev/null)" two
	same "$(stat -c %s "$q")" 6
	ok rm "$q"
}

# A buffer that is too short takes nothing, and the message stays.
test_read_of_the_shell_reads_bytes()
{
	echo hello >"$q"
	fails_sh "Message too long" "dd bs=1 count=1 <'$q'"
	same "$(head -n 1 <"$q")" hello
	ok rm "$q"
}

test_redirections_create_as_for_files()
{
	(umask 027 && echo x >"$q")
	same "$(stat -c %a "$q")" 640
	id=$(stat -c %i "$q")
	# It is no pipe: nothing waits for the other side, nothing is truncated.
	echo y >"$q"
	same "$(stat -c '%i %s' "$q")" "$id 4"
	fails_sh "Directory nonexistent" "echo x >'$q/y'"
	ok rm "$q"
	fails_sh "No such file" "cat <'$q'"
}

test_tests_of_the_shell()
{
	ok mkfifo -m 640 "$q"
	ok test -e "$q"
	ok test -p "$q"
	ok test -r "$q"
	ok test -w "$q"
	for other in -f -d -b -c -L -S -x -s; do
		! test "$other" "$q" || wrong "test $other"
	done
	# With something in it.
	echo x >"$q"
	ok test -s "$q"
	ok rm "$q"
	! test -e "$q" || wrong "it is still there"
}

test_ls_shows_mode_owner_and_size()
{
	ok mkfifo -m 640 "$q"
	printf 12345 >"$q"
	printf 678 >"$q"
	ok chown nobody:nogroup "$q"
	# shellcheck disable=SC2012 # what ls prints is the subject
	same "$(ls -l "$q" | tr -s ' ' | cut -d ' ' -f 1-5)" "prw-r----- 1 nobody nogroup 8"
	same "$(ls "$dir")" "${q##*/}"
	same "$(stat -c '%F %h' "$q")" "fifo 1"
	same "$(find "$dir" -type p -user nobody)" "$q"
	ok rm "$q"
}

test_chmod_and_chown_decide_who_may()
{
	ok mkfifo -m 600 "$q"
	fails "Permission denied" as_nobody sh -c "echo x >'$q'"
	fails "Operation not permitted" as_nobody chmod 666 "$q"
	fails "Operation not permitted" as_nobody chown nobody "$q"
	ok chmod o+w "$q"
	ok as_nobody sh -c "echo x >>'$q'"
	fails "Permission denied" as_nobody cat "$q"
	ok chown nobody "$q"
	ok chmod u=r,go= "$q"
	same "$(as_nobody head -n 1 "$q")" x
	fails "Permission denied" as_nobody sh -c "echo x >>'$q'"
	fails "Operation not permitted" as_nobody chown root "$q"
	ok as_nobody rm -f "$q"
}

test_only_the_owner_removes()
{
	ok mkfifo -m 666 "$q"
	fails "Operation not permitted" as_nobody rm -f "$q"
	fails "Operation not permitted" as_nobody mv "$q" "$q-2"
	ok as_nobody mkfifo "$q-2"
	ok as_nobody mv "$q-2" "$q-3"
	ok rm "$q" "$q-3"
}

test_mv_renames()
{
	echo hello >"$q"
	id=$(stat -c %i "$q")
	ok mv "$q" "$q-2"
	! test -e "$q" || wrong "it is still there"
	same "$(stat -c %i "$q-2")" "$id"
	same "$(mboxctl recv "${q##*/}-2")" hello
	# Over another one, which is gone then.
	ok mkfifo "$q"
	ok mv "$q-2" "$q"
	same "$(stat -c %i "$q")" "$id"
	same "$(ls "$dir")" "${q##*/}"
	ok rm "$q"
}

test_what_a_directory_of_mailboxes_does_not_have()
{
	ok mkfifo "$q"
	fails "Operation not permitted" ln "$q" "$q-2"
	fails "Operation not permitted" ln -s "$q" "$q-2"
	fails "Operation not permitted" mkdir "$q-2"
	fails "Operation not permitted" mknod "$q-2" c 1 3
	fails "ross-device link" ln "$q" "$tmp/link"
	same "$(ls "$dir")" "${q##*/}"
	ok rm "$q"
}

test_other_mounts_show_the_same()
{
	mkdir "$tmp/again"
	ok mount -t mbox mbox "$tmp/again"
	echo hello >"$q"
	same "$(head -n 1 "$tmp/again/${q##*/}")" hello
	same "$(mboxctl ls --json "${q##*/}" | grep -c '"sent":1')" 1
	ok rm "$tmp/again/${q##*/}"
	same "$(ls "$dir")" ""
	ok umount "$tmp/again"
	# In another network namespace they are others.
	echo hello >"$q"
	# shellcheck disable=SC2016
	same "$(unshare -n sh -c 'mount -t mbox mbox "$1" && ls "$1"' sh "$tmp/again")" ""
	ok umount "$tmp/again"
	ok rmdir "$tmp/again"
	ok rm "$q"
}

test_a_bind_mount_is_one_mailbox()
{
	echo hello >"$q"
	: >"$tmp/bound"
	ok mount --bind "$q" "$tmp/bound"
	ok test -p "$tmp/bound"
	same "$(unshare -n head -n 1 "$tmp/bound")" hello
	ok unshare -n sh -c "echo back >'$tmp/bound'"
	same "$(head -n 1 "$q")" back
	# What is mounted cannot lose its name elsewhere than in its file system.
	fails "busy" rm -f "$tmp/bound"
	ok mount -o remount,bind,ro "$tmp/bound"
	echo again >"$q"
	same "$(head -n 1 "$tmp/bound")" again
	fails_sh "ead-only file system" "echo x >'$tmp/bound'"
	fails "ead-only file system" chmod 600 "$tmp/bound"
	# The mailbox itself is not read-only, and lives on without its name.
	ok chmod 644 "$q"
	ok rm "$q"
	ok test -p "$tmp/bound"
	ok umount "$tmp/bound"
	ok rm "$tmp/bound"
}

test_inotifywait_tells_of_names()
{
	has inotifywait || return 0
	inotifywait -m -q --format '%e %f' "$dir" >"$tmp/events" 2>/dev/null &
	pid=$!
	# Until it watches: it may begin between the two.
	until grep -q "^CREATE" "$tmp/events"; do
		mkfifo "$q-0"
		rm "$q-0"
		sleep 0.1
	done
	echo hello >"$q"
	mv "$q" "$q-2"
	same "$(head -n 1 "$q-2")" hello
	rm "$q-2"
	mboxctl create "${q##*/}-3"
	mboxctl rm "${q##*/}-3"
	tries=0
	until grep -q "DELETE ${q##*/}-3" "$tmp/events" || [ "$tries" = "$patience" ]; do
		tries=$((tries + 1))
		sleep 0.05
	done
	kill "$pid"
	wait "$pid" 2>/dev/null || :
	# Who opens one, sends and receives, is nobody's business.
	same "$(grep -v -- -0 "$tmp/events")" "CREATE ${q##*/}
MOVED_FROM ${q##*/}
MOVED_TO ${q##*/}-2
DELETE ${q##*/}-2
CREATE ${q##*/}-3
DELETE ${q##*/}-3"
	same "$(grep -e -0 "$tmp/events" | sort -u)" "CREATE ${q##*/}-0
DELETE ${q##*/}-0"
}

test_lists_of_setfacl()
{
	has setfacl || return 0
	if ! setfacl -m u:nobody:rw "$tmp" 2>/dev/null; then
		skip="no access control lists in this kernel"
		return
	fi
	setfacl -b "$tmp"
	ok mkfifo -m 640 "$q"
	fails "Permission denied" as_nobody sh -c "echo x >'$q'"
	ok setfacl -m u:nobody:rw,g:nogroup:r "$q"
	same "$(getfacl -pc "$q")" "user::rw-
user:nobody:rw-
group::r--
group:nogroup:r--
mask::rw-
other::---"
	ok as_nobody sh -c "echo x >>'$q'"
	fails "Operation not permitted" as_nobody setfacl -b "$q"
	fails "Only directories can have default ACLs" setfacl -d -m u:nobody:r "$q"
	same "$(stat -c %a "$q")" 660
	ok setfacl -b "$q"
	same "$(stat -c %a "$q")" 640
	fails "Permission denied" as_nobody cat "$q"
	ok rm "$q"
	# What is made later inherits.
	ok setfacl -d -m u:nobody:r "$dir"
	ok mkfifo -m 640 "$q"
	same "$(getfacl -pc "$q" | grep nobody)" "user:nobody:r--"
	ok setfacl -b "$dir"
	ok rm "$q"
}

# The name and the process of an open mailbox.
test_lsof_and_lsfd_show_names()
{
	has lsof || return 0
	mkfifo "$q"
	# shellcheck disable=SC2217,SC2094 # only the descriptors matter
	sleep 60 <"$q" 9>>"$q" &
	pid=$!
	until [ "$(readlink "/proc/$pid/exe")" != "$(readlink /proc/$$/exe)" ]; do
		sleep 0.01
	done
	same "$(lsof -w -a -p "$pid" -d 0,9 -F fatn)" "p$pid
f0
ar
tFIFO
n$q
f9
aw
tFIFO
n$q"
	same "$(lsof -w -t "$q")" "$pid"
	if command -v lsfd >/dev/null; then
		same "$(lsfd -n -r -p "$pid" -o MODE,TYPE,NAME -Q '(FD == 0) or (FD == 9)')" \
			"r-- FIFO $q
-w- FIFO $q"
	fi
	kill "$pid"
	wait "$pid" 2>/dev/null || :
	ok rm "$q"
}

tests=$(sed -n 's/^\(test_[a-z0-9_]*\)()$/\1/p' "$0")
echo "KTAP version 1"
echo "1..$(echo "$tests" | wc -l)"
number=0
bad=0
for test in $tests; do
	failed=0
	skip=
	number=$((number + 1))
	$test
	if [ $failed = 0 ]; then
		echo "ok $number ${test#test_}${skip:+ # SKIP $skip}"
	else
		echo "not ok $number ${test#test_}"
		bad=1
	fi
done
umount "$dir"
rm -r "$tmp"
# A mount keeps the module for up to a second after it is gone.
i=0
while [ "$i" -lt "$patience" ] && [ "$(cat /sys/module/mbox/refcnt 2>/dev/null || echo 0)" != 0 ]; do
	i=$((i + 1))
	sleep 0.05
done
exit $bad
