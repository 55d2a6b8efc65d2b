#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Holds the goroutine ids of samples against the start functions of goroutines.

usage: others.py SAMPLES SWITCHES PROGRAM ADDR2LINE

SAMPLES: format=json. SWITCHES: the probe's records as stock perf prints them,
with goid and start_pc. ADDR2LINE: Go's own tool, which names start_pc in PROGRAM.
A sample counts when its innermost user frame is Go code outside the runtime and
its stack reaches runtime.goexit over another frame (a chain of frame pointers
lacks the caller of a function that is at its very beginning). Exit status 1 when a stack's outermost function
is not the start function of the goroutine that the sample is said to be of,
when fewer than 99 % of the samples carry an id, or when there are too few.
"""
import collections
import json
import re
import subprocess
import sys

FEWEST = 100


def read_starts(path):
    starts = {}
    for line in open(path):
        match = re.search(r"goid=(\d+) .*start_pc=(0x[0-9a-f]+)", line)
        if match:
            starts.setdefault(int(match[1]), int(match[2], 16))
    return starts


def name_addresses(addresses, program, addr2line):
    done = subprocess.run([addr2line, program], text=True, stdout=subprocess.PIPE, check=True,
                          input="".join(f"{address:#x}\n" for address in addresses))
    return dict(zip(addresses, done.stdout.splitlines()[::2]))


def main():
    starts = read_starts(sys.argv[2])
    names = name_addresses(sorted(set(starts.values())), sys.argv[3], sys.argv[4])
    counts, wrong, roots = collections.Counter(), [], collections.Counter()
    for line in open(sys.argv[1]):
        sample = json.loads(line)
        user = [f["func"] or "" for f in sample["frames"] if not f["kernel"] and not f["inlined"]]
        if len(user) < 3 or user[-1] != "runtime.goexit" or "." not in user[0] or \
                re.match(r"(runtime|syscall|internal/runtime)[./]", user[0]):
            continue
        counts["samples"] += 1
        if sample["goid"] is None:
            counts[sample["goid_source"]] += 1
            continue
        counts["known"] += 1
        # Generic shapes are not compared; nothing here starts in one.
        start = names.get(starts.get(sample["goid"]))
        roots[start] += 1
        if start != user[-2]:
            wrong.append((sample["time_ns"], sample["goid"], start, user[-2]))
    print(f"samples in user Go code: {counts['samples']}, with a goroutine id: {counts['known']}, "
          f"on {len(starts)} goroutines of {len(roots)} start functions; wrong: {len(wrong)}")
    for one in wrong[:10]:
        print("wrong:", *one)
    if counts["samples"] < FEWEST or len(roots) < 2:
        print("too few samples or start functions to tell")
        sys.exit(1)
    sys.exit(1 if wrong or counts["known"] < 0.99 * counts["samples"] else 0)


main()
