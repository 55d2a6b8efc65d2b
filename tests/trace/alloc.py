"""python3 alloc.py BINARY GO_MINOR: the map of feature alloc against MemStats."""

import sys

from rare import Run

OBJECTS = 8  # of 1024 bytes in a span of one page, Go src/runtime/sizeclasses.go
STRAY = 64   # spans with room left from before, and the runtime's own of that class

with Run("alloc", sys.argv[1], {"GOGC": "off"}) as run:
    truth = run.truth
    classes = {key["class"]: value for key, value in run.entries("alloc")}
    ours = classes["size_1024_noscan"]
    refills, grows = ours["refills"], ours["grows"]
    run.check("refills are enough for all objects",
              (refills + truth["procs"]) * OBJECTS >= truth["mallocs"], (refills, truth["mallocs"]))
    run.check("and no more", refills <= truth["mallocs"] / OBJECTS + STRAY, (refills, truth["mallocs"]))
    run.equal("each has its time", ours["refill"]["count"], refills)
    run.check("most need a new span", refills - STRAY <= grows <= refills, (refills, grows))
    for name, value in classes.items():
        run.equal("slots of %s are its refills" % name, sum(value["refill"]["slots"]), value["refills"])
        if not name.startswith("large"):
            run.equal("spans of %s are its grows" % name, value["spans"], value["grows"])
    run.equal("spans are of one page", ours["span_bytes"], ours["spans"] * 8192)
    run.equal("large objects", classes["large_noscan"]["spans"], truth["large"])
    run.equal("their bytes", classes["large_noscan"]["span_bytes"], truth["large"] << 20)
    grown = sum(value["span_bytes"] for value in classes.values())
    run.check("all spans are what the heap grew by", truth["heap_bytes"] <= grown <= truth["heap_bytes"] + (1 << 20),
              (grown, truth["heap_bytes"]))
    run.no_drops()
    print("# %d refills for %d objects, %d grows, %d of %d bytes, %d lock waits" % (
        refills, truth["mallocs"], grows, grown, truth["heap_bytes"], sum(v["lock_waits"] for v in classes.values())))
