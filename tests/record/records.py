#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Reads the two-stack sampler's records behind perf.data by docs/abi.md alone.

As a module: read(path) gives a list of Record. As a program: prints one line of
totals, after checking that every record is well-formed.
"""
import collections
import struct
import sys

HEAD = struct.Struct("<IHHQIIII8Q5Q")
PART = struct.Struct("<QII")
GO, G_READ, KERNEL, SHORT = 1, 2, 4, 8
STACK, GOROUTINE, SYSTEM, RUNTIME, LABELS = range(5)
Record = collections.namedtuple(
    "Record",
    "bytes part_cnt flags time_ns pid tid cpu reserved "
    "ip sp bp bx r12 r13 r14 r15 g m curg goid labels parts")


def body_of(path):
    """The body of the trailer GJSTACK1: trailers stand one before the other at the end."""
    data = open(path, "rb").read()
    end = len(data)
    while end >= 16:
        size, magic = struct.unpack_from("<Q8s", data, end - 16)
        if magic not in (b"GJSTACK1", b"GJTRAIL1"):
            break
        start = end - 16 - size
        if magic == b"GJSTACK1":
            return data[start:end - 16]
        end = start
    return b""


def read(path):
    body, at, records = body_of(path), 0, []
    while at < len(body):
        head = HEAD.unpack_from(body, at)
        size, part_cnt = head[0], head[1]
        assert size % 8 == 0 and HEAD.size + part_cnt * PART.size <= size <= len(body) - at, head
        bytes_at, parts = at + HEAD.size + part_cnt * PART.size, []
        for i in range(part_cnt):
            va, cnt, kind = PART.unpack_from(body, at + HEAD.size + i * PART.size)
            parts.append((kind, va, body[bytes_at:bytes_at + cnt]))
            bytes_at += (cnt + 7) & ~7
        assert bytes_at == at + size, (head, bytes_at - at)
        records.append(Record(*head, parts))
        at += size
    return records


def peek(record, va, size=8):
    """Memory of the thread at @va; None when it was not recorded."""
    if not size:
        return b""
    for _, start, data in record.parts:
        if start <= va and va + size <= start + len(data):
            return data[va - start:va - start + size]
    return None


def word(record, va):
    data = peek(record, va)
    return int.from_bytes(data, "little") if data else None


def label_list(record):
    """pprof labels as Go 1.24 and later keep them: a slice of {key, value} strings."""
    labels = {}
    at, cnt = word(record, record.labels), word(record, record.labels + 8)
    for i in range(min(cnt or 0, 8)):
        key, value = (peek(record, word(record, at + 32 * i + off), word(record, at + 32 * i + off + 8))
                      for off in (0, 16))
        labels[key.decode()] = value.decode()
    return labels


def label_map(record):
    """As up to Go 1.23: a map of up to eight entries, one bucket."""
    labels = {}
    bucket = word(record, word(record, record.labels) + 16)
    for i in range(8):
        if peek(record, bucket + i, 1)[0] < 5:
            continue
        key, value = (peek(record, word(record, bucket + base + 16 * i), word(record, bucket + base + 16 * i + 8))
                      for base in (8, 136))
        labels[key.decode()] = value.decode()
    return labels


def main():
    records = read(sys.argv[1])
    kinds = collections.Counter(kind for record in records for kind, _, data in record.parts if data)
    size = sum(record.bytes for record in records)
    print(f"{len(records)} records, {size} bytes; "
          f"{sum(1 for r in records if r.flags & G_READ)} with g, "
          f"{sum(1 for r in records if r.goid)} with a goroutine, "
          f"{sum(1 for r in records if r.flags & KERNEL)} in the kernel, "
          f"{sum(1 for r in records if r.flags & SHORT)} short; parts {dict(sorted(kinds.items()))}")


if __name__ == "__main__":
    main()
