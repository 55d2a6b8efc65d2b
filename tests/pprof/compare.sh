#!/bin/sh
# A service that profiles itself while gojitter records it: its profiles as we read
# them, beside go tool pprof; and its CPU profile's stacks found in the recording.
#
# GJ_GO: releases that build the service; GJ_READ: those whose profiles are only read;
# GJ_HOW: options of gojitter record (none: the two-stack sampler), GJ_SECONDS for how long.
. tests/perf/plugin-lib.sh

gojitter=$O/gojitter
kinds='heap allocs goroutine threadcreate block mutex'
pprof=$(tests/fixtures/gotool.sh pprof) || exit 1
raw() { "$pprof" -raw -output "$2" "$1" 2>"$work/err"; }

profiled() # RELEASE SECONDS [RECORD...]
{
	app=$(tests/fixtures/build.sh "$1" profiled exe) || return 1
	seconds=$2
	shift 2
	set -- "$@" "$app" "$seconds" "$work/cpu.pprof"
	for kind in $kinds; do set -- "$@" "$kind=$work/$kind.pprof"; done
	"$@" >"$work/log" 2>&1 || { cat "$work/log"; return 1; }
}

same()
{
	raw "$work/$1.pprof" "$work/raw" && "$O/tests/pprof/dump" "$work/$1.pprof" >"$work/dump" &&
		python3 tests/pprof/raw.py same "$work/raw" "$work/dump"
}

# At least 95 % of pprof's weight in user code has its counterpart. How much is exact an
# independent reading of both files, through pprof -raw, must say as well.
found() # RELEASE
{
	"$gojitter" pprof --compare "$work/cpu.pprof" -i "$data" --json >"$work/json" &&
		"$gojitter" pprof -i "$data" -o "$work/perf.pb.gz" --labels none &&
		raw "$work/cpu.pprof" "$work/raw" && raw "$work/perf.pb.gz" "$work/raw2" &&
		python3 tests/pprof/aligned.py "$work/json" "$work/raw" "$work/raw2" 95
}

for go in ${GJ_READ-1.19}; do
	tap_check "go $go: profiles" profiled "$go" 1
	for kind in cpu $kinds; do
		tap_check "go $go: $kind profile, sample by sample as go tool pprof" same "$kind"
	done
done

for go in ${GJ_GO:-1.27}; do
	data=$work/$go.data
	tap_check "go $go: profile and recording at once" profiled "$go" "${GJ_SECONDS:-8}" \
		"$gojitter" record -q -F 2999 ${GJ_HOW-} -o "$data" --
	for kind in cpu $kinds; do
		tap_check "go $go: $kind profile, sample by sample as go tool pprof" same "$kind"
	done
	tap_check "go $go: stacks of pprof found in the recording" found "$go"
	echo "$tap_out" | sed "s/^/# go $go: /"
	tap_check "go $go: the table" sh -c "'$gojitter' pprof --compare '$work/cpu.pprof' -i '$data' -n 5 >'$work/table' &&
		grep -q '^aligned ' '$work/table' && grep -q 'exact.*net/http.(\*conn).serve' '$work/table'"
	sed -n '1,14s/^/# /p' "$work/table"
done

# What is another program's must not be found: two files, as it happens.
other=$(fixture 1.24 exe)
record "$work/other.data" -e "$sampler" -g -- "$other" 0.5
"$gojitter" pprof -i "$work/other.data" -o "$work/other.gz"
tap_check 'another program is not taken for this one' sh -c "
	'$gojitter' pprof --compare '$work/cpu.pprof' '$work/other.gz' --json |
	python3 -c 'import json,sys; sys.exit(json.load(sys.stdin)[\"pprof\"][\"user_aligned_percent\"] > 20)'"
tap_check 'a profile is found in itself' sh -c "
	'$gojitter' pprof --compare '$work/cpu.pprof' '$work/cpu.pprof' | grep -q '^exact.*100.00 % *100.00 %'"
tap_done
