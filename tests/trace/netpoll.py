"""python3 netpoll.py BINARY GO_MINOR: the maps of feature netpoll against what the program did."""

import sys

from rare import Run

with Run("netpoll", sys.argv[1]) as run:
    truth = run.truth
    # Before the polls, which go on.
    (_, storm), = run.entries("netpoll_storm")
    kinds = {key["kind"]: value for key, value in run.entries("netpoll")}
    timed = kinds["timed"]
    # Every sleep of the only goroutine that runs ends in one, unless the system monitor polls just then.
    run.check("sleeps wait in netpoll", timed["calls"] >= truth["sleeps"] / 2, (timed["calls"], truth))
    run.check("for as long as they sleep", timed["inside"]["sum_ns"] >= truth["slept_ns"] / 4,
              (timed["inside"]["sum_ns"], truth))
    run.equal("delays are those of timed calls", timed["delay"]["count"], timed["calls"])
    events = sum(value["events"] for value in kinds.values())
    run.check("what was written came through it", events >= truth["writes"] / 2, (events, truth))
    for name, value in kinds.items():
        run.check("calls of %s end, but for those of two threads that may be at it" % name,
                  0 <= value["calls"] - value["inside"]["count"] <= 2,
                  (value["calls"], value["inside"]["count"]))
        run.check("empty ones of %s are not more" % name, value["empty"] <= value["inside"]["count"], value["empty"])
    idle = kinds["non_blocking"]
    seconds = truth["all_ns"] / 1e9
    run.check("polls for nothing by the second are no more than all", storm["max_empty_cnt"] <= idle["empty"], storm)
    run.check("and at least their mean", storm["max_empty_cnt"] >= idle["empty"] / (int(seconds) + 3) - 2,
              (storm, idle["empty"], seconds))
    run.no_drops()
    print("# " + ", ".join("%s: %d calls, %d empty, %d events" % (name, value["calls"], value["empty"], value["events"])
                           for name, value in kinds.items()), storm["max_empty_cnt"], "a second")
