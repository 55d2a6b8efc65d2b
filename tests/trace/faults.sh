#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# What gojitter trace tells when there is much to tell or something goes wrong: goroutines
# by the ten thousand, maps that are full, two instances, processes that are killed, start
# anew, become themselves or are replaced. The target goes on, counts stay exact, what is
# missing has been counted.
. tests/tap.sh
. tests/load/lib.sh

seconds=${GJ_FAULT_SECONDS:-3}
kills=${GJ_FAULT_KILLS:-6}
instants=${GJ_FAULT_INSTANTS:-8}
[ "$(id -u)" -eq 0 ] || { tap_skip 'faults' 'uprobes want root'; tap_done; }
mountpoint -q /sys/fs/bpf || mount -t bpf bpf /sys/fs/bpf

trace() { "$gojitter" trace -q --instance "$ours" "$@" || return; note; }
untrace() { "$gojitter" untrace --instance "$ours"; }
figure() { tests/trace/faults.py "$pins/$ours" "$@"; }
equals() { [ "$1" -eq "$2" ] || { echo "$1 is not $2"; return 1; }; }

# Starts a program that is told what to do by fd 5 and answers into $work/answers.
begin() # BINARY
{
	rm -f "$work/orders"
	mkfifo "$work/orders"
	"$1" <"$work/orders" >"$work/answers" &
	pid=$!
	pids="$pids $pid"
	exec 5>"$work/orders"
	until_true grep -q ready "$work/answers"
}
ends()
{
	exec 5>&-
	wait "$pid"
}
# Tells it, sets $answer.
tell() # ORDER...
{
	lines=$(wc -l <"$work/answers")
	echo "$*" >&5
	for try in $(seq 3000); do
		[ "$(wc -l <"$work/answers")" -eq "$lines" ] || break
		sleep 0.05
	done
	answer=$(tail -n 1 "$work/answers")
}
goes_on() { tell create 10 1; [ "$answer" = 10 ]; }

# Creations and ends, as many as there were.
for version in ${GJ_GO_VERSIONS:-1.22 1.27}; do
	binary=$(tests/fixtures/build.sh "$version" tests/trace/crowd.go exe) || exit 1
	begin "$binary"
	trace -p "$pid" --what goroutines
	tell create 10000 "$seconds"
	name="Go $version, 10,000 goroutines a second for $seconds s"
	tap_check "$name: the program made them" equals "$answer" $((10000 * seconds))
	tap_check "$name: created" equals "$(figure counts "$pid" created)" "$answer"
	tap_check "$name: put on threads" equals "$(figure starts "$pid" main.)" "$(figure starts "$pid" main.create)"
	tap_check "$name: each" equals "$(figure starts "$pid" main.create)" "$answer"
	tap_check "$name: ended" equals "$(figure counts "$pid" exited)" "$answer"
	tap_check "$name: none is left in the table" equals "$(figure in any "$pid" main.create)" 0
	tap_check "$name: nothing was dropped" equals "$(figure drops)" 0

	# States, at many instants.
	wrong=0 said=
	for round in $(seq "$instants"); do
		tell states
		said=$(figure states "$pid" "$answer") || wrong=$((wrong + 1))
		[ -z "$said" ] || echo "# $said"
	done
	tap_check "Go $version: what actors do, at $instants instants" equals $wrong 0
	ends
	untrace
done

# Two instances of one process.
begin "$binary"
trace -p "$pid" --what goroutines
"$gojitter" trace -q -p "$pid" --instance "$ours-2" --what goroutines
tell create 2000 1
second() { tests/trace/faults.py "$pins/$ours-2" "$@"; }
for field in created exited; do
	tap_check "two instances: $field" equals "$(figure counts "$pid" $field)" 2000
	tap_check "two instances: $field in both" equals "$(second counts "$pid" $field)" 2000
done
tap_check 'two instances agree on what was put on threads' equals \
	"$(figure starts "$pid" main.create)" "$(second starts "$pid" main.create)"
"$gojitter" untrace --instance "$ours-2"
tell create 1000 1
tap_check 'one gone, the other goes on' equals "$(figure counts "$pid" created)" 3000

# Maps that are full: what has no room was counted, counts do not need it.
before=$(figure drops)
for map in goroutines sched_latency blocked blocked_stacks wakers; do
	tap_check "$map is full" "$O/tests/trace/fill" "$pins/$ours/$map"
done
tell hold 500
tap_check 'maps full: creations are counted' equals "$(figure counts "$pid" created)" 3500
tap_check 'maps full: none found room' equals "$(figure in any "$pid" main.hold)" 0
dropped=$(($(figure drops) - before))
tap_check "maps full: each is missing in drops ($dropped)" [ $dropped -ge 500 ]
for map in goroutines sched_latency blocked blocked_stacks wakers; do
	"$O/tests/trace/fill" -d "$pins/$ours/$map"
done
before=$(figure drops)
tell hold 100
parked() { equals "$(figure in g_waiting "$pid" main.hold)" 100; }
tap_check 'room again: those to come are there' until_true parked
tap_check 'and nothing more was dropped' equals "$(figure drops)" "$before"
tap_check 'the target goes on' goes_on
ends
untrace
tap_check 'nothing is left' until_true nothing_left

# Killed, started anew, become itself anew, replaced.
cp "$binary" "$work/app"
trace -e "$work/app" --what goroutines
begin "$work/app"
first=$pid
tap_check 'by file: it is a target' until_true has_target "$first"
kill -9 "$first"
wait "$first" 2>/dev/null
exec 5>&-
gone() { ! has_target "$1"; }
tap_check 'killed: it is none any more' until_true gone "$first"
begin "$work/app"
tap_check 'started anew: it is' until_true has_target "$pid"
had=$(figure counts "$pid" created)
tell create 700 1
tap_check 'started anew: creations' equals $(($(figure counts "$pid" created) - had)) 700
ready=$(grep -c ready "$work/answers")
echo exec >&5
is_again() { [ "$(grep -c ready "$work/answers")" -gt "$ready" ]; }
until_true is_again
had=$(figure counts "$pid" created)
echo "create 900 1" >&5
made() { equals $(($(figure counts "$pid" created) - had)) 900; }
tap_check 'become itself anew: a target, and creations' until_true made
cp "$binary" "$work/new"
mv "$work/new" "$work/app"
had=$(figure counts "$pid" created)
echo "create 300 1" >&5
made() { equals $(($(figure counts "$pid" created) - had)) 300; }
tap_check 'its file replaced: what runs is still traced' until_true made
old=$pid
exec 6>&5
begin "$work/app"
tap_check 'the new file is another program' gone "$pid"
trace -e "$work/app" --what goroutines --take-over
tap_check 'until it is asked for' until_true has_target "$pid"
tap_check 'the old one is none now' gone "$old"
had=$(figure counts "$pid" created)
tell create 400 1
tap_check 'and its creations' equals $(($(figure counts "$pid" created) - had)) 400
exec 6>&-
ends
wait "$old"

# Killed at any time, again and again.
left=0
for try in $(seq "$kills"); do
	"$work/app" <>"$work/orders" >/dev/null &
	victim=$!
	sleep "0.0$((try % 10))"
	kill -9 $victim
	wait $victim 2>/dev/null
done
none() { [ "$(dump targets)" = '[]' ]; }
tap_check "$kills killed: no target is left" until_true none
untrace

# The target killed while it is being hooked: refused or not, nothing stays.
for try in $(seq "$((kills / 2))"); do
	"$work/app" <>"$work/orders" >/dev/null &
	victim=$!
	pids="$pids $victim"
	"$gojitter" trace -q -p $victim --instance "$ours" --what all >"$work/said" 2>&1 &
	loader=$!
	sleep "0.$((try % 4))$((try % 10))"
	kill -9 $victim
	wait $victim 2>/dev/null
	wait $loader
	status=$?
	[ ! -e "$pins/$ours" ] || { until_true none || left=$((left + 1)); note; untrace; }
	[ $status -le 1 ] && [ "$(wc -l <"$work/said")" -le 2 ] || { left=$((left + 1)); cat "$work/said"; }
done
tap_check 'killed while it is being hooked: refused, or no target any more' equals $left 0
# The loader killed while it hooks. It may be that the kernel then leaves breakpoints, which
# do nothing ("leaking uprobe"); hooking the same places once more takes them away.
begin "$binary"
changed() { tests/trace/faults.py - code "$pid" "$binary"; }
killed=0
for try in $(seq "$kills"); do
	"$gojitter" trace -q -p "$pid" --instance "$ours" --what all 2>/dev/null &
	loader=$!
	while [ -e /proc/$loader/exe ] && ! ls /sys/fs/bpf/gojitter/making/"$ours"-*/links/* >/dev/null 2>&1; do :; done
	kill -9 $loader 2>/dev/null
	wait $loader
	[ $? -ne 137 ] || killed=$((killed + 1))
	untrace 2>/dev/null
done
tap_check "the loader killed while it hooks, $killed times" [ $killed -ge 1 ]
trace -p "$pid" --what all
tap_check 'the next start hooks the target' [ "$(changed)" -gt 0 ]
untrace
as_it_was() { equals "$(changed)" 0; }
tap_check 'and its end leaves the code as it was' until_true as_it_was
tap_check 'the target goes on' goes_on
ends
tap_check 'nothing is left at the end' until_true nothing_left
tap_done
