#!/bin/sh
# Every fuzz target, forty seconds altogether.
exec tests/fuzz/run.sh 40 $GJ_FUZZ_TARGETS
