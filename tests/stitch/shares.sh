#!/bin/sh
# Stacks of live programs, recorded with large dumps or by the two-stack sampler:
# at least 99 in 100 reach their root (95 with a short slice beside the chain),
# more than stock perf's on the same file, and no frame is one that cannot have
# made the call (tests/bench/shares.py, which measures it all).
. tests/tap.sh

perf=$(tests/perf/perf.sh 6.1) || { tap_skip 'shares of whole stacks' 'there is no perf 6.1'; tap_done; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if ! "$perf" record -q -e cpu-clock -o "$work/try.data" -- true >"$work/log" 2>&1; then
	tap_skip 'shares of whole stacks' "perf may not sample here: $(tail -n 1 "$work/log")"
	tap_done
fi

for program in service gc sha cgo; do
	tap_check "$program: dumps lead to the root" tests/bench/shares.py --programs=$program \
		'--modes=dwarf 65528' --perfs=6.1 --seconds=2 --goals
done
for mode in two-stack both; do
	if ! "$O/gojitter" record -n -- true 2>&1 | grep -q 'stack sampler runs'; then
		tap_skip "service: $mode" "the kernel or this user does not let BPF programs run on perf's events"
		continue
	fi
	for version in 1.19 1.27; do
		tap_check "service of Go $version, $mode: whole" tests/bench/shares.py --programs=service \
			--modes=$mode --perfs=6.1 --go=$version --seconds=2 --goals
	done
done
tap_done
