#!/bin/sh
# hotspot's parser reads a copy of gojitter inject and finds every frame in it.
set -u
GJ_PERFS=6.1
. tests/perf/plugin-lib.sh

# Only unpacked: with all of KDE below it the package is half a gigabyte.
root=$GJ_CACHE/hotspot
tests/debian.sh --closure bookworm "$root" hotspot >"$work/log" 2>&1 || {
	tail -n 3 "$work/log"
	tap_fail "hotspot's package" "$(tail -n 3 "$work/log")"
	tap_done
}
libraries=$root/usr/lib/x86_64-linux-gnu

record "$work/in.data" --call-graph dwarf,16384 -e "$sampler" -- \
	"$(fixture 1.24 exe)" 0.3 inlined generic closures assembly garbage || tap_done
PERF=$recorder "$O/gojitter" inject -q -i "$work/in.data" -o "$work/out.data" || tap_done
LD_LIBRARY_PATH=$libraries:$root/lib/x86_64-linux-gnu "$libraries/libexec/hotspot-perfparser" \
	--input "$work/out.data" --output "$work/stream" >"$work/log" 2>&1 ||
	tap_fail "hotspot-perfparser" "$(tail -n 3 "$work/log")"
"$recorder" script -i "$work/out.data" --no-inline --ns --max-stack 1024 -F tid,time,ip,sym >"$work/out.txt" 2>"$work/err"
tap_check "hotspot has every frame" tests/inject/compare.py hotspot "$work/stream" "$work/out.txt"
tap_done
