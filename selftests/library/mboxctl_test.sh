#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# mboxctl as its users see it: what it prints, where, and its exit status. Each
# function test_* is one test, and fails when any check in it does.
#
# shellcheck disable=SC2317 # they are called by the names found at the end
set -eu

PATH=$PATH:/usr/local/bin
# The program for 32 bits is beside its test.
[ ! -x ./mboxctl ] || PATH=$PWD:$PATH
if ! command -v mboxctl >/dev/null; then
	echo "1..0 # SKIP no mboxctl"
	exit 4
fi
if [ ! -c /dev/mbox ]; then
	echo "1..0 # SKIP no /dev/mbox"
	exit 4
fi

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
# As other users see it too.
chmod 755 "$tmp"
nl='
'
# Mailboxes of this run; each test removes its own.
m=mbox-test-$$
patience=$((400 * ${MBOX_TIME_FACTOR:-1}))

# Names with everything that a terminal or a JSON reader could stumble over.
odd=$(printf '%s-\377"\\\033[31m\342\200\256\303\251' "$m")
odd_shown="$m-"'\xff"\\\x1b[31m\xe2\x80\xae'$(printf '\303\251')
# A table is for the locale, which is "C", also where others are installed.
export LOCPATH=/nonexistent
odd_cell="$m-"'\xff"\\\x1b[31m\xe2\x80\xae\xc3\xa9'
odd_json="$m-"'\udcff\"\\\u001b[31m'$(printf '\342\200\256\303\251')
longest=$(printf '%0255d' 0)

wrong()
{
	failed=1
	printf '%s\n' "$*" | sed 's/^/# /'
}

# check STATUS STDOUT STDERR COMMAND...: STDOUT is exact but for the last
# newline, STDERR a pattern for all of it.
check()
{
	want_status=$1
	want_out=$2
	want_err=$3
	shift 3
	status=0
	err=
	out=$("$@" 2>"$tmp/stderr") || status=$?
	[ ! -s "$tmp/stderr" ] || err=$(cat "$tmp/stderr")
	[ "$status" = "$want_status" ] || wrong "$*: status $status, not $want_status"
	[ "$out" = "$want_out" ] || wrong "$*: printed '$out', not '$want_out'"
	# shellcheck disable=SC2254 # a pattern
	case $err in
	$want_err) ;;
	*) wrong "$*: error '$err', not '$want_err'" ;;
	esac
}

ok() { check 0 '' '' "$@"; }

same()
{
	[ "$1" = "$2" ] || wrong "'$1', not '$2'"
}

# json MAILBOX KEY...: sets $value to what its JSON says, a word for each. No
# process more than needed: they are slow on an emulated machine.
json()
{
	all=$(mboxctl stat --json "$1") || all=
	shift
	value=
	for key; do
		word=${all#*\""$key"\":}
		word=${word#\"}
		value=${value:+$value }${word%%[\",\}]*}
	done
}

# has MAILBOX VALUES KEY...: the values are what the keys have
has()
{
	values=$2
	mailbox=$1
	shift 2
	json "$mailbox" "$@"
	same "$value" "$values"
}

id_of()
{
	json "$1" id
	echo "$value"
}

# Until $2 calls wait on the $3 (senders, receivers) side of mailbox $1.
await()
{
	i=0
	while json "$1" "waiting_$3" && [ "$value" != "$2" ]; do
		i=$((i + 1))
		if [ "$i" -gt "$patience" ]; then
			wrong "$1: no $2 waiting $3"
			return
		fi
		sleep 0.05
	done
}

# Until "$@" succeeds.
until_ok()
{
	i=0
	until "$@" >/dev/null 2>&1; do
		i=$((i + 1))
		if [ "$i" -gt "$patience" ]; then
			wrong "in vain: $*"
			return
		fi
		sleep 0.05
	done
}

# The last background job ended with status $1.
ended()
{
	status=0
	wait $! || status=$?
	same "$status" "$1"
}

as_nobody()
{
	# shellcheck disable=SC2016 # for that shell
	su -s /bin/sh -c 'exec "$@"' -- nobody sh "$@"
}

test_create_makes_a_mailbox_and_rm_removes_it()
{
	ok mboxctl create "$m"
	has "$m" "64 8192 0600" capacity msg_max mode
	ok mboxctl rm "$m"
	check 1 '' "mboxctl rm: cannot unlink '$m': No such file or directory" mboxctl rm "$m"
}

test_create_sets_the_given_attributes()
{
	ok mboxctl create -c 2 -s 100 -m 0640 "$m"
	has "$m" "2 100 0640" capacity msg_max mode
	ok mboxctl rm "$m"
	ok mboxctl create --capacity=0x10 --msg-max 4 --mode=7 --fixed --hangup "$m"
	has "$m" "16 4 0007" capacity msg_max mode
	check 0 "$(mboxctl stat "$m" | sed '/^flags:/!d')" '' echo \
		"flags:             fixed,hangup"
	ok mboxctl rm "$m"
	ok mboxctl create -c unbounded "$m"
	has "$m" unbounded capacity
	ok mboxctl rm "$m"
}

test_create_mode_ignores_the_umask()
{
	(umask 077 && mboxctl create -m 0666 "$m" && mboxctl create "$m-plain")
	has "$m" 0666 mode
	has "$m-plain" 0600 mode
	ok mboxctl rm "$m" "$m-plain"
}

test_create_leaves_an_existing_mailbox_as_it_is()
{
	ok mboxctl create -c 2 "$m"
	ok mboxctl create "$m"
	ok mboxctl create -c 2 -s 8192 -m 600 -o root:root "$m"
	check 0 '' "mboxctl create: '$m' exists with other attributes: capacity 2, not 3" \
		mboxctl create -c 3 "$m"
	check 0 '' "*: kind queue, not ring; flags none, not hangup,one-sender; \
capacity 2, not 5; msg-max 8192, not 1; mode 0600, not 0666; \
uid 0, not 65534; gid 0, not 5" mboxctl create -m 666 -s 1 --ring --one-sender --hangup \
		-c 5 -o nobody:5 "$m"
	has "$m" "2 0600 0 0 queue 8192" capacity mode uid gid kind msg_max
	check 1 '' "mboxctl create: cannot create '$m': File exists" mboxctl create -x "$m"
	check 1 '' "*File exists" mboxctl create --exclusive "$m"
	ok mboxctl rm "$m"
	ok mboxctl create -x "$m"
	ok mboxctl rm "$m"
}

test_create_sets_the_owner()
{
	ok mboxctl create -o nobody "$m"
	has "$m" "65534 0" uid gid
	ok mboxctl rm "$m"
	ok mboxctl create --owner=nobody:nogroup "$m"
	has "$m" "65534 65534" uid gid
	ok mboxctl rm "$m"
	ok mboxctl create --owner :4294967294 -m 0640 "$m"
	has "$m" "0 4294967294 0640" uid gid mode
	ok mboxctl rm "$m"
	ok mboxctl create -o 7:8 "$m"
	has "$m" "7 8" uid gid
	ok mboxctl rm "$m"
	# Who may not gets no mailbox at all.
	check 1 '' "mboxctl create: cannot change the owner of '$m': Operation not permitted" \
		as_nobody mboxctl create -o root "$m"
	check 1 '' "*No such file or directory" mboxctl rm "$m"
	ok as_nobody mboxctl create -o nobody:nogroup "$m"
	ok mboxctl rm "$m"
	try="${nl}try mboxctl create --help"
	for owner in '' : nobody: ::; do
		check 2 '' "mboxctl create: *'*'$try" mboxctl create -o "$owner" "$m"
	done
	check 2 '' "mboxctl create: unknown user: 'nosuch'$try" mboxctl create -o nosuch "$m"
	check 2 '' "*unknown user: '4294967295'$try" mboxctl create -o 4294967295:0 "$m"
	check 2 '' "*unknown user: '-1'$try" mboxctl create -o -1 "$m"
	check 2 '' "*unknown group: 'nosuch'$try" mboxctl create -o root:nosuch "$m"
	check 2 '' "*unknown group: '4294967295'$try" mboxctl create -o :4294967295 "$m"
}

test_create_goes_on_after_an_error()
{
	check 1 '' "mboxctl create: cannot create 'a/b': Invalid argument: *no slash*" \
		mboxctl create a/b "$m"
	ok mboxctl rm "$m"
	check 1 '' "*as 'id:5'" mboxctl create id:5 "$m"
	ok mboxctl rm "$m"
}

test_create_refuses_wrong_arguments()
{
	try="${nl}try mboxctl create --help"
	check 2 '' "mboxctl create: no name given$try" mboxctl create
	check 2 '' "*invalid capacity: 'x'$try" mboxctl create -c x "$m"
	check 2 '' "*invalid capacity: '-1'$try" mboxctl create -c -1 "$m"
	check 2 '' "*invalid capacity: '4294967295'$try" mboxctl create -c 4294967295 "$m"
	check 2 '' "*invalid capacity: ''$try" mboxctl create -c '' "$m"
	check 2 '' "*invalid size: '1k'$try" mboxctl create -s 1k "$m"
	check 2 '' "*invalid mode: '8'$try" mboxctl create -m 8 "$m"
	check 2 '' "*invalid mode: '1000'$try" mboxctl create -m 1000 "$m"
	check 2 '' "*exclude each other$try" mboxctl create --drop-oldest --drop-newest "$m"
	check 2 '' "mboxctl create: unrecognized option *$try" mboxctl create --nonsense "$m"
	check 2 '' "mboxctl create: option requires an argument *$try" mboxctl create -c
	check 1 '' "*Invalid argument: *" mboxctl create -s 0 "$m"
	check 1 '' "*No such file or directory" mboxctl rm "$m"
}

test_names_can_be_long_and_odd()
{
	check 1 '' "*File name too long" mboxctl create "${longest}0"
	check 1 '' "*Invalid argument: *not empty*" mboxctl create ''
	ok mboxctl create "$longest" "$odd" "name:id:$m"
	for name in "$longest" "$odd" "name:id:$m"; do
		ok mboxctl send "$name" text
		check 0 text '' mboxctl recv "$name"
		ok mboxctl set-capacity "$name" 3
		has "$name" 3 capacity
		ok mboxctl rm "$name"
	done
	check 1 '' "*'name:id:$m'*" mboxctl rm "name:id:$m"
	check 1 '' "*'x/y': Invalid argument" mboxctl rm x/y
}

test_odd_names_are_escaped()
{
	ok mboxctl create -c 5 "$odd"
	check 0 "name:              $odd_shown" '' sh -c "mboxctl stat \"\$1\" | head -n 1" sh "$odd"
	check 0 "$odd_cell " '' sh -c \
		"mboxctl ls \"\$1\" | sed -n 's/^ *[0-9]* \(.*\)queue root 0600 .*/\1/p'" sh "$odd"
	check 0 "$(printf %s "$odd_cell" | sed 's/\\\\/\\x5c/')" '' \
		mboxctl ls -r --noheadings -o name "$odd"
	mboxctl ls --json "$odd" >"$tmp/json"
	case $(cat "$tmp/json") in
	*"\"name\":\"$odd_json\""*) ;;
	*) wrong "$(cat "$tmp/json")" ;;
	esac
	ok mboxctl rm "$odd"
}

test_ls_prints_a_table()
{
	ok mboxctl create -c 2 -s 100 "$m-a"
	ok mboxctl create -c unbounded -m 0666 --drop-newest --fixed -s 3 "$m-b"
	ok mboxctl send "$m-b" abc def
	check 0 abcdef '' mboxctl recv -n 0 -d "$m-b"
	width=$((${#m} + 2))
	ids=$(id_of "$m-b")
	row="%${#ids}s %-${width}s %-5s %s %s %9s %7s %6s %7s %5s %6s %s"
	# shellcheck disable=SC2059 # the format
	head=$(printf "$row" ID NAME KIND USER MODE CAPACITY MSG-MAX QUEUED HIGHEST BYTES OLDEST FLAGS)
	# shellcheck disable=SC2059
	a=$(printf "$row" "$(id_of "$m-a")" "$m-a" queue root 0600 2 100 0 0 0 - -)
	# shellcheck disable=SC2059
	b=$(printf "$row" "$(id_of "$m-b")" "$m-b" queue root 0666 unbounded 3 0 2 0 - fixed,drop-newest)
	check 0 "$head$nl$a$nl$b" '' mboxctl ls "$m-a" "$m-b"
	check 0 "$head$nl$b" '' mboxctl ls "id:$(id_of "$m-b")"
	check 0 "$(printf '%s\n' "$a" "$b" | tr -s ' ')" '' \
		sh -c "mboxctl ls -r | grep '$m-[ab] '"
	check 1 "$(mboxctl ls "$m-a")" "mboxctl ls: no mailbox '$m-c' that you may see" \
		mboxctl ls "$m-c" "$m-a"
	check 1 '' "*no mailbox*" mboxctl ls "$m-c"
	check 1 '' "*a name is not empty" mboxctl ls ''
	ok mboxctl send "$m-b" ghi
	until_ok sh -c "mboxctl ls $m-b | grep ' 1  *2  *3  *[0-9]*\.[0-9]\{3\} fixed'"
	ok mboxctl rm "$m-a" "$m-b"
}

test_columns_are_chosen_and_sorted()
{
	ok mboxctl create -c 10 "$m-a"
	ok mboxctl create -c unbounded "$m-b"
	ok mboxctl create -c 2 "$m-c"
	ok mboxctl send "$m-a" x
	check 0 "NAME CAPACITY$nl$m-a 10$nl$m-b unbounded" '' \
		mboxctl ls -r -o Name,capacity "$m-a" "$m-b"
	check 0 "$m-c 2$nl$m-a 10$nl$m-b unbounded" '' \
		sh -c "mboxctl ls -r --noheadings --sort capacity -o name,capacity | grep '^$m-'"
	# By a column that is not printed, and twice the same.
	check 0 "$m-b$nl$m-c$nl$m-a" '' mboxctl ls --noheadings --sort=queued -o name,name \
		"$m-a" "$m-b" "$m-c"
	check 0 "ID NAME KIND USER MODE CAPACITY MSG-MAX QUEUED HIGHEST BYTES OLDEST FLAGS SENT GID" '' \
		sh -c "mboxctl ls -r -o +sent,name,gid '$m-a' | head -n 1"
	check 0 '1 0' '' sh -c "mboxctl ls -r -o +sent,gid '$m-a' | sed -n '2s/.* \([0-9]* [0-9]*\)\$/\1/p'"
	check 0 '{"mailboxes":[{"name":"'"$m-b"'","queued":0,"capacity":"unbounded","flags":null}]}' '' \
		sh -c "mboxctl ls -J -o name,queued,capacity,flags '$m-b' | tr -d ' \n'"
	for column in ID NAME KIND USER MODE CAPACITY MSG-MAX QUEUED HIGHEST BYTES OLDEST FLAGS UID GID \
		GROUP SENT RECEIVED DROPPED WAIT-SEND WAIT-RECV SENDERS RECEIVERS LEASED EXPIRED \
		REDELIVERED DEAD KEY; do
		same "$(mboxctl ls -o "$column" "$m-a" | head -n 1 | tr -d ' ')" "$column"
		ok grep -q "^  [* ] $column " <<-EOF
		$(mboxctl ls --help)
		EOF
	done
	try="${nl}try mboxctl ls --help"
	check 2 '' "mboxctl ls: unknown column: 'colour'$try" mboxctl ls -o name,colour
	check 2 '' "mboxctl ls: unknown column: ''$try" mboxctl ls -o name,
	check 2 '' "mboxctl ls: unknown column: 'x?x1b'$try" mboxctl ls --sort "$(printf 'x\033')"
	check 2 '' "mboxctl ls: JSON has no headings and is never raw$try" mboxctl ls -J -r
	check 2 '' "mboxctl ls: --json prints everything: it has no columns to choose$try" \
		mboxctl ls -j -o name
	check 1 '' "mboxctl ls: cannot write to standard output: No space left on device" \
		sh -c 'mboxctl ls >/dev/full'
	ok mboxctl rm "$m-a" "$m-b" "$m-c"
}

# With the names that libmbox-sysv.so gives them.
test_ls_sysv_lists_queues_of_system_v()
{
	ok mboxctl create -m 640 sysv-00abc123
	ok mboxctl create sysv-private-0123456789abcdef
	# These are none: other names, a ring, and a name that no key has.
	ok mboxctl create "$m" sysv- sysv-abc sysv-00ABC123
	ok mboxctl create --ring sysv-00abc124
	ok mboxctl send sysv-00abc123 one three
	id=$(id_of sysv-00abc123)
	private=$(id_of sysv-private-0123456789abcdef)
	check 0 "KEY ID USER MODE BYTES QUEUED
0x00abc123 $id root 0640 8 2
0x00000000 $private root 0600 0 0" '' mboxctl ls --sysv -r
	check 0 "sysv-00abc123 0x00abc123$nl$m -" '' \
		mboxctl ls -r --noheadings -o name,key sysv-00abc123 "$m"
	check 0 "KEY ID USER MODE BYTES QUEUED MSG-MAX" '' \
		sh -c "mboxctl ls --sysv -r -o +msg-max | head -n 1"
	check 0 "$private$nl$id" '' mboxctl ls --sysv --noheadings --sort queued -o id
	check 1 "$(mboxctl ls --sysv "id:$id")" "mboxctl ls: '$m' is not a System V queue" \
		mboxctl ls --sysv "$m" sysv-00abc123
	check 0 '"0x00abc123" "0x00000000"' '' sh -c "mboxctl ls --sysv --json |
		sed -n 's/.*\"id\":.*\"key\":\(\"[^\"]*\"\).*/\1/p' | paste -sd ' '"
	check 1 0 '' sh -c "mboxctl stat --json '$m' | grep -c key"
	ok mboxctl rm "$m" sysv- sysv-abc sysv-00ABC123 sysv-00abc123 sysv-00abc124 \
		sysv-private-0123456789abcdef
	check 0 '' '' mboxctl ls --sysv
}

test_ls_and_stat_print_json()
{
	ok mboxctl create -c 2 -s 100 --hangup --drop-oldest "$m-a"
	ok mboxctl create -c unbounded -m 0666 "$m-b"
	ok mboxctl send "$m-b" 12345
	a="{\"id\":$(id_of "$m-a"),\"name\":\"$m-a\",\"kind\":\"queue\",\"uid\":0,\"gid\":0,"
	a="$a\"mode\":\"0600\","
	a="$a\"capacity\":2,\"msg_max\":100,\"flags\":[\"drop-oldest\",\"hangup\"],"
	a="$a\"queued\":0,\"bytes\":0,\"waiting_senders\":0,\"waiting_receivers\":0,\"sent\":0,"
	zeros=$(printf ',0%.0s' 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23)
	zeros="\"expired\":0,\"redelivered\":0,\"dead_letters\":0,\"waited\":[0$zeros]"
	a="$a\"received\":0,\"dropped\":0,\"send_handles\":0,\"recv_handles\":0,"
	a="$a\"highest\":0,\"leased\":0,\"oldest_ns\":N,$zeros}"
	b="{\"id\":$(id_of "$m-b"),\"name\":\"$m-b\",\"kind\":\"queue\",\"uid\":0,\"gid\":0,"
	b="$b\"mode\":\"0666\","
	b="$b\"capacity\":\"unbounded\",\"msg_max\":8192,\"flags\":[],"
	b="$b\"queued\":1,\"bytes\":5,\"waiting_senders\":0,\"waiting_receivers\":0,\"sent\":1,"
	b="$b\"received\":0,\"dropped\":0,\"send_handles\":0,\"recv_handles\":0,"
	b="$b\"highest\":1,\"leased\":0,\"oldest_ns\":N,$zeros}"
	for command in ls stat; do
		for option in -j --json; do
			check 0 "[$a,$nl $b]" '' sh -c "mboxctl $command $option $m-a $m-b |
				sed 's/\"oldest_ns\":[0-9]*/\"oldest_ns\":N/'"
			check 0 "[$b]" '' sh -c "mboxctl $command $m-b $option |
				sed 's/\"oldest_ns\":[0-9]*/\"oldest_ns\":N/'"
			check 1 "[]" "*no mailbox*" mboxctl "$command" "$option" "$m-c"
		done
	done
	ok mboxctl rm "$m-a" "$m-b"
}

test_stat_prints_attributes_and_counters()
{
	ok mboxctl create -c 1 --drop-oldest "$m"
	ok mboxctl send "$m" 1 22 333
	id=$(id_of "$m")
	check 0 "name:              $m
id:                $id
kind:              queue
owner:             uid 0, gid 0
mode:              0600
capacity:          1
largest message:   8192
flags:             drop-oldest
queued:            1 (3 bytes)
waiting senders:   0
waiting receivers: 0
sent:              3
received:          0
dropped:           2
send handles:      0
receive handles:   0
highest:           1
on lease:          0
expired:           0
redelivered:       0
dead letters:      0
waited:            none" '' sh -c "mboxctl stat $m | sed '/^oldest message: /d'"
	until_ok sh -c "mboxctl stat $m | grep '^oldest message:    for [0-9]*\.[0-9]\{3\} s\$'"
	# Even the coarsest tick is shorter.
	sleep 0.1
	check 0 333 '' mboxctl recv "$m"
	check 0 1 '' sh -c "mboxctl stat $m | grep -c '^waited:            1 for [0-9]*-[0-9]* ms\$'"
	check 1 '' '' sh -c "mboxctl stat $m | grep '^oldest'"
	ok mboxctl create -c unbounded "$m-2"
	check 0 "name:              $m-2" '' sh -c "mboxctl stat id:$id $m-2 | sed -n '24p'"
	check 0 "capacity:          unbounded" '' sh -c "mboxctl stat $m-2 | sed -n '6p'"
	check 0 "flags:             none" '' sh -c "mboxctl stat $m-2 | sed -n '8p'"
	check 2 '' "mboxctl stat: no mailbox given${nl}try mboxctl stat --help" mboxctl stat
	check 1 '' "mboxctl stat: no mailbox 'id:0' that you may see" mboxctl stat id:0
	check 1 '' "*invalid mailbox id: 'x'" mboxctl stat id:x
	ok mboxctl rm "$m" "$m-2"
}

test_recv_writes_the_texts_of_send()
{
	ok mboxctl create "$m"
	ok mboxctl send "$m" one two ''
	has "$m" 3 queued
	check 0 one '' mboxctl recv "$m"
	check 0 two '' mboxctl recv -n 2 -N "$m"
	has "$m" "0 0" queued bytes
	ok mboxctl send "$m" -- -x "a  b"
	check 0 "-xa  b" '' mboxctl recv --count=2 --no-newline "$m"
	ok mboxctl rm "$m"
}

test_send_reads_files_and_stdin()
{
	printf 'l1\nl2\n\nl4' >"$tmp/lines"
	: >"$tmp/empty"
	ok mboxctl create "$m"
	ok mboxctl send -l -f "$tmp/lines" "$m"
	check 0 "l1${nl}l2${nl}${nl}l4" '' mboxctl recv -N -n 4 "$m"
	ok mboxctl send --lines "$m" <"$tmp/lines"
	check 0 "l1-l2--l4-" '' sh -c "mboxctl recv --newline --count 4 $m | tr '\n' -"
	# As a whole, before any text.
	ok mboxctl send "$m" text --file "$tmp/lines" -f "$tmp/empty"
	check 0 "len=9${nl}len=0${nl}len=4" '' sh -c "mboxctl recv -n 3 -M $m |
		sed -n 's/.*\(len=\)/\1/p'"
	printf in >"$tmp/in"
	ok mboxctl send "$m" <"$tmp/in"
	ok mboxctl send "$m" - x <"$tmp/in"
	ok mboxctl send -f - "$m" <"$tmp/in"
	check 0 "ininxin" '' mboxctl recv -n 0 -d "$m"
	# Nothing on stdin: an empty message, but no line.
	ok mboxctl send "$m" </dev/null
	ok mboxctl send -l "$m" </dev/null
	has "$m" "1 0" queued bytes
	ok mboxctl rm "$m"
}

test_send_carries_any_bytes()
{
	ok mboxctl create "$m"
	i=0
	while [ "$i" -lt 256 ]; do
		# shellcheck disable=SC2059 # an octal escape
		printf "\\$(printf %03o "$i")"
		i=$((i + 1))
	done >"$tmp/bytes"
	ok mboxctl send -f "$tmp/bytes" "$m"
	ok mboxctl recv -o "$tmp/got" "$m"
	ok cmp "$tmp/bytes" "$tmp/got"
	same "$(wc -c <"$tmp/got")" 256
	ok mboxctl rm "$m"
}

test_send_goes_on_after_a_message_that_is_refused()
{
	ok mboxctl create -s 10 "$m"
	check 1 '' "mboxctl send: cannot send to '$m': Message too long: it has at most 10 bytes here" \
		mboxctl send "$m" first 12345678901 after
	check 0 "firstafter" '' mboxctl recv -n 0 -d "$m"
	check 1 '' "mboxctl send: cannot open '$tmp/none': No such file or directory" \
		mboxctl send -f "$tmp/none" "$m" after
	check 0 after '' mboxctl recv -d "$m"
	check 1 '' "mboxctl send: cannot read '$tmp'" mboxctl send -f "$tmp" "$m" after
	check 0 after '' mboxctl recv -d "$m"
	ok mboxctl create --fixed -s 4 "$m-f"
	check 1 '' "*too long: it has exactly 4 bytes here" mboxctl send "$m-f" abc abcd
	check 0 abcd '' mboxctl recv -n 0 -d "$m-f"
	ok mboxctl rm "$m" "$m-f"
}

# It needs room for a message, however long the input is.
test_send_reads_no_more_than_a_message()
{
	ok mboxctl create -s 10 "$m"
	long="mboxctl send: cannot send to '$m': Message too long: it has at most 10 bytes here"
	{
		echo first
		dd if=/dev/zero bs=64k count=512 2>/dev/null | tr '\0' x
		printf '\n1234567890\n12345678901\nlast'
	} >"$tmp/long"
	check 1 '' "$long$nl$long" sh -c "ulimit -v 24000; mboxctl send -l -f '$tmp/long' '$m'"
	check 0 "first${nl}1234567890${nl}last" '' mboxctl recv -n 0 -d -N "$m"
	check 1 '' "$long" sh -c "ulimit -v 24000; mboxctl send -f '$tmp/long' '$m'"
	# Which ends although the input does not.
	check 1 '' "$long" mboxctl send -f /dev/zero "$m"
	has "$m" "0 3" queued sent
	rm "$tmp/long"
	ok mboxctl rm "$m"
}

test_send_that_would_wait_exits_with_3()
{
	ok mboxctl create -c 2 "$m"
	check 3 '' "mboxctl send: cannot send to '$m': Resource temporarily unavailable" \
		mboxctl send -d "$m" one two three four
	check 3 '' "*Resource temporarily unavailable" mboxctl send --dontwait "$m" three
	check 3 '' "mboxctl send: cannot send to '$m': Connection timed out" \
		mboxctl send -T 0.01 "$m" three four
	check 3 '' "*timed out" mboxctl send --timeout=0 "$m" three
	check 0 "onetwo" '' mboxctl recv -n 2 "$m"
	# With room, none of these matters.
	ok mboxctl send -T 0 "$m" a
	ok mboxctl send -d "$m" b
	check 0 ab '' mboxctl recv -n 0 -d "$m"
	ok mboxctl set-capacity "$m" 0
	check 3 '' "*Resource temporarily unavailable" mboxctl send -d "$m" x
	check 3 '' "*timed out" mboxctl send -s -T 0.01 "$m" x
	ok mboxctl set-capacity "$m" 1
	check 3 '' "*timed out" mboxctl send --sync -T 0.01 "$m" x
	has "$m" 0 queued
	ok mboxctl rm "$m"
}

test_send_refuses_wrong_arguments()
{
	try="${nl}try mboxctl send --help"
	ok mboxctl create "$m"
	check 2 '' "mboxctl send: no mailbox given$try" mboxctl send
	check 2 '' "*invalid priority: '32768'$try" mboxctl send -p 32768 "$m" x
	check 2 '' "*invalid priority: '-1'$try" mboxctl send --prio=-1 "$m" x
	check 2 '' "*invalid type: '18446744073709551616'$try" \
		mboxctl send -t 18446744073709551616 "$m" x
	check 2 '' "*invalid number of seconds: '1s'$try" mboxctl send -T 1s "$m" x
	check 2 '' "*invalid number of seconds: '-1'$try" mboxctl send -T -1 "$m" x
	check 2 '' "*invalid number of seconds: 'nan'$try" mboxctl send -T nan "$m" x
	check 2 '' "*invalid number of seconds: 'inf'$try" mboxctl send -T inf "$m" x
	check 2 '' "*invalid mailbox id: '-1'$try" mboxctl send id:-1 x
	check 2 '' "mboxctl send: invalid option *$try" mboxctl send -Z "$m" x
	has "$m" 0 sent
	ok mboxctl rm "$m"
	check 1 '' "mboxctl send: cannot open '$m': No such file or directory" mboxctl send "$m" x
	check 1 '' "*cannot open ''*" mboxctl send '' x
	check 1 '' "*cannot open 'id:0'*" mboxctl send id:0 x
}

test_recv_meta_shows_priority_type_and_sender()
{
	ok mboxctl create "$m"
	ok mboxctl send -p 5 -t 0x10 "$m" hi
	ok mboxctl send --prio 32767 --type=18446744073709551615 "$m" top
	mboxctl recv -n 2 --meta -N "$m" >"$tmp/out"
	check 0 "prio=32767 type=18446744073709551615 pid=PID uid=0 gid=0 len=3
top
prio=5 type=16 pid=PID uid=0 gid=0 len=2
hi" '' sed 's/pid=[1-9][0-9]*/pid=PID/' "$tmp/out"
	ok mboxctl rm "$m"
}

test_recv_that_would_wait_exits_with_3()
{
	ok mboxctl create "$m"
	check 3 '' "mboxctl recv: cannot receive from '$m': Resource temporarily unavailable" \
		mboxctl recv -d "$m"
	check 3 '' "*Resource temporarily unavailable" mboxctl recv --dontwait "$m"
	check 3 '' "mboxctl recv: cannot receive from '$m': Connection timed out" \
		mboxctl recv -T 0.01 "$m"
	check 3 '' "*timed out" mboxctl recv --timeout=0 "$m"
	ok mboxctl send "$m" one
	check 3 one "*temporarily unavailable" mboxctl recv -d -n 2 "$m"
	# To look for more until there are none is no error.
	check 0 '' '' mboxctl recv -d -n 0 "$m"
	check 0 '' '' mboxctl recv -T 0.01 -n 0 "$m"
	ok mboxctl rm "$m"
}

test_recv_match_selects_by_type()
{
	ok mboxctl create "$m"
	for type in 16 18 17 20; do
		ok mboxctl send -t "$type" "$m" "t$type"
	done
	check 3 '' "*temporarily unavailable" mboxctl recv -d -m 19 "$m"
	check 3 '' "*temporarily unavailable" mboxctl recv -d --match-le 15 "$m"
	check 0 t17 '' mboxctl recv -d -m 0x11 "$m"
	check 0 t18 '' mboxctl recv -d --match-not 16 "$m"
	check 0 t16 '' mboxctl recv -d --match-le 19 "$m"
	check 3 '' "*temporarily unavailable" mboxctl recv -d --match-not=20 "$m"
	check 0 t20 '' mboxctl recv -d --match=20 "$m"
	ok mboxctl rm "$m"
}

test_recv_peek_leaves_the_messages()
{
	ok mboxctl create "$m"
	ok mboxctl send "$m" a b c
	check 0 a '' mboxctl recv -p "$m"
	check 0 abc '' mboxctl recv --peek -n 3 "$m"
	check 0 bc '' mboxctl recv -p --skip 1 -n 0 -d "$m"
	check 3 '' "*temporarily unavailable" mboxctl recv -p --skip=3 -d "$m"
	has "$m" 3 queued
	check 0 abc '' mboxctl recv -d -n 0 "$m"
	ok mboxctl rm "$m"
}

test_recv_refuses_wrong_arguments()
{
	try="${nl}try mboxctl recv --help"
	check 2 '' "mboxctl recv: no mailbox given$try" mboxctl recv
	for option in --peek '--match 1' '--match-not 1' '--match-le 1'; do
		# shellcheck disable=SC2086 # words
		check 2 '' "*--peek and --match of several mailboxes need --dontwait$try" \
			mboxctl recv $option a b
	done
	check 2 '' "*--skip needs --peek$try" mboxctl recv --skip 1 a
	check 2 '' "*only one --match option is possible$try" mboxctl recv -m 1 --match-le 2 a
	check 2 '' "*invalid count: 'x'$try" mboxctl recv -n x a
	check 2 '' "*invalid type: ''$try" mboxctl recv -m '' a
	check 2 '' "*invalid number: '4294967296'$try" mboxctl recv -p --skip 4294967296 a
	check 2 '' "*invalid number of seconds: ''$try" mboxctl recv -T '' a
	check 1 '' "mboxctl recv: cannot open '$m': No such file or directory" mboxctl recv "$m"
}

# Their messages, with the line about each.
test_recv_takes_from_whichever_mailbox_has_a_message()
{
	ok mboxctl create "$m-a" "$m-b" "$m-c"
	check 3 '' "mboxctl recv: cannot receive from any of the mailboxes: Resource temp*" \
		mboxctl recv -d "$m-a" "$m-b"
	check 3 '' "mboxctl recv: cannot receive from any of the mailboxes: Connection timed out" \
		mboxctl recv -T 0.01 "$m-a" "$m-b"
	ok mboxctl send "$m-b" 1
	check 0 "len=1 mailbox=$m-b${nl}1" '' mboxctl recv "$m-a" "$m-b"
	ok mboxctl send "$m-c" late &
	check 0 "len=4 mailbox=$m-c${nl}late" '' mboxctl recv "$m-a" "$m-b" "$m-c"
	wait
	# A full one does not keep the others from their turn.
	ok mboxctl send "$m-a" a1 a2 a3
	ok mboxctl send "$m-c" c1
	check 0 "len=2 mailbox=$m-a${nl}a1${nl}len=2 mailbox=$m-c${nl}c1
len=2 mailbox=$m-a${nl}a2${nl}len=2 mailbox=$m-a${nl}a3" '' mboxctl recv -N -d -n 0 "$m-a" "$m-c"
	ok mboxctl send -p 7 -t 9 "$m-b" xyz
	check 0 "prio=7 type=9 pid=PID uid=0 gid=0 len=3 mailbox=$m-b${nl}xyz" '' \
		sh -c "mboxctl recv -M '$m-a' '$m-b' | sed 's/pid=[1-9][0-9]*/pid=PID/'"
	ok mboxctl send "$m-a" one
	ok mboxctl send "$m-b" two
	ok mboxctl recv -n 2 -o "$tmp/out" "id:$(id_of "$m-a")" "name:$m-b"
	same "$(cat "$tmp/out")" "len=3 mailbox=id:$(id_of "$m-a")${nl}onelen=3 mailbox=name:$m-b${nl}two"
	ok mboxctl send "$m-a" kept
	check 1 '' "mboxctl recv: cannot open '$m-none': No such file or directory" \
		mboxctl recv "$m-a" "$m-none"
	check 1 '' "*cannot write to 'standard output': No space left on device" \
		sh -c "exec mboxctl recv '$m-a' '$m-b' >/dev/full"
	has "$m-a" "1 0" queued leased
	ok mboxctl rm "$m-a" "$m-b" "$m-c"
}

test_recv_of_several_selects_and_peeks()
{
	ok mboxctl create "$m-a" "$m-b"
	ok mboxctl send -t 1 "$m-a" a1
	ok mboxctl send -t 2 "$m-a" a2
	ok mboxctl send -t 2 "$m-b" b2
	ok mboxctl send -t 3 "$m-b" b3
	check 0 "a1 b2 a2 b3" '' sh -c "mboxctl recv -p -d -N -n 0 '$m-a' '$m-b' |
		grep -v '^len=' | paste -sd ' '"
	check 0 "a2 b3" '' sh -c "mboxctl recv -p -d -N -n 0 --skip 1 '$m-a' '$m-b' |
		grep -v '^len=' | paste -sd ' '"
	check 0 "len=2 mailbox=$m-b${nl}b3" '' mboxctl recv -d -m 3 "$m-a" "$m-b"
	check 3 '' "*cannot receive from any of the mailboxes: Resource temporarily unavailable" \
		mboxctl recv -d -m 3 "$m-a" "$m-b"
	check 0 "a2 b2" '' sh -c "mboxctl recv -d -N -n 0 --match-not 1 '$m-a' '$m-b' |
		grep -v '^len=' | paste -sd ' '"
	has "$m-a" "1 0" queued leased
	has "$m-b" "0 0" queued leased
	ok mboxctl rm "$m-a" "$m-b"
}

# A ring and a broadcast have no leases.
test_recv_of_several_kinds()
{
	ok mboxctl create "$m-q"
	ok mboxctl create --ring "$m-r"
	ok mboxctl create --broadcast --history 2 "$m-h"
	ok mboxctl send "$m-r" ring
	ok mboxctl send "$m-h" h1 h2
	ok mboxctl send "$m-q" queue
	check 0 "h1 h2 queue ring" '' sh -c "mboxctl recv -n 4 -N '$m-r' '$m-h' '$m-q' |
		grep -v '^len=' | sort | paste -sd ' '"
	has "$m-q" "0 0 1" queued leased received
	check 3 '' "*from any of the mailboxes: Connection timed out" \
		mboxctl recv -T 0.01 "$m-r" "$m-q"
	ok mboxctl rm "$m-q" "$m-r" "$m-h"
}

# How many handles of it receive.
receivers() { mboxctl ls -r --noheadings -o receivers "$1" | grep -qx "$2"; }

test_recv_of_several_goes_on_until_the_end_of_all()
{
	ok mboxctl create --hangup "$m-a" "$m-b"
	ok mboxctl send "$m-a" a1
	mboxctl recv -N -n 0 "$m-a" "$m-b" >"$tmp/out" &
	until_ok grep a1 "$tmp/out"
	until_ok receivers "$m-a" 0
	until_ok receivers "$m-b" 1
	ok mboxctl send "$m-b" b1
	ended 0
	same "$(cat "$tmp/out")" "len=2 mailbox=$m-a${nl}a1${nl}len=2 mailbox=$m-b${nl}b1"
	check 0 '' '' mboxctl recv -n 0 "$m-a" "$m-b"
	check 1 '' "mboxctl recv: cannot receive from '$m-?': Broken pipe" mboxctl recv "$m-a" "$m-b"
	check 1 '' "mboxctl recv: cannot receive from '$m-?': Broken pipe" \
		mboxctl recv -d -m 1 "$m-a" "$m-b"
	# One that is destroyed ends it.
	ok mboxctl create "$m-c" "$m-d"
	mboxctl recv "$m-c" "$m-d" 2>"$tmp/err" &
	until_ok receivers "$m-d" 1
	ok mboxctl rm -D "$m-d"
	ended 1
	same "$(cat "$tmp/err")" "mboxctl recv: cannot receive from '$m-d': The mailbox was destroyed"
	ok mboxctl rm "$m-a" "$m-b" "$m-c"
}

test_recv_of_several_leaves_what_it_cannot_write()
{
	ok mboxctl create "$m" "$m-2"
	mkfifo "$tmp/fifo"
	mboxctl recv "$m" "$m-2" >"$tmp/fifo" 2>"$tmp/err" &
	exec 4<"$tmp/fifo"
	until_ok receivers "$m-2" 1
	exec 4<&-
	ended 1
	same "$(cat "$tmp/err")" "mboxctl recv: cannot write to 'standard output': Broken pipe"
	ok mboxctl send "$m-2" text
	check 0 "mboxctl recv: cannot write to 'standard output': File too large" '' \
		sh -c "(ulimit -f 0; mboxctl recv '$m' '$m-2' 2>&1 >'$tmp/out') | cat"
	has "$m-2" "1 0" queued leased
	rm "$tmp/fifo"
	ok mboxctl rm "$m" "$m-2"
}

test_recv_output_writes_to_a_file()
{
	ok mboxctl create "$m"
	ok mboxctl send "$m" text more
	check 1 '' "mboxctl recv: cannot open '$tmp/no/file': No such file or directory" \
		mboxctl recv -o "$tmp/no/file" "$m"
	has "$m" 2 queued
	ok mboxctl recv --output="$tmp/out" "$m"
	same "$(cat "$tmp/out")" text
	check 1 '' "mboxctl recv: cannot write to '/dev/full': No space left on device" \
		mboxctl recv -o /dev/full "$m"
	ok mboxctl rm "$m"
}

# What cannot be written stays where it is.
test_recv_leaves_what_it_cannot_write()
{
	ok mboxctl create "$m"
	ok mboxctl send "$m" text more
	for option in '' -d -M '-m 0'; do
		# shellcheck disable=SC2086 # words
		check 1 '' "mboxctl recv: cannot write to 'standard output': No space left on device" \
			sh -c 'exec mboxctl recv "$@" >/dev/full' sh $option "$m"
		# shellcheck disable=SC2086
		check 1 '' "*'standard output': Bad file descriptor" \
			sh -c 'exec mboxctl recv "$@" >&-' sh $option "$m"
		# shellcheck disable=SC2086
		check 1 '' "*'standard output': Bad file descriptor" \
			sh -c 'exec mboxctl recv "$@" 1</dev/null' sh $option "$m"
	done
	check 0 "mboxctl recv: cannot write to 'standard output': File too large" '' \
		sh -c "(ulimit -f 0; mboxctl recv '$m' 2>&1 >'$tmp/out') | cat"
	has "$m" "2 2 0" queued sent received
	# Nothing was reserved for good.
	ok mboxctl recv -o "$tmp/out" "$m"
	same "$(wc -c <"$tmp/out")" 4
	check 0 more '' mboxctl recv -d "$m"
	ok mboxctl rm "$m"
}

test_recv_leaves_what_a_full_file_system_cannot_take()
{
	mkdir "$tmp/small"
	if ! mount -t tmpfs -o size=16k tmpfs "$tmp/small" 2>/dev/null; then
		skip="cannot mount"
		return
	fi
	ok mboxctl create -s 100000 "$m"
	head -c 20000 /dev/zero >"$tmp/long"
	ok mboxctl send "$m" -f "$tmp/long"
	ok mboxctl send "$m" short
	check 1 '' "mboxctl recv: cannot write to '$tmp/small/out': No space left on device" \
		mboxctl recv -n 0 -d -o "$tmp/small/out" "$m"
	has "$m" 2 queued
	check 0 20000 '' sh -c "mboxctl recv -d '$m' | wc -c"
	# A short one has room there.
	ok mboxctl recv -n 0 -d -o "$tmp/small/out" "$m"
	same "$(cat "$tmp/small/out")" short
	ok mboxctl rm "$m"
	umount "$tmp/small"
}

test_recv_fails_when_the_reader_of_its_pipe_goes()
{
	ok mboxctl create "$m"
	mkfifo "$tmp/fifo"
	mboxctl recv "$m" >"$tmp/fifo" 2>"$tmp/err" &
	exec 4<"$tmp/fifo"
	await "$m" 1 receivers
	# Its reader goes while it waits, and it takes nothing that comes later.
	exec 4<&-
	ended 1
	same "$(cat "$tmp/err")" "mboxctl recv: cannot write to 'standard output': Broken pipe"
	ok mboxctl send "$m" text
	mboxctl recv "$m" >"$tmp/fifo" 2>"$tmp/err" &
	exec 4<"$tmp/fifo"
	same "$(cat <&4)" text
	ended 0
	exec 4<&-
	rm "$tmp/fifo"
	ok mboxctl rm "$m"
}

test_recv_waits_for_a_message()
{
	ok mboxctl create "$m"
	mboxctl recv "$m" >"$tmp/out" &
	await "$m" 1 receivers
	has "$m" 1 recv_handles
	ok mboxctl send "$m" late
	ended 0
	same "$(cat "$tmp/out")" late
	ok mboxctl rm "$m"
}

test_send_waits_for_room()
{
	ok mboxctl create -c 1 "$m"
	mboxctl send "$m" a b &
	await "$m" 1 senders
	check 0 ab '' mboxctl recv -n 2 "$m"
	ended 0
	ok mboxctl rm "$m"
}

test_send_sync_waits_for_the_receiver()
{
	ok mboxctl create "$m"
	mboxctl send -s "$m" x &
	await "$m" 1 senders
	has "$m" 1 queued
	check 0 x '' mboxctl recv "$m"
	ended 0
	ok mboxctl rm "$m"
}

test_set_capacity_takes_effect_at_once()
{
	ok mboxctl create -c 1 "$m"
	mboxctl send "$m" a b &
	await "$m" 1 senders
	ok mboxctl set-capacity "$m" 2
	ended 0
	has "$m" "2 2" capacity queued
	ok mboxctl set-capacity "id:$(id_of "$m")" 0
	has "$m" "0 2" capacity queued
	ok mboxctl set-capacity "name:$m" unbounded
	has "$m" unbounded capacity
	try="${nl}try mboxctl set-capacity --help"
	check 2 '' "mboxctl set-capacity: a mailbox and a capacity are needed$try" \
		mboxctl set-capacity "$m"
	check 2 '' "*are needed$try" mboxctl set-capacity "$m" 1 2
	check 2 '' "*invalid capacity: '1.5'$try" mboxctl set-capacity "$m" 1.5
	ok mboxctl rm "$m"
	check 1 '' "mboxctl set-capacity: cannot open '$m': No such file or directory" \
		mboxctl set-capacity "$m" 1
}

# create is on neither side, also if it is called again.
test_hangup_lets_a_sender_come_first()
{
	ok mboxctl create --hangup "$m"
	ok mboxctl create --hangup "$m"
	ok mboxctl send "$m" first
	check 0 first '' mboxctl recv "$m"
	check 1 '' "mboxctl send: cannot send to '$m': Broken pipe" mboxctl send "$m" second
	ok mboxctl rm "$m"
}

test_hangup_lets_a_receiver_wait_for_the_first_sender()
{
	ok mboxctl create --hangup "$m"
	check 3 '' "mboxctl recv: cannot receive from '$m': Connection timed out" \
		mboxctl recv -T 0.01 "$m"
	mboxctl recv "$m" >"$tmp/out" &
	await "$m" 1 receivers
	ok mboxctl send "$m" first
	ended 0
	same "$(cat "$tmp/out")" first
	# That sender has gone.
	check 1 '' "mboxctl recv: cannot receive from '$m': Broken pipe" mboxctl recv "$m"
	check 0 '' '' mboxctl recv -n 0 "$m"
	ok mboxctl rm "$m"
}

test_ring_keeps_messages_while_nobody_has_it_open()
{
	ok mboxctl create --ring -c 3 -s 10 --one-sender --hangup "$m"
	ok mboxctl create --ring -c 2 --one-receiver "$m-2"
	has "$m" "ring 3 10 0" kind capacity msg_max queued
	check 0 "kind:              ring" '' sh -c "mboxctl stat $m | sed -n 3p"
	check 0 "flags:             hangup,one-sender" '' sh -c "mboxctl stat $m | grep flags"
	check 0 "ring one-receiver" '' sh -c "mboxctl ls $m-2 |
		sed -n 's/.* \(ring\)  *.* \([a-z-]*\)\$/\1 \2/p'"
	case $(mboxctl stat -j "$m") in
	*'"kind":"ring",'*'"flags":["hangup","one-sender"],'*'"stalled_ns":0,"stalled_pid":0}'*) ;;
	*) wrong "not in the JSON" ;;
	esac
	# Its messages stay when no handle is open.
	ok mboxctl send "$m-2" one two
	has "$m-2" "2 2 0" queued sent received
	check 3 '' "mboxctl send: cannot send to '$m-2': Resource temporarily unavailable" \
		mboxctl send -d "$m-2" three
	check 3 '' "*Connection timed out" mboxctl send -T 0.01 "$m-2" three
	check 0 "onetwo" '' mboxctl recv -n 0 -d "$m-2"
	check 3 '' "*Connection timed out" mboxctl recv -T 0.01 "$m-2"
	has "$m-2" "0 2 2" queued sent received
	ok mboxctl send "$m" x
	check 0 x '' mboxctl recv "$m"
	check 1 '' "*cannot send to '$m': Broken pipe" mboxctl send "$m" y
	ok mboxctl rm "$m" "$m-2"
}

test_ring_calls_wait_for_each_other()
{
	ok mboxctl create --ring -c 2 "$m"
	mboxctl recv -n 4 "$m" >"$tmp/out" &
	await "$m" 1 receivers
	ok mboxctl send "$m" a b c d
	ended 0
	same "$(cat "$tmp/out")" abcd
	mboxctl send "$m" 1 2 3 4 &
	await "$m" 1 senders
	check 0 1234 '' mboxctl recv -n 4 "$m"
	ended 0
	# One receiver at a time, where that was asked for.
	ok mboxctl create --ring --one-receiver "$m-2"
	mboxctl recv "$m-2" >"$tmp/out" &
	await "$m-2" 1 receivers
	check 1 '' "*cannot receive from '$m-2': Device or resource busy" mboxctl recv -d "$m-2"
	ok mboxctl send "$m-2" x
	ended 0
	same "$(cat "$tmp/out")" x
	ok mboxctl rm "$m" "$m-2"
}

# A sender has reserved the next place. The time begins when stat first sees that.
test_stat_tells_who_holds_up_a_ring()
{
	reserve=$(dirname "$0")/reserve
	if [ ! -x "$reserve" ]; then
		skip="no reserve beside this script"
		return
	fi
	ok mboxctl create --ring "$m"
	check 1 '' '' sh -c "mboxctl stat '$m' | grep stalled"
	mkfifo "$tmp/fifo"
	"$reserve" "$m" <"$tmp/fifo" >"$tmp/pid" &
	exec 4>"$tmp/fifo"
	until_ok test -s "$tmp/pid"
	line="stalled:           for \\([0-9]*\\)\\.\\([0-9]\\{3\\}\\) s by process $(cat "$tmp/pid")"
	mboxctl stat "$m" >"$tmp/out"
	check 0 1 '' sh -c "tail -n 1 '$tmp/out' | grep -c '^$line\$'"
	sleep 0.2
	# In milliseconds.
	time=$(mboxctl stat "$m" | sed -n "s/^$line\$/\\1\\2/p")
	[ "${time:-0}" -ge 200 ] || wrong "$(mboxctl stat "$m")"
	json "$m" stalled_pid
	same "$value" "$(cat "$tmp/pid")"
	exec 4>&-
	ended 0
	rm "$tmp/fifo"
	check 1 '' '' sh -c "mboxctl stat '$m' | grep stalled"
	check 0 x '' mboxctl recv -d "$m"
	ok mboxctl rm "$m"
}

test_ring_refuses_what_only_queues_can_do()
{
	ok mboxctl create --ring -c 2 "$m"
	none="Operation not supported"
	check 1 '' "*$none" mboxctl send -p 1 "$m" x
	check 1 '' "*$none" mboxctl send -t 1 "$m" x
	check 1 '' "*$none" mboxctl send --sync "$m" x
	check 1 '' "*$none" mboxctl recv --peek -d "$m"
	check 1 '' "*$none" mboxctl recv --match 1 -d "$m"
	check 1 '' "*$none" mboxctl set-capacity "$m" 3
	has "$m" "0 0 2" queued sent capacity
	ok mboxctl rm "$m"
	try="${nl}try mboxctl create --help"
	check 2 '' "*one-sender and one-receiver are for rings$try" \
		mboxctl create --one-sender "$m"
	check 2 '' "*a ring drops no messages$try" mboxctl create --ring --drop-oldest "$m"
	check 1 '' "*cannot create '$m': Invalid argument: *" mboxctl create --ring -c 0 "$m"
	check 1 '' "*cannot create '$m': Invalid argument: the capacity of a ring*" \
		mboxctl create --ring -c unbounded "$m"
	check 1 '' "*No such file*" mboxctl recv -d "$m"
}

test_unlink_leaves_open_handles_working()
{
	ok mboxctl create "$m" "$m-2"
	id=$(id_of "$m")
	mboxctl recv "$m" >"$tmp/out" &
	await "$m" 1 receivers
	check 1 '' "mboxctl unlink: cannot unlink '$m-3': No such*" \
		mboxctl unlink "$m" "$m-3" "$m-2"
	check 1 '' "*No such*" mboxctl send "$m" x
	check 1 '' "*No such*" mboxctl send "$m-2" x
	# Open handles still work.
	check 0 "name:              -" '' sh -c "mboxctl stat id:$id | head -n 1"
	case $(mboxctl stat -j "id:$id") in
	*'"name":null,'*) ;;
	*) wrong "not null" ;;
	esac
	ok mboxctl send "id:$id" x
	ended 0
	same "$(cat "$tmp/out")" x
	check 1 '' "*No such*" mboxctl send "id:$id" x
	check 2 '' "*no name given${nl}try mboxctl unlink --help" mboxctl unlink
	check 1 '' "*cannot unlink 'id:5': a name is needed" mboxctl unlink id:5
}

test_rm_destroy_fails_calls_that_wait()
{
	ok mboxctl create "$m" "$m-2"
	mboxctl recv "$m" 2>"$tmp/err" &
	await "$m" 1 receivers
	ok mboxctl rm --destroy "id:$(id_of "$m")"
	ended 1
	same "$(cat "$tmp/err")" "mboxctl recv: cannot receive from '$m': The mailbox was destroyed"
	check 1 '' "mboxctl rm: cannot open '$m': No such*" mboxctl rm -D "$m" "$m-2"
	check 1 '' "*No such*" mboxctl rm "$m-2"
	check 2 '' "*no name given${nl}try mboxctl rm --help" mboxctl rm -D
	check 1 '' "*cannot unlink 'id:5': a name is needed" mboxctl rm id:5
}

test_permission_bits_stop_another_user()
{
	ok mboxctl create -m 0622 "$m"
	ok as_nobody mboxctl send "$m" hello
	check 1 '' "mboxctl recv: cannot open '$m': Permission denied" as_nobody mboxctl recv "$m"
	check 1 '' "mboxctl rm: cannot unlink '$m': Permission denied" as_nobody mboxctl rm "$m"
	check 1 '' "mboxctl rm: cannot open '$m': Permission denied" as_nobody mboxctl rm -D "$m"
	check 1 '' "*cannot change the capacity of '$m': Operation not permitted" \
		as_nobody mboxctl set-capacity "$m" 3
	check 0 hello '' sh -c "mboxctl recv -M $m | sed '1{/ uid=65534 gid=65534 /d}'"
	ok mboxctl rm "$m"
	ok mboxctl create -m 0666 "$m"
	check 1 '' "mboxctl rm: cannot destroy '$m': Operation not permitted" \
		as_nobody mboxctl rm -D "$m"
	ok mboxctl rm "$m"
}

test_another_user_sees_what_it_can_open_or_owns()
{
	ok mboxctl create "$m-0600"
	ok mboxctl create -m 0604 "$m-0604"
	ok mboxctl create -m 0602 "$m-0602"
	ok as_nobody mboxctl create -m 0 "$m-own"
	check 0 "$m-0602${nl}$m-0604${nl}$m-own" '' sh -c "su -s /bin/sh nobody -c 'mboxctl ls' |
		sed -n 's/.* \($m-[0-9a-z]*\) .*/\1/p' | sort"
	check 1 '' "*no mailbox '$m-0600' that you may see" as_nobody mboxctl stat "$m-0600"
	# The owner of a mailbox without any right for it changes and removes it.
	check 1 '' "*Permission denied" as_nobody mboxctl recv -d "$m-own"
	ok as_nobody mboxctl rm "$m-own"
	ok as_nobody mboxctl create -m 0200 "$m-own"
	ok as_nobody mboxctl set-capacity "$m-own" 3
	has "$m-own" 3 capacity
	ok as_nobody mboxctl rm "$m-own"
	ok mboxctl rm "$m-0600" "$m-0604" "$m-0602"
}

test_each_command_prints_help_and_version()
{
	version=$(mboxctl --version)
	case $version in
	"mboxctl (libmbox) v"[0-9]*) ;;
	*) wrong "$version" ;;
	esac
	for command in '' create apply ls stat who monitor tap export send recv call serve set-capacity expel \
		chmod chown unlink rm info doctor bench help; do
		# shellcheck disable=SC2086 # no word when empty
		help=$(mboxctl $command --help)
		case $help in
		"Usage: mboxctl ${command:-COMMAND} "*) ;;
		*) wrong "help of '$command': $help" ;;
		esac
		# shellcheck disable=SC2086
		check 0 "$help" '' mboxctl $command -h
		# shellcheck disable=SC2086
		check 0 "$version" '' mboxctl $command -v
	done
	check 0 "$version" '' mboxctl rm --version
	# Every command of the help exists, and the other way round.
	same "$(mboxctl --help | sed -n 's/^  \([a-z-]*\)  .*/\1/p' | grep -v ^- | tr '\n' ' ')" \
		"create apply ls stat who monitor tap export send recv call serve set-capacity expel chmod chown unlink rm info doctor bench help "
}

test_help_explains_a_command()
{
	check 0 "$(mboxctl --help)" '' mboxctl help
	check 0 "$(mboxctl send --help)" '' mboxctl help send
	check 2 '' "mboxctl help: unknown command 'lst'${nl}try mboxctl help --help" mboxctl help lst
	check 2 '' "*one command at a time$nl*" mboxctl help ls stat
}

test_info_tells_limits_and_what_is_used()
{
	had=$(mboxctl info --json | sed 's/.*"mailboxes":\([0-9]*\).*/\1/')
	ok mboxctl create "$m"
	check 0 $((had + 1)) '' sh -c "mboxctl info -j | sed 's/.*\"mailboxes\":\([0-9]*\).*/\1/'"
	check 0 "$(cat /sys/module/mbox/parameters/user_bytes)" '' \
		sh -c "mboxctl info | sed -n 's/^bytes:  *[0-9]* of //p'"
	check 0 1 '' sh -c "mboxctl info | grep -c '^flags:  *fixed,.*leaf'"
	check 2 '' "*no operands$nl*" mboxctl info "$m"
	ok mboxctl rm "$m"
}

# Each transport has a row for each size, with numbers.
test_bench_measures_all_transports()
{
	mboxctl bench -s 64,4096 -T 0.2 >"$tmp/bench" 2>"$tmp/err" || wrong "bench: status $?"
	check 0 '' '' cat "$tmp/err"
	same "$(sed -n '1p' "$tmp/bench" | tr -s ' ')" \
		"TRANSPORT SIZE PAIR-NS PAIR-RATIO TRIP-NS TRIP-RATIO"
	same "$(tail -n 1 "$tmp/bench")" \
		"Compare ratios within one run; times depend on the machine."
	for name in "mbox queue" "mbox ring" "POSIX mq" "System V" pipe SEQPACKET; do
		for size in 64 4096; do
			check 0 1 '' grep -cE "^$name +$size +[1-9][0-9]*( +[0-9.]+){3}\$" "$tmp/bench"
		done
	done
	check 0 14 '' sh -c "wc -l <$tmp/bench"
	check 0 2 '' grep -cE '^mbox queue +[0-9]+ +[0-9]+ +1\.00 +[0-9]+ +1\.00$' "$tmp/bench"
	# As JSON; sorted; the sizes that are asked for, and nothing below the table.
	row='"size":1,"pair-ns":N,"trip-ratio":N'
	check 0 "{\"transports\":[{$row},{$row},{$row},{$row},{$row},{$row}]}" '' \
		sh -c "mboxctl bench -s 1 -T 0 -J -o size,pair-ns,trip-ratio | tr -d ' \n' |
			sed 's/\(pair-ns\|ratio\)\":[0-9.]*/\1\":N/g'"
	check 0 "POSIX\x20mq 1
SEQPACKET 1
System\x20V 1
mbox\x20queue 1
mbox\x20ring 1
pipe 1" '' mboxctl bench -s 1 -T 0 -r --noheadings -o transport,size --sort transport
}

test_bench_explains_what_cannot_be()
{
	try="${nl}try mboxctl bench --help"
	sizes="mboxctl bench: there are 1 to 8 sizes of 1 to 65536 bytes$try"
	check 2 '' "$sizes" mboxctl bench -s 0
	check 2 '' "$sizes" mboxctl bench -s 1,2,3,4,5,6,7,8,9
	check 2 '' "mboxctl bench: invalid size: '65537'$try" mboxctl bench -s 65537
	check 2 '' "mboxctl bench: invalid size: ''$try" mboxctl bench -s 64,
	check 2 '' "mboxctl bench: invalid number of seconds: '-1'$try" mboxctl bench -T -1
	check 2 '' "mboxctl bench: bench takes no operands$try" mboxctl bench 64
	check 2 '' "mboxctl bench: unknown column: 'x'$try" mboxctl bench -o x
	check 2 '' "mboxctl bench: JSON has no headings and is never raw$try" mboxctl bench -J -r
	# The others go on without what a limit forbids.
	most=$(cat /proc/sys/kernel/msgmax)
	echo 512 >/proc/sys/kernel/msgmax
	check 0 "System\x20V - -" \
		"mboxctl bench: cannot measure System V with 1024 bytes: Invalid argument" \
		sh -c "mboxctl bench -s 1024 -T 0 -r -o transport,pair-ns,trip-ratio | grep V"
	echo "$most" >/proc/sys/kernel/msgmax
	had=$(cat /sys/module/mbox/parameters/user_mailboxes)
	echo 1 >/sys/module/mbox/parameters/user_mailboxes
	# shellcheck disable=SC2016 # for that shell
	check 1 "mbox\x20queue -
mbox\x20ring -" "mboxctl bench: cannot measure mbox queue with 8 bytes: *you have 1 of 1 mailboxes*" \
		as_nobody sh -c 'out=$(mboxctl bench -s 8 -T 0 -r -o transport,pair-ns)
			status=$?
			echo "$out" | grep mbox
			exit $status'
	echo "$had" >/sys/module/mbox/parameters/user_mailboxes
}

# A queue of System V outlives its process, and the other process could wait for ever.
test_bench_leaves_nothing_when_it_is_stopped()
{
	queues=$(cat /proc/sysvipc/msg)
	for signal in TERM HUP; do
		mboxctl bench -T 30 >/dev/null 2>&1 &
		pid=$!
		sleep 0.3
		kill -s "$signal" "$pid"
		wait "$pid" && wrong "$signal: it goes on"
		check 0 "$queues" '' cat /proc/sysvipc/msg
		until_ok sh -c "! grep -l '^mboxctl$' /proc/[0-9]*/comm"
	done
	mboxctl bench -T 1000 >/dev/null 2>&1 &
	pid=$!
	sleep 0.3
	kill -KILL "$pid"
	wait "$pid" 2>/dev/null || :
	until_ok sh -c "! grep -l '^mboxctl$' /proc/[0-9]*/comm"
	# Nothing can remove it then.
	for id in $(echo "$queues" | awk 'NR == FNR { had[$2] = 1; next } !($2 in had) { print $2 }' \
		- /proc/sysvipc/msg); do
		ipcrm -q "$id"
	done
}

# What doctor says that is neither ok nor a note.
doctor_fails() { mboxctl doctor | grep -A 1 '^FAIL'; }

test_doctor_finds_nothing_where_mailboxes_work()
{
	mboxctl doctor >"$tmp/doctor" || wrong "status $?: $(cat "$tmp/doctor")"
	for what in "module: .*, loaded into Linux $(uname -r)" '/dev/mbox: mode 0666' \
		'kernel interface: ABI' 'mailboxes of this user: [0-9]* of 256' \
		'trial: a message through a new queue' 'trial: a message through a new ring'; do
		grep -q "^ok    $what" "$tmp/doctor" || wrong "no '$what': $(cat "$tmp/doctor")"
	done
	check 1 0 '' sh -c "mboxctl doctor | grep -c '$(printf '\033')'"
	check 0 0 '' sh -c "su -s /bin/sh nobody -c 'mboxctl doctor' >/dev/null; echo \$?"
	check 2 '' "*no operands$nl*" mboxctl doctor "$m"
}

test_doctor_says_what_is_wrong()
{
	# No node, with and without a module that shows.
	check 0 '' '' unshare -m sh -c 'mount -t tmpfs none /dev; mboxctl doctor >/dev/null && echo works
		mboxctl doctor | grep -q "^FAIL  /dev/mbox: No such file" || echo no node
		mboxctl doctor | grep -q "^      -> hidden here" || echo no advice
		mount -t tmpfs none /sys; mboxctl doctor | grep -q "^FAIL  module: not loaded" || echo module
		mboxctl doctor | grep -q -- "-> modprobe mbox\|-> install the package" || echo no advice'
	check 0 '' '' unshare -m sh -c 'mount -t tmpfs none /dev; >/dev/mbox
		mboxctl doctor | grep -q "^FAIL  /dev/mbox: not a device" || echo no device'
	check 0 '' '' sh -c "chmod 600 /dev/mbox; su -s /bin/sh nobody -c 'mboxctl doctor' |
		grep -q -- '-> chmod 666 /dev/mbox' || echo no advice; chmod 666 /dev/mbox"
	# A limit that is reached.
	old=$(cat /sys/module/mbox/parameters/user_mailboxes)
	echo 1 >/sys/module/mbox/parameters/user_mailboxes
	ok as_nobody mboxctl create "$m"
	check 1 "" '' sh -c "su -s /bin/sh nobody -c 'mboxctl doctor' | sed -n 's/^FAIL  //p' |
		grep -v '^mailboxes of this user: 1 of 1$\|^trial: .*Disk quota exceeded'"
	check 1 '' "*Disk quota exceeded: you have 1 of 1 mailboxes (*user_mailboxes)" \
		as_nobody mboxctl create "$m-2"
	ok as_nobody mboxctl rm "$m"
	echo "$old" >/sys/module/mbox/parameters/user_mailboxes
}

test_errors_say_which_limit_and_which_option()
{
	invalid="mboxctl create: cannot create '$m': Invalid argument: "
	check 1 '' "$invalid*at least 1 byte (--msg-max)" mboxctl create -s 0 "$m"
	check 1 '' "$invalid*at least 1 message (--capacity)" mboxctl create --broadcast -c 0 "$m"
	check 1 '' "${invalid}the capacity of a ring is from 1 to [0-9]* (--capacity)" \
		mboxctl create --ring -c 0 "$m"
	check 1 '' "${invalid}only a broadcast mailbox has a history (--broadcast)" \
		mboxctl create --history 1 "$m"
	check 1 '' "${invalid}the history is at most the capacity*" \
		mboxctl create --broadcast -c 1 --history 2 "$m"
	check 1 '' "${invalid}there are leases on queues*" \
		mboxctl create --broadcast --deliveries 2 "$m"
	check 1 '' "${invalid}a ring has no limit of bytes (--max-bytes)" \
		mboxctl create --ring --max-bytes 10 "$m"
	check 1 '' "${invalid}the largest message has at most 1048576 bytes (*msg_max_limit)" \
		as_nobody mboxctl create -s 2000000 "$m"
	ok mboxctl create -s 3 "$m"
	check 1 '' "*Message too long: it has at most 3 bytes here" mboxctl send "$m" four
	ok mboxctl rm "$m"
	old=$(cat /sys/module/mbox/parameters/user_bytes)
	echo 4000 >/sys/module/mbox/parameters/user_bytes
	ok mboxctl create -m 0666 "$m"
	check 1 '' "*Disk quota exceeded: you have *of 4000 bytes of messages and rings (*user_bytes)" \
		as_nobody sh -c "head -c 5000 /dev/zero | mboxctl send -d '$m' -"
	echo "$old" >/sys/module/mbox/parameters/user_bytes
	ok mboxctl rm "$m"
}

test_unknown_commands_and_options_are_refused()
{
	try="${nl}try mboxctl --help"
	check 2 '' "mboxctl: no command given$try" mboxctl
	check 2 '' "mboxctl: unknown command 'lst'$try" mboxctl lst
	check 2 '' "mboxctl: unknown command ''$try" mboxctl ''
	check 2 '' "mboxctl: unrecognized option *$try" mboxctl --json ls
	check 2 '' "mboxctl ls: unrecognized option *${nl}try mboxctl ls --help" mboxctl ls --all
}

test_create_history_and_max_bytes()
{
	ok mboxctl create --broadcast --history 1 "$m-a"
	ok mboxctl send "$m-a" old new
	check 0 new '' mboxctl recv -d "$m-a"
	ok mboxctl create --max-bytes 10 "$m-b"
	ok mboxctl send -d "$m-b" 1234567
	check 3 '' "*Resource temporarily unavailable" mboxctl send -d "$m-b" 1234
	check 1 '' "*Invalid argument: only a broadcast*" mboxctl create --history 1 "$m-c"
	ok mboxctl rm "$m-a" "$m-b"
}

test_tap_shows_broadcasts()
{
	ok mboxctl create --broadcast "$m"
	mboxctl tap -n 2 "$m" >"$tmp/tap" 2>"$tmp/tap-err" &
	pid=$!
	until_ok sh -c "mboxctl stat -j '$m' | grep '\"recv_handles\":1[,}]'"
	printf 'a\0b\033' | ok mboxctl send -p 3 -t 7 "$m" -
	ok mboxctl send "$m" second
	wait "$pid" || wrong "tap: status $?"
	check 0 '' '' cat "$tmp/tap-err"
	check 0 1 '' grep -c '^[0-9]*\.[0-9]\{6\} pid=[0-9]* uid=0 prio=3 type=7 len=4 a\\x00b\\x1b$' \
		"$tmp/tap"
	check 0 1 '' grep -c ' prio=0 type=0 len=6 second$' "$tmp/tap"
	check 3 '' "*Connection timed out" mboxctl tap -T 0.01 "$m"
	ok mboxctl create "$m-queue"
	check 1 '' "*'$m-queue' is not a broadcast mailbox" mboxctl tap "$m-queue"
	check 1 '' "*cannot open '$m-none'*" mboxctl tap "$m-none"
	check 2 '' "*no mailbox given*" mboxctl tap
	ok mboxctl rm "$m" "$m-queue"
}

# Each line of what it prints is one of the text format's grammar.
exported()
{
	mboxctl export "$@" >"$tmp/export" || return
	label='[a-zA-Z_][a-zA-Z0-9_]*="\([^"\\]\|\\["\\n]\)*"'
	value='\([0-9.e+-]*\|+Inf\)'
	! grep -v -e '^# HELP [a-z_]* .' -e '^# TYPE [a-z_]* \(gauge\|counter\|histogram\)$' \
		-e "^[a-z_]*{$label\(,$label\)*} $value\$" "$tmp/export" || return 1
	# Each metric is declared once, before its samples.
	awk '/^# TYPE/ { if ($3 in type) exit 1; type[$3] = $4; next }
		/^#/ { next }
		{ name = $0; sub(/[{].*/, "", name); base = name
		  sub(/_(bucket|sum|count)$/, "", base)
		  if (!(name in type) && type[base] != "histogram") exit 1 }' "$tmp/export"
}

test_export_prints_the_text_format()
{
	odd="$m-$(printf 'a"b\\c\nd\377\303\251')"
	ok mboxctl create -c 3 "$m"
	ok mboxctl create -c unbounded "$odd"
	ok mboxctl send "$m" one two
	check 0 one '' mboxctl recv "$m"
	ok exported
	ok exported "$m" "$odd"
	id=$(id_of "$m")
	check 0 1 '' grep -c "^mbox_queued_messages{id=\"$id\",.*,kind=\"queue\",name=\"$m\"} 1\$" \
		"$tmp/export"
	check 0 1 '' grep -c "^mbox_sent_messages_total{id=\"$id\",.*} 2\$" "$tmp/export"
	check 0 1 '' grep -c "^mbox_capacity_messages{.*} +Inf\$" "$tmp/export"
	check 0 1 '' grep -c "^mbox_wait_seconds_bucket{id=\"$id\",.*,le=\"+Inf\"} 1\$" "$tmp/export"
	check 0 1 '' grep -c "^mbox_wait_seconds_count{id=\"$id\",.*} 1\$" "$tmp/export"
	check 1 '' "*no mailbox '$m-none' that you may see" sh -c "mboxctl export $m-none | grep -v '^#'"
	ok mboxctl rm "$m" "$odd"
}

test_monitor_waits_for_mailboxes()
{
	mboxctl monitor --wait -n 1 "$m" >"$tmp/waits" 2>"$tmp/waits-err" &
	pid=$!
	sleep 0.2
	check 1 '' '' test -s "$tmp/waits"
	ok mboxctl create "$m"
	wait "$pid" || wrong "monitor: status $?"
	check 0 1 '' grep -c " $m " "$tmp/waits"
	check 0 '' '' cat "$tmp/waits-err"
	ok mboxctl rm "$m"
}

test_temporary_mailboxes_are_shown_but_not_made()
{
	echo "queue $m - - - - - temporary" >"$tmp/list"
	check 1 '' "*a temporary mailbox would end with this command*" mboxctl apply "$tmp/list"
	check 1 '' "*no mailbox '$m' that you may see" mboxctl ls "$m"
}

test_send_lifespan_drops_what_nobody_received()
{
	ok mboxctl create "$m"
	ok mboxctl send --lifespan 0.001 "$m" short
	ok mboxctl send -L 3600 "$m" long
	sleep 0.1
	check 0 long '' mboxctl recv "$m"
	check 3 '' "*cannot receive*" mboxctl recv -d "$m"
	check 0 "expired:           1" '' sh -c "mboxctl stat $m | grep ^expired"
	check 1 '' "*Broken pipe" mboxctl send --sync --lifespan 0.01 "$m" x
	try="${nl}try mboxctl send --help"
	check 2 '' "*the lifespan '0' is too short$try" mboxctl send -L 0 "$m" x
	ok mboxctl rm "$m"
}

test_fair_leaves_room_for_other_users()
{
	ok mboxctl create -c 4 --fair "$m"
	check 0 "$(mboxctl stat "$m" | sed '/^flags:/!d')" '' echo "flags:             fair"
	ok mboxctl send "$m" 1 2
	check 3 '' "mboxctl send: cannot send to '$m': Resource temporarily unavailable" \
		mboxctl send -d "$m" 3
	ok mboxctl rm "$m"
	try="${nl}try mboxctl create --help"
	check 2 '' "*exclude each other$try" mboxctl create --fair --drop-newest "$m"
}

test_broadcast_reaches_every_receiver()
{
	ok mboxctl create -c 2 --broadcast --drop-oldest "$m"
	check 0 "$(mboxctl stat "$m" | sed '/^flags:/!d')" '' \
		echo "flags:             drop-oldest,broadcast"
	mboxctl recv -n 2 "$m" >"$tmp/one" 2>"$tmp/lost" &
	mboxctl recv -n 2 "$m" >"$tmp/two" &
	await "$m" 2 receivers
	ok mboxctl send "$m" a
	ok mboxctl send "$m" b
	wait
	check 0 ab '' cat "$tmp/one"
	check 0 ab '' cat "$tmp/two"
	ok mboxctl rm "$m"
	try="${nl}try mboxctl create --help"
	check 2 '' "*not for rings$try" mboxctl create --ring --broadcast "$m"
	check 2 '' "*excludes fair and inherit$try" mboxctl create --fair --broadcast "$m"
	check 1 '' "*Invalid argument: *" mboxctl create -c 0 --broadcast "$m"
}

test_monitor_prints_what_has_changed()
{
	ok mboxctl create "$m"
	ok mboxctl send "$m" hello
	check 0 1 '' sh -c "mboxctl monitor -n 1 '$m' | grep -c '^ *ID  *NAME  *SENT'"
	check 0 1 '' sh -c "mboxctl monitor -n 1 | grep -c ' $m  *1  *0  *0  *1  *5 '"
	# Only what has changed is shown again, with the difference.
	mboxctl monitor -i 0.2 "$m" >"$tmp/monitor" 2>"$tmp/monitor-err" &
	pid=$!
	until_ok test -s "$tmp/monitor"
	ok mboxctl send "$m" you
	until_ok grep ' 1  *0  *0  *2  *8 ' "$tmp/monitor"
	ok mboxctl rm "$m"
	until_ok grep ' gone$' "$tmp/monitor"
	kill "$pid"
	wait "$pid" || wrong "monitor: status $?"
	check 0 4 '' grep -c '' "$tmp/monitor"
	check 0 '' '' cat "$tmp/monitor-err"
	check 1 '' "mboxctl monitor: no mailbox '$m' that you may see" mboxctl monitor "$m"
	try="${nl}try mboxctl monitor --help"
	check 2 '' "*exclude each other$try" mboxctl monitor --events --json
	check 2 '' "*invalid number of seconds: 'x'$try" mboxctl monitor -i x
}

test_monitor_goes_on_without_what_is_missing()
{
	ok mboxctl create "$m-a" "$m-b"
	# The one with the greater id first.
	check 1 " $m-a 0 0 0 0 0 0.000 0 0$nl $m-b 0 0 0 0 0 0.000 0 0" \
		"mboxctl monitor: no mailbox '$m-c' that you may see" \
		sh -c "mboxctl monitor -n 1 '$m-b' '$m-c' '$m-a' >'$tmp/out' || status=\$?
			sed -n 's/^ *[0-9]*\( .*[0-9]\)\$/\1/p' '$tmp/out' | tr -s ' '
			exit \$status"
	check 1 '' "*no mailbox '$m-c'*" mboxctl monitor -n 1 "$m-c"
	ok mboxctl rm "$m-a" "$m-b"
}

# terminal ROWS COLUMNS COMMAND...: its screen, with a line for each line that it draws.
terminal()
{
	if [ ! -x "$(dirname "$0")/terminal" ]; then
		skip="no terminal beside this script"
		return
	fi
	"$(dirname "$0")/terminal" "$@" | tr -d '\r' |
		sed "s/$(printf '\033')\\[[?0-9]*[A-Za-z]//g"
}

test_monitor_live_shows_the_busiest_first()
{
	strange=$(printf '%s-\377\033[31m' "$m")
	ok mboxctl create -c unbounded "$m-idle" "$m-busy" "$strange"
	mboxctl send "$m-idle" x
	(while [ ! -e "$tmp/enough" ]; do mboxctl send "$m-busy" y || exit; done) &
	pid=$!
	terminal 24 100 mboxctl monitor --live -i 1 -n 4 "$m-busy" "$strange" "$m-idle" \
		</dev/null >"$tmp/screens"
	: >"$tmp/enough"
	wait "$pid" || wrong "send: status $?"
	rm "$tmp/enough"
	check 0 4 '' grep -c '^3 mailboxes, every 1 s; press q to end$' "$tmp/screens"
	check 0 4 '' grep -c '^NAME  *SENT/s  *RECV/s  *DROP/s  *QUEUED  *OLDEST  SENT *$' \
		"$tmp/screens"
	check 0 4 '' grep -c "^$m-idle  *0  *0  *0  *1  " "$tmp/screens"
	# Rates begin with the second look; in an interval nothing may have been sent.
	ok grep -q "^$m-busy  *[1-9][0-9]*  *0  *0  *[1-9].*[▁▂▃▄▅▆▇█]\$" "$tmp/screens"
	# Where something was, it comes first.
	# shellcheck disable=SC2016 # the program of awk
	ok awk -v busy="$m-busy" '
		/^NAME / { getline; if ($1 == busy) next }
		$1 == busy && $2 > 0 { exit 1 }' "$tmp/screens"
	check 0 4 '' grep -cF "$m-"'\xff\x1b[31m ' "$tmp/screens"
	ok mboxctl rm "$m-idle" "$m-busy" "$strange"
}

test_monitor_live_fits_the_terminal()
{
	names=
	for i in 0 1 2 3 4 5 6 7 8 9; do
		names="$names $m-$i-$(printf '%060d' 0)"
	done
	# shellcheck disable=SC2086 # words
	ok mboxctl create $names
	# shellcheck disable=SC2086
	terminal 8 80 mboxctl monitor --live -n 1 -i 0.01 $names </dev/null >"$tmp/screens"
	check 0 8 '' sh -c "grep -c '' '$tmp/screens'"
	check 0 'and 5 more' '' tail -n 1 "$tmp/screens"
	check 0 5 '' grep -c "^$m-[0-9]-0*…  *0 " "$tmp/screens"
	# shellcheck disable=SC2086
	LC_ALL=C.UTF-8 terminal 8 80 mboxctl monitor --live -n 1 -i 0.01 $names </dev/null |
		sed 's/…/./' | awk 'length > 80' >"$tmp/wide"
	check 1 '' '' test -s "$tmp/wide"
	# shellcheck disable=SC2086
	ok mboxctl rm $names
}

test_monitor_live_ends_and_leaves_the_terminal_as_it_was()
{
	terminal=$(dirname "$0")/terminal
	[ -x "$terminal" ] || { skip="no terminal beside this script"; return; }
	ok mboxctl create "$m"
	rm -f "$tmp/screens"
	# shellcheck disable=SC2094 # the keys are typed when the screen is there
	(until grep -q "$m" "$tmp/screens" 2>/dev/null; do sleep 0.1; done; printf xq; sleep 1) |
		"$terminal" 24 80 sh -c "stty -a >'$tmp/before'; mboxctl monitor --live '$m'
			echo \$? >'$tmp/status'; stty -a >'$tmp/after'" >"$tmp/screens"
	check 0 0 '' cat "$tmp/status"
	check 0 '' '' cmp "$tmp/before" "$tmp/after"
	check 0 1 '' grep -c "$(printf '\033\\[?25h\033\\[?1049l')" "$tmp/screens"
	"$terminal" 24 80 sh -c "stty -a >'$tmp/before'
		mboxctl monitor --live -i 100 '$m' &
		until grep -q '$m' '$tmp/screens'; do sleep 0.1; done
		kill -TERM \$!; wait \$!
		echo \$? >'$tmp/status'; stty -a >'$tmp/after'" </dev/null >"$tmp/screens"
	check 0 0 '' cat "$tmp/status"
	check 0 '' '' cmp "$tmp/before" "$tmp/after"
	check 1 '' 'mboxctl monitor: --live needs a terminal' mboxctl monitor --live "$m"
	try="${nl}try mboxctl monitor --help"
	for other in --json --events; do
		check 2 '' "*exclude each other$try" mboxctl monitor --live "$other"
	done
	ok mboxctl rm "$m"
}

# counters FILE MESSAGES: as mbox-nats writes them
counters()
{
	cat >"$1.new" <<END
# HELP mbox_nats_connected Whether there is a connection.
# TYPE mbox_nats_connected gauge
mbox_nats_connected ${3-1}
# HELP mbox_nats_messages_total Messages, requests or calls that were passed on.
# TYPE mbox_nats_messages_total counter
mbox_nats_messages_total{kind="export",mailbox="orders",subject="jobs.new"} $2
mbox_nats_messages_total{kind="import",mailbox="a\"b\\\\c",subject="x.>",group="w"} 5
mbox_nats_messages_total{kind="serve",mailbox="s",subject="y"} 0
# TYPE mbox_nats_errors_total counter
mbox_nats_errors_total{kind="export",mailbox="orders",subject="jobs.new"} 1
mbox_nats_errors_total{kind="import",mailbox="a\"b\\\\c",subject="x.>",group="w"} 0
mbox_nats_dropped_total{kind="import",mailbox="a\"b\\\\c",subject="x.>",group="w"} 2
mbox_nats_rejected_total{kind="import",mailbox="a\"b\\\\c",subject="x.>",group="w"} 3
other_total{kind="export",mailbox="orders",subject="jobs.new"} 9
mbox_nats_messages_total{kind="export",mailbox="orders
mbox_nats_messages_total{kind="export",mailbox
END
	mv "$1.new" "$1"
}

test_monitor_shows_routes()
{
	counters "$tmp/routes" 7
	check 0 "ROUTE MESSAGES BYTES ERRORS RETRIES DUPLICATES LOST
export orders -> jobs.new 7 0 1 0 0 0
import x.> -> a\"b\\\\c of w 5 0 0 0 0 5
serve s <- y 0 0 0 0 0 0" '' sh -c "mboxctl monitor -n 1 -r '$tmp/routes' | tr -s ' '"
	mboxctl monitor -i 0.1 --routes "$tmp/routes" >"$tmp/out" &
	pid=$!
	until_ok grep -q serve "$tmp/out"
	counters "$tmp/routes" 17
	until_ok grep -q '^export .* 10  *0  *0  *0  *0  *0$' "$tmp/out"
	# That of a bridge that was started again.
	counters "$tmp/routes" 4
	until_ok grep -q '^export .* 4  *0  *1  *0  *0  *0$' "$tmp/out"
	kill "$pid"
	wait "$pid" || wrong "status $?"
	check 0 6 '' grep -c '' "$tmp/out"
	counters "$tmp/routes" 7 0
	check 0 '{"kind":"export","mailbox":"orders","subject":"jobs.new","group":"","messages":7,"bytes":0,"errors":1,"retries":0,"duplicates":0,"lost":0,"connected":false}
{"kind":"import","mailbox":"a\"b\\c","subject":"x.>","group":"w","messages":5,"bytes":0,"errors":0,"retries":0,"duplicates":0,"lost":5,"connected":false}
{"kind":"serve","mailbox":"s","subject":"y","group":"","messages":0,"bytes":0,"errors":0,"retries":0,"duplicates":0,"lost":0,"connected":false}' \
		'' mboxctl monitor -n 1 -j -r "$tmp/routes"
	check 1 '' "mboxctl monitor: cannot read '$tmp/none': No such file or directory" \
		mboxctl monitor -n 1 -r "$tmp/none"
	# What never ends is not read.
	check 1 '' "mboxctl monitor: cannot read '/dev/zero': Invalid argument" \
		mboxctl monitor -n 1 -r /dev/zero
	mkfifo "$tmp/fifo"
	check 1 '' "mboxctl monitor: cannot read '$tmp/fifo': Invalid argument" \
		mboxctl monitor -n 1 -r "$tmp/fifo"
	rm "$tmp/fifo"
	check 2 '' '*--events and --routes exclude each other*' mboxctl monitor -e -r "$tmp/routes"
	check 2 '' '*--routes takes no mailbox without --live*' mboxctl monitor -r "$tmp/routes" m
	rm "$tmp/routes"
}

test_monitor_live_shows_routes()
{
	[ -x "$(dirname "$0")/terminal" ] || { skip="no terminal beside this script"; return; }
	ok mboxctl create "$m"
	counters "$tmp/routes" 7
	: >"$tmp/screens"
	# shellcheck disable=SC2094 # the key is typed when the rate has been there
	(n=7
	until grep -q '^export orders -> jobs.new  *[1-9]' "$tmp/screens" || [ "$n" -ge 20000 ]; do
		n=$((n + 100))
		counters "$tmp/routes" "$n"
		sleep 0.3
	done
	printf q
	sleep 1) | terminal 24 100 mboxctl monitor --live -i 0.2 -r "$tmp/routes" "$m" >"$tmp/screens"
	ok grep -q "^$m  *0  *0  *0  *0  " "$tmp/screens"
	ok grep -q '^ROUTE  *MSGS/s  *ERRORS  *RETRIES  *LOST$' "$tmp/screens"
	ok grep -q '^import x.> -> a"b\\\\c of w  *0  *0  *0  *5$' "$tmp/screens"
	ok grep -q '^export orders -> jobs.new  *0  *1  *0  *0$' "$tmp/screens"
	ok grep -q '^export orders -> jobs.new  *[1-9][0-9]*  *1  *0  *0$' "$tmp/screens"
	# What the mailbox leaves of a low screen, and nothing of a lower one.
	counters "$tmp/routes" 7 0
	terminal 7 60 mboxctl monitor --live -i 0.01 -n 1 -r "$tmp/routes" "$m" </dev/null |
		grep -v '^$' >"$tmp/screens"
	check 0 7 '' grep -c '' "$tmp/screens"
	check 0 1 '' grep -c '^ROUTE (not con.* *MSGS/s' "$tmp/screens"
	check 0 1 '' grep -c '^import x' "$tmp/screens"
	check 0 'and 1 more routes' '' tail -n 1 "$tmp/screens"
	terminal 5 60 mboxctl monitor --live -i 0.01 -n 1 -r "$tmp/routes" "$m" </dev/null |
		grep -v '^$' >"$tmp/screens"
	check 0 4 '' grep -c '' "$tmp/screens"
	check 0 'and 3 more routes' '' tail -n 1 "$tmp/screens"
	terminal 24 80 mboxctl monitor --live -i 0.01 -n 1 -r "$tmp/none" "$m" </dev/null |
		grep -v '^$' >"$tmp/screens"
	check 0 3 '' grep -c '' "$tmp/screens"
	ok mboxctl rm "$m"
	rm "$tmp/routes"
}

test_monitor_json_prints_the_objects_of_ls()
{
	ok mboxctl create "$m"
	check 0 "$(mboxctl ls --json "$m" | sed 's/^\[//; s/]$//')" '' \
		mboxctl monitor -n 1 --json "$m"
	ok mboxctl rm "$m"
}

test_monitor_events_shows_the_given_mailboxes_only()
{
	if [ ! -d /sys/kernel/tracing/events/mbox ]; then
		skip="no tracefs, or a kernel that cannot trace"
		return
	fi
	ok mboxctl create "$m"
	ok mboxctl create "$m-other"
	mboxctl monitor --events "$m" >"$tmp/events" 2>"$tmp/events-err" &
	pid=$!
	until_ok grep 1 "/sys/kernel/tracing/instances/mboxctl-$pid/events/mbox/enable"
	ok mboxctl send "$m-other" hidden
	ok mboxctl send "$m" hello
	# Not by the task's name: the kernel may have failed to note it.
	until_ok grep " send: id=[0-9]* ns=[0-9]* len=5 .* mailbox=$m\$" "$tmp/events"
	kill "$pid"
	wait "$pid" || wrong "monitor: status $?"
	check 1 '' '' grep 'len=6' "$tmp/events"
	check 0 '' '' cat "$tmp/events-err"
	# Nothing is left behind.
	check 1 '' '' test -e "/sys/kernel/tracing/instances/mboxctl-$pid"
	ok mboxctl rm "$m" "$m-other"
}

test_monitor_events_waits_and_tells_how_long_messages_waited()
{
	if [ ! -d /sys/kernel/tracing/events/mbox ]; then
		skip="no tracefs, or a kernel that cannot trace"
		return
	fi
	mboxctl monitor --events --wait "$m" >"$tmp/events" 2>"$tmp/events-err" &
	pid=$!
	sleep 0.2
	check 1 '' '' test -e "/sys/kernel/tracing/instances/mboxctl-$pid"
	ok mboxctl create "$m"
	until_ok grep 1 "/sys/kernel/tracing/instances/mboxctl-$pid/events/mbox/enable"
	ok mboxctl send "$m" hello
	sleep 0.3
	check 0 hello '' mboxctl recv "$m"
	# On lease, and then acknowledged: at least 200 milliseconds.
	until_ok grep " recv: id=.* len=5 .* waited_ms=\([2-9]..\|[0-9]\{4,\}\) mailbox=$m\$" "$tmp/events"
	until_ok grep " ack: id=.* mailbox=$m\$" "$tmp/events"
	kill "$pid"
	wait "$pid" || wrong "monitor: status $?"
	check 0 '' '' cat "$tmp/events-err"
	ok mboxctl rm "$m"
}

# A task of that name does something, and is in $tmp/events as $2. The kernel may not
# know its name yet when it is asked for it.
shows_task()
{
	cp "$(command -v mboxctl)" "$tmp/$1"
	"$tmp/$1" create "$m"
	"$tmp/$1" unlink "$m"
	rm "$tmp/$1"
	sed -n 's/^[0-9.]* \(.*\)-[0-9]* create: .*/\1/p' "$tmp/events" | grep -xF -e "$2"
}

# A name of a mailbox or of a task is part of one line, whatever it is.
test_monitor_events_cannot_be_forged()
{
	if [ ! -d /sys/kernel/tracing/events/mbox ]; then
		skip="no tracefs, or a kernel that cannot trace"
		return
	fi
	mboxctl monitor --events >"$tmp/events" 2>"$tmp/events-err" &
	pid=$!
	until_ok grep 1 "/sys/kernel/tracing/instances/mboxctl-$pid/events/mbox/enable"
	forged=$m-$(printf '\303\251\302\233\033[2J\\\na-1 [000] . 1.0: mbox_destroy: id=1 forged')
	ok mboxctl create "$forged"
	ok mboxctl unlink "$forged"
	# Of 15 bytes each; together they have all that a line is told by.
	until_ok shows_task "$(printf '\033[31m\n a\303\251')" \
		'\x1b[31m\x0a\x20a'"$(printf '\303\251')"
	until_ok shows_task 'x [0] 9: mbox_d' 'x\x20[0]\x209:\x20mbox_d'
	until_ok shows_task "$(printf 'a\nCPU:0 [LOST 5')" 'a\x0aCPU:0\x20[LOST\x205'
	until_ok shows_task "$(printf '\n\n\n\n\n\n\n\n\n\n\n\n\n\nx')" \
		'\x0a\x0a\x0a\x0a\x0a\x0a\x0a\x0a\x0a\x0a\x0a\x0a\x0a\x0ax'
	ok mboxctl create "$m-last"
	ok mboxctl unlink "$m-last"
	until_ok grep " destroy: id=.*" "$tmp/events"
	until_ok grep "name=$m-last\$" "$tmp/events"
	kill "$pid"
	wait "$pid" || wrong "monitor: status $?"
	check 0 '' '' cat "$tmp/events-err"
	shown="$m-$(printf '\303\251')"'\xc2\x9b\x1b[2J\x5c\x0aa-1\x20[000]\x20.\x201.0:\x20'
	shown="$shown"'mbox_destroy:\x20id=1\x20forged'
	# grep -F would take it for a pattern of its own.
	same "$(sed -n 's/.* name=//p' "$tmp/events" | head -n 1)" "$shown"
	check 1 '' '' grep -v '^[0-9][0-9.]* [^ ]*-[0-9][0-9]* [a-z_][a-z_]*: ' "$tmp/events"
	check 1 '' '' grep "$(printf '[\033\302\233]')" "$tmp/events"
}

# What mboxctl says of an argument or of a name is one line without control bytes.
test_errors_escape_what_they_quote()
{
	evil=$(printf 'a\033[31m\nb\\\302\233\377\303\251')
	shown='a\x1b[31m\x0ab\\\xc2\x9b\xff'$(printf '\303\251')
	for command in send recv call rm "rm -D" unlink ls stat who monitor "create -c" \
		"create -m" "create -o" apply "chmod 600" "chown 0" "recv -n" "recv -T" "send -p" "recv --skip" "monitor -i"; do
		# shellcheck disable=SC2086 # words
		mboxctl $command "$evil" </dev/null >"$tmp/out" 2>"$tmp/err" || :
		same "$command: $(grep -cF -e "'$shown" "$tmp/err")" "$command: 1"
		check 1 '' '' grep "$(printf '[\033\302\233]')" "$tmp/err"
	done
	same "$(mboxctl serve "$evil" x 2>&1)" \
		"mboxctl serve: cannot open '$shown': No such file or directory"
	same "$(mboxctl "$evil" 2>&1 | head -n 1)" "mboxctl: unknown command '$shown'"
	same "$(mboxctl "--$evil" 2>&1 | head -n 1)" "mboxctl: unrecognized option '--$shown'"
	same "$(mboxctl ls "--$evil" 2>&1 | head -n 1)" "mboxctl ls: unrecognized option '--$shown'"
	same "$(mboxctl ls "--json=$evil" 2>&1 | head -n 1)" \
		"mboxctl ls: option '--json' does not take an argument"
	same "$(mboxctl ls "-$(printf '\033')" 2>&1 | head -n 1)" \
		"mboxctl ls: invalid option -- '\\x1b'"
	same "$(mboxctl create --one 2>&1 | head -n 1)" \
		"mboxctl create: option '--one' is ambiguous"
	same "$(mboxctl create --capacity 2>&1 | head -n 1)" \
		"mboxctl create: option '--capacity' requires an argument"
}

test_wrong_numbers_are_refused()
{
	for figure in -1 '' 1x 18446744073709551616; do
		for option in "create -c" "create -s" "create -m" "send -p" "send -t" "recv -n" \
			"recv -m" "recv --match-le" "recv --skip" "monitor -n" "serve -n"; do
			# shellcheck disable=SC2086 # words
			check 2 '' "mboxctl ${option% *}: invalid *: '$figure'*" \
				mboxctl $option "$figure" "$m"
		done
		check 1 '' "*invalid mailbox id: '$figure'*" mboxctl rm -D "id:$figure"
	done
	for figure in ' 1' +1 0x 08 99999999999999999999; do
		check 2 '' "*invalid count: '$figure'*" mboxctl recv -n "$figure" "$m"
	done
	for figure in -1 '' 1x inf; do
		for option in "send -T" "recv -T" "call -T" "serve -T" "monitor -i"; do
			# shellcheck disable=SC2086 # words
			check 2 '' "mboxctl ${option% *}: invalid number of seconds: '$figure'*" \
				mboxctl $option "$figure" "$m"
		done
	done
	for figure in -0 ' 1' +1 nan 1e400 4000000001; do
		check 2 '' "*invalid number of seconds: '$figure'*" mboxctl recv -T "$figure" "$m"
	done
	for figure in 0 0.0 1e-4 1e-400; do
		check 2 '' "mboxctl monitor: the interval '$figure' is too short*" \
			mboxctl monitor -i "$figure"
	done
}

# With a standard file closed, a mailbox must not come in its place.
test_closed_standard_files_do_not_become_mailboxes()
{
	ok mboxctl create "$m"
	check 1 '' "mboxctl send: cannot read 'standard input'" sh -c "mboxctl send '$m' <&-"
	check 0 '' '' sh -c "mboxctl send '$m' text >&-"
	status=0
	mboxctl send -f "$tmp/none" "$m" 2>&- || status=$?
	same "$status" 1
	check 0 text '' mboxctl recv -n 0 -d "$m"
	check 1 '' "*cannot write to standard output: Bad file descriptor" \
		sh -c "exec mboxctl ls >&-"
	ok mboxctl rm "$m"
}

test_create_inherit_sets_the_flag()
{
	ok mboxctl create --inherit "$m"
	check 0 "$(mboxctl stat "$m" | sed '/^flags:/!d')" '' echo "flags:             inherit"
	ok mboxctl rm "$m"
	try="${nl}try mboxctl create --help"
	check 2 '' "*exclude each other$try" mboxctl create --inherit --ring "$m"
}

test_create_leaf_sets_the_flag()
{
	ok mboxctl create --leaf "$m"
	check 0 "$(mboxctl stat "$m" | sed '/^flags:/!d')" '' echo "flags:             leaf"
	ok mboxctl rm "$m"
	ok mboxctl create --leaf --ring "$m"
	check 0 "$(mboxctl stat "$m" | sed '/^flags:/!d')" '' echo "flags:             leaf"
	ok mboxctl rm "$m"
}

test_call_gets_the_output_of_the_served_command()
{
	ok mboxctl create "$m"
	mboxctl serve -n 4 "$m" tr a-z A-Z >"$tmp/out" 2>&1 &
	await "$m" 1 receivers
	check 0 "HELLO" '' mboxctl call "$m" hello
	check 0 "STDIN" '' sh -c "printf stdin | mboxctl call --timeout 60 '$m'"
	check 0 "" '' mboxctl call "$m" ''
	# Which is no request.
	ok mboxctl send "$m" nothing
	ended 0
	same "$(cat "$tmp/out")" ""
	ok mboxctl rm "$m"
}

test_call_gets_the_exit_status_of_the_served_command()
{
	ok mboxctl create --msg-max 8 "$m"
	# shellcheck disable=SC2016 # for that shell
	mboxctl serve --status -n 9 -T 60 "$m" sh -c 'read text; case $text in
		kill) kill -9 $$ ;;
		long) printf 1234567 ;;
		full) printf 123456; exit 4 ;;
		*) printf %s "$text"; exit "$text" ;;
		esac' 2>"$tmp/err" &
	check 0 "0" '' mboxctl call -s -T 60 "$m" 0
	check 7 "7" '' mboxctl call --status -T 60 "$m" 7
	check 255 "255" '' mboxctl call -s -T 60 "$m" 255
	check 137 "" '' mboxctl call -s -T 60 "$m" kill
	# Two bytes of the longest message are for the status.
	check 4 "123456" '' mboxctl call -s -T 60 "$m" full
	check 125 '' "mboxctl call: cannot call '$m': Message too long" \
		mboxctl call -s -T 60 "$m" long
	# Who does not know of it gets both bytes.
	same "$(mboxctl call -T 60 "$m" 9 | tr '\000\011' 'ZT')" "9ZT"
	# What is no request is delivered again.
	ok mboxctl send "$m" 3
	ended 1
	same "$(cat "$tmp/err")" "mboxctl serve: 'sh' wrote more than a reply can have
mboxctl serve: 'sh' failed
mboxctl serve: 'sh' failed"
	ok mboxctl rm "$m"
}

test_call_has_a_status_for_calls_that_fail()
{
	ok mboxctl create "$m"
	check 124 '' "mboxctl call: cannot call '$m': Connection timed out" \
		mboxctl call -s -T 0.05 "$m" hello
	# shellcheck disable=SC2016 # for that shell
	mboxctl serve -n 3 -T 60 "$m" sh -c 'read text; eval "$text"' 2>/dev/null &
	check 125 '' "mboxctl call: cannot call '$m': Broken pipe" \
		mboxctl call -s -T 60 "$m" 'exit 1'
	# That server tells none.
	for text in 'echo hello' 'printf x'; do
		check 125 '' "mboxctl call: the reply of '$m' has no exit status" \
			mboxctl call -s -T 60 "$m" "$text"
	done
	ended 1
	check 125 '' "*cannot open*" mboxctl call -s "$m.none" hello
	ok mboxctl rm "$m"
	# There is no room for it.
	ok mboxctl create --msg-max 1 "$m"
	check 1 '' "mboxctl serve: cannot use '$m': Message too long" \
		mboxctl serve -s -n 1 "$m" cat
	ok mboxctl rm "$m"
	try="${nl}try mboxctl call --help"
	check 2 '' "*one exit status*$try" mboxctl call -s -l 2 "$m"
}

test_call_with_lines_has_several_calls_under_way()
{
	ok mboxctl create "$m"
	mboxctl serve -n 50 -T 60 "$m" tr a-z A-Z >"$tmp/out" 2>&1 &
	check 0 '' '' sh -c "seq 50 | sed 's/^/a/' |
		mboxctl call -l 7 -T 60 '$m' >'$tmp/replies'"
	ended 0
	same "$(sort -u "$tmp/replies" | wc -l)" 50
	same "$(sort "$tmp/replies" | sed -n '1p;$p' | tr '\n' ' ')" "A1 A9 "
	check 1 '' "mboxctl call: cannot call '$m': Connection timed out" \
		sh -c "echo x | mboxctl call --lines 2 -T 0.05 '$m'"
	check 0 '' '' sh -c "mboxctl call -l 2 '$m' </dev/null"
	ok mboxctl rm "$m"
	try="${nl}try mboxctl call --help"
	check 2 '' "*standard input$try" mboxctl call -l 2 "$m" text
	check 2 '' "*get nowhere*" mboxctl call -l 0 "$m"
}

test_call_has_a_priority_and_a_type()
{
	ok mboxctl create "$m"
	ok mboxctl send "$m" low
	mboxctl call -p 7 -t 9 -T 60 "$m" hello 2>/dev/null &
	await "$m" 1 senders
	check 0 hello '' mboxctl recv -m 9 --peek "$m"
	# It comes first, and its receiver does not reply.
	check 0 hello '' mboxctl recv "$m"
	ended 1
	ok mboxctl rm "$m"
}

test_call_without_a_server_times_out()
{
	ok mboxctl create --msg-max 5 "$m"
	check 3 '' "mboxctl call: cannot call '$m': Connection timed out" \
		mboxctl call -T 0.05 "$m" hello
	has "$m" "0 0" queued sent
	check 1 '' "mboxctl call: cannot call '$m': Message too long" mboxctl call "$m" longer
	ok mboxctl rm "$m"
	try="${nl}try mboxctl call --help"
	check 2 '' "mboxctl call: no mailbox given$try" mboxctl call
	check 2 '' "mboxctl call: more than one text$try" mboxctl call "$m" a b
}

test_serve_sends_no_reply_when_its_command_fails()
{
	ok mboxctl create "$m"
	mboxctl serve -n 3 -T 60 "$m" sh -c 'cat; exit 7' 2>"$tmp/err" &
	# No reply, whatever it has written. Then it goes on.
	check 1 '' "mboxctl call: cannot call '$m': Broken pipe" mboxctl call "$m" 12345
	check 1 '' "*Broken pipe" mboxctl call "$m" again
	ok mboxctl send "$m" nothing
	ended 1
	# What is no request is not lost.
	check 0 nothing '' mboxctl recv -n 1 -T 60 "$m"
	has "$m" "0 0 1" queued leased redelivered
	report="mboxctl serve: 'sh' failed"
	same "$(cat "$tmp/err")" "$report$nl$report$nl$report"
	# shellcheck disable=SC2016 # for that shell
	mboxctl serve -n 1 -T 60 "$m" sh -c 'echo x; kill -9 $$' 2>"$tmp/err" &
	check 1 '' "*Broken pipe" mboxctl call "$m" x
	ended 1
	mboxctl serve -n 1 -T 60 "$m" "$tmp/none" 2>"$tmp/err" &
	check 1 '' "*Broken pipe" mboxctl call "$m" x
	ended 1
	same "$(cat "$tmp/err")" "mboxctl serve: cannot run '$tmp/none': No such file or \
directory${nl}mboxctl serve: '$tmp/none' failed"
	check 3 '' "mboxctl serve: cannot receive from '$m': Connection timed out" \
		mboxctl serve -T 0.05 "$m" cat
	ok mboxctl rm "$m"
	try="${nl}try mboxctl serve --help"
	check 2 '' "mboxctl serve: no mailbox given$try" mboxctl serve
	check 2 '' "mboxctl serve: no command given$try" mboxctl serve "$m"
}

test_serve_tells_its_command_about_the_message()
{
	ok mboxctl create "$m"
	# shellcheck disable=SC2016 # for that shell
	from=$(sh -c 'echo $$; exec mboxctl send --prio 7 --type 9 "$0" x' "$m")
	# shellcheck disable=SC2016 # likewise
	ok mboxctl serve -n 1 -T 60 "$m" sh -c \
		'echo "$MBOX_PID $MBOX_UID $MBOX_GID $MBOX_PRIO $MBOX_TYPE $MBOX_DELIVERIES" >'"$tmp/out"
	same "$(cat "$tmp/out")" "$from 0 0 7 9 1"
	ok mboxctl send "$m" x
	# Once it fails, then it succeeds.
	# shellcheck disable=SC2016
	mboxctl serve -n 2 -T 60 "$m" sh -c 'echo "$MBOX_DELIVERIES" >>'"$tmp/out
		test \$MBOX_DELIVERIES -gt 1" 2>/dev/null &
	ended 1
	same "$(tail -n 2 "$tmp/out" | tr '\n' ' ')" "1 2 "
	has "$m" "0 0" queued leased
	ok mboxctl rm "$m"
}

test_serve_runs_several_commands()
{
	ok mboxctl create "$m"
	# Each waits for the other one.
	mboxctl serve -j 2 -n 4 -T 60 "$m" sh -c "echo >>'$tmp/both'
		while [ \$(wc -l <'$tmp/both') -lt 2 ]; do sleep 0.1; done" &
	server=$!
	for i in 1 2 3 4; do
		ok mboxctl send "$m" "$i"
	done
	status=0
	wait "$server" || status=$?
	same "$status" 0
	same "$(wc -l <"$tmp/both")" 4
	has "$m" "0 0 4" queued leased received
	# No worker is left.
	mboxctl serve -j 3 "$m" cat &
	server=$!
	await "$m" 3 receivers
	kill "$server"
	status=0
	wait "$server" || status=$?
	same "$status" 143
	await "$m" 0 receivers
	ok mboxctl rm "$m"
	check 2 '' "mboxctl serve: at least one job is needed*" mboxctl serve -j 0 "$m" cat
}

# Whoever is killed: one of its processes, or the first one and with it the others.
test_serve_that_is_killed_loses_no_job()
{
	ok mboxctl create "$m"
	for victim in worker all; do
		rm -f "$tmp/pids"
		mboxctl serve -j 2 "$m" sh -c "echo \$PPID >>'$tmp/pids'; exec sleep 1000" &
		server=$!
		ok mboxctl send -p 1 "$m" first
		ok mboxctl send "$m" second
		until_ok sh -c "[ \$(wc -l <'$tmp/pids') = 2 ]"
		has "$m" "0 2" queued leased
		if [ "$victim" = worker ]; then
			kill -KILL "$(head -n 1 "$tmp/pids")"
			until_ok sh -c "mboxctl stat --json '$m' | grep -q '\"queued\":1,'"
			has "$m" "1 1" queued leased
			kill "$server"
		else
			kill -KILL "$server"
		fi
		wait "$server" || :
		until_ok sh -c "mboxctl stat --json '$m' | grep -q '\"queued\":2,'"
		has "$m" "2 0" queued leased
		check 0 firstsecond '' mboxctl recv -n 2 "$m"
	done
	ok mboxctl rm "$m"
}

test_create_names_a_mailbox_for_dead_letters()
{
	ok mboxctl create "$m-dead"
	ok mboxctl create --deliveries 1 --dead-letter "$m-dead" "$m"
	ok mboxctl send "$m" job
	mboxctl serve -n 1 "$m" false 2>/dev/null &
	ended 1
	check 0 job '' mboxctl recv -n 1 -T 60 "$m-dead"
	has "$m" "0 1 0" queued dead_letters dropped
	ok mboxctl rm "$m" "$m-dead"
	check 2 '' "mboxctl create: --dead-letter needs --deliveries*" \
		mboxctl create --dead-letter x "$m"
	check 1 '' "mboxctl create: cannot open 'x': No such file or directory" \
		mboxctl create --deliveries 1 --dead-letter x "$m"
}

# The handle stays: another one is not needed.
test_serve_drops_a_request_and_stays_open()
{
	ok mboxctl create "$m"
	mboxctl serve -n 3 -T 60 "$m" false 2>"$tmp/err" &
	await "$m" 1 receivers
	check 1 '' "*Broken pipe" mboxctl call "$m" 1
	until_ok sh -c "mboxctl stat -j '$m' | grep '\"recv_handles\":1[,}]'"
	check 1 '' "*Broken pipe" mboxctl call "$m" 2
	ok mboxctl send "$m" 3
	ended 1
	ok mboxctl rm "$m"
}

test_serve_ends_a_command_that_writes_too_much()
{
	ok mboxctl create --msg-max 5 "$m"
	for command in "seq 100" yes "sh -c 'trap : TERM PIPE; yes; yes'"; do
		eval "mboxctl serve -n 1 -T 60 '$m' $command" 2>"$tmp/err" &
		check 1 '' "mboxctl call: cannot call '$m': Message too long" mboxctl call "$m" x
		ended 1
		# The shell has a word about what was ended.
		same "$(tail -n 1 "$tmp/err")" \
			"mboxctl serve: '${command%% *}' wrote more than a reply can have"
	done
	# To the last byte.
	mboxctl serve -n 1 -T 60 "$m" printf 12345 &
	check 0 12345 '' mboxctl call "$m" x
	ended 0
	# The output of what is no request is bounded, too.
	ok mboxctl send "$m" x
	check 1 '' "*'yes' wrote more than a reply can have" mboxctl serve -n 1 -T 60 "$m" yes
	ok mboxctl rm "$m"
}

test_serve_waits_for_the_command_but_not_for_its_children()
{
	ok mboxctl create "$m"
	# What it leaves behind has its output, and writes to it.
	mboxctl serve -n 1 "$m" sh -c "(trap '' PIPE; while sleep 0.1; do echo late; done) \
		2>/dev/null & echo \$! >'$tmp/pid'; printf early" &
	check 0 early '' mboxctl call -T 60 "$m" x
	ended 0
	ok kill "$(cat "$tmp/pid")"
	# It closes its output, and has not ended.
	mboxctl serve -n 1 "$m" sh -c 'exec >&-; sleep 0.2; exit 1' 2>"$tmp/err" &
	check 1 '' "*Broken pipe" mboxctl call -T 60 "$m" x
	ended 1
	ok mboxctl rm "$m"
}

# A process that has ended, or is a zombie.
gone()
{
	! grep -q '^State:	[^ZX]' "/proc/$1/status" 2>/dev/null
}

test_serve_ends_its_command_when_it_is_ended()
{
	ok mboxctl create "$m"
	for code in 143 129 137; do
		signal=$((code - 128))
		for command in 'exec sleep 1000' 'trap "" TERM HUP; while :; do sleep 1; done'; do
			rm -f "$tmp/pid"
			mboxctl serve "$m" sh -c "echo \$\$ >'$tmp/pid'; $command" 2>/dev/null &
			server=$!
			await "$m" 1 receivers
			mboxctl call -T 60 "$m" x >"$tmp/out" &
			caller=$!
			until_ok test -s "$tmp/pid"
			kill -"$signal" "$server"
			status=0
			wait "$server" || status=$?
			same "$status" "$code"
			until_ok gone "$(cat "$tmp/pid")"
			# The request has come back, and its caller waits.
			ok mboxctl serve -n 1 -T 60 "$m" tr x y
			status=0
			wait "$caller" || status=$?
			same "$status $(cat "$tmp/out")" "0 y"
		done
	done
	ok mboxctl rm "$m"
}

test_output_that_cannot_be_written_exits_with_1()
{
	ok mboxctl create "$m"
	# A pipe without a reader.
	mkfifo "$tmp/fifo"
	# shellcheck disable=SC2094 # to open the one for writing does not wait
	exec 4<>"$tmp/fifo" 5>"$tmp/fifo" 4>&-
	for command in ls "ls --json" --help --version "send --help" "stat $m" "monitor -n 1"; do
		status=0
		# shellcheck disable=SC2086 # words
		mboxctl $command >/dev/full 2>"$tmp/err" || status=$?
		same "$command: $status" "$command: 1"
		case $(cat "$tmp/err") in
		mboxctl*"cannot write to standard output: No space left on device") ;;
		*) wrong "$command: $(cat "$tmp/err")" ;;
		esac
		status=0
		# shellcheck disable=SC2086
		mboxctl $command 2>"$tmp/err" >&5 || status=$?
		same "$command: $status" "$command: 1"
		case $(cat "$tmp/err") in
		mboxctl*"cannot write to standard output: Broken pipe") ;;
		*) wrong "$command: $(cat "$tmp/err")" ;;
		esac
	done
	exec 5>&-
	rm "$tmp/fifo"
	# The server does not do its work for nothing.
	check 1 '' "mboxctl call: cannot write to standard output: No space left on device" \
		sh -c "exec mboxctl call '$m' x >/dev/full"
	has "$m" 0 sent
	ok mboxctl rm "$m"
}

test_each_command_says_that_the_device_is_missing()
{
	missing='/dev/mbox is missing, though the module is loaded (is it hidden here?)'
	if ! unshare -m sh -c 'mount -t tmpfs tmpfs /dev' 2>/dev/null; then
		skip="cannot hide /dev"
		return
	fi
	for command in "ls" "create x" "send x y" "recv x" "rm x" "rm -D x" "unlink x" \
		"set-capacity x 1" "stat x" "call x y" "serve x y" "who" "chmod 600 x" \
		"chown 0 x"; do
		check 1 '' "mboxctl ${command%% *}: *: $missing" \
			unshare -m sh -c "mount -t tmpfs tmpfs /dev && exec mboxctl $command"
	done
	check 1 '' "*: /dev/mbox is missing (is the module loaded?)" \
		unshare -m sh -c "mount -t tmpfs tmpfs /dev && mount -t tmpfs tmpfs /sys && mboxctl ls"
}

test_chmod_and_chown_change_who_may()
{
	ok mboxctl create "$m" "$m-2"
	ok mboxctl chmod 0640 "$m" "$m-2"
	has "$m" 0640 mode
	has "$m-2" 0640 mode
	ok mboxctl chown nobody:5 "id:$(id_of "$m")"
	has "$m" "65534 5" uid gid
	ok mboxctl chown :6 "$m"
	has "$m" "65534 6" uid gid
	ok mboxctl chown 0 "$m"
	has "$m" "0 6" uid gid
	ok mboxctl chmod 444 "$m"
	check 1 '' "mboxctl chmod: cannot change the mode of '$m': Operation not permitted" \
		as_nobody mboxctl chmod 666 "$m"
	check 1 '' "mboxctl chown: cannot change the owner of '$m': Operation not permitted" \
		as_nobody mboxctl chown nobody "$m"
	# One right is enough, whichever it is. Without one it takes a path.
	ok mboxctl chown nobody "$m"
	ok as_nobody mboxctl chmod 200 "$m"
	ok as_nobody mboxctl chmod 0 "$m"
	check 1 '' "mboxctl chmod: cannot open '$m': Permission denied" \
		as_nobody mboxctl chmod 600 "$m"
	mkdir "$tmp/mnt"
	mount -t mbox mbox "$tmp/mnt"
	ok as_nobody mboxctl chmod 600 "$tmp/mnt/$m"
	has "$m" 0600 mode
	ok mboxctl chown 3:4 "$tmp/mnt/$m"
	has "$m" "3 4 0600" uid gid mode
	check 1 '' "mboxctl chown: cannot change the owner of '$tmp/mnt/$m': Operation not *" \
		as_nobody mboxctl chown nobody "$tmp/mnt/$m"
	check 1 '' "mboxctl chmod: cannot change the mode of '$tmp/mnt/$m': Operation not *" \
		as_nobody mboxctl chmod 600 "$tmp/mnt/$m"
	# It goes on after an error.
	check 1 '' "mboxctl chmod: cannot open '$tmp/mnt/none': No such file or directory" \
		mboxctl chmod 604 "$tmp/mnt/none" "$m"
	has "$m" 0604 mode
	check 1 '' "mboxctl chmod: '$tmp/mnt' is not a mailbox" mboxctl chmod 600 "$tmp/mnt"
	check 1 '' "mboxctl chown: '/dev/null' is not a mailbox" mboxctl chown 0 /dev/null
	check 1 '' "mboxctl chown: cannot open '$m-3': No such*" mboxctl chown 0 "$m-3" "$m-2"
	umount "$tmp/mnt"
	rmdir "$tmp/mnt"
	ok mboxctl rm "$m" "$m-2"
	try="${nl}try mboxctl chmod --help"
	check 2 '' "mboxctl chmod: a mode and a mailbox are needed$try" mboxctl chmod 600
	for mode in '' 8 1000 u+r -1; do
		check 2 '' "mboxctl chmod: inval*$try" mboxctl chmod -- "$mode" "$m"
	done
	try="${nl}try mboxctl chown --help"
	check 2 '' "mboxctl chown: an owner and a mailbox are needed$try" mboxctl chown 0
	check 2 '' "mboxctl chown: unknown user: 'nosuch'$try" mboxctl chown nosuch "$m"
	check 2 '' "mboxctl chown: invalid owner: 'root:'$try" mboxctl chown root: "$m"
}

# The descriptors of mailbox $1 as who knows them, without the heading and blanks.
held()
{
	mboxctl who -r --noheadings "$1"
}

test_who_shows_processes_and_their_rights()
{
	ok mboxctl create -m 0666 "$m"
	check 0 '' '' mboxctl who "$m"
	check 0 '[]' '' mboxctl who --json "$m"
	mboxctl recv "$m" >/dev/null &
	pid=$!
	await "$m" 1 receivers
	row=$(held "$m")
	case $row in
	"$pid root "[3-9]" recv no yes - - mboxctl $m") ;;
	"$pid root "[3-9]" recv no ? - - mboxctl $m") ;;
	*) wrong "who: '$row'" ;;
	esac
	case $(mboxctl who -j "$m") in
	"[{\"mailbox\":\"$m\",\"id\":$(id_of "$m"),\"pid\":$pid,\"uid\":0,\"command\":\"mboxctl\",\"fd\":"[3-9]",\"recv\":true,\"send\":false,\"nonblock\":false,\"waits\":true}]") ;;
	"[{"*"\"waits\":null}]") ;;
	*) wrong "who -j: '$(mboxctl who -j "$m")'" ;;
	esac
	# Without a mailbox, of all.
	check 0 1 '' sh -c "mboxctl who | grep -c '^ *$pid .* $m\$'"
	check 0 1 '' sh -c "mboxctl who 'id:$(id_of "$m")' | grep -c '^ *$pid .* $m\$'"
	check 0 "PID USER FD RIGHTS NONBLOCK WAITS READER UNREAD COMMAND MAILBOX" '' \
		sh -c "mboxctl who '$m' | head -n 1 | tr -s ' ' | sed 's/^ //'"
	fd=${row#* * }
	fd=${fd%% *}
	check 0 "MAILBOX PID FD$nl$m - -$nl\`-mboxctl $pid $fd" '' mboxctl who --tree -r -o pid,fd "$m"
	check 0 '{"handles":[{"mailbox":"'"$m"'","pid":null,"children":[{"mailbox":"'"$m"'","pid":'"$pid}]}]}" '' \
		sh -c "mboxctl who --tree -J -o pid '$m' | tr -d ' \n'"
	check 0 "MAILBOX PID USER FD RIGHTS NONBLOCK WAITS READER UNREAD" '' \
		sh -c "mboxctl who --tree '$m' | head -n 1 | tr -s ' '"
	check 0 "PID ID UID POLICY$nl$pid $(id_of "$m") 0 -" '' mboxctl who -r -o pid,id,uid,policy "$m"
	check 2 '' "mboxctl who: --json prints everything: it has no columns to choose*" \
		mboxctl who -j --tree
	ok mboxctl send "$m" x
	wait "$pid"
	check 0 '[]' '' mboxctl who -j "$m"
	check 1 '' "mboxctl who: no mailbox '$m-2' that you may see" mboxctl who "$m-2"
	ok mboxctl rm "$m"
}

test_receivers_choose_whether_senders_wait()
{
	# Senders wait by default.
	ok mboxctl create -c 2 --broadcast "$m"
	mboxctl tap -n 1 --drop-for-me "$m" >"$tmp/tap" 2>"$tmp/tap-err" &
	pid=$!
	until_ok sh -c "mboxctl who -j '$m' | grep '\"pid\":$pid,.*\"policy\":\"drop-oldest\"}'"
	kill -STOP "$pid"
	until_ok grep -q '^State:.[Tt]' "/proc/$pid/status"
	ok mboxctl send -d "$m" a b c
	kill -CONT "$pid"
	wait "$pid" || wrong "tap: status $?"
	check 0 1 '' grep -c ' len=1 b$' "$tmp/tap"
	check 0 'mboxctl tap: 1 messages were lost' '' cat "$tmp/tap-err"
	ok mboxctl rm "$m"

	# They do not, and may not be made to.
	ok mboxctl create -c 2 --broadcast --drop-oldest "$m"
	not="'$m' drops messages and does not allow that senders wait"
	check 1 '' "mboxctl recv: $not" mboxctl recv --wait-for-me "$m"
	check 1 '' "mboxctl tap: $not" mboxctl tap --wait-for-me "$m"
	check 3 '' "*temporarily unavailable" mboxctl recv -d --drop-for-me "$m"
	ok mboxctl rm "$m"

	# The owner allows it.
	ok mboxctl create -c 2 --broadcast --drop-oldest --allow-wait "$m"
	check 0 1 '' sh -c "mboxctl stat -j '$m' | grep -c '\"allow-wait\"'"
	mboxctl recv --wait-for-me -n 3 -T 60 "$m" >"$tmp/out" &
	pid=$!
	until_ok sh -c "mboxctl who -j '$m' | grep '\"pid\":$pid,.*\"policy\":\"wait\"}'"
	kill -STOP "$pid"
	until_ok grep -q '^State:.[Tt]' "/proc/$pid/status"
	check 3 '' "*temporarily unavailable" mboxctl send -d "$m" a b c
	kill -CONT "$pid"
	ok mboxctl send -T 60 "$m" c
	wait "$pid" || wrong "recv: status $?"
	check 0 abc '' cat "$tmp/out"
	ok mboxctl rm "$m"
	check 2 '' "*allow-wait needs broadcast and drop-oldest*" mboxctl create --broadcast --allow-wait "$m"
	ok mboxctl create "$m"
	check 1 '' "*Operation not supported" mboxctl recv --drop-for-me "$m"
	ok mboxctl rm "$m"
}

test_expel_ends_the_slowest_reader()
{
	ok mboxctl create -c 2 --broadcast "$m"
	mkdir "$tmp/mnt"
	ok mount -t mbox mbox "$tmp/mnt"
	sleep 1000 3<"$tmp/mnt/$m" &
	first=$!
	until_ok sh -c "mboxctl stat -j '$m' | grep '\"recv_handles\":1[,}]'"
	sleep 1000 3<"$tmp/mnt/$m" &
	second=$!
	until_ok sh -c "mboxctl stat -j '$m' | grep '\"recv_handles\":2[,}]'"
	none="mboxctl expel: cannot expel a reader of '$m': No such process"
	check 1 '' "$none" mboxctl expel "$m"
	ok mboxctl send "$m" a b
	mboxctl send "$m" c &
	await "$m" 1 senders
	check 0 1 '' sh -c "mboxctl who '$m' | tr -s ' ' | grep -c '^ *$first .* 1 2 sleep $m\$'"
	check 0 '1 2' '' mboxctl expel --dry-run "$m"
	check 1 '' "$none" mboxctl expel -u 3 "$m"
	check 1 '' "$none" mboxctl expel -r 3 "$m"
	check 0 '2 2' '' mboxctl expel --reader 2 --unread 2 "id:$(id_of "$m")"
	check 0 1 '' sh -c "mboxctl who '$m' | tr -s ' ' | grep -c '^ *$second .* 2 expelled sleep'"
	check 0 1 '' sh -c "mboxctl who -j '$m' |
		grep -c '\"pid\":$second,.*\"reader\":2,\"unread\":0,\"expelled\":true,\"policy\":\"wait\"}'"
	has "$m" "1 2" waiting_senders queued
	check 0 '1 2' '' mboxctl expel "$m"
	ended 0
	has "$m" "0 0" recv_handles queued
	kill "$first" "$second"
	wait "$first" "$second" 2>/dev/null || :
	umount "$tmp/mnt"
	rmdir "$tmp/mnt"
	try="${nl}try mboxctl expel --help"
	check 2 '' "mboxctl expel: a mailbox is needed$try" mboxctl expel
	check 2 '' "*has number 1*" mboxctl expel -r 0 "$m"
	check 2 '' "*invalid number of messages: 'x'*" mboxctl expel -u x "$m"
	ok mboxctl rm "$m"
	check 1 '' "mboxctl expel: cannot open '$m': No such file or directory" mboxctl expel "$m"
	ok mboxctl create "$m"
	check 1 '' "*Operation not supported" mboxctl expel "$m"
	ok mboxctl rm "$m"
}

# By a path, which leads to another network namespace here.
test_who_finds_mailboxes_of_other_namespaces()
{
	mkdir "$tmp/mnt"
	unshare -n sh -c "mount -t mbox mbox '$tmp/mnt' && mkfifo '$tmp/mnt/$m' && \
		exec sleep 1000 3<>'$tmp/mnt/$m'" &
	pid=$!
	until_ok test -p "$tmp/mnt/$m"
	until_ok sh -c "mboxctl who '$tmp/mnt/$m' | grep '^ *$pid  *root  *3  *recv,send  *no  *[n?]'"
	# Where there is no device, too.
	check 0 1 '' unshare -m sh -c "mount -t tmpfs tmpfs /dev &&
		mboxctl who '$tmp/mnt/$m' | grep -c '^ *$pid '"
	check 1 '' "mboxctl who: no mailbox '$m' that you may see" mboxctl who "$m"
	check 1 '' "mboxctl who: '$tmp/' is not a mailbox*" mboxctl who "$tmp/"
	check 1 '' "*No such file*" mboxctl who "$tmp/mnt/none"
	kill "$pid"
	wait "$pid" 2>/dev/null || :
	umount "$tmp/mnt"
	rmdir "$tmp/mnt"
}

test_who_says_that_it_cannot_see_all()
{
	ok mboxctl create -m 0666 "$m"
	mboxctl recv "$m" >/dev/null &
	await "$m" 1 receivers
	check 0 '[]' "mboxctl who: [1-9]* processes cannot be inspected without more privilege" \
		as_nobody mboxctl who -j "$m"
	ok mboxctl send "$m" x
	wait
	ok mboxctl rm "$m"
}

# The place of an error in the list.
place()
{
	echo "mboxctl apply: $tmp/list:$1:"
}

test_apply_makes_what_a_file_lists()
{
	cat >"$tmp/list" <<EOF
# type name mode user group capacity msg-max flags

queue $m
	queue	$m-a 0660 nobody 5 3 100 fair,hangup
 ring $m-b 0606 - nogroup 8 16 one-sender
queue $m-\\x20\\\\ - - - unbounded
EOF
	for round in 1 2; do
		ok mboxctl apply "$tmp/list"
		has "$m" "queue 0600 0 0 64 8192" kind mode uid gid capacity msg_max
		has "$m-a" "queue 0660 65534 5 3 100" kind mode uid gid capacity msg_max
		has "$m-b" "ring 0606 0 65534 8 16" kind mode uid gid capacity msg_max
		has "$m- \\" unbounded capacity
		# The second time nothing is created.
		[ "$round" = 2 ] || first=$(mboxctl ls --json)
	done
	same "$(mboxctl ls --json)" "$first"
	check 0 "flags:             hangup,fair" '' sh -c "mboxctl stat $m-a | sed '/^flags:/!d'"
	# The shell's umask does not matter.
	ok mboxctl rm "$m-a"
	(umask 077 && mboxctl apply - <"$tmp/list")
	has "$m-a" 0660 mode
	ok mboxctl rm "$m" "$m-a" "$m-b" "$m- \\"
}

test_apply_changes_what_differs()
{
	ok mboxctl create -c 2 -s 10 "$m"
	ok mboxctl send "$m" text
	echo "queue $m 0640 nobody nogroup 5" >"$tmp/list"
	ok mboxctl apply "$tmp/list"
	has "$m" "0640 65534 65534 5 10 1" mode uid gid capacity msg_max queued
	# What is not said stays.
	echo "queue $m - nobody 0" >"$tmp/list"
	ok mboxctl apply "$tmp/list"
	has "$m" "0640 65534 0 5" mode uid gid capacity
	# What cannot change is an error, and then nothing changes.
	cat >"$tmp/list" <<EOF
ring $m 0600 nobody
queue $m-a
queue $m-b - - - 4 10 fixed
EOF
	ok mboxctl create -c 4 "$m-b"
	check 1 '' "$(place 1) '$m' exists with attributes that cannot change: kind queue, not ring
$(place 3) '$m-b' exists with attributes that cannot change: flags none, not fixed; \
msg-max 8192, not 10" mboxctl apply "$tmp/list"
	has "$m" "queue 0640" kind mode
	ok mboxctl rm "$m-a" "$m-b"
	ok mboxctl create --ring -c 4 "$m-b"
	echo "ring $m-b 0644 - - 5" >"$tmp/list"
	check 1 '' "$(place 1) '$m-b' exists with attributes that cannot change: capacity 4, not 5" \
		mboxctl apply "$tmp/list"
	has "$m-b" 0600 mode
	ok mboxctl rm "$m" "$m-b"
}

test_apply_takes_over_no_mailbox_of_another_user()
{
	ok as_nobody mboxctl create -o nobody:nogroup "$m"
	for user in root 5 -; do
		echo "queue $m 0600 $user root" >"$tmp/list"
		check 1 '' "$(place 1) '$m' belongs to user nobody, who may have it open: \
remove it first" mboxctl apply "$tmp/list"
		has "$m" "0600 65534 65534" mode uid gid
	done
	# To its owner, to who applies, and to root it is no stranger's.
	echo "queue $m 0640 nobody" >"$tmp/list"
	chmod 644 "$tmp/list"
	ok mboxctl apply "$tmp/list"
	has "$m" "0640 65534" mode uid
	echo "queue $m 0600" >"$tmp/list"
	ok as_nobody mboxctl apply "$tmp/list"
	ok mboxctl chown root "$m"
	echo "queue $m 0644 5" >"$tmp/list"
	ok mboxctl apply "$tmp/list"
	has "$m" "0644 5" mode uid
	ok mboxctl rm "$m"
}

test_apply_opens_nothing_that_is_as_it_should_be()
{
	ok mboxctl create --hangup "$m-2"
	ok mkdir "$tmp/mnt"
	ok mount -t mbox mbox "$tmp/mnt"
	ok mkfifo "$tmp/mnt/$m"
	# Without CAP_DAC_OVERRIDE and the like, nobody could open it.
	ok chown nobody "$tmp/mnt/$m"
	ok chmod 0 "$tmp/mnt/$m"
	echo "queue $m 0 nobody" >"$tmp/list"
	chmod 644 "$tmp/list"
	ok as_nobody mboxctl apply "$tmp/list"
	echo "queue $m 0600 nobody" >"$tmp/list"
	check 1 '' "$(place 1) cannot open '$m': Permission denied" \
		as_nobody mboxctl apply "$tmp/list"
	echo "queue $m-2" >"$tmp/list"
	check 1 '' "$(place 1) '$m-2' exists, and you may not see it" \
		as_nobody mboxctl apply "$tmp/list"
	ok umount "$tmp/mnt"
	ok rmdir "$tmp/mnt"
	ok mboxctl rm "$m" "$m-2"
}

test_apply_goes_on_after_a_wrong_line()
{
	cat >"$tmp/list" <<EOF
queue
mail $m
queue $m 8
queue $m - nosuch
queue $m - - nosuch
queue $m - - - x
queue $m - - - - 0x
queue $m - - - - - fixed,
queue $m - - - - - fixed fixed
- $m
queue $m - - - - - drop-oldest,drop-newest
queue $m - - - - - one-sender
queue $m\\x
queue $m\\x00
queue $m/x
queue ..
queue ${longest}0
queue $m - - - 0 - broadcast
queue $m - - - - 0
queue $m
queue $m-2
queue $m 0600
EOF
	check 1 '' "$(place 1) a type and a name are needed
$(place 2) unknown type: 'mail'
$(place 3) invalid mode: '8'
$(place 4) unknown user: 'nosuch'
$(place 5) unknown group: 'nosuch'
$(place 6) invalid capacity: 'x'
$(place 7) invalid size: '0x'
$(place 8) unknown flag: ''
$(place 9) more than 8 fields
$(place 10) unknown type: '-'
$(place 11) drop-oldest and drop-newest exclude each other
$(place 12) one-sender and one-receiver are for rings
$(place 13) invalid escape in the name: '*x'
$(place 14) invalid escape in the name: '*x00'
$(place 15) cannot create '$m/x': Invalid argument: *no slash*
$(place 16) cannot create '..': Invalid argument: *no slash*
$(place 17) cannot create '${longest}0': File name too long
$(place 18) cannot create '$m': Invalid argument: *at least 1 message*
$(place 19) '$m' is already in $tmp/list:18
$(place 20) '$m' is already in $tmp/list:18
$(place 22) '$m' is already in $tmp/list:18" mboxctl apply "$tmp/list"
	ok mboxctl rm "$m-2"
	check 1 '' "*No such file*" mboxctl rm "$m"
	printf 'queue a\000b\nqueue %s' "$m" >"$tmp/list"
	check 1 '' "$(place 1) a NUL is in the line" mboxctl apply "$tmp/list"
	ok mboxctl rm "$m"
	check 1 '' "mboxctl apply: cannot open '$tmp/none': No such file or directory" \
		mboxctl apply "$tmp/none"
	check 1 '' "mboxctl apply: cannot read '$tmp': Is a directory" mboxctl apply "$tmp"
	check 1 '' "mboxctl apply: standard input:1: unknown type: 'x'" \
		sh -c 'echo x y | mboxctl apply -'
	# The same name in two files.
	echo "queue $m" >"$tmp/list"
	check 1 '' "mboxctl apply: $tmp/list:1: '$m' is already in $tmp/list:1" \
		mboxctl apply "$tmp/list" "$tmp/list"
	ok mboxctl rm "$m"
	# An owner that cannot be given leaves nothing.
	echo "queue $m - root" >"$tmp/list"
	chmod 644 "$tmp/list"
	check 1 '' "$(place 1) cannot change the owner of '$m': Operation not permitted" \
		as_nobody mboxctl apply "$tmp/list"
	check 1 '' "*No such file*" mboxctl rm "$m"
	ok mboxctl apply /dev/null
	check 2 '' "mboxctl apply: no file given${nl}try mboxctl apply --help" mboxctl apply
}

test_apply_takes_long_lists()
{
	i=0
	while [ "$i" -lt 200 ]; do
		i=$((i + 1))
		echo "queue $m-$i 0600 nobody"
	done >"$tmp/list"
	ok mboxctl apply "$tmp/list"
	ok mboxctl apply "$tmp/list"
	check 0 200 '' sh -c "mboxctl ls | grep -c ' $m-'"
	# shellcheck disable=SC2046 # words
	ok mboxctl rm $(sed 's/queue \([^ ]*\).*/\1/' "$tmp/list")
}

# The whole machine, its pipes too. Programs whose time_t has 32 bits can know these times.
test_files_can_have_times_after_2038()
{
	start=$(date +%s)
	: >"$tmp/out"
	ok mboxctl create "$m"
	ok mboxctl create --broadcast --history 1 "$m-2"
	mkdir "$tmp/mnt"
	mount -t mbox mbox "$tmp/mnt"
	if date -s @2208988800 >/dev/null 2>&1; then
		ok mboxctl send "$m" one two
		check 0 one '' mboxctl recv "$m"
		ok mboxctl recv -o "$tmp/out" "$m"
		same "$(cat "$tmp/out")" two
		ok mboxctl chmod 640 "$tmp/mnt/$m"
		check 0 '' '' mboxctl who -r --noheadings "$tmp/mnt/$m"
		ok mboxctl send "$m-2" x
		check 0 22089888 '' sh -c "mboxctl tap -n 1 '$m-2' | cut -c -8"
		touch /dev/mbox
		ok sh -c 'mboxctl doctor >/dev/null'
		date -s "@$start" >/dev/null
	else
		skip="cannot set the clock"
	fi
	umount "$tmp/mnt"
	rmdir "$tmp/mnt"
	ok mboxctl rm "$m" "$m-2"
}

test_nothing_is_left()
{
	check 0 "$before" '' mboxctl ls --json
}

tests=$(sed -n 's/^\(test_[a-z0-9_]*\)()$/\1/p' "$0")
# In 32 bits, for time: those of numbers, times and files.
[ ! -x ./mboxctl ] ||
	tests=$(echo "$tests" | grep -E '^test_(files|info|ls|nothing|recv|tap|wrong)_')
echo "KTAP version 1"
echo "1..$(echo "$tests" | wc -l)"
before=$(mboxctl ls --json)
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
exit $bad
