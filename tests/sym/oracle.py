#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Compares what `gojitter sym` says of one binary with what others say.

  tests/sym/oracle.py BINARY CHECK... [--twin BINARY]

CHECK is one of
  entries   every function's entry           go tool addr2line
  returns   the address after every call     go tool addr2line (go tool objdump finds them)
  random    1,000 random addresses           go tool addr2line
  nm        names and entries of --list      go tool nm
  inlines   random addresses, every frame    llvm-symbolizer --inlines
  info      --info                           go version, go tool buildid, readelf
  twin      everything, byte for byte        gojitter sym on the twin

The twin is an unstripped build with the same text; where it is given, Go's
tools and llvm-symbolizer are asked about it. Known differences are evened out
below, each under the name docs/symbols.md explains it by. Exit status 1 and
the first differing addresses when anything else differs.
"""
import bisect
import os
import random
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
GOJITTER = os.path.join(os.environ.get("O", "build"), "gojitter")
RANDOM_CNT = int(os.environ.get("GJ_RANDOM", "1000"))
SHOWN = 8


def run(args, lines=None):
    text = None if lines is None else "".join(line + "\n" for line in lines)
    done = subprocess.run(args, input=text, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          universal_newlines=True, errors="surrogateescape", check=False)
    if done.returncode:
        raise SystemExit("%s: exit status %d: %s" % (args, done.returncode, done.stderr))
    return done.stdout.split("\n")[:-1]


def go_tool(name):
    return run([os.path.join(HERE, "../fixtures/gotool.sh"), name])[0]


def newest_go():
    """The go command of the newest release of the matrix."""
    toolchains = os.path.join(HERE, "../toolchains.sh")
    version = run([toolchains, "--list"])[-1]
    return run([toolchains, version])[0].split()[1] + "/bin/go"


def functions(binary):
    """[(start, end, name, line)] as --list gives them."""
    rows = []
    for line in run([GOJITTER, "sym", "-e", binary, "--list"]):
        start, end, name, place = line.split("\t")
        rows.append((int(start, 16), int(end, 16), name, place))
    return rows


def go_minor(binary):
    """24 for go1.24.4. A plugin does not say: its file names do."""
    info = "\n".join(run([GOJITTER, "sym", "-e", binary, "--info"]))
    match = re.search(r"go_version: go1\.(\d+)", info) or \
        re.search(r"/fixtures/1\.(\d+)-", binary)
    return int(match.group(1))


def pairs(lines):
    return list(zip(lines[0::2], lines[1::2]))


def spelling(name):
    """escapes: Go's tools print import paths as the linker escaped them."""
    return re.sub("%([0-9a-f]{2})", lambda m: chr(int(m.group(1), 16)), name)


def hashed(name):
    """hashed types: in plugins ELF symbols of types are shortened, names are not."""
    return "type hash" if re.match(r"type[:.]\.(?!eq\.|hash)", name) else name


def is_hashed(name, theirs):
    return "type hash" in theirs and re.match(r"type[:.]\.eq\.", name)


def go_answer(name, place):
    # unknown: '?' for '??'; padding: no row of the line table covers it
    if name == "?":
        return ("??", "??:0")
    return (spelling(name), "??:0" if place in (":-1", "?:0") else place)


def differ(what, addresses, ours, theirs):
    if len(ours) != len(addresses) or len(theirs) != len(addresses):
        return ["%s: %d addresses, %d answers of ours, %d of theirs"
                % (what, len(addresses), len(ours), len(theirs))]
    return ["%s %x: %s, not %s" % (what, a, o, t)
            for a, o, t in zip(addresses, ours, theirs) if o != t]


def elf_names(oracle):
    """{address: names} of what nm shows, and the addresses in order."""
    names = {}
    for line in run(["nm", oracle]):
        match = re.match(r"([0-9a-f]+) [tTwWiV] (.*)", line)
        if match:
            names.setdefault(int(match.group(1), 16), set()).add(match.group(2))
    return names, sorted(names)


def is_c_code(elf, address, ours, theirs):
    """C code: Go's tools know no C function, we name it from the ELF symbols."""
    names, starts = elf
    at = bisect.bisect_right(starts, address) - 1
    return theirs == ("??", "??:0") and ours[1] == "??:0" and at >= 0 and \
        ours[0] in names[starts[at]]


def ask_go(oracle, addresses):
    asked = ["%x" % a for a in addresses]
    return [go_answer(*p) for p in pairs(run([go_tool("addr2line"), oracle], asked))]


def compare_lines(what, binary, oracle, addresses):
    asked = ["%x" % a for a in addresses]
    ours = pairs(run([GOJITTER, "sym", "-f", "-e", binary], asked))
    theirs = ask_go(oracle, addresses)
    if any(t[0] == "??" != o[0] for o, t in zip(ours, theirs)):
        elf = elf_names(oracle)
        theirs = [o if is_c_code(elf, a, o, t) else t
                  for a, o, t in zip(addresses, ours, theirs)]
    # no tables: Go's tools decode whatever lies at offset 0
    theirs = [(name, "??:0") if re.match(r"go[.:](link\.addmoduledata|textfips)", name)
              else (name, place) for name, place in theirs]
    return differ(what, addresses, ours, theirs)


def random_addresses(rows, cnt):
    random.seed(len(rows))
    return [random.randrange(rows[0][0], rows[-1][1]) for _ in range(cnt)]


def check_entries(binary, oracle, rows):
    return compare_lines("entry", binary, oracle, [row[0] for row in rows])


def check_random(binary, oracle, rows):
    return compare_lines("random", binary, oracle, random_addresses(rows, RANDOM_CNT))


def check_returns(binary, oracle, rows):
    addresses = []
    after_call = False
    objdump = subprocess.Popen([go_tool("objdump"), oracle], stdout=subprocess.PIPE,
                               universal_newlines=True, errors="surrogateescape")
    for line in objdump.stdout:
        match = re.match(r"  \S+\s+0x([0-9a-f]+)\s", line)
        if match and after_call:
            addresses.append(int(match.group(1), 16))
        after_call = match and "CALL" in line
    objdump.wait()
    if len(addresses) < 1000:
        return ["returns: go tool objdump shows only %d calls" % len(addresses)]
    return compare_lines("return", binary, oracle, addresses)


def check_nm(binary, oracle, rows):
    """Each function is a text symbol of the same name, and the other way round."""
    shape = re.compile(r"\[.*\]")
    minor = go_minor(oracle)
    symbols = {}
    for line in run([go_tool("nm"), oracle]):
        match = re.match(r" *([0-9a-f]+) ([tT]) (.*)", line)
        if match:
            # abi0: the suffix stands in ELF symbols only
            name = re.sub(r"\.abi0$|\.abiinternal$", "", spelling(match.group(3)))
            if name.startswith("local."):
                name = name[len("local."):]
            # short generics: 1.18 to 1.20 keep only '[...]' in .gopclntab
            if 18 <= minor <= 20:
                name = shape.sub("[...]", name)
            name = hashed(name)
            symbols.setdefault(int(match.group(1), 16), set()).add(name.replace("\u00b7", "."))
    bad = []
    for start, _, name, _ in rows:
        if is_hashed(name, symbols.get(start, ())):
            continue
        if name.replace("\u00b7", ".") not in symbols.get(start, ()):
            bad.append("nm %x: %s, not %s" % (start, name, symbols.get(start)))
    ours = {row[0] for row in rows}
    for start, names in symbols.items():
        # markers: ends of the text, with no code of their own; C code is no function of Go's
        go_names = [n for n in names if "." in n and not n.startswith("runtime.etext")
                    and not n.startswith("runtime.text") and not n.endswith((".cold", ".part.0"))]
        if start not in ours and go_names and rows[0][0] <= start < rows[-1][1]:
            bad.append("nm %x: %s is no function of ours" % (start, go_names))
    return bad


def frames_by_address(lines, strict):
    answers = []
    for line in lines:
        if re.match("0x[0-9a-f]+$", line):
            answers.append([])
        elif line or strict:
            answers[-1].append(line)
    return [pairs(answer) for answer in answers]


def dwarf_frame(frame):
    name, place = frame
    # abi0, escapes, and the middle dot, which DWARF writes as a dot
    name = hashed(re.sub(r"\.abi0$", "", spelling(name)).replace("\u00b7", "."))
    place = re.sub(r" \(discriminator.*", "", place)
    # relative: DWARF puts the compilation directory '.' before names that are no paths
    return (name, re.sub(r"^(\./)+", "", place))


def cgo_lines(frames):
    """cgo lines: Go 1.15's DWARF gives calls inlined in a file that cgo rewrote the
    line they have in the rewritten file."""
    return [frames[0]] + [(name, re.sub(r"(/cgo\.go):\d+$", r"\1", place))
                          for name, place in frames[1:]]


def same_frames(ours, theirs, minor):
    if ours and ours[-1][1] == "??:0":
        return True  # padding: DWARF has no function there at all
    ours = [(name.replace("\u00b7", "."), place) for name, place in ours]
    theirs = [dwarf_frame(frame) for frame in theirs]
    if len(ours) == len(theirs):
        # nowhere: DWARF 5 gives generated code no file or the package's
        theirs = [(name, o[1] if o[1] == "<autogenerated>:1" and
                   place in ("??:0", "go.go:0") else place)
                  for o, (name, place) in zip(ours, theirs)]
        # package init: the tables give calls inlined into initializers no place of their own
        theirs = theirs[:1] + [(name, o[1] if o == (name, "<autogenerated>:1") and
                                name.endswith(".init") else place)
                               for o, (name, place) in zip(ours[1:], theirs[1:])]
        theirs = [(o[0] if is_hashed(o[0], {name}) else name, place)
                  for o, (name, place) in zip(ours, theirs)]
    # short generics, both sides: 1.18 to 1.20
    if any("[...]" in frame[0] for frame in ours):
        theirs = [(re.sub(r"\[.*\]", "[...]", name), place) for name, place in theirs]
    if minor <= 15:
        ours, theirs = cgo_lines(ours), cgo_lines(theirs)
    if ours == theirs:
        return True
    # wrappers: before 1.21 DWARF says nothing of calls inlined into generated methods
    return (minor < 21 and len(theirs) == 1 and ours[-1] == (theirs[0][0], "<autogenerated>:1") and
            ours[0][1] == theirs[0][1])


def check_inlines(binary, oracle, rows):
    minor = go_minor(oracle)
    addresses = random_addresses(rows, 5 * RANDOM_CNT)
    asked = ["0x%x" % a for a in addresses]
    ours = frames_by_address(run([GOJITTER, "sym", "-a", "-f", "-i", "-e", binary], asked), True)
    theirs = frames_by_address(run(["llvm-symbolizer", "--obj=" + oracle, "--inlines",
                                    "--addresses", "--output-style=GNU"], asked), False)
    if len(ours) != len(addresses) or len(theirs) != len(addresses):
        return ["inlines: %d and %d answers" % (len(ours), len(theirs))]
    if sum(len(answer) > 1 for answer in ours) < len(addresses) // 20 and \
            "noinline" not in binary and "noopt" not in binary:
        return ["inlines: hardly any address has inlined frames"]
    bad = [(a, o, [dwarf_frame(frame) for frame in t])
           for a, o, t in zip(addresses, ours, theirs) if not same_frames(o, t, minor)]
    # jump padding: before 1.22 DWARF counts it to the instruction before it, .gopclntab and
    # Go's own tools to the jump behind it
    padding = set()
    go = ask_go(oracle, [a for a, _, _ in bad])
    for (address, o, t), answer in zip(bad, go):
        if [name for name, _ in o] == [name for name, _ in t] and o[1:] == t[1:] and \
                answer == (o[-1][0], o[0][1]):
            padding.add(address)
    if len(padding) * 1000 > len(addresses) or minor >= 22:
        padding = set()
    return ["inlines %x: %s, not %s" % (a, o, t) for a, o, t in bad if a not in padding]


def check_info(binary, oracle, rows):
    info = dict(line.split(": ", 1) for line in run([GOJITTER, "sym", "-e", binary, "--info"]))
    notes = "\n".join(run(["readelf", "-n", binary]))
    build_id = re.search(r"Build ID: (\w+)", notes)
    wanted = {
        "functions": str(len(rows)),
        "pie": "yes" if any("DYN" in line for line in run(["readelf", "-h", binary])) else "no",
        "build_id": build_id.group(1) if build_id else "none",
        "go_build_id": run([go_tool("buildid"), binary])[0] or "none",
        "cgo": "yes" if any(name == "crosscall2" for _, _, name, _ in rows) else "no",
    }
    version = run([newest_go(), "version", binary])
    if version:  # go version finds none in old plugins
        wanted["go_version"] = version[0].split(": ")[1]
    return ["info %s: %s, not %s" % (key, info.get(key), value)
            for key, value in wanted.items() if info.get(key) != value]


def check_twin(binary, oracle, rows):
    asked = ["%x" % a for a in random_addresses(rows, 20 * RANDOM_CNT)]
    bad = []
    for args, lines in ((["--list"], None), (["-a", "-f", "-i"], asked), (["-j"], asked)):
        ours = run([GOJITTER, "sym", "-e", binary] + args, lines)
        theirs = run([GOJITTER, "sym", "-e", oracle] + args, lines)
        bad += ["twin: '%s', not '%s'" % (o, t) for o, t in zip(ours, theirs) if o != t]
        if len(ours) != len(theirs):
            bad.append("twin: %d lines, not %d" % (len(ours), len(theirs)))
    return bad


CHECKS = {"entries": check_entries, "returns": check_returns, "random": check_random,
          "nm": check_nm, "inlines": check_inlines, "info": check_info,
          "twin": check_twin}


def main():
    args = sys.argv[1:]
    oracle = None
    if "--twin" in args:
        at = args.index("--twin")
        oracle = args[at + 1]
        del args[at:at + 2]
    binary, checks = args[0], args[1:]
    rows = functions(binary)
    bad = [] if len(rows) > 500 else ["only %d functions" % len(rows)]
    for check in checks:
        bad += CHECKS[check](binary, oracle or binary, rows)
    for line in bad[:SHOWN]:
        print(line)
    if len(bad) > SHOWN:
        print("... %d more" % (len(bad) - SHOWN))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
