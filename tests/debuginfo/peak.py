#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Runs a command and prints, as the last line, the most memory it had in bytes."""
import resource
import subprocess
import sys

status = subprocess.call(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)
sys.exit(status)
