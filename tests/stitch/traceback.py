# SPDX-License-Identifier: GPL-2.0
"""
Runs inside gdb: stops a Go program at a place, walks the stopped thread from
outside, then sends it SIGQUIT. With GOTRACEBACK=system the runtime prints its
own traceback of that thread, "fp= sp= pc=" for each frame that is not inlined.
Its addresses must be those of our walk.

The runtime leaves frames out that are of no interest to it (a stack that ends
in a system call's or the scheduler's own code), never in between: ours may go
on where it ends, at a root's callers.
"""
import os
import re
import subprocess

import gdb

program, stripped, place, steps, log = os.environ["GJ_TRACEBACK"].split(":")
out = os.environ["GJ_WORK"] + "/program.err"


def registers():
    order = "rax rbx rcx rdx rsi rdi rbp rsp rip r8 r9 r10 r11 r12 r13 r14 r15".split()
    return " ".join("%x" % int(gdb.parse_and_eval("(unsigned long)$" + r)) for r in ["fs_base"] + order)


def entry_of(function):
    for spelled in (function + ".abi0", function):
        try:
            return int(gdb.parse_and_eval("(unsigned long)&'%s'" % spelled))
        except gdb.error:
            pass
    return None


def name(pc):
    text = gdb.execute("info symbol 0x%x" % pc, to_string=True)
    return text.split(" in section")[0].split(" + ")[0].replace(".abi0", "").replace("[", ".").replace("]", "")


def walk():
    done = subprocess.run([os.environ["GJ_WALKER"], str(gdb.selected_inferior().pid), stripped],
                          input=registers() + "\n", stdout=subprocess.PIPE, text=True, check=True)
    head, *frames = done.stdout.rstrip("\n").split("\t")
    return head, [(int(f.split(":")[0], 16), int(f.split(":")[2], 16)) for f in frames]


def of_runtime():
    """(pc, sp) of the stopped thread in the program's dying words."""
    frames, is_on, function = [], False, ""
    for line in open(out):
        head = re.match(r"(goroutine 0 |goroutine \d+ .*\[(running|syscall)|runtime stack:)", line)
        if head or line.startswith("goroutine "):
            # What comes behind a goroutine, which may end in frames elided, is not this thread's.
            if not head or frames and frames[-1][2] in ("runtime.goexit", ""):
                is_on = False
                continue
            is_on = True
        if "frames elided" in line and is_on:
            frames.append((None, None, ""))
        found = re.search(r" sp=0x([0-9a-f]+) pc=0x([0-9a-f]+)$", line)
        if found and is_on and function != "runtime.systemstack_switch" and \
                int(found.group(2), 16) != entry_of("runtime.mstart"):
            frames.append((int(found.group(2), 16), int(found.group(1), 16), function))
        if not line.startswith("\t"):
            function = line.split("(")[0]
    return [frame[:2] for frame in frames]


def place_of(part, ours, begin):
    """Where @part stands in @ours; None: nowhere."""
    return next((i for i in range(begin, len(ours)) if ours[i:i + len(part)] == part), None)


def judge(ours, names, theirs):
    """Of more than a hundred frames the runtime leaves out the middle, up to Go 1.20 the rest."""
    elided = theirs.index((None, None)) if (None, None) in theirs else len(theirs)
    first, last = theirs[:elided], theirs[elided + 1:]
    begin = place_of(first, ours, 0)
    end = place_of(last, ours, (begin or 0) + len(first)) if last else 0
    if not first or begin is None or end is None:
        return "wrong"
    end = end + len(last) if last else begin + len(first)
    before, behind = set(names[:begin]), set(names[end:])
    if before - {"runtime.nanotime1", "time.now", "clock_gettime", "__vdso_clock_gettime"}:
        return "wrong: begins later"
    # It does not go on from a function that writes SP itself and was interrupted in it.
    if len(theirs) == 1 and begin == 0 and names[0].startswith(("runtime.morestack", "runtime.mcall")):
        return "right: 1 frame, more is not printed"
    if (last or elided == len(theirs)) and behind - {"runtime.mstart0", "runtime.mstart", "runtime.mstart1", "runtime.rt0_go"}:
        return "wrong: ends before"
    return "right: %d frames" % len(theirs)


for line in ("set pagination off", "set confirm off", "set breakpoint pending off", "set language c",
             "set debuginfod enabled off", "handle SIGURG nostop noprint pass",
             "handle SIGSEGV nostop noprint pass", "handle SIGQUIT nostop noprint pass",
             "set environment GODEBUG cpu.sha=off,cpu.shani=off,asyncpreemptoff=1", "set environment GOTRACEBACK system",
             "file " + program, "set args >/dev/null 2>" + out, "break main.main", "run", "delete"):
    gdb.execute(line, to_string=True)
va = next((entry_of(p) for p in place.split() if entry_of(p) is not None), None)
with open(log, "w") as report:
    if va is None:
        report.write("not in this program\n")
    else:
        gdb.Breakpoint("*0x%x" % va)
        gdb.execute("continue", to_string=True)
        gdb.execute("delete")
        gdb.execute("set scheduler-locking step")
        for _ in range(int(steps)):
            gdb.execute("stepi", to_string=True)
        gdb.execute("set scheduler-locking off")
        head, ours = walk()
        names = [name(pc - (i > 0)) for i, (pc, _) in enumerate(ours)]
        gdb.execute("signal SIGQUIT", to_string=True)
        theirs = of_runtime()
        verdict = judge(ours, names, theirs)
        report.write(verdict + "\n")
        for i in range(max(len(ours), len(theirs)) if verdict.startswith("wrong") else 0):
            mine = "%x %x %s" % (*ours[i], names[i]) if i < len(ours) else "-"
            report.write("%s\t%s\n" % (mine, "%x %x" % theirs[i] if i < len(theirs) and theirs[i][0] else "-"))
