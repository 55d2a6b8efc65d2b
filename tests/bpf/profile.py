#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Folded stacks of tests/fixtures/kinds, by goroutine, against what is so.

profile.py [--any] TRUTH FOLDED [PPROF-TOP]

TRUTH is what the program printed: "KIND GOID". Every stack of such a goroutine
reads runtime.goexit; ...; main.worker; main.work; main.KIND; whatever that kind
calls, and who called the leaf is there. A stack that begins elsewhere is cut, and
counted; the scheduler's own (mcall, mstart) hold no goroutine's frames.

--any: the stacks do not say of which goroutine they are; main.work's callee then does.

PPROF-TOP is `go tool pprof -top -cum` of the program's own profile over the same
time: the share of each function must be the same within sampling error.
"""
import math
import re
import sys

# What is called by nobody but the kind's own function.
CALLERS = {"main.spinLeaf": {"main.spin", "main.deepLeaf", "main.yields"}, "main.deepLeaf": {"main.deep", "main.deepLeaf"},
           "c_leaf": {"c_middle"}, "c_middle": {"_cgo_Cfunc_c_spin"}}
ROOTS = {"runtime.mcall", "runtime.mstart", "runtime.morestack", "runtime.rt0_go", "runtime.systemstack"}


def plain(name):
    """C functions as they are written: without what compiler and cgo add."""
    name = re.sub(r"\.(constprop|part|isra)\.\d+", "", name)
    return re.sub(r"^_cgo_\w+_Cfunc_", "_cgo_Cfunc_", name)


def read_folded(path):
    for line in open(path):
        stack, count = line.rstrip("\n").rsplit(" ", 1)
        frames = stack.split(";")[1:]
        goid = None
        if frames and frames[0].startswith("goroutine "):
            goid = frames.pop(0).split()[1]
        yield goid, [plain(frame) for frame in frames], int(count)


def is_right(frames, kind):
    # main.work itself may be interrupted, or preempted in its prologue.
    leaves = [i for i, frame in enumerate(frames)
              if re.match(r"asm_|entry_|ret_from_|runtime\.(morestack|asyncPreempt|sig|cgoSig)|__restore_rt|\[libc|\[kernel", frame)]
    user = frames[:leaves[0]] if leaves else frames
    at = user.index("main.worker") if "main.worker" in user else 99
    if at > 2 or user[at:at + 3] != ["main.worker", "main.work", "main." + kind][:len(user) - at]:
        return False
    return all(callee not in CALLERS or caller in CALLERS[callee]
               for caller, callee in zip(frames, frames[1:]))


def kind_of(frames, kinds):
    """What goroutine a stack is of, by what stands behind main.work; None: not one of ours."""
    ours = [frame for frame in frames if frame.startswith("main.") and frame[5:] in kinds | {"work", "worker"}]
    if not ours:
        return None
    # Before it works it says which goroutine it is.
    if any(frame == "main.goid" or frame.startswith(("fmt.", "sync.")) for frame in frames):
        return None
    after = frames[frames.index("main.work") + 1:] if "main.work" in frames else []
    return after[0][5:] if after and after[0][5:] in kinds else "nothing"


def judge_any(truth, folded):
    """As judge, of stacks whose goroutine is not told."""
    kinds = set(truth.values())
    seen, wrong = {}, []
    total = cut = known = 0
    for _, frames, count in folded:
        total += count
        kind = kind_of(frames, kinds)
        if kind is None:
            continue
        if frames[0] != "runtime.goexit":
            cut += count
            continue
        known += count
        seen[kind] = seen.get(kind, 0) + count
        if not is_right(frames, kind):
            wrong.append(frames)
    print(f"{total} samples, {known} of known goroutines, {cut} of them cut, {len(wrong)} stacks wrong")
    for frames in wrong[:5]:
        print("wrong:", ";".join(frames))
    missing = [kind for kind in kinds if not seen.get(kind) and known > 100 * len(kinds)]
    if missing:
        print("hardly seen:", *missing)
    return not wrong and not missing and known >= 50 and cut <= 0.02 * (known + cut)


def judge(truth, folded):
    seen, wrong = {}, []
    total = cut = known = 0
    for goid, frames, count in folded:
        total += count
        if not frames or frames[0] != "runtime.goexit":
            if goid in truth and (not frames or frames[0] not in ROOTS):
                cut += count
            continue
        kind = truth.get(goid)
        if kind is None:
            if any(frame.startswith("main.wo") for frame in frames):
                wrong.append((goid, frames))
            continue
        known += count
        seen[kind] = seen.get(kind, 0) + count
        if not is_right(frames, kind):
            wrong.append((goid, frames))
    print(f"{total} samples, {known} of known goroutines, {cut} of them cut, {len(wrong)} stacks wrong")
    for goid, frames in wrong[:5]:
        print("wrong:", goid, truth.get(goid), ";".join(frames))
    # On a machine that is busy with others there may be few samples in all.
    missing = [kind for kind in truth.values() if not seen.get(kind) and known > 100 * len(truth)]
    if missing:
        print("hardly seen:", *missing)
    return not wrong and not missing and known >= 50 and cut <= 0.02 * (known + cut)


def shares_of_folded(folded):
    shares, total = {}, 0
    for _, frames, count in folded:
        if "main.worker" not in frames:
            continue
        total += count
        for frame in set(frames):
            shares[frame] = shares.get(frame, 0) + count
    return {name: count / total for name, count in shares.items()}, total


def shares_of_pprof(path):
    cums = {}
    for line in open(path):
        found = re.match(r"\s*\S+\s+\S+%\s+\S+%\s+([\d.]+)(ms|s|mins)?\s+\S+%\s+(\S+)", line)
        if found:
            unit = {"ms": 1, "s": 1000, "mins": 60000, None: 1}[found[2]]
            cums[found[3]] = float(found[1]) * unit
    total = cums["main.worker"]
    return {name: cum / total for name, cum in cums.items()}, total / 10  # 100 Hz


def compare(folded, path):
    ours, our_count = shares_of_folded(folded)
    theirs, their_count = shares_of_pprof(path)
    compared, bad = 0, []
    for name in sorted(theirs):
        if not name.startswith("main.") or max(theirs[name], ours.get(name, 0)) < 0.02:
            continue
        p = (theirs[name] + ours.get(name, 0)) / 2
        error = 4 * math.sqrt(max(p * (1 - p), 0) * (1 / our_count + 1 / their_count)) + 0.01
        compared += 1
        if abs(theirs[name] - ours.get(name, 0)) > error:
            bad.append(f"{name}: {100 * ours.get(name, 0):.1f} %, pprof {100 * theirs[name]:.1f} %")
    print(f"shares of {compared} functions compared with pprof's, {len(bad)} apart", *bad, sep="\n")
    return compared >= 8 and not bad


def main():
    is_any = sys.argv[1:2] == ["--any"]
    paths = sys.argv[1 + is_any:]
    truth = dict(reversed(line.split()) for line in open(paths[0]) if len(line.split()) == 2)
    folded = list(read_folded(paths[1]))
    good = judge_any(truth, folded) if is_any else judge(truth, folded)
    if len(paths) > 2:
        good = compare(folded, paths[2]) and good
    sys.exit(not good)


main()
