#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""What `gojitter trace --what goroutines` wrote into its maps, against what the
program says it did (tests/fixtures/switches), what its own runtime.Stack says of
each goroutine, and Go's own trace of the same run.

    goroutines.py DIR MINOR NM [TRACE]

DIR: `out`, the program's output, and MAP.json of `bpftool -j map dump`.
NM: of `go tool nm`. TRACE: of `go tool trace -d=parsed`."""
import bisect
import collections
import json
import re
import sys

directory, minor, nm = sys.argv[1], int(sys.argv[2]), sys.argv[3]
lines = open(f"{directory}/out").read().splitlines()
said = {l.split()[0]: l.split()[1:] for l in lines[: lines.index("done")] if " " in l}
failed = []


def want(ok, what):
    print(("" if ok else "WRONG: ") + what)
    if not ok:
        failed.append(what)


def entries(name):
    """Pairs of key and value; values of per-CPU maps are lists."""
    for entry in json.load(open(f"{directory}/{name}.json")):
        entry = entry["formatted"]
        if "values" in entry:
            yield entry["key"], [v["value"] for v in entry["values"]]
        else:
            yield entry["key"], entry["value"]


def hists(name, *fields):
    """Count and sum of each histogram by @fields of its key; its slots add up to its count."""
    result = {}
    for key, values in entries(name):
        cnt, total = sum(v["count"] for v in values), sum(v["sum_ns"] for v in values)
        if cnt != sum(sum(v["slots"]) for v in values):
            failed.append(f"{name} {key}: slots do not add up to its count")
        result[tuple(key[f] for f in fields)] = cnt, total
    return result


def check_counts():
    counts = collections.Counter()
    for _, values in entries("goroutine_counts"):
        for value in values:
            counts.update(value)
    print(dict(counts))
    created, left = int(said["all"][0]), int(said["left"][0])
    want(counts["created"] == created, f"created {counts['created']}, {created} were")
    want(counts["exited"] == created - left, f"exited {counts['exited']}, {created - left} were")
    # A Gosched that meets a request to stop counts as that.
    gave_way = counts["yielded"] + counts["preempted"]
    want(gave_way >= int(said["yielder"][1]), f"gave way {gave_way} times")
    want(counts["unseen"] == 0, f"unseen {counts['unseen']}")
    lost = {k: sum(v) for k, v in entries("drops")}
    want(not any(lost.values()), f"drops {lost}")


def check_waits():
    blocked = hists("blocked", "func", "reason")
    cnt, total = blocked.get((said_func("sleeper"), "sleep"), (0, 0))
    times, each_ns = int(said["sleeper"][1]), int(said["sleeper"][2])
    want(cnt == times, f"slept {cnt} times, {times} were")
    want(total >= times * each_ns, f"slept {total} ns, {times * each_ns} at least")
    want(total < 20 * times * each_ns, "and not beyond belief")
    mutex = "semacquire" if minor < 20 else "sync_Mutex_Lock"
    times, each_ns = int(said["locker"][0]), int(said["locker"][1])
    cnt, total = blocked.get((said_func("locker"), mutex), (0, 0))
    want(times / 2 <= cnt <= times, f"waited {cnt} times for a mutex that was held {times} times")
    want(total >= cnt * each_ns / 2, f"for {total} ns, held {each_ns} each")


def said_func(name):
    """What the goroutine that runs main.NAME was started with: that, or a wrapper around it."""
    return wrappers.get(name, f"main.{name}")


def check_runs():
    goid, spun_ns = said["spinner"][0], int(said["spinner"][1])
    runs = {k["func"]: v for k, v in entries("long_runs")}
    run = runs.get(said_func("spinner"))
    want(run is not None and run["cnt"] + run["slept_cnt"] >= 1, f"long runs of {list(runs)}")
    if run and not run["slept_cnt"]:  # else the machine made its thread wait
        want(run["goid"] == int(goid), f"by goroutine {run['goid']}, it was {goid}")
        want(run["max_ns"] >= 0.95 * spun_ns, f"of {run['max_ns']} ns, it was {spun_ns} at least")


def functions():
    table = {}
    for line in open(nm):
        match = re.match(r" *([0-9a-f]+) [Tt] (.*)", line)
        if match:
            table.setdefault(match.group(2), int(match.group(1), 16))
    return table


def namer():
    """Function of a return address."""
    by_entry = sorted((entry, name) for name, entry in functions().items())
    entries_only = [entry for entry, _ in by_entry]
    return lambda pc: by_entry[bisect.bisect_right(entries_only, pc - 1) - 1][1]


def stacks():
    """Of the dump: goid -> (state, parent, addresses of frames that are not inlined)."""
    entry_of, result = functions(), {}
    text = "\n".join(lines[lines.index("done") + 1 : lines.index("end")])
    for block in text.strip().split("\n\n"):
        head = re.match(r"goroutine (\d+)[^[]*\[([^],]*)", block)
        parent = re.search(r"created by .* in goroutine (\d+)", block)
        frames = re.findall(r"^(?!created by)(\S.*)\([^()]*\)\n\t\S+:\d+ \+0x([0-9a-f]+)", block, re.M)
        pcs = [entry_of.get(f, 0) + int(off, 16) for f, off in frames]
        result[int(head.group(1))] = head.group(2), parent and int(parent.group(1)), pcs
    return result


def ident(reason):
    return re.sub(r"[^A-Za-z0-9]+", "_", reason).strip("_")


def check_states():
    dump, traced = stacks(), {}
    name_of = namer()
    known = {(k["hash"], k["reason"]): v for k, v in entries("blocked_stacks")}
    for key, value in entries("goroutines"):
        traced[key["goid"]] = value
    want(set(traced) <= set(dump), f"goroutines {sorted(set(traced) - set(dump))} are none")
    for goid, (state, parent, pcs) in dump.items():
        value = traced.get(goid)
        if value is None:
            want(goid != 1 and parent in (None, 1) and not parent, f"{goid} [{state}] is missing")
            continue
        if state == "running":  # by now in the read that waits for us
            now = ("g_syscall", "status_is_exact") if minor < 26 else ("g_running", "running_or_in_syscall")
            want((value["status"], value["note"]) == now, f"{goid} is {value['status']}, {value['note']}")
            continue
        want(
            value["status"] == "g_waiting" and value["reason"] == ident(state),
            f"{goid} is {value['status']} {value['reason']}, runtime.Stack says {state}",
        )
        if parent:
            want(value["parent_goid"] == parent, f"{goid} by {value['parent_goid']}, it is {parent}")
        stack = known.get((value["stack"], value["reason"]))
        check_stack(goid, stack and stack["stack"], pcs, name_of)


def check_stack(goid, stack, pcs, name_of):
    """runtime.Stack leaves the runtime's innermost frames out, and the outermost wrapper."""
    ours = stack["pcs"][: stack["pc_cnt"]] if stack else []
    at = next((i for i in range(len(ours)) if ours[i : i + len(pcs)] == pcs), None)
    want(
        pcs and at is not None and not stack["is_cut"]
        and all(name_of(pc).startswith("runtime.") for pc in ours[:at])
        and len(ours) - at - len(pcs) <= 2 and name_of(ours[-1]).startswith("runtime.goexit"),
        f"{goid} waits at {[name_of(pc) for pc in ours]}, runtime.Stack says {[name_of(pc) for pc in pcs]}",
    )


def is_near(ours_ns, trace_ns, cnt):
    """Within 5 %, or 50 us each time."""
    return abs(ours_ns - trace_ns) <= max(0.05 * trace_ns, 50_000 * cnt)


def check_trace(path):
    """Starts and waits, how many and how long, by function the goroutines were started with."""
    func_of, starts, waits = {}, collections.Counter(), collections.Counter()
    since, runnable_ns, waiting_ns = {}, collections.Counter(), collections.Counter()
    text = open(path).read()
    for event in re.split(r"\n(?=M=)", text):
        match = re.search(r"StateTransition Time=(\d+) .*GoID=(\d+) (\w+)->(\w+)", event)
        if not match:
            continue
        time_ns, (goid, old, new) = int(match.group(1)), match.groups()[1:]
        if old == "NotExist":
            func = re.search(r"TransitionStack=\n\t(\S+)", event) or re.search(r"Stack=\n\t(\S+)", event)
            func_of[goid] = func.group(1) if func else "?"
        if goid not in func_of:
            continue
        lasted_ns = time_ns - since.get(goid, time_ns)
        since[goid] = time_ns
        if (old, new) == ("Runnable", "Running"):
            starts[func_of[goid]] += 1
            runnable_ns[func_of[goid]] += lasted_ns
        elif (old, new) == ("Waiting", "Runnable"):
            waiting_ns[func_of[goid]] += lasted_ns
        elif (old, new) == ("Running", "Waiting"):
            waits[func_of[goid]] += 1
    latency = hists("sched_latency", "func")
    blocked, blocked_ns = collections.Counter(), collections.Counter()
    for (func, _), (cnt, total_ns) in hists("blocked", "func", "reason").items():
        blocked[func] += cnt
        blocked_ns[func] += total_ns
    for _, value in entries("goroutines"):
        if value["status"] == "g_waiting":
            blocked[value["func"]] += 1  # begun and not ended
    mine = [func for func in starts if func.startswith("main.")]
    want(len(mine) == 14, f"Go's trace has starts of {len(mine)} functions of main")
    near = []
    for func in mine:
        ours = said_func(func.split(".")[1])
        cnt, latency_ns = latency.get((ours,), (0, 0))
        want(cnt == starts[func], f"{func} started {cnt} times, by Go's trace {starts[func]}")
        want(blocked[ours] == waits[func], f"{func} waited {blocked[ours]} times, by Go's trace {waits[func]}")
        print(f"runnable {latency_ns} ns, by Go's trace {runnable_ns[func]}; "
              f"waited {blocked_ns[ours]} ns, by Go's trace {waiting_ns[func]}")
        near.append(is_near(latency_ns, runnable_ns[func], cnt)
                    and is_near(blocked_ns[ours], waiting_ns[func], waits[func]))
    # The machine may stop a thread between the runtime's note of an event and ours.
    want(sum(near) >= len(near) - 3, f"times of {sum(near)} of {len(near)} functions are Go's trace's")


def check_wakers():
    """The holder of the mutex lets those go on that waited for it, and is on its stack then."""
    name_of, mutex = namer(), "semacquire" if minor < 20 else "sync_Mutex_Lock"
    blocked = {k["hash"] for k, _ in entries("blocked_stacks")}
    waits, funcs = collections.Counter(), set()
    for key, value in entries("waker_stacks"):
        want(key["blocked"] in blocked, f"what {value['waker']} ended is known: {key['reason']}")
        stack = [name_of(pc) for pc in value["stack"]["pcs"][: value["stack"]["pc_cnt"]]]
        # Up to Go 1.19 who waits for others to be done has the same reason.
        if key["reason"] == mutex and (minor >= 20 or value["waker"] == said_func("holder")):
            waits["readied"] += value["readied"]
            waits["sum_ns"] += value["sum_ns"]
            funcs |= {value["waker"], *(name for name in stack if name.startswith("main."))}
            want(stack[-1].startswith("runtime.goexit"), f"woken by {stack}")
    cnt, total = hists("blocked", "func", "reason").get((said_func("locker"), mutex), (0, 0))
    # One that was woken finds the mutex taken again at times, and waits on for less.
    want(cnt / 2 <= waits["readied"] <= cnt, f"woken {waits['readied']} times, it waited {cnt} times")
    want(0.9 * total <= waits["sum_ns"] <= total, f"after {waits['sum_ns']} of {total} ns")
    want(funcs == {said_func("holder"), "main.holder"}, f"by {funcs}")


# Which wrapper is whose: by the order of go statements with arguments, in each function.
wrappers, symbols = {}, functions()
for outer, inners in (
    ("createMany", ["ends"]),
    ("run", ["sleeper", "pinger", "holder", "locker", "spinner", "yielder"]),
    ("leave", ["condWaiter", "mutexWaiter", "groupWaiter"]),
):
    for i, name in enumerate(inners):
        for form in ("gowrap", "func"):  # func: up to Go 1.21
            if f"main.{outer}.{form}{i + 1}" in symbols:
                wrappers[name] = f"main.{outer}.{form}{i + 1}"

if len(sys.argv) > 4:
    check_trace(sys.argv[4])
else:
    check_counts()
    check_waits()
    check_runs()
    check_states()
    check_wakers()
sys.exit(1 if failed else 0)
