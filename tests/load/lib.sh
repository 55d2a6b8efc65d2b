# Shell functions for the tests of gojitter trace; to be sourced behind tests/tap.sh.

gojitter=$O/gojitter
pins=/sys/fs/bpf/gojitter/v1
ours=load-test-$$
work=$(mktemp -d)
pids=

load_clean()
{
	for pid in $pids; do
		kill -9 "$pid" 2>/dev/null
	done
	"$gojitter" untrace --instance "$ours" 2>/dev/null
	"$gojitter" untrace --instance "$ours-2" 2>/dev/null
	rm -rf "$work"
}
trap load_clean EXIT

# Until the command holds, 5 s at most.
until_true() # CMD...
{
	tries=0
	until "$@" >/dev/null 2>&1; do
		tries=$((tries + 1))
		[ $tries -lt 100 ] || return 1
		sleep 0.05
	done
}

# Starts a program that ticks; its number is then $pid, its ticks in $work/ticks.$pid.
start() # BINARY
{
	: >"$work/ticks"
	"$1" >"$work/ticks" &
	pid=$!
	pids="$pids $pid"
	until_true test -s "$work/ticks"
	mv "$work/ticks" "$work/ticks.$pid"
}

is_ticking() # PID
{
	before=$(tail -n 1 "$work/ticks.$1")
	sleep 0.2
	[ "$(tail -n 1 "$work/ticks.$1")" -gt "$before" ]
}

stop() # PID
{
	kill "$1" 2>/dev/null
	wait "$1" 2>/dev/null
}

dump() # MAP
{
	bpftool -j map dump pinned "$pins/$ours/$1"
}

has_target() # PID
{
	dump targets | grep -Eq "\"key\":$1,|\"key\": *$1,"
}

# Notes the numbers that the kernel has given to the instance's links and programs.
note()
{
	for kind in link prog; do
		for pin in "$pins/$ours/${kind}s"/*; do
			bpftool -j $kind show pinned "$pin" 2>/dev/null |
				sed -n "s/^[[{]*\"id\":\([0-9]*\).*/$kind \1/p"
		done
	done >>"$work/noted"
}

# None of those noted is there any more, nothing of this instance is pinned.
nothing_left()
{
	while read -r kind id; do
		! bpftool $kind show id "$id" >/dev/null 2>&1 || { echo "$kind $id"; return 1; }
	done <"$work/noted"
	[ -s "$work/noted" ] && [ ! -e "$pins/$ours" ] && no_leftovers
}

no_leftovers() { ! ls /sys/fs/bpf/gojitter/making | grep "^$ours-"; }

# Fails with exactly one line, which matches; nothing under the instance's name.
refuses() # STATUS PATTERN ARGUMENTS...
{
	status=$1 pattern=$2
	shift 2
	"$@" >"$work/out" 2>&1
	was=$?
	cat "$work/out"
	[ $was -eq "$status" ] && [ "$(grep -vc '^see gojitter' "$work/out")" -eq 1 ] &&
		grep -Eq "^gojitter: .*$pattern" "$work/out"
}
