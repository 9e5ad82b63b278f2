#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Print what of the module was reached and what was not.

usage: report.py MBOX.KO LOG...

Every place that the compiler made visible to KCOV is a call; the address that
it returns to is what the kernel reports. LOG is the fuzzer's: lines "C SECTION
OFFSET" count, others are passed over. MBOX.KO has debugging information, and
source/ beside it is what it was made of.
"""
import collections
import functools
import pathlib
import re
import subprocess
import sys

FUNCTION = re.compile(r"^([0-9a-f]+) <(.+)>:$")
SECTION = re.compile(r"^Disassembly of section (\S+):$")
CALL = re.compile(r"\s([0-9a-f]+): R_\S+\s+__sanitizer_cov_trace_pc[-+]0x")
# Parts that the compiler splits off belong to the function.
SUFFIX = re.compile(r"\.(cold|part|isra|constprop)(\.\d+)*")
# What TRACE_EVENT() expands to.
TRACING = re.compile(r"^(trace_event_raw_event_|trace_raw_output_|perf_trace_"
                     r"|__traceiter_|__bpf_trace_|__probestub_)")

# Lines whose other side is never reached while the module is right: assertions,
# and what the kernel's debugging adds to locks and counters.
ASSERTION = re.compile(r"lockdep_assert|WARN_ON|BUG_ON|\b(?:spin_(?:un)?lock"
                       r"|kref_\w+|refcount_\w+|list_\w+|rb_\w+|atomic\w*"
                       r"|net_generic|trace_mbox_\w+|TRACE_EVENT"
                       r"|DECLARE_EVENT_CLASS|DEFINE_EVENT|memcpy|get_task_struct)\(")


def output(*command):
    """What a command prints."""
    return subprocess.run(command, check=True, capture_output=True,
                          text=True).stdout


def places(module):
    """All places: (section, offset) -> function."""
    found, section, function = {}, None, None
    for line in output("objdump", "-dr", module).splitlines():
        match = SECTION.match(line)
        if match:
            section = match.group(1)
            continue
        match = FUNCTION.match(line)
        if match:
            function = SUFFIX.sub("", match.group(2))
            continue
        match = CALL.search(line)
        # KASAN's own code for each file.
        if match and not function.startswith("_sub_"):
            # The relocation is of the call's last four bytes.
            found[section, int(match.group(1), 16) + 4] = function
    return found


def reached(logs):
    """The places in the logs."""
    seen = set()
    for log in logs:
        with open(log, encoding="ascii", errors="replace") as file:
            for line in file:
                words = line.split()
                if len(words) == 3 and words[0] == "C":
                    seen.add((words[1], int(words[2], 16)))
    return seen


def own_line(frames):
    """Of inlined functions, the line of the innermost that is ours."""
    for frame in frames:
        at = frame.rfind("/module/")
        if at >= 0:
            return frame[at + 1:].replace("/./", "/")
    return frames[0] if frames else "?"


def source_lines(module, wanted):
    """Where places are in the source: (section, offset) -> "file:line"."""
    lines = {}
    by_section = collections.defaultdict(list)
    for section, offset in wanted:
        by_section[section].append(offset)
    for section, offsets in by_section.items():
        # The call itself, not what comes behind it.
        text = output("addr2line", "-a", "-i", "-e", module, "-j", section,
                      *[hex(offset - 1) for offset in offsets])
        for block in re.split(r"^0x", text, flags=re.M)[1:]:
            address, *frames = block.splitlines()
            frames = [frame.split(" (")[0] for frame in frames]
            lines[section, int(address, 16) + 1] = own_line(frames)
    return lines


@functools.lru_cache(maxsize=None)
def text_of(line):
    """The source text of "module/file:number", as it was built."""
    name, _, number = line.rpartition(":")
    path = pathlib.Path(sys.argv[1]).parent / "source" / name
    if not number.isdigit() or not path.is_file():
        return ""
    lines = path.read_text(encoding="utf-8").splitlines()
    number = int(number)
    return lines[number - 1].strip() if 0 < number <= len(lines) else ""


def guarded(line):
    """Whether a line is reached only when something is broken."""
    return not line.startswith("module/") or bool(ASSERTION.search(text_of(line)))


def percent(part, whole):
    """As people like it."""
    return f"{100 * part / whole:5.1f} %" if whole else "  -    "


def main():
    """Print the tables."""
    module, logs = sys.argv[1], sys.argv[2:]
    everything = places(module)
    seen = reached(logs)
    total, hit = collections.Counter(), collections.Counter()
    for place, function in everything.items():
        total[function] += 1
        hit[function] += place in seen

    print("coverage by function:")
    for function in sorted(total, key=lambda f: (hit[f] / total[f], f)):
        print(f"  {percent(hit[function], total[function])}"
              f"  {hit[function]:3}/{total[function]:<3}  {function}")

    missed = sorted(place for place in everything if place not in seen)
    lines = source_lines(module, missed)
    never, checks = collections.defaultdict(set), 0
    for place in missed:
        # The compiler moves calls of UBSAN and other reports out of the way.
        if place[0] == ".text.unlikely" or guarded(lines[place]):
            checks += 1
        else:
            never[everything[place]].add(lines[place])
    print("never reached:")
    for function in sorted(never):
        print(f"  {function}")
        for line in sorted(never[function]):
            print(f"    {line}  {text_of(line)}")
    print(f"not listed: {checks} places of UBSAN, assertions, checked locks, "
          "counters and lists, and tracepoints")

    own = [f for f in total if not TRACING.match(f)]
    own_hit = sum(hit[f] for f in own)
    own_total = sum(total[f] for f in own)
    all_hit, all_total = sum(hit.values()), sum(total.values())
    print(f"coverage of module/: {all_hit} of {all_total} places, "
          f"{percent(all_hit, all_total).strip()}; without the code of the "
          f"tracepoints {own_hit} of {own_total}, "
          f"{percent(own_hit, own_total).strip()}")


main()
