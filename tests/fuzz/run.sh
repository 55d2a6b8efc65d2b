#!/bin/sh
# Fuzzes for a given time; prints TAP, one result for each target.
#
#   tests/fuzz/run.sh SECONDS TARGET...
#
# The time is what passes on the clock, divided over the targets, with as many
# at a time as there are processors. A target starts from its seeds and from
# what earlier runs found in $O/fuzz/corpus/TARGET; an input that breaks it is
# kept as $O/fuzz/crash-TARGET-*.
set -eu
. tests/tap.sh

[ $# -ge 2 ] || { echo "usage: $0 SECONDS TARGET..." >&2; exit 2; }
seconds=$1
shift
lanes=$(nproc)
turns=$((($# + lanes - 1) / lanes))
each=$((seconds / turns))
[ $each -gt 0 ] || each=1

fuzz_one() # TARGET
{
	corpus=$O/fuzz/corpus/$1
	mkdir -p "$corpus"
	rm -f "$O/fuzz/$1.status" "$O/fuzz/crash-$1-"*
	{
		GJ_FUZZ_SEEDS=$corpus "$O/fuzz/fuzz_$1" &&
			"$O/fuzz/fuzz_$1" -max_total_time=$each -timeout=10 -rss_limit_mb=2048 \
				-print_final_stats=1 -artifact_prefix="$O/fuzz/crash-$1-" "$corpus"
	} >"$O/fuzz/$1.log" 2>&1 && echo done >"$O/fuzz/$1.status"
}

lane=0
while [ $lane -lt "$lanes" ]; do
	(
		turn=0
		for target; do
			[ $((turn % lanes)) -ne $lane ] || fuzz_one "$target" || true
			turn=$((turn + 1))
		done
	) &
	lane=$((lane + 1))
done
wait

for target; do
	ran=$(sed -n 's/^stat::number_of_executed_units: *//p' "$O/fuzz/$target.log")
	if [ -e "$O/fuzz/$target.status" ] && [ "${ran:-0}" -gt 0 ]; then
		echo "# $target: $ran inputs in $each s"
		tap_ok "fuzz $target"
	else
		tap_fail "fuzz $target" "$(tail -n 60 "$O/fuzz/$target.log")"
	fi
done
tap_done
