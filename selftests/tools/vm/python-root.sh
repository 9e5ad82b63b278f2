#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# usage: python-root.sh DIR PACKAGE [MODULE...]
# Fill DIR with what a guest needs to run Python: the interpreter, the modules of its
# library that tests import, compiled, and the folder or file PACKAGE among the packages.
# The tests import each MODULE, or if there is none, what those of the package mbox do.
set -eu

dir=$1 package=$2 python=/usr/bin/python3
shift 2
# What the tests import; all else in the library is several times as large.
imports=${*:-asyncio ast gc inspect io os resource select signal socket threading time
traceback tracemalloc types weakref}

rm -rf "$dir"
mkdir -p "$dir/usr/bin"
cp "$(readlink -f $python)" "$dir/usr/bin/python3"
# No TLS: asyncio does without.
$python -I - "$imports" <<'END' | tar -C / -chf - -T - | tar -C "$dir" -xf -
import importlib, sys
sys.modules["ssl"] = None
for name in sys.argv[1].split():
    importlib.import_module(name)
files = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
print("\n".join(sorted(file[1:] for file in files if file and file[0] == "/")))
END
packages=$($python -I -c 'import site; print(site.getsitepackages()[-1])')
mkdir -p "$dir$packages"
cp -r "$package" "$dir$packages/"
# The times of files are not kept in a guest.
$python -I -m compileall -q --invalidation-mode unchecked-hash -s "$dir" "$dir/usr/lib"
