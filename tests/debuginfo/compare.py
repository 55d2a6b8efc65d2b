#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Compares what stock tools say of a debug file with what they say of the
unstripped twin of the binary it was made for.

  tests/debuginfo/compare.py STRIPPED OUT TWIN CHECK...

CHECK is one of
  verify    llvm-dwarfdump --verify finds nothing
  symbols   nm: address, size and name of every function
  frames    llvm-symbolizer and addr2line on OUT, llvm-symbolizer on TWIN: every
            frame at each function's entry and at random addresses
  unwind    readelf: where .debug_frame says the caller is, at each instruction
  gdb       in gdb: symbol, function, inlined calls and line, as for frames

Differences that are known are evened out as in tests/sym/oracle.py, each under
the name docs/symbols.md or docs/debuginfo.md explains it by. Exit status 1 and
the first differing addresses when anything else differs.
"""
import bisect
import json
import os
import random
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../sym"))
import oracle  # noqa: E402

RANDOM_CNT = int(os.environ.get("GJ_RANDOM", "1000"))
SHOWN = 8


def check_verify(stripped, out, twin):
    done = subprocess.run(["llvm-dwarfdump", "--verify", out], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, errors="surrogateescape", check=False)
    lines = done.stdout.split("\n")
    bad = [line for line in lines if re.search("error:|warning:", line)]
    if done.returncode or "No errors." not in lines:
        bad.append("llvm-dwarfdump --verify: exit status %d" % done.returncode)
    return bad


def functions(path):
    """{address: {(size, name)}} of the sized function symbols."""
    found = {}
    for line in oracle.run(["nm", "-S", path]):
        match = re.match(r"([0-9a-f]{16}) ([0-9a-f]{16}) [tTwW] (.*)", line)
        if match:
            found.setdefault(int(match.group(1), 16), set()).add(
                (int(match.group(2), 16), match.group(3)))
    return found


def plain(name, minor):
    """abi0, escapes, short generics: as in oracle.check_nm."""
    name = oracle.spelling(re.sub(r"\.abi0$|\.abiinternal$", "", name)).replace("\u00b7", ".")
    return re.sub(r"\[.*\]", "[...]", name) if 18 <= minor <= 20 else name


def check_symbols(stripped, out, twin):
    minor = oracle.go_minor(twin)
    ours, theirs = functions(out), functions(twin)
    kept = set(functions(stripped))
    bad = []
    for address, symbols in ours.items():
        for size, name in symbols:
            wanted = {(s, plain(n, minor)) for s, n in theirs.get(address, ())}
            # markers: these two have no code of their own
            if name in ("go:textfipsstart", "go:textfipsend"):
                wanted = {(size, n) for _, n in wanted}
            if (size, plain(name, minor)) not in wanted:
                bad.append("symbol %x: %d %s, not %s" % (address, size, name, wanted))
    for address, symbols in theirs.items():
        names = [name for _, name in symbols if "." in name and
                 not name.endswith((".cold", ".part.0", ".constprop.0", ".isra.0"))]
        if names and address not in ours:
            bad.append("symbol %x: %s is not there" % (address, names))
    if len(ours) < 500 or not kept.issubset(ours):
        bad.append("symbols: %d, and %s are lost" % (len(ours), kept - set(ours)))
    return bad


def addresses_of(out, cnt):
    entries = sorted(functions(out))
    random.seed(len(entries))
    return entries + [random.randrange(entries[0], entries[-1]) for _ in range(cnt)]


def llvm_frames(path, addresses):
    lines = oracle.run(["llvm-symbolizer", "--obj=" + path, "--inlines", "--addresses",
                        "--output-style=GNU"], ["0x%x" % a for a in addresses])
    return oracle.frames_by_address(lines, False)


def gnu_frames(path, addresses):
    lines = oracle.run(["addr2line", "-a", "-f", "-i", "-e", path], ["%x" % a for a in addresses])
    # no line: '?' where llvm-symbolizer prints 0
    return [[(name, re.sub(r":\?$", ":0", re.sub(r" \(discriminator.*", "", place)))
             for name, place in answer] for answer in oracle.frames_by_address(lines, True)]


def check_frames(stripped, out, twin):
    addresses = addresses_of(out, 5 * RANDOM_CNT)
    theirs = llvm_frames(twin, addresses)
    bad = []
    for tool, ours in (("llvm-symbolizer", llvm_frames(out, addresses)),
                       ("addr2line", gnu_frames(out, addresses))):
        if len(ours) != len(addresses) or len(theirs) != len(addresses):
            bad.append("%s: %d and %d answers" % (tool, len(ours), len(theirs)))
        if sum(len(answer) > 1 for answer in ours) < len(addresses) // 20:
            bad.append("%s: hardly any address has inlined frames" % tool)
        bad += ["%s %x: %s, not %s" % (tool, a, o, t) for a, o, t in
                differing(addresses, ours, theirs, out, twin)]
    return bad


def differing(addresses, ours, theirs, out, twin):
    """The answers that differ; see oracle.check_inlines."""
    minor = oracle.go_minor(twin)
    # abi0: a binary that still has its symbols keeps their names
    ours = [[(re.sub(r"\.abi0$", "", name), place) for name, place in answer] for answer in ours]
    # cgo lines: up to 1.19 here
    if minor <= 19:
        ours, theirs = ([oracle.cgo_lines(answer) for answer in answers]
                        for answers in (ours, theirs))
    ranges = sorted((start, start + max(size for size, _ in symbols))
                    for start, symbols in functions(out).items())
    bad = [(a, o, [oracle.dwarf_frame(frame) for frame in t])
           for a, o, t in zip(addresses, ours, theirs)
           if not oracle.same_frames(o, t, minor) and
           not (o[0][0] == "??" and not in_function(ranges, a))]
    # jump padding
    go = oracle.ask_go(twin, [a for a, _, _ in bad])
    return [(a, o, t) for (a, o, t), answer in zip(bad, go)
            if not ([n for n, _ in o] == [n for n, _ in t] and o[1:] == t[1:] and
                    answer == (o[-1][0], o[0][1]))]


def in_function(ranges, address):
    """C code: the debug file of a stripped binary knows none of it."""
    at = bisect.bisect_right(ranges, (address, 1 << 64)) - 1
    return at >= 0 and address < ranges[at][1]


def call_frames(path):
    """{(start, end): [(address, CFA, return address)]} of .debug_frame, equal rows once."""
    found, rows, columns, in_section = {}, None, [], False
    # A debug file names no program interpreter; readelf ends with status 1 for any of them.
    dump = subprocess.run(["readelf", "--debug-dump=frames-interp", path], check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          errors="surrogateescape").stdout
    for line in dump.split("\n"):
        words = line.split()
        match = re.search(r" FDE .*pc=([0-9a-f]+)\.\.([0-9a-f]+)$", line)
        if line.startswith("Contents of"):
            in_section = "debug_frame" in line
        elif match and in_section:
            rows = found.setdefault((int(match.group(1), 16), int(match.group(2), 16)), [])
        elif words[:1] == ["LOC"]:
            columns = words
        elif rows is not None and re.match("[0-9a-f]{16} ", line):
            rule = (words[1], words[columns.index("ra")])
            if not rows or rows[-1][1:] != rule:
                rows.append((int(words[0], 16),) + rule)
        elif not words:
            rows = None
    return found


def check_unwind(stripped, out, twin):
    ours, theirs = call_frames(out), call_frames(twin)
    bad = [] if len(ours) > 500 else ["unwind: only %d functions" % len(ours)]
    for (start, end), rows in ours.items():
        wanted = theirs.get((start, end))
        # first functions: that nothing called them Go's DWARF says in 1.15 only, the tables
        # from 1.17 on
        if wanted and "u" in (rows[0][2], wanted[0][2]):
            rows = [row[:2] for row in rows]
            wanted = [row[:2] for row in wanted]
        if rows != wanted:
            bad.append("unwind %x: %s, not %s" % (start, rows, wanted))
    lost = [start for start, end in theirs if (start, end) not in ours]
    return bad + ["unwind %x: not there" % start for start in lost]


def gdb_answers(args, addresses):
    with tempfile.NamedTemporaryFile("w", suffix=".addresses") as asked:
        asked.writelines("%x\n" % a for a in addresses)
        asked.flush()
        done = subprocess.run(["gdb", "-nx", "-q", "-batch", "-iex", "set auto-load no",
                               "-iex", "set print demangle off"] + args +
                              ["-x", os.path.join(HERE, "gdb_dump.py")],
                              env=dict(os.environ, GJ_ADDRESSES=asked.name, LC_ALL="C.UTF-8"),
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              errors="surrogateescape", check=False)
    answers = [json.loads(line) for line in done.stdout.split("\n") if line.startswith("[")]
    if done.returncode or len(answers) != len(addresses):
        raise SystemExit("gdb: %d answers to %d addresses: %s" %
                         (len(answers), len(addresses), done.stderr[-2000:]))
    return answers


def gdb_names(answer, minor):
    symbol, _, offset = answer[0].partition(" + ")
    return [plain(symbol, minor), offset] + [plain(name, minor) for name in answer[1]]


def check_gdb(stripped, out, twin):
    minor = oracle.go_minor(twin)
    addresses = addresses_of(out, RANDOM_CNT)
    ours = gdb_answers(["-e", stripped, "-s", out], addresses)
    theirs = gdb_answers([twin], addresses)
    bad, lines = [], []
    for address, o, t in zip(addresses, ours, theirs):
        # markers: functions without code are none in DWARF. wrappers: as in oracle.same_frames
        if re.match("go:textfips", o[0]) or \
                (minor < 21 and o[4] == 1 and o[0] == t[0] and o[1][-1:] == t[1]):
            continue
        # C code: of some functions the stripped binary still has the symbol, of none the lines;
        # gdb counts static ones from the markers around Go's code, or finds no symbol
        if not o[1] and ("." not in re.sub(r"\.(cold|part\.\d+)", "", t[0]) or not t[1] and
                         re.match(r"No symbol matches|runtime\.e?text( \+ \d+)?$", t[0])):
            continue
        if gdb_names(o, minor) != gdb_names(t, minor):
            bad.append("gdb %x: %s, not %s" % (address, o, t))
        # declarations: before 1.20 the tables do not say them; DWARF does not always
        elif minor >= 20 and t[4] and o[4] != t[4]:
            bad.append("gdb %x: declared at %s, not %s" % (address, o[4], t[4]))
        # nowhere: as in oracle.same_frames
        elif o[2:4] != t[2:4] and not (o[2:4] == ["<autogenerated>", 1] and not t[3]):
            lines.append((address, o, t))
    # statements: gdb prefers rows marked as such, and .gopclntab does not know which are
    asked = [address for address, _, _ in lines]
    for (address, o, t), frames, go in zip(lines, llvm_frames(twin, asked),
                                           oracle.ask_go(twin, asked)):
        # jump padding: as in oracle.check_inlines
        if "%s:%d" % tuple(o[2:4]) not in (oracle.dwarf_frame(frames[0])[1], go[1]):
            bad.append("gdb %x: %s, not %s" % (address, o, t))
    if len(lines) > len(addresses) // 5:
        bad.append("gdb: %d of %d lines are others" % (len(lines), len(addresses)))
    return bad


CHECKS = {"verify": check_verify, "symbols": check_symbols, "frames": check_frames,
          "unwind": check_unwind, "gdb": check_gdb}


def main():
    stripped, out, twin = sys.argv[1:4]
    bad = []
    for check in sys.argv[4:]:
        bad += CHECKS[check](stripped, out, twin)
    for line in bad[:SHOWN]:
        print(line)
    if len(bad) > SHOWN:
        print("... %d more" % (len(bad) - SHOWN))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
