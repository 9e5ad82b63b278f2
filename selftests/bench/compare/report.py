#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Judge the table of bench/compare, and make of it what people read.

usage: report.py [OPTION]... TABLE

  -b BOUNDS   fail if a value is above its bound, or was not measured
  -u          write BOUNDS anew, from TABLE
  -d FILE     write the data of the figure
  -p PAGE     put the tables into PAGE, between the lines that begin with MARK

Prints the tables, and the targets: those of the mailbox against the kernel's others, and
whether they are reached.

A bound is a line of BOUNDS: measure, bytes, n, cpus, transport, column, most.
"""
import getopt
import sys

MARK = ".. bench/compare:"
# How much more than what was reached is too much. Where processes wait for each other,
# their order depends on when the timer ticks; most of all where it can stop one sender of
# a ring between its reservation and its commit, which holds up the others.
SLACK = {"trip-batch": 1.05, "rpc-batch": 1.05, "one-way-batch": 1.05, "fan-in-batch": 1.05}
SLACK_OF = {("fan-in-batch", "ring"): 1.5}
SLACK_ELSE = 1.02

# These grow with what is there, and are compared with the smallest number of it.
FLAT = ("depth", "queues", "priorities", "types")
TITLES = {
    "pair": "A send and a receive that do not wait, by bytes",
    "batch": "A message of a batch of {bytes} bytes, by messages in the batch",
    "trip": "A round trip of two processes{where}, median, by bytes",
    "rpc": "A call of a remote procedure by libtirpc{where}, median, by bytes",
    "one-way": "One way, a message from a process to another{where}, by bytes",
    "fan-in": "A message of {bytes} bytes to one receiver{where}, by senders",
    "many": "A message of {bytes} bytes of four senders to four receivers{where}",
    "depth": "A send and a receive of {bytes} bytes, by messages in the queue",
    "queues": "A send and a receive of {bytes} bytes, by number of queues",
    "priorities": "A send and a receive of {bytes} bytes, by priorities in the queue",
    "types": "A send and a receive of {bytes} bytes, by types in the queue",
    "life": "Making and closing a queue that has no name",
    "life-named": "Making and closing a queue, making and removing its name",
    "mq-getattr": "mq_getattr(3)",
    "ipc-stat": "msgctl(2) with IPC_STAT",
    "ipc-info": "msgctl(2) with IPC_INFO",
    "msg-info": "msgctl(2) with MSG_INFO and one queue",
}
BY_BYTES = ("pair", "trip", "rpc", "one-way", "trip-batch", "rpc-batch", "one-way-batch")
BATCH = "-batch"
# Name, measure, bytes (None: each), n, transport, the other one, most. None as the other:
# growth from the smallest n on.
TARGETS = [
    ("pair, 8 to 256 bytes", "pair", (8, 64, 256), 1, "queue", "best", 0.72),
    ("pair, 1 KiB", "pair", (1024,), 1, "queue", "best", 0.75),
    ("pair, 4 KiB", "pair", (4096,), 1, "queue", "best", 0.85),
    ("pair, 64 KiB", "pair", (65536,), 1, "queue", "best", 0.9),
    ("batch of 32, 64 bytes", "batch", (64,), 32, "queue", "best", 0.35),
    ("round trip", "trip", None, 1, "queue", "best", 0.97),
    ("mbox_call", "trip", None, 1, "mbox_call", "POSIX mq", 0.90),
    ("remote procedure", "rpc", (64, 1024, 4096), 1, "RPC, mailbox", "RPC, AF_UNIX", 0.70),
    ("one way", "one-way", None, 1, "queue", "best", 1 / 1.25),
    ("four senders, SEQPACKET", "fan-in", None, 4, "queue", "SOCK_SEQPACKET", 1.0),
    ("four senders, mq", "fan-in", None, 4, "queue", "POSIX mq", 1 / 1.5),
    ("four senders, plain ring", "fan-in", None, 4, "ring", "futex, memory", 1 / 0.8),
    ("drop-in, pair", "pair", None, 1, "POSIX mq, drop-in", "POSIX mq", 1.0),
    ("drop-in, one way", "one-way", None, 1, "POSIX mq, drop-in", "POSIX mq", 1 / 1.2),
    ("drop-in, four senders", "fan-in", None, 4, "POSIX mq, drop-in", "POSIX mq", 1 / 1.2),
    ("System V drop-in, pair", "pair", None, 1, "System V, drop-in", "System V", 1.0),
    ("System V drop-in, one way", "one-way", None, 1, "System V, drop-in", "System V", 1 / 1.2),
    ("System V drop-in, four", "fan-in", None, 4, "System V, drop-in", "System V", 1 / 1.2),
    ("100,000 queued", "depth", None, 100000, "queue", None, 1.05),
    ("10,000 mailboxes", "queues", None, 10000, "queue", None, 1.05),
    ("32,768 priorities", "priorities", None, 32768, "queue", None, 1.05),
    ("1000 types", "types", None, 1000, "queue", None, 1.05),
]


def fail(text):
    """End, for a reason that is none of the bench's results."""
    print(f"report.py: {text}", file=sys.stderr)
    sys.exit(2)


class Row:
    """One transport in one measurement."""

    def __init__(self, names, line):
        values = dict(zip(names, line.rstrip("\n").split("\t")))
        if len(values) != len(names):
            fail(f"not a line of the table: {line!r}")
        self.measure = values["measure"]
        self.bytes, self.n, self.cpus = (int(values[k]) for k in ("bytes", "n", "cpus"))
        self.transport, self.kind = values["transport"], values["kind"]
        self.ns = float(values["ns"])
        self.columns = values

    def key(self):
        """What a bound names it by."""
        return (self.measure, str(self.bytes), str(self.n), str(self.cpus), self.transport)

    def group(self):
        """Rows of one table, which differ in what is its columns' head."""
        return (self.measure, 0 if self.measure in BY_BYTES else self.bytes, self.cpus)

    def head(self):
        """Of its column."""
        return self.bytes if self.measure in BY_BYTES else self.n


def read_table(name):
    """All rows."""
    with open(name, encoding="ascii") as file:
        lines = [line for line in file if "\t" in line]
    if len(lines) < 2 or not lines[0].startswith("measure\t"):
        fail(f"{name}: no table of bench/compare")
    names = lines[0].rstrip("\n").split("\t")

    return [Row(names, line) for line in lines[1:]]


def slack(row):
    """Of a row of the table."""
    kind = SLACK_OF.get((row.measure, row.transport))

    return kind or SLACK.get(row.measure, SLACK_ELSE)


def write_bounds(name, rows):
    """What the mailbox reached, and a little more."""
    with open(name, "w", encoding="ascii") as file:
        print("# SPDX-License-Identifier: GPL-2.0-only", file=file)
        print("# Of make bench-count, by report.py -u: see its head.", file=file)
        for row in rows:
            column = "growth" if row.measure in FLAT else "ratio"
            value = row.columns[column]
            if row.kind != "ours" or value == "-":
                continue
            most = float(value) * slack(row)
            print("\t".join(row.key() + (column, f"{most:.3f}")), file=file)


def judge(name, rows):
    """Whether each bound is kept. Says which are not."""
    measured = {row.key(): row for row in rows}
    bounds = broken = 0
    with open(name, encoding="ascii") as file:
        for line in file:
            if line.startswith("#"):
                continue
            *key, column, most = line.rstrip("\n").split("\t")
            bounds += 1
            row = measured.get(tuple(key))
            value = row.columns[column] if row else "-"
            if value != "-" and float(value) <= float(most):
                continue
            broken += 1
            print(f"{' '.join(key)}: {column} {value}, at most {most}: too much")
    print(f"{bounds - broken} of {bounds} bounds are kept")

    return bounds and not broken


def show(value):
    """As many digits as are meant."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"


def groups(rows):
    """Tables in the order of the rows: the key, and its rows."""
    found = {}
    for row in rows:
        found.setdefault(row.group(), []).append(row)

    return found.items()


def table(group, rows):
    """The lines of one table."""
    measure, size, cpus = group
    heads = sorted({row.head() for row in rows})
    where = {0: "", 1: " on one CPU", 2: " on two CPUs"}[cpus]
    if measure.endswith(BATCH):
        where += ", SCHED_BATCH"
    cells = {(row.transport, row.head()): row for row in rows}
    names = list(dict.fromkeys(row.transport for row in rows))
    width = max(9, *(len(str(head)) + 2 for head in heads))

    def line(name, values):
        return f"   {name:<24}" + "".join(f"{value:>{width}}" for value in values)

    def values_of(name, text):
        found = [cells.get((name, head)) for head in heads]
        return [text(row) if row else "-" for row in found]

    def ratio(row):
        return row.columns["growth" if measure in FLAT else "ratio"]

    yield TITLES[measure.removesuffix(BATCH)].format(bytes=size, where=where) + "::"
    yield ""
    yield line("", heads)
    for name in names:
        yield line(name, values_of(name, lambda row: show(row.ns)))
    ours = list(dict.fromkeys(row.transport for row in rows if row.kind == "ours"))
    if measure in FLAT:
        yield line("", [])
        for name in names:
            yield line(name + ", growth", values_of(name, ratio))
    elif any(row.kind == "kernel" for row in rows):
        yield line("", [])
        for name in ours:
            yield line(name + ", ratio", values_of(name, ratio))
    yield ""


def targets(rows):
    """The lines that say what is reached, of what the table has."""
    for name, measure, sizes, n, transport, other, most in TARGETS:
        for row in rows:
            batch = row.measure == measure + BATCH
            if row.transport != transport or row.n != n or \
                    not (batch or row.measure == measure) or \
                    (sizes and row.bytes not in sizes):
                continue
            if other == "best":
                value = row.columns["ratio"]
            elif other is None:
                value = row.columns["growth"]
            else:
                peers = [peer.ns for peer in rows
                         if peer.transport == other and
                         (peer.group(), peer.head()) == (row.group(), row.head())]
                value = row.ns / peers[0] if peers else "-"
            if value == "-":
                continue
            value = float(value)
            where = f", {row.cpus} CPUs" if row.cpus > 1 else ", SCHED_BATCH" if batch else ""
            reached = "reached" if value <= most else "missed"
            yield (f"   {name:<26}{row.bytes:>8} bytes{value:>8.3f}, at most {most:.3f}: "
                   f"{reached}{where}")


def page_text(rows):
    """What goes into the page."""
    lines = []
    for group, members in groups(rows):
        lines += [line.rstrip() for line in table(group, members)]
    lines += ["The targets, as ratios of instructions or time; for what grows, of the largest",
              "number and the smallest::", ""]
    lines += list(targets(rows)) + [""]

    return "\n".join(lines)


def put_into(page, text):
    """Replace what is between the marks."""
    with open(page, encoding="utf-8") as file:
        lines = file.read().split("\n")
    marks = [i for i, line in enumerate(lines) if line.startswith(MARK)]
    if len(marks) != 2:
        fail(f"{page}: not two lines that begin with '{MARK}'")
    lines[marks[0] + 1:marks[1]] = [""] + text.split("\n")
    with open(page, "w", encoding="utf-8") as file:
        file.write("\n".join(lines))


def write_data(name, rows):
    """Columns for gnuplot: two sets, pairs and one way, by bytes."""
    rows = [row for row in rows if row.measure in ("pair", "one-way") and row.cpus == 1 and
            row.transport not in ("queue, ioctl", "queue, sendmsg")]
    # The mailbox's are the first ones.
    names = sorted(dict.fromkeys(row.transport for row in rows),
                   key=lambda name: all(row.kind != "ours" for row in rows
                                        if row.transport == name))
    with open(name, "w", encoding="ascii") as file:
        for measure in ("pair", "one-way"):
            cells = {(row.transport, row.bytes): row.ns for row in rows
                     if row.measure == measure}
            print("bytes", *(f'"{name}"' for name in names), file=file)
            for size in sorted({size for _, size in cells}):
                print(size, *(cells.get((name, size), "NaN") for name in names), file=file)
            print("\n", file=file)


def main():
    """See above."""
    try:
        options, names = getopt.getopt(sys.argv[1:], "b:ud:p:")
    except getopt.GetoptError as error:
        fail(error)
    options = dict(options)
    if len(names) != 1:
        fail("usage: report.py [-b BOUNDS [-u]] [-d FILE] [-p PAGE] TABLE")
    rows = read_table(names[0])
    good = True
    if "-d" in options:
        write_data(options["-d"], rows)
    if "-p" in options:
        put_into(options["-p"], page_text(rows))
    print(page_text(rows))
    if "-b" in options and "-u" in options:
        write_bounds(options["-b"], rows)
    elif "-b" in options:
        good = judge(options["-b"], rows)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
