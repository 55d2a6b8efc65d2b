#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Size, time and memory of debug files beside the DWARF of the unstripped twin.

  tests/debuginfo/measure.py [TWIN...]

TWIN: unstripped Go programs; by default the go command and the compiler, built
with the newest toolchain. The twin's own debug file is what objcopy
--only-keep-debug takes out of it, compressed as Go's linker leaves it, and
with its sections unpacked. Times are the least of three.
"""
import os
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
GOJITTER = os.path.join(os.environ.get("O", "build"), "gojitter")


def run(*args):
    subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True)


def measured(*args):
    """(least seconds, most bytes of memory) of a command."""
    best, peak = None, 0
    for _ in range(3):
        before = time.perf_counter()
        child = subprocess.Popen(args, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            raise SystemExit("%s: exit status %d" % (args, child.returncode))
        took = time.perf_counter() - before
        best = took if best is None else min(best, took)
        peak = max(peak, usage.ru_maxrss * 1024)
    return best, peak


def row(what, path, made, binary):
    first = measured("addr2line", "-f", "-i", "-e", path, hex(binary["address"]))
    gdb = measured("gdb", "-nx", "-q", "-batch", "-iex", "set auto-load no", "-ex",
                   "info line *%#x" % binary["address"], "-e", binary["path"], "-s", path)
    print("  %-34s %7.1f MB %7s s %6s MB %9.2f s %8.2f s" % (
        what, os.path.getsize(path) / 1e6, "%.2f" % made[0], "%.0f" % (made[1] / 1e6),
        first[0], gdb[0]))


def measure(twin, work):
    stripped, out = os.path.join(work, "stripped"), os.path.join(work, "out")
    run("strip", "-o", stripped, twin)
    listed = subprocess.run([GOJITTER, "sym", "-e", stripped, "--list"], stdout=subprocess.PIPE,
                            check=True).stdout.split(b"\n")[:-1]
    binary = {"path": stripped, "address": int(listed[len(listed) // 2].split(b"\t")[0], 16)}
    print("%s: %.1f MB stripped, %d functions" % (
        os.path.basename(twin), os.path.getsize(stripped) / 1e6, len(listed)))
    print("  %-34s %10s %9s %9s %11s %10s" % ("debug file", "size", "made in", "memory",
                                              "addr2line", "gdb"))
    row("gojitter debuginfo", out, measured(GOJITTER, "debuginfo", stripped, "-o", out), binary)
    row("gojitter debuginfo --compress", out,
        measured(GOJITTER, "debuginfo", stripped, "-z", "-o", out), binary)
    keep = ["objcopy", "--only-keep-debug", twin, out]
    row("the twin's, as linked", out, measured(*keep), binary)
    keep.insert(1, "--decompress-debug-sections")
    row("the twin's, unpacked", out, measured(*keep), binary)


def main():
    twins = sys.argv[1:]
    if not twins:
        gotool = os.path.join(HERE, "../fixtures/gotool.sh")
        twins = [subprocess.run([gotool, name], stdout=subprocess.PIPE, universal_newlines=True,
                                check=True).stdout.strip() for name in ("go", "compile")]
    with tempfile.TemporaryDirectory() as work:
        for twin in twins:
            measure(twin, work)


if __name__ == "__main__":
    main()
