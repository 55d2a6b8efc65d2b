#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Snapshots of a live Go program (src/goroutine/live*.c) against what the Go
runtime itself prints.

  live.py same BINARY    the program of tests/fixtures/goids: every goroutine
                         with id, address, state, start, stack; every thread
  live.py churn BINARY   the same while goroutines come and go
  live.py many BINARY    100,000 goroutines, beside the runtime's own dump
  live.py namespace BINARY  in a pid namespace of its own
  live.py replaced BINARY   after its file has been replaced by another
  live.py tls BINARY        the TLS slot, as gdb sees the threads
  live.py library HOST LIB  a C program that loads tests/fixtures/golib
  live.py foreign BINARY ARG...  any Go program that waits for standard input

The oracle of `same` is the dump the runtime writes on SIGQUIT with
GOTRACEBACK=system: all goroutines, those of the runtime too, with the address
of g (1.22 and later) and sp and pc of each frame.
"""
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

SNAPSHOT = os.path.join(os.environ["O"], "tests/goroutine/snapshot")
RUNNING, SYSCALL, WAITING = 2, 3, 4


class Program:
    def __init__(self, binary, *args, wrap=(), is_fixture=True):
        env = dict(os.environ, GOGC="off", GOMAXPROCS="4", GOTRACEBACK="system")
        self.process = subprocess.Popen([*wrap, binary, *args], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        env=env, text=True)
        self.pid = self.process.pid
        self.spins = {}
        for line in self.process.stdout if is_fixture else ():
            if line.startswith("spin "):
                goid, tid = map(int, line.split()[1:])
                self.spins[goid] = tid
            if line == "ready\n":
                break

    def dump(self):
        """What runtime.Stack prints, and how many nanoseconds it took."""
        self.process.stdin.write("dump\n")
        self.process.stdin.flush()
        text = []
        for line in self.process.stdout:
            if line.startswith("end "):
                return "".join(text), int(line.split()[1])
            text.append(line)
        raise SystemExit("the program ended")

    def quit(self):
        """What the runtime prints on SIGQUIT; the program is gone then."""
        os.kill(self.pid, signal.SIGQUIT)
        # Standard input stays open, or main would end before the signal is seen.
        return self.process.stderr.read()

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)
        self.process.kill()
        self.process.communicate()


class Snapshot:
    def __init__(self, pid, count=1):
        done = subprocess.run([SNAPSHOT, str(pid), str(count)], stdout=subprocess.PIPE, text=True)
        if done.returncode:
            raise SystemExit(done.stdout)
        self.gs, self.ms, self.addresses = {}, {}, []
        for line in done.stdout.splitlines():
            kind, *rest = line.split()
            if kind == "g":
                address, goid, status, reason, low, high, start = rest
                assert int(goid) not in self.gs, "goroutine %s stands there twice" % goid
                self.gs[int(goid)] = {"g": int(address, 16), "status": int(status),
                                      "low": int(low, 16), "high": int(high, 16),
                                      "start": int(start, 16), "reason": int(reason)}
                self.addresses.append(int(address, 16))
            elif kind == "m":
                self.ms[int(rest[0])] = [int(word, 16) for word in rest[1:]]
            elif kind == "snapshot":
                self.pid, self.ns = int(rest[0]), int(rest[2])
            elif kind == "tls":
                self.tls = int(rest[0])


def threads(pid):
    return {int(tid) for tid in os.listdir("/proc/%d/task" % pid)}


def parse_dump(text):
    """{goid: {"state", "g" or None, "frames": [(sp, pc, offset in function)], "names"}}"""
    gs = {}
    for part in re.split(r"\n\n", text):
        head = re.search(r"^goroutine (\d+)(?: gp=0x(\w+) m=\S+(?: mp=\S+)?)? \[([^\],]*)", part,
                         re.M)
        if not head or head.group(1) == "0":
            continue
        frames = [(int(sp, 16), int(pc, 16), int(off or "0", 16)) for off, sp, pc in
                  re.findall(r"(?: \+0x(\w+))? fp=0x\w+ sp=0x(\w+) pc=0x(\w+)", part)]
        gs[int(head.group(1))] = {"state": head.group(3),
                                  "g": head.group(2) and int(head.group(2), 16),
                                  "frames": frames}
    return gs


def compare(snapshot, dump):
    bad = []
    if set(snapshot.gs) != set(dump):
        bad.append("goroutines %s, the runtime has %s" % (sorted(snapshot.gs), sorted(dump)))
    for goid in set(snapshot.gs) & set(dump):
        ours, theirs = snapshot.gs[goid], dump[goid]
        if theirs["g"] and theirs["g"] != ours["g"]:
            bad.append("%d: g %#x, not %#x" % (goid, ours["g"], theirs["g"]))
        if len(theirs["frames"]) < 2:
            continue
        for sp, _, _ in theirs["frames"]:
            if not ours["low"] < sp <= ours["high"]:
                bad.append("%d: sp %#x outside %#x-%#x" % (goid, sp, ours["low"], ours["high"]))
        # The outermost frame is goexit; the one it "called" is the start function.
        _, pc, off = theirs["frames"][-2]
        if ours["start"] != pc - off:
            bad.append("%d: starts at %#x, not %#x" % (goid, ours["start"], pc - off))
        state = {"running": RUNNING, "syscall": SYSCALL}.get(theirs["state"], WAITING)
        # A running goroutine may be runnable by the time the signal has come.
        if theirs["state"] != "runnable" and ours["status"] != state and \
                not (ours["status"] == RUNNING and goid == 1):
            bad.append("%d: status %d, the runtime says %s" %
                       (goid, ours["status"], theirs["state"]))
    return bad


def compare_threads(program, snapshot):
    bad = []
    if set(snapshot.ms) != threads(program.pid):
        bad.append("threads %s, the kernel has %s" % (sorted(snapshot.ms),
                                                      sorted(threads(program.pid))))
    if len(program.spins) != 2:
        bad.append("the program names %d locked threads" % len(program.spins))
    for goid, tid in program.spins.items():
        # Preempted, it waits for a processor, and its thread runs nothing else.
        curg = snapshot.ms.get(tid, [1])[0]
        if curg not in (0, snapshot.gs[goid]["g"]):
            bad.append("thread %d: curg %#x, which is not goroutine %d" % (tid, curg, goid))
        if snapshot.gs[goid]["status"] not in (1, RUNNING):
            bad.append("%d spins in status %d" % (goid, snapshot.gs[goid]["status"]))
    if snapshot.addresses != sorted(snapshot.addresses):
        bad.append("not sorted by g")
    if snapshot.tls != -8:
        bad.append("TLS slot at %d" % snapshot.tls)
    return bad


def quiet_snapshot(program):
    """One during which no goroutine or thread came or went and the locked ones ran."""
    for _ in range(100):
        before = threads(program.pid)
        one, other = Snapshot(program.pid), Snapshot(program.pid)
        if set(one.gs) == set(other.gs) and before == threads(program.pid) and \
                all(other.ms[tid][0] for tid in program.spins.values()):
            return other
    raise SystemExit("the program never comes to rest")


def same(binary):
    program = Program(binary)
    try:
        snapshot = quiet_snapshot(program)
        bad = compare_threads(program, snapshot)
        bad += compare(snapshot, parse_dump(program.quit()))
    finally:
        program.kill()
    return bad


def churn(binary):
    """Goroutines that stay are in every snapshot, whatever else goes on."""
    program = Program(binary, "-churn")
    try:
        stay = None
        bad, ran = [], {}
        for _ in range(40):
            snapshot = Snapshot(program.pid, 5)
            seen = {goid for goid in snapshot.gs if goid < 64}
            stay = seen if stay is None else stay & seen
            for goid, g in snapshot.gs.items():
                if g["high"] - g["low"] < 2048 or (g["high"] - g["low"]) & (g["high"] - g["low"] - 1):
                    bad.append("%d: stack %#x-%#x" % (goid, g["low"], g["high"]))
            for goid, tid in program.spins.items():
                curg = snapshot.ms[tid][0]
                if curg not in (0, snapshot.gs[goid]["g"]):
                    bad.append("thread %d has curg %#x, not goroutine %d" % (tid, curg, goid))
                ran[goid] = ran.get(goid, 0) + (curg != 0)
        text, _ = program.dump()
        blocked = {int(goid) for goid in re.findall(r"^goroutine (\d+) \[(?:chan receive|sleep|sync"
                                                    r".Mutex.Lock|semacquire)", text, re.M)}
        lost = {goid for goid in blocked if goid < 64} - stay
        if lost:
            bad.append("goroutines %s were missing from some snapshot" % sorted(lost))
        if len(ran) != 2 or min(ran.values()) < 10:
            bad.append("locked goroutines were seen running %s times of 40" % ran)
        if len(stay) < 20:
            bad.append("only %d goroutines stayed" % len(stay))
    finally:
        program.kill()
    return bad[:20]


def many(binary):
    program = Program(binary, "-n", "100000", "-spin", "0")
    try:
        snapshot = Snapshot(program.pid, 3)
        text, dump_ns = program.dump()
    finally:
        program.kill()
    dumped = set(map(int, re.findall(r"^goroutine (\d+) ", text, re.M)))
    print("# %d goroutines in %.1f ms; the runtime's own dump takes %.1f ms and stops the program" %
          (len(snapshot.gs), snapshot.ns / 1e6, dump_ns / 1e6))
    bad = []
    if len(dumped) < 100000:
        bad.append("the runtime has %d goroutines only" % len(dumped))
    if not dumped <= set(snapshot.gs):
        bad.append("%d goroutines are missing" % len(dumped - set(snapshot.gs)))
    if len(snapshot.gs) > len(dumped) + 20:
        bad.append("%d goroutines too many" % (len(snapshot.gs) - len(dumped)))
    if snapshot.ns > dump_ns:
        bad.append("slower than the runtime's own dump")
    return bad


def namespace(binary):
    """Thread numbers are ours, not those the process has of itself."""
    program = Program(binary, wrap=("unshare", "--pid", "--fork", "--kill-child"))
    try:
        with open("/proc/%d/task/%d/children" % (program.pid, program.pid)) as children:
            program.pid = int(children.read().split()[0])
        ours = {}
        for tid in threads(program.pid):
            with open("/proc/%d/task/%d/status" % (program.pid, tid)) as status:
                ours[int(re.search(r"^NSpid:.*\s(\d+)$", status.read(), re.M).group(1))] = tid
        if any(inner == tid for inner, tid in ours.items()):
            return ["the program is not in a namespace of its own"]
        program.spins = {goid: ours[tid] for goid, tid in program.spins.items()}
        return compare_threads(program, quiet_snapshot(program))
    finally:
        program.kill()


def replaced(binary):
    with tempfile.TemporaryDirectory() as work:
        copy = os.path.join(work, "a program")
        shutil.copy(binary, copy)
        program = Program(copy)
        try:
            os.unlink(copy)
            bad = compare_threads(program, quiet_snapshot(program))
            shutil.copy("/bin/true", copy)
            return bad + compare_threads(program, quiet_snapshot(program))
        finally:
            program.kill()


def check_tls(program):
    """The word that the snapshot says holds g, in each locked thread, read by gdb."""
    snapshot = quiet_snapshot(program)
    words = set()
    # Caught while it is preempted, a thread has its g0 there.
    for _ in range(40):
        done = subprocess.run(["gdb", "-nx", "-q", "-batch", "-p", str(program.pid),
                               "-ex", "set language c", "-ex",
                               "thread apply all -q printf \"word 0x%%lx\\n\", "
                               "*(unsigned long *)($fs_base + (%d))" % snapshot.tls],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        words |= {int(word, 16) for word in re.findall(r"^word 0x(\w+)$", done.stdout, re.M)}
        missing = [goid for goid in program.spins if snapshot.gs[goid]["g"] not in words]
        if len(program.spins) == 2 and not missing:
            return []
    return ["no thread has goroutine %s at its TLS slot %d: %s" %
            (missing, snapshot.tls, [hex(word) for word in words])]


def tls(binary):
    program = Program(binary)
    try:
        return check_tls(program)
    finally:
        program.kill()


def library(host, lib):
    program = Program(host, lib)
    try:
        snapshot = quiet_snapshot(program)
        text, _ = program.dump()
        dumped = set(map(int, re.findall(r"^goroutine (\d+) ", text, re.M)))
        bad = check_tls(program)
        if len(dumped) < 13 or not dumped <= set(snapshot.gs):
            bad.append("goroutines %s, the runtime has %s" % (sorted(snapshot.gs), sorted(dumped)))
        for goid, tid in program.spins.items():
            if snapshot.ms[tid][0] != snapshot.gs[goid]["g"]:
                bad.append("goroutine %d is not on thread %d" % (goid, tid))
        # Threads of the C program itself are none of the runtime's.
        if not set(snapshot.ms) <= threads(program.pid):
            bad.append("threads %s, the kernel has %s" % (sorted(snapshot.ms),
                                                          sorted(threads(program.pid))))
        return bad
    finally:
        program.kill()


def foreign(binary, *args):
    program = Program(binary, *args, is_fixture=False)
    try:
        time.sleep(1)
        snapshot = quiet_snapshot(program)
        if program.process.poll() is not None:
            return ["the program has ended"]
        dump = parse_dump(program.quit())
        if len(dump) < 4:
            return ["the runtime names %d goroutines only" % len(dump)]
        return compare(snapshot, dump)
    finally:
        program.process.kill()
        program.process.communicate()


def main():
    bad = {"same": same, "churn": churn, "many": many, "namespace": namespace,
           "replaced": replaced, "tls": tls, "library": library,
           "foreign": foreign}[sys.argv[1]](*sys.argv[2:])
    print("\n".join(bad))
    return 1 if bad else 0


sys.exit(main())
