#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Files of `gojitter trace --events` against the maps of the same run, the program's
own counts (tests/trace/events.go) and Go's addr2line.

    events.py CHECK BINARY MINOR GOROOT DIRECTORY

CHECK: ring, perf (both everything), trace (against Go's own), threads, tiny (a buffer that is too small), cut."""
import collections
import json
import os
import random
import re
import signal
import subprocess
import sys
import time

check, binary, minor, goroot, directory = sys.argv[1:6]
minor = int(minor)
gojitter = os.environ["O"] + "/gojitter"
instance = f"events-test-{os.getpid()}"
pins = f"/sys/fs/bpf/gojitter/v1/{instance}"
failed = []


def want(ok, what):
    print(("" if ok else "WRONG: ") + what)
    if not ok:
        failed.append(what)


def equal(what, found, wanted):
    want(found == wanted, f"{what}: {found}" + ("" if found == wanted else f", not {wanted}"))


def entries(name):
    """Pairs of key and value; values of per-CPU maps are lists by CPU."""
    text = subprocess.run(["bpftool", "-j", "map", "dump", "pinned", f"{pins}/{name}"],
                          capture_output=True, check=True).stdout
    for entry in json.loads(text):
        entry = entry["formatted"]
        if "values" in entry:
            yield entry["key"], [v["value"] for v in entry["values"]]
        else:
            yield entry["key"], entry["value"]


def run(*options, arguments=()):
    """The file's path, what the program said, and the maps before they were taken away."""
    path = f"{directory}/{check}-{minor}.events"
    target = subprocess.Popen([binary, *arguments], env=dict(os.environ, GODEBUG="asyncpreemptoff=1"),
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    trace = None
    try:
        assert json.loads(target.stdout.readline()) == "ready"
        trace = subprocess.Popen([gojitter, "trace", "-p", str(target.pid), "--instance", instance,
                                  "-o", path, *options], stderr=subprocess.PIPE, text=True)
        for line in trace.stderr:
            if "maps:" in line:
                break
        else:
            raise AssertionError("it did not start")
        target.stdin.write("\n")
        target.stdin.flush()
        truth = json.loads(target.stdout.readline())
        time.sleep(0.1)  # to where it waits for the next line
        if check == "threads":
            target.send_signal(signal.SIGSTOP)
            time.sleep(0.1)
        maps = {name: list(entries(name))
                for name in ("goroutine_counts", "stw", "gc", "drops", "thread_states")
                if os.path.exists(f"{pins}/{name}")}
        trace.send_signal(signal.SIGINT)
        said = trace.stderr.read()
        equal("it ends with", trace.wait(10), 0)
        want(not os.path.exists(pins), "the instance is gone")
        print(said.strip())
    finally:
        target.kill()
        target.wait()
        if trace and trace.poll() is None:
            trace.kill()
        subprocess.run([gojitter, "untrace", "--instance", instance], capture_output=True)
    return path, truth, maps


def read(path):
    """Head and events."""
    text = subprocess.run([gojitter, "events", "--json", path], capture_output=True, text=True)
    lines = [json.loads(line) for line in text.stdout.splitlines()]
    events = lines[1:]
    late = re.match(r"gojitter: (\d+) events stand behind later ones", text.stderr)
    times = [e["time_ns"] for e in events if e["kind"] != "events_lost"]
    if late:
        print(text.stderr.strip())
        want(0 < sum(a > b for a, b in zip(times, times[1:])) <= int(late.group(1)), "so many are late")
        events.sort(key=lambda e: e["time_ns"])
    else:
        equal("in order of time", times == sorted(times), True)
    equal("reading ends with", (text.returncode, text.stderr[len(text.stderr) if late else 0:]), (0, ""))
    return lines[0], events


def counts_of(maps):
    counts = collections.Counter()
    for _, values in maps["goroutine_counts"]:
        for value in values:
            counts.update(value)
    return counts


def lost_of(maps):
    return {cpu: cnt for key, values in maps["drops"] if key in (4, "drop_ring_full")
            for cnt_list in [values] for cpu, cnt in enumerate(cnt_list) if cnt}


def have_room(maps):
    """Whether the maps are whole: a kernel short of per-CPU memory makes no entries for a while."""
    full = sum(sum(values) for key, values in maps["drops"] if key in (0, "drop_map_full"))
    if full:
        print(f"{full} times a map had no room: it is no witness")
    return not full


def check_goroutines(events, truth, maps):
    counts = counts_of(maps)
    cnt = collections.Counter(e["kind"] for e in events)
    moves = collections.Counter((e["from"], e["to"]) for e in events if "to" in e)
    if have_room(maps):
        equal("created, as in the map", cnt["goroutine_created"], counts["created"])
        equal("dead, as exited in the map", cnt["goroutine_dead"], counts["exited"])
        equal("running from runnable, as started", moves["runnable", "running"], counts["started"])
        equal("runnable from waiting, as readied", moves["waiting", "runnable"], counts["readied"])
        equal("waiting, as parked", cnt["goroutine_waiting"], counts["parked"])
    own = [e for e in events if e.get("func", "").startswith("main.")]
    of_own = collections.Counter(e["kind"] for e in own)
    equal("created by the program", of_own["goroutine_created"], truth["ended"])
    equal("and dead", of_own["goroutine_dead"], truth["ended"])
    sleeps = [e for e in own if e["kind"] == "goroutine_waiting" and e["reason"] == "sleep"]
    equal("sleeps", len(sleeps), truth["sleeps"])
    woken = [e for e in own if e["kind"] == "goroutine_runnable" and e.get("reason") == "sleep"]
    equal("ends of sleeps", len(woken), truth["sleeps"])
    want(all("by" not in e for e in woken), "no goroutine ends a sleep")
    pings = [e for e in own if e["kind"] == "goroutine_runnable" and
             e.get("reason", "").startswith("chan ")]
    want(pings and all(e.get("by") == 1 for e in pings), "what waits for a channel main readies")


def check_order(head, events):
    want(events[0]["time_ns"] >= head["monotonic_ns"], "none before the file's head")
    status = {}
    for e in events:
        if "to" not in e:
            continue
        if e["kind"] == "goroutine_created":
            want(e["goid"] not in status, f"{e['goid']} is created first")
        # Go 1.26 enters and leaves syscalls without telling; preemptPark, for the GC to read
        # a stack, goes from running to waiting without, in all releases.
        elif e["goid"] in status and status[e["goid"]] != e["from"] and minor < 26 and \
                (status[e["goid"]], e["from"], "reason" in e) != ("running", "waiting", False):
            want(False, f"goes on as it was left ({status[e['goid']]}): {e}")
        status[e["goid"]] = e["to"]
    want("dead" in status.values() and "waiting" in status.values(), "goroutines' states at the end")


def check_gc(events, truth, maps):
    cnt = collections.Counter(e["kind"] for e in events)
    equal("ends of marking are NumGC", cnt["gc_mark_end"], truth["cycles"])
    equal("beginnings, too", cnt["gc_mark_begin"], truth["cycles"])
    want(truth["cycles"] >= 5, "at least those that were forced")
    started = collections.Counter(e["reason"] for e in events if e["kind"] == "stw_started")
    by_map = collections.Counter()
    for key, values in maps["stw"]:
        if key["phase"] == "stopped":
            by_map[key["reason"]] += sum(v["count"] for v in values)
    if have_room(maps):
        equal("stops by reason, as in the map", started, by_map)
    stops = sum(started.values())
    equal("each with its four events", [cnt[k] for k in ("stw_stopping", "stw_stopped", "stw_starting")],
          [stops] * 3)
    if minor >= 21:
        equal("ReadMemStats stops twice", started["read_mem_stats"], 2)
    total = sum(v["sum_ns"] for key, values in maps["stw"] for v in values if key["phase"] == "stopped")
    if have_room(maps):
        equal("time stopped, as in the map",
              sum(e["ns"] for e in events if e["kind"] == "stw_starting"), total)


def check_stacks(events):
    """Functions of addresses, as Go's own tool has them."""
    stacks = [e["stack"] for e in events if "stack" in e]
    # What never was readied did not wait (Go 1.19 marks the collector's goroutines so while they run).
    waits = {}
    for e in events:
        before = waits.pop(e.get("goid"), None)
        if before and (e["kind"], e.get("from")) != ("goroutine_running", "waiting"):
            want(False, f"a wait without a stack: {before}, {e}")
        if e["kind"] == "goroutine_waiting" and "stack" not in e:
            waits[e["goid"]] = e
    want(minor < 20 or len(stacks) == sum(e["kind"] == "goroutine_waiting" for e in events),
         "waits have stacks")
    want(any(f["func"] == "main.sleeper" for s in stacks for f in s), "the sleeper's among them")
    rows = sorted({(f["va"] - (i > 0), f["func"]) for s in stacks for i, f in enumerate(s)})
    told = subprocess.run([f"{goroot}/bin/go", "tool", "addr2line", binary], check=True, text=True,
                          input="".join(f"{va:#x}\n" for va, _ in rows), capture_output=True,
                          env=dict(os.environ, GOROOT=goroot, GOTOOLCHAIN="local")).stdout.splitlines()[::2]
    wrong = [(hex(va), ours, theirs) for (va, ours), theirs in zip(rows, told) if ours != theirs]
    equal(f"{len(rows)} addresses are in the functions that Go says; others", wrong, [])
    created = {e["created_at"] for e in events if e.get("func") == "main.short"
               and "created_at" in e}
    if created:
        want(len(created) == 1, "one go statement made them all")


def everything(*options):
    path, truth, maps = run("--events=goroutines,gc", *options)
    head, events = read(path)
    equal("buffer", head["buffer"], "perf" if options else "ring")
    equal("no events of other kinds", {e["kind"].split("_")[0] for e in events} -
          {"goroutine", "gc", "stw"}, set())
    equal("nothing is lost", lost_of(maps), {})
    check_goroutines(events, truth, maps)
    check_order(head, events)
    check_gc(events, truth, maps)
    check_stacks(events)
    print(f"{len(events)} events in {os.path.getsize(path)} bytes")


def of_go(path):
    """By goroutine that was created meanwhile, its changes (to, ns) by Go's own trace."""
    text = subprocess.run([f"{goroot}/bin/go", "tool", "trace", "-d=parsed", path], check=True, text=True,
                          capture_output=True, env=dict(os.environ, GOROOT=goroot, GOTOOLCHAIN="local")).stdout
    changes = {}
    for event in re.split(r"\n(?=M=)", text):
        match = re.search(r"StateTransition Time=(\d+) .*GoID=(\d+) (\w+)->(\w+)", event)
        if not match:
            continue
        ns, goid, old, new = match.groups()
        if old == "NotExist":
            changes[int(goid)] = []
        if int(goid) in changes:
            changes[int(goid)].append((new.lower().replace("notexist", "dead"), int(ns)))
    return changes


def trace():
    path, truth, _ = run("--events=goroutines", arguments=[f"{directory}/go.trace"])
    _, events = read(path)
    ours = collections.defaultdict(list)
    for e in events:
        if e.get("func", "").startswith("main."):
            ours[e["goid"]].append((e["to"], e["time_ns"]))
    theirs = {goid: changes for goid, changes in of_go(f"{directory}/go.trace").items() if goid in ours}
    equal("goroutines of the program, by Go's trace", len(theirs), truth["ended"])
    wrong = {goid: ([to for to, _ in ours[goid]], [to for to, _ in changes])
             for goid, changes in theirs.items()
             if [to for to, _ in ours[goid]] != [to for to, _ in changes]}
    equal("those that did other things by it", wrong, {})
    gaps = sorted(b - a for goid, changes in theirs.items() if goid not in wrong
                  for (_, a), (_, b) in zip(changes, ours[goid]))
    middle = gaps[len(gaps) // 2]
    off = sorted(abs(gap - middle) for gap in gaps)
    print(f"{len(off)} changes; half are within {off[len(off) // 2] / 1e3:.1f} us of Go's times, "
          f"95 % within {off[len(off) * 95 // 100] / 1e3:.1f}")
    want(off[len(off) * 9 // 10] < 20e6, "times are Go's but for a shift")


def tiny():
    for buffer in ("--events-buffer=4K",), ("--events-buffer=4K", "--perf-buffer"):
        path, truth, maps = run("--events=goroutine_created,goroutine_dead", *buffer)
        _, events = read(path)
        lost = collections.Counter()
        for e in events:
            if e["kind"] == "events_lost":
                lost[e["cpu"]] += e["count"]
        kept = sum(e["kind"] != "events_lost" for e in events)
        counts = counts_of(maps)
        want(sum(lost.values()) > 0, f"{sum(lost.values())} are lost")
        equal("lost by processor, as in the map", dict(lost), lost_of(maps))
        equal("kept and lost, as created and exited in the map", kept + sum(lost.values()),
              counts["created"] + counts["exited"])
        want(counts["created"] >= truth["ended"], "which are at least the program's")


def threads():
    path, _, maps = run("--events=threads")
    _, events = read(path)
    equal("nothing is lost", lost_of(maps), {})
    cnt, queue_ns = collections.Counter(), collections.Counter()
    for e in events:
        cnt[e["tid"], e["kind"]] += 1
        if e["kind"] == "thread_running":
            queue_ns[e["tid"]] += e["ns"]
    states = dict(maps["thread_states"])
    want(len(states) > 2, f"{len(states)} threads")
    for tid, state in states.items():
        equal(f"{tid}: running, as the map's switch_ins", cnt[tid, "thread_running"], state["switch_ins"])
        equal("and in the run queue", queue_ns[tid], state["queue_ns"])
        want(abs(cnt[tid, "thread_off"] - cnt[tid, "thread_running"]) <= 1, "as often off")
    want({e["func"] for e in events if "func" in e} & {"main.pinger", "main.sleeper", "runtime.main"} != set(),
         "goroutines that threads ran")


def cut():
    path, _, _ = run("--events=goroutines,gc")
    whole = open(path, "rb").read()
    events = subprocess.run([gojitter, "events", path], capture_output=True, text=True).stdout
    chance = random.Random(7)
    part = f"{directory}/part"
    good = 0
    for size in [0, 8, 87, 88, len(whole) - 1] + [chance.randrange(len(whole)) for _ in range(60)]:
        with open(part, "wb") as file:
            file.write(whole[:size])
        text = subprocess.run([gojitter, "events", part], capture_output=True, text=True)
        lines = text.stderr.splitlines()
        if text.returncode != 1 or len(lines) != 1 or not lines[0].startswith("gojitter: " + part):
            want(False, f"cut at {size}: {text.returncode} {text.stderr}")
        if not events.startswith(text.stdout):
            want(False, f"cut at {size}: other events than the whole file's")
        good += bool(text.stdout)
    want(good > 20, f"{good} of 65 had events")


{"ring": everything, "perf": lambda: everything("--perf-buffer"), "tiny": tiny, "cut": cut, "trace": trace,
 "threads": threads}[check]()
sys.exit(1 if failed else 0)
