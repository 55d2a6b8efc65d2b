#!/bin/sh
# gojitter inject: copies of recordings as stock perf reads them. The chains are the
# session's, address by address, and perf 7.3's own where that unwinds a whole
# stack; all else is as it was.
#
#   inject.sh [GO:VARIANT...]   the programs of dwarf recordings
set -u
[ $# -gt 0 ] || set -- 1.19:exe 1.27:pie
perfs=${GJ_PERFS:-6.1 6.12 7.3}
GJ_PERFS=$perfs
. tests/perf/plugin-lib.sh

gojitter=$(cd "$O" && pwd)/gojitter
newest=$(perf_of 7.3) || { tap_skip "perf 7.3" "cannot be had"; tap_done; }

# The session's chains are taken from the perf that inject runs, too: the newest has a
# /usr of its own here, and so another libc than the one that was recorded.
PERF=$recorder
export PERF

quietly() { "$@" 2>"$work/err" || { cat "$work/err"; return 1; }; }
chains() { "$1" script -i "$2" --no-inline --ns --max-stack 1024 -F tid,time,ip,sym 2>"$work/err"; }

# What perf says of a recording but for sizes, places and the one event's attr.
header()
{
	"$1" report -i "$2" --header-only 2>/dev/null |
		grep -vE '^# (captured on|data offset|data size|feat offset|event :)'
}

same_fields() # PERF FIELDS
{
	"$1" script -i "$in" --ns -F "$2" >"$work/in.txt" 2>/dev/null
	"$1" script -i "$out" --ns -F "$2" >"$work/out.txt" 2>/dev/null
	[ "$(wc -l <"$work/in.txt")" -ge 10 ] && diff "$work/in.txt" "$work/out.txt"
}

same_header()
{
	header "$1" "$in" >"$work/in.txt"
	header "$1" "$out" >"$work/out.txt"
	grep -q '^# cmdline' "$work/in.txt" && diff "$work/in.txt" "$work/out.txt"
}

# Records by kind, and build ids.
same_contents()
{
	for file in in out; do
		eval "data=\$$file"
		"$1" report -i "$data" --stats >"$work/$file.txt" 2>/dev/null
		"$1" buildid-list -i "$data" >>"$work/$file.txt" 2>/dev/null
	done
	grep -q 'SAMPLE events' "$work/in.txt" && diff "$work/in.txt" "$work/out.txt"
}

same_chains()
{
	page=
	[ "$2" != 6.1 ] || page=--page
	chains "$1" "$out" >"$work/out.txt"
	quietly tests/inject/compare.py same "$work/in.json" "$work/out.txt" $page
}

# runtime.goexit has nearly everything below it, or runtime.mstart where the dump is of a
# thread's stack and does not reach the goroutine's. --no-inline: perf 7.3 gives up where
# addr2line gives no answer.
shows_roots()
{
	"$1" report -i "$out" --no-inline --stdio --children -g none -s sym 2>"$work/err" >"$work/report.txt"
	awk -v least="$roots" '/runtime\.(goexit|mstart\.|mstart$)/ { sum += $1 } END { exit sum < least }' "$work/report.txt" ||
		{ head -n 30 "$work/report.txt" "$work/err"; return 1; }
}

check() # NAME FIELDS: $in as it was recorded, $roots the least percentage below roots
{
	out=$work/out.data
	rm -f "$out"
	tap_check "$1: inject" quietly "$gojitter" inject -i "$in" -o "$out"
	[ -s "$out" ] || return
	"$recorder" script -i "$in" --dlfilter "$plugin" --dlarg format=json --dlarg goid=off --dlarg inline=off \
		>"$work/in.json" 2>"$work/err"
	for version in $perfs; do
		perf=$(perf_of "$version") || { tap_skip "$1: perf $version" "cannot be had"; continue; }
		tap_check "$1: perf $version: samples as they were" same_fields "$perf" "$2"
		tap_check "$1: perf $version: header as it was" same_header "$perf"
		tap_check "$1: perf $version: records and build ids as they were" same_contents "$perf"
		tap_check "$1: perf $version: chains are the session's" same_chains "$perf" "$version"
		tap_check "$1: perf $version: report knows the roots" shows_roots "$perf"
	done
}

check_truth() # NAME LEAST
{
	chains "$newest" "$in" >"$work/stock.txt"
	chains "$newest" "$out" >"$work/out.txt"
	tap_check "$1: chains are perf's own where those are whole" \
		tests/inject/compare.py truth "$work/stock.txt" "$work/out.txt" "$2"
}

works="inlined generic closures assembly garbage"
in=$work/in.data roots=80
for go; do
	app=$(fixture "${go%:*}" "${go#*:}") || exit 1
	record "$in" --call-graph dwarf,16384 -e "$sampler" -- "$app" 0.4 $works || continue
	check "dwarf, Go ${go%:*}" comm,pid,tid,time,event,period,uregs
	check_truth "dwarf, Go ${go%:*}" 10
done

# Go, C without frame pointers, Go and C again, each on its stack. A dump taken in C
# does not reach the goroutine's.
roots=50
cgo=$(tests/fixtures/build.sh 1.24 cgostacks cgo) && app=$(fixture 1.24 exe) || exit 1
record "$in" --call-graph dwarf,16384 -e "$sampler" -- sh -c "timeout 0.6 $cgo; true" &&
	check "cgo" comm,pid,tid,time,event,period

# Compressed; the copy is not.
record "$in" -z --call-graph dwarf,16384 -e "$sampler" -- "$app" 0.4 $works && {
	out=$work/out.data
	tap_check "-z: inject" quietly "$gojitter" inject -i "$in" -o "$out"
	"$recorder" script -i "$in" --dlfilter "$plugin" --dlarg format=json --dlarg goid=off --dlarg inline=off \
		>"$work/in.json" 2>"$work/err"
	tap_check "-z: samples as they were" same_fields "$newest" comm,pid,tid,time,event,period,uregs
	tap_check "-z: chains are the session's" same_chains "$newest" 7.3
}

record "$in" -a --sample-cpu -g --user-regs=r14,sp,bp,ip -e "$sampler" -e sched:sched_switch -- "$app" 0.4 $works
roots=5
check "two events, frame pointers, the whole machine" comm,pid,tid,cpu,time,event,period,trace
tap_done
