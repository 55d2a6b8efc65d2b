#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What bpftool prints of the maps of `gojitter trace --what samples`, for tests/fixtures/kinds.

samples.py DIRECTORY HZ CPU-SECONDS

Names: behind main.worker come main.work and what that calls; the goroutine's start
function, read from its g, is the frame that was unwound to below runtime.goexit.
Sums: each sample is in `samples` and in `samples_lines` once, or counted as lost;
samples / HZ are the seconds of processor time that the program used.
"""
import json
import subprocess
import sys


def dump(directory, name):
    text = subprocess.run(["bpftool", "-j", "map", "dump", "pinned", f"{directory}/{name}"],
                          check=True, capture_output=True, text=True).stdout
    return [entry.get("formatted", entry) for entry in json.loads(text)]


def check_stack(key, value, bad):
    shown = min(value["frame_cnt"], len(value["frames"]))
    frames = value["frames"][:shown]
    if any(frame != "unknown_function" for frame in value["frames"][shown:]):
        bad.append(("more frames than there are", frames))
    if value["frame_cnt"] == shown and frames[-1] == "runtime.goexit" and frames[-2] != key["start"]:
        bad.append((f"start {key['start']}", frames))
    if "main.worker" in frames:
        at = frames.index("main.worker")
        callee = frames[at - 1] if at else "main.work"
        # At first it says which goroutine it is.
        if callee != "main.work" and not callee.startswith(("runtime.", "fmt.", "sync.", "main.goid")):
            bad.append(("main.worker calls main.work", frames))
        if callee == "main.work" and at > 1 and not frames[at - 2].startswith(("main.", "runtime.")):
            bad.append(("main.work calls main.KIND", frames))
    return sum(value["count"] for frame in frames[:1] if frame)


def main():
    directory, hz, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    # Lines first: what comes in between is in what is read later.
    lines = sum(entry["value"]["count"] for entry in dump(directory, "samples_lines"))
    entries, bad = dump(directory, "samples"), []
    total = sum(check_stack(entry["key"], entry["value"], bad) for entry in entries)
    info = dump(directory, "samples_info")[0]["value"]
    sums = info["sums"]
    ends = sum(count for name, count in sums.items() if name == "complete" or name.startswith("cut_"))
    starts = {entry["key"]["start"] for entry in entries}
    print(f"{total} samples in {len(entries)} stacks, {lines} by line, {ends} counted; "
          f"{total / hz:.2f} s of {seconds:.2f}; {len(bad)} wrong; starts: {' '.join(sorted(starts))}")
    for what in bad[:5]:
        print("wrong:", *what)
    good = not bad and info["hz"] == hz and sums["lost_stack"] == info["lost_process"] == 0
    good = good and total == ends and lines + sums["lost_count"] == total
    good = good and any(start.startswith("main.") for start in starts)
    # A timer that is late, a machine that is stopped for a while; the starting of the program.
    sys.exit(not (good and 0.8 * seconds - 0.3 <= total / hz <= 1.2 * seconds + 0.3))


main()
