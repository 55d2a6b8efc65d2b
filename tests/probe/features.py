# SPDX-License-Identifier: GPL-2.0
"""Where features hook a binary, against objdump's disassembly and the symbol table.

  features.py PLAN BINARY

PLAN is what build/tests/probe/features prints of BINARY, which has symbols.
"""
import re
import subprocess
import sys

ALIASES = {"je": "jz", "jne": "jnz", "jae": "jnb", "ja": "jnbe", "jg": "jnle", "jge": "jnl"}
# GJ_ARG_* of src/probe/probe.h, in this order.
ARGS = [set("rax eax ax al".split()), set("rbx ebx bx bl".split()), set("rcx ecx cx cl".split()),
        set("rdi edi di dil".split()), set("rsi esi si sil".split())]
READS_ONLY = re.compile(r"(cmp|test|bt|push|nop|j\w+)$")
FEATURES = {"gc", "alloc", "netpoll", "goroutines", "syscalls"}


def symbols(binary):
    """Functions by name: (entry, end), as the linker of Go wrote them."""
    found = {}
    out = subprocess.run(["readelf", "-sW", binary], stdout=subprocess.PIPE, text=True, check=True)
    for line in out.stdout.splitlines():
        field = line.split(None, 7)
        if len(field) == 8 and field[3] == "FUNC":
            found[field[7]] = (int(field[1], 16), int(field[1], 16) + int(field[2], 0))
    return found


def disassemble(binary, entry, end):
    """[(address, bytes, mnemonic, operands)]"""
    out = subprocess.run(["objdump", "-d", "-M", "intel", "-w", "--start-address=%d" % entry,
                          "--stop-address=%d" % end, binary], stdout=subprocess.PIPE, text=True,
                         check=True)
    insns = []
    for line in out.stdout.splitlines():
        match = re.match(r" *([0-9a-f]+):\t((?:[0-9a-f]{2} )+) *\t?(\S*) *(.*)", line)
        if match:
            operands = re.sub(r"\s*(<.*|#.*)$", "", match[4])
            insns.append((int(match[1], 16), bytes.fromhex(match[2]), match[3], operands))
    return insns


def target(insn):
    """Where a direct jump or call leads."""
    if re.fullmatch(r"j\w+|call", insn[2]) and re.fullmatch("[0-9a-f]+", insn[3]):
        return int(insn[3], 16)
    return None


def is_emulated(insn):
    """arch/x86/kernel/uprobes.c: branch_setup_xol_ops, push_setup_xol_ops."""
    if insn[2] == "push":
        return bool(re.fullmatch(r"r\w+", insn[3]))
    return target(insn) is not None or insn[1] == b"\x90"


def check_of(insns, growers):
    """Address of the jump that leads to where the stack is grown."""
    index = {insn[0]: i for i, insn in enumerate(insns)}
    jump = None
    for insn in insns[:10]:
        to = target(insn)
        if insn[2] == "call" or insn[2] == "jmp":
            break
        if to in index:
            for there in insns[index[to]:index[to] + 16]:
                if target(there) in growers:
                    jump = insn[0]
                if target(there) is not None:
                    break
    return jump


def straight(insns, begin, at):
    """Instructions from begin up to at, with nothing that leads away, in or back between."""
    run = [insn for insn in insns if begin <= insn[0] < at]
    away = [insn for insn in run if insn[2].startswith(("j", "call", "ret"))]
    into = [insn for insn in insns if insn[2] != "call" and target(insn) is not None
            and begin <= target(insn) <= at]
    return run, away or into


class Checker:
    def __init__(self, binary):
        self.binary, self.symbols, self.code, self.errors = binary, symbols(binary), {}, []
        self.growers = {entry for name, (entry, _) in self.symbols.items()
                        if name.startswith("runtime.morestack")}

    def insns(self, function):
        if function not in self.code:
            self.code[function] = disassemble(self.binary, *self.symbols[function])
        return self.code[function]

    def fail(self, row, why):
        self.errors.append("%s in %s at %s: %s" % (row["program"], row["function"], row["va"], why))

    def same_text(self, row, insn):
        ours = row["insn"].split()
        if ours[0] != ALIASES.get(insn[2], insn[2]):
            return False
        if target(insn) is not None:
            return int(ours[1], 16) == target(insn)
        return ours[0] != "push" or ours[1] == insn[3]

    def row(self, row):
        insns = self.insns(row["function"])
        at = int(row["va"], 16)
        here = [insn for insn in insns if insn[0] == at]
        if int(row["entry"], 16) != self.symbols[row["function"]][0]:
            self.fail(row, "the symbol table has another entry")
        if not here:
            return self.fail(row, "no instruction of objdump begins there")
        if not self.same_text(row, here[0]):
            self.fail(row, "%s is %s %s" % (row["insn"], here[0][2], here[0][3]))
        if (row["kind"] == "emulated") != is_emulated(here[0]):
            self.fail(row, "%s: %s" % (row["kind"], row["insn"]))
        if row["at"] == "entry":
            self.entry(row, insns, at)

    def entry(self, row, insns, at):
        check = check_of(insns, self.growers)
        if check is not None and at < check:
            self.fail(row, "in front of the stack check's jump at %x" % check)
        if (row["repeat"] == "repeats") != (at == check):
            self.fail(row, "%s, and the check's jump is at %s" % (row["repeat"], check))
        behind = insns[0][0] if check is None else \
            next(insn[0] for insn in insns if insn[0] > check)
        if at > behind:
            _, bad = straight(insns, behind, at)
            if bad:
                self.fail(row, "%s between" % (bad,))
        for insn in insns:
            first = insn[3].split(",")[0]
            if insn[0] < at and not READS_ONLY.match(insn[2]) and any(
                    int(row["needed"]) >> i & 1 and first in names for i, names in enumerate(ARGS)):
                self.fail(row, "%s %s has overwritten an argument" % (insn[2], insn[3]))

    def places(self, rows):
        """All that is to be hooked is, and nothing else."""
        first, at = rows[0], sorted(int(row["va"], 16) for row in rows)
        insns = self.insns(first["function"])
        if first["at"] == "entry" and len(at) != 1:
            self.fail(first, "%d places of one entry" % len(at))
        if first["at"] == "return":
            want = [insn[0] for insn in insns if insn[2] == "ret"]
            if at != want:
                self.fail(first, "returns at %s, hooked at %s" % (want, at))
        if first["at"] in ("call", "called"):
            self.calls(first, insns, at)

    def calls(self, row, insns, at):
        names = (row["callee"], row["callee"] + ".abi0")
        callees = {self.symbols[name][0] for name in names if name in self.symbols}
        calls = [i for i, insn in enumerate(insns) if insn[2] == "call" and target(insn) in callees]
        if row["at"] == "call":
            if at != [insns[i][0] for i in calls]:
                self.fail(row, "calls at %s" % [hex(insns[i][0]) for i in calls])
            return
        for address in at:
            before = [i for i in calls if insns[i][0] < address]
            if not before or straight(insns, insns[before[-1] + 1][0], address)[1]:
                self.fail(row, "other ways lead to %x" % address)


def main():
    names = "feature program function callee at needed entry va off kind repeat insn".split()
    checker, groups, seen = Checker(sys.argv[2]), {}, set()
    for line in open(sys.argv[1]):
        field = line.rstrip("\n").split("\t")
        if len(field) < len(names):
            checker.errors.append(" ".join(field))
            continue
        row = dict(zip(names, field))
        seen.add(row["feature"])
        checker.row(row)
        groups.setdefault((row["program"], row["function"], row["at"]), []).append(row)
    for rows in groups.values():
        checker.places(rows)
    if seen != FEATURES:
        checker.errors.append("features with hooks: %s" % sorted(seen))
    print("\n".join(checker.errors) or "%d rows agree" % len(groups))
    return bool(checker.errors)


sys.exit(main())
