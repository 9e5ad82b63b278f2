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

top=$(cd "$(dirname "$0")/.." && pwd)
if [ ! -f "$top/README.md" ] || [ ! -f "$top/uapi/linux/mbox.h" ]; then
	echo "TAP version 13"
	echo "1..0 # SKIP no source tree"
	exit 4
fi
self=$top/selftests/${0##*/}
cd "$top"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM HUP

uapi=uapi/linux/mbox.h
page=Documentation/userspace-api/mbox.rst
man=Documentation/man
testing=Documentation/testing.rst
pages=$(find Documentation -name '*.rst')

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
	cat "$uapi" libuser/include/mbox.h module/*.[ch] selftests/vm/* |
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
		sed -n 's/^#define[ \t]*\(MBOX_[A-Z_]*\)[ \t]*\([0-9]*\)$/value \1 \2/p' "$uapi"
		cat module/device.c module/handle.c |
			sed -n 's/^\t{ \(MBOX_IOC_[A-Z_]*\), \([^,]*\),.*/min \1 \2/p' |
			sed 's/sizeof(struct \([a-z_]*\))/\1/'
		sed -n 's/^#define[ \t]*\(MBOX_IOC_[A-Z_]*\)[ \t]*_IO\([WR]*\)(MBOX_IOC_MAGIC, \(0x[0-9a-f]*\)\(, struct \([a-z_]*\)\)*)/ioctl \1 \3 \2x \5/p' "$uapi"
	} | awk '
		$1 == "size" { size[$2] = $3 }
		$1 == "value" { value[$2] = $3 }
		$1 == "min" { min[$2] = $3 }
		$1 == "ioctl" {
			dir = $4 == "x" ? "none" : $4 == "WRx" ? "RW" : substr($4, 1, 1)
			need = min[$2]
			if (need in size)
				need = size[need]
			else if (need in value)
				need = value[need]
			print $2, $3, dir, $5 == "" ? "none" : $5, size[$5] + 0, need
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
	for file in README.md $pages "$man"/*; do
		sed '/^\.Dt/d; s/\\[a-zA-Z]//g' "$file" | words 'MBOX_[A-Z0-9_]*' >"$tmp/page"
		contained "$tmp/page" "$tmp/known" "$file" "the code"
	done
}

# ---- the library -------------------------------------------------------------

map_symbols()
{
	sed -n 's/^\t\(mbox_[a-z_]*\);$/\1/p' libuser/libmbox.map
}

# Declarations begin at the left margin, and may go over lines.
declared()
{
	sed -n 's/^[a-z][^(]*[ *]\(mbox_[a-z_]*\)(.*/\1/p' libuser/include/mbox.h
}

test_symbol_map_and_header_agree()
{
	map_symbols >"$tmp/map"
	declared >"$tmp/header"
	same "$tmp/map" "$tmp/header" libmbox.map mbox.h
}

test_symbol_map_and_library_agree()
{
	build_library || return 0
	map_symbols >"$tmp/map"
	nm -D --defined-only "$tmp/lib/libmbox.so" |
		awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' >"$tmp/exported"
	same "$tmp/map" "$tmp/exported" libmbox.map libmbox.so
}

test_each_function_has_one_manual_page()
{
	map_symbols >"$tmp/map"
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

test_functions_in_manual_pages_exist()
{
	map_symbols >"$tmp/map"
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
	declared >"$tmp/known"
	cat module/*.[ch] | sed 's/[A-Za-z_0-9]*(/\n&\n/g' |
		sed -n 's/^\([A-Za-z_0-9]\{1,\}\)($/\1/p' >>"$tmp/known"
	for file in README.md $pages; do
		sed 's/[a-z_0-9]*(/\n&\n/g' "$file" | sed -n 's/^\(mbox_[a-z_0-9]*\)($/\1/p' \
			>"$tmp/page"
		# With empty parentheses, the kernel's too.
		sed 's/[A-Za-z_0-9]*()/\n&\n/g' "$file" |
			sed -n 's/^\([A-Za-z_0-9]\{1,\}\)()$/\1/p' >"$tmp/all"
		# The README has a whole program, with the C library's.
		[ "$file" = README.md ] || cat "$tmp/all" >>"$tmp/page"
		contained "$tmp/page" "$tmp/known" "$file" "the code"
	done
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
		match($0, /__(field|string|array)\(/) {
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
	awk '/^(unsigned|int) .* = .*;$/ {
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
			if ($1 ~ /named/)
				print $2, init[$3]
			else
				print $2, init[$2]
		}' module/main.c |
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
	same "$tmp/code" "$tmp/page" module/main.c "$page"
	sed 's/ .*//' "$tmp/code" >"$tmp/names"
	sed -n 's/^| `\([a-z_]*\)` | -*[0-9].*/\1/p' README.md >"$tmp/page"
	same "$tmp/names" "$tmp/page" module/main.c README.md
	sed -n 's/^\.It Va \([a-z_]*\)$/\1/p' "$man/mbox.4" >"$tmp/page"
	same "$tmp/names" "$tmp/page" module/main.c "$man/mbox.4"
}

test_fdinfo_is_documented()
{
	tr '"' '\n' <module/handle.c | sed -n 's/^\(mbox-[a-z-]*\):.*/\1/p' >"$tmp/code"
	literals "$page" | sed -n '/^mbox-[a-z-]*$/p' >"$tmp/page"
	same "$tmp/code" "$tmp/page" module/handle.c "$page"
}

# ---- the README's program ----------------------------------------------------

# Into a folder of this test. Return 1 and say why when it does not build.
build_library()
{
	[ ! -e "$tmp/lib/libmbox.so" ] || return 0
	env -u MAKEFLAGS -u MAKELEVEL make -s -C libuser O="$tmp/lib" \
		"$tmp/lib/libmbox.a" "$tmp/lib/libmbox.so" >"$tmp/make" 2>&1 && return 0
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
	make -s help 2>/dev/null | sed -n 's/^\([a-z][a-z_-]*\)  .*/\1/p' >"$tmp/targets"
	echo help >>"$tmp/targets"
	sed -n 's/^\([a-z][a-z_-]*\):.*/\1/p' libuser/Makefile >"$tmp/libuser"
	make -s help 2>/dev/null | sed -n 's/^KERNEL is one of: //p' | tr ' ' '\n' >"$tmp/kernels"
	sed -n 's/^\([A-Z_]*\) [?:]*=.*/\1/p' Makefile libuser/Makefile >"$tmp/variables"
	echo TESTS >>"$tmp/variables"
	for file in README.md $pages; do
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

# Where a page may mean $1, besides beside itself.
exists_somewhere()
{
	for dir in . module selftests selftests/vm selftests/bench Documentation libuser; do
		[ ! -e "$dir/$1" ] || return 0
	done
	return 1
}

test_links_and_files_exist()
{
	for file in README.md $pages; do
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
			/*|./*|\$*|'<'*|build/*|[A-Z]*DIR/*|PREFIX/*) continue ;;
			*/*|*.c|*.h|*.sh|*.rst|*.md|*.awk|*.py|*.config|*.map) ;;
			*) continue ;;
			esac
			[ -e "$here/$path" ] || exists_somewhere "$path" ||
				echo "$file: no $path"
		done
	done
}

# ---- the pages about the code ------------------------------------------------

test_tests_and_kernels_are_documented()
{
	for file in selftests/*_test.c selftests/*_test.sh; do
		file=${file##*/}
		echo "${file%.c}"
	done >"$tmp/code"
	sed -n 's/^``\([a-z0-9_]*_test\(\.sh\)*\)``  *.*/\1/p' "$testing" >"$tmp/page"
	same "$tmp/code" "$tmp/page" selftests "$testing"

	make -s help | sed -n 's/^KERNEL is one of: //p' | tr ' ' '\n' >"$tmp/code"
	section "$testing" Kernels | sed -n 's/^``\([a-z0-9.-]*\)`` .*/\1/p' >"$tmp/page"
	same "$tmp/code" "$tmp/page" "make help" "$testing"

	for file in selftests/bench/*.c; do
		basename "$file" .c
	done >"$tmp/code"
	section "$testing" Benches | sed -n 's/^``\([a-z0-9_]*\)``$/\1/p' >"$tmp/page"
	same "$tmp/code" "$tmp/page" selftests/bench "$testing"
}

test_files_of_the_module_are_documented()
{
	for file in module/*.[ch]; do
		file=${file##*/}
		echo "${file%.?}"
	done >"$tmp/code"
	section Documentation/design.rst Parts |
		sed -n 's/^``\([a-z_]*\)\.[ch]`` .*/\1/p' >"$tmp/page"
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
		"$rst" --report=1 --no-raw --no-file-insertion "$file" /dev/null 2>&1 || :
	done
}

# ---- the suite ---------------------------------------------------------------

# By its number, by a wrapper of that name, or as a function of the library.
test_failures_of_each_call_are_tested()
{
	{
		ioctl_names
		map_symbols
	} >"$tmp/calls"
	{
		words 'MBOX_IOC_[A-Z_]*' <selftests/fault_test.c
		sed 's/\<raw_[a-z_]*(/\n&\n/g' selftests/fault_test.c |
			sed -n 's/^raw_\([a-z_]*\)($/MBOX_IOC_\1/p' | tr '[:lower:]' '[:upper:]'
		sed 's/\<mbox_[a-z_]*(/\n&\n/g' selftests/fault_test.c |
			sed -n 's/^\(mbox_[a-z_]*\)($/\1/p'
	} >"$tmp/tested"
	[ -s "$tmp/calls" ] || echo "no calls"
	contained "$tmp/calls" "$tmp/tested" "the interface" selftests/fault_test.c
}

# ---- all of them -------------------------------------------------------------

tests=$(sed -n 's/^test_\([a-z_]*\)()$/\1/p' "$self")
# shellcheck disable=SC2086 # words
set -- $tests
echo "TAP version 13"
echo "1..$#"
number=0
status=0
for name in "$@"; do
	number=$((number + 1))
	result=0
	"test_$name" >"$tmp/findings" 2>&1 || result=$?
	if [ "$(cat "$tmp/findings")" = "SKIP no docutils" ]; then
		echo "ok $number $name # SKIP no docutils"
	elif [ $result = 0 ] && [ ! -s "$tmp/findings" ]; then
		echo "ok $number $name"
	else
		sed 's/^/# /' "$tmp/findings"
		echo "not ok $number $name"
		status=1
	fi
done
exit $status
