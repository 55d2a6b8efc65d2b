#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Holds the goroutine ids of samples against what the program itself says.

usage: truth.py TRUTH SAMPLES [--most-missing PERCENT] [--pid PID]

TRUTH: output of tests/fixtures/spins. SAMPLES: format=json of its recording; with
--pid, of one in which other processes may run the same program.
A sample counts when its innermost user frame is a function of package main
and main.spinNN is in its stack; then exactly one line of TRUTH says which
goroutine it was. Prints the counts; exit status 1 when any id is wrong, when
fewer than 100 - PERCENT (1) of the samples carry one, or when there are too
few to tell.
"""
import argparse
import bisect
import collections
import json
import re
import sys

FEWEST = 100


def read_truth(path):
    slots = collections.defaultdict(list)
    with open(path) as lines:
        for line in lines:
            slot, goid, begin, end = line.split()
            slots[int(slot)].append((int(begin), int(end), int(goid)))
    for intervals in slots.values():
        intervals.sort()
    return slots


def find(intervals, time_ns):
    at = bisect.bisect_right(intervals, (time_ns, 1 << 63, 0)) - 1
    if at >= 0 and intervals[at][0] <= time_ns <= intervals[at][1]:
        return intervals[at][2]
    return None


def judge(samples, slots, pid):
    counts, reasons, wrong = collections.Counter(), collections.Counter(), []
    for line in samples:
        sample = json.loads(line)
        if pid not in (None, sample["pid"]):
            continue
        user = [frame["func"] or "" for frame in sample["frames"] if not frame["kernel"]]
        spin = next((m for m in (re.fullmatch(r"main\.spin(\d\d)", f) for f in user) if m), None)
        if not spin:
            continue
        truth = find(slots[int(spin[1])], sample["time_ns"])
        if truth is None:
            continue
        if sample["goid"] is not None and sample["goid"] != truth:
            wrong.append((sample["time_ns"], sample["goid"], truth, sample["goid_source"], user[:4]))
        if not user[0].startswith("main."):
            counts["elsewhere"] += 1
            counts["elsewhere known"] += sample["goid"] is not None
            continue
        counts["samples"] += 1
        counts["known"] += sample["goid"] is not None
        reasons[str(sample["goid_source"])] += 1
    return counts, reasons, wrong


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("truth")
    parser.add_argument("samples")
    parser.add_argument("--most-missing", type=float, default=1.0)
    parser.add_argument("--pid", type=int)
    args = parser.parse_args()
    with open(args.samples) as samples:
        counts, reasons, wrong = judge(samples, read_truth(args.truth), args.pid)
    print(f"samples in user Go code: {counts['samples']}, with a goroutine id: {counts['known']}, "
          f"wrong anywhere: {len(wrong)}; below such code: {counts['elsewhere']}, "
          f"with an id: {counts['elsewhere known']}; {dict(reasons)}")
    for one in wrong[:10]:
        print("wrong:", *one)
    if counts["samples"] < FEWEST:
        print(f"fewer than {FEWEST} samples: this says nothing")
        sys.exit(1)
    share = 100 * counts["known"] / counts["samples"]
    sys.exit(1 if wrong or share < 100 - args.most_missing else 0)


main()
