#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""
How whole stacks are, on recordings of busy programs, and how long it takes to
print them: gojitter.so beside stock perf of each release, on the same files.

  shares.py [--programs=A,B] [--modes=A,B] [--perfs=A,B] [--go=VERSION]
            [--seconds=N] [--goals]

A user sample is one for which some reader of the file shows a frame of the
program. Of these:

  complete  the last frame is one of ROOTS: a goroutine's or a thread's first
  goexit    ... the goroutine's
  caller    the caller of the function that was hit is there
  wrong     a frame cannot have called the one above it: the call before its
            return address goes to another function
  depth     frames of the program, inlined calls not counted

What calls what is taken from objdump, the same for all readers; a call through
a register or into another file is believed. --goals: exit status 1 where
gojitter misses its goal, does worse than stock perf, or shows a wrong frame
(with --call-graph both: in more than one stack of a hundred).
A mode that this gojitter does not know is left out with a word.
"""
import bisect
import collections
import os
import re
import subprocess
import sys
import tempfile

BUILD = os.path.abspath(os.environ.get("O", "build"))
MEASURE = os.path.join(BUILD, "tests/bench/measure")
PLUGIN = os.path.join(BUILD, "gojitter.so")
FIXTURES = "tests/fixtures/build.sh"

ROOTS = {"runtime.goexit", "runtime.mstart", "runtime.rt0_go", "_rt0_amd64_linux", "_start",
         "clone", "clone3", "__clone", "__clone3", "start_thread", "runtime.mcall"}
# Hit anywhere, not waiting for a call to return: what stands below these.
INJECTING = re.compile(r"runtime\.(asyncPreempt|sigpanic|sigreturn.*)$|__restore_rt$")
# Where g0's stack goes on below a switch when the goroutine's part was not recorded.
G0_TOPS = {"runtime.mstart0", "runtime.mstart", "runtime.cgocallback"}
SWITCHES = {"runtime.systemstack", "runtime.mcall", "runtime.morestack", "runtime.asmcgocall",
            "runtime.nanotime1", "time.now", "runtime.walltime"}

PROGRAMS = {  # name: (fixture, variant, arguments before the seconds)
    "service": ("loads", "exe", ["service"]),
    "gc": ("loads", "exe", ["gc"]),
    "sha": ("loads", "exe", ["sha"]),
    "cgo": ("cgoload", "cgo", []),
}
MODES = {  # name: (who records, arguments, samples a second, goal in percent)
    "fp": ("perf", ["-g"], 997, None),
    "dwarf 8192": ("perf", ["--call-graph", "dwarf,8192"], 499, None),
    "dwarf 16384": ("perf", ["--call-graph", "dwarf,16384"], 499, None),
    "dwarf 65528": ("perf", ["--call-graph", "dwarf,65528"], 499, 99),
    "both": ("gojitter", ["--call-graph=both"], 997, 95),
    "two-stack": ("gojitter", [], 997, 99),
}
# A chain may lack callers that cannot be proven; perf script's text does not show the mark.
MOST_WRONG = {"both": 1}
CHAIN = "GJSTACK1"  # src/sample/sample.h: what the two-stack sampler appends

Frame = collections.namedtuple("Frame", "va name dso")


def output(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout


class Code:
    """Who calls whom in a program, by objdump."""

    def __init__(self, path):
        self.path = path
        self.called = {}  # return address: function called, or None (through a register)
        self.jumps = collections.defaultdict(set)
        self.trampolines = set()  # functions with a jump through a register
        symbols = (line.split(maxsplit=2) for line in output("nm", path).splitlines())
        self.starts = {int(row[0], 16): row[2] for row in symbols
                       if len(row) == 3 and row[1] in "tTwW"}
        self.order = sorted(self.starts)
        self.segment = None
        for line in output("readelf", "-lW", path).splitlines():
            words = line.split()
            if words[:1] == ["LOAD"] and "E" in words[6:-1]:
                self.segment = [int(words[i], 16) for i in (1, 2, 4)]
        self.read_calls()

    def read_calls(self):
        function = pending = None
        row = re.compile(r"^ *([0-9a-f]+):\t(\w+) *(?:([0-9a-f]+) <(.*)>)?")
        dump = subprocess.Popen(["objdump", "-d", "--no-show-raw-insn", self.path],
                                stdout=subprocess.PIPE, text=True)
        for line in dump.stdout:
            if line[0] != " ":
                function = line[:16].lstrip("0") if line.endswith(">:\n") else function
                continue
            if pending is not None:
                va = int(line[:line.index(":")], 16)
                self.called[va] = pending[0]
                pending = None
            if "call" not in line and "\tj" not in line:
                continue
            match = row.match(line)
            op, target = match.group(2), match.group(3)
            if op == "jmp" and "*" in line and function:
                self.trampolines.add(int(function, 16))
            if op.startswith("call"):
                pending = (None if target is None or "@plt" in line else int(target, 16),)
            elif op.startswith("j") and target and function:
                self.jumps[int(function, 16)].add(int(target, 16))
        dump.wait()

    def function(self, va):
        at = bisect.bisect_right(self.order, va)
        return self.order[at - 1] if at else 0

    def link_time(self, va):
        """perf prints addresses of programs as offsets in the file."""
        off, start, size = self.segment
        return va - off + start if off <= va < off + size and va < start else va

    def is_trampoline(self, start):
        """systemstack on the system stack jumps to its function; so do small pieces of glue."""
        size = self.order[bisect.bisect_right(self.order, start)] - start
        return size <= 32 or self.starts[start].startswith("runtime.systemstack")

    def reaches(self, start, wanted, depth=3):
        """A function that ends in a jump to another stands for it."""
        start = self.function(start)
        if start == wanted or start in self.trampolines and self.is_trampoline(start):
            return True
        return depth > 0 and any(
            self.function(target) != start and self.reaches(target, wanted, depth - 1)
            for target in self.jumps[start])

    def can_call(self, caller, callee):
        if caller.dso != self.path:
            return True
        if callee.name in SWITCHES and caller.name in G0_TOPS or INJECTING.match(callee.name):
            return True
        if callee.name in ("gogo", "runtime.gogo"):
            return True  # it goes on where the goroutine was left
        if caller.va - 1 in self.starts:
            return True  # known by its function only: docs/stacks.md, "A chain alone, repaired"
        if caller.name == "runtime.goexit" or INJECTING.match(caller.name) or \
                "runtime.systemstack_switch" in (caller.name, callee.name):
            return True  # the runtime, or the kernel, put it there as if it had called
        # Unwinders that go by DWARF show the address before the one returned to.
        after = caller.va if caller.va in self.called else caller.va + 1
        if after not in self.called:
            return False
        target = self.called[after]
        return target is None or callee.dso != self.path or \
            self.reaches(target, self.function(callee.va))


def read_text(path, program, code):
    """Samples of @program in perf script's text: {(thread, time): user frames}."""
    samples, frames, file = {}, None, os.path.basename(program)
    head = re.compile(r"^(.*\S) +(\d+)(?: +\[\d+\])? +(\d+\.\d+): ")
    row = re.compile(r"^\s+([0-9a-f]+) (.*) \((.*)\)$")
    for line in open(path, errors="replace"):
        if line[0] not in "\t ":
            frames = None
            match = head.match(line)
            if match and match.group(1) == file[:15]:
                frames = samples.setdefault((match.group(2), match.group(3)), [])
        elif frames is not None:
            match = row.match(line.rstrip("\n"))
            if not match or match.group(3) == "inlined" or len(match.group(1)) == 16:
                continue
            dso, va = match.group(3), int(match.group(1), 16)
            name = re.sub(r"(\.abi0)?(\+0x[0-9a-f]+)?$", "", match.group(2))
            frames.append(Frame(code.link_time(va) if dso == program else va, name, dso))
    return samples


def judge(stacks, code):
    """(complete, to goexit, caller known, wrong, mean depth, complete and none wrong): percent."""
    counts = collections.Counter()
    for frames in stacks:
        names = [frame.name for frame in frames]
        links = [code.can_call(frames[i + 1], frames[i]) for i in range(len(frames) - 1)]
        last = names[-1] if names else ""
        # Preempted at its stack check, the goroutine has been given away: to goschedImpl by
        # dropg, before it schedules (Go src/runtime/proc.go).
        is_idle = last == "runtime.morestack" and \
            ("runtime.schedule" in names or "runtime.goschedImpl" in names)
        counts["complete"] += last in ROOTS or is_idle
        counts["sound"] += (last in ROOTS or is_idle) and all(links)
        counts["goexit"] += last == "runtime.goexit"
        counts["caller"] += bool(links and links[0]) or len(names) == 1 and last in ROOTS
        counts["wrong"] += not all(links)
        counts["depth"] += len(frames)
        if os.environ.get("GJ_SHOW_CUT") and last not in ROOTS and not is_idle:
            print("  cut: " + " < ".join(names))
        if not all(links) and os.environ.get("GJ_SHOW_WRONG"):
            at = links.index(False)
            print("  wrong: %x %s called by %x %s" % (frames[at].va, names[at],
                                                    frames[at + 1].va, names[at + 1]))
    cnt = max(len(stacks), 1)
    return [100 * counts[what] / cnt for what in ("complete", "goexit", "caller", "wrong")] + \
        [counts["depth"] / cnt, 100 * counts["sound"] / cnt]


def run_timed(command, path):
    """Writes the text to @path; (wall seconds, peak MB), None where the command failed."""
    # A small program starts it: the peak the kernel tells of a process begins with its parent's.
    done = subprocess.run([MEASURE, "/dev/null", "0", "sh", "-c", 'out=$1; shift; exec "$@" >"$out" 2>/dev/null',
                           "sh", path] + command, stdout=subprocess.PIPE, check=False, text=True)
    words = done.stdout.split()
    return (float(words[0]) / 1e6, float(words[2]) / 1024) if not done.returncode and words else None


def record(mode, perf, command, path):
    """A recording of @command, or why there is none."""
    who, arguments, freq, _ = MODES[mode]
    if who == "perf":
        full = [perf, "record", "-q", "-k", "CLOCK_MONOTONIC", "-m", "16M", "-e",
                "cpu-clock/freq=%d,name=cpu-clock/" % freq] + arguments + ["-o", path, "--"]
    else:
        full = [os.path.join(BUILD, "gojitter"), "record", "-q", "-F", str(freq)] + arguments
        if subprocess.run(full + ["-n", "--", "true"], stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, check=False).returncode:
            return "this gojitter does not record it"
        full += ["-o", path, "--"]
    done = subprocess.run(full + command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                          check=False, text=True,
                          env=dict(os.environ, PERF=perf, HOME=os.path.dirname(path) + "/recorder"))
    if done.returncode or not os.path.exists(path):
        sys.exit("%s: %s" % (" ".join(full), done.stderr.strip()))
    if mode == "two-stack" and CHAIN.encode() not in open(path, "rb").read():
        return "this gojitter's recordings hold no stacks of the BPF sampler"
    return None


class Shares:
    def __init__(self, options):
        self.options = options
        self.failed = []
        self.work = tempfile.mkdtemp()
        # perf keeps copies of what it records (~/.debug); perf 7.3 dies of some of them.
        os.environ.setdefault("GJ_CACHE", os.path.join(os.environ.get(
            "XDG_CACHE_HOME", os.path.expanduser("~/.cache")), "gojitter"))
        os.environ["HOME"] = self.work
        self.perfs = [(v, output("tests/perf/perf.sh", v).strip()) for v in options["perfs"]]
        self.codes = {}

    def program(self, name):
        fixture, variant, arguments = PROGRAMS[name]
        path = output(FIXTURES, self.options["go"], fixture, variant).strip()
        if path not in self.codes:
            self.codes[path] = Code(path)
        return path, [path] + arguments + [str(self.options["seconds"])]

    def measure(self, name, mode):
        path, command = self.program(name)
        file, text = os.path.join(self.work, "perf.data"), os.path.join(self.work, "text")
        why = record(mode, self.perfs[0][1], command, file)
        if why:
            print("%-8s %-12s left out: %s" % (name, mode, why))
            return
        readers = [("perf " + version, [perf, "script", "-i", file]) for version, perf in self.perfs]
        readers.append(("gojitter.so", readers[0][1] + ["--dlfilter", PLUGIN, "--dlarg", "goid=off"]))
        took, samples = {}, {}
        for reader, command in readers:
            took[reader] = run_timed(command, text)
            if took[reader] is None:
                print("%-8s %-12s %-12s died" % (name, mode, reader))
                del took[reader]
                continue
            samples[reader] = read_text(text, path, self.codes[path])
        keys = {key for read in samples.values() for key, frames in read.items() if frames}
        self.show(name, mode, keys, took, samples, self.codes[path])
        os.unlink(file)

    def show(self, name, mode, keys, took, samples, code):
        shares = {}
        for reader, (wall, peak) in took.items():
            shares[reader] = judge([samples[reader].get(key, []) for key in keys], code)
            print("%-8s %-12s %-12s %7d %8.2f %8.2f %8.2f %7.2f %6.1f %8.2f %6.2f %6.0f" % (
                name, mode, reader, len(keys), *shares[reader][:5], wall,
                took["gojitter.so"][0] / wall, peak), flush=True)
        self.check(name, mode, shares)

    def check(self, name, mode, shares):
        ours, goal = shares["gojitter.so"], MODES[mode][3]
        where = "%s, %s" % (name, mode)
        if goal and ours[0] < goal:
            self.failed.append("%s: %.2f %% complete, goal %d" % (where, ours[0], goal))
        for reader, theirs in shares.items():
            if goal and ours[5] < theirs[5]:
                self.failed.append("%s: %.2f %% complete, %s %.2f" % (where, ours[5], reader,
                                                                      theirs[5]))
        if mode != "fp" and ours[3] > MOST_WRONG.get(mode, 0):
            self.failed.append("%s: %.2f %% with a wrong frame" % (where, ours[3]))


def main():
    options = {"programs": list(PROGRAMS), "modes": list(MODES), "perfs": ["6.1", "6.12", "7.3"],
               "go": "1.27", "seconds": "4", "goals": False}
    for argument in sys.argv[1:]:
        key, _, value = argument[2:].partition("=")
        if not argument.startswith("--") or key not in options:
            sys.exit(__doc__)
        options[key] = True if key == "goals" else \
            value.split(",") if isinstance(options[key], list) else value
    shares = Shares(options)
    print("user samples of Go %s programs; shares in percent, time of perf script and "
          "gojitter's as a part of it" % options["go"])
    print("%-8s %-12s %-12s %7s %8s %8s %8s %7s %6s %8s %6s %6s" % (
        "program", "recording", "reader", "samples", "complete", "goexit", "caller", "wrong",
        "depth", "wall s", "ours", "MB"))
    try:
        for name in options["programs"]:
            for mode in options["modes"]:
                shares.measure(name, mode)
    finally:
        subprocess.run(["rm", "-rf", shares.work], check=False)
    for line in shares.failed:
        print("short: " + line)
    return 1 if options["goals"] and shares.failed else 0


sys.exit(main())
