# SPDX-License-Identifier: GPL-2.0
"""Checks `gojitter pprof --compare --json` by what pprof -raw says of both profiles.

  aligned.py JSON RAW RAW2 PERCENT
"""
import json
import re
import sys

sys.path.insert(0, "tests/pprof")
args = sys.argv[1:]
from raw import read_raw  # noqa: E402

RUNTIME = re.compile(r"^(runtime\.|runtime/internal/|internal/runtime/|internal/bytealg\.|internal/cpu\.)")


def go_frames(stack):
    """Function and line of Go's frames, root first, as docs/pprof.md says they are compared."""
    frames = []
    # Names may hold spaces and semicolons: "(*Pointer[go.shape.struct { a int; b int }]).Load".
    for location in reversed(re.split(r";(?=0x)", stack)):
        for name, file, line in reversed(re.findall(r" (.+?) (\S*):(\d+) s=\d+(?= |$)", location)):
            if not re.search(r"\.(go|s)$", file) or re.search(r"-fm$|\.(gowrap|deferwrap)\d+$", name):
                continue
            if not frames and name == "runtime.goexit":
                continue
            frames.append((name.replace("%2e", "."), line))
    if len(frames) > 1 and frames[-1][0] == "runtime.asyncPreempt":
        frames.pop()
    return tuple(frames)


def stacks(path):
    types, samples, _ = read_raw(path)
    weights = {}
    for (_, stack), values in samples.items():
        key = go_frames(stack)
        weights[key] = weights.get(key, 0) + values[1]
    return weights


ours, theirs = stacks(args[1]), stacks(args[2])
user = {key: weight for key, weight in ours.items() if any(not RUNTIME.match(name) for name, _ in key)}
total = sum(user.values())
exact = sum(weight for key, weight in user.items() if key in theirs)
said = json.load(open(args[0]))["pprof"]
print(f"{said['user_aligned_percent']:.2f} % of pprof's {total / 1e9:.2f} s in user code aligned, "
      f"{100 * exact / total:.2f} % exactly; by -raw exactly {exact}, we say {said['user_match']['exact']}")
if said["user"] != total:
    print(f"by -raw {total} in user code, we say {said['user']}")
good = said["user"] == total and said["user_match"]["exact"] == exact
sys.exit(0 if good and said["user_aligned_percent"] >= float(args[3]) and total > 1e9 else 1)
