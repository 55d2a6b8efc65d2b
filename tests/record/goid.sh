#!/bin/sh
# The goroutine ids of samples against what the program says of itself: every
# release, stripped and PIE included, from the start and attached.
. tests/tap.sh

gojitter=$O/gojitter
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Writes $dir/truth and $dir/samples; the rest of the arguments go to truth.py.
judge() # [ARG...]
{
	perf script -i "$dir/perf.data" --dlfilter "$O/gojitter.so" --dlarg format=json \
		>"$dir/samples" || return 1
	tests/record/truth.py "$dir/truth" "$dir/samples" "$@"
}

from_start() # BINARY [OPTION...]
{
	program=$1
	shift
	"$gojitter" record --no-bpf "$@" -F 1499 -o "$dir/perf.data" -- "$program" 1 >"$dir/truth" || return 1
	judge
}

attached() # BINARY HOW [OPTION...]
{
	program=$1 how=$2
	shift 2
	"$program" 5 >"$dir/truth" &
	pid=$!
	sleep 0.3
	case $how in
	pid) "$gojitter" record --no-bpf "$@" -F 1499 -o "$dir/perf.data" -p $pid -- sleep 1.5 ;;
	# Whatever other Go programs of this machine make the probe cost.
	all) "$gojitter" record --no-bpf "$@" -F 1499 --max-cost=200 -o "$dir/perf.data" -a -- sleep 2 ;;
	esac || return 1
	wait $pid
	judge --pid $pid
}

# A buffer that is far too small: whatever is said must still be right.
starved()
{
	"$gojitter" record --no-bpf -m 16K -F 15000 -o "$dir/perf.data" -- "$1" 3 >"$dir/truth" || return 1
	judge --most-missing 90
}

# Without the probe only goroutines that were seen before and after can be told:
# of those that live for seconds, most; of short ones, hardly any, but none wrongly.
unprobed() # BINARY TURNS MOST-MISSING
{
	"$gojitter" record --no-bpf --no-probe -F 1499 -o "$dir/perf.data" -- "$1" 2 $2 >"$dir/truth" || return 1
	judge --most-missing $3
}

# Two checks at a time, each in a directory of its own.
begun=0 reported=0
start() # NAME CMD...
{
	begun=$((begun + 1))
	dir=$work/$begun
	mkdir "$dir" && echo "$1" >"$dir/name"
	shift
	{ "$@" >"$dir/said" 2>&1; echo $? >"$dir/status"; rm -f "$dir/perf.data" "$dir/samples"; } &
	[ $((begun - reported)) -lt 2 ] || finish
}

# The figures belong into the log, too, when all is well.
finish()
{
	wait
	while [ $reported -lt $begun ]; do
		reported=$((reported + 1))
		dir=$work/$reported
		tap_check "$(cat "$dir/name")" sh -c 'cat "$1/said"; exit "$(cat "$1/status")"' sh "$dir"
		echo "$tap_out" | grep 'samples in user Go code' | sed 's/^/# /'
	done
}

# What only the probe can tell.
start_probed() # NAME CMD...
{
	if $probes; then start "$@"; else tap_skip "$1" "uprobes are not permitted here"; fi
}

mountpoint -q /sys/kernel/tracing || mount -t tracefs nodev /sys/kernel/tracing 2>/dev/null
probes=true
[ -w /sys/kernel/tracing/uprobe_events ] || probes=false
for version in $(tests/toolchains.sh --list); do
	[ "$version" != 1.15 ] || continue
	# What symbols are for and where it is loaded does not depend on the release.
	case ${GJ_LONG:+long}$version in
	1.19 | 1.23 | 1.27 | long*) variants='exe nosym pie+nosym' ;;
	*) variants=pie+nosym ;;
	esac
	for variant in $variants; do
		if binary=$(tests/fixtures/build.sh "$version" spins $variant 2>&1); then
			start_probed "$version $variant: from the start" from_start "$binary"
		else
			tap_fail "$version $variant builds" "$binary"
		fi
	done
done
binary=$(tests/fixtures/build.sh 1.22 spins cgo+strip)
start_probed "1.22 cgo+strip: from the start" from_start "$binary"
for version in 1.19 1.23 1.27; do
	binary=$(tests/fixtures/build.sh $version spins nosym)
	start_probed "$version nosym: attached" attached "$binary" pid
	start "$version nosym: no probe, long lives" unprobed "$binary" 200 50
	start "$version nosym: no probe, short lives" unprobed "$binary" 0 100
done
# These want the machine for themselves.
finish
for version in 1.19 1.27; do
	binary=$(tests/fixtures/build.sh $version spins nosym)
	start_probed "$version nosym: the whole machine" attached "$binary" all
	finish
	start_probed "$version nosym: records lost" starved "$binary"
	finish
done
tap_done
