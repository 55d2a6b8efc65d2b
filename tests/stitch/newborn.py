#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# newborn.py SAMPLES LEAST: of samples (format=json) in which the kernel says that a thread
# has just begun (ret_from_fork) there are LEAST or more, each with the function alone that
# it begins in.
import json
import sys

samples, least = open(sys.argv[1]), int(sys.argv[2])
cnt = more = 0
for line in samples:
    frames = json.loads(line)["frames"]
    kernel = [frame["func"] or "" for frame in frames if frame["kernel"]]
    user = [frame["func"] for frame in frames if not frame["kernel"]]
    if kernel and kernel[-1].startswith("ret_from_fork") and "runtime.clone" in user:
        cnt += 1
        more += user != ["runtime.clone"]
print(f"{cnt} samples of new threads, {more} with frames that are not theirs")
sys.exit(1 if more or cnt < least else 0)
