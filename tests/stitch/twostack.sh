#!/bin/sh
# Recordings by the two-stack sampler: how many stacks are whole, each call in
# them against the program's code, goroutines and pprof labels against what the
# program says of itself.
#
# GJ_TWOSTACK_VERSIONS: the releases, instead of a few.
. tests/tap.sh

gojitter=$O/gojitter
work=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill "$pid" 2>/dev/null; rm -rf "$work"' EXIT

if ! "$gojitter" record -n -- true 2>&1 | grep -q 'stack sampler runs'; then
	tap_skip 'two-stack recordings' "the kernel or this user does not let BPF programs run on perf's events"
	tap_done
fi

read_samples()
{
	perf script -i "$work/perf.data" --dlfilter "$O/gojitter.so" --dlarg format=json >"$work/samples"
}

# Attaches to a program that runs for ever.
attach() # BINARY [OPTION...]
{
	program=$1
	shift
	"$program" >/dev/null &
	pid=$!
	sleep 0.2
	"$gojitter" record -F 1999 "$@" -o "$work/perf.data" -p $pid -- sleep 1.5 >"$work/err" 2>&1 ||
		{ cat "$work/err"; return 1; }
	kill $pid
	pid=
	read_samples
}

# The figures belong into the log, too, when all is well.
check() # NAME CMD...
{
	tap_check "$@"
	echo "$tap_out" | grep -E 'user samples|new threads|in user Go code|labels|behind mcall' | sed 's/^/# /'
}

whole() # VERSION PROGRAM VARIANT LEAST OPTION...
{
	binary=$(tests/fixtures/build.sh "$1" "$2" "$3") || return 1
	least=$4
	shift 4
	attach "$binary" "$@" && tests/stitch/twostack.py "$work/samples" "$binary" --least "$least"
}

# Each stack without its first caller: the code has to contradict that.
notices() # BINARY
{
	! tests/stitch/twostack.py "$work/samples" "$1" --break >"$work/broken" &&
		grep -q '^wrong:' "$work/broken"
}

# perf's own chains, which lack callers and go on behind roots: what is shown of them holds.
chains() # VERSION
{
	binary=$(tests/fixtures/build.sh "$1" loads exe) || return 1
	perf record -q -k CLOCK_MONOTONIC -m 16M -e cpu-clock/freq=1999,name=cpu-clock/ -g \
		-o "$work/perf.data" -- "$binary" service 1.5 >"$work/err" 2>&1 || { cat "$work/err"; return 1; }
	read_samples && tests/stitch/twostack.py "$work/samples" "$binary" --least 99
}

# A new thread has RBP of the one that made it: frames of that one's stack are none of its.
# Threads that end have RBP 0 in mstart0 (gogo to g0.sched): a fifth is cut there.
newborn() # VERSION
{
	binary=$(tests/fixtures/build.sh "$1" threads exe) || return 1
	perf record -q -k CLOCK_MONOTONIC -m 16M -e cpu-clock/period=50000,name=cpu-clock/ -g \
		-o "$work/perf.data" -- "$binary" 1.5 >"$work/err" 2>&1 || { cat "$work/err"; return 1; }
	read_samples && tests/stitch/twostack.py "$work/samples" "$binary" &&
		tests/stitch/newborn.py "$work/samples" 20
}

goids() # VERSION
{
	binary=$(tests/fixtures/build.sh "$1" spins nosym) || return 1
	"$gojitter" record -F 1999 -o "$work/perf.data" -- "$binary" 1 >"$work/truth" 2>"$work/err" ||
		{ cat "$work/err"; return 1; }
	read_samples && tests/record/truth.py "$work/truth" "$work/samples" || return 1
	! grep -E '"goid_source":"(switch|snapshots)' "$work/samples"
}

# Every goroutine of the program bears its own number as a label.
labels() # VERSION
{
	binary=$(tests/fixtures/build.sh "$1" labelled nosym) || return 1
	"$gojitter" record -F 1999 -o "$work/perf.data" -- "$binary" 0.7 >"$work/err" 2>&1 ||
		{ cat "$work/err"; return 1; }
	read_samples && python3 - "$work/samples" <<'EOF'
import json, sys
samples = [json.loads(line) for line in open(sys.argv[1])]
spins = [s for s in samples if any(f["func"] == "main.spin" for f in s["frames"]) and s["goid"]]
wrong = [s["labels"] for s in spins
         if s["labels"]["goid"] != str(s["goid"]) or s["labels"]["long"] != 100 * "x"]
print(f"{len(spins)} samples with labels, {len(wrong)} of them another goroutine's")
sys.exit(1 if wrong or len(spins) < 100 or {len(s["labels"]) for s in spins} != {2, 8} else 0)
EOF
}

# While it goes to the scheduler a goroutine is still the thread's: its frames follow mcall.
yields() # VERSION
{
	binary=$(tests/fixtures/build.sh "$1" yields exe) || return 1
	"$gojitter" record -F 3999 -o "$work/perf.data" -- "$binary" 1 >"$work/err" 2>&1 ||
		{ cat "$work/err"; return 1; }
	read_samples && python3 - "$work/samples" <<'EOF'
import json, sys
all_cnt = on_cnt = 0
for line in open(sys.argv[1]):
    funcs = [f["func"] for f in json.loads(line)["frames"]]
    if "runtime.mcall" in funcs and "runtime.gosched_m" in funcs and "runtime.schedule" not in funcs:
        all_cnt += 1
        on_cnt += funcs[-1] in ("runtime.goexit", "runtime.main") and funcs[-2] != "runtime.mcall"
print(f"{on_cnt} of {all_cnt} samples in gosched_m go on behind mcall")
sys.exit(0 if on_cnt >= 10 and on_cnt * 20 > all_cnt else 1)
EOF
}

for version in ${GJ_TWOSTACK_VERSIONS:-1.19 1.27}; do
	check "$version stacks: whole" whole "$version" stacks exe 99
	tap_check "$version stacks: a missing caller would be noticed" notices \
		"$(tests/fixtures/build.sh "$version" stacks exe)"
	check "$version cgostacks: whole" whole "$version" cgostacks cgo 99
	# 1 KiB of the stack it is on. What is cut here, growing stacks and SHA, is rare in other programs.
	check "$version stacks, --call-graph both: whole" whole "$version" stacks exe 92 --call-graph both
	check "$version service, frame pointers: whole" chains "$version"
	check "$version new threads, frame pointers: none of their makers' frames" newborn "$version"
	[ "$version" = 1.15 ] || check "$version: goroutines" goids "$version"
	check "$version: labels" labels "$version"
done
# The service of older releases blocks only.
check '1.27: a goroutine that yields' yields 1.27
tap_done
