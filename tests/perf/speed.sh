#!/bin/sh
# Times perf script with gojitter.so against stock perf script on recordings of
# more than 500,000 samples. Both print their default fields; ours expands inlined
# calls from Go's tables and adds goid:. Goal: at most a quarter of stock perf's
# wall time, and no more memory.
set -u
. tests/perf/plugin-lib.sh

wanted=500000
rounds=${GJ_ROUNDS:-5}
app=$(fixture 1.24 exe) || exit 1

samples() { "$recorder" report --stats -i "$1" 2>/dev/null | awk '$1 == "SAMPLE" { print $3; exit }'; }

# FILE ARGS... : records until there are enough, longer each time.
record_many()
{
	file=$1
	shift
	for seconds in 16 32 64; do
		"$recorder" record -q -N -k CLOCK_MONOTONIC -m 16M -e cpu-clock/freq=20000,name=cpu-clock/ -g \
			--user-regs=r14,sp,bp,ip -o "$file" "$@" -- "$app" $seconds >"$work/record.log" 2>&1 ||
			{ cat "$work/record.log" >&2; exit 1; }
		[ "$(samples "$file")" -ge $wanted ] && return 0
	done
	echo "only $(samples "$file") samples" >&2
	exit 1
}

compare() # TITLE FILE
{
	for version in $perfs; do
		perf=$(perf_of "$version") || continue
		echo "perf script $version, $1, $(samples "$2") samples, $(($(stat -c %s "$2") / 1000000)) MB:"
		tests/perf/speed.py "$rounds" "$work/out.txt" "stock=$perf script -i $2" \
			"gojitter.so=$perf script -i $2 --dlfilter $plugin" \
			"gojitter.so, folded=$perf script -i $2 --dlfilter $plugin --dlarg format=folded"
	done
}

record_many "$work/app.data"
compare "one Go program" "$work/app.data"
record_many "$work/all.data" -a
compare "the whole machine while it runs" "$work/all.data"
