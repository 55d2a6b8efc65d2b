"""python3 syscalls_c.py BINARY GO_MINOR: calls of C are no syscalls, and are counted as what they are."""

import sys

from rare import Run

with Run("syscalls", sys.argv[1]) as run:
    truth = run.truth
    calls = {key["nr"]: value for key, value in run.entries("syscalls")}
    run.equal("calls of C are counted exactly", calls["in_C"]["whole"]["count"], truth["calls"])
    run.check("with all the time that C slept", calls["in_C"]["kernel"]["sum_ns"] >= 0.95 * truth["calls"] * truth["nap_ns"],
              calls["in_C"]["kernel"]["sum_ns"])
    slept = [name for name in calls if "nanosleep" in name]
    run.equal("and not as C's syscalls", slept, [])
