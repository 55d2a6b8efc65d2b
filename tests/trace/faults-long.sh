#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The same for a minute, at more instants, killed more often.
GJ_FAULT_SECONDS=60 GJ_FAULT_KILLS=200 GJ_FAULT_INSTANTS=50 exec tests/trace/faults.sh
