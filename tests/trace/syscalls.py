"""python3 syscalls.py BINARY GO_MINOR: the map of feature syscalls against what the program did."""

import sys

from rare import Run

with Run("syscalls", sys.argv[1]) as run:
    truth = run.truth
    calls = {key["nr"]: value for key, value in run.entries("syscalls")}
    run.equal("getppid is counted exactly", calls["sys_getppid"]["whole"]["count"], truth["quick"])
    for name, value in calls.items():
        run.equal("each %s has its time in the kernel" % name, value["kernel"]["count"], value["whole"]["count"])
        run.check("which is not more than the whole of %s" % name,
                  value["kernel"]["sum_ns"] <= value["whole"]["sum_ns"], value)
    naps = calls["sys_nanosleep"]
    run.check("naps are counted, and again when a signal ended one", naps["whole"]["count"] >= truth["naps"],
              naps["whole"]["count"])
    run.check("they last as long as asked, in the kernel",
              naps["kernel"]["sum_ns"] >= 0.95 * truth["naps"] * truth["long_ns"], naps["kernel"]["sum_ns"])
    run.check("behind one there was no P at least once", 1 <= naps["p_wait"]["count"] <= naps["whole"]["count"],
              naps["p_wait"])
    reads = calls["sys_read"]
    run.check("reads wait for the writer", reads["whole"]["sum_ns"] >= truth["pipes"] * truth["long_ns"] / 2,
              reads["whole"]["sum_ns"])
    run.check("writes are counted", calls["sys_write"]["whole"]["count"] >= truth["pipes"], calls["sys_write"])
    run.equal("nothing was in C", calls.get("in_C"), None)
    # The program was reading its standard input when it was hooked: one end without a beginning.
    lost = {key: value for key, value in run.entries("drops") if value}
    run.check("nothing but the call it was in is missing", lost in ({}, {2: 1}, {2: 2}), lost)
    print("# " + ", ".join("%s %d" % (name[4:], value["whole"]["count"]) for name, value in calls.items()),
          "| P waited for: %d, %.1f ms" % (sum(v["p_wait"]["count"] for v in calls.values()),
                                           sum(v["p_wait"]["sum_ns"] for v in calls.values()) / 1e6))
