#!/bin/sh
# perf 7.3, which resolves inlined calls in frame-pointer chains too and reads
# debug information with libdw, from where the true path leads: with the debug
# file installed it prints what llvm-symbolizer says of the unstripped twin.
. tests/tap.sh

if [ ! -x tests/perf/perf.sh ] || ! perf=$(tests/perf/perf.sh 7.3); then
	tap_skip "perf 7.3" "no perf 7.3: tests/perf/perf.sh gives none"
	tap_done
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# That perf sees the /usr it was unpacked in.
usr=$(dirname "$perf")/usr
mkdir -p "$usr/lib/debug"

prints() # VERSION VARIANT
{
	twin=$(tests/fixtures/build.sh "$1" tests/debuginfo/spin "$2") &&
		stripped=$(tests/fixtures/build.sh "$1" tests/debuginfo/spin "$2+strip") || return 1
	"$O/gojitter" debuginfo "$stripped" -o "$work/out" >/dev/null
	HOME=$work unshare -m sh -ec "
		mount -t tmpfs none '$usr/lib/debug'
		'$O/gojitter' debuginfo '$stripped' --install --root '${usr%/usr}' >'$work/said'
		'$perf' record -q -e cpu-clock -F 499 -g -o '$work/data' '$stripped' 1 >/dev/null
		'$perf' script -i '$work/data' -F ip,sym,symoff,srcline >'$work/ours'" 2>"$work/err" ||
		{ cat "$work/err"; return 1; }
	tests/debuginfo/perf.py "$work/ours" - "$work/out" "$twin" &&
		[ "$(grep -c '(inlined)' "$work/ours")" -ge 20 ]
}

for version in 1.19 1.24 1.27; do
	for variant in exe pie; do
		tap_check "$version $variant: names, lines and inlined calls" prints "$version" $variant
	done
done
tap_done
