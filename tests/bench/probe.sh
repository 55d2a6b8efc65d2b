#!/bin/sh
# What the probe on runtime.execute costs per hit at the planned instruction,
# beside the function's first instruction: a program that does nothing but
# switch goroutines, two hits a round trip, the fastest tenth of a second of
# three interleaved runs each.
set -eu

work=$(mktemp -d)
events=/sys/kernel/tracing/uprobe_events
name=bench_$$
trap 'echo "-:gojitter/$name" >>$events 2>/dev/null; rm -rf "$work"' EXIT
mountpoint -q /sys/kernel/tracing || mount -t tracefs nodev /sys/kernel/tracing

# Sets $best to the least of itself and what the program prints.
run() # FILE COMMAND...
{
	file=$1
	shift
	"$@" >"$work/said"
	read -r trips ns <"$work/said"
	[ "$ns" -ge "$(cat "$work/$file" 2>/dev/null || echo 999999999)" ] || echo "$ns" >"$work/$file"
}

with_probe() # FILE OFFSET COMMAND...
{
	file=$1 offset=$2
	shift 2
	echo "p:gojitter/$name $binary:0x$offset g=%ax:x64 goid=+152(%ax):u64 stack_lo=+0(%ax):x64 stack_hi=+8(%ax):x64 start_pc=+296(%ax):x64" >>$events
	run "$file" "$@"
	echo "-:gojitter/$name" >>$events
}

echo "probe cost per hit (runtime.execute, two goroutines on one thread):"
for version in 1.19 1.22; do
	binary=$(tests/fixtures/build.sh $version pingpong nosym)
	set -- $("$O/tests/probe/plan" "$binary" runtime.execute)
	va=$2 planned=$3 insn=$6
	entry=$("$O/gojitter" sym -e "$binary" --list | awk -F'\t' '$3 == "runtime.execute" { print $1 }')
	first=$(printf %x $((0x$planned - 0x$va + 0x$entry)))
	rm -f "$work"/bare "$work"/planned "$work"/first "$work"/recorded
	for round in 1 2 3; do
		run bare "$binary" 0.5
		with_probe planned "$planned" perf stat -o /dev/null -e "gojitter:$name" "$binary" 0.5
		with_probe first "$first" perf stat -o /dev/null -e "gojitter:$name" "$binary" 0.5
		with_probe recorded "$planned" perf record -q -k CLOCK_MONOTONIC -m 8M -o "$work/perf.data" -e "gojitter:$name" "$binary" 0.5
	done
	awk -v version=$version -v insn="$insn" -v at=$((0x$va - 0x$entry)) \
		-v bare="$(cat "$work/bare")" -v planned="$(cat "$work/planned")" \
		-v first="$(cat "$work/first")" -v recorded="$(cat "$work/recorded")" 'BEGIN {
		printf "  go%s  planned (+%d, %s) %.2f us, recorded %.2f us; first instruction %.2f us: %.1f times the planned one\n",
			version, at, insn, (planned - bare) / 2000, (recorded - bare) / 2000,
			(first - bare) / 2000, (first - bare) / (planned - bare) }'
done
