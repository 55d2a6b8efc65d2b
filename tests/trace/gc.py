"""python3 gc.py BINARY GO_MINOR: the maps of feature gc against the runtime's own counts."""

import sys

from rare import Run

minor = int(sys.argv[2])
with Run("gc", sys.argv[1], {"GOGC": "off", "GODEBUG": "asyncpreemptoff=1"}) as run:
    truth = run.truth
    stops = {}
    for key, hist in run.entries("stw"):
        stops.setdefault(key["reason"], {})[key["phase"]] = hist
        run.equal("the histogram's slots are its count", sum(hist["slots"]), hist["count"])
    for reason, phases in stops.items():
        run.equal("every phase of %s is counted" % reason,
                  [phases.get(name, {}).get("count") for name in ("stopping", "stopped", "starting")],
                  [phases["stopping"]["count"]] * 3)
    count = {reason: phases["stopping"]["count"] for reason, phases in stops.items()}
    (_, gc), = run.entries("gc")
    run.equal("cycles are NumGC", gc["cycles"], truth["cycles"])
    run.equal("each has its time of marking", gc["mark"]["count"], truth["cycles"])
    run.equal("sweep terminations are cycles", count.get("GC_sweep_termination"), truth["cycles"])
    terminations = count.get("GC_mark_termination", 0)
    if truth["has_pauses"]:
        run.equal("pauses are those of runtime/metrics",
                  terminations + count["GC_sweep_termination"], truth["gc_pauses"])
        run.equal("other pauses, too", sum(count.values()) - terminations - count["GC_sweep_termination"],
                  truth["other_pauses"])
    if minor >= 21:
        run.check("mark terminations are at least cycles", terminations >= truth["cycles"], count)
        run.equal("ReadMemStats", count.get("read_mem_stats"), truth["mem_stats"])
        run.equal("GOMAXPROCS", count.get("GOMAXPROCS"), truth["resizes"])
        run.equal("all reasons are known", count.get("unknown_reason"), None)
    else:
        # A mark termination that finds more to mark is of no known reason there.
        run.equal("mark terminations are cycles", terminations, truth["cycles"])
        unknown = count.get("unknown_reason", 0)
        run.check("the others are not", unknown >= truth["mem_stats"] + truth["resizes"], count)
    # A goroutine that nothing could stop spun on, and the world waited for it.
    stopping = stops["read_mem_stats" if minor >= 21 else "unknown_reason"]["stopping"]["max_ns"]
    run.check("the stop behind a spinning goroutine is as long as that",
              truth["spun_ns"] * 0.9 - 5e4 <= stopping <= truth["stop_ns"],
              (truth["spun_ns"], stopping, truth["stop_ns"]))
    print("# spun on for %d us, stopping took %d us, the whole stop %d us" % (
        truth["spun_ns"] / 1e3, stopping / 1e3, truth["stop_ns"] / 1e3))
    ours = sum(hist["sum_ns"] for reason in ("GC_sweep_termination", "GC_mark_termination")
               for hist in stops[reason].values())
    # On a busy machine threads wait for a processor, in and about stops.
    waited = run.run_delay_ns()
    run.check("pauses are about as long as the runtime says",
              truth["pause_ns"] / 4 <= ours <= truth["pause_ns"] * 4 + 5e6 * truth["cycles"] + waited,
              (ours, truth["pause_ns"], waited))
    (_, sweep), = run.entries("sweep")
    run.check("every cycle but perhaps the last is swept",
              truth["cycles"] - 1 <= sweep["count"] <= truth["cycles"], sweep["count"])
    assists = {key["func"]: hist for key, hist in run.entries("mark_assist")}
    helped = sum(hist["sum_ns"] for hist in assists.values())
    if truth["assist_ns"] > 1e6:
        run.check("who assists is named", any(
            func.startswith("main.") for func in assists), assists.keys())
        run.check("assists are not shorter than the runtime says", helped >= truth["assist_ns"] / 4,
                  (helped, truth["assist_ns"]))
    run.no_drops()
    print("# %d cycles, %s, assists %d (%.1f ms)" % (gc["cycles"], count, sum(
        hist["count"] for hist in assists.values()), helped / 1e6))
