#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""What `gojitter trace` costs: a hit of its hooks from end to end beside an empty BPF
program at the same address and beside bpftrace, hits a switch of goroutines, nanoseconds
an event of every program by the kernel's own statistics, and the slow-down of an HTTP
service. Everything that is compared is measured in turns on one process.

    trace.py GOVERSION TRIPS HTTP

TRIPS, HTTP: tests/bench/trips.go and http.go, built by that release. $O: the build."""
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

version, trips_binary, http_binary = sys.argv[1:]
build = os.environ["O"]
gojitter = f"{build}/gojitter"
instance = f"bench-trace-{os.getpid()}"
pins = f"/sys/fs/bpf/gojitter/v1/{instance}"
work = tempfile.TemporaryDirectory()
# What else runs here stands back, as far as that is allowed.
with contextlib.suppress(PermissionError):
    os.nice(-15)


@contextlib.contextmanager
def traced(pid, what):
    what = ["--what", what] if what else []
    subprocess.run([gojitter, "trace", "-q", "-p", str(pid), "--instance", instance, *what], check=True)
    try:
        yield
    finally:
        subprocess.run([gojitter, "untrace", "--instance", instance], check=True)


@contextlib.contextmanager
def floor(binary, pid):
    place = subprocess.run([f"{build}/tests/probe/plan", binary, "runtime.casgstatus"],
                           check=True, stdout=subprocess.PIPE, text=True).stdout.split()[2]
    hook = subprocess.Popen([f"{build}/tests/bench/hook", binary, place, str(pid)],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert hook.stdout.readline() == "hooked\n"
    try:
        yield
    finally:
        hook.communicate()


def script(binary, name):
    return subprocess.run([gojitter, "bpftrace", "-e", binary, name],
                          check=True, stdout=subprocess.PIPE, text=True).stdout


def casgstatus(binary):
    """As bpftrace names the place that we hook."""
    return re.search(r"^uprobe:.*$", script(binary, "goroutine-states"), re.M)[0]


def plain_script(binary):
    """The least that tells how long something took: a histogram by thread."""
    return casgstatus(binary) + " { @took[tid] = hist(nsecs - @last[tid]); @last[tid] = nsecs; }"


def same_script(binary, target, stacks):
    """What --what goroutines tells of times, of states and of stacks; not who woke whom, no totals."""
    stack = ("@waits[*(uint8 *)($g + %d), ustack(16)] = count();" % target["g_waitreason"]) if stacks else ""
    return casgstatus(binary) + """ {
        $g = reg("ax");
        $old = reg("bx") & 0xfff;
        $new = reg("cx") & 0xfff;
        $goid = *(uint64 *)($g + %(g_goid)d);
        $func = *(uint64 *)($g + %(g_startpc)d);
        $took = nsecs - @since[$goid];
        if ($old == 1) { @sched_latency[$func] = hist($took); }
        if ($old == 4) { @blocked[$func, *(uint8 *)($g + %(g_waitreason)d)] = hist($took); }
        if ($new == 4) { %(stack)s }
        @moves[$old, $new] = count();
        @state[$goid] = $new;
        @since[$goid] = nsecs;
    }""" % {**target, "stack": stack}


def target_of(pid):
    with traced(pid, "goroutines"):
        entries = json.loads(subprocess.run(["bpftool", "-j", "map", "dump", "pinned", f"{pins}/targets"],
                                            check=True, stdout=subprocess.PIPE).stdout)
    return entries[0]["formatted"]["value"]


@contextlib.contextmanager
def bpftraced(script, pid):
    said = open(f"{work.name}/{time.monotonic_ns()}", "w+")
    tracer = subprocess.Popen(
        ["bpftrace", "--unsafe", "-p", str(pid), "-o", "/dev/null", "-e", script],
        stdout=said, stderr=subprocess.STDOUT, env={**os.environ, "__BPFTRACE_NOTIFY_PROBES_ATTACHED": "1"})
    text = ""
    while "PROBES_ATTACHED" not in text:
        if tracer.poll() is not None:
            sys.exit(f"bpftrace ended: {text} {script}")
        time.sleep(0.05)
        said.seek(0)
        text = said.read()
    try:
        yield
    finally:
        # One that comes between its waits is lost to it.
        while tracer.poll() is None:
            tracer.send_signal(signal.SIGINT)
            time.sleep(0.3)


class Lines:
    """Lines "COUNT NANOSECONDS" that a program prints for one stretch of time after the other."""

    def __init__(self, *command):
        name = f"{work.name}/{time.monotonic_ns()}"
        with open(name, "w") as file:
            self.process = subprocess.Popen(command, stdout=file)
        self.file = open(name)
        self.measure(1)

    def measure(self, seconds):
        """The stretches that begin from now on and end before the time is over."""
        self.file.seek(0, os.SEEK_END)
        time.sleep(seconds)
        # The first began before, the last may be half written.
        lines = self.file.read().split("\n")[2:-1]
        return [tuple(map(int, line.split())) for line in lines]

    def stop(self):
        self.process.send_signal(signal.SIGSTOP)
        while open(f"/proc/{self.process.pid}/stat").read().rsplit(") ", 1)[1][0] != "T":
            time.sleep(0.01)

    def go_on(self, seconds):
        """What was done until it was stopped again."""
        self.file.seek(0, os.SEEK_END)
        self.process.send_signal(signal.SIGCONT)
        time.sleep(seconds)
        self.stop()
        return sum(int(line.split()[0]) for line in self.file.read().split("\n")[:-1])

    def end(self):
        self.process.kill()
        self.process.wait()


def programs():
    """Runs and nanoseconds of each program of the instance."""
    result = {}
    for name in sorted(os.listdir(f"{pins}/progs")):
        info = json.loads(subprocess.run(
            ["bpftool", "-j", "prog", "show", "pinned", f"{pins}/progs/{name}"],
            check=True, stdout=subprocess.PIPE).stdout)
        result[name] = info.get("run_cnt", 0), info.get("run_time_ns", 0)
    return result


@contextlib.contextmanager
def statistics():
    """The kernel counts runs of programs and their time, for as long as this holds."""
    counting = subprocess.Popen([f"{build}/tests/bench/hook"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert counting.stdout.readline() == "counting\n"
    try:
        yield
    finally:
        counting.communicate()


def counted(lines, seconds):
    """What the program did in a while, and each program's runs and nanoseconds meanwhile. It
    stands still when both are read, so all that it did not print is less than a line at each end."""
    with statistics():
        lines.stop()
        before = programs()
        done = lines.go_on(seconds)
        after = programs()
        lines.process.send_signal(signal.SIGCONT)
    return done, {name: (after[name][0] - before[name][0], after[name][1] - before[name][1]) for name in after}


def best(stretches):
    return min(ns / cnt for cnt, ns in stretches)


def in_turns(lines, ways, rounds, seconds):
    """The stretches of each way to be traced."""
    took = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            with way():
                took[name] += lines.measure(seconds)
    return took


def hits(lines):
    pid = lines.process.pid
    target = target_of(pid)
    ways = {
        "nothing": contextlib.nullcontext,
        "floor": lambda: floor(trips_binary, pid),
        "goroutines": lambda: traced(pid, "goroutines"),
        "states": lambda: bpftraced(script(trips_binary, "goroutine-states"), pid),
        "histogram": lambda: bpftraced(plain_script(trips_binary), pid),
        "times": lambda: bpftraced(same_script(trips_binary, target, False), pid),
        "stacks": lambda: bpftraced(same_script(trips_binary, target, True), pid),
    }
    a_trip = {name: best(stretches) for name, stretches in in_turns(lines, ways, 3, 0.5).items()}
    with traced(pid, "goroutines"):
        trips_made, runs = counted(lines, 1)
    cnt, ns = runs["gj_on_casgstatus"]
    hits_a_trip = round(cnt / trips_made)
    print(f"go{version}, two goroutines on one thread: {a_trip['nothing']:.0f} ns a round trip, two switches; "
          f"{cnt / trips_made / 2:.2f} hits a switch, {ns / cnt:.0f} ns each in the program")
    cost = {name: (took_ns - a_trip["nothing"]) / hits_a_trip for name, took_ns in a_trip.items()}
    for name, text in (("floor", "empty program at the same place, the floor"),
                       ("goroutines", "gojitter trace --what goroutines"),
                       ("states", "bpftrace, goroutine-states: counts of changes"),
                       ("histogram", "bpftrace, a histogram by thread"),
                       ("times", "bpftrace, the same times and states"),
                       ("stacks", "bpftrace, the same with stacks")):
        print(f"  {text:46} {cost[name]:5.0f} ns a hit, {cost[name] / cost['floor']:.2f} of the floor")
    print("  gojitter against bpftrace: " + ", ".join(
        f"{cost['goroutines'] / cost[name]:.2f} of {text}" for name, text in (
            ("states", "the counts"), ("histogram", "the histogram"), ("times", "the times"), ("stacks", "the stacks"))))


def events(client):
    """Of every program, while a service is asked."""
    with traced(service.pid, "all"):
        answers, runs = counted(client, 3)
    print(f"go{version}, each program while a service answers {answers / 3:.0f} times a second (kernel's statistics):")
    for name, (cnt, ns) in sorted(runs.items(), key=lambda run: -run[1][1]):
        if cnt:
            print(f"  {name:22} {ns / cnt:6.0f} ns a run, {cnt / answers:8.2f} runs an answer")


@contextlib.contextmanager
def execution_trace():
    service.send_signal(signal.SIGUSR1)
    time.sleep(0.1)
    try:
        yield
    finally:
        service.send_signal(signal.SIGUSR1)
        time.sleep(0.1)


def used_ns(pid):
    """Processor time of the threads there are."""
    total = 0
    for tid in os.listdir(f"/proc/{pid}/task"):
        with contextlib.suppress(FileNotFoundError):
            total += int(open(f"/proc/{pid}/task/{tid}/schedstat").read().split()[0])
    return total


def slow_down(client, path, target):
    pid = service.pid
    ways = {
        "nothing": contextlib.nullcontext,
        "gojitter trace, the default set": lambda: traced(pid, None),
        "gojitter trace --what goroutines": lambda: traced(pid, "goroutines"),
        "gojitter trace --what all": lambda: traced(pid, "all"),
        "bpftrace, goroutine-states": lambda: bpftraced(script(http_binary, "goroutine-states"), pid),
        "bpftrace, the same as goroutines": lambda: bpftraced(same_script(http_binary, target, True), pid),
        "Go's execution trace": execution_trace,
    }
    stretches, used = {name: [] for name in ways}, {name: [] for name in ways}
    for _ in range(5):
        for name, way in ways.items():
            with way():
                before, begin = used_ns(pid), time.monotonic_ns()
                did = client.measure(1)
                answers = sum(cnt for cnt, _ in did) / sum(ns for _, ns in did) * (time.monotonic_ns() - begin)
                used[name].append((used_ns(pid) - before) / answers)
                stretches[name] += did
    rate = {name: sorted(cnt / ns * 1e9 for cnt, ns in did)[len(did) * 3 // 4] for name, did in stretches.items()}
    print(f"go{version}, a service answers {path} to a client of its own:")
    for name in ways:
        each, least = min(used[name]), min(used["nothing"])
        print(f"  {name:34} {rate[name]:7.0f} a second {100 * (rate[name] / rate['nothing'] - 1):+6.1f} %, "
              f"{each / 1000:6.1f} us of processor time each {100 * (each / least - 1):+6.1f} %")


trips = Lines(trips_binary)
try:
    hits(trips)
finally:
    trips.end()
service = subprocess.Popen([http_binary, "serve"], stdout=subprocess.PIPE, text=True)
try:
    address = service.stdout.readline().strip()
    for path in "/list", "/hello":
        client = Lines(http_binary, "ask", address + path, "4")
        try:
            slow_down(client, path, target_of(service.pid))
            events(client)
        finally:
            client.end()
finally:
    service.kill()
    service.wait()
