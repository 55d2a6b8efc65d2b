#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""How fast `gojitter sym` is, each figure beside its peers' in the same run.

  tests/bench/sym.py [RUNS]

Two tables: addresses a second on Go's own compiler, built with symbols and
DWARF, and what it takes to open a program of 100 MB and name one address.
Every program is asked for the same addresses, uniformly random over the Go
text; slow ones for the first few of the list. Runs take turns; what is printed
is the median. The cost of an address is what a long list takes longer than a
list of one, so that the cost of starting and opening is told apart from it.
"""
import os
import random
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.environ.get("O", "build")
GOJITTER = os.path.join(BUILD, "gojitter")
RUNS = int(sys.argv[1]) if len(sys.argv) > 1 else 5


def output(*args):
    return subprocess.run(args, stdout=subprocess.PIPE, universal_newlines=True,
                          check=True).stdout


def measure(addresses, cpus, command):
    """(wall us, CPU us, peak KB) of one run."""
    done = output(os.path.join(BUILD, "tests/bench/measure"), addresses, str(cpus), *command)
    return [float(word) for word in done.split()]


def write_addresses(binary, directory, counts):
    """Files of so many random addresses each, every one a beginning of the longest."""
    rows = output(GOJITTER, "sym", "-e", binary, "--list").splitlines()
    begin, end = int(rows[0].split("\t")[0], 16), int(rows[-1].split("\t")[1], 16)
    random.seed(1)
    lines = ["%x\n" % random.randrange(begin, end) for _ in range(max(counts))]
    paths = {}
    for count in counts:
        paths[count] = os.path.join(directory, "%s.%d" % (os.path.basename(binary), count))
        with open(paths[count], "w") as file:
            file.writelines(lines[:count])
    return paths


class Program:
    def __init__(self, name, count, cpus, *command):
        self.name, self.count, self.cpus, self.command = name, count, cpus, command
        self.one, self.many = [], []

    def run(self, paths):
        self.one.append(measure(paths[1], self.cpus, self.command))
        self.many.append(measure(paths[self.count], self.cpus, self.command))

    def median(self, runs, column):
        return statistics.median(run[column] for run in runs)

    def setup_ms(self):
        return self.median(self.one, 0) / 1e3

    def ns(self):
        """Nanoseconds an address, wall time."""
        more = self.median(self.many, 0) - self.median(self.one, 0)
        return more * 1e3 / (self.count - 1)


def programs(binary):
    addr2line = output(os.path.join(HERE, "../fixtures/gotool.sh"), "addr2line").strip()
    many, some, few = 1000000, 20000, 4000
    return [
        Program("gojitter sym -f -i", many, 0, GOJITTER, "sym", "-f", "-i", "-e", binary),
        Program("  on one core", many, 1, GOJITTER, "sym", "-f", "-i", "-e", binary),
        Program("  without inlines", many, 1, GOJITTER, "sym", "-f", "-e", binary),
        Program("go tool addr2line", many, 0, addr2line, binary),
        Program("addr2line -f -i", some, 0, "addr2line", "-f", "-i", "-e", binary),
        Program("llvm-symbolizer --inlines", few, 0, "llvm-symbolizer", "--inlines",
                "--obj=" + binary),
    ]


def describe(binary):
    return "%s (%.0f MB, with symbols and DWARF)" % (os.path.basename(binary),
                                                     os.path.getsize(binary) / 1e6)


def goal(reached, text):
    return "%s: %s" % (text, "reached" if reached else "MISSED")


def table(listed, peer):
    print("%-28s %9s %10s %12s %12s %10s" % ("", "addresses", "setup ms", "ns/address",
                                             "addresses/s", "times Go's"))
    for p in listed:
        print("%-28s %9d %10.1f %12.1f %12.0f %10.1f" %
              (p.name, p.count, p.setup_ms(), p.ns(), 1e9 / p.ns(), peer.ns() / p.ns()))


def look_ups(binary, directory):
    listed = programs(binary)
    paths = write_addresses(binary, directory, sorted({1} | {p.count for p in listed}))
    for _ in range(RUNS):
        for program in listed:
            program.run(paths)
    go = next(p for p in listed if p.name.startswith("go tool"))
    print("Look-ups in %s, %d processors, median of %d" %
          (describe(binary), len(os.sched_getaffinity(0)), RUNS))
    table(listed, go)
    rates = dict(line.split() for line in
                 output(os.path.join(BUILD, "tests/bench/bench_sym"), binary, str(RUNS)).splitlines())
    print("inside one process, one core, processor time:")
    for key, name in (("one-frames", "one by one, with inlines"), ("one-line", "one by one"),
                      ("many-frames", "batches, with inlines"), ("many-line", "batches")):
        rate = float(rates[key])
        print("  %-26s %9d %10s %12.1f %12.0f %10.1f" % (name, 1 << 20, "-", 1e9 / rate, rate,
                                                        go.ns() * rate / 1e9))
    times = go.ns() * float(rates["many-frames"]) / 1e9
    print(goal(times >= 50, "goal, look-ups with inlines 50 times go tool addr2line's") +
          " (%.0f; as a command, with text in and out, %.0f)" % (times, go.ns() / listed[0].ns()))
    print(goal(float(rates["many-line"]) > 5e6, "goal, without inlines 5 million a second"))


def opening(binary, directory):
    listed = programs(binary)
    listed = [listed[0]] + listed[3:]
    paths = write_addresses(binary, directory, [1])
    for _ in range(RUNS):
        for program in listed:
            program.one.append(measure(paths[1], 0, program.command))
    print("\nOpening %s and naming one address, median of %d" % (describe(binary), RUNS))
    print("%-28s %10s %10s %10s" % ("", "ms", "CPU ms", "peak MB"))
    for p in listed:
        print("%-28s %10.2f %10.2f %10.1f" %
              (p.name, p.setup_ms(), p.median(p.one, 1) / 1e3, p.median(p.one, 2) / 1e3))
    first = listed[0]
    print(goal(first.setup_ms() < 5 and first.median(first.one, 2) < 10000,
               "goal, under 5 ms and 10 MB"))


def main():
    compiler = output(os.path.join(HERE, "../fixtures/gotool.sh"), "compile").strip()
    big = output(os.path.join(HERE, "big.sh")).strip()
    with tempfile.TemporaryDirectory() as directory:
        look_ups(compiler, directory)
        opening(big, directory)


if __name__ == "__main__":
    main()
