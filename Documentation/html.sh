#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# usage: html.sh FOLDER
# Make a site of the pages and the manual pages. Needs sphinx-build and mandoc; a warning
# of either fails.
set -euo pipefail
export LC_ALL=C.UTF-8

[ $# = 1 ] || { echo "usage: html.sh FOLDER" >&2; exit 2; }
mkdir -p "$1/man"
site=$(cd "$1" && pwd)
cd "$(dirname "$0")"
sphinx-build -q -W --keep-going -n -d "$site/.doctrees" . "$site"

# The head of a page, for a phone as well.
head_of()
{
	cat <<-EOF
		<!DOCTYPE html>
		<html lang="en">
		<head>
		<meta charset="utf-8">
		<meta name="viewport" content="width=device-width, initial-scale=1">
		<title>$1</title>
		<link rel="stylesheet" href="man.css">
		</head>
		<body>
		<nav><a href="../index.html">mbox</a> · <a href="index.html">Manual pages</a></nav>
	EOF
}

cat >"$site/man/man.css" <<'EOF'
body { max-width: 46em; margin: 0 auto; padding: 0 1em 3em; line-height: 1.5;
       font-family: Lato, "Helvetica Neue", Arial, sans-serif; color: #404040; }
nav { padding: 1em 0; border-bottom: 1px solid #ddd; }
pre, code, .Nm, .Fl, .Cm, .Fn, .Ft, .Fa, .In { font-family: monospace; }
pre { overflow-x: auto; background: #f8f8f8; border: 1px solid #e1e4e5; padding: .7em; }
table.head, table.foot { width: 100%; color: #888; }
td.head-rtitle, td.foot-os { text-align: right; }
td.head-vol, td.foot-date { text-align: center; }
h1.Sh { font-size: 1.25em; } h2.Ss { font-size: 1.05em; }
dd { margin-left: 2em; }
EOF

{
	head_of "Manual pages"
	echo '<h1>Manual pages</h1>'
	for section in 1 3 4 5 7; do
		echo "<h2>Section $section</h2><dl>"
		for page in man/*."$section"; do
			name=${page#man/}
			names=$(sed -n 's/^\.Nm //p; /^\.Nd /q' "$page" | sed 's/ ,$//' | paste -sd, |
				sed 's/,/, /g')
			what=$(sed -n 's/^\.Nd //p' "$page")
			echo "<dt><a href=\"$name.html\">$names</a></dt><dd>$what</dd>"
		done
		echo '</dl>'
	done
	echo '</body></html>'
} >"$site/man/index.html"

# mandoc links to those that are there, and for all others to Debian's.
for page in man/*.[1-9]; do
	: >"$site/$page.html"
done
pages=$PWD/man
cd "$site/man"
for page in "$pages"/*.[1-9]; do
	name=${page##*/}
	{
		head_of "${name%.*}(${name##*.})"
		mandoc -T html -W warning -O 'fragment,man=%N.%S.html;https://manpages.debian.org/%N.%S' \
			"$page"
		echo '</body></html>'
	} >"$name.html"
done
