#!/usr/bin/env python3
# Call chains of one recording as two readers give them.
#
#   compare.py same JSON TEXT [--page]   a session's JSON of the recording against stock perf
#                                        script's TEXT of the copy: every address of every sample.
#                                        --page: perf 6.1 prints offsets in the file; then the
#                                        last three digits count
#   compare.py truth STOCK TEXT LEAST    perf 7.3's own unwinding of the recording against its
#                                        TEXT of the copy: where the first ends at
#                                        runtime.goexit both agree, in LEAST samples or more, of
#                                        which one in a hundred may be cut
#
#   compare.py hotspot STREAM TEXT       what hotspot's parser makes of the copy: every chain of
#                                        TEXT, by each address' last three digits
#
# TEXT is perf script --no-inline --ns --max-stack 1024 -F tid,time,ip,sym.
import json
import re
import struct
import sys
from collections import Counter

RECORD = re.compile(r"^ *(-?\d+) +(\d+)\.(\d{9}):")
FRAME = re.compile(r"^\s+([0-9a-f]+) (.*)$")
KERNEL = 1 << 63


def read_text(path):
    """[(tid, time in ns, [(address, symbol)])] of samples that have a chain."""
    records = []
    for line in open(path, errors="replace"):
        record = RECORD.match(line)
        if record:
            records.append((int(record[1]), int(record[2] + record[3]), []))
        elif records and (frame := FRAME.match(line)):
            records[-1][2].append((int(frame[1], 16), frame[2]))
    return [record for record in records if record[2]]


def read_json(path):
    records = []
    for line in open(path):
        record = json.loads(line)
        ips = [int(frame["ip"], 16) for frame in record["frames"] if not frame["inlined"]]
        records.append((record["tid"], record["time_ns"], ips))
    return records


def same(json_path, text_path, mask):
    ours, theirs = read_json(json_path), read_text(text_path)
    bad = 0
    # Events at one time come in the same order, those without a chain are not in TEXT.
    at = 0
    for tid, time, frames in theirs:
        while at < len(ours) and ours[at][:2] != (tid & 0xffffffff, time):
            at += 1
        if at == len(ours):
            sys.exit(f"no sample of thread {tid} at {time} among {len(ours)}")
        want = [ip & mask for ip in ours[at][2]]
        got = [ip & mask for ip, _ in frames]
        at += 1
        if want != got:
            bad += 1
            print(f"{tid} {time}: {[hex(ip) for ip in got]} are not {[hex(ip) for ip in want]}")
    print(f"{len(theirs)} chains, {bad} differ")
    return bad or len(theirs) < 10


def user(frames):
    return [frame for frame in frames if frame[0] < KERNEL]


def truth(stock_path, text_path, least):
    """libdw gives the address of the call, the copy where it returns to."""
    theirs = {record[:2]: user(record[2]) for record in read_text(stock_path)}
    compared = bad = short = 0
    for tid, time, frames in read_text(text_path):
        want = theirs.get((tid, time))
        if not want or not want[-1][1].startswith("runtime.goexit"):
            continue
        got = user(frames)
        compared += 1
        addresses = [ip - (i > 0) for i, (ip, _) in enumerate(got)]
        wanted = [ip for ip, _ in want]
        # Cut where the stack changes, when what leads on is just being written.
        if addresses != wanted and addresses == wanted[:len(addresses)]:
            short += 1
        elif addresses != wanted:
            bad += 1
            print(f"{tid} {time}: {[name for _, name in got]} are not {[name for _, name in want]}")
    print(f"{compared} whole chains of perf's own, {bad} differ, {short} are cut")
    return bad or short * 100 > compared or compared < least


def hotspot(stream_path, text_path):
    """
    "QPERFSTREAM", NUL, u32 version of QDataStream, then messages: u32 size, u8 type, body; all
    big-endian but the size (hotspot, perfparser/app/perfunwind.cpp). A location is u32 id, u64
    address, more; a sample u32 pid, u32 tid, u64 time, u32 cpu, u32 frames, location ids, more.
    """
    stream = open(stream_path, "rb").read()
    if stream[:11] != b"QPERFSTREAM":
        sys.exit("no stream of hotspot's")
    got, locations, at = Counter(), {}, 16
    while at + 4 <= len(stream):
        size, = struct.unpack_from("<I", stream, at)
        body = stream[at + 5:at + 4 + size]
        at += 4 + size
        if stream[at - size] == 3:
            number, address = struct.unpack_from(">iQ", body)
            locations[number] = address
        if stream[at - size] != 13:
            continue
        _, tid, time, _, cnt = struct.unpack_from(">IIQII", body)
        ips = [locations[number] for number in struct.unpack_from(f">{cnt}i", body, 24)]
        # Where a user part begins elsewhere than at the sample's address hotspot puts that in.
        first = next((i for i, ip in enumerate(ips) if ip < KERNEL), 0)
        if first > 1 and ips[first - 1] == ips[0]:
            del ips[first - 1]
        got[tid, time, tuple(ip & 0xfff for ip in ips)] += 1
    want = Counter((tid, time, tuple(ip & 0xfff for ip, _ in frames))
                   for tid, time, frames in read_text(text_path))
    print(f"{sum(want.values())} chains, {sum((want - got).values())} missing")
    for sample in list(want - got)[:10] + list(got - want)[:10]:
        print(sample)
    return want != got or len(want) < 10


if sys.argv[1] == "hotspot":
    sys.exit(1 if hotspot(sys.argv[2], sys.argv[3]) else 0)
if sys.argv[1] == "same":
    sys.exit(1 if same(sys.argv[2], sys.argv[3], 0xfff if "--page" in sys.argv else -1) else 0)
sys.exit(1 if truth(sys.argv[2], sys.argv[3], int(sys.argv[4])) else 0)
