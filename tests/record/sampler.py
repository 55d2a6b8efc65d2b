#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Gives each sample the goroutine id of its stack record, for truth.py.

usage: sampler.py PERF.DATA SAMPLES >SAMPLES-WITH-IDS

SAMPLES: format=json of PERF.DATA. A sample's record is the one of the same
thread with the same user address that is nearest in time, each taken once. What
a chain shows under the scheduler is left out: it belongs to the goroutine that
left the thread there, not to the one that is to run next.
Prints on standard error how many found theirs and how far in time; exit status
1 when fewer than 99.5 % of Go samples did.
"""
import bisect
import collections
import json
import sys

import records


NEAR_NS = 250000  # half a period of the tests' recordings; the two clocks are read in one interrupt


def above_scheduler(frames):
    for index, frame in enumerate(frames):
        if frame["func"] in ("runtime.schedule", "runtime.mcall"):
            return frames[:index]
    return frames


def main():
    by_thread = collections.defaultdict(list)
    found = records.read(sys.argv[1])
    for record in found:
        by_thread[record.tid].append((record.time_ns, record))
    for of_thread in by_thread.values():
        of_thread.sort(key=lambda pair: pair[0])
    # What a process ran before its Go program, gojitter's own waiting among it, has none.
    first = {}
    for record in found:
        first[record.pid] = min(record.time_ns, first.get(record.pid, record.time_ns))
    used, samples, matched, farthest = set(), 0, 0, 0
    for line in open(sys.argv[2]):
        sample = json.loads(line)
        user = [frame for frame in sample["frames"] if not frame["kernel"]]
        sample["goid"], sample["goid_source"] = None, "no record"
        sample["frames"] = above_scheduler(sample["frames"])
        near = by_thread[sample["tid"]]
        at = bisect.bisect([time_ns for time_ns, _ in near], sample["time_ns"])
        best = None
        for time_ns, record in near[max(0, at - 3):at + 3]:
            distance = abs(time_ns - sample["time_ns"])
            if user and distance < NEAR_NS and record.ip == int(user[0]["ip"], 16) and record.time_ns not in used and \
                    (best is None or distance < best[0]):
                best = distance, record
        if user and sample["time_ns"] > first.get(sample["pid"], 1 << 64) - NEAR_NS:
            samples += 1
            matched += best is not None
        if best:
            used.add(best[1].time_ns)
            farthest = max(farthest, best[0])
            sample["goid"] = best[1].goid or None
            sample["goid_source"] = "record" if best[1].flags & records.G_READ else "no g"
        print(json.dumps(sample))
    print(f"{samples} samples, {matched} with a record of {len(found)}, "
          f"at most {farthest / 1e3:.0f} us away", file=sys.stderr)
    sys.exit(0 if samples and matched >= 0.995 * samples else 1)


main()
