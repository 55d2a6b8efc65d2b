#!/bin/sh
# gojitter pprof --compare, and profiles read, with every Go release that can be had.
GJ_READ= GJ_GO="$(tests/toolchains.sh --list)" exec tests/pprof/compare.sh
