#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# gojitter trace --what goroutines: its maps as stock bpftool prints them, against
# a program of known behaviour, its own runtime.Stack, and Go's own trace.
. tests/tap.sh

gojitter=$O/gojitter
versions=${GJ_TRACE_VERSIONS:-1.19 1.22 1.24 1.25 1.26 1.27}
work=$(mktemp -d)
instance=test-goroutines-$$
pins=/sys/fs/bpf/gojitter/v1/$instance
target=
trap '[ -z "$target" ] || kill $target 2>/dev/null
	"$gojitter" untrace --instance $instance 2>/dev/null; rm -rf "$work"' EXIT

[ "$(id -u)" -eq 0 ] || { tap_skip 'goroutines traced' 'uprobes want root'; tap_done; }
mountpoint -q /sys/fs/bpf || mount -t bpf bpf /sys/fs/bpf

# Waits until the program has printed a line.
await() # LINE
{
	for _ in $(seq 200); do
		! grep -qx "$1" "$dir/out" || return 0
		sleep 0.05
	done
	echo "no '$1' in 10 s"
	return 1
}

goes() # VERSION GOROOT BINARY [-trace FILE]
{
	root=$2 binary=$3
	shift 3
	mkfifo "$dir/in"
	GOTRACEBACK=system GODEBUG=asyncpreemptoff=1 GOGC=off "$binary" "$@" <"$dir/in" >"$dir/out" &
	target=$!
	exec 5>"$dir/in"
	await ready && "$gojitter" trace -q -p $target --what goroutines --budget off --instance $instance || return 1
	echo go >&5
	await 'done' || return 1
	echo dump >&5
	await end || return 1
	sleep 0.1 # to where it waits for the next line
	for map in goroutines goroutine_counts sched_latency blocked long_runs wakers \
		blocked_stacks waker_stacks drops; do
		bpftool -j map dump pinned $pins/$map >"$dir/$map.json" || return 1
	done
	bpftool -j prog show pinned $pins/progs/gj_on_casgstatus >"$dir/prog.json"
	"$gojitter" untrace --instance $instance || return 1
	exec 5>&-
	wait $target || { echo "the target ended with $?"; return 1; }
	target=
	GOROOT=$root GOTOOLCHAIN=local "$root/bin/go" tool nm "$binary" >"$dir/nm"
}

run() # VERSION
{
	dir=$work/$1
	mkdir "$dir"
	toolchain=$(tests/toolchains.sh "$1") && binary=$(tests/fixtures/build.sh "$1" switches exe) &&
		goes "$1" "${toolchain#* }" "$binary" &&
		tests/trace/goroutines.py "$dir" "${1#1.}" "$dir/nm"
}

# By the parser of the newest release, which reads all others' traces.
beside_trace() # VERSION
{
	dir=$work/$1-trace
	mkdir "$dir"
	toolchain=$(tests/toolchains.sh "$1") && newest=$(tests/toolchains.sh 1.27) &&
		binary=$(tests/fixtures/build.sh "$1" switches exe) &&
		goes "$1" "${toolchain#* }" "$binary" -trace "$dir/trace" || return 1
	GOROOT=${newest#* } GOTOOLCHAIN=local "${newest#* }/bin/go" tool trace -d=parsed \
		"$dir/trace" >"$dir/parsed" || return 1
	tests/trace/goroutines.py "$dir" "${1#1.}" "$dir/nm" "$dir/parsed"
}

check() # NAME CMD...
{
	if tap_out=$(shift; "$@" 2>&1); then
		echo "$tap_out" | sed 's/^/# /'
		tap_ok "$1"
	else
		tap_fail "$1" "$tap_out"
	fi
}

for version in $versions; do
	check "$version: counts, waits, states" run $version
	exec 5>&-
	"$gojitter" untrace --instance $instance 2>/dev/null
done
for version in ${GJ_TRACE_BESIDE:-1.22 1.25 1.27}; do
	check "$version: beside Go's own trace" beside_trace $version
	exec 5>&-
	"$gojitter" untrace --instance $instance 2>/dev/null
done

# Bytes of instructions after the verifier's rewriting.
size() { sed 's/.*"bytes_xlated":\([0-9]*\).*/\1/' "$work/${versions##* }/prog.json"; }
echo "# gj_on_casgstatus: $(($(size) / 8)) instructions"
tap_check 'casgstatus stays under 4000 instructions' [ "$(size)" -lt 32000 ]
tap_done
