#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Checks the pprof labels in the stack records of tests/fixtures/labelled.

usage: labels.py PERF.DATA MINOR

Each goroutine bears its own number as a label, which the runtime told it.
Exit status 1 when a record's labels name another goroutine, or when fewer than
90 % of the records with a goroutine bear any.
"""
import sys

import records


def main():
    decode = records.label_map if int(sys.argv[2]) < 24 else records.label_list
    total = labelled = wrong = 0
    counts = set()
    for record in records.read(sys.argv[1]):
        if not record.goid:
            continue
        total += 1
        if not record.labels:
            continue
        labels = decode(record)
        labelled += 1
        counts.add(len(labels))
        wrong += labels.get("goid") != str(record.goid) or labels.get("long") != 100 * "x"
    print(f"{total} records with a goroutine, {labelled} with labels, {wrong} of them wrong; "
          f"labels: {sorted(counts)}")
    sys.exit(1 if wrong or labelled < 0.9 * total or counts != {2, 8} else 0)


main()
