#!/usr/bin/env python3
# What gojitter sym --build-id says of stacks the kernel took, against the oracles' answers.
#
#   build-id.py raw STACKS BINARY BASE ANSWERS ORACLE...
#   build-id.py txt|json DUMP BINARY BASE ANSWERS ORACLE...
#
# STACKS are arrays of 32 struct bpf_stack_build_id, DUMP what bpftool printed, ANSWERS what
# `gojitter sym --build-id -f` printed of either. BASE is what the process' addresses are of, with
# frames that have no build id. ORACLE is a command that reads hexadecimal link-time addresses of
# BINARY and prints function and file:line of each, as `go tool addr2line` does. Frames in other
# files than BINARY are passed over.
import json
import re
import struct
import subprocess
import sys

DEPTH, FRAME = 32, 32
kind, path, binary, base, answers, *oracle = sys.argv[1:]


def arrays():
    if kind == "raw":
        data = open(path, "rb").read()
        return [data[at:at + DEPTH * FRAME] for at in range(0, len(data), DEPTH * FRAME)]
    if kind == "json":
        return [bytes(int(byte, 16) for byte in entry["value"])
                for entry in json.load(open(path)) if isinstance(entry["value"], list)]
    found = re.findall(r"value:\s((?:[0-9a-f]{2}\s+)+)", open(path).read())
    return [bytes.fromhex(" ".join(text.split())) for text in found]


def frames():
    """(label, status, offset or address, whether the first) of every array."""
    for array in arrays():
        for at in range(0, len(array), FRAME):
            status, build_id, value = struct.unpack_from("<i20sQ", array, at)
            if status == 0:
                break
            label = f"{build_id.hex()}+0x{value:x}" if status == 1 else f"0x{value:x}"
            yield label, status, value, at == 0


def segments():
    text = subprocess.run(["readelf", "-lW", binary], capture_output=True, text=True, check=True).stdout
    return [[int(word, 16) for word in line.split()[1:6]] for line in text.splitlines()
            if line.split()[:1] == ["LOAD"]]


def build_id():
    text = subprocess.run(["readelf", "-nW", binary], capture_output=True, text=True, check=True).stdout
    return (re.findall(r"Build ID: ([0-9a-f]+)", text) + [""])[0]


own, loads = build_id(), segments()


def address(label, status, value):
    """Link-time address in BINARY, None elsewhere and for what a walk by frame pointers took for one."""
    if status == 2:
        value -= int(base, 16)
        return value if any(va <= value < va + size for _, va, _, _, size in loads) else None
    if not own or not label.startswith(own):
        return None
    return next((value - off + va for off, va, _, size, _ in loads if off <= value < off + size), None)


lines = [line for line in open(answers).read().split("\n")]
labels, ours = [], []
for at in range(len(lines) - 2):
    if re.fullmatch(r"(?:[0-9a-f]+\+)?0x[0-9a-f]+", lines[at]):
        labels.append(lines[at])
        ours.append((lines[at + 1], lines[at + 2]))

wanted = list(frames())
if [frame[0] for frame in wanted] != labels:
    sys.exit(f"{len(labels)} frames are answered, {len(wanted)} were taken: "
             f"{[a for a in zip(labels, wanted) if a[0] != a[1][0]][:3]}")
asked = [(at, address(*frame[:3])) for at, frame in enumerate(wanted)]
asked = [(at, va - (not wanted[at][3])) for at, va in asked if va is not None]
if len(asked) < 20:
    sys.exit(f"only {len(asked)} of {len(wanted)} frames are in {binary}")
text = subprocess.run(oracle, input="".join(f"0x{va:x}\n" for _, va in asked), capture_output=True,
                      text=True, check=True).stdout.split("\n")
bad = 0
for number, (at, va) in enumerate(asked):
    # Go's linker marks assembly's own ABI; addr2line tells discriminators.
    want = (re.sub(r"\.abi0$", "", text[2 * number]), re.sub(r" \(discriminator \d+\)", "", text[2 * number + 1]))
    # Between functions' instructions and the next function go tool addr2line says ":-1".
    if ours[at] != want and not (want[1] in ("??:0", "??:?", ":-1") and ours[at][0] == want[0]):
        bad += 1
        if bad <= 10:
            print(f"{labels[at]} (0x{va:x}): {ours[at]} is not {want}")
print(f"{len(asked)} of {len(wanted)} frames in {binary}, {bad} differ")
sys.exit(bad > 0)
