# SPDX-License-Identifier: GPL-2.0
"""
Runs inside gdb: stops a Go program at chosen places, instruction by
instruction, and compares our walk of the stopped thread with gdb's, which
unwinds by .debug_frame and .eh_frame (and knows signal frames).

gdb knows nothing of the runtime's switches of stacks. There it is helped by
what itself said a moment before: a function that switches stacks has one
caller, which gdb sees at the function's first instruction, and whatever the
function then does on another stack, those callers stay.

A second walk at each stop reads no more than a stack dump of perf's holds.
Its frames must be gdb's as far as nothing is left out; from where something is,
they must be what gdb finds when it goes on from there.

Prints one line "NAME: N stops, N complete, N cut, N wrong" for each place, the
reasons of cuts, and each wrong stack; and the same of dumps.
"""
import collections
import os
import signal
import subprocess
import threading

import gdb

SEAMS = ("runtime.systemstack", "runtime.morestack", "runtime.morestack_noctxt", "runtime.mcall", "runtime.asmcgocall",
         "runtime.cgocallback", "runtime.cgocallback_gofunc", "runtime.nanotime1", "time.now", "runtime.vgetrandom1",
         "runtime.walltime", "runtime.walltime1", "runtime.gogo", "gogo")
TOPS = ("runtime.goexit", "runtime.mstart", "runtime.rt0_go", "runtime.mstart.abi0",
        "runtime.goexit.abi0", "runtime.rt0_go.abi0")
INJECTED = ("runtime.asyncPreempt", "runtime.sigpanic")
# arm64: under qemu-aarch64, which GJ_QEMU names as PID:PORT.
EMULATOR = os.environ.get("GJ_QEMU")
ORDER = ["x%d" % i for i in range(31)] + ["sp", "pc"] if EMULATOR else \
    "rax rbx rcx rdx rsi rdi rbp rsp rip r8 r9 r10 r11 r12 r13 r14 r15".split()
PC, SP, FP = ("pc", "sp", "x29") if EMULATOR else ("rip", "rsp", "rbp")
FIRST = "$x0" if EMULATOR else "$rax"  # a function's first argument in Go's ABI
MAX_FRAMES = 600
MAX_STOPS = 400

walker = dump_walker = None
log = open(os.environ["GJ_LOG"], "w")
totals = collections.Counter()


def say(text):
    log.write(text + "\n")
    log.flush()


def name_at(pc):
    text = gdb.execute("info symbol 0x%x" % pc, to_string=True)
    if text.startswith("No symbol"):
        return ""
    text = text.split(" in section ")[0]
    return text.split(" + ")[0].replace(".abi0", "")


names = {}


def name(pc):
    if pc <= 0:
        return ""
    if pc not in names:
        names[pc] = name_at(pc)
    return names[pc]


def reg(what):
    return int(gdb.parse_and_eval("(unsigned long)$" + what))


def registers():
    return [0 if EMULATOR else reg("fs_base")] + [reg(r) for r in ORDER]


def ask(which):
    which.stdin.write(" ".join("%x" % r for r in registers()) + "\n")
    which.stdin.flush()
    head, *frames = which.stdout.readline().rstrip("\n").split("\t")
    state, why = head.split(" ", 1)
    return state, why, [frame.split(":") for frame in frames]


def ours():
    state, why, frames = ask(walker)
    return state, why, [(int(f[0], 16), f[1]) for f in frames]


def is_part(frames, truth, begin):
    """What stands behind a gap: a later part of the whole chain, or a thread's first frames."""
    pcs = [int(frame[0], 16) for frame in frames]
    if name(pcs[0] - 1) in ("runtime.mstart0", "runtime.mstart"):
        rest, _ = frames_from({PC: pcs[0], SP: int(frames[0][2], 16), FP: 0})
        return pcs == rest[:len(pcs)]
    # cgocallback pretends to have been called from where the goroutine's stack was left.
    # Up to Go 1.19 that is systemstack_switch's first instruction.
    if {name(pcs[0] - 1), name(pcs[0])} & {"runtime.systemstack_switch", "runtime.asmcgocall"}:
        del pcs[0]
    return any(truth[i:i + len(pcs)] == pcs for i in range(begin, len(truth)))


def is_dump_right(truth):
    """(state, why, right) of the walk that has a dump only."""
    state, why, frames = ask(dump_walker)
    gaps = [i for i, frame in enumerate(frames) if frame[3] == "1"] + [len(frames)]
    pcs = [int(frame[0], 16) for frame in frames[:gaps[0]]]
    right = pcs == truth[:gaps[0]] and all(
        is_part(frames[gap:gaps[i + 1]], truth, gap) for i, gap in enumerate(gaps[:-1]))
    if state == "complete" and len(gaps) == 1:
        right &= pcs == truth or why.startswith(("thread", "mcall", "schedule"))
    return state, why, right


def frames_of_gdb():
    """Addresses up to a root or a seam, and what the last one is."""
    pcs, frame = [], gdb.newest_frame()
    while frame is not None and len(pcs) < MAX_FRAMES:
        kind = frame.type()
        pc = frame.pc()
        if kind not in (gdb.INLINE_FRAME, gdb.TAILCALL_FRAME, gdb.SIGTRAMP_FRAME):
            pcs.append(pc)
            # A return address behind a call is looked up before it.
            called = name(pc - 1) if len(pcs) > 1 else name(pc)
            if called in TOPS or called in SEAMS:
                return pcs, called
            if called in INJECTED and frame.older() is not None:
                # gdb takes this for a call and would look its caller up before the address.
                caller = frame.older()
                values = {r: int(caller.read_register(r)) & (1 << 64) - 1
                          for r in (PC, SP, FP) + (("x30",) if EMULATOR else ())}
                more, called = frames_from(values)
                return pcs + more, called
            if name(pc).startswith("runtime.sigreturn"):
                # Not known to gdb by this name (Go up to 1.20): helped with the kernel's layout.
                more, called = interrupted(int(frame.read_register("rsp")))
                return pcs + more, called
        elif kind == gdb.SIGTRAMP_FRAME:
            pcs.append(pc)
        try:
            frame = frame.older()
        except gdb.error:
            break
    return pcs, None


def interrupted(context):
    """The same from where a signal came in: struct ucontext at @context."""
    word = "*(unsigned long *)%d"
    return frames_from({r: int(gdb.parse_and_eval(word % (context + off)))
                        for r, off in (("rip", 168), ("rsp", 160), ("rbp", 120))})


def set_registers(values):
    for r, value in values.items():
        # gdb goes back to the frame it had selected, which may not be the innermost any more.
        gdb.newest_frame().select()
        gdb.execute("set $%s = %d" % (r, value))
    gdb.newest_frame().select()


def frames_from(values):
    """The same from where these registers say."""
    gdb.newest_frame().select()
    saved = {r: reg(r) for r in values}
    try:
        set_registers(values)
        return frames_of_gdb()
    finally:
        set_registers(saved)


class Records:
    """What gdb saw at the first instruction of functions that switch stacks, by thread."""

    def __init__(self):
        self.chains = {}
        self.nested = None

    def truth(self):
        """The whole chain; None where gdb cannot know it."""
        pcs, last = frames_of_gdb()
        if last is None:
            # Out of C's last frame: a thread's root. There is no C in what runs emulated.
            return None if EMULATOR else pcs
        if last in TOPS:
            return pcs
        if len(pcs) == 1 and is_entry(pcs[0], last):
            pcs = whole_at_entry()
            if pcs is None:
                return None
            # Called on g0's stack systemstack leaves no frame: the record of the one before stays,
            # and this one's own serves as long as it is inside.
            self.nested = pcs if last == "runtime.systemstack" and last in [name(pc - 1) for pc in pcs[1:]] else None
            if not self.nested:
                self.chains[gdb.selected_thread().num, last] = pcs
            if last in ("runtime.gogo", "gogo"):
                self.gogo_sp = reg(SP)
            return pcs
        record = self.chains.get((gdb.selected_thread().num, last))
        if len(pcs) == 1 and last == "runtime.systemstack" and self.nested:
            record = self.nested
        if record and last in ("runtime.gogo", "gogo") and abs(reg(SP) - self.gogo_sp) > 4096:
            # It has left for a goroutine: for the one that wanted more stack, if it was one.
            resumer = name(record[1] - 1) if len(record) > 1 else ""
            record = self.chains.get((gdb.selected_thread().num, "runtime.morestack")) \
                if resumer == "runtime.newstack" else None
        return None if record is None else pcs + record[1:]



def entry_of(function):
    # What is left when its suffix is taken off may be the wrapper.
    for spelled in (function + ".abi0", function):
        try:
            return int(gdb.parse_and_eval("(unsigned long)&'%s'" % spelled))
        except gdb.error:
            pass
    return None


entries = {}


def is_entry(pc, function):
    if function not in entries:
        entries[function] = entry_of(function)
    return pc == entries[function] or name_offset(pc) == 0


def name_offset(pc):
    text = gdb.execute("info symbol 0x%x" % pc, to_string=True).split(" in section ")[0]
    return int(text.split(" + ")[1]) if " + " in text else 0


def whole_at_entry():
    """At its first instruction a seam function is an ordinary one: its caller is at SP."""
    if EMULATOR and name(reg(PC)).startswith("runtime.morestack"):
        # Its caller is in its prologue, whose own return address is kept in x3.
        more, last = frames_from({PC: reg("x3"), "x30": reg("x3")})
        return [reg(PC), reg("x30")] + more if last in TOPS else None
    first, frame = gdb.newest_frame().pc(), gdb.newest_frame().older()
    if frame is None:
        return None
    pcs = [first]
    while frame is not None and len(pcs) < MAX_FRAMES:
        pc = frame.pc()
        if frame.type() not in (gdb.INLINE_FRAME, gdb.TAILCALL_FRAME):
            pcs.append(pc)
            called = name(pc - 1)
            if called in TOPS:
                return pcs
            if called in SEAMS:
                record = records.chains.get((gdb.selected_thread().num, called))
                return None if record is None else pcs + record[1:]
        try:
            frame = frame.older()
        except gdb.error:
            break
    return pcs


records = Records()


class Place:
    def __init__(self, title):
        self.title = title
        self.counts = collections.Counter()
        self.cuts = collections.Counter()
        self.dumps = collections.Counter()
        self.dump_cuts = collections.Counter()
        self.shown = 0

    def compare_dump(self, truth):
        state, why, right = is_dump_right(truth)
        self.dumps[state if right else "wrong"] += 1
        if state == "cut":
            self.dump_cuts["%s, at %s" % (why.rstrip(" 01"), gdb.execute(
                "info symbol $pc", to_string=True).split(" in section")[0])] += 1
        if not right and self.dumps["wrong"] <= 3:
            say("# wrong with a dump in %s at %s (%s %s):" % (self.title, gdb.execute(
                "info symbol $pc", to_string=True).split(" in section")[0], state, why))
            say("#   ours " + " < ".join("%s%s" % ("gap " * (f[3] == "1"), name(int(f[0], 16) - (i > 0)))
                                         for i, f in enumerate(ask(dump_walker)[2][:14])))
            say("#   gdb  " + " < ".join(name(pc - (i > 0)) for i, pc in enumerate(truth[:14])))

    def compare(self):
        truth = records.truth()
        # Set registers do not always arrive in the emulator.
        if truth is None or (EMULATOR and truth != records.truth()):
            self.counts["unknown"] += 1
            return
        self.compare_dump(truth)
        state, why, frames = ours()
        mine = [pc for pc, _ in frames]
        self.counts["stops"] += 1
        good = mine == truth if state == "complete" else mine == truth[:len(mine)]
        if state == "complete" and not good:
            # A root of C's threads: gdb may show frames behind it.
            good = why.startswith("thread") and mine == truth[:len(mine)]
            # On g0 the scheduler serves nobody any more.
            good |= why.startswith(("mcall", "schedule")) and mine == truth[:len(mine)]
        if good:
            self.counts[state] += 1
            if state == "cut":
                symbol = gdb.execute("info symbol $pc", to_string=True)
                self.cuts["%s, in %s, at %s" % (why.rstrip(" 01"), name(mine[-1] - (len(mine) > 1)),
                                                symbol.split(" in section")[0])] += 1
            return
        self.counts["wrong"] += 1
        self.shown += 1
        if self.shown <= 3:
            say("# wrong in %s at %s (%s %s)" % (self.title, gdb.execute(
                "info symbol $pc", to_string=True).split(" in section")[0], state, why))
            for i in range(min(12, max(len(mine), len(truth)))):
                a = "%x %s %s" % (mine[i], frames[i][1], name(mine[i] - (i > 0))) \
                    if i < len(mine) else "-"
                b = "%x %s" % (truth[i], name(truth[i] - (i > 0))) if i < len(truth) else "-"
                if a.split()[0] != b.split()[0] or i < 6:
                    say("#   %-2s ours %-60s gdb %s" % ("" if a.split()[0] == b.split()[0] else
                                                          "!!", a, b))

    def done(self):
        counts = self.counts
        say("%s: %d stops, %d complete, %d cut, %d wrong, %d without truth" % (
            self.title, counts["stops"], counts["complete"], counts["cut"], counts["wrong"],
            counts["unknown"]))
        for why, cnt in self.cuts.most_common(5):
            say("#   cut %d times: %s" % (cnt, why))
        say("%s, dumps: %d complete, %d cut, %d wrong" % (
            self.title, self.dumps["complete"], self.dumps["cut"], self.dumps["wrong"]))
        for why, cnt in self.dump_cuts.most_common(3):
            say("#   cut %d times: %s" % (cnt, why))


def stops_at(functions):
    return [gdb.Breakpoint("*0x%x" % entry_of(f)) for f in functions if entry_of(f) is not None]


def run():
    """Continues to a breakpoint; false when none is met for a while."""
    if EMULATOR:
        gdb.execute("continue", to_string=True)
        return True
    timer = threading.Timer(20, os.kill, (gdb.selected_inferior().pid, signal.SIGINT))
    timer.start()
    gdb.execute("continue", to_string=True)
    # A signal that came while an instruction was stepped saved the trap flag and brings it back.
    while "SIGTRAP" in gdb.execute("info program", to_string=True):
        gdb.execute("set $eflags = $eflags & ~0x100")
        gdb.execute("continue", to_string=True)
    timer.cancel()
    return "SIGINT" not in gdb.execute("info program", to_string=True)


def place(where, steps, title=None, condition=None, before=()):
    """
    Compares at @where (one of several, joined by blanks) and for @steps
    instructions on. On the way there it stops, and compares, at @before: the
    functions that switch stacks, so that gdb has seen their callers.
    """
    at = Place(title or where)
    records.chains.clear()
    wanted = [f for f in where.split() if entry_of(f) is not None]
    if not wanted:
        say("%s: not in this program" % at.title)
        return
    targets, others = stops_at(wanted), stops_at(before)
    if condition:
        targets[0].condition = condition
    for _ in range(MAX_STOPS):
        if not run():
            break
        at.compare()
        pc = reg(PC)
        # Wanted where gdb knows what stands above.
        if pc in [entry_of(f) for f in wanted] and records.truth():
            for breakpoint in targets + others:
                breakpoint.delete()
            for _ in range(steps):
                gdb.execute("stepi", to_string=True)
                at.compare()
            at.done()
            return
    for breakpoint in targets + others:
        breakpoint.delete()
    say("%s: not reached" % at.title)


def run_program(arguments):
    # A goroutine preempted while one instruction is stepped does not come back to it.
    gdb.execute("set environment GODEBUG cpu.sha=off,cpu.shani=off%s" %
                ("" if what == "preempt" else ",asyncpreemptoff=1"), to_string=True)
    gdb.execute("set args %s >/dev/null" % arguments)
    gdb.execute("break main.main", to_string=True)
    gdb.execute("run", to_string=True)


def start(program, stripped, arguments):
    global walker, dump_walker
    for line in ("set pagination off", "set confirm off", "set width 0", "set breakpoint pending off",
                 "set debuginfod enabled off", "handle SIGURG nostop noprint pass",
                 "handle SIGSEGV nostop noprint pass", "handle SIGUSR1 SIGUSR2 nostop noprint pass", "set backtrace limit %d" % MAX_FRAMES,
                 "set backtrace past-main on",
                 "set auto-load python-scripts off", "set python print-stack full",
                 "set disassemble-next-line off", "set language c",
                 "set print demangle off", "set print asm-demangle off"):
        gdb.execute(line, to_string=True)
    gdb.execute("file %s" % program, to_string=True)
    if EMULATOR:
        gdb.execute("target remote :" + EMULATOR.split(":")[1], to_string=True)
        gdb.execute("break main.main", to_string=True)
        gdb.execute("continue", to_string=True)
    else:
        run_program(arguments)
    gdb.execute("delete", to_string=True)
    gdb.execute("set scheduler-locking step", to_string=True)
    pid = EMULATOR.split(":")[0] if EMULATOR else str(gdb.selected_inferior().pid)
    command = [os.environ["GJ_WALKER"], pid, stripped] + (["arm64"] if EMULATOR else [])
    walker, dump_walker = (subprocess.Popen(command + more, stdin=subprocess.PIPE,
                                            stdout=subprocess.PIPE, text=True)
                           for more in ([], ["dump"]))


SWITCHES = ("runtime.morestack", "runtime.systemstack", "runtime.mcall", "runtime.asmcgocall",
            "runtime.cgocallback", "runtime.cgocallback_gofunc")


def plain():
    place("main.framed", 60, "prologue, leaf, epilogue")
    place("main.recurse", 40, "recursion", FIRST + " == 0" if new_abi else None)
    place("main.duff", 120, "duffcopy")
    place("main.zero", 120, "duffzero")
    place("crypto/sha256.block crypto/internal/fips140/sha256.blockAVX2", 250, "sha256 using rbp")
    place("crypto/sha1.blockAVX2 crypto/sha1.block", 250, "sha1 using rbp")
    place("crypto/sha512.blockAVX2 crypto/internal/fips140/sha512.blockAVX2", 250, "sha512 using rbp")
    place("crypto/md5.block", 100, "md5 using rbp")
    place("runtime.nanotime1", 120, "vdso by nanotime1")
    place("time.now", 120, "vdso by time.now")
    place("runtime.systemstack", 150, "systemstack")
    place("runtime.morestack", 120, "morestack")
    place("runtime.copystack", 20, "copystack", before=("runtime.morestack",))
    place("gogo runtime.gogo", 20, "gogo", before=("runtime.morestack",))
    place("runtime.mcall", 80, "mcall")
    place("runtime.park_m", 20, "park_m", before=("runtime.mcall",))
    place("runtime.sigtramp", 60, "sigtramp")
    place("runtime.sighandler", 5, "sighandler")
    place("runtime.sigpanic", 10, "sigpanic")
    place("runtime.gopanic", 5, "panic")
    place("runtime.recovery", 120, "recovery", before=("runtime.mcall",))


# gdb and the emulator do not last for long together: a place each. Of calls that
# the signal handler injects gdb knows no caller here.
ARM64_PLACES = {
    "leaf": ("main.framed", 60),
    "recursion": ("main.recurse", 40, FIRST + " == 0"),
    "duffcopy": ("main.duff", 120),
    "duffzero": ("main.zero", 120),
    "sha256": ("crypto/sha256.block crypto/internal/fips140/sha256.block", 120),
    "systemstack": ("runtime.systemstack", 150),
    "morestack": ("runtime.morestack", 120),
    "copystack": ("runtime.copystack", 20, None, ("runtime.morestack",)),
    "gogo": ("gogo runtime.gogo", 20, None, ("runtime.morestack",)),
    "mcall": ("runtime.mcall", 80),
}


def arm64():
    title = os.environ["GJ_PLACE"]
    where, steps, *more = ARM64_PLACES[title]
    place(where, steps, title, *more)


def preempt():
    place("runtime.asyncPreempt", 80, "asyncPreempt")
    place("runtime.asyncPreempt2", 5, "asyncPreempt2")
    place("runtime.doSigPreempt", 5, "signal handler")


def cgo():
    place("runtime.asmcgocall", 60, "asmcgocall")
    place("c_outer", 40, "C", before=SWITCHES)
    place("crosscall2", 60, "crosscall2", before=SWITCHES)
    place("runtime.cgocallback_gofunc" if entry_of("runtime.cgocallback_gofunc") else
          "runtime.cgocallback", 80, "cgocallback", before=SWITCHES)
    place("main.goLeaf", 4, "Go under C", before=SWITCHES)
    place("c_leaf", 6, "C under Go under C under Go under C", before=SWITCHES)
    place("c_time", 60, "vdso by libc", before=SWITCHES)
    place("c_on_signal", 12, "C's signal handler, on its own stack", "$rdi == 10", before=SWITCHES)
    place("c_on_signal", 12, "C's signal handler, on the thread's stack", "$rdi == 12", before=SWITCHES)


program, stripped, what, version = os.environ["GJ_LIVE"].split(":")
new_abi = int(version.split(".")[1]) >= (18 if EMULATOR else 17)
start(program, stripped, "loop" if what == "preempt" else "")
{"plain": plain, "preempt": preempt, "cgo": cgo, "arm64": arm64}[what]()
gdb.execute("kill", to_string=True)
