#!/bin/sh
# The libtraceevent plugin in the programs that load it: perf script without
# the dlfilter, perf trace, trace-cmd report. What it prints is held against
# the fields stock perf prints for the same records, against go tool nm for the
# functions' names, and against what the program says of its own goroutines.
. tests/tap.sh

plugins=$(cd "$O" && pwd)/traceevent
tracing=/sys/kernel/tracing
instance=gojitter_tap$$
event=goexec_tap$$
work=$(mktemp -d)
home=$HOME
export HOME="$work" # perf's build-id cache and plugins of the user's own
unset TRACEEVENT_PLUGIN_DIR

cleanup()
{
	if [ -d "$tracing/instances/$instance" ]; then
		for enable in "$tracing/instances/$instance/events/gojitter"/*/enable; do
			echo 0 >"$enable"
		done
		rmdir "$tracing/instances/$instance"
	fi
	for name in $probes; do echo "-:gojitter/$name" >>"$tracing/uprobe_events"; done
	rm -rf "$work"
}
probes=
trap cleanup EXIT
trap 'exit 1' HUP INT TERM

[ -f "$plugins/plugin_gojitter.so" ] || { echo "libtraceevent is not installed here"; exit 77; }

exports()
{
	sed -n 's/^[[:space:]]*\(tep_[a-z_]*\);/\1/p' plugins/perf/traceevent.map | sort >"$work/map"
	nm -D --defined-only "$plugins/plugin_gojitter.so" | awk '{ print $3 }' | sort |
		diff "$work/map" -
}
tap_check "exports what its map lists, no more" exports
without()
{
	make -n O="$work/off" PKG_CONFIG=false all >"$work/make" || return 1
	grep -q 'libtraceevent: \[off\]' "$work/make" && grep -q 'gojitter\.so' "$work/make" &&
		! grep -q 'traceevent\.o\|plugin_gojitter' "$work/make"
}
tap_check "without libtraceevent's headers all else is built" without
tap_check "needs no libtraceevent of its own" sh -c \
	"! readelf -d '$plugins/plugin_gojitter.so' | grep NEEDED | grep traceevent"

[ "$(id -u)" -eq 0 ] || { tap_skip "on real events" "probes need root"; tap_done; }
mountpoint -q $tracing || mount -t tracefs nodev $tracing 2>/dev/null
[ -w $tracing/uprobe_events ] || { tap_skip "on real events" "no tracefs with uprobes"; tap_done; }

# Fixtures come from the cache of whoever runs this, not from below $work.
cached() { HOME=$home "$@"; }
nm=$(cached tests/fixtures/gotool.sh nm) && objdump=$(cached tests/fixtures/gotool.sh objdump) ||
	{ tap_fail "builds Go's tools"; tap_done; }

build() # VERSION VARIANT: to $work/VERSION-VARIANT
{
	build_from=$(cached tests/fixtures/build.sh "$1" tests/traceevent/workers.go "$2") &&
		cp "$build_from" "$work/$1-$2"
}

field() # BINARY NAME: offset in runtime.g, from DWARF
{
	gdb -nx -batch -iex 'set auto-load off' -ex 'set language c' \
		-ex "print (long)&(('runtime.g' *)0)->$2" "$1" 2>/dev/null | sed 's/.* = //'
}

probe() # NAME BINARY TWIN [FETCHARGS]: on the jbe behind runtime.execute's stack check
{
	probe_va=$("$nm" "$3" | awk '$3 == "runtime.execute" { print $1 }')
	probe_off=$(readelf -lW "$2" | while read -r type off va rest; do
		[ "$type" = LOAD ] && echo $((0x$probe_va + 4 - va + off)) && break
	done)
	probe_args=${4:-"g=%ax:x64 goid=+$(field "$3" goid)(%ax):u64 stack_lo=+0(%ax):x64 stack_hi=+8(%ax):x64 start_pc=+$(field "$3" startpc)(%ax):x64"}
	printf 'p:gojitter/%s %s:0x%x %s\n' "$1" "$2" "$probe_off" "$probe_args" \
		>>$tracing/uprobe_events && probes="$probes $1"
}

unprobe()
{
	echo "-:gojitter/$1" >>$tracing/uprobe_events
	unprobe_left=
	for unprobe_name in $probes; do
		[ "$unprobe_name" = "$1" ] || unprobe_left="$unprobe_left $unprobe_name"
	done
	probes=$unprobe_left
}

with_plugin() { TRACEEVENT_PLUGIN_DIR=$plugins "$@"; }
lines() { grep -o 'goroutine [0-9?].*'; }

record() # NAME BINARY FILE [OPTION...]
{
	record_name=$1 record_binary=$2 record_file=$3
	shift 3
	perf record -q -e "gojitter:$record_name" -o "$record_file" "$@" -- \
		"$record_binary" >"$record_file.said"
}

as_expected() # FILE TWIN [PERF]
{
	perf script -i "$1" >"$work/stock" || return 1
	[ "$(wc -l <"$work/stock")" -gt 100 ] || { echo "few hits"; return 1; }
	tests/traceevent/expect.py "$nm" "$objdump" "$2" "$1.said" <"$work/stock" >"$work/want" || return 1
	with_plugin "${3:-perf}" script -i "$1" | lines | diff - "$work/want"
}

# Release, how the program is built, and the build of it that has symbols.
while read -r version variant twin; do
	build "$version" "$variant" && build "$version" "$twin" ||
		{ tap_fail "$version $variant: builds"; continue; }
	file=$work/$version-$variant
	probe "$event" "$file" "$work/$version-$twin" || { tap_fail "$version $variant: probe"; continue; }
	tap_check "$version $variant: records" record "$event" "$file" "$file.data"
	unprobe "$event"
	tap_check "$version $variant: perf script" as_expected "$file.data" "$work/$version-$twin"
done <<END
1.19 exe exe
1.22 exe exe
1.22 nosym exe
1.22 pie pie
1.27 exe exe
END

for version in 6.12; do
	newer=$(cached tests/perf/perf.sh $version) || { tap_fail "has perf $version"; continue; }
	tap_check "perf $version script" as_expected "$work/1.22-exe.data" "$work/1.22-exe" "$newer"
done

# What other hosts print, beside the stock fields of the same records.
file=$work/1.22-pie
number=63
while grep -q "gojitter/goexec_$number " $tracing/uprobe_events; do number=$((number - 1)); done

same_lines() # STOCK SAID OURS: files
{
	[ "$(wc -l <"$1")" -gt 100 ] || { echo "few hits"; cat "$1"; return 1; }
	tests/traceevent/expect.py "$nm" "$objdump" "$file" "$2" <"$1" >"$work/want" || return 1
	lines <"$3" | diff - "$work/want"
}

perf_trace()
{
	with_plugin perf trace --libtraceevent_print -e "gojitter:$event" -o "$work/trace" -- \
		"$file" >"$work/trace.said" || return 1
	grep -q "gojitter:$event(goroutine " "$work/trace" || { tail -n 3 "$work/trace"; return 1; }
	sed 's/)$//' "$work/trace" | lines | sed 's/ (g=.*//' | sort -u >"$work/trace.starts"
	sed 's/^\([0-9]*\) \(.*\)/goroutine \1 starts running \2/' "$work/trace.said" | sort |
		comm -23 - "$work/trace.starts" >"$work/missing"
	[ ! -s "$work/missing" ] && grep -q 'goroutine 1 starts running runtime.main$' "$work/trace.starts" ||
		{ cat "$work/missing" "$work/trace.starts"; return 1; }
}

# Not trace-cmd record: it writes a sysctl that not every machine lets it. Extracting removes the instance.
trace_cmd() # NAME
{
	mkdir "$tracing/instances/$instance" &&
		echo 1 >"$tracing/instances/$instance/events/gojitter/$1/enable" &&
		"$file" >"$work/dat.said" &&
		echo 0 >"$tracing/instances/$instance/events/gojitter/$1/enable" &&
		(cd "$work" && trace-cmd extract -B "$instance" -o trace.dat 2>&1) || return 1
	trace-cmd report -i "$work/trace.dat" >"$work/report" 2>"$work/err" ||
		{ echo "trace-cmd report: status $?"; cat "$work/err"; return 1; }
	grep goexec_ "$work/report" >"$work/dat.stock" || { cat "$work/report" "$work/err"; return 1; }
}

trace_cmd_report()
{
	with_plugin trace-cmd report -i "$work/trace.dat" 2>"$work/err" | grep goexec_ >"$work/dat.ours"
	same_lines "$work/dat.stock" "$work/dat.said" "$work/dat.ours" &&
		! grep -i 'could not\|error' "$work/err"
}

# The numbers stay, the names are gone with the probe.
trace_cmd_later()
{
	with_plugin trace-cmd report -i "$work/trace.dat" 2>/dev/null | lines >"$work/ours"
	sed 's/.* g=\(0x[0-9a-f]*\) goid=\([0-9]*\) .* start_pc=\(0x[0-9a-f]*\).*/goroutine \2 starts running \3 (g=\1)/' \
		"$work/dat.stock" | diff - "$work/ours"
}

through_pipe()
{
	perf record -q -e "gojitter:$event" -o - -- sh -c "$file >'$work/pipe.said'" >"$work/pipe.data" &&
		perf script -i - <"$work/pipe.data" >"$work/stock" &&
		with_plugin perf script -i - <"$work/pipe.data" >"$work/ours" &&
		same_lines "$work/stock" "$work/pipe.said" "$work/ours"
}

until_true() # COMMAND...: for ten seconds
{
	for until_i in $(seq 50); do
		"$@" && return 0
		sleep 0.2
	done
	return 1
}

# A process that lives: by what it has mapped, its binary having moved since the probe was made.
living()
{
	"$work/moved" wait <"$work/words" >"$work/live.said" &
	living_pid=$!
	exec 8>"$work/words"
	TRACEEVENT_PLUGIN_DIR=$plugins perf trace --libtraceevent_print -e "gojitter:$event" \
		-p $living_pid -o "$work/live" 8>&- & # ends with the process
	living_perf=$!
	until_true sh -c "ls -l /proc/$living_perf/fd | grep -q perf_event" && sleep 0.3
	printf 1 >&8
	until_true grep -qs 'goroutine 1 starts running runtime.main' "$work/live"
	printf 2 >&8
	wait $living_pid
	wait $living_perf
	echo "perf trace: status $?, $(wc -l <"$work/live") lines"
	exec 8>&-
	for start in worker '(*server).serve' main.func1; do
		grep -qF "starts running main.$start (g=" "$work/live" || { tail -n 3 "$work/live"; return 1; }
	done
}

probe "$event" "$file" "$file" || tap_fail "probe"
probe "goexec_$number" "$file" "$file" || tap_fail "probe"
tap_check "perf trace --libtraceevent_print" perf_trace
tap_check "perf script of a pipe" through_pipe
tap_check "trace-cmd extract" trace_cmd "$event"
tap_check "trace-cmd report" trace_cmd_report
tap_check "trace-cmd extract, numbered event" trace_cmd "goexec_$number"
tap_check "trace-cmd report, numbered event" trace_cmd_report
unprobe "goexec_$number"
unprobe "$event"
tap_check "trace-cmd report without the probe" trace_cmd_later
cp "$file" "$work/first" && probe "$event" "$work/first" "$file" && mv "$work/first" "$work/moved" &&
	mkfifo "$work/words"
tap_check "a living process" living
unprobe "$event"

# What the plugin has to leave alone or knows less of.
unchanged() # FILE
{
	perf script -i "$1" >"$work/stock" && with_plugin perf script -i "$1" | diff "$work/stock" - &&
		[ -s "$work/stock" ]
}
starts_are_hex()
{
	with_plugin perf script -i "$1" | lines >"$work/ours"
	grep -q 'goroutine 1 starts running 0x[0-9a-f]* (g=0x' "$work/ours" &&
		! grep -v 'goroutine [0-9]* starts running 0x[0-9a-f]* (g=0x' "$work/ours"
}

probe "$event" "$file" "$file" "g=%ax:x64" && record "$event" "$file" "$work/short.data"
unprobe "$event"
tap_check "an event without goid is left alone" unchanged "$work/short.data"
probe "$event" "$file" "$file" "g=%ax:x64 goid=+$(field "$file" goid)(%ax):u64" &&
	record "$event" "$file" "$work/short.data"
unprobe "$event"
tap_check "an event without start_pc" sh -c "TRACEEVENT_PLUGIN_DIR='$plugins' perf script -i '$work/short.data' |
	grep -q 'goroutine 1 starts running (g=0x[0-9a-f]*)\$'"
probe "$event" "$file" "$file" "g=%ax:x64 goid=+0(%cx):u64 start_pc=+0(%cx):x64" &&
	record "$event" "$file" "$work/short.data"
unprobe "$event"
tap_check "memory the kernel could not read" sh -c "TRACEEVENT_PLUGIN_DIR='$plugins' perf script -i '$work/short.data' |
	grep -q 'goroutine ? starts running (g=0x[0-9a-f]*)\$'"
perf record -q -e sched:sched_switch -o "$work/other.data" -- sleep 0.1
tap_check "other events are left alone" unchanged "$work/other.data"
cp "$work/1.22-exe.data" "$work/replaced.data" && mv "$work/1.22-exe" "$work/kept" &&
	cp "$work/1.19-exe" "$work/1.22-exe"
tap_check "another program in the binary's place" starts_are_hex "$work/replaced.data"
cp "$work/kept" "$work/new" && mv "$work/new" "$work/1.22-exe"
tap_check "another file in the binary's place" starts_are_hex "$work/replaced.data"
rm "$work/1.22-exe"
tap_check "no file in the binary's place" starts_are_hex "$work/replaced.data"
for cut in 100 5000 20000; do
	head -c $cut "$work/1.22-pie.data" >"$work/cut.data"
	tap_check "recording cut at $cut: no other status" sh -c \
		"perf script -i '$work/cut.data' >'$work/stock' 2>/dev/null; want=\$?
		TRACEEVENT_PLUGIN_DIR='$plugins' perf script -i '$work/cut.data' >'$work/ours' 2>/dev/null; [ \$? -eq \$want ]"
done
tap_done
