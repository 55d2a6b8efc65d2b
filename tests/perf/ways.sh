#!/bin/sh
# The ways to the plugin (docs/ways.md), from the build tree, with the given
# releases of perf. Each has to print what `perf script --dlfilter` prints of
# the same recording, and that has to name functions which the stripped program
# holds no symbols of: Go's own nm knows them from its unstripped twin.
#
#   tests/perf/ways.sh [PERF VERSION...]
. tests/tap.sh

[ $# -gt 0 ] || set -- 6.1 6.12
home=$(cd "$O" && pwd)
front_dir=$home/bin external_dir=$home
tests=$PWD/tests
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
program=$(tests/fixtures/build.sh 1.22 whirl nosym+strip) || { tap_fail "builds"; tap_done; }
twin=$(tests/fixtures/build.sh 1.22 whirl exe) || { tap_fail "builds"; tap_done; }
nm=$(tests/fixtures/gotool.sh nm) || { tap_fail "builds go tool nm"; tap_done; }
"$nm" "$twin" | awk '$2 == "T" || $2 == "t" { print $3 }' | LC_ALL=C sort -u >"$work/nm"
unset PERF PERF_EXEC_PATH

. tests/perf/ways.inc

for version; do
	perf=$(tests/perf/perf.sh "$version") || { tap_fail "perf $version is there"; continue; }
	# The build tree's own exec path is of the machine's perf.
	ways_begin "$version" "$perf" "$([ "$perf" != /usr/bin/perf ] || echo "$home/exec-path")" || continue
	ways_check_all
done
tap_done
