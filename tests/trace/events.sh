#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# gojitter trace --events and gojitter events: counts, order, names, loss, cut files.
. tests/tap.sh
. tests/load/lib.sh

[ "$(id -u)" -eq 0 ] || { tap_skip 'events' 'uprobes want root'; tap_done; }
# GOGC: the program's own collections only.
does() # CHECK VERSION
{
	toolchain=$(tests/toolchains.sh "$2") && binary=$(tests/fixtures/build.sh "$2" tests/trace/events.go exe) &&
		python3 tests/trace/events.py "$1" "$binary" "${2#1.}" "${toolchain#* }" "$work"
}
for version in ${GJ_GO_VERSIONS:-1.19 1.22 1.24 1.25 1.26 1.27}; do
	tap_check "$version: file, maps and program agree" does ring "$version"
	[ -z "${GJ_TEST_VERBOSE:-}" ] || printf '%s\n' "$tap_out"
done
# The newest release's parser reads the traces of all others.
beside_trace() # VERSION
{
	newest=$(tests/toolchains.sh 1.27) && binary=$(tests/fixtures/build.sh "$1" tests/trace/events.go exe) &&
		python3 tests/trace/events.py trace "$binary" "${1#1.}" "${newest#* }" "$work"
}
for version in ${GJ_TRACE_BESIDE:-1.22 1.27}; do
	tap_check "$version: every change is in Go's own trace, and no other" beside_trace "$version"
	echo "$tap_out" | sed -n 's/^[0-9]* changes;/# &/p'
done
tap_check 'the same through perf buffers' does perf 1.24
in_namespace()
{
	toolchain=$(tests/toolchains.sh 1.24) && binary=$(tests/fixtures/build.sh 1.24 tests/trace/events.go exe) &&
		unshare -pf --mount-proc python3 tests/trace/events.py ring "$binary" 24 "${toolchain#* }" "$work"
}
tap_check 'the same in a pid namespace' in_namespace
tap_check 'threads: file and map agree' does threads 1.24
tap_check 'a buffer that is too small: what is kept and what is lost are all' does tiny 1.24
tap_check 'a file cut anywhere is good up to there' does cut 1.26

# Ends, and what stays.
start "$(tests/fixtures/build.sh 1.24 tests/load/ticks.go exe)"
target=$pid
file=$work/file
traces() { "$gojitter" trace -q --instance "$ours" -o "$file" "$@"; }
is_whole() { "$gojitter" events "$file" >"$work/text" && [ -s "$work/text" ]; }
has_events() { "$gojitter" events "$file" 2>/dev/null | grep -q goroutine; }
is_gone() { [ ! -e "$pins/$ours" ] && no_leftovers; }
tap_check '--for ends it' timeout 20 "$gojitter" trace -q --instance "$ours" -o "$file" -p "$target" --events --for 300ms
tap_check 'the file is whole' is_whole
tap_check 'the instance is gone' is_gone
tap_check 'the target goes on' is_ticking "$target"
sizes() { for prog in gj_on_casgstatus gj_on_stw_started; do
	bpftool -j prog show pinned "$pins/$ours/progs/$prog" | sed 's/.*"bytes_xlated":\([0-9]*\).*/\1/'; done; }

# SIGKILL at the reader: the rest stays, counts what it loses, and is removed as any other.
traces -p "$target" --events --events-buffer=4K &
reader=$!
pids="$pids $reader"
until_true test -e "$pins/$ours"
sleep 0.5
note
kill -9 $reader
wait $reader 2>/dev/null
sizes >"$work/with"
tap_check 'its reader is killed: the instance stays' test -e "$pins/$ours/events"
says() { "$gojitter" events "$file" >/dev/null; }
tap_check 'the file is cut, in one line' refuses 1 'it has no end' says
lost() { dump drops | tr -d ' \n' | grep -Eq '"formatted":\{"key":4,"values":\[[^]]*"value":[1-9]'; }
tap_check 'what nobody reads is counted' until_true lost
tap_check 'a second one is refused' refuses 1 "instance $ours is there already" \
	"$gojitter" trace -p "$target" --events -o "$work/other" --instance "$ours"
tap_check 'and leaves no file' test ! -e "$work/other"
tap_check 'untrace removes it' "$gojitter" untrace --instance "$ours"
tap_check 'nothing is left of it' until_true nothing_left

# Without --events everything is as it was.
tap_check 'without --events' "$gojitter" trace -q -p "$target" --what goroutines,gc --instance "$ours"
sizes >"$work/without"
tap_check 'there is no map of events' test ! -e "$pins/$ours/events"
smaller() # The verifier has taken out what tells them.
{
	paste "$work/with" "$work/without" | tee /dev/stderr | awk '$2 >= $1 { bad = 1 } END { exit bad || NR != 2 }'
}
tap_check 'and no code that tells them' smaller
"$gojitter" untrace --instance "$ours"

# The end of the target, of an instance, of a disk.
rm "$file"
traces -p "$target" --events &
reader=$!
pids="$pids $reader"
until_true has_events
stop "$target"
ends() # READER
{
	wait "$1"
	echo $? >"$work/status"
}
ends $reader
tap_check 'the end of the target is the end' grep -x 0 "$work/status"
tap_check 'with a whole file' is_whole
tap_check 'and no instance' is_gone
start "$(tests/fixtures/build.sh 1.24 tests/load/ticks.go exe)"
traces -p "$pid" --events &
reader=$!
pids="$pids $reader"
until_true test -e "$pins/$ours"
"$gojitter" untrace --instance "$ours"
ends $reader
tap_check 'untrace from elsewhere ends it' grep -x 0 "$work/status"
if [ -e /dev/full ]; then
	tap_check 'a device is no file' refuses 1 '/dev/full: no regular file' \
		"$gojitter" trace -p "$pid" --events -o /dev/full --instance "$ours"
fi
mkdir "$work/small"
if mount -t tmpfs -o size=8k none "$work/small" 2>"$work/why"; then
	full() { "$gojitter" trace -q -p "$pid" --events -o "$work/small/file" --instance "$ours"; }
	tap_check 'a full disk is said, in one line' refuses 1 'small/file: No space left' full
	tap_check 'and takes the instance away' is_gone
	umount "$work/small"
else
	tap_skip 'a full disk' "no file system of its own: $(cat "$work/why")"
fi

# Wrong usage and wrong files.
tap_check 'a kind that is none' refuses 2 '--events=?[ =]nonsense: there are' \
	"$gojitter" trace -p "$pid" --events=nonsense
tap_check 'a feature that has none' refuses 2 'nothing that is traced' "$gojitter" trace -p "$pid" --what alloc --events
tap_check 'options of events without them' refuses 2 'go with --events' "$gojitter" trace -p "$pid" --for 1s
tap_check 'no directory' refuses 1 'No such file' "$gojitter" trace -p "$pid" --events -o "$work/none/x" --instance "$ours"
tap_check 'no such file' refuses 1 'No such file' "$gojitter" events "$work/none"
tap_check 'no file of events' refuses 1 'no file of events' "$gojitter" events tests/tap.sh
mkfifo "$work/pipe"
tap_check 'a pipe' refuses 1 'no regular file' "$gojitter" events "$work/pipe"
tap_check 'a directory' refuses 1 'directory' "$gojitter" events "$work"
stop "$pid"
tap_done
