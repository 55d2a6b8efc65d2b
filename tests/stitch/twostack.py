#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Counts whole stacks of a recording, and holds each call in them against the code.

usage: twostack.py SAMPLES BINARY [--least PERCENT] [--break]

SAMPLES: format=json. BINARY: the program, not PIE, with symbols. For every frame
and its caller that are both in it, objdump must show that the instruction before
the return address is a call; where it names its target, the callee is that
function, or one that it jumps to. Frames behind a seam, those interrupted rather
than calling, and those marked (may_miss) are left out. --break takes a caller out of each stack
first: then the check has to fail.

Exit status 1 when a call is wrong, when fewer than PERCENT of the samples with a
user part are whole, or when there is too little to tell.
"""
import argparse
import bisect
import collections
import json
import re
import subprocess
import sys

FEWEST_SAMPLES, FEWEST_CALLS = 200, 500
INTERRUPTED = ("runtime.asyncPreempt", "runtime.sigpanic", "runtime.sigpanic0")
# Their callers were not called by them: those above, and the frame that cgocallback's copy returns to.
COPIES = INTERRUPTED + ("runtime.systemstack_switch",)
ANY = -1  # where a jump through a register goes


class Code:
    """Symbols of a program; calls before the addresses asked for; jumps out of functions."""

    def __init__(self, path, returns):
        self.starts, self.calls, self.jumps = [], {}, collections.defaultdict(set)
        # Up to Go 1.16 a deferred function returns to the call of deferreturn, which is made again.
        self.again = set()
        for line in run("nm", "-n", path):
            match = re.match(r"([0-9a-f]+) [tTwWi] ", line)
            if match:
                self.starts.append(int(match[1], 16))
        before = None
        for line in run("objdump", "-d", "--no-show-raw-insn", path):
            match = re.match(r" *([0-9a-f]+):\t(\S+) *(\S*)", line)
            if not match:
                before = None
                continue
            va, name, operand = int(match[1], 16), match[2], match[3]
            if va in returns:
                self.calls[va] = before
            target = int(operand, 16) if re.fullmatch(r"(0x)?[0-9a-f]+", operand) else None
            if name.startswith("call") and line.rstrip().endswith("<runtime.deferreturn>"):
                self.again.add(va)
            before = (name, target)
            if name.startswith("j"):
                here = self.function(va)
                there = ANY if target is None else self.function(target)
                if here != there:
                    self.jumps[here].add(there)

    def function(self, va):
        at = bisect.bisect_right(self.starts, va)
        return self.starts[at - 1] if at else None

    def leads_to(self, target, function):
        """Whether code begun at @target may go on in @function without a call; None: anywhere."""
        seen, todo = set(), [self.function(target)]
        while todo:
            one = todo.pop()
            if one == function:
                return True
            if one not in seen and len(seen) < 16:
                seen.add(one)
                todo += self.jumps[one]
        return None if ANY in seen else False


def run(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.splitlines()


def locations(sample):
    """The user part, one entry for each address: inlined calls stand in the function around them."""
    found, marked = [], False
    for frame in sample["frames"]:
        marked |= frame.get("may_miss", False)
        if not frame["inlined"]:
            found.append({**frame, "may_miss": marked})
            marked = False
    return [f for f in found if not f["kernel"]]


def is_restorer(frame):
    """Go's own, or libc's, through which the runtime sets its handlers under cgo."""
    return "sigreturn" in (frame["func"] or "") or frame["func"] == "__restore_rt"


def pairs(stack, binary):
    """Callee, caller, and whether the callee stands at an instruction of its own, not behind a call."""
    for above, callee, caller in zip([None] + stack, stack, stack[1:]):
        if callee["dso"] != binary or caller["dso"] != binary or caller["how"] == "seam":
            continue
        if caller["may_miss"]:
            continue
        if callee["func"] in COPIES or caller["func"] == "runtime.goexit":
            continue
        # The kernel, not a call, has put the restorer there.
        if is_restorer(caller):
            continue
        yield callee, caller, (above is None or above["func"] in INTERRUPTED or is_restorer(above))


def check(code, ip, return_va, is_exact):
    """None: the code says nothing of the target; else whether callee and call agree."""
    call = code.calls.get(return_va)
    if not call or not call[0].startswith("call"):
        # A function that is known, but not where in it, stands at its second byte.
        return None if return_va in code.again or return_va - 1 == code.function(return_va) else False
    if call[1] is None:
        return None
    return code.leads_to(call[1], code.function(ip if is_exact else ip - 1))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("samples")
    parser.add_argument("binary")
    parser.add_argument("--least", type=float, default=0)
    parser.add_argument("--break", dest="broken", action="store_true")
    args = parser.parse_args()
    with open(args.samples) as lines:
        samples = [json.loads(line) for line in lines]
    stacks = [(s, locations(s)) for s in samples]
    stacks = [(s, stack) for s, stack in stacks if stack]
    if args.broken:
        stacks = [(s, stack[:1] + stack[2:]) for s, stack in stacks]
    calls = collections.Counter(
        (int(callee["ip"], 16), int(caller["ip"], 16), is_exact,
         callee["func"], caller["func"], caller["how"])
        for s, stack in stacks for callee, caller, is_exact in pairs(stack, args.binary))
    code = Code(args.binary, {return_va for _, return_va, *_ in calls})
    results, wrong = collections.Counter(), collections.Counter()
    for (ip, return_va, is_exact, *names), count in calls.items():
        verdict = check(code, ip, return_va, is_exact)
        results[verdict] += count
        if verdict is False:
            wrong[(hex(ip), hex(return_va), *names)] += count
    whole = sum(s["complete"] for s, _ in stacks)
    share = 100 * whole / max(len(stacks), 1)
    gaps = sum(any(f["may_miss"] for f in stack) for s, stack in stacks)
    print(f"{len(stacks)} user samples, {share:.2f} % whole, {gaps} with a gap marked; calls: "
          f"{results[True]} agree with the code, {results[None]} are indirect, {results[False]} wrong")
    for call, count in wrong.most_common(10):
        print("wrong:", count, *call)
    cut = collections.Counter((stack[-1]["func"], len(stack)) for s, stack in stacks if not s["complete"])
    for (func, depth), count in cut.most_common(5):
        print(f"cut: {count} at {func}, {depth} deep")
    if len(stacks) < FEWEST_SAMPLES or results[True] < FEWEST_CALLS:
        print("too few to tell")
        sys.exit(1)
    sys.exit(1 if wrong or share < args.least else 0)


main()
