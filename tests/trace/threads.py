#!/usr/bin/env python3
"""gojitter trace --what threads,goroutines on tests/trace/delays.go: a goroutine that the
kernel keeps waiting, then one that Go keeps waiting. Time in the run queue and switches of
each thread are held against /proc/PID/task/TID/schedstat.

    threads.py BINARY
"""

import glob
import json
import os
import subprocess
import sys
import time

PINS = "/sys/fs/bpf/gojitter/v1/"
bad = 0


def check(name, is_so, text=""):
    global bad
    print(("ok: " if is_so else "FAIL: ") + name + (" (%s)" % (text,) if text != "" else ""))
    bad += not is_so


def entries(instance, name):
    text = subprocess.run(["bpftool", "-j", "map", "dump", "pinned", PINS + instance + "/" + name],
                          capture_output=True, text=True, check=True).stdout
    rows = [row.get("formatted", row) for row in json.loads(text)]
    return [(row["key"], row.get("value", row.get("values"))) for row in rows]


def until(is_so, what):
    deadline = time.time() + 5
    while not is_so():
        assert time.time() < deadline, what
        time.sleep(0.01)


def is_stopped(pid):
    for path in glob.glob("/proc/%d/task/*/stat" % pid):
        with open(path) as file:
            if file.read().rpartition(")")[2].split()[0] != "T":
                return False
    return True


def snapshot(instance, pid):
    """The process stands still, so that both are of one moment. Kernel
    Documentation/scheduler/sched-stats.rst: ns on a CPU, ns in the run queue, switches."""
    os.kill(pid, 19)
    until(lambda: is_stopped(pid), "the process does not stop")
    kernel = {}
    for path in glob.glob("/proc/%d/task/*/schedstat" % pid):
        with open(path) as file:
            kernel[int(path.split("/")[4])] = tuple(map(int, file.read().split()[1:]))
    ours = {tid: (state["queue_ns"], state["switch_ins"], state["unseen_switch_ins"])
            for tid, state in entries(instance, "thread_states") if state["tgid"] == pid}
    os.kill(pid, 18)
    return kernel, ours


def compare(before, after):
    zero, switches, unseen = (0, 0, 0), 0, 0
    for tid, now in after[0].items():
        kernel = [b - a for a, b in zip(before[0].get(tid, zero), now)]
        ours = [b - a for a, b in zip(before[1].get(tid, zero), after[1].get(tid, zero))]
        switches += kernel[1]
        unseen += ours[2]
        check("switches to a thread are the kernel's", ours[1] + ours[2] == kernel[1], (tid, kernel, ours))
        # What the kernel did not tell has no time. It takes its own clock's reading of some steps
        # before the tracepoint; where a host runs others in between, as much longer was the wait.
        more = ours[0] - kernel[0]
        check("time in the run queue is the kernel's", ours[2] or
              -kernel[0] * 0.05 - 5e6 < more < kernel[0] * 0.05 + 2e7, (tid, kernel, ours))
    print("# of %d switches %d were not told" % (switches, unseen))
    check("most switches are told", 0 < switches and unseen * 2 < switches)


def run(what, binary, others, hogs):
    """Delay of the measured goroutine in ns: the kernel's and Go's."""
    instance = "test-threads-%d" % os.getpid()
    # Without rivals of ours there may be others'.
    alone = ["taskset", "-c", "0"] if hogs else ["chrt", "-f", "1"]
    rivals = [subprocess.Popen(alone + ["sh", "-c", "while :; do :; done"]) for _ in range(hogs)]
    child = subprocess.Popen(alone + [binary, str(others)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             text=True, env=dict(os.environ, GOMAXPROCS="1"))
    try:
        assert child.stdout.readline() == "ready\n"
        subprocess.run([os.environ["O"] + "/gojitter", "trace", "-q", "-p", str(child.pid), "--what",
                        "threads,goroutines", "--budget", "off", "--instance", instance], check=True)
        # Now all threads have been seen.
        os.kill(child.pid, 19)
        until(lambda: is_stopped(child.pid), "the process does not stop")
        os.kill(child.pid, 18)
        before = snapshot(instance, child.pid)
        child.stdin.write("\n")
        child.stdin.flush()
        goid = int(child.stdout.readline())
        assert child.stdout.readline() == "done\n"
        after = snapshot(instance, child.pid)
        compare(before, after)
        kernel = [value for key, value in entries(instance, "goroutine_kernel") if key["goid"] == goid]
        delayed = [value for key, value in entries(instance, "sched_latency") if key["func"] == "main.measured"]
        queued = {(key["func"], key["since"]) for key, value in entries(instance, "run_queue")}
        child.kill()
        child.wait()
        until(lambda: not [1 for tid, state in entries(instance, "thread_states") if state["tgid"] == child.pid],
              "threads that ended are still there")
    finally:
        subprocess.run([os.environ["O"] + "/gojitter", "untrace", "--instance", instance], check=False)
        for one in rivals + [child]:
            one.kill()
            one.wait()
    if hogs:
        check(what + ": the goroutine is named", kernel and kernel[0]["func"] == "main.measured", kernel)
        check(what + ": its thread was preempted", ("main.measured", "preempted") in queued, queued)
    in_kernel = sum(value["run_queue_ns"] for value in kernel) # none when it was never off its processor
    in_go = sum(cpu["value"]["sum_ns"] for row in delayed for cpu in row)
    print("# %s: the kernel delays it for %d ms, Go for %d ms" % (what, in_kernel / 1e6, in_go / 1e6))
    return in_kernel, in_go


def main(binary):
    in_kernel, in_go = run("three rivals on its processor", binary, 0, 3)
    check("rivals on its processor are the kernel's delay", in_kernel > 2 * in_go and in_kernel > 2e8)
    in_kernel, in_go = run("three goroutines on its P", binary, 3, 0)
    check("goroutines on its P are Go's delay", in_go > 2 * in_kernel and in_go > 2e8)


main(*sys.argv[1:])
sys.exit(1 if bad else 0)
