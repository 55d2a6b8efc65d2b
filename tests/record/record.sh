#!/bin/sh
# gojitter record and doctor: what they leave behind however they end, what
# they say when something stands in the way, and that perf reads what they write.
. tests/tap.sh

gojitter=$O/gojitter
work=$(mktemp -d)
started=
clean()
{
	for one in $started; do kill -9 "$one" 2>/dev/null; done
	"$gojitter" doctor --clean >/dev/null 2>&1
	rm -rf "$work"
}
trap clean EXIT
events=/sys/kernel/tracing/uprobe_events
mountpoint -q /sys/kernel/tracing || mount -t tracefs nodev /sys/kernel/tracing 2>/dev/null
binary=$(tests/fixtures/build.sh 1.22 spins nosym) || exit 1
data=$work/perf.data

# Probes of recordings of ours that are gone or that the given process made.
probes_of() { grep -c "gojitter/goexec_$1_" $events; }

start_target()
{
	"$binary" "${1:-20}" >"$work/truth" 2>&1 &
	target=$!
	started="$started $target"
	# The shell must have become the program.
	sleep 0.2
}
start_record() # ARG...
{
	: >"$work/err" # what the last one said is no word of this one
	"$gojitter" record --no-bpf -o "$data" "$@" >"$work/out" 2>"$work/err" &
	recorder=$!
	started="$started $recorder"
}

# Waits until $work/err holds a line.
wait_line() # TEXT
{
	for _ in $(seq 200); do
		grep -q "$1" "$work/err" && return 0
		sleep 0.05
	done
	cat "$work/err"
	return 1
}

readable() # what ordinary perf says of the file
{
	perf script -i "$data" >"$work/script" 2>"$work/script.err" &&
		perf report -i "$data" --stdio >"$work/report" 2>"$work/report.err" &&
		grep -q 'cpu-clock\|cycles' "$work/script" || {
		cat "$work/script.err" "$work/report.err"
		return 1
	}
}

ends_by() # SIGNAL
{
	start_target
	start_record -p $target
	wait_line 'gojitter: recording' || return 1
	[ "$(probes_of $recorder)" -eq 1 ] || { echo "no probe is there"; return 1; }
	sleep 0.5
	kill -"$1" $recorder
	wait $recorder || { echo "exit status $?"; cat "$work/err"; return 1; }
	kill $target
	[ "$(probes_of $recorder)" -eq 0 ] || { echo "the probe was left"; return 1; }
	readable
}

killed()
{
	start_target
	start_record -p $target
	wait_line 'gojitter: recording' || return 1
	sleep 0.3
	kill -9 $recorder
	wait $recorder
	# perf is asked to end, and does.
	for _ in $(seq 100); do
		pgrep -f "record.*-o $data" >/dev/null || break
		sleep 0.05
	done
	[ "$(probes_of $recorder)" -eq 1 ] || { echo "SIGKILL left no probe: the test is void"; return 1; }
	readable || return 1
	"$gojitter" doctor | grep -q 'by processes that are gone' || { echo "doctor does not see it"; return 1; }
}

cleaned_by_doctor()
{
	killed && "$gojitter" doctor --clean && kill $target &&
		[ "$(probes_of $recorder)" -eq 0 ]
}

cleaned_by_next()
{
	killed || return 1
	left=$recorder
	start_record -p $target -- sleep 0.3
	wait $recorder || { cat "$work/err"; return 1; }
	kill $target
	cat "$work/err"
	grep -q 'gojitter: removed [0-9]* probe' "$work/err" && [ "$(probes_of $left)" -eq 0 ] &&
		[ "$(probes_of $recorder)" -eq 0 ]
}

target_exits()
{
	start_target 4
	start_record -p $target
	wait $recorder || { echo "exit status $?"; cat "$work/err"; return 1; }
	[ "$(probes_of $recorder)" -eq 0 ] && readable
}

# The one line a user gets, and the exit status.
says() # STATUS TEXT ARG...
{
	want=$1 text=$2
	shift 2
	"$@" >"$work/out" 2>"$work/err"
	status=$?
	cat "$work/err"
	[ $status -eq "$want" ] && grep -q "^gojitter: .*$text" "$work/err"
}

dry_run()
{
	before=$(cat $events)
	says 0 'probe on runtime.execute' "$gojitter" record --no-bpf -n -o "$data.dry" -- "$binary" &&
		grep -q 'gojitter: perf record .*-k CLOCK_MONOTONIC' "$work/err" &&
		[ ! -e "$data.dry" ] && [ "$before" = "$(cat $events)" ]
}

monotonic()
{
	"$gojitter" record --no-bpf -q -o "$data" -- "$binary" 0.3 >/dev/null || return 1
	perf evlist -v -i "$data" | tee "$work/evlist" | grep -q 'use_clockid: 1.*clockid: 1' || {
		cat "$work/evlist"
		return 1
	}
	# Every switch, not a sample of them.
	perf evlist -v -i "$data" | grep 'gojitter:goexec' | grep -q 'sample_freq: 1\|{ sample_period, sample_freq }: 1,'
}

piped()
{
	"$gojitter" record -q -F 1499 -o - -- "$binary" 1.5 2>"$work/err" >"$work/pipe" || { cat "$work/err"; return 1; }
	perf script -i - --dlfilter "$O/gojitter.so" --dlarg format=json <"$work/pipe" 2>"$work/err" |
		grep -c '"goid":[0-9]'  >"$work/known"
	cat "$work/err"
	echo "$(cat "$work/known") samples with a goroutine"
	[ "$(cat "$work/known")" -gt 100 ]
}

dwarf()
{
	"$gojitter" record -q -F 499 --call-graph dwarf,4096 -o "$data" -- "$binary" 1.5 >"$work/truth" || return 1
	perf script -i "$data" --dlfilter "$O/gojitter.so" --dlarg format=json >"$work/samples" || return 1
	tests/record/truth.py "$work/truth" "$work/samples"
}

blanks()
{
	mkdir -p "$work/a dir"
	cp "$binary" "$work/a dir/the program"
	"$gojitter" record --no-bpf -F 1499 -o "$data" -- "$work/a dir/the program" 1.5 >"$work/truth" 2>"$work/err" || {
		cat "$work/err"
		return 1
	}
	perf script -i "$data" --dlfilter "$O/gojitter.so" --dlarg format=json >"$work/samples" || return 1
	tests/record/truth.py "$work/truth" "$work/samples"
}

# A mount namespace of its own, as containers have; its files are seen while it lives.
contained()
{
	unshare -m sh -c 'mount -t tmpfs none /mnt && cp "$1" /mnt/service && exec /mnt/service 8' sh "$binary" >"$work/truth" &
	target=$!
	started="$started $target"
	sleep 0.5
	"$gojitter" record --no-bpf -F 999 -o "$data" -p $target -- sleep 1.5 2>"$work/err" || { cat "$work/err"; return 1; }
	perf script -i "$data" --dlfilter "$O/gojitter.so" --dlarg format=json >"$work/samples" || return 1
	wait $target
	tests/record/truth.py "$work/truth" "$work/samples"
}

deleted()
{
	cp "$binary" "$work/gone"
	"$work/gone" 3 >"$work/truth" &
	target=$!
	sleep 0.2
	rm "$work/gone"
	"$gojitter" record --no-bpf -F 1499 -o "$data" -p $target -- sleep 1 2>"$work/err"
	status=$?
	wait $target
	cat "$work/err"
	[ $status -eq 0 ] && grep -q 'probe on runtime.execute' "$work/err" && readable
}

too_dear()
{
	busy=$(tests/fixtures/build.sh 1.22 pingpong exe) || return 1
	"$busy" 20 >/dev/null &
	target=$!
	started="$started $target"
	sleep 0.2
	says 0 'above --max-cost=1: going on without' "$gojitter" record --no-bpf --max-cost=1 -o "$data" -p $target -- sleep 0.3
	status=$?
	kill $target
	return $status
}

unprivileged()
{
	mkdir -m 777 "$work/nobody"
	cp "$gojitter" "$binary" "$work/nobody/"
	chmod 755 "$work" "$work/nobody/"*
	cd "$work/nobody" || return 1
	setpriv --reuid 65534 --regid 65534 --clear-groups ./gojitter record -o own.data -- ./spins 0.5 >/dev/null 2>"$work/err"
	status=$?
	cd - >/dev/null
	cat "$work/err"
	[ $status -eq 0 ] && grep -q 'gojitter: .*\(root\|mount\)' "$work/err" &&
		grep -q 'going on without the probe' "$work/err" && [ -s "$work/nobody/own.data" ]
}

# What the kernel refuses altogether: one line, and nothing of perf's.
refused()
{
	[ "$(cat /proc/sys/kernel/perf_event_paranoid)" -ge 1 ] || return 0
	mkdir -p "$work/refused" && chmod 755 "$work" && chmod 777 "$work/refused"
	cp "$gojitter" "$work/refused/" && chmod 755 "$work/refused/gojitter"
	for arg in -a "-p 1"; do
		setpriv --reuid 65534 --regid 65534 --clear-groups "$work/refused/gojitter" record \
			-o "$work/refused/data" $arg -- true >/dev/null 2>"$work/err"
		status=$?
		tail -n 3 "$work/err"
		[ $status -eq 1 ] && [ "$(grep -c 'cannot be recorded by this user; become root' "$work/err")" -eq 1 ] &&
			! grep -qi 'sys_perf_event_open\|perf_event_paranoid setting' "$work/err" || return 1
	done
}

# In a mount namespace of its own; as root gojitter would mount it.
no_tracefs()
{
	chmod 755 "$work"
	mkdir -p "$work/bare" && chmod 777 "$work/bare"
	cp "$gojitter" "$binary" "$work/bare/" && chmod 755 "$work/bare/"*
	unshare -m sh -c 'umount -l /sys/kernel/debug/tracing /sys/kernel/debug /sys/kernel/tracing 2>/dev/null
		cd "$1" && exec setpriv --reuid 65534 --regid 65534 --clear-groups \
			./gojitter record -o own.data -- ./spins 0.3' sh "$work/bare" >/dev/null 2>"$work/err"
	status=$?
	cat "$work/err"
	[ $status -eq 0 ] && grep -q '^gojitter: tracefs cannot be seen; become root, or mount it' "$work/err"
}

# Nothing at all, with a command, beside a process, and with a timer.
quiet()
{
	start_target
	"$gojitter" record -q -o "$data" -- "$binary" 0.3 >"$work/out" 2>"$work/err" &&
		"$gojitter" record -q -o "$data" -p $target -- sleep 0.3 2>>"$work/err" &&
		timeout --foreground -s INT 1 "$gojitter" record -q -o "$data" -p $target 2>>"$work/err"
	kill $target
	cat "$work/err"
	[ ! -s "$work/err" ] && readable || return 1
	# But for why it failed.
	! "$gojitter" record -q -e no-such-event -o "$data" -- true 2>"$work/err" && grep -q 'no-such-event' "$work/err"
}

# Its totals, and no more; all of it when something is wrong.
perf_says()
{
	start_target
	"$gojitter" record -o "$data" -p $target -- sleep 0.3 2>"$work/err" || { cat "$work/err"; return 1; }
	cat "$work/err"
	[ "$(grep -vc '^gojitter: ' "$work/err")" -eq 1 ] && grep -q '^\[ perf record: Captured' "$work/err" || return 1
	! "$gojitter" record -e no-such-event -o "$data" -p $target 2>"$work/err" && kill $target &&
		grep -q "no-such-event" "$work/err" && grep -q '^gojitter: perf ended with status 129' "$work/err"
}

left_alone()
{
	start_target
	"$gojitter" record -q -o "$data" -p $target -- sleep 0.3 && cp "$data" "$work/copy"
	"$gojitter" record -q -e no-such-event -o "$data" -p $target 2>/dev/null
	kill $target
	cmp "$data" "$work/copy"
}

two_events()
{
	"$gojitter" record -q -e cpu-clock,task-clock/freq=99,name=slow/ -o "$data" -- "$binary" 0.2 >/dev/null &&
		perf evlist -i "$data" >"$work/evlist" && cat "$work/evlist" &&
		grep -qx cpu-clock "$work/evlist" && grep -qx slow "$work/evlist"
}

own_command()
{
	for how in --call-graph=fp --no-bpf; do
		"$gojitter" record -q $how -o "$data" -- sh -c 'echo mine >&2; yes | head -n 1' >"$work/out" 2>"$work/err"
		cat "$work/err"
		[ "$(cat "$work/err")" = mine ] && [ "$(cat "$work/out")" = y ] || return 1
	done
}

if [ -w $events ]; then
	for signal in INT TERM HUP; do
		tap_check "SIG$signal ends it: file written, probe removed" ends_by $signal
	done
	tap_check "SIGKILL: doctor --clean removes what is left" cleaned_by_doctor
	tap_check "SIGKILL: the next recording removes what is left" cleaned_by_next
	tap_check "the target exits while it is recorded" target_exits
	tap_check "CLOCK_MONOTONIC, and every switch" monotonic
	tap_check "standard output" piped
	tap_check "dwarf mode" dwarf
	tap_check "a path with blanks" blanks
	tap_check "a container" contained
	tap_check "a binary that was deleted" deleted
	tap_check "a probe that would cost too much" too_dear
	tap_check "without privileges" unprivileged
	tap_check "without privileges and without tracefs" no_tracefs
	tap_check "what the kernel refuses to record" refused
else
	tap_skip "recordings" "uprobes are not permitted here"
fi
tap_check "dry run" dry_run
tap_check "no such process" says 1 'there is no process 4000000' "$gojitter" record -o "$data" -p 4000000
tap_check "no such program" says 1 'no-such-program: there is no such program' "$gojitter" record -o "$data" -- no-such-program
tap_check "no Go program" says 0 'true is no Go program' "$gojitter" record -o "$data" -- true
tap_check "a release without g in a register" says 0 'built with Go 1.15' \
	"$gojitter" record --no-bpf -o "$data" -- "$(tests/fixtures/build.sh 1.15 calls exe)"
tap_check "nothing to record" says 2 'nothing to record' "$gojitter" record
tap_check "-p and -a" says 2 'exclude each other' "$gojitter" record -a -p 1
tap_check "a frequency that is none" says 2 '-F 0: not understood' "$gojitter" record -F 0 -- true
tap_check "no perf" says 1 'install linux-perf' env PERF=/no/perf "$gojitter" record -o "$data" -- true
tap_check "a perf that cannot be run" says 1 'passwd cannot be run: Permission denied' \
	env PERF=/etc/passwd "$gojitter" record -o "$data" -- true
tap_check "no such directory" says 1 'no/such/data: cannot be written: No such file' \
	"$gojitter" record -o "$work/no/such/data" -- true
tap_check "a directory is no file" says 1 ': cannot be written: ' "$gojitter" record -o "$work/" -- true
tap_check "what stays quiet" quiet
tap_check "what perf says" perf_says
tap_check "a recording that fails leaves the last one alone" left_alone
tap_check "two events" two_events
tap_check "the command has signals and standard error of its own" own_command
tap_check "doctor on a binary" sh -c "'$gojitter' doctor -e '$binary' | grep -q 'runtime.execute is probed'"
tap_check "doctor on what is no Go program" sh -c "! '$gojitter' doctor -e /bin/true"
tap_done
