#!/usr/bin/env python3
"""What the plugin has to print for the hits in stock perf's output.

  expect.py NM OBJDUMP BINARY SAID <stock >lines

Reads the fields stock perf prints for each hit, and gives the plugin's line.
The start function's name is what go tool nm says of the address; of a wrapper
that the compiler made for a go statement, the one function that it calls as go
tool objdump shows. SAID is what the program printed of its goroutines, "ID
FUNCTION" by runtime.Stack; it must agree.
"""
import re
import subprocess
import sys

nm, objdump, binary, said = sys.argv[1:]


def run(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout


names = {}
for line in run(nm, binary).splitlines():
    part = line.split(None, 2)
    if len(part) == 3 and part[1] in "Tt":
        names.setdefault(int(part[0], 16), part[2])
execute = next(va for va, name in names.items() if name == "runtime.execute")


def called(name):
    """The functions that @name calls, but for what every function calls."""
    text = run(objdump, "-s", "^" + re.escape(name) + "$", binary)
    calls = re.findall(r"CALL (\S+)\(SB\)", text)
    return {call for call in calls if not call.startswith("runtime.morestack")}


told = {}
for line in open(said):
    number, name = line.split(None, 1)
    told[number] = name.strip()


def start_name(va, number):
    """Before 1.22 a wrapper is named as a function literal: only what is told helps."""
    name = names[va]
    if re.search(r"\.gowrap\d+$|^runtime\.gcenable\.func", name):
        (name,) = called(name)
    elif number in told and name != told[number]:
        (name,) = called(name)
    assert told.get(number, name) == name, (told[number], name)
    return name


known = {}
numbers = set()
for line in sys.stdin:
    hit = re.search(r"\(([0-9a-f]+)\) g=(\S+) goid=(\d+) .*start_pc=0x([0-9a-f]+)", line)
    va = int(hit[4], 16) - (int(hit[1], 16) - execute - 4)
    numbers.add(hit[3])
    if va not in known:
        known[va] = start_name(va, hit[3])
    print("goroutine %s starts running %s (g=%s)" % (hit[3], known[va], hit[2]))
assert len(told) == 9 and numbers.issuperset(told), (told, numbers)
