#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Write a compile_commands.json for the tree TOP.

usage: compile_commands.py TOP MODULE-JSON KSFT <MAKE-OUTPUT

MODULE-JSON has the kernel's commands, MAKE-OUTPUT is what "make -nBw" says of
the rest. A C file that neither has is built by a script; it gets the tests'
flags. Each file has one entry.
"""
import json
import os
import re
import shlex
import sys

# What gcc knows, and clang does not or complains about.
GCC_ONLY = re.compile(
    r"-fconserve-stack|-fno-allow-store-data-races|-mrecord-mcount"
    r"|-fno-ipa-cp-clone|-fno-partial-inlining|-mindirect-branch.*"
    r"|-mfunction-return=.*|-fzero-call-used-regs=.*|-mskip-rax-setup"
    r"|-mpreferred-stack-boundary=.*|-falign-jumps=.*|-falign-loops=.*"
    r"|-fmin-function-alignment=.*|-ftrivial-auto-var-init=zero"
    r"|-fno-var-tracking-assignments"
    r"|-fplugin.*|-fsanitize-coverage=trace-pc|-fno-code-hoisting"
    r"|--param=?asan.*|-Wno-maybe-uninitialized|-Wno-.*-truncation"
    r"|-Wno-unused-but-set-variable|-Wimplicit-fallthrough=.*"
    r"|-Wno-(alloc-size-larger-than|packed-not-aligned|psabi)|-Wp,-MMD.*")


def main(top, module, ksft):
    """Merge the three sources of entries, the first of a file counting."""
    entries = {}

    def add(directory, source, arguments):
        file = os.path.realpath(os.path.join(directory, source))
        if file.startswith(top + "/") and not file.startswith(top + "/build/"):
            entries.setdefault(file, {
                "directory": directory,
                "file": file,
                "arguments": [word for word in arguments if not GCC_ONLY.fullmatch(word)],
            })

    with open(module, encoding="utf-8") as commands:
        for entry in json.load(commands):
            add(entry["directory"], entry["file"], shlex.split(entry["command"]))

    folders = []
    text = sys.stdin.read().replace("\\\n", " ")
    for line in text.splitlines():
        entering = re.match(r"make(?:\[\d+\])?: (Entering|Leaving) directory '(.*)'", line)
        if entering:
            if entering.group(1) == "Entering":
                folders.append(entering.group(2))
            else:
                folders.pop()
        elif re.match(r"(cc|gcc)\s", line):
            # A number that the shell would find out.
            words = shlex.split(re.sub(r"=\$\([^()]*\)", "=1", line))
            sources = [word for word in words if word.endswith(".c")]
            flags = [word for word in words if word not in sources]
            for source in sources:
                add(folders[-1], source, flags + [source])

    flags = ["cc", "-std=gnu11", "-D_GNU_SOURCE", "-pthread", "-I" + ksft]
    flags += ["-I" + top + folder for folder in
              ("/uapi", "/libuser/include", "/libuser/src", "/selftests/lib")]
    for path, folders, files in os.walk(top):
        folders[:] = [name for name in folders if name not in ("build", ".git")]
        for name in files:
            # kbuild's own, where the module was built in the tree.
            if name.endswith(".c") and not name.endswith(".mod.c"):
                add(path, name, flags + ["-c", name])

    json.dump([entries[file] for file in sorted(entries)], sys.stdout, indent=1)
    print()


main(os.path.realpath(sys.argv[1]), *sys.argv[2:])
