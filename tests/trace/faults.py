#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Figures out of an instance's maps, for tests/trace/faults.sh.

    faults.py PINS counts PID FIELD     the sum over processors in goroutine_counts
    faults.py PINS drops                everything that was dropped
    faults.py PINS starts PID FUNCTION  how often goroutines of FUNCTION were put on a thread
    faults.py PINS in STATUS PID FUNCTION
                                        goroutines of FUNCTION in that state ("any": in all)
    faults.py PINS states PID "DOES COUNT ..."
                                        fails, and says so, when actors (tests/trace/crowd.go)
                                        are in other states than these
    faults.py - code PID FILE           bytes of FILE's code that are others in the process

To be run right after the program has said what it does: what is not so yet is looked at
again, for as long as a busy machine may need to get there."""
import collections
import json
import subprocess
import sys
import time

pins, what, *arguments = sys.argv[1:]
# What an actor that DOES something is, and why it waits; from Go 1.20 on.
STATES = {
    "receive": ("g_waiting", "chan_receive"),
    "select": ("g_waiting", "select"),
    "condition": ("g_waiting", "sync_Cond_Wait"),
    "lock": ("g_waiting", "sync_Mutex_Lock"),
    "spin": ("g_running", "no_reason"),
}


def entries(name):
    dump = subprocess.run(["bpftool", "-j", "map", "dump", "pinned", f"{pins}/{name}"],
                          check=True, stdout=subprocess.PIPE).stdout
    for entry in json.loads(dump):
        entry = entry["formatted"]
        yield entry["key"], [v["value"] for v in entry["values"]] if "values" in entry else entry["value"]


def states(pid, said):
    words = said.split()
    want = collections.Counter({STATES[does]: int(cnt) for does, cnt in zip(words[::2], words[1::2]) if int(cnt)})
    for _ in range(50):
        # Wrapped: the go statement has an argument.
        found = collections.Counter(
            (v["status"], v["reason"]) for key, v in entries("goroutines")
            if key["tgid"] == pid and v["func"].startswith("main.states"))
        if found == want:
            return 0
        time.sleep(0.1)
    print(f"the program says {said}: {dict(want)}; the map {dict(found)}")
    return 1


def code(pid, path):
    changed = 0
    with open(f"/proc/{pid}/mem", "rb") as memory, open(path, "rb") as file:
        for line in open(f"/proc/{pid}/maps"):
            if " r-xp " not in line or not line.rstrip().endswith(path):
                continue
            span, _, offset = line.split()[:3]
            begin, end = (int(at, 16) for at in span.split("-"))
            memory.seek(begin)
            file.seek(int(offset, 16))
            changed += sum(a != b for a, b in zip(memory.read(end - begin), file.read(end - begin)))
    return changed


if what == "counts":
    pid, field = int(arguments[0]), arguments[1]
    print(sum(v[field] for key, values in entries("goroutine_counts") if key == pid for v in values))
elif what == "drops":
    print(sum(sum(values) for _, values in entries("drops")))
elif what == "starts":
    pid, func = int(arguments[0]), arguments[1]
    print(sum(v["count"] for key, values in entries("sched_latency")
              if key["tgid"] == pid and key["func"].startswith(func) for v in values))
elif what == "in":
    status, pid, func = arguments[0], int(arguments[1]), arguments[2]
    print(sum(1 for key, v in entries("goroutines") if key["tgid"] == pid and v["func"].startswith(func)
              and status in ("any", v["status"])))
elif what == "states":
    sys.exit(states(int(arguments[0]), arguments[1]))
elif what == "code":
    print(code(int(arguments[0]), arguments[1]))
