#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Compare what pjdfstest said about mailboxes with the list of what it is to say.

usage: judge.py [-l] ROWS SAID

SAID has a line "@ FILE" before what each test file printed. An entry of ROWS is

    FILE COUNT [| NUMBERS: REASON]...

The file has COUNT rows. Those of NUMBERS ("3 5-8") fail, because mailboxes differ from
other files for that REASON; all others succeed. An entry goes on in lines that begin
with a blank. -l prints such entries, with what a row said instead of a reason.
"""
import re
import sys

ROW = re.compile(r"(ok|not ok) (\d+)(?: - (.*))?")


def numbers(text):
    """The set of numbers that "3 5-8" stands for."""
    found = set()
    for word in text.split():
        first, _, last = word.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return found


def read_rows(path):
    """The list: by file, how many rows, and which of them fail."""
    wanted = {}
    with open(path, encoding="ascii") as file:
        text = re.sub(r"\n[ \t]+", " ", re.sub(r"^#.*\n", "", file.read(), flags=re.M))
    for line in text.splitlines():
        head, *reasons = line.split("|")
        name, count = head.split()
        differ = set()
        for reason in reasons:
            differ |= numbers(reason.partition(":")[0])
        wanted[name] = (int(count), differ)
    return wanted


def read_said(path):
    """What each file said: by file, its rows in order as (ok, text)."""
    said, rows = {}, []
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.startswith("@ "):
                rows = said.setdefault(line[2:].strip(), [])
            match = ROW.match(line)
            if match:
                rows.append((match.group(1) == "ok", match.group(3) or ""))
    return said


def differences(rows, want):
    """What is not as the list says, one line each."""
    count, differ = want
    if len(rows) != count:
        yield f"{len(rows)} rows, not {count}"
    for number, (good, text) in enumerate(rows, 1):
        if good and number in differ:
            yield f"row {number} succeeds"
        elif not good and number not in differ:
            yield f"row {number}: {text}"


def main(args):
    """Print one result for each file; return the exit status."""
    listing = args[0] == "-l"
    wanted, said = read_rows(args[-2]), read_said(args[-1])
    if listing:
        for name, rows in said.items():
            print(name, len(rows), *(f"| {number}: {text}" for number, (good, text)
                                     in enumerate(rows, 1) if not good), sep=" ")
        return 0
    print("KTAP version 1")
    print(f"1..{len(said)}")
    failed = rows_failed = total = 0
    for number, (name, rows) in enumerate(said.items(), 1):
        wrong = list(differences(rows, wanted.get(name, (0, set()))))
        for line in wrong:
            print(f"# {line}")
        failed += bool(wrong)
        total += len(rows)
        rows_failed += len(wanted.get(name, (0, set()))[1])
        print(f"{'not ok' if wrong else 'ok'} {number} {name} # {len(rows)} rows")
    print(f"# {total} rows, of which {rows_failed} differ on mailboxes")
    return 1 if failed or not said else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
