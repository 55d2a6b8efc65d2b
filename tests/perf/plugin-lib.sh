# Shell functions for the tests of the perf plugin; to be sourced from the tree's top.
#
#   $perfs          the releases to test (GJ_PERFS, or 6.1 and 6.12)
#   $work           a directory of the test's own, removed at the end
#   $plugin         build/gojitter.so, absolute
#   perf_of VERSION path of that perf
#   fixture GO VARIANT   path of plugin-app built so
#   record FILE ARGS...  perf record with the arguments that suit a Go program; fails loudly
#   arm NAME BINARY GOID STARTPC  the probe on runtime.execute, as `gojitter record` plans it

. tests/tap.sh

perfs=${GJ_PERFS:-6.1 6.12}
plugin=$(cd "$O" && pwd)/gojitter.so
perf_tests=tests/perf
work=$(mktemp -d)
armed=
trap 'disarm; rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
# perf keeps copies of what it records, and takes symbols from there (~/.debug).
GJ_CACHE=${GJ_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/gojitter}
HOME=$work/home
export GJ_CACHE HOME
mkdir "$HOME"
sampler='cpu-clock/freq=997,name=cpu-clock/'

perf_of() { tests/perf/perf.sh "$1" 2>"$work/perf.err" || { cat "$work/perf.err" >&2; return 1; }; }

fixture() { tests/fixtures/build.sh "$1" tests/perf/plugin-app "$2"; }

# The first of the releases makes the recordings; its files are read by all.
recorder=$(perf_of "${perfs%% *}") || { echo "ok 1 - perf # SKIP no perf ${perfs%% *} to be had"; exit 0; }
"$recorder" record -q -e cpu-clock -o "$work/try.data" -- true >"$work/try.log" 2>&1 || {
	echo "ok 1 - recording # SKIP perf may not sample here: $(tail -n 1 "$work/try.log")"
	exit 0
}

record()
{
	file=$1
	shift
	timeout 60 "$recorder" record -q -N -k CLOCK_MONOTONIC -m 4M -o "$file" "$@" >"$work/record.log" 2>&1 || {
		tap_fail "record $(basename "$file")" "$(cat "$work/record.log")"
		return 1
	}
}

arm()
{
	mountpoint -q /sys/kernel/tracing || mount -t tracefs nodev /sys/kernel/tracing || return 1
	va=$("$O/gojitter" sym -e "$2" --list | awk -F'\t' '$3 == "runtime.execute" { print $1 }')
	# The jbe behind the stack check, 4 bytes on (docs/probes.md); non-PIE: offset = address - base.
	off=$(printf '0x%x' $((0x$va + 4 - 0x400000)))
	echo "p:gojitter/goexec_$1 $2:$off g=%ax:x64 goid=+$3(%ax):u64 stack_lo=+0(%ax):x64 stack_hi=+8(%ax):x64 start_pc=+$4(%ax):x64" \
		>>/sys/kernel/tracing/uprobe_events || return 1
	armed="$armed $1"
}

disarm()
{
	for name in $armed; do
		echo "-:gojitter/goexec_$name" >>/sys/kernel/tracing/uprobe_events 2>/dev/null || :
	done
	armed=
}
