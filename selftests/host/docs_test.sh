#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Whether the documentation and the code name the same things. It reads the
# source tree and needs neither the module nor a virtual machine. KTAP; exits 1
# when something differs. Each function test_* is one test: it prints what is
# wrong, and nothing when all is well.
#
# README_EXAMPLE_OUT=FILE: leave the program of the README there, linked with
# the static library.
#
# shellcheck disable=SC2317 # they are called by the names found at the end
# shellcheck disable=SC2016 # the backquotes are those of the pages
set -eu
export LC_ALL=C

top=$(cd "$(dirname "$0")/../.." && pwd)
if [ ! -f "$top/README.md" ] || [ ! -f "$top/uapi/linux/mbox.h" ]; then
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

uapi=uapi/linux/mbox.h
page=Documentation/userspace-api/mbox.rst
man=Documentation/man
testing=Documentation/testing.rst
pages=$(find Documentation -name '*.rst')
texts="README.md CHANGELOG.md CONTRIBUTING.md SECURITY.md"

# ---- tools -------------------------------------------------------------------

# contained A B NAME-OF-A NAME-OF-B: each line of file A must be in file B.
contained()
{
	sort -u "$1" >"$tmp/a"
	sort -u "$2" >"$tmp/b"
	comm -23 "$tmp/a" "$tmp/b" | while read -r line; do
		echo "$line: in $3, not in $4"
	done
}

# same A B NAME-OF-A NAME-OF-B: the same lines, and at least one.
same()
{
	[ -s "$1" ] || echo "$3: nothing found"
	contained "$1" "$2" "$3" "$4"
	contained "$2" "$1" "$4" "$3"
}

# What page $1 has in double backquotes, one a line, also across lines.
literals()
{
	tr '\n' ' ' <"$1" | sed 's/``/\n/g' | awk 'NR % 2 == 0' | tr -s ' '
}

# Section $2 of page $1, by its title, down to the next of the same underline.
section()
{
	awk -v title="$2" '
		{ line[NR] = $0 }
		END {
			for (i = 1; i <= NR && line[i] != title; i++)
				;
			mark = substr(line[i + 1], 1, 1)
			for (i += 2; i <= NR; i++) {
				if (line[i + 1] ~ "^" mark "+$" && line[i] != "" && \
				    length(line[i]) == length(line[i + 1]))
					break
				print line[i]
			}
		}' "$1"
}

# Words of standard input that match the basic regular expression $1.
words()
{
	tr -c 'A-Za-z0-9_' '\n' | sed -n "/^$1\$/p"
}

# Everything that a page can call by a name in capitals.
known_constants()
{
	cat "$uapi" libuser/include/mbox.h module/*.[ch] libuser/tools/*.c selftests/tools/vm/* |
		words 'MBOX_[A-Z0-9_]*' | sort -u
}

uapi_constants()
{
	sed -n 's/^#define[ \t]*\(MBOX_[A-Z0-9_]*\)[ \t].*/\1/p' "$uapi"
}

ioctl_names()
{
	sed -n 's/^#define[ \t]*\(MBOX_IOC_[A-Z_]*\)[ \t]*_IO.*/\1/p' "$uapi"
}

# ---- the kernel interface ----------------------------------------------------

test_constants_of_the_interface_are_documented()
{
	uapi_constants >"$tmp/header"
	words 'MBOX_[A-Z0-9_]*' <"$page" >"$tmp/page"
	[ -s "$tmp/header" ] || echo "$uapi: no constants"
	contained "$tmp/header" "$tmp/page" "$uapi" "$page"
	sed -n 's/^#define[ \t]*\(MBOX_[A-Z0-9_]*\).*/\1/p' \
		libuser/include/mbox.h >>"$tmp/header"
	# Macros with arguments may be named.
	sed -n 's/^#define[ \t]*\(MBOX_[A-Z0-9_]*\)(.*/\1/p' "$uapi" >>"$tmp/header"
	contained "$tmp/page" "$tmp/header" "$page" "the headers"
}

test_structures_of_the_interface_are_documented()
{
	sed -n 's/^struct \(mbox_[a-z_]*\) {$/\1/p' "$uapi" >"$tmp/header"
	tr -s '\n ' '  ' <"$page" | sed 's/struct /\n/g' |
		sed -n 's/^\(mbox_[a-z_]*\).*/\1/p' >"$tmp/page"
	same "$tmp/header" "$tmp/page" "$uapi" "$page"
}

test_fields_of_the_structures_are_documented()
{
	awk '/^struct mbox_[a-z_]* {$/ { inside = 1; next }
		/^};/ { inside = 0 }
		inside && sub(/(\[.*\])?;$/, "") { print $NF }' "$uapi" >"$tmp/header"
	literals "$page" | words '[a-z_0-9]*' >"$tmp/page"
	[ -s "$tmp/header" ] || echo "$uapi: no fields"
	contained "$tmp/header" "$tmp/page" "$uapi" "$page"
}

# name number direction structure size required
ioctls_of_the_code()
{
	{
		sed -n 's/^static_assert(sizeof(struct \(mbox_[a-z_]*\)) == \([0-9]*\));/size \1 \2/p' \
			module/abi_check.c
		sed -n 's/^static_assert(END(\(mbox_[a-z_]*\), \([a-z_.]*\)) == \([0-9]*\));/end \1.\2 \3/p' \
			module/abi_check.c
		tr '\n' ' ' <module/device.c >"$tmp/rows"
		tr '\n' ' ' <module/handle_ioctl.c >>"$tmp/rows"
		grep -o '\bIOCTL(MBOX_IOC_[^)]*)' "$tmp/rows" | tr -d ' \t' |
			sed 's/IOCTL(\([^,]*\),[^,]*,\([^,]*\),\(.*\))/last \1 \2.\3/'
		sed -n 's/^#define[ \t]*\(MBOX_IOC_[A-Z_]*\)[ \t]*_IO\([WR]*\)(MBOX_IOC_MAGIC, \(0x[0-9a-f]*\)\(, struct \([a-z_]*\)\)*)/ioctl \1 \3 \2x \5/p' "$uapi"
	} | awk '
		$1 == "size" { size[$2] = $3 }
		$1 == "end" { end[$2] = $3 }
		$1 == "last" {
			if ($2 in last && last[$2] != $3)
				print $2, "has rows of different lengths"
			last[$2] = $3
		}
		$1 == "ioctl" {
			dir = $4 == "x" ? "none" : $4 == "WRx" ? "RW" : substr($4, 1, 1)
			need = end[last[$2]]
			print $2, $3, dir, $5 == "" ? "none" : $5, size[$5] + 0, need + 0
		}'
}

test_table_of_ioctls_is_right()
{
	ioctls_of_the_code >"$tmp/header"
	sed -n 's/^`\(MBOX_IOC_[A-Z_]*\)`_ *\(0x.*[0-9]\)$/\1 \2/p' "$page" |
		sed 's/struct //' | tr -s ' ' >"$tmp/page"
	same "$tmp/header" "$tmp/page" "the code" "$page"
}

test_each_ioctl_has_a_section()
{
	ioctl_names >"$tmp/header"
	awk '/^-+$/ { print last } { last = $0 }' "$page" |
		sed -n '/^MBOX_IOC_[A-Z_]*$/p' >"$tmp/page"
	same "$tmp/header" "$tmp/page" "$uapi" "the sections of $page"
}

test_bits_of_the_flags_are_right()
{
	# Limits are no flags, even if they are powers of two.
	sed -n '/_MAX/d; s/^#define[ \t]*\(MBOX_[A-Z_]*\)[ \t]*(1U << \([0-9]*\)).*/\1 \2/p' \
		"$uapi" >"$tmp/header"
	{
		sed -n 's/^``\(MBOX_[A-Z_]*\)`` *\([0-9][0-9]*\) .*/\1 \2/p' "$page"
		tr '\n' ' ' <"$page" | sed 's/``MBOX_/\n&/g' |
			sed -n 's/^``\(MBOX_[A-Z_]*\)`` (bit \([0-9]*\)).*/\1 \2/p'
	} >"$tmp/page"
	same "$tmp/header" "$tmp/page" "$uapi" "$page"
}

test_errors_are_listed()
{
	sed -n '/^ \* Errors/,/^ \*\//p' "$uapi" |
		sed -n 's/^ \*   \(E[A-Z0-9]*\)\(, \(E[A-Z0-9]*\)\)*  .*/\1 \3/p' |
		words 'E[A-Z0-9]*' >"$tmp/header"
	section "$page" Errors | sed -n 's/^``\(E[A-Z0-9]*\)``.*/\1/p' >"$tmp/page"
	same "$tmp/header" "$tmp/page" "$uapi" "$page, Errors"
}

# Anywhere, also in the manual pages: no name in capitals that does not exist.
test_constants_in_all_pages_exist()
{
	known_constants >"$tmp/known"
	for file in $texts $pages "$man"/*; do
		sed '/^\.Dt/d; s/\\[a-zA-Z]//g' "$file" | words 'MBOX_[A-Z0-9_]*' >"$tmp/page"
		contained "$tmp/page" "$tmp/known" "$file" "the code"
	done
}

# ---- the library -------------------------------------------------------------

map_symbols()
{
	sed -n 's/^\t\([a-z_]*mbox_[a-z_]*\);$/\1/p' "$@"
}

# Declarations begin at the left margin, and may go over lines.
declared()
{
	sed -n 's/^[a-zA-Z][^(]*[ *]\([a-z_]*mbox_[a-z_]*\)(.*/\1/p' "$@"
}

map=libuser/libmbox.map
rpc_map=libuser/rpc/libmbox-rpc.map
header=libuser/include/mbox.h
rpc_header=libuser/rpc/mbox_rpc.h

test_symbol_map_and_header_agree()
{
	map_symbols "$map" >"$tmp/map"
	declared "$header" >"$tmp/header"
	same "$tmp/map" "$tmp/header" libmbox.map mbox.h
	map_symbols "$rpc_map" >"$tmp/map"
	declared "$rpc_header" >"$tmp/header"
	same "$tmp/map" "$tmp/header" libmbox-rpc.map mbox_rpc.h
}

test_symbol_map_and_library_agree()
{
	build_library || return 0
	map_symbols "$map" >"$tmp/map"
	nm -D --defined-only "$tmp/lib/libmbox.so" |
		awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' >"$tmp/exported"
	same "$tmp/map" "$tmp/exported" libmbox.map libmbox.so
}

# A thread of mbox_notify() can still be at its last instructions.
test_library_stays_when_it_is_closed()
{
	build_library || return 0
	readelf -d "$tmp/lib/libmbox.so" | grep -q NODELETE || echo "dlclose() would unmap it"
}

test_each_function_has_one_manual_page()
{
	map_symbols "$map" "$rpc_map" >"$tmp/map"
	for file in "$man"/*.3; do
		awk '/^\.Nd/ { exit } /^\.Nm/ { print $2 }' "$file"
	done >"$tmp/names"
	same "$tmp/map" "$tmp/names" libmbox.map "the NAME sections of $man"
	sort "$tmp/names" | uniq -d | sed 's/$/: in two manual pages/'
	for file in "$man"/*.3; do
		awk '/^\.Nd/ { exit } /^\.Nm/ { print $2 }' "$file" >"$tmp/names"
		awk '/^\.Sh/ { in_it = $2 == "SYNOPSIS" }
			in_it && (/^\.Fn/ || /^\.Fo/) { print $2 }' "$file" >"$tmp/synopsis"
		same "$tmp/names" "$tmp/synopsis" "NAME of $file" "its SYNOPSIS"
	done
}

# mbox.h leaves errors, limits and standards to them.
test_manual_pages_of_functions_are_complete()
{
	for file in "$man"/*.3; do
		for title in NAME LIBRARY SYNOPSIS DESCRIPTION "RETURN VALUES" ERRORS \
			"SEE ALSO" STANDARDS; do
			grep -qx "\.Sh $title" "$file" || echo "$file: no section $title"
		done
	done
}

# The version follows when a page is installed (install-man.sh).
test_footers_of_manual_pages_name_the_project()
{
	for file in "$man"/*; do
		grep -qx '\.Os mbox' "$file" || echo "$file: no line .Os mbox"
	done
}

test_functions_in_manual_pages_exist()
{
	map_symbols "$map" "$rpc_map" >"$tmp/map"
	for file in "$man"/*; do
		sed -n 's/^\.\(Fn\|Fo\|Xo Fn\) \(mbox_[a-z_]*\).*/\2/p' "$file" >"$tmp/page"
		contained "$tmp/page" "$tmp/map" "$file" libmbox.map
		# References to other pages, and the names that they also have.
		sed -n 's/^\.Xr \(mbox[a-z_]*\) \([0-9]\).*/\1 \2/p' "$file" |
		while read -r name volume; do
			[ -e "$man/$name.$volume" ] ||
				grep -qsx "\.Nm $name\( ,\)*" "$man"/*."$volume" ||
				echo "$file: no page $name($volume)"
		done
	done
}

test_functions_in_other_pages_exist()
{
	declared "$header" "$rpc_header" >"$tmp/known"
	cat module/*.[ch] | sed 's/[A-Za-z_0-9]*(/\n&\n/g' |
		sed -n 's/^\([A-Za-z_0-9]\{1,\}\)($/\1/p' >>"$tmp/known"
	for file in $texts $pages; do
		sed 's/[a-z_0-9]*(/\n&\n/g' "$file" | sed -n 's/^\(mbox_[a-z_0-9]*\)($/\1/p' \
			>"$tmp/page"
		# With empty parentheses, the kernel's too.
		sed 's/[A-Za-z_0-9]*()/\n&\n/g' "$file" |
			sed -n 's/^\([A-Za-z_0-9]\{1,\}\)()$/\1/p' >"$tmp/all"
		# These have whole programs, with functions of the C library and of others, or
		# are about another language.
		case $file in
		README.md|Documentation/rpc.rst|Documentation/cpp.rst|Documentation/python.rst| \
			Documentation/event-loops.rst) ;;
		*) cat "$tmp/all" >>"$tmp/page" ;;
		esac
		contained "$tmp/page" "$tmp/known" "$file" "the code"
	done
}

# Kbuild has it; what cannot read it there is compared.
test_version_is_right()
{
	version=$(sed -n 's/^MBOX_VERSION := //p' Kbuild)
	echo "$version" | grep -qx '[0-9]*\.[0-9]*\.[0-9]*' || echo "Kbuild: no MBOX_VERSION"
	echo "$version" >"$tmp/version"
	spans Documentation/packaging.rst | sed -n 's/^LIBDIR\/libmbox\.so\.\(.*\..*\)/\1/p' >"$tmp/page"
	same "$tmp/version" "$tmp/page" Kbuild Documentation/packaging.rst
	# No symbol is of a release that is still to come.
	sed -n 's/^MBOX_\([0-9.]*\) {$/\1/p' libuser/libmbox.map >"$tmp/map"
	[ -s "$tmp/map" ] || echo "libmbox.map: no version"
	newest=$(sort -V "$tmp/map" "$tmp/version" | tail -n 1)
	[ "$newest" = "$version" ] || echo "libmbox.map: MBOX_$newest, in version $version"
}

# ---- errors ------------------------------------------------------------------

# Errors of ioctl $1 as its section of the page lists them, those of the ioctls that it
# refers to included.
errors_of_ioctl()
{
	section "$page" "$1" | sed '/^===/,$d' | sed -n '/[Ee]rrors/,$p' >"$tmp/section.$1"
	grep -o '``E[A-Z0-9]*``' "$tmp/section.$1" | tr -d '`'
	tr '\n' ' ' <"$tmp/section.$1" | grep -o 'of `MBOX_IOC_[A-Z_]*`_' | tr -d '`' |
		sed 's/of \(.*\)_$/\1/' | grep -vx "$1" |
	while read -r other; do
		errors_of_ioctl "$other"
	done
}

# Errors of the manual page of function $1, those of the pages that it refers to with "as"
# included.
errors_of_page()
{
	awk '/^\.S[hs]/ { inside = $2 == "ERRORS" } inside' "$man/$1.3" >"$tmp/errors.$1"
	sed -n 's/^\.\(It Bq \)\{0,1\}Er //p' "$tmp/errors.$1" | words 'E[A-Z0-9]*'
	awk '/^\.Xr/ && as { print $2 }
		{ as = / as$/ || (as && /^(\.Fn|and|do; see|\.Xr)/) }' "$tmp/errors.$1" |
		grep -v '^mbox$' |
	while read -r other; do
		errors_of_page "$other"
	done
}

# A page; the ioctls that its functions make; errors that come from elsewhere: the open of
# /dev/mbox, the handles of direct links, mmap, and the library; and errors of the ioctls
# that a caller of the functions cannot get, because the library makes the structures.
calls_of_the_pages()
{
	cat <<'EOF'
mbox_call CALL,REPLY,REPLY_RECV,CALLMSG,REPLYMSG EIO,EBUSY,EPROTONOSUPPORT,EUSERS,EPERM
mbox_call_start CALL_START,CALL_WAIT,CALL_CANCEL EIO,EBUSY,EPROTONOSUPPORT,EUSERS,EPERM
mbox_create CREATE,OPEN EBADF,EIDRM,ENODEV EFAULT
mbox_direct DIRECT EACCES,EBADF,ENODEV,ENOENT EFAULT
mbox_expel EXPEL EBADF
mbox_notify NOTIFY EAGAIN,EMFILE,ENFILE,EPERM EFAULT
mbox_recv RECV EBUSY,EIO,EPERM,EPROTONOSUPPORT
mbox_send SEND EBUSY,EIO,EPERM,EPROTONOSUPPORT,EUSERS
mbox_set_reader SET_READER EBADF EFAULT
mbox_sendmmsg SENDV,RECVV EBUSY,EIO,EPERM,EPROTONOSUPPORT,EUSERS
mbox_stat STAT,SET_CAPACITY EBADF,EOPNOTSUPP
mbox_unlink UNLINK,DESTROY EMFILE,ENFILE,ENODEV,ENOMEM EFAULT
mbox_walk WALK,INFO EACCES,EMFILE,ENFILE,ENODEV,ENOMEM
EOF
}

test_manual_pages_have_the_errors_of_their_ioctls()
{
	calls_of_the_pages | while read -r name ioctls others never; do
		for ioctl in $(echo "$ioctls" | tr ',' ' '); do
			errors_of_ioctl "MBOX_IOC_$ioctl"
		done | grep -vx -e E2BIG -e "${never:-none}" >"$tmp/ioctls"
		errors_of_page "$name" >"$tmp/names"
		contained "$tmp/ioctls" "$tmp/names" "$page" "$man/$name.3"
		echo "$others" | tr ',' '\n' >>"$tmp/ioctls"
		contained "$tmp/names" "$tmp/ioctls" "$man/$name.3" "$page, $ioctls"
	done
	# What a page leaves to the common list is there.
	awk '/^\.S[hs]/ { inside = $2 == "Errors" } inside' "$man/mbox.7" |
		sed -n 's/^\.It Bq Er //p' | words 'E[A-Z0-9]*' >"$tmp/common"
	for file in "$man"/*.3; do
		awk '/^\.S[hs]/ { inside = $2 == "ERRORS" } inside' "$file" |
			sed -n '/^\.Bl/,/^\.El/d; s/^\.Er //p' | words 'E[A-Z0-9]*' >"$tmp/names"
		contained "$tmp/names" "$tmp/common" "$file" "the errors of mbox(7)"
	done
}

# ---- mboxctl -----------------------------------------------------------------

ctl_page=$man/mboxctl.1

# Into $tmp/help/NAME the help text of each command, and the names to $tmp/ctl. Its
# help texts are made from the table that it parses options with.
help_texts()
{
	[ ! -e "$tmp/ctl" ] || return 0
	build_library tools/mboxctl || return 1
	mboxctl=$tmp/lib/tools/mboxctl
	mkdir "$tmp/help"
	"$mboxctl" --help >"$tmp/help/mboxctl"
	sed -n '/^Commands:/,/^$/s/^  \([a-z-]*\) .*/\1/p' "$tmp/help/mboxctl" >"$tmp/ctl"
	while read -r command; do
		"$mboxctl" "$command" --help >"$tmp/help/$command"
	done <"$tmp/ctl"
}

# "COMMAND -c --capacity CAPACITY", in the order of the help texts. What every command
# has is not in its list in the page.
options_of_the_help()
{
	while read -r command; do
		sed -nE "s/^  (-.), (--[^ ]*)( [A-Z]+)?  .*/$command \1 \2\3/p
			s/^      (--[^ ]*)( [A-Z]+)?  .*/$command - \1\2/p" "$tmp/help/$command" |
			grep -v ' --help$\| --version$' || :
	done <"$tmp/ctl"
}

# The same from the lists of the page.
options_of_the_page()
{
	awk '/^\.S[hs]/ { name = $2 == "mboxctl" ? $3 : "" }
		name && /^\.It Fl/ {
			gsub(/\\-/, "-")
			letter = $4 == "," ? $3 : ""
			long = letter ? $6 : $3
			arg = $(NF - 1) == "Ar" ? " " toupper($NF) : ""
			print name, "-" letter, "-" long arg
		}' "$ctl_page"
}

test_options_of_mboxctl_are_documented()
{
	help_texts || return 0
	options_of_the_help >"$tmp/code"
	options_of_the_page >"$tmp/page"
	same "$tmp/code" "$tmp/page" "mboxctl --help" "$ctl_page"
	cmp -s "$tmp/code" "$tmp/page" || echo "$ctl_page: not in the order of --help"
	sed -n 's/^\.Ss mboxctl //p' "$ctl_page" | sort >"$tmp/page"
	sort "$tmp/ctl" >"$tmp/code"
	same "$tmp/code" "$tmp/page" "mboxctl --help" "the sections of $ctl_page"
}

# "COMMAND -c CAPACITY" for each option, and "COMMAND: OPERANDS".
synopsis_of_the_help()
{
	options_of_the_help | awk '{ print $1, $2 == "-" ? $3 : $2, $4 }' | sed 's/ $//'
	while read -r command; do
		sed -n "s/^Usage: mboxctl $command \[OPTIONS\]/$command:/p" "$tmp/help/$command"
	done <"$tmp/ctl"
}

synopsis_of_the_page()
{
	awk '
		function operand(i) {
			return toupper($i) ($(i + 1) == "..." ? "..." : "")
		}
		function end() {
			if (name)
				print name ":" operands
			name = operands = ""
		}
		/^\.Sh/ { inside = $2 == "SYNOPSIS" }
		!inside || /^\.Nm/ { end() }
		!inside { next }
		/^\.Cm/ { name = $2 }
		/^\.Ar/ { operands = operands " " operand(2) }
		/^\.Op Ar/ { operands = operands " [" operand(3) "]" }
		name && /^\.Op Fl/ {
			n = 0
			for (i = 3; i <= NF; i++) {
				if ($i == "|" || $i == "Fl")
					continue
				if ($i == "Ar")
					option[n - 1] = option[n - 1] " " toupper($(++i))
				else if (sub(/^\\-/, "--", $i))
					option[n++] = $i
				else
					for (j = 1; j <= length($i); j++)
						option[n++] = "-" substr($i, j, 1)
			}
			for (i = 0; i < n; i++)
				print name, option[i]
		}' "$ctl_page"
}

test_synopsis_of_mboxctl_is_right()
{
	help_texts || return 0
	synopsis_of_the_help >"$tmp/code"
	synopsis_of_the_page >"$tmp/page"
	same "$tmp/code" "$tmp/page" "mboxctl --help" "SYNOPSIS of $ctl_page"
}

test_help_texts_of_mboxctl_fit_a_terminal()
{
	help_texts || return 0
	awk 'length > 79 { print FILENAME ": " $0 }' "$tmp"/help/* | sed "s,^$tmp/help/,,"
}

# ---- seeing inside, parameters -----------------------------------------------

# "event field" for each; events of a class have its fields.
tracepoints_of_the_code()
{
	awk '
		match($0, /^(TRACE_EVENT|DECLARE_EVENT_CLASS|DEFINE_EVENT)\(/) {
			kind = substr($0, 1, RLENGTH - 1)
			split(substr($0, RLENGTH + 1), name, /[, ]+/)
			current = name[1]
			if (kind == "TRACE_EVENT")
				print current
			if (kind == "DEFINE_EVENT") {
				print name[2]
				n = split(fields[current], f, " ")
				for (i = 1; i <= n; i++)
					print name[2], f[i]
			}
		}
		match($0, /__(field|string|array|dynamic_array)\(/) {
			field = substr($0, RSTART + RLENGTH)
			split(field, part, /[,)] */)
			field = $0 ~ /__string/ ? part[1] : part[2]
			if (kind == "TRACE_EVENT")
				print current, field
			else
				fields[current] = fields[current] " " field
		}' module/trace.h
}

tracepoints_of_the_page()
{
	section "$page" Tracepoints | awk '
		/^``mbox:/ { gsub(/``|mbox:/, ""); current = $1; print current; next }
		/^[^ ]/ { current = "" }
		current { sub(/^ +/, ""); text[current] = text[current] " " $0 }
		END {
			for (event in text) {
				n = split(text[event], part, /Fields/)
				if (match(part[n], /as ``mbox:[a-z_]*``/))
					like[event] = substr(part[n], RSTART + 10, RLENGTH - 12)
				else
					list[event] = part[n]
			}
			for (event in text) {
				from = event in like ? like[event] : event
				n = split(list[from], part, /``/)
				for (i = 2; i <= n; i += 2)
					print event, part[i]
			}
		}'
}

test_tracepoints_are_documented()
{
	tracepoints_of_the_code >"$tmp/code"
	tracepoints_of_the_page >"$tmp/page"
	same "$tmp/code" "$tmp/page" module/trace.h "$page"
}

# "name default"
parameters_of_the_code()
{
	awk '/^(static )?(unsigned|int) .* = .*;$/ {
			name = $0
			sub(/ =.*/, "", name)
			sub(/.*[ *]/, "", name)
			value = $0
			sub(/.*= /, "", value)
			gsub(/[UL;]/, "", value)
			init[name] = value
		}
		/^module_param/ {
			gsub(/[(),]/, " ")
			sub(/&/, "", $4)
			if ($1 ~ /cb/)
				print $2, init[$4]
			else if ($1 ~ /named/)
				print $2, init[$3]
			else
				print $2, init[$2]
		}' module/*.c |
	while read -r name value; do
		# shellcheck disable=SC2004 # an expression, not a number
		echo "$name $(($value))"
	done
}

test_parameters_are_documented()
{
	parameters_of_the_code >"$tmp/code"
	section "$page" Limits |
		sed -n 's/^``\([a-z_]*\)`` *\(-*[0-9]*\) .*/\1 \2/p' >"$tmp/page"
	same "$tmp/code" "$tmp/page" module "$page"
	sed 's/ .*//' "$tmp/code" >"$tmp/names"
	sed -n 's/^| `\([a-z_]*\)` | -*[0-9].*/\1/p' README.md >"$tmp/page"
	same "$tmp/names" "$tmp/page" module README.md
	sed -n 's/^\.It Va \([a-z_]*\)$/\1/p' "$man/mbox.4" >"$tmp/page"
	same "$tmp/names" "$tmp/page" module "$man/mbox.4"
}

test_fdinfo_is_documented()
{
	tr '"' '\n' <module/handle_file.c | sed -n 's/^\(mbox-[a-z-]*\):.*/\1/p' >"$tmp/code"
	literals "$page" | sed -n '/^mbox-[a-z-]*$/p' >"$tmp/page"
	same "$tmp/code" "$tmp/page" module/handle_file.c "$page"
}

# ---- the README's program ----------------------------------------------------

# build_library [FILE]: the library, or FILE of libuser, into a folder of this test.
# Return 1 and say why when it does not build.
build_library()
{
	[ ! -e "$tmp/lib/${1:-libmbox.so}" ] || return 0
	env -u MAKEFLAGS -u MAKELEVEL make -s -C libuser O="$tmp/lib" CFLAGS=-O0 \
		"$tmp/lib/libmbox.a" "$tmp/lib/${1:-libmbox.so}" >"$tmp/make" 2>&1 && return 0
	echo "the library does not build:"
	cat "$tmp/make"
	return 1
}

test_program_of_the_readme_compiles()
{
	awk '/^```c$/ { inside = 1; next } /^```/ { inside = 0 } inside' \
		README.md >"$tmp/readme.c"
	grep -q 'int main(' "$tmp/readme.c" || { echo "no program"; return 0; }
	lines=$(awk '/^}/ { inside = 0 } inside && NF { n++ } /^{/ { inside = 1 }
		END { print n + 0 }' "$tmp/readme.c")
	[ "$lines" -le 12 ] || echo "$lines lines, not ten or so"
	build_library || return 0
	${CC:-cc} -Wall -Wextra -Werror -Iuapi -Ilibuser/include "$tmp/readme.c" \
		"$tmp/lib/libmbox.a" -o "$tmp/readme" 2>&1 || return 0
	[ -z "${README_EXAMPLE_OUT-}" ] || cp "$tmp/readme" "$README_EXAMPLE_OUT" ||
		echo "cannot write $README_EXAMPLE_OUT"
}

# ---- make, files -------------------------------------------------------------

# Code within the text of page $1, one piece a line.
spans()
{
	case $1 in
	*.md) awk '/^```/ { off = !off; next } !off' "$1" | tr '\n' ' ' |
		tr '`' '\n' | awk 'NR % 2 == 0' ;;
	*) literals "$1" ;;
	esac
}

# Commands that page $1 shows: those within the text, and indented lines.
commands()
{
	spans "$1"
	sed -n 's/^[ \t]\{3,\}//p' "$1"
}

test_make_targets_exist()
{
	make -s help 2>/dev/null | sed -n 's/^  \([a-z][a-z_.-]*\)  .*/\1/p' >"$tmp/targets"
	echo help >>"$tmp/targets"
	sed -n 's/^\([a-z][a-z_-]*\):.*/\1/p' libuser/Makefile >"$tmp/libuser"
	make -s help 2>/dev/null | sed -n 's/^KERNEL is one of: //p' | tr ' ' '\n' >"$tmp/kernels"
	sed -n 's/^\([a-z-]*: [a-z ]*\)\{0,1\}\([A-Z_]*\) [?:]*=.*/\2/p' Makefile libuser/Makefile >"$tmp/variables"
	echo TESTS >>"$tmp/variables"
	for file in $texts $pages; do
		commands "$file" | sed 's/^sudo //' | sed -n 's/^make\( .*\)*$/\1/p' |
			sed 's/#.*//; s/"[^"]*"//g; s/\$([^)]*)//g' >"$tmp/commands"
		while read -r line; do
			list=$tmp/targets
			dir=''
			for word in $line; do
				case $dir in
				next)
					dir=$word
					[ "$dir" = libuser ] || break
					list=$tmp/libuser
					continue ;;
				esac
				case $word in
				-C) dir=next ;;
				KERNEL=*)
					grep -qxF "${word#*=}" "$tmp/kernels" ||
						echo "$file: make $line: no such kernel" ;;
				*=*)
					grep -qxF "${word%%=*}" "$tmp/variables" ||
						echo "$file: make $line: no variable ${word%%=*}" ;;
				-*) ;;
				*)
					grep -qxF "$word" "$list" ||
						echo "$file: make $line: no target $word" ;;
				esac
			done
		done <"$tmp/commands"
	done
}

# Where page folder $1 may mean $2, which may be a pattern.
exists_somewhere()
{
	for dir in "$1" . module selftests selftests/* selftests/tools/vm Documentation libuser \
		libuser/examples; do
		for found in "$dir"/$2; do
			[ ! -e "$found" ] || return 0
		done
	done
	return 1
}

test_links_and_files_exist()
{
	for file in $texts $pages; do
		here=$(dirname "$file")
		{
			sed 's/](/\n](/g' "$file" | sed -n 's/^](\([^)#]*\).*/\1/p'
			sed 's/`_/`_\n/g' "$file" | sed -n 's/.*<\([^<>]*\)>`_$/\1/p'
			sed 's/:doc:/\n:doc:/g' "$file" | sed -n 's/^:doc:`\([^`]*\)`.*/\1.rst/p'
		} | while read -r link; do
			case $link in
			*://*|'') continue ;;
			esac
			[ -e "$here/$link" ] || echo "$file: no $link"
		done
		# Paths in the text.
		spans "$file" | while read -r path rest; do
			[ -z "$rest" ] || continue
			path=${path%,}
			case $path in
			/*|./*|\$*|'<'*|build/*|[A-Z]*DIR/*|PREFIX/*|TREE/*) continue ;;
			*/*|*.c|*.h|*.sh|*.rst|*.md|*.awk|*.py|*.config|*.map) ;;
			*) continue ;;
			esac
			exists_somewhere "$here" "$path" ||
				echo "$file: no $path"
		done
	done
}

# "pattern heading" for each pattern of MAINTAINERS.
maintained()
{
	awk '/^[A-Z].*[A-Z]$/ { area = $0 } /^F:/ { print $2, area }' MAINTAINERS
}

# Each file or folder of the top belongs to an entry, and each pattern to something.
test_each_file_has_a_maintainer()
{
	maintained | while read -r pattern area; do
		for found in $pattern; do
			[ -e "$found" ] || echo "MAINTAINERS, $area: no $pattern"
		done
	done
	maintained | sed -n 's/\/ .*//p' | sort >"$tmp/folders"
	for folder in */ .ci/ .github/; do
		[ "$folder" = build/ ] || echo "${folder%/}"
	done | sort >"$tmp/tree"
	same "$tmp/folders" "$tmp/tree" MAINTAINERS "the top folder"
	maintained | grep -q '^\* ' || echo "MAINTAINERS: nothing has the other files"
	grep -c '^[A-Z].*[A-Z]$' MAINTAINERS >"$tmp/areas"
	for field in M S; do
		grep -c "^$field:	" MAINTAINERS >"$tmp/fields"
		cmp -s "$tmp/areas" "$tmp/fields" || echo "MAINTAINERS: not each entry has $field:"
	done
}

# It names the interface that a program finds.
test_changelog_has_the_number_of_the_interface()
{
	sed -n 's/^#define MBOX_ABI_VERSION[ \t]*//p' "$uapi" >"$tmp/header"
	sed -n '/^## /{n; n; s/.* ABI \([0-9]*\) .*/\1/p; q}' CHANGELOG.md >"$tmp/page"
	same "$tmp/header" "$tmp/page" "$uapi" "the first section of CHANGELOG.md"
}

# ---- the pages about the code ------------------------------------------------

test_tests_and_kernels_are_documented()
{
	for file in selftests/*/*_test.c selftests/*/*_test.cpp selftests/*/*_test.sh; do
		file=${file##*/}
		file=${file%.cpp}
		echo "${file%.c}"
	done >"$tmp/code"
	sed -n 's/^``\([a-z0-9_]*_test\(\.sh\)*\)``  *.*/\1/p' "$testing" >"$tmp/page"
	same "$tmp/code" "$tmp/page" selftests "$testing"

	make -s help | sed -n 's/^KERNEL is one of: //p' | tr ' ' '\n' >"$tmp/code"
	section "$testing" Kernels | sed -n 's/^``\([a-z0-9.-]*\)`` .*/\1/p' >"$tmp/page"
	same "$tmp/code" "$tmp/page" "make help" "$testing"

	# One file, or a folder with a main file.
	for file in selftests/bench/*.c selftests/bench/*/main.c; do
		basename "${file%/main.c}" .c
	done >"$tmp/code"
	section "$testing" Benches | sed -n 's/^``\([a-z0-9_]*\)``$/\1/p' >"$tmp/page"
	same "$tmp/code" "$tmp/page" selftests/bench "$testing"
}

# Packages of a set that is not there are not installed, and the script stops.
test_sets_of_packages_exist()
{
	sed -n 's/^	\([a-z0-9|-]*\)) echo .*/\1/p' selftests/tools/vm/deps.sh |
		tr '|' '\n' | sort >"$tmp/code"
	sed -n '/Sets:/,/\. /s/^# //p' selftests/tools/vm/deps.sh | tr '\n' ' ' |
		sed 's/.*Sets: //; s/\..*//' | tr -s ' ' '\n' | sort >"$tmp/page"
	same "$tmp/code" "$tmp/page" selftests/tools/vm/deps.sh "its head"

	# A program's name is in quotes in a script, and not in a makefile.
	grep -rhE 'deps\.sh"? (--list )?[a-z]' Makefile .ci selftests |
		sed -n 's/^[^#]*deps\.sh"\{0,1\} \(--list \)\{0,1\}\([a-z0-9][a-z0-9 -]*\).*/\2/p' |
		tr -s ' ' '\n' | sed '/\.sh$/d; /^$/d' | sort -u >"$tmp/wanted"
	[ "$(wc -l <"$tmp/wanted")" -gt 9 ] || echo "nobody has packages installed"
	contained "$tmp/wanted" "$tmp/code" "a script" selftests/tools/vm/deps.sh
}

test_files_of_the_module_are_documented()
{
	for file in module/*.[ch]; do
		file=${file##*/}
		echo "${file%.?}"
	done | sort -u >"$tmp/code"
	section Documentation/design.rst Layers | grep '^L' |
		grep -o '``[a-z_]*\.[ch]``' | sed 's/``\(.*\)\..``/\1/' | sort -u >"$tmp/page"
	same "$tmp/code" "$tmp/page" module Documentation/design.rst
}

# Fields, lists, flags: whatever locking.rst puts into backquotes is in the code.
test_names_in_locking_exist()
{
	cat module/*.[ch] | words '[A-Za-z_][A-Za-z0-9_]*' >"$tmp/code"
	literals Documentation/locking.rst | sed -n '/^[A-Za-z_.]*$/p' |
		sed 's/.*\.//' >"$tmp/page"
	contained "$tmp/page" "$tmp/code" Documentation/locking.rst module
}

test_pages_are_valid()
{
	for file in $pages; do
		head -n 1 "$file" | grep -q '^\.\. SPDX-License-Identifier: ' ||
			echo "$file: no SPDX line"
	done
	rst=$(command -v rst2html || command -v rst2html.py || command -v rst2html5) || {
		echo "SKIP no docutils"
		return 0
	}
	for file in $pages; do
		"$rst" --report=1 --no-raw "$file" /dev/null 2>&1 || :
	done
}

# The marks of file $1, each "/* [NAME] */" and then "/* [/NAME] */", as "file name".
marks()
{
	awk -v file="$1" '
		/^[ \t]*(\/\*|#) \[\/?[a-z]+\]( \*\/)?$/ {
			name = $2
			gsub(/[][\/]/, "", name)
			if ($2 ~ /\//) {
				if (name != inside)
					print file, "ends", name, "within", inside
				inside = ""
				next
			}
			if (inside || seen[name]++)
				print file, "has", name, "twice, or in another one"
			inside = name
			print file, name
		}
		END {
			if (inside)
				print file, "does not end", inside
		}' "$1"
}

# What page $1 shows of files with marks, in the same form.
shown()
{
	here=$(dirname "$1")
	awk '
		/^\.\. include:: / { file = $3; start = "" }
		/^   :start-after: / { start = $0; gsub(/.*\[|\].*/, "", start) }
		/^   :end-before: / {
			end = $0
			gsub(/.*\[\/|\].*/, "", end)
			print file, start == end ? start : "from " start " to " end
		}' "$1" |
	while read -r file name; do
		echo "$(realpath -m --relative-to=. "$here/$file") $name"
	done
}

test_lines_of_the_examples_are_shown()
{
	for file in libuser/examples/*/*.[ch] libuser/examples/*/*.sh; do
		marks "$file"
	done >"$tmp/marks"
	for file in $pages; do
		shown "$file"
	done >"$tmp/shown"
	same "$tmp/marks" "$tmp/shown" "the marks in libuser/examples" "the pages"
}

test_included_files_exist()
{
	for file in $pages; do
		sed -n 's/^\.\. include:: //p' "$file" | while read -r name; do
			[ -f "$(dirname "$file")/$name" ] || echo "$file: no $name"
		done
	done
}

# Each example has what it prints beside it, and is in a page.
test_examples_are_in_the_pages()
{
	for file in libuser/examples/*/*.c libuser/examples/*/*.sh; do
		case $file in
		libuser/examples/demo/*) continue ;;
		esac
		case $file in
		# What they print depends on the way: rpc_demo_test.sh has it.
		libuser/examples/rpc/*) ;;
		*) [ -f "${file%.*}.out" ] || echo "$file: no ${file%.*}.out" ;;
		esac
		grep -qF "${file#libuser/examples/}" Documentation/textbook.rst \
			Documentation/event-loops.rst Documentation/confinement.rst \
			Documentation/nats.rst ||
			echo "no page of examples has ${file#libuser/examples/}"
	done
	for file in libuser/examples/*/*.out; do
		[ -f "${file%.out}.c" ] || [ -f "${file%.out}.sh" ] ||
			echo "$file: no program ${file%.out}"
	done
}

# The table of the textbooks' page has each program that the page shows lines of. Beside an
# exercise is its solution.
test_table_of_the_textbook_page_has_all_its_examples()
{
	terms=Documentation/textbook.rst
	sed -n '/^What the notes of a course say/,/^Cooperating/p' "$terms" >"$tmp/table"
	sed -n 's|^\.\. include:: ../libuser/examples/\(.*\.c\)$|\1|p' "$terms" |
		sort -u >"$tmp/shown"
	[ -s "$tmp/shown" ] || echo "$terms shows no lines of examples"
	while read -r file; do
		case $file in
		*_mended.c) continue ;;
		exercises/*) grep -qF "${file%.c}_mended.c" "$terms" ||
			echo "$terms: no solution of $file" ;;
		esac
		grep -qF '``'"$file"'``' "$tmp/table" ||
			echo "$terms: $file is not in the table"
	done <"$tmp/shown"
}

# Each term has a question in italics, lines of an example, and commands, except what the page
# says has none.
test_terms_of_the_textbook_page_have_questions_and_examples()
{
	awk '
		function check() {
			if (term == "" || term ~ /^(What the notes|Exercises)/)
				return
			terms++
			if (!question)
				print FILENAME ": no question about", term
			if (!lines)
				print FILENAME ": no lines of an example for", term
			if (!commands && term !~ /^(Direct communication|Sockets)$/)
				print FILENAME ": no commands for", term
		}
		/^=+$/ && length($0) == length(last) {
			check()
			term = last
			question = lines = commands = 0
		}
		{ last = $0 }
		/^\*/ { asked = 1 }
		asked && /\?`*\*( |$)|\? ?\*$/ { question = 1 }
		/^$/ { asked = 0 }
		/^\.\. include:: / { lines = 1 }
		/^   \$ mboxctl / { commands = 1 }
		END {
			check()
			if (terms < 16)
				print FILENAME ": only", terms, "terms"
		}' Documentation/textbook.rst
}

# ---- the suite ---------------------------------------------------------------

# By its number, by a wrapper of that name, or as a function of the library.
test_failures_of_each_call_are_tested()
{
	{
		ioctl_names
		map_symbols "$map"
	} >"$tmp/calls"
	{
		words 'MBOX_IOC_[A-Z_]*' <selftests/stress/fault_test.c
		sed 's/\<raw_[a-z_]*(/\n&\n/g' selftests/stress/fault_test.c |
			sed -n 's/^raw_\([a-z_]*\)($/MBOX_IOC_\1/p' | tr '[:lower:]' '[:upper:]'
		sed 's/\<mbox_[a-z_]*(/\n&\n/g' selftests/stress/fault_test.c |
			sed -n 's/^\(mbox_[a-z_]*\)($/\1/p'
	} >"$tmp/tested"
	[ -s "$tmp/calls" ] || echo "no calls"
	contained "$tmp/calls" "$tmp/tested" "the interface" selftests/stress/fault_test.c
}

# ---- the description for syzkaller -------------------------------------------

description=selftests/fuzz/mbox.txt

# The description without its comments.
described()
{
	sed 's/^#.*//' "$description"
}

test_constants_of_the_interface_are_described()
{
	uapi_constants >"$tmp/header"
	described | words 'MBOX_[A-Z0-9_]*' >"$tmp/page"
	[ -s "$tmp/header" ] || echo "$uapi: no constants"
	contained "$tmp/header" "$tmp/page" "$uapi" "$description"
	# Macros with arguments may be named.
	sed -n 's/^#define[ \t]*\(MBOX_[A-Z0-9_]*\)(.*/\1/p' "$uapi" >>"$tmp/header"
	contained "$tmp/page" "$tmp/header" "$description" "$uapi"
}

# "ioctl structure"; the number may also be one that is defined for another size.
test_ioctls_are_described()
{
	ioctls_of_the_code | awk '{ print $1, $4 }' >"$tmp/header"
	described | sed -n 's/^ioctl\$\([^(]*\)(fd [a-z_]*, cmd const\[\([^]]*\)], arg \(.*\)/\1 \2 \3/p' |
		awk '{
			name = $1
			sub(/_[a-z]+$/, "", name)
			if ($2 !~ /^SYZ_/ && $2 != name)
				print "ioctl$" $1, "with the number of", $2
			$1 = $2 = ""
			type = "none"
			if (match($0, /.*[[ ]mbox_[a-z_]+/)) {
				type = substr($0, 1, RLENGTH)
				sub(/.*[[ ]/, "", type)
			}
			print name, type
		}' >"$tmp/page"
	same "$tmp/header" "$tmp/page" "$uapi" "$description"
}

# "structure place field width": 8, a structure, or as of an array, 4 x 15.
layouts_of_the_header()
{
	awk '/^struct mbox_[a-z_]* {$/ { name = $2; n = 0; next }
		/^};/ { name = "" }
		name && sub(/;$/, "") {
			width = $1 == "struct" ? $2 : $1 ~ /64$/ ? 8 : $1 == "char" ? 1 : 4
			if (match($0, /\[.*\]$/)) {
				width = width " x " substr($0, RSTART + 1, RLENGTH - 2)
				sub(/\[.*/, "")
			}
			print name, ++n, $NF, width
		}' "$uapi"
}

layouts_of_the_description()
{
	described | awk '
		function width(type,  base, size) {
			base = type
			sub(/\[.*/, "", base)
			if (base == "array") {
				size = type
				sub(/.*, /, "", size)
				sub(/\]$/, "", size)
				sub(/^array\[/, "", type)
				sub(/, [^,]*$/, "", type)
				return width(type) " x " (size in value ? value[size] : size)
			}
			if (base in alias)
				return width(alias[base])
			if (base == "ptr64")
				return 8
			if (type ~ /int[0-9]/ && sub(/.*int/, "", type))
				return (type + 0) / 8
			if (base ~ /^(bool32|fd|fd_event|pid|uid|gid|signalno)$/)
				return 4
			sub(/\$.*/, "", base)
			return base
		}
		/^define / { name = $2; sub(/^define [^ \t]*[ \t]*/, ""); value[name] = $0 }
		/^resource / { split($2, part, /[][]/); alias[part[1]] = part[2] }
		/^type .*[^{]$/ {
			name = $2
			sub(/\[.*/, "", name)
			sub(/^type [^ ]* /, "")
			alias[name] = $0
		}
		{ line[NR] = $0 }
		END {
			name = ""
			for (i = 1; i <= NR; i++) {
				$0 = line[i]
				if ($0 ~ /^mbox_[a-z_]*(\$[a-z]*)? \{$/) {
					name = $1
					n = 0
				} else if ($0 ~ /^}/) {
					name = ""
				} else if (name) {
					field = $1
					gsub(/^\t[^\t]*\t+|\t\((in|out|inout)\)$/, "")
					print name, ++n, field, width($0)
				}
			}
		}'
}

# Each variant has all the fields.
test_layouts_of_the_structures_are_described()
{
	layouts_of_the_header >"$tmp/layouts"
	layouts_of_the_description >"$tmp/page"
	awk 'NR == FNR {
			base = $1
			sub(/\$.*/, "", base)
			if (!seen[$1]++)
				variants[base] = variants[base] " " $1
			next
		}
		{
			n = split($1 in variants ? variants[$1] : $1, name, " ")
			sub(/^[^ ]* /, "")
			for (i = 1; i <= n; i++)
				print name[i], $0
		}' "$tmp/page" "$tmp/layouts" >"$tmp/header"
	same "$tmp/header" "$tmp/page" "$uapi" "$description"
}

# Its own: resources, types, sets of values, and numbers that it computes.
test_names_of_the_description_are_defined_and_used()
{
	own='\b(mbox_|fd_mbox|pollfd_mbox|SYZ_MBOX_)[A-Za-z0-9_]*(\$[a-z]*)?'
	described | sed -n 's/^\(resource\|type\|define\) \([A-Za-z0-9_]*\).*/\2/p
		s/^\([a-z][a-z_$]*\) [[{=].*/\1/p' >"$tmp/defined"
	described | sed 's/^\(resource\|type\|define\) [A-Za-z0-9_]*//; s/^[a-z_$]* \([[{=]\)/\1/
		s/^[a-z_0-9]*\$[^(]*//; s/sizeof([^)]*)//g' | grep -oE "$own" >"$tmp/used"
	same "$tmp/defined" "$tmp/used" "the definitions of $description" "its uses"
}

# ---- all of them -------------------------------------------------------------

run_tests "$self" "$tmp"
