#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Say what came out of counting stretches with preemption off, and judge it.

usage: report.py MAX ALL TENTH

ALL and TENTH have a folder for each run; those of TENTH had a tenth of everything.
In a folder are two files: "operations", what bench/holds printed, and "windows", one
line for each operation from its plugin. The longest stretches by state and by operation
are printed, then all that are longer than MAX instructions.

An operation can also take too long if it drops its locks in between. So its
instructions in ALL are compared with those in TENTH, and printed if they grow faster
than the number of elements, with some allowance for logarithms and caches.

Exits 1 if there is anything of either kind, 2 if a run is not complete.
"""
import os
import sys

# How many times as many instructions ten times as much of everything may take.
GROWTH = 16
# Fewer instructions than these are not compared.
FIXED = 30000


class Window:
    """What one operation came to."""

    def __init__(self, announced, counted):
        self.state, self.operation = announced[len("op "):].split("|")
        fields = counted.split()
        # With those of other threads that the operation sets going.
        self.total = int(fields[0]) - int(fields[1])
        self.interrupt = int(fields[2])
        self.insns = int(fields[4])
        self.holder, self.locker, self.top = fields[5:8]
        self.scheduler = int(fields[9])

    def line(self, first, second):
        """One row of a table."""
        function = self.holder if self.insns else "-"
        return (f"{first:<27}{second:<27}{self.insns:>10}  {function:<24}"
                f"{self.scheduler:>9}{self.interrupt:>10}")


def read_runs(folder):
    """The windows of all runs. A run can be without: its states were not asked for."""
    windows = in_turn([read_run(os.path.join(folder, run))
                       for run in sorted(os.listdir(folder))])
    if not windows:
        print(f"{folder}: no operation at all: there is no such state")
        sys.exit(2)
    return windows


def read_run(folder):
    """The windows of one run."""
    with open(os.path.join(folder, "operations"), encoding="ascii") as file:
        lines = [line.strip() for line in file]
    announced = [line for line in lines if line.startswith("op ")]
    with open(os.path.join(folder, "windows"), encoding="ascii") as file:
        counted = file.readlines()
    if "end" not in lines or len(announced) != len(counted):
        print(f"{folder}: {len(announced)} operations, {len(counted)} counted: not complete")
        sys.exit(2)
    return [Window(*pair) for pair in zip(announced, counted)]


def in_turn(runs):
    """All windows, by the order of their states: the runs have them in turn."""
    numbered = []
    for first, run in enumerate(runs):
        number, state = first - len(runs), None
        for window in run:
            if window.state != state:
                number, state = number + len(runs), window.state
            numbered.append((number, window))
    return [window for _, window in sorted(numbered, key=lambda pair: pair[0])]


def table(windows, title, key, other):
    """The longest stretch for each key, and of the other two figures too."""
    groups = {}
    for window in windows:
        groups.setdefault(key(window), []).append(window)
    print(f"{title[0]:<27}{title[1]:<27}{'longest':>10}  {'held by':<24}"
          f"{'scheduler':>9}{'interrupt':>10}")
    for name, group in groups.items():
        worst = max(group, key=lambda w: w.insns)
        worst.scheduler = max(w.scheduler for w in group)
        worst.interrupt = max(w.interrupt for w in group)
        print(worst.line(name, other(worst)))
    print()


def growth(pair):
    """How many times as many instructions an operation takes."""
    large, small = pair
    return large.total / max(small.total, FIXED)


def judge_growth(windows, tenth):
    """Print what grows most, and return how many operations grow too much."""
    pairs = list(zip(windows, tenth))
    if len(windows) != len(tenth) or any((a.state, a.operation) != (b.state, b.operation)
                                         for a, b in pairs):
        print("the runs are not of the same operations")
        sys.exit(2)
    print(f"{'there are':<27}{'grows most':<27}{'instructions':>12}{'of a tenth':>12}"
          f"{'growth':>8}")
    groups = {}
    for pair in pairs:
        groups.setdefault(pair[0].state, []).append(pair)
    for state, group in groups.items():
        worst = max(group, key=growth)
        print(f"{state:<27}{worst[0].operation:<27}{worst[0].total:>12}"
              f"{worst[1].total:>12}{growth(worst):>8.1f}")
    print()
    fast = sorted((pair for pair in pairs if growth(pair) > GROWTH), key=growth, reverse=True)
    for pair in fast:
        print(f"{pair[0].state} | {pair[0].operation}: {pair[0].total} instructions, "
              f"{pair[1].total} with a tenth")
    print(f"{len(pairs)} operations, {len(fast)} grow more than {GROWTH} times with ten times "
          f"as much: {'too much' if fast else 'ok'}")
    return len(fast)


def main(limit, folder, tenth):
    """Print everything, and return the exit status."""
    windows = read_runs(folder)
    if not any(window.insns for window in windows if window.operation == "stat"):
        print("no stretch was seen where there must be one")
        return 2
    print("instructions with preemption off: the longest stretch that a function of")
    print("the module is on the stack of; beside it the scheduler's own stretches, and")
    print("interrupts")
    print()
    table(windows, ("there are", "longest in"), lambda w: w.state, lambda w: w.operation)
    table(windows, ("operation", "longest with"), lambda w: w.operation, lambda w: w.state)
    long = sorted((w for w in windows if w.insns > limit), key=lambda w: -w.insns)
    for window in long:
        print(f"{window.insns:>10}  {window.state} | {window.operation}: {window.holder}"
              f" took it in {window.locker}; {window.top}")
    print(f"{len(windows)} operations, {len(long)} with more than {limit} instructions: "
          f"{'too much' if long else 'ok'}")
    print()
    return 1 if judge_growth(windows, read_runs(tenth)) or long else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), *sys.argv[2:]))
