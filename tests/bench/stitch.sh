#!/bin/sh
# Frames unwound a second by each engine (tests/bench/bench_stitch.c).
set -eu
binary=$(tests/fixtures/build.sh 1.27 rich strip)
echo 'stacks: frames unwound a second by engine, and compiled call frame information against libdw'
exec "$O/tests/bench/bench_stitch" "$binary"
