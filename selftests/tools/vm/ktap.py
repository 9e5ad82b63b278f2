#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Turn the output of run-tests into nested KTAP, and count.

usage: ktap.py [COUNTS] <OUTPUT

A test program's own result lines count one each. These are failures too: no
plan, fewer or more results than planned, a non-zero exit without a failed
result, a time limit, a program that never ended. A program without any KTAP (a
shell script) counts as one test by its exit status, 4 being a skip. The totals
go to the file COUNTS as "passed failed skipped".
"""
import re
import sys

RESULT = re.compile(r"(ok|not ok) \d+(.*)")
PLAN = re.compile(r"1\.\.(\d+)(.*)")
SKIP = re.compile(r"# SKIP\b", re.I)
KSFT_SKIP = 4
TIMED_OUT = (124, 137)


class Program:
    """One test program's results."""

    def __init__(self, name):
        self.name = name
        self.plan = None
        self.passed = self.failed = self.skipped = 0
        self.skipped_all = False

    def line(self, text):
        """Account for one line of the program's output."""
        match = RESULT.match(text)
        if match:
            if match.group(1) == "not ok":
                self.failed += 1
            elif SKIP.search(match.group(2)):
                self.skipped += 1
            else:
                self.passed += 1
            return
        match = PLAN.match(text)
        if match and self.plan is None:
            self.plan = int(match.group(1))
            self.skipped_all = bool(SKIP.search(match.group(2)))

    def end(self, status):
        """The program ended (None: it did not); returns what is wrong."""
        seen = self.passed + self.failed + self.skipped
        wrong = []
        if status is None:
            wrong.append("never ended")
        elif status in TIMED_OUT:
            wrong.append("time limit")
        elif status >= 128:
            wrong.append(f"killed by signal {status - 128}")
        if self.plan is None:
            if not wrong and seen == 0 and self.name.endswith(".sh"):
                if status == 0:
                    self.passed = 1
                elif status == KSFT_SKIP:
                    self.skipped = 1
                else:
                    wrong.append(f"exit status {status}")
            elif not wrong and seen == 0 and status == KSFT_SKIP:
                self.skipped = 1
            elif not wrong:
                wrong.append("no plan")
        elif seen != self.plan:
            wrong.append(f"{self.plan} planned, {seen} seen")
        elif self.plan == 0 and not self.skipped_all and status != KSFT_SKIP:
            wrong.append("ran nothing")
        elif self.plan == 0:
            self.skipped = 1
        if status not in (0, KSFT_SKIP) and not self.failed and not wrong:
            wrong.append(f"exit status {status}")
        if wrong:
            missing = (self.plan or 0) - seen
            self.failed += max(missing, 1)
        return ", ".join(wrong)


def main():
    """Read, print, count."""
    programs, current, planned = [], None, 0

    def out(text):
        print(text, flush=True)

    def finish(status, seconds):
        wrong = current.end(status)
        number = len(programs)
        word = "not ok" if current.failed else "ok"
        notes = [f"{current.passed} passed, {current.failed} failed, "
                 f"{current.skipped} skipped"]
        if wrong:
            notes.append(wrong)
        if seconds:
            notes.append(f"{seconds} s")
        skip = ""
        if current.skipped and not current.passed and not current.failed:
            skip = "SKIP "
        out(f"{word} {number} {current.name} # {skip}{'; '.join(notes)}")

    out("KTAP version 1")
    for raw in sys.stdin.buffer:
        text = raw.decode("utf-8", "replace").rstrip("\r\n")
        words = text.split()
        if words[:2] == ["@@", "plan"]:
            planned += int(words[2])
        elif words[:2] == ["@@", "begin"]:
            if current:
                finish(None, None)
            current = Program(words[2])
            programs.append(current)
            out(f"# {words[2]}")
        elif words[:2] == ["@@", "end"] and current:
            finish(int(words[3]), words[4])
            current = None
        elif current:
            if text:
                current.line(text)
                out(f"  {text}")
        elif text:
            out(f"# {text}")
    if current:
        finish(None, None)

    out(f"1..{max(planned, len(programs))}")
    passed = sum(p.passed for p in programs)
    failed = sum(p.failed for p in programs)
    skipped = sum(p.skipped for p in programs)
    if len(programs) < planned or not planned:
        missing = max(planned - len(programs), 1)
        out(f"# {missing} test programs did not run")
        failed += missing
    if passed + failed == 0:
        out("# nothing ran")
        failed += 1
    if len(sys.argv) > 1:
        with open(sys.argv[1], "w", encoding="ascii") as file:
            file.write(f"{passed} {failed} {skipped}\n")
    out(f"# Totals: pass:{passed} fail:{failed} skip:{skipped}")
    return 1 if failed else 0


sys.exit(main())
