#!/bin/sh
# Every fuzz target for a minute altogether.
exec tests/fuzz/run.sh 60 $GJ_FUZZ_TARGETS
