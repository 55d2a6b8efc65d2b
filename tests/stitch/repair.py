# SPDX-License-Identifier: GPL-2.0
"""
Runs inside gdb: stops a Go program at the beginning of every function it
passes, and for some instructions on. At each stop the chain that the kernel
would record is (rip, the word at rbp + 8); what our repair puts between them is
compared with gdb's own frames, which come from .debug_frame and not from RBP.

Prints one line of counts:
  stops     compared
  lacking   of them, where the chain lacks a caller
  exact     of those, put back with its address
  function  of those, put back by its function
  marked    of those, marked only
  unseen    of those, put back by a function that gdb does not see beyond a switch of stacks
  extra     stops where nothing is lacking and the mark stands anyway
  wrong     anything else; each is shown
"""
import collections
import os
import signal
import subprocess
import threading

import gdb

STEPS = int(os.environ.get("GJ_STEPS", "25"))
FUNCTIONS = int(os.environ.get("GJ_FUNCTIONS", "60"))
SECONDS = float(os.environ.get("GJ_SECONDS", "25"))
# gdb does not see over switches of stacks, and takes an injected call for one.
BLIND = ("runtime.systemstack", "runtime.mcall", "runtime.morestack", "runtime.asmcgocall", "runtime.gogo", "gogo",
         "runtime.cgocallback", "runtime.rt0_go", "runtime.mstart", "runtime.goexit", "runtime.sigreturn",
         "runtime.sigreturn__sigaction", "runtime.asyncPreempt", "runtime.sigpanic", "runtime.clone", "gosave_systemstack_switch",
         "runtime.nanotime1", "runtime.walltime", "time.now", "runtime.vgetrandom1")

counts = collections.Counter()
log = open(os.environ["GJ_LOG"], "w")
names = {}


def say(text):
    log.write(text + "\n")
    log.flush()


def name(pc):
    if pc <= 0:
        return ""
    if pc not in names:
        text = gdb.execute("info symbol 0x%x" % pc, to_string=True).split(" in section ")[0]
        names[pc] = "" if text.startswith("No symbol") else \
            text.split(" + ")[0].removesuffix(".abi0")
    return names[pc]


def callers():
    """Up to six return addresses of gdb's, innermost first, and SP where each returns to."""
    found, sps, frame = [], [], gdb.newest_frame()
    while frame is not None and len(found) < 6:
        if frame.type() != gdb.INLINE_FRAME:
            sps.append(int(frame.read_register("rsp")) & (1 << 64) - 1)
            if name(frame.pc() - bool(found)) in BLIND and found:
                found.append(frame.pc())
                break
            found.append(frame.pc())
        try:
            frame = frame.older()
        except gdb.error:
            break
    return found[1:], sps[1:]


def word(va):
    try:
        return int(gdb.parse_and_eval("*(unsigned long *)%d" % va)) & (1 << 64) - 1
    except gdb.error:
        return None


def judge(truth, next_pc, at, answer):
    """The name of the count this stop goes to. @at: which of @truth next_pc is."""
    is_whole = at == 0
    if answer == "whole":
        return "whole" if is_whole else "wrong"
    exact, may_miss, *vas = answer.split()
    vas, may_miss = [int(va, 16) for va in vas], may_miss == "1"
    if not vas:
        if is_whole:
            return "extra" if may_miss else "whole"
        return "marked" if may_miss else "wrong"
    if exact == "1":
        good = truth[:len(vas)] == vas and (may_miss or at == len(vas) or truth[len(vas):] == [])
        return "exact" if good and not is_whole else "wrong"
    wanted = name(vas[0])
    before = truth[:at]
    if may_miss:
        if wanted not in [name(pc - 1) for pc in before] and name(truth[-1] - 1) in BLIND:
            return "unseen"
        return "function" if wanted in [name(pc - 1) for pc in before] else "wrong"
    return "function" if before and name(before[0] - 1) == wanted and \
        (at == 1 or truth[1:2] == []) else "wrong"


def compare():
    pc, rbp = (int(gdb.parse_and_eval("(unsigned long)$" + r)) for r in ("rip", "rbp"))
    next_pc = word(rbp + 8) if rbp else None
    if name(pc) in BLIND or not next_pc or not entries[0] <= pc <= entries[-1] + 4096:
        counts["blind"] += 1
        return
    truth, sps = callers()
    if not truth or not name(truth[0] - 1):
        counts["blind"] += 1
        return
    ours.stdin.write("%x 0 %x\n" % (pc, next_pc))
    ours.stdin.flush()
    answer = ours.stdout.readline().rstrip("\n")
    # A function that calls itself returns to one address many times: the place of it tells.
    at = sps.index(rbp + 16) if rbp + 16 in sps else \
        truth.index(next_pc) if next_pc in truth else len(truth)
    verdict = judge(truth, next_pc, at, answer)
    counts["stops"] += 1
    counts[verdict] += 1
    lacks = at > 0
    counts["lacking"] += lacks
    if verdict == "marked":
        reasons[name(pc), name(truth[0] - 1), name(next_pc - 1)] += 1
    if verdict == "wrong":
        say("# wrong at %s, next %x %s: ours %s; gdb %s" % (
            gdb.execute("info symbol $rip", to_string=True).split(" in section")[0], next_pc,
            name(next_pc - 1), answer, " ".join("%x %s" % (p, name(p - 1)) for p in truth)))


reasons = collections.Counter()


def over():
    timed_out.append(True)
    os.kill(gdb.selected_inferior().pid, signal.SIGINT)


program, arguments = os.environ["GJ_PROGRAM"], os.environ.get("GJ_ARGUMENTS", "")
for setting in ("set pagination off", "set confirm off", "set width 0", "set breakpoint pending off",
                "set debuginfod enabled off", "set breakpoint always-inserted on",
                "handle SIGURG nostop noprint pass", "handle SIGSEGV nostop noprint pass",
                "set auto-load python-scripts off", "set python print-stack full", "set language c",
                "set print demangle off", "set print asm-demangle off",
                "set environment GODEBUG asyncpreemptoff=1"):
    gdb.execute(setting, to_string=True)
gdb.execute("file %s" % program, to_string=True)
gdb.execute("set args %s >/dev/null" % arguments)
gdb.execute("break main.main", to_string=True)
gdb.execute("run", to_string=True)
gdb.execute("delete", to_string=True)
gdb.execute("set scheduler-locking step", to_string=True)
ours = subprocess.Popen([os.environ["GJ_REPAIR"], os.environ["GJ_STRIPPED"]], stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE, text=True)
timed_out = []
timer = threading.Timer(SECONDS, over)
timer.daemon = True
timer.start()
entries = sorted(int(entry, 16) for entry in os.environ["GJ_ENTRIES"].split())
# gdb looks through all breakpoints at each stop.
for entry in entries if FUNCTIONS > 100 else entries[::4]:
    gdb.Breakpoint("*0x%x" % entry, temporary=True)
while not timed_out and counts["functions"] < FUNCTIONS:
    gdb.execute("continue", to_string=True)
    if timed_out or not gdb.selected_inferior().pid:
        break
    compare()
    counts["functions"] += 1
    for _ in range(STEPS):
        if timed_out:
            break
        gdb.execute("stepi", to_string=True)
        compare()
timer.cancel()
say(" ".join("%s=%d" % (key, counts[key]) for key in (
    "functions", "stops", "lacking", "exact", "function", "marked", "extra", "unseen", "blind",
    "wrong")))
for (leaf, caller, behind), cnt in reasons.most_common(12):
    say("# marked %d times: %s called by %s, then %s" % (cnt, leaf, caller, behind))
ours.stdin.close()
gdb.execute("kill", to_string=True)
