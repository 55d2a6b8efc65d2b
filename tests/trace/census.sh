#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# gojitter trace --what census: what `cat` of it leaves in the maps, as stock bpftool
# prints them, against what the program knows of itself and the Go runtime's own dump.
. tests/tap.sh
. tests/load/lib.sh

[ "$(id -u)" -eq 0 ] || { tap_skip 'census' 'iterators want root'; tap_done; }
mountpoint -q /sys/fs/bpf || mount -t bpf bpf /sys/fs/bpf
ours=census-test-$$
maps='census_counts census_goroutines census_passes targets'
# Checks run in subshells; what they have begun is known by its file.
trap 'pids=$(cat "$work/pids" 2>/dev/null); load_clean' EXIT

# A crowd in $work/NAME, its number in $pid. It hears `tell`.
begin() # NAME VERSION:FORM ARGUMENT
{
	dir=$work/$1
	mkdir "$dir" && mkfifo "$dir/in" || return 1
	program=tests/trace/crowd
	[ "${2#*:}" != cgo ] || program=tests/trace/crowd_c
	binary=$(tests/fixtures/build.sh "${2%:*}" $program "${2#*:}") || return 1
	# Opened for both, so that nobody waits for the other.
	GOTRACEBACK=system "$binary" "$3" <>"$dir/in" >>"$dir/out" 2>"$dir/err" &
	pid=$!
	echo $pid >>"$work/pids"
	until_ready
}

# Ten thousands of goroutines on a busy machine take a while.
until_ready()
{
	for _ in $(seq 600); do
		! grep -qx ready "$dir/out" || return 0
		[ -d "/proc/$pid" ] || break
		sleep 0.05
	done
	echo 'the program has not begun'
	return 1
}

tell() { echo "$1" >"$dir/in"; }
cat_census() { cat "$pins/$ours/census"; }
keep() # DIR
{
	cat_census >"$1/text" || return 1
	for map in $maps; do
		dump "$map" >"$1/$map.json" || return 1
	done
}
quit() { kill -QUIT "$1"; wait "$1"; [ $? -eq 2 ]; }
# As quit, for those that are no children of this shell.
die()
{
	kill -QUIT "$1"
	until_true sh -c "! grep -q '^State:.[^Z]' /proc/$1/status"
}
untrace() { "$gojitter" untrace --instance "$ours"; }

is_equal() # VERSION:FORM
{
	minor=${1%:*}
	begin "$1" "$1" 5 || return 1
	"$gojitter" trace -q -p "$pid" --what census --budget off --instance "$ours" && keep "$dir" && untrace &&
		quit "$pid" && tests/trace/census.py still "$dir" "${minor#1.}" "$pid"
}
for form in ${GJ_CENSUS_FORMS:-1.19:exe 1.22:exe 1.24:strip 1.25:exe 1.26:exe 1.27:exe 1.22:pie 1.27:pie+nosym 1.19:cgo 1.26:cgo}; do
	tap_check "Go $form: what SIGQUIT tells of every goroutine" is_equal "$form"
	untrace 2>/dev/null
done

# Stacks of goroutines that do not stay.
never_wrong() # swap|move|spin VERSION PASSES
{
	begin "$1-$2" "$2:exe" "$1" || return 1
	"$gojitter" trace -q -p "$pid" --what census --budget off --instance "$ours" || return 1
	for i in $(seq "$3"); do
		cat_census || return 1
		[ $((i % 4)) -ne 0 ] || dump census_goroutines >"$dir/$i.json" || return 1
	done >"$dir/text"
	untrace && stop "$pid"
	root=$(tests/toolchains.sh "$2" | cut -d' ' -f2)
	GOROOT=$root GOTOOLCHAIN=local "$root/bin/go" tool nm "$binary" >"$dir/nm"
	tests/trace/census.py busy "$1" "$dir" "$dir/nm"
}
for version in ${GJ_CENSUS_BUSY:-1.19 1.27}; do
	tap_check "Go $version: no stack of what is switched all the time is wrong" never_wrong swap "$version" 80
	untrace 2>/dev/null
	tap_check "Go $version: nor of what the collector moves" never_wrong move "$version" 40
	untrace 2>/dev/null
	tap_check "Go $version: nor of what gives its thread up" never_wrong spin "$version" 40
	untrace 2>/dev/null
done

# Two releases, without --what.
two()
{
	"$gojitter" trace -p "$first,$pid" --instance "$ours" >"$work/said" 2>&1 && grep -q '^gojitter: census: nothing is hooked' "$work/said" &&
		keep "$work/one" && keep "$work/two" && die "$first" && die "$pid" &&
		tests/trace/census.py still "$work/one" 24 "$first" && tests/trace/census.py still "$work/two" 26 "$pid"
}
begin one 1.24:exe 3 || exit 1
first=$pid
begin two 1.26:exe 4 || exit 1
tap_check 'two releases at once, by default' two
no_entry() # PID
{
	cat_census >"$work/text" || return 1
	! grep "pid $1:" "$work/text" || return 1
	for map in census_counts census_goroutines census_passes; do
		! dump $map | grep -E "\"tgid\": *$1,|\"key\": *$1," || return 1
	done
}
tap_check 'processes that have ended leave nothing' no_entry "$pid"
untrace 2>/dev/null

# One that stays while others end.
func_cnt() { dump census_goroutines | grep -o "\"func\": *\"main.$1\"" | wc -l; }
same_since() # of the receivers, each once
{
	dump census_goroutines | python3 -c 'import json, sys
values = [e["formatted"]["value"] for e in json.load(sys.stdin)]
print(*sorted({v["same_since_ns"] for v in values if v["func"] == "main.receiver"}))'
}
shrinks()
{
	cat_census || return 1
	[ "$(func_cnt leaver)" -eq 30 ] || return 1
	before=$(same_since)
	tell end
	until_true grep -qx ended "$dir/out" || return 1
	sleep 0.2
	cat_census || return 1
	[ "$(func_cnt leaver)" -eq 0 ] && [ "$(func_cnt receiver)" -eq 30 ] || return 1
	! dump census_counts | grep -q '"func": *"main.leaver"' || { echo 'they are counted still'; return 1; }
	[ -n "$before" ] && [ "$(same_since)" = "$before" ] || { echo "same since $before, $(same_since)"; return 1; }
}
# Which collection has found a goroutine waiting first, the runtime notes by the end of
# the one before (Go src/runtime/mgcmark.go, markroot).
now() { python3 -c 'import time; print(time.monotonic_ns())'; }
collect()
{
	told=$(grep -c collected "$dir/out")
	tell gc
	until_true sh -c "[ \$(grep -c collected '$dir/out') -gt $told ]"
}
knows_since()
{
	cat_census && dump census_goroutines >"$work/before.json" || return 1
	from=$(now)
	collect && to=$(now) && collect && cat_census && dump census_goroutines >"$work/after.json" || return 1
	python3 - "$work" "$from" "$to" <<-'END'
		import json, sys
		when = [sorted(e["formatted"]["value"]["waiting_since"]
		        for e in json.load(open(f"{sys.argv[1]}/{name}.json"))
		        if e["formatted"]["value"]["func"] == "main.receiver") for name in ("before", "after")]
		print(when, sys.argv[2:])
		assert len(when[0]) == len(when[1]) == 30 and not any(when[0])
		assert int(sys.argv[2]) <= when[1][0] and when[1][-1] <= int(sys.argv[3])
	END
}
begin shrinks 1.26:exe 30 || exit 1
"$gojitter" trace -q -p "$pid" --what census --budget off --instance "$ours" || exit 1
tap_check 'since when they wait, once there were collections' knows_since
tap_check 'goroutines that have ended are gone; the others are as they were' shrinks
stop "$pid"
untrace 2>/dev/null

# A hundred thousand, of eleven kinds.
ticks()
{
	told=$(grep -c ticks "$dir/out")
	tell ticks
	until_true sh -c "[ \$(grep -c ticks '$dir/out') -gt $told ]" && sed -n 's/^ticks //p' "$dir/out" | tail -n 1
}
many()
{
	"$gojitter" trace -q -p "$pid" --what census --budget off --instance "$ours" || return 1
	before=$(ticks)
	# shellcheck disable=SC2046
	set -- $(/usr/bin/env time -f '%e %U %S' cat "$pins/$ours/census" 2>&1 | tail -n 1)
	passed=$(($(ticks) - before))
	echo "$1 s, $2 s and $3 s of a processor; $passed ms of the target"
	dump census_passes | tr -d ' \n'
	dump census_passes | grep -q '"is_whole": *1' && [ "$(dump census_counts | tr '{' '\n' | sed -n 's/.*"number": *\([0-9]*\).*/\1/p' | awk '{ n += $1 } END { print (n > 100000) }')" -eq 1 ] || return 1
	# A few seconds, where others leave a processor to it; its process has gone on meanwhile.
	awk -v s="$1" -v user="$2" -v sys="$3" -v ms="$passed" 'BEGIN { exit !(s < 30 && user + sys < 3 && ms > s * 20) }'
}
begin many 1.26:exe 9091 || exit 1
tap_check 'a hundred thousand goroutines, their process going on' many
ends_midway()
{
	cat_census >"$work/midway" &
	reader=$!
	# A tenth of what it took before.
	sleep 0.1
	kill -9 "$pid"
	wait $reader || { echo "cat ended with $?"; return 1; }
	cat "$work/midway"
	grep -q '; not all: ' "$work/midway" && until_true no_entry "$pid"
}
tap_check 'one that ends while it is read' ends_midway
untrace 2>/dev/null

# A kernel without the helper: by its own list of them, not by its version.
lacks() # STATUS ARGUMENTS...
{
	sed 's/BPF_FUNC_copy_from_user_task/BPF_FUNC_copy_from_user_tas_/' /sys/kernel/btf/vmlinux >"$work/btf"
	status=$1
	shift
	unshare -m sh -c 'mount --bind "$1" /sys/kernel/btf/vmlinux && shift && exec "$@"' - "$work/btf" \
		"$gojitter" trace -p "$pid" --instance "$ours" "$@" >"$work/out" 2>&1
	was=$?
	cat "$work/out"
	[ $was -eq "$status" ] &&
		[ "$(grep -c '^gojitter: census cannot be had: this kernel has no bpf_copy_from_user_task' "$work/out")" -eq 1 ]
}
lacks_only() { lacks 0 && [ ! -e "$pins/$ours/census" ] && grep -q '^gojitter: gc: hooked' "$work/out"; }
begin lacks 1.26:exe 1 || exit 1
tap_check 'a kernel that lacks a helper: it says which' lacks 1 --what census
tap_check 'and by default leaves the census out' lacks_only
stop "$pid"
untrace 2>/dev/null
tap_done
