# SPDX-License-Identifier: GPL-2.0
"""What `go tool pprof -raw` and tests/pprof/dump.c say of a profile, in one form.

  raw.py same RAW DUMP            both files say the same of every sample
  raw.py leaves RAW PERFSCRIPT    weights by leaf address are those perf script prints
                                  (-G -F ip,period)
"""
import re
import sys
from collections import Counter

LOCATION = re.compile(r"^\s*(\d+): (0x[0-9a-f]+) (?:M=\d+ )?(\[F\] )?(.*)$")
LINE = re.compile(r"^(.*?) (\S*?):(\d+)(?::\d+)? s=(\d+)$")


def read_raw(path):
    """(types, {(labels, stack): [values]}, mappings) of pprof's -raw."""
    section, types, samples, locations, mappings, last = "", "", [], {}, [], None
    for text in open(path):
        text = text.rstrip("\n")
        if text in ("Samples:", "Locations", "Mappings"):
            section = text
        elif section == "Samples:" and not types:
            types = text.replace("[dflt]", "").strip()
        elif section == "Samples:":
            values, colon, ids = text.partition(":")
            if re.match(r"^\s*[-\d\s]+$", values) and colon:
                samples.append(([int(v) for v in values.split()], "", ids.split()))
            else:
                # Labels: text on one line, numbers on another.
                v, labels, i = samples[-1]
                samples[-1] = (v, labels + " " + text.strip(), i)
        elif section == "Locations":
            found = LOCATION.match(text)
            if found:
                last = locations[found[1]] = [found[2]]
                text = found[4]
            line = LINE.match(text.strip())
            if line:
                last.append(f"{line[1]} {line[2]}:{line[3]} s={line[4]}")
        elif section == "Mappings":
            mappings.append(" ".join(text.split()[1:3]))
    together = {}
    for values, labels, ids in samples:
        # A unit that the tool guessed stands behind a number.
        labels = "".join(sorted(re.findall(r"\S+?:\[[^]]*\]", labels)))
        add(together, (labels, ";".join(" ".join(locations[i]) for i in ids)), values)
    return types, together, mappings


def read_dump(path):
    lines = open(path).read().splitlines()
    together, mappings = {}, []
    for text in lines[2:]:
        if text.startswith("mapping "):
            mappings.append(" ".join(text.split()[1:3]))
            continue
        values, labels, stack = text.split("|", 2)
        labels = "".join(sorted(re.findall(r"\S+?:\[[^]]*\]", labels)))
        add(together, (labels, stack.rstrip(";")), [int(v) for v in values.split()])
    return lines[0], together, mappings


def add(together, key, values):
    if any(values):
        old = together.get(key, [0] * len(values))
        together[key] = [a + b for a, b in zip(old, values)]


def same(raw, dump):
    (types, theirs, their_maps), (our_types, ours, our_maps) = read_raw(raw), read_dump(dump)
    bad = 0
    if types != our_types or not set(their_maps) <= set(our_maps):
        print("types or mappings differ:", types, our_types, their_maps, our_maps)
        bad += 1
    for key in sorted(set(theirs) | set(ours)):
        if theirs.get(key) != ours.get(key):
            bad += 1
            if bad < 5:
                print(f"pprof {theirs.get(key)}, ours {ours.get(key)}: {key}")
    print(f"{len(theirs)} stacks, {bad} differences")
    return bad == 0 and len(theirs) > 0


def leaves(raw, script):
    _, samples, _ = read_raw(raw)
    ours, perfs = Counter(), Counter()
    weights = Counter()
    for (_, stack), values in samples.items():
        leaf = stack.split(" ")[0].split(";")[0]
        ours[leaf] += values[0]
        weights[leaf] += values[1]
    perf_weights = Counter()
    for text in open(script):
        words = text.split()
        if len(words) == 2:
            address = hex(int(words[1], 16))
            perfs[address] += 1
            perf_weights[address] += int(words[0])
    print(f"{sum(ours.values())} samples, {len(ours)} addresses")
    wrong = [a for a in set(ours) | set(perfs) if ours[a] != perfs[a] or weights[a] != perf_weights[a]]
    for a in wrong[:5]:
        print(a, ours[a], perfs[a], weights[a], perf_weights[a])
    return not wrong and sum(ours.values()) > 100


if __name__ == "__main__":
    sys.exit(0 if {"same": same, "leaves": leaves}[sys.argv[1]](sys.argv[2], sys.argv[3]) else 1)
