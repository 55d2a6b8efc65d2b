#!/bin/sh
# gojitter pprof --compare, and profiles read, with every Go release that can be had:
# recorded by the two-stack sampler, then with stack dumps.
GJ_READ= GJ_SECONDS=12 GJ_GO="$(tests/toolchains.sh --list)"
export GJ_READ GJ_SECONDS GJ_GO
tests/pprof/compare.sh || exit
GJ_HOW='--no-probe --call-graph dwarf,8192' exec tests/pprof/compare.sh
