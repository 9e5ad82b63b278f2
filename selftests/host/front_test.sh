#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# What make and the scripts behind it say and refuse, without a guest and without a
# kernel. It needs the source tree. KTAP; each function test_* is one test: it prints
# what is wrong, and nothing when all is well.
#
# shellcheck disable=SC2317 # they are called by the names found at the end
# shellcheck disable=SC2016 # what is quoted is for another shell
set -eu
export LC_ALL=C

top=$(cd "$(dirname "$0")/../.." && pwd)
if [ ! -f "$top/Makefile" ] || [ ! -f "$top/selftests/tools/vm/check" ]; then
	echo "TAP version 13"
	echo "1..0 # SKIP no source tree"
	exit 4
fi
self=$top/selftests/host/${0##*/}
# shellcheck source=host_tests.sh
. "$top/selftests/host/host_tests.sh"
cd "$top"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM HUP
# What make check was told is not meant for those that are started here.
unset TESTS KERNEL KERNELS ACCEL CMD FILES BASE README_EXAMPLE_OUT MAKEFLAGS MFLAGS MAKELEVEL COUNTS

# says STATUS TEXT COMMAND...: the command exits with STATUS and says TEXT, an
# extended regular expression. What it said is left in $tmp/out.
says()
{
	want=$1
	text=$2
	got=0
	shift 2
	"$@" >"$tmp/out" 2>&1 </dev/null || got=$?
	if [ "$got" != "$want" ] || { [ -n "$text" ] && ! grep -Eq -e "$text" "$tmp/out"; }; then
		echo "$*: exit status $got, not $want, or no '$text' in:"
		cat "$tmp/out"
	fi
}

# A tree in which make has its front only. What is behind it says what it is called
# with; kernel.sh knows a kernel that a QEMU of ours runs, as $tmp/guest says.
front_tree()
{
	tree=$tmp/tree
	rm -rf "$tree" "$tmp/calls" "$tmp/cache" "$tmp/kvm"
	mkdir -p "$tree/selftests/tools/vm" "$tree/libuser"
	cp Makefile "$tree/"
	for file in in-vm run lib.sh accel.sh init klog.awk vmexit.c tsckhz.c; do
		cp "selftests/tools/vm/$file" "$tree/selftests/tools/vm/"
	done
	echo 'all:' >"$tree/libuser/Makefile"
	cat >"$tmp/env" <<-EOF
	KVER=6.1.0-0-none
	KDIR=
	KIMAGE=$tmp/env
	KARCH=amd64
	KQEMU=$tmp/qemu
	EOF
	for file in deps.sh module.sh initramfs.sh; do
		echo '#!/bin/sh' >"$tree/selftests/tools/vm/$file"
	done
	printf '#!/bin/sh\necho %s\n' "$tmp/env" >"$tree/selftests/tools/vm/kernel.sh"
	cat >"$tmp/qemu" <<-'EOF'
	#!/bin/sh
	[ "$1" != --version ] || { echo "QEMU of a test"; exit; }
	echo "$*" >>"${0%/*}/calls"
	. "${0%/*}/guest"
	EOF
	chmod +x "$tree"/selftests/tools/vm/*.sh "$tmp/qemu"
	# The end of an ordinary run, and the guest's command's status.
	cat >"$tmp/booted" <<-'EOF'
	for word; do
		case $word in
		file:*kernel.log) echo 'mbox-vm: end of log' >"${word#file:}" ;;
		file:*report) printf '%s\n' booted 'status 3' end >"${word#file:}" ;;
		esac
	done
	exit 85
	EOF
}

# ---- make vm, and how a machine is run ---------------------------------------

# A guest that ends as it should when it is tried; one that does not; one that hangs.
test_kvm_where_a_guest_boots()
{
	front_tree
	export XDG_CACHE_HOME="$tmp/cache" KVM_DEVICE="$tmp/kvm" PROBE_SECONDS=1
	echo 'exit 85' >"$tmp/guest"
	accel="$tree/selftests/tools/vm/accel.sh $tmp/qemu $tmp/env"
	# shellcheck disable=SC2086 # words
	{
		says 0 "no access to $tmp/kvm" $accel
		grep -qx tcg "$tmp/out" || echo "not tcg without a device"
		: >"$tmp/kvm"
		[ ! -e "$tmp/calls" ] || echo "tried without a device"
		says 0 '^kvm$' $accel
		grep -q -e '-accel kvm' "$tmp/calls" || echo "not tried with KVM"
		# Not tried again, whatever would come out.
		echo 'echo "error: no such thing" >&2; exit 1' >"$tmp/guest"
		says 0 '^kvm$' $accel
		rm -r "$tmp/cache"
		says 0 'no guest boots with KVM .error: no such thing.: QEMU emulates' $accel
		grep -qx tcg "$tmp/out" || echo "not tcg where QEMU fails"
		rm -r "$tmp/cache"
		echo 'kill -ABRT $$' >"$tmp/guest"
		says 0 '^tcg$' $accel
		[ "$(wc -l <"$tmp/out")" = 2 ] || cat "$tmp/out"
		rm -r "$tmp/cache"
		echo 'exec sleep 30' >"$tmp/guest"
		says 0 'no guest boots with KVM .nothing for 1 s.' $accel
		grep -qx tcg "$tmp/out" || echo "not tcg where a guest hangs"
	}
}

# With the guest's status come and gone, the runner's own is that of the command.
test_accel_is_what_qemu_is_told()
{
	front_tree
	export XDG_CACHE_HOME="$tmp/cache" KVM_DEVICE="$tmp/kvm"
	: >"$tmp/kvm"
	cp "$tmp/booted" "$tmp/guest"
	run=$tree/selftests/tools/vm/run
	says 3 'boots with KVM' "$run" -n true
	tail -n 1 "$tmp/calls" | grep -q -e '-cpu host .*-accel kvm' || cat "$tmp/calls"
	says 3 '' env ACCEL=tcg "$run" -n true
	tail -n 1 "$tmp/calls" |
		grep -q -e '-cpu max,cx16=off,-erms,-fsrm .*-accel tcg .*tsc=reliable' || cat "$tmp/calls"
	says 3 '' "$run" -A kvm -c -n true
	tail -n 1 "$tmp/calls" | grep -q -e '-accel tcg,thread=single -icount' || cat "$tmp/calls"
	says 2 "not 'fast'" make -s -C "$tree" demo ACCEL=fast
	says 2 "no such file" make -s -C "$tree" vm FILES="$tmp/none:/root/"
	says 2 "is not SRC:DEST" make -s -C "$tree" vm FILES="$tmp/env"
	says 2 "is not SRC:DEST" make -s -C "$tree" vm FILES="$tmp/env:root/"
}

# The runner says what it is called with.
test_commands_and_files_of_make_vm()
{
	front_tree
	cat >"$tree/selftests/tools/vm/run" <<-'EOF'
	#!/bin/sh
	printf '<%s>' "$@"
	echo " $ACCEL"
	for word; do
		case $word in
		*:/vm/commands) cat "${word%:*}" ;;
		esac
	done
	exit 7
	EOF
	says 2 'Error 7' make -s -C "$tree" vm CMD='echo "$HOME" $((1 + 1))  #x' \
		FILES="$tmp/env:/root/ $tmp/qemu:/bin/q" ACCEL=tcg
	grep -F "<-f><$tmp/env:/root/><-f><$tmp/qemu:/bin/q>" "$tmp/out" |
		grep -qF '<--><bash><-c><echo "$HOME" $((1 + 1))  #x> tcg' || cat "$tmp/out"
	# By the environment, too.
	CMD='echo $HOME' make -s -C "$tree" vm >"$tmp/out" 2>&1 </dev/null || :
	grep -qF '<-c><echo $HOME> auto' "$tmp/out" || cat "$tmp/out"
	got=0
	echo 'echo "from the pipe"; exit 7' | "$tree/selftests/tools/vm/in-vm" shell >"$tmp/out" 2>&1 ||
		got=$?
	[ "$got" = 7 ] || echo "exit status $got, not 7"
	grep -q '<--><bash></vm/commands>' "$tmp/out" || cat "$tmp/out"
	grep -qx 'echo "from the pipe"; exit 7' "$tmp/out" || echo "the commands are not there"
}

# ---- machines that lack something --------------------------------------------

# bare_machine USER: in $tmp/bin, the programs of a machine on which nothing is installed that
# is wanted, and USER is the caller. What its apt-get says is in $tmp/apt; it fails then.
bare_machine()
{
	rm -rf "${tmp:?}/bin"
	mkdir "$tmp/bin"
	for name in cat dirname df env grep head mktemp rm sed sh tail tr xargs; do
		ln -s "$(command -v "$name")" "$tmp/bin/$name"
	done
	printf '#!/bin/sh\necho %s\n' "$1" >"$tmp/bin/id"
	printf '#!/bin/sh\nexit 1\n' >"$tmp/bin/dpkg-query"
	printf '#!/bin/sh\n[ "$1" != show ] || echo "Depends: ${3:-$2}-12"\n' >"$tmp/bin/apt-cache"
	cat >"$tmp/bin/apt-get" <<-'EOF'
	#!/bin/sh
	echo "$*" >>"${0%/bin/*}/calls"
	case " $* " in
	*" update "*) [ -e "${0%/bin/*}/offline" ] || exit 0 ;;
	esac
	cat "${0%/bin/*}/apt"
	exit 100
	EOF
	chmod +x "$tmp/bin"/*
	rm -f "$tmp/calls" "$tmp/offline"
	: >"$tmp/apt"
}

test_packages_without_sudo()
{
	bare_machine 1000
	says 1 '^deps.sh: install these first, as root: bpftrace$' \
		env PATH="$tmp/bin" selftests/tools/vm/deps.sh tracing
	[ ! -e "$tmp/calls" ] || echo "apt was called"
	# With it, through it.
	printf '#!/bin/sh\nexport SUDO=1\n"$@"\n' >"$tmp/bin/sudo"
	chmod +x "$tmp/bin/sudo"
	says 1 '^deps.sh: cannot install: bpftrace$' \
		env PATH="$tmp/bin" selftests/tools/vm/deps.sh tracing
	grep -q -e '--no-remove .*install bpftrace' "$tmp/calls" || cat "$tmp/calls"
}

test_packages_without_a_network()
{
	bare_machine 0
	echo 'E: Failed to fetch http://nowhere/x.deb' >"$tmp/apt"
	says 1 '^deps.sh: apt cannot fetch packages: is there a network\?$' \
		env PATH="$tmp/bin" selftests/tools/vm/deps.sh tracing
	grep -q '^deps.sh: cannot install: bpftrace$' "$tmp/out" || cat "$tmp/out"
	: >"$tmp/offline"
	says 1 '^deps.sh: apt cannot fetch its lists: is there a network\?$' \
		env PATH="$tmp/bin" selftests/tools/vm/deps.sh tracing
	grep -q '^E: Failed to fetch' "$tmp/out" || echo "it keeps what apt said"
}

test_packages_without_space()
{
	bare_machine 0
	{
		echo 'After this operation, 512 MB of additional disk space will be used.'
		echo "E: You don't have enough free space in /var/cache/apt/archives/."
	} >"$tmp/apt"
	says 1 '^deps.sh: not enough space in /var/cache/apt/archives/; apt needs: 512 MB$' \
		env PATH="$tmp/bin" selftests/tools/vm/deps.sh tracing
}

# What there is to do is not begun.
test_a_cache_without_space()
{
	mkdir -p "$tmp/full" "$tmp/df"
	printf '#!/bin/sh\nprintf "Avail\\n   37\\n"\n' >"$tmp/df/df"
	chmod +x "$tmp/df/df"
	says 2 "^bash: a kernel needs 400 MiB in $tmp/full/mbox, and 37 MiB are free\$" \
		env PATH="$tmp/df:$PATH" XDG_CACHE_HOME="$tmp/full" \
		bash -c '. selftests/tools/vm/lib.sh; need_space 400 "a kernel"; echo on' bash
	! grep -qx on "$tmp/out" || echo "it goes on"
	says 0 '^on$' env PATH="$tmp/df:$PATH" XDG_CACHE_HOME="$tmp/full" \
		bash -c '. selftests/tools/vm/lib.sh; need_space 37 "a kernel"; echo on' bash
}

# ---- make help ---------------------------------------------------------------

# Every target but help itself has one line of at most 80 columns, under a heading.
test_help_names_each_target()
{
	make -s help >"$tmp/help"
	sed -n '/^\.PHONY:/,/[^\\]$/{s/^\.PHONY: *//; s/\\$//; p}' Makefile | xargs -n 1 |
		grep -vx help | sort >"$tmp/phony"
	[ -s "$tmp/phony" ] || echo "Makefile: no targets"
	sed -n 's/^  \([^ ]\{1,\}\)  .*/\1/p' "$tmp/help" | sort >"$tmp/named"
	diff "$tmp/phony" "$tmp/named" || :
	awk 'length > 80 && !/^KERNEL/ { print "too long: " $0 }
		/^$/ { heading = "" } /^[A-Z].*:$/ { heading = $0 }
		/^  / && heading == "" { print "under no heading: " $0 }' "$tmp/help"
	grep '^[A-Z][a-z ]*:$' "$tmp/help" | tr -d '\n' >"$tmp/headings"
	grep -qx 'Try:Build:Test:Measure:Check the source:Install:Clean:' "$tmp/headings" ||
		cat "$tmp/headings"
}

# ---- make lint-quick ---------------------------------------------------------

# A checkout in which everything is committed, for others to spoil. It finds the
# kernel's source where this machine has it.
checkout()
{
	mkdir "$tmp/checkout"
	tar -c --exclude=./build --exclude=./.git . | tar -x -C "$tmp/checkout"
	cd "$tmp/checkout"
	git init -q -b main
	git add -A
	git -c user.name=x -c user.email=x commit -qm x
}

# One fault for each check that has no need of the kernel's source; a fault in a file
# that has not changed is none of its business.
test_quick_lint_of_changed_files()
{
	for tool in git clang-format shellcheck; do
		command -v "$tool" >/dev/null || return 0
	done
	checkout
	quick="selftests/tools/lint/run -q"
	# shellcheck disable=SC2086 # words
	says 0 '^# 0 files differ' $quick spdx clang_format shellcheck
	echo 'x' >module/new.txt
	printf 'int  x ( void ) ;\n' >>module/send.c
	printf 'echo $x\n' >>selftests/tools/vm/module.sh
	echo 'MBOX_NO_SUCH_NAME' >>README.md
	says 2 '^# 4 files differ' make -s lint-quick
	grep -q '^# left out, .*: .*coccicheck .*sparse .*w1' "$tmp/out" ||
		echo "it does not say what it leaves out"
	grep -E '^(not )?ok' "$tmp/out" | grep -vw checkpatch | sed 's/ *#.*//' >"$tmp/got"
	printf 'not ok %s lint %s\n' 1 spdx 2 clang_format 3 shellcheck 4 docs >"$tmp/want"
	grep -q 'checkpatch_user' "$tmp/out" && echo 'ok 6 lint checkpatch_user' >>"$tmp/want"
	diff "$tmp/want" "$tmp/got"
	git -c user.name=x -c user.email=x commit -qam y
	rm module/new.txt
	# shellcheck disable=SC2086
	says 0 '^# 0 files differ' $quick shellcheck
	# shellcheck disable=SC2086
	says 1 '^# 3 files differ' env BASE=HEAD~ $quick shellcheck
}

# ---- make check --------------------------------------------------------------

# The kernel that there is not is not asked for.
test_a_test_that_there_is_not()
{
	for script in check check-all; do
		says 2 "^$script: no such test: nosuch other\$" env TESTS="queue nosuch other_test wait" \
			KERNEL=none KERNELS=none "selftests/tools/vm/$script" "$tmp/counts"
		grep -Eq '(^| )queue( |$)' "$tmp/out" || echo "$script: no list of tests"
		! grep -q none "$tmp/out" || echo "$script went on"
	done
	[ ! -e "$tmp/counts" ] || echo "something was counted"
}

# By the name of the program, of the file, or without its end.
test_names_of_tests()
{
	says 2 'no kernel none' env TESTS="queue queue_test docs_test.sh module_test" \
		KERNEL=none selftests/tools/vm/check "$tmp/counts"
}

# ---- make bench-holds --------------------------------------------------------

# run_of FOLDER [OPERATION INSTRUCTIONS]: what one machine leaves.
run_of()
{
	mkdir -p "$1"
	: >"$1/windows"
	{
		[ $# = 1 ] || echo "op ring senders|$2"
		echo end
	} >"$1/operations"
	[ $# = 1 ] || echo "90 0 0 0 $3 f spin_lock f:$3 0 0" >"$1/windows"
}

# The states are divided among two machines: with one state, one of them has none.
test_report_of_holds()
{
	report=selftests/bench/holds/report.py
	for runs in all tenth; do
		run_of "$tmp/$runs/0"
		run_of "$tmp/$runs/1" stat 80
	done
	says 0 '^1 operations, 0 with more than 100 ' python3 "$report" 100 "$tmp/all" "$tmp/tenth"
	grep -q '^ring senders  *stat  *80 ' "$tmp/out" || cat "$tmp/out"
	says 1 '80  ring senders | stat: f took it in' python3 "$report" 79 "$tmp/all" "$tmp/tenth"
	# A state that there is not, and machines that ended early.
	run_of "$tmp/all/1"
	says 2 'no operation at all' python3 "$report" 100 "$tmp/all" "$tmp/tenth"
	run_of "$tmp/all/1" stat 80
	: >"$tmp/all/0/operations"
	says 2 'all/0: 0 operations, 0 counted: not complete' \
		python3 "$report" 100 "$tmp/all" "$tmp/tenth"
	run_of "$tmp/all/0"
	: >"$tmp/all/1/windows"
	says 2 'all/1: 1 operations, 0 counted: not complete' \
		python3 "$report" 100 "$tmp/all" "$tmp/tenth"
}

# ---- make check-fs -----------------------------------------------------------

# What pjdfstest said is compared with the list in both directions.
test_rows_of_pjdfstest()
{
	judge=selftests/tools/pjdfstest/judge.py
	cat >"$tmp/rows" <<-'EOF'
	# A comment.
	open/00 4
	 | 2: there is a reason
	 | 3-4: there is another
	unlink/00 1
	EOF
	printf '%s\n' '@ open/00' 'ok 1' 'not ok 2 - tried x' 'not ok 3' 'not ok 4' \
		'@ unlink/00' 1..1 'ok 1' >"$tmp/said"
	says 0 '^# 5 rows, of which 3 differ' python3 "$judge" "$tmp/rows" "$tmp/said"
	sed 's/not ok 4/ok 4/' "$tmp/said" >"$tmp/said2"
	says 1 '^# row 4 succeeds' python3 "$judge" "$tmp/rows" "$tmp/said2"
	sed 's/^ok 1/not ok 1 - tried y/' "$tmp/said" >"$tmp/said2"
	says 1 '^# row 1: tried y' python3 "$judge" "$tmp/rows" "$tmp/said2"
	sed '/not ok 3/d' "$tmp/said" >"$tmp/said2"
	says 1 '^# 3 rows, not 4' python3 "$judge" "$tmp/rows" "$tmp/said2"
	sed '/^@ unlink/,$d' "$tmp/said" >"$tmp/said2"
	says 0 '^1..1' python3 "$judge" "$tmp/rows" "$tmp/said2"
	sed 's/^@ unlink/@ chmod/' "$tmp/said" >"$tmp/said2"
	says 1 '^# 1 rows, not 0' python3 "$judge" "$tmp/rows" "$tmp/said2"
	: >"$tmp/said2"
	says 1 '^1..0' python3 "$judge" "$tmp/rows" "$tmp/said2"
}

# ---- all of them -------------------------------------------------------------

run_tests "$self" "$tmp"
