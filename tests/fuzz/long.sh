#!/bin/sh
# Every fuzz target for half an hour altogether.
exec tests/fuzz/run.sh 1800 $GJ_FUZZ_TARGETS
