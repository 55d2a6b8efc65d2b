#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""What the census has read of tests/trace/crowd, against what the program says it has
started, and what the Go runtime itself tells of it when it dies of SIGQUIT.

    census.py still DIR MINOR PID  DIR: out, err of the program; text, MAP.json of its census
    census.py busy DIR NM          NM: of go tool nm; DIR: N.json, census_goroutines of many passes
"""
import bisect
import collections
import glob
import json
import re
import sys

failed = []


def want(ok, what):
    if not ok:
        print(f"WRONG: {what}")
        failed.append(what)


def entries(path):
    for entry in json.load(open(path)):
        entry = entry["formatted"]
        yield entry["key"], entry.get("value", entry.get("values"))


def of_process(name, tgid):
    """Entries of one map that are of one process, without its number."""
    for key, value in entries(name):
        if isinstance(key, int):
            if key == tgid:
                yield None, value
            continue
        for side in key, value:
            # Functions of one name in several programs have their number behind it.
            if "func" in side:
                side["func"] = re.sub(r"\.[0-9a-f]{8}$", "", side["func"])
        if key["tgid"] == tgid:
            yield key, value


def ident(reason):
    return re.sub(r"[^A-Za-z0-9]+", "_", reason).strip("_")


def read_dump(text):
    """goid -> state, parent, pcs of frames that are not inlined, how many of them frame pointers reach; or None."""
    result = {}
    for block in re.split(r"\n\n+", text):
        head = re.match(r"goroutine (\d+)[^[\n]*\[([^],\n]*)", block)
        if not head:
            continue
        parent = re.search(r"^created by .* in goroutine (\d+)", block, re.M)
        frames = re.findall(r"^(\S.*)\([^\n]*\)\n\t\S+:\d+(?: \+0x[0-9a-f]+)? .*pc=0x([0-9a-f]+)", block, re.M)
        pcs = [int(pc, 16) for _, pc in frames]
        names = [name for name, _ in frames]
        reach = None
        if "runtime.sigpanic" in names:  # to the function that had the fault
            reach = names.index("runtime.sigpanic") + 2
        if "runtime.cgocallback" in names:
            reach = names.index("runtime.cgocallback") + 1
        # Under the first function; the census leaves it out.
        if frames and frames[-1][0] == "runtime.goexit":
            pcs.pop()
        # A hundred are printed.
        result[int(head.group(1))] = head.group(2), parent and int(parent.group(1)), pcs, reach
    return result


STATES = {"running": "g_running", "runnable": "g_runnable", "syscall": "g_syscall"}


def check_one(goid, value, state, parent, pcs, reach, bias, minor):
    what = f"{goid} {value['func']}"
    moves = value["func"] in ("main.spinner", "main.ticker")
    if not moves:
        status = STATES.get(state, "g_waiting")
        want(value["status"] == status, f"{what} is {value['status']}, by its dump {state}")
        reason = ident(state) if status == "g_waiting" else "no_reason"
        # Of several releases in one instance a number may have two names.
        want(reason in value["reason"].split("_or_"), f"{what} waits for {value['reason']}, by its dump {state}")
        want(not value["is_torn"], f"{what} is torn")
    want(value["parent"] == (parent or 0) or minor < 21, f"{what} by {value['parent']}, by its dump {parent}")
    depth = value["depth"]
    ours = [pc + bias for pc in value["pc"][:depth]]
    want(not any(value["pc"][depth:]), f"{what} has addresses above its depth")
    if moves:
        return
    want(ours == pcs[:depth], f"{what} stands at {list(map(hex, ours))}, by its dump {list(map(hex, pcs))}")
    if value["status"] == "g_syscall" and minor < 23 and value["func"] != "main.stayer":
        want(depth == 1 and value["is_cut"], f"{what}: {depth} frames in a syscall")
    elif reach:
        want(depth == reach and value["is_cut"], f"{what}: {depth} of {reach} frames")
    elif len(pcs) > 32:
        want(depth == 32 and value["is_cut"], f"{what}: {depth} of {len(pcs)} frames, cut {value['is_cut']}")
    else:
        want(depth == len(pcs) and not value["is_cut"], f"{what}: {depth} of {len(pcs)} frames, cut {value['is_cut']}")


def check_numbers(directory, tgid, said, goroutines):
    by_func, by_state = collections.Counter(), collections.Counter()
    for key, value in of_process(f"{directory}/census_counts.json", tgid):
        by_func[key["func"]] += value["number"]
        by_state[key["status"], key["reason"]] += value["number"]
    for func, number in said.items():
        want(by_func[f"main.{func}"] == number, f"{by_func[f'main.{func}']} of {func}, it started {number}")
    from_all = collections.Counter((v["status"], v["reason"]) for v in goroutines.values())
    want(from_all == by_state, f"counts {by_state}, goroutines {from_all}")
    text, = [line for line in open(f"{directory}/text") if line.startswith(f"pid {tgid}: ")]
    waiting = sum(n for (status, _), n in by_state.items() if status == "g_waiting")
    total = sum(by_state.values())
    want(f": {total} goroutines: {waiting} waiting" in text, f"{total} goroutines, {waiting} wait, it prints {text}")
    (_, done), = of_process(f"{directory}/census_passes.json", tgid)
    want(done["goroutines"] == total and done["is_whole"] and not done["unreadable"], f"{done}")
    return text, by_state


def still(directory, minor, tgid):
    said = dict(re.findall(r"^(\w+) (\d+)$", open(f"{directory}/out").read().split("ready")[0], re.M))
    said = {k: int(v) for k, v in said.items()}
    dump = read_dump(open(f"{directory}/err").read())
    (_, target), = of_process(f"{directory}/targets.json", tgid)
    goroutines = {k["goid"]: v for k, v in of_process(f"{directory}/census_goroutines.json", tgid)}
    want(len(said) > 1 and dump, "the program has said nothing")
    # The runtime prints itself first, as goroutine 0 of the thread that took the signal.
    dump.pop(0, None)
    want(set(goroutines) == set(dump),
         f"goroutines {sorted(set(goroutines) ^ set(dump))} are in one only")
    for goid in set(goroutines) & set(dump):
        check_one(goid, goroutines[goid], *dump[goid], target["bias"], minor)
    text, by_state = check_numbers(directory, tgid, said, goroutines)
    # By name in the text, as the runtime spells it.
    for state, number in collections.Counter(state for state, *_ in dump.values() if state not in STATES).items():
        if number > 1 and state != "sleep":
            want(f" {number} {state}" in text, f"{number} {state} is not in {text}")
    in_kernel = said.get("rawReader", 0) + said.get("stayer", 0)
    want(by_state["g_syscall", "no_reason"] >= in_kernel > 0, f"in syscalls: {by_state}")
    print(f"{len(goroutines)} goroutines, {len(by_state)} states")


def namer(nm):
    by_entry = sorted((int(m.group(1), 16), m.group(2)) for m in
                      (re.match(r" *([0-9a-f]+) [Tt] (.*)", line) for line in open(nm)) if m)
    starts = [entry for entry, _ in by_entry]
    return lambda pc: by_entry[bisect.bisect_right(starts, pc) - 1][1]


def busy(mode, directory, nm):
    """No stack is one that the program never has."""
    name_of, seen, stacks, torn = namer(nm), collections.Counter(), collections.Counter(), 0
    callers_of = {
        "main.spinning": [], "main.hopping": [], "main.yielding": [], "main.swapper": [], "main.thrower": [],
        "main.swapping": ["main.pad"], "main.throwing": ["main.pad"],
        "main.pad": ["main.pad", "main.swapper", "main.thrower", "main.growing"],
        "main.yielding1": ["main.pad"], "main.growing": [], "main.collecting": [], "main.spare": ["main.hop3"],
    }
    for kind, outer in ("left", "swapping"), ("right", "swapping"), ("spin", "spinning"), ("hop", "hopping"):
        for i, caller in enumerate((outer, f"{kind}1", f"{kind}2")):
            callers_of[f"main.{kind}{i + 1}"] = [f"main.{caller}"]
    for path in glob.glob(f"{directory}/[0-9]*.json"):
        for key, value in entries(path):
            if not value["func"].startswith("main."):
                continue
            torn += value["is_torn"]
            names = []
            # The first is where it goes on, what a signal interrupted too; the others are behind calls.
            for pc in value["pc"][: value["depth"]]:
                is_exact = not names or names[-1].startswith("runtime.asyncPreempt")
                names.append(name_of(pc if is_exact else pc - 1))
            seen[value["status"]] += 1
            if not names or value["func"] not in callers_of:
                continue
            want(not value["is_torn"], f"{names} is of one that ran on")
            stacks["whole" if not value["is_cut"] else "cut"] += 1
            if any(name.startswith("runtime.asyncPreempt") for name in names):
                stacks["signal"] += 1
                want(value["is_cut"], f"{names} is said to be whole")
            elif names[0].startswith("main.") and len(names) > 1:
                stacks["asked"] += 1
            stacks["swap"] += value["func"] == "main.swapper"
            mine = [n for n in names if n.startswith("main.")]
            for callee, caller in zip(mine, mine[1:]):
                want(caller in callers_of[callee], f"{key['goid']} {value['status']}: {names}")
            if not value["is_cut"]:
                want(mine and mine[-1] == value["func"], f"{names} does not reach {value['func']}")
    print(f"{dict(seen)}; stacks: {dict(stacks)}; {torn} torn")
    want(stacks["whole"] > 30, "no whole stacks")
    # Others are asked only where processors are short.
    want(mode != "spin" or stacks["signal"] or stacks["asked"], "none that was asked to give up its thread")
    # Told of every pass, not only of those whose maps were kept.
    told = sum(int(n) for n in re.findall(r"(\d+) ran on while", open(f"{directory}/text").read()))
    print(f"{told} ran on while being read")
    want(not stacks["swap"] or told, "none ran on while it was read")


if sys.argv[1] == "still":
    still(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
else:
    busy(sys.argv[2], sys.argv[3], sys.argv[4])
sys.exit(1 if failed else 0)
