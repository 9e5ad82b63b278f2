#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Building in a folder with a blank in its path, installing with a strict umask and
# with relative paths, and the completion that was installed. It needs the source
# tree, a compiler and bash, and neither the module nor a virtual machine. KTAP; each
# function test_* is one test: it prints what is wrong, and nothing when all is well.
#
# shellcheck disable=SC2317 # they are called by the names found at the end
set -eu
export LC_ALL=C

top=$(cd "$(dirname "$0")/../.." && pwd)
if [ ! -f "$top/libuser/Makefile" ] || ! command -v "${CC:-cc}" >/dev/null; then
	echo "TAP version 13"
	echo "1..0 # SKIP no source tree or no compiler"
	exit 4
fi
self=$top/selftests/host/${0##*/}
# shellcheck source=host_tests.sh
. "$top/selftests/host/host_tests.sh"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM HUP

# A tree of this test, to build in.
tree="$tmp/a tree"
mkdir -p "$tree/selftests/tools/vm"
cp -R "$top/Makefile" "$top/Kbuild" "$top/libuser" "$top/uapi" "$tree/"
mkdir -p "$tree/Documentation"
cp -R "$top/Documentation/man" "$tree/Documentation/"
cd "$tree"

# make as the user calls it, without what make check has set; not optimized, for time.
run_make()
{
	env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS make -s CFLAGS=-O0 "$@"
}

# build: once, whichever test comes first.
build()
{
	[ ! -e "$tree/build/lib/tools/mboxctl" ] || return 0
	run_make lib
}

# readable FOLDER: prints what in it not every user can read, or enter.
readable()
{
	find "$1" ! -type l \( ! -perm -444 -o -type d ! -perm -555 \) |
		sed 's/$/: not for every user/'
}

# has ROOT PREFIX: prints what is missing there.
has()
{
	for file in bin/mboxctl lib/libmbox.so lib/libmbox.so.0 lib/libmbox.a lib/libmbox-mq.so \
		lib/libmbox-sysv.so share/man/man7/mbox_sysv.7 \
		include/mbox.h include/mbox.hpp \
		include/linux/mbox.h lib/pkgconfig/libmbox.pc share/man/man1/mboxctl.1 \
		share/man/man7/mbox_mq.7 share/man/man3/mbox_send.3 share/man/man3/mbox_timedsend.3 \
		share/bash-completion/completions/mboxctl share/zsh/site-functions/_mboxctl \
		share/mbox/bpf/who-waits.bt share/mbox/bpf/latency.bt share/mbox/bpf/drops.bt \
		share/mbox/bpf/ring.bt; do
		[ -e "$1$2/$file" ] || echo "no $1$2/$file"
	done
	# Only where libnats is.
	! pkg-config --exists libnats 2>/dev/null || [ -e "$1$2/bin/mbox-nats" ] ||
		echo "no $1$2/bin/mbox-nats"
	[ -e "$1$2/share/man/man1/mbox-nats.1" ] || echo "no $1$2/share/man/man1/mbox-nats.1"
	# Only where libtirpc is.
	pkg-config --exists libtirpc 2>/dev/null || return 0
	for file in lib/libmbox-rpc.so lib/libmbox-rpc.so.0 lib/libmbox-rpc.a \
		lib/pkgconfig/libmbox-rpc.pc include/mbox_rpc.h \
		share/man/man3/svc_mbox_create.3; do
		[ -e "$1$2/$file" ] || echo "no $1$2/$file"
	done
}

test_build_in_a_path_with_a_blank()
{
	build
	build/lib/tools/mboxctl --version >"$tmp/version"
	grep -q '^mboxctl ' "$tmp/version" || echo "mboxctl does not run"
}

# What is installed has the version that Kbuild names.
test_one_version()
{
	version=$(sed -n 's/^MBOX_VERSION := //p' Kbuild)
	[ -n "$version" ] || echo "Kbuild: no MBOX_VERSION"
	build
	run_make install DESTDIR="$tmp/one" >/dev/null
	root=$tmp/one/usr/local
	"$root/bin/mboxctl" --version | head -n 1 | grep -qxF "mboxctl (libmbox) v$version" ||
		echo "mboxctl --version differs"
	grep -qxF "Version: $version" "$root/lib/pkgconfig/libmbox.pc" || echo "libmbox.pc differs"
	[ -e "$root/lib/libmbox.so.$version" ] || echo "no libmbox.so.$version"
	for page in "$tree"/Documentation/man/*; do
		page=${page##*/}
		grep -qxF ".Os mbox $version" "$root/share/man/man${page##*.}/$page" ||
			echo "$page: its footer differs"
	done
}

# The packages have it, too.
test_changelog_of_the_packages_has_the_version()
{
	version=$(sed -n 's/^MBOX_VERSION := //p' Kbuild)
	head -n 1 "$top/debian/changelog" | grep -q "^mbox ($version) " ||
		echo "debian/changelog: not $version"
}

test_uninstall_leaves_no_file()
{
	build
	run_make install DESTDIR="$tmp/gone" PREFIX=/usr >/dev/null
	has "$tmp/gone" /usr
	: >"$tmp/gone/usr/bin/other"
	run_make uninstall DESTDIR="$tmp/gone" PREFIX=/usr
	find "$tmp/gone" ! -type d ! -name other | sed 's/^/left: /'
	[ -e "$tmp/gone/usr/bin/other" ] || echo "removes what is not its own"
}

# Where their header is: those that the page lists, in the library and in a program that it
# was linked into. Nothing is needed to load the library that was not needed before.
test_probes()
{
	build
	echo '#include <sys/sdt.h>' | "${CC:-cc}" -E - >/dev/null 2>&1 || {
		echo "SKIP no sys/sdt.h"
		return 0
	}
	grep -o '^..ring_[a-z]*..  *id,' "$top/Documentation/tracing.rst" | tr -d '`' |
		cut -d ' ' -f 1 | sort >"$tmp/listed"
	[ -s "$tmp/listed" ] || echo "tracing.rst lists no probe"
	for file in libmbox.so tools/mboxctl; do
		readelf -n "build/lib/$file" >"$tmp/notes"
		sed -n 's/^ *Name: \(ring_.*\)/\1/p' "$tmp/notes" | sort -u | diff "$tmp/listed" - ||
			echo "$file: other probes than tracing.rst lists"
		# Each has three arguments.
		sed -n '/Provider: mbox/,/Arguments/s/^ *Arguments: //p' "$tmp/notes" |
			awk '{ line = $0 } gsub(/@/, "") != 3 { print "not three arguments: " line }'
		readelf -d "build/lib/$file" | grep -i 'NEEDED.*\(stap\|sdt\)' || :
	done
}

# With both compilers, if they are there; and the programs of its page.
test_header_for_c_plus_plus()
{
	build
	awk -v to="$tmp/page" '/^\.\. code-block:: cpp$/ { n++; inside = 1; next }
		inside && /^[^ ]/ { inside = 0 }
		inside { sub(/^   /, ""); print >(to n ".cpp") }' "$top/Documentation/cpp.rst"
	[ -e "$tmp/page3.cpp" ] || echo "cpp.rst: no three programs"
	found=
	for compiler in g++ clang++; do
		command -v "$compiler" >/dev/null || continue
		found=1
		for standard in c++17 c++20; do
			for file in libuser/include/mbox.hpp "$tmp"/page*.cpp; do
				"$compiler" -std="$standard" -Wall -Wextra -pedantic -Werror -fsyntax-only \
					-Ilibuser/include -Iuapi -x c++ -include mbox.hpp "$file" || echo "$file"
			done
		done
	done
	[ -n "$found" ] || echo "SKIP no compiler of C++"
}

# With the libraries of the build, as the library is not installed.
test_python_package()
{
	/usr/bin/python3 -c 'import os, sys, sysconfig
sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))' 2>/dev/null || {
		echo "SKIP no headers of Python"
		return 0
	}
	build
	(umask 077 && run_make -C libuser O=../build/lib DESTDIR="$tmp/py" PREFIX=/usr \
		python-install) >/dev/null
	packages=$tmp/py/usr/lib/python3/dist-packages
	readable "$tmp/py"
	for file in __init__.py __init__.pyi py.typed _mbox.abi3.so; do
		[ -e "$packages/mbox/$file" ] || echo "no $file"
	done
	LD_LIBRARY_PATH="$tree/build/lib" PYTHONPATH=$packages /usr/bin/python3 -c '
import mbox
assert mbox.__file__.startswith("'"$packages"'"), mbox.__file__' || echo "it cannot be imported"
	run_make -C libuser O=../build/lib DESTDIR="$tmp/py" PREFIX=/usr python-uninstall
	find "$tmp/py" ! -type d | sed 's/^/left: /'
	[ -d "$packages" ] && [ ! -e "$packages/mbox" ] || echo "$packages/mbox is still there"
}

test_a_strict_umask()
{
	build
	mkdir "$tmp/strict"
	(umask 077 && run_make install DESTDIR="$tmp/strict/new/root") >/dev/null
	has "$tmp/strict/new/root" /usr/local
	readable "$tmp/strict"
	[ -x "$tmp/strict/new/root/usr/local/bin/mboxctl" ] || echo "mboxctl cannot be run"
}

test_a_relative_destdir()
{
	build
	run_make install DESTDIR=stage PREFIX=/usr >/dev/null
	has "$tree/stage" /usr
	[ ! -e libuser/stage ] || echo "in libuser, too"
	(cd libuser && run_make install O=../build/lib DESTDIR=stage PREFIX=/usr >/dev/null)
	has "$tree/libuser/stage" /usr
	rm -rf stage libuser/stage
}

test_blanks_in_destdir_and_prefix()
{
	build
	run_make install DESTDIR="$tmp/a b" PREFIX="/opt/c d" >/dev/null
	has "$tmp/a b" "/opt/c d"
	[ ! -e "$tmp/a" ] || echo "there is '$tmp/a'"
	if command -v pkg-config >/dev/null; then
		flags=$(PKG_CONFIG_PATH="$tmp/a b/opt/c d/lib/pkgconfig" \
			pkg-config --cflags --libs libmbox)
		[ "$(eval "printf '%s\n' $flags")" = "$(printf '%s\n' '-I/opt/c d/include' \
			'-L/opt/c d/lib' -lmbox)" ] || echo "pkg-config: $flags"
	fi
}

test_a_relative_prefix_is_refused()
{
	build
	if run_make install DESTDIR="$tmp/none" PREFIX=usr >"$tmp/out" 2>&1; then
		echo "it succeeds"
	fi
	grep -q "not an absolute path: 'usr'" "$tmp/out" || cat "$tmp/out"
	[ ! -e "$tmp/none" ] || echo "something was installed"
}

test_a_build_folder_with_a_blank_is_refused()
{
	if run_make -C libuser O="$tmp/o p" >"$tmp/out" 2>&1; then
		echo "it succeeds"
	fi
	grep -q "O has a blank in it: '$tmp/o p'" "$tmp/out" || cat "$tmp/out"
}

# ---- completion in bash ------------------------------------------------------

# In $tmp/complete: mboxctl as it was installed, and a script that prints what bash
# offers for the words of a command line, the last of which the cursor is behind.
install_completion()
{
	[ ! -e "$tmp/complete" ] || return 0
	build
	run_make install DESTDIR="$tmp/complete" PREFIX=/usr >/dev/null
	mkdir "$tmp/complete/bin"
	# Only the list of mailboxes would need the module.
	cat >"$tmp/complete/bin/mboxctl" <<'EOF'
#!/bin/sh
here=${0%/bin/*}
case "$*" in
"ls --json") cat "$here/mailboxes" ;;
*) exec "$here/usr/bin/mboxctl" "$@" ;;
esac
EOF
	chmod +x "$tmp/complete/bin/mboxctl"
	cat >"$tmp/complete/mailboxes" <<'EOF'
[{"id":1,"name":"jobs","kind":"queue","flags":[]},
 {"id":2,"name":"job-2","kind":"queue","flags":[]},
 {"id":3,"name":null,"kind":"queue","flags":[]},
 {"id":4,"name":"job$(touch broken)","kind":"queue","flags":[]},
 {"id":5,"name":"job`touch broken`","kind":"queue","flags":[]},
 {"id":6,"name":"job;touch broken","kind":"queue","flags":[]},
 {"id":7,"name":"job\\u001b[31m","kind":"queue","flags":[]},
 {"id":8,"name":"job\",\"name\":\"x","kind":"queue","flags":[]},
 {"id":9,"name":"--job","kind":"queue","flags":[]},
 {"id":10,"name":"other","kind":"queue","flags":[]}]
EOF
	cat >"$tmp/complete/offer" <<'EOF'
PATH=$1/bin:$PATH
cd "$1"
. usr/share/bash-completion/completions/mboxctl
shift
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
function=$(complete -p "$1" | sed 's/.* -F \([^ ]*\) .*/\1/')
"$function" "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\n' "${COMPREPLY[@]}" | sort | paste -sd ' '
EOF
}

# offers WORDS COMMAND-LINE...: prints what is wrong
offers()
{
	want=$1
	shift
	got=$(bash "$tmp/complete/offer" "$tmp/complete" "$@" 2>&1)
	[ "$got" = "$want" ] || echo "$*: offers '$got', not '$want'"
}

test_completion_offers_commands_and_options()
{
	install_completion
	offers "--help --version apply bench call chmod chown create doctor expel export help info ls monitor recv \
rm send serve set-capacity stat tap unlink who" mboxctl ""
	offers "send serve set-capacity" mboxctl se
	offers "--dead-letter --deliveries --drop-newest --drop-oldest" mboxctl create --d
	offers "--destroy --help --version" mboxctl rm --
	offers "--count --help --jobs --status --timeout --version" mboxctl serve -
	# It has options of its own.
	offers "" mboxctl serve jobs cat -
	offers "" mboxctl nothing --
	offers "send serve set-capacity" mboxctl help se
	offers "" mboxctl info x
}

test_completion_offers_mailboxes()
{
	install_completion
	for command in ls stat who monitor send recv call serve set-capacity "chmod 600" \
		"chown :5" unlink rm; do
		# shellcheck disable=SC2086 # words
		offers "job-2 jobs" mboxctl $command job
		# shellcheck disable=SC2086
		offers "job-2 jobs" mboxctl $command --help job
	done
	offers "job-2 jobs" mboxctl rm -D other job
	offers "job-2 jobs" mboxctl send -p 3 --type = 5 job
	offers "job-2 jobs" mboxctl serve -T 1 job
	# A new one has a new name, and a text is any.
	offers "" mboxctl create job
	offers "" mboxctl send jobs job
	offers "job-2 jobs" mboxctl recv jobs job
	offers "" mboxctl stat id : job
}

# Other users choose the names: nothing in them is expanded.
test_completion_runs_nothing_in_a_name()
{
	install_completion
	offers "job-2 jobs other" mboxctl stat ""
	offers "" mboxctl stat "job\$"
	[ ! -e "$tmp/complete/broken" ] || echo "a name was run"
}

test_completion_offers_what_an_argument_can_be()
{
	install_completion
	offers "mailboxes" mboxctl send --file mail
	offers "mailboxes" mboxctl send -f mail
	offers "mailboxes" mboxctl recv --output = mail
	offers "bin mailboxes offer usr" mboxctl recv --output =
	offers "mailboxes" mboxctl serve jobs cat mail
	offers "mailboxes" mboxctl apply mail
	offers "root" mboxctl create --owner = roo
	offers "root" mboxctl create -o roo
	offers "root" mboxctl chown roo
	offers "" mboxctl chmod 6
	offers "unbounded" mboxctl create -c ""
	offers "unbounded" mboxctl set-capacity jobs u
	offers "" mboxctl recv --timeout ""
	offers "" mboxctl recv -m j
}

# ---- completion in zsh -------------------------------------------------------

# An interactive zsh on a terminal of its own completes the lines of the file "lines". What
# it would offer goes to the file "offers", a line for each, and nothing into the line.
install_zsh_completion()
{
	install_completion
	cat >"$tmp/complete/ask" <<'EOF'
zmodload zsh/zpty
zpty -b shell zsh -f
zpty -w shell 'source ./rc'
for ((i = 0; i < 1200; i++)); do
	# What it prints would fill the terminal.
	zpty -r -t shell text
	[[ ! -e done ]] || break
	sleep 0.05
done
zpty -d shell
[[ -e done ]] || print "zsh does not answer" >offers
EOF
	cat >"$tmp/complete/rc" <<'EOF'
PATH=$PWD/bin:$PATH
fpath=($PWD/usr/share/zsh/site-functions $fpath)
autoload -Uz compinit && compinit -u -D
lines=("${(@f)$(<lines)}")
# Calls that only ask which words match are those of the completion itself.
compadd()
{
	local -a added
	[[ ${@[(I)-[OAD]]} != 0 ]] || { builtin compadd -A added "$@"; offered+=($added) }
	builtin compadd "$@"
}
complete_line()
{
	_main_complete
	compstate[list]= compstate[insert]=
}
zle -C complete_line list-choices complete_line
complete_lines()
{
	for line in "$lines[@]"; do
		offered=() BUFFER=$line CURSOR=$#line
		zle complete_line
		print -r -- ${(ou)offered} >>offers
	done
	: >done
}
zle -N zle-line-init complete_lines
EOF
}

# Pairs of lines: what is typed, and what is offered.
test_completion_in_zsh()
{
	command -v zsh >/dev/null || {
		echo "SKIP no zsh"
		return 0
	}
	install_zsh_completion
	cat >"$tmp/pairs" <<'EOF'
mboxctl s
send serve set-capacity stat
mboxctl help se
send serve set-capacity
mboxctl --
--help --version
mboxctl create --d
--dead-letter --deliveries --drop-newest --drop-oldest
mboxctl rm -
--destroy --help --version -D -h -v
mboxctl nothing -

mboxctl stat job
job-2 jobs
mboxctl chown :5 job
job-2 jobs
mboxctl rm -D other job
job-2 jobs
mboxctl send -p 3 --type=5 job
job-2 jobs
mboxctl serve -T 1 job
job-2 jobs
mboxctl create job

mboxctl send jobs job

mboxctl recv jobs job
job-2 jobs
mboxctl stat job\;t

mboxctl send --file=mail
mailboxes
mboxctl recv --output mail
mailboxes
mboxctl serve jobs basename
basename
mboxctl serve jobs cat mail
mailboxes
mboxctl create -o roo
root
mboxctl create -c u
unbounded
mboxctl ls --sort=MO
MODE
mboxctl ls -o ID,NA
NAME
mboxctl ls --sy
--sysv
mboxctl ls --sort=KE
KEY
mboxctl recv --timeout j

EOF
	sed -n 'p;n' "$tmp/pairs" >"$tmp/complete/lines"
	sed -n 'n;p' "$tmp/pairs" >"$tmp/want"
	(cd "$tmp/complete" && zsh -f ask)
	diff "$tmp/want" "$tmp/complete/offers"
	[ ! -e "$tmp/complete/broken" ] || echo "a name was run"
}

# ---- the module --------------------------------------------------------------

# The module's part, with a script in the place of the one that calls kbuild.
test_modules_install()
{
	cat >selftests/tools/vm/module.sh <<'EOF'
#!/bin/sh
echo "$(umask)" "$@"
EOF
	chmod +x selftests/tools/vm/module.sh
	umask 077
	run_make modules_install KDIR=/nowhere DESTDIR=stage >"$tmp/out" 2>&1
	grep -qx ".*22 custom modules_install INSTALL_MOD_PATH=$tree/stage cmd_depmod=:" \
		"$tmp/out" || cat "$tmp/out"
	run_make modules_install KDIR=/nowhere INSTALL_MOD_PATH=/stage >"$tmp/out" 2>&1
	grep -q ' INSTALL_MOD_PATH=/stage ' "$tmp/out" || cat "$tmp/out"
	if run_make modules_install KDIR=/nowhere DESTDIR="/a b" >"$tmp/out" 2>&1; then
		echo "a blank is no error"
	fi
	grep -q "cannot install to a path with a blank: '/a b'" "$tmp/out" || cat "$tmp/out"
}

# ---- all of them -------------------------------------------------------------

run_tests "$self" "$tmp"
