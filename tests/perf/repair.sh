#!/bin/sh
# gojitter.so on plain `perf record -g`: callers put back, holes marked, and the
# line at the end of a run. What is put back is compared with the same program's
# stack dumps, which are walked by other means (Go's tables of SP).
set -u
. tests/perf/plugin-lib.sh

version=${perfs%% *}
perf=$recorder
app=$(fixture 1.24 exe) || exit 1
record "$work/fp.data" -g -e "$sampler" -- "$app" 2 &&
record "$work/dwarf.data" --call-graph dwarf,16384 -e "$sampler" -- "$app" 2 || tap_done

script() # OUT ARGS...
{
	out=$1
	shift
	timeout 60 "$perf" script "$@" --dlfilter "$plugin" >"$work/$out" 2>"$work/$out.err" ||
		tap_fail "perf script $*" "$(cat "$work/$out.err")"
}

script fp.json -i "$work/fp.data" --dlarg format=json
script off.json -i "$work/fp.data" --dlarg format=json --dlarg repair=off
script dwarf.json -i "$work/dwarf.data" --dlarg format=json
tap_check "$version: callers put back are those of stack dumps" \
	tests/perf/repair.py callers "$work/fp.json" "$work/dwarf.json"
tap_check "$version: repair=off leaves chains as they were recorded" \
	tests/perf/repair.py off "$work/fp.json" "$work/off.json"
script fp.txt -i "$work/fp.data"
tap_check "$version: the text has the same frames as JSON" \
	tests/perf/plugin-check.py same-frames "$work/fp.json" "$work/fp.txt"

# The quality line: one, the last, and its numbers those of the run's own JSON.
for run in fp off dwarf; do
	tap_check "$version: quality line, $run" \
		tests/perf/repair.py quality "$work/$run.json" "$work/$run.json.err"
done
script quiet.txt -i "$work/fp.data" --dlarg quality=off
tap_check "$version: quality=off says nothing" test ! -s "$work/quiet.txt.err"
tap_check "$version: quality=off changes no text" cmp "$work/fp.txt" "$work/quiet.txt"
record "$work/true.data" -g -e "$sampler" -- sh -c 'i=0; while [ $i -lt 30000 ]; do i=$((i + 1)); done' &&
	script true.txt -i "$work/true.data"
tap_check "$version: nothing is said of recordings without Go" test ! -s "$work/true.txt.err"
tap_done
