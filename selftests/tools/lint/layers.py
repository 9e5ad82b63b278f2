#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""usage: layers.py PAGE SOURCES OBJECTS

Check that the files of the module include and call only what is below them.

The layers are the rows of a table in PAGE whose first column is an L and a number, the
second a file in double backquotes.
Files joined by "and" are a group, and may use each other. A header that the table
does not name has the layer of the .c file of its name.
"""
import glob
import os
import re
import subprocess
import sys

ROW = re.compile(r"^(L\d+)\s+(``[\w.]+``(?: and ``[\w.]+``)*)\s")


def read_table(page):
    """Return a layer and a group for each file that the table names."""
    layers, groups = {}, {}
    for line in open(page, encoding="utf-8"):
        match = ROW.match(line)
        if not match:
            continue
        layer = int(match.group(1)[1:])
        files = re.findall(r"``([\w.]+)``", match.group(2))
        for name in files:
            if name in layers:
                fail(f"{page}: {name} is in two rows")
            layers[name] = layer
            groups[name] = files[0]
    return layers, groups


failures = 0


def fail(text):
    global failures
    failures += 1
    print(text)


def symbols(path):
    """Return what an object file defines for others, and what it needs."""
    defined, needed = set(), set()
    out = subprocess.run(["nm", path], check=True, capture_output=True, text=True)
    for line in out.stdout.splitlines():
        kind, name = line.split()[-2:]
        if kind == "U":
            needed.add(name)
        elif kind.isupper():
            defined.add(name)
    return defined, needed


def main():
    page, sources, objects = sys.argv[1:]
    layers, groups = read_table(page)
    names = sorted(os.path.basename(path) for path in glob.glob(sources + "/*.[ch]"))
    for name in layers:
        if name not in names:
            fail(f"{page}: there is no {name}")
    for name in names:
        if name.endswith(".h") and name not in layers and name[:-1] + "c" in layers:
            layers[name] = layers[name[:-1] + "c"]
            groups[name] = groups[name[:-1] + "c"]
        if name not in layers:
            fail(f"{page}: the table of layers has no {name}")
    if failures:
        return

    def may(user, used):
        return (user[:-2] == used[:-2] or layers[used] < layers[user]
                or groups[used] == groups[user])

    for name in names:
        for line in open(os.path.join(sources, name), encoding="utf-8"):
            match = re.match(r'#include "([\w.]+)"', line)
            if match and match.group(1) in layers and not may(name, match.group(1)):
                fail(f"module/{name}: layer {layers[name]} includes "
                     f"{match.group(1)}, layer {layers[match.group(1)]}")

    home, needs = {}, {}
    for path in glob.glob(objects + "/*.o"):
        name = os.path.basename(path)[:-1] + "c"
        if name in layers:
            defined, needs[name] = symbols(path)
            home.update((symbol, name) for symbol in defined)
    if not needs:
        fail(f"{objects}: no object files")
    for name in sorted(needs):
        for symbol in sorted(needs[name]):
            used = home.get(symbol)
            if used and not may(name, used):
                fail(f"module/{name}: layer {layers[name]} uses {symbol} of "
                     f"{used}, layer {layers[used]}")


main()
sys.exit(failures > 0)
