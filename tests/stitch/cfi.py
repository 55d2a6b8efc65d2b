#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""
Compares compiled call frame information with what binutils' readelf makes of
the same sections, at the first and the last address of each of its rows.

  cfi.py PRINTER FILE [DEBUG_DIR DEBUG_FILE]

Prints "rows N compared N plt N expressions N"; exit status 1 and the first
differences when any.
"""
import bisect
import re
import subprocess
import sys

NUMBERS = {"rax": 0, "rdx": 1, "rcx": 2, "rbx": 3, "rsi": 4, "rdi": 5, "rbp": 6, "rsp": 7,
           **{"r%d" % n: n for n in range(8, 16)}}
SAVED = ("rbp", "rbx", "r12", "r13", "r14", "r15")
SAME = -32768


def rows_of_readelf(path):
    """(first, last address, rules by column) of each row of each FDE."""
    # It also fails for what it warns of; what it shows is compared.
    text = subprocess.run(["readelf", "--debug-dump=frames-interp", "-W", path],
                          capture_output=True, text=True).stdout
    end, columns, rows, found = None, None, [], []

    def flush():
        for i, (va, rules) in enumerate(rows):
            last = (rows[i + 1][0] if i + 1 < len(rows) else end) - 1
            if last >= va:
                found.append((va, last, rules))
        rows.clear()

    for line in text.splitlines():
        match = re.search(r" FDE .*pc=([0-9a-f]+)\.\.([0-9a-f]+)", line)
        if match or " CIE " in line:
            flush()
            end = int(match.group(2), 16) if match else None
            start = int(match.group(1), 16) if match else None
            continue
        words = re.sub(r"\b(r\d+) \(\w+\)", r"\1", line).split()
        if words[:2] == ["LOC", "CFA"]:
            columns = words[1:]
        elif end is not None and columns and re.fullmatch(r"[0-9a-f]{16}", words[0] if words else ""):
            va = int(words[0], 16)
            # The CIE's own row is shown once more where the FDE changes it at once.
            if rows and rows[-1][0] == va:
                rows.pop()
            if start <= va:
                rows.append((va, dict(zip(columns, words[1:]))))
    flush()
    return found


def main():
    printer, path, *debug = sys.argv[1:]
    lines = subprocess.run([printer, path, *debug[:1]], capture_output=True, text=True,
                           check=True).stdout.splitlines()
    ours = [(int(l.split()[0], 16), l.split()[1:]) for l in lines]
    starts = [va for va, _ in ours]
    bad, compared, plt, expressions = [], 0, 0, 0
    seen = set()
    for first, last, rules in rows_of_readelf(debug[1] if debug else path):
        for va in {first, last}:
            if va in seen:
                continue
            seen.add(va)
            at = bisect.bisect_right(starts, va) - 1
            if at < 0:
                bad.append((va, "none", rules))
                continue
            kind, reg, off, root, ra, *saved = ours[at][1]
            compared += 1
            cfa = rules["CFA"]
            if cfa == "exp":
                expressions += kind == "exp"
                plt += kind == "plt"
                good = kind in ("exp", "plt")
            elif any(re.fullmatch("v?exp|r.*|v.*", rules.get(r, "u")) for r in (*SAVED, "ra")):
                expressions += 1
                good = kind == "exp"
            else:
                match = re.fullmatch(r"(\w+)([+-]\d+)", cfa)
                good = kind == "reg" and NUMBERS[match.group(1)] == int(reg) and \
                    int(match.group(2)) == int(off)
                ra_rule = rules.get("ra", "u")
                good &= (root == "1") if ra_rule == "u" else ra_rule == "c%+d" % int(ra)
                for name, value in zip(SAVED, saved):
                    rule = rules.get(name, "u")
                    good &= rule in ("u", "s") if int(value) == SAME else rule == "c%+d" % int(value)
            if not good:
                bad.append((va, ours[at], rules))
    print("rows %d compared %d plt %d expressions %d" % (len(ours), compared, plt, expressions))
    for one in bad[:10]:
        print("differs at %x: %s, readelf %s" % one)
    sys.exit(bool(bad) or not compared)


main()
