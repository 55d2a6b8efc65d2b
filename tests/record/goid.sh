#!/bin/sh
# The goroutine ids of samples against what the program says of itself: every
# release, stripped and PIE included, from the start and attached.
. tests/tap.sh

gojitter=$O/gojitter
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Writes $work/truth and $work/samples; the rest of the arguments go to truth.py.
judge() # [ARG...]
{
	perf script -i "$work/perf.data" --dlfilter "$O/gojitter.so" --dlarg format=json \
		>"$work/samples" || return 1
	tests/record/truth.py "$work/truth" "$work/samples" "$@"
}

from_start() # BINARY [OPTION...]
{
	program=$1
	shift
	"$gojitter" record --no-bpf "$@" -F 1499 -o "$work/perf.data" -- "$program" 1 >"$work/truth" || return 1
	judge
}

attached() # BINARY HOW [OPTION...]
{
	program=$1 how=$2
	shift 2
	"$program" 6 >"$work/truth" &
	pid=$!
	sleep 0.3
	case $how in
	pid) "$gojitter" record --no-bpf "$@" -F 1499 -o "$work/perf.data" -p $pid -- sleep 1.5 ;;
	# Whatever other Go programs of this machine make the probe cost.
	all) "$gojitter" record --no-bpf "$@" -F 1499 --max-cost=200 -o "$work/perf.data" -a -- sleep 2 ;;
	esac || return 1
	wait $pid
	judge --pid $pid
}

# A buffer that is far too small: whatever is said must still be right.
starved()
{
	"$gojitter" record --no-bpf -m 16K -F 15000 -o "$work/perf.data" -- "$1" 3 >"$work/truth" || return 1
	judge --most-missing 90
}

# Without the probe only goroutines that were seen before and after can be told:
# of those that live for seconds, most; of short ones, hardly any, but none wrongly.
unprobed() # BINARY TURNS MOST-MISSING
{
	"$gojitter" record --no-bpf --no-probe -F 1499 -o "$work/perf.data" -- "$1" 2 $2 >"$work/truth" || return 1
	judge --most-missing $3
}

# The figures belong into the log, too, when all is well.
check() # NAME CMD...
{
	tap_check "$@"
	echo "$tap_out" | grep 'samples in user Go code' | sed 's/^/# /'
}

# What only the probe can tell.
check_probed() # NAME CMD...
{
	if $probes; then check "$@"; else tap_skip "$1" "uprobes are not permitted here"; fi
}

mountpoint -q /sys/kernel/tracing || mount -t tracefs nodev /sys/kernel/tracing 2>/dev/null
probes=true
[ -w /sys/kernel/tracing/uprobe_events ] || probes=false
for version in $(tests/toolchains.sh --list); do
	[ "$version" != 1.15 ] || continue
	for variant in exe nosym pie+nosym; do
		if binary=$(tests/fixtures/build.sh "$version" spins $variant 2>&1); then
			check_probed "$version $variant: from the start" from_start "$binary"
		else
			tap_fail "$version $variant builds" "$binary"
		fi
	done
done
for version in 1.19 1.23 1.27; do
	binary=$(tests/fixtures/build.sh $version spins nosym)
	check_probed "$version nosym: attached" attached "$binary" pid
	check_probed "$version nosym: the whole machine" attached "$binary" all
	check_probed "$version nosym: records lost" starved "$binary"
	check "$version nosym: no probe, long lives" unprobed "$binary" 200 50
	check "$version nosym: no probe, short lives" unprobed "$binary" 0 100
done
binary=$(tests/fixtures/build.sh 1.22 spins cgo+strip)
check_probed "1.22 cgo+strip: from the start" from_start "$binary"
tap_done
