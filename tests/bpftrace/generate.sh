#!/bin/sh
# gojitter bpftrace: its scripts, run by stock bpftrace, count what a program says that it
# did, and the program lives; and what it says where there is no script to make.
. tests/tap.sh

build=tests/fixtures/build.sh
work=$(mktemp -d)
program=
tracers=
cleanup()
{
	[ -z "$program$tracers" ] || kill $program $tracers 2>/dev/null
	rm -rf "$work"
}
trap cleanup EXIT
mountpoint -q /sys/kernel/tracing || mount -t tracefs nodev /sys/kernel/tracing 2>/dev/null
if ! bpftrace -e 'BEGIN { exit(); }' >"$work/err" 2>&1; then
	tap_skip "bpftrace" "bpftrace does not run here: $(tail -n 1 "$work/err")"
	tap_done
fi
mkfifo "$work/in"
gojitter=$(realpath "$O/gojitter")

waits_for() # FILE TEXT
{
	for try in $(seq 300); do
		! grep -q "$2" "$1" 2>/dev/null || return 0
		sleep 0.05
	done
	echo "no '$2' in $1:" && cat "$1"
	return 1
}

# SIGINT, and once more for what is there 10 s later: bpftrace has been seen to miss one.
# timeout hands them on, and more than one only with --foreground.
ends() # PID...
{
	kill -INT "$@"
	for pid; do
		for try in $(seq 200); do
			case $(cut -d ' ' -f 3 "/proc/$pid/stat" 2>/dev/null) in
			'' | Z) continue 2 ;;
			esac
			sleep 0.05
		done
		kill -INT "$pid"
	done
	wait "$@"
}

# Runs the program under the scripts, all at once; each one's output in $work/NAME.
watches() # BINARY SCRIPT...
{
	binary=$1
	shift
	"$binary" <"$work/in" >"$work/said" 2>"$work/died" &
	program=$!
	exec 8>"$work/in"
	waits_for "$work/said" pid || return 1
	tracers=
	for name; do
		"$O/gojitter" bpftrace -e "$binary" -p $program "$name" >"$work/$name.bt" || return 1
		flags=$(sed -n 's/^ \* USAGE: bpftrace \(--unsafe\).*/\1/p' "$work/$name.bt")
		__BPFTRACE_NOTIFY_PROBES_ATTACHED=1 timeout --foreground -s KILL 60 bpftrace $flags -o "$work/$name" "$work/$name.bt" \
			>"$work/$name.all" 2>&1 &
		tracers="$tracers $!"
	done
	for name; do waits_for "$work/$name.all" PROBES_ATTACHED || return 1; done
	echo >&8
	waits_for "$work/said" done || { cat "$work/died"; return 1; }
	# The last one is for what comes next.
	last=${tracers##* }
	ends ${tracers% *}
	echo >&8
	waits_for "$work/said" collected || { cat "$work/died"; return 1; }
	ends "$last"
	tracers=
	echo >&8
	exec 8>&-
	wait $program || { echo "the program died:"; cat "$work/died"; return 1; }
	program=
	grep -q alive "$work/said"
}

# Runs it; whatever it left behind when it failed would keep its output open.
tidily()
{
	"$@"
	status=$?
	exec 8>&-
	[ -z "$program$tracers" ] || kill $program $tracers 2>/dev/null
	return $status
}

# The number behind KEY in a script's output is from LEAST to MOST.
counted() # SCRIPT KEY LEAST [MOST]
{
	count=$(grep -F "$2: " "$work/$1" | head -n 1 | sed 's/.*: //')
	[ "${count:-0}" -ge "$3" ] && [ "${count:-0}" -le "${4:-$3}" ] ||
		{ echo "$2: ${count:-none}, not $3 to ${4:-$3}"; cat "$work/$1" "$work/$1.all"; return 1; }
}
said() { sed -n "s/.*$1 \([0-9]*\).*/\1/p" "$work/said" | head -n 1; }

parked()
{
	counted gopark '@parked[chan receive]' "$(said receivers)" &&
		counted gopark '@parked[select (no cases)]' "$(said selecters)" &&
		# The scavenger sleeps, too.
		counted gopark '@parked[sleep]' "$(said sleeps)" $(($(said sleeps) + 5)) || return 1
}

changed()
{
	made=$(($(said receivers) + $(said selecters)))
	counted goroutine-states '@transitions[dead, runnable]' $made &&
		counted goroutine-states '@transitions[running, waiting]' $((made + $(said sleeps))) 1000000
}

ran()
{
	for id in $(sed -n 's/^goid //p' "$work/said"); do
		grep -q "@goroutine_us\[[0-9]*, $id\]" "$work/sched-latency" ||
			{ echo "no goroutine $id"; cat "$work/sched-latency" "$work/sched-latency.all"; return 1; }
	done
}

# The collector may have run once more than it was told to.
stopped() # VERSION
{
	case $1 in
	1.19) counted stw '@stopped[not told before Go 1.21]' $((2 * $(said cycles))) 1000000 ;;
	*) counted stw '@stopped[GC mark termination]' "$(said cycles)" 1000000 &&
		counted stw '@stopped[GC sweep termination]' "$(said cycles)" 1000000 ;;
	esac
}

bypassed()
{
	blocks=$(said blocks)
	counted alloc-bypass '@refills[32768, noscan]' "$blocks" $((blocks + 3)) &&
		count=$(sed -n 's/^@refills\[32768, noscan\]: //p' "$work/alloc-bypass") &&
		counted alloc-bypass '@bytes[32768, noscan]' $((count * 32768))
}

called() { counted syscalls '@syscalls' "$(said syscalls)" $(($(said syscalls) + 60)); }

assisted()
{
	grep -q '^@assists\[[0-9]*, 1\]: ' "$work/gc-assist" &&
		grep -q '^@marked_us\[[0-9]*, 1\]: ' "$work/gc-assist" ||
		{ cat "$work/gc-assist" "$work/gc-assist.all"; return 1; }
}

all='gopark goroutine-states sched-latency stw alloc-bypass syscalls gc-assist'
for case in ${GJ_BPFTRACE_CASES:-1.19/exe 1.19/nosym 1.22/strip 1.24/pie 1.25/cgo+strip 1.26/exe 1.26/nosym+pie 1.27/strip+pie+ext 1.27/exe}; do
	version=${case%/*}
	binary=$($build "$version" tests/bpftrace/does "${case#*/}") ||
		{ tap_fail "$case builds"; continue; }
	tap_check "$case: the scripts run, the program lives" tidily watches "$binary" $all
	tap_check "$case: gopark" parked
	tap_check "$case: goroutine-states" changed
	tap_check "$case: sched-latency" ran
	tap_check "$case: stw" stopped "$version"
	tap_check "$case: alloc-bypass" bypassed
	tap_check "$case: syscalls" called
	tap_check "$case: gc-assist" assisted
done

# Wait reasons as the toolchain's own source numbers them.
reasons_as_source() # VERSION
{
	root=$(tests/toolchains.sh "$1")
	binary=$($build "$1" tests/bpftrace/does exe) || return 1
	"$O/gojitter" bpftrace -e "$binary" gopark |
		sed -n 's/^\t@name\[\([1-9][0-9]*\)\] = "\(.*\)";/\1 \2/p' >"$work/ours"
	# Constants in order are numbers; the strings are keyed by them. Ours tells apart what
	# the runtime calls by one name, by what is in brackets.
	awk '/^const \(/ { n = 0 } /^\twaitReason[A-Za-z]+/ && !/:/ { number[$1] = n++ }
		/^\twaitReason[A-Za-z]+: / { key = $1; sub(":", "", key); split($0, part, "\"");
			if (part[2] != "") print number[key], part[2] }' \
		"${root#* }/src/runtime/runtime2.go" | sort -n >"$work/theirs"
	[ "$(wc -l <"$work/theirs")" -gt 20 ] || return 1
	sed 's/ (synctest)$//; s/ (durable)$//' "$work/ours" | sort -n >"$work/ours.even"
	sed 's/ (synctest)$//; s/ (durable)$//' "$work/theirs" | diff "$work/ours.even" -
}
for version in 1.19 1.22 1.24 1.25 1.26 1.27; do
	tap_check "Go $version: wait reasons are the source's" reasons_as_source "$version"
done

# One line and status 1, nothing on standard output.
refuses() # TEXT ARGUMENT...
{
	text=$1
	shift
	"$gojitter" bpftrace "$@" >"$work/out" 2>"$work/err"
	[ $? -eq 1 ] && [ ! -s "$work/out" ] && [ "$(wc -l <"$work/err")" -eq 1 ] &&
		grep -q "^gojitter: .*$text" "$work/err" || { cat "$work/out" "$work/err"; return 1; }
}

# Paths that have to be quoted attach; one that cannot be given is refused with one line.
odd_paths()
{
	binary=$($build 1.26 tests/bpftrace/does nosym) || return 1
	for name in 'two words' 'quo"te' "apo'strophe" 'dol$1lar' 'bra{ce}'; do
		mkdir -p "$work/odd" && cp "$binary" "$work/odd/$name"
		(cd "$work/odd" && "$gojitter" bpftrace -e "$name" gopark) >"$work/odd.bt" || return 1
		echo 'interval:ms:1 { exit(); }' >>"$work/odd.bt"
		bpftrace --unsafe "$work/odd.bt" >"$work/odd.out" 2>&1 ||
			{ echo "$name:"; cat "$work/odd.out"; return 1; }
	done
	for name in 'a*b' 'back\slash' 'co:lon'; do
		cp "$binary" "$work/odd/$name"
		refuses "bpftrace cannot take" -e "$work/odd/$name" gopark || return 1
	done
}
tap_check "paths with odd characters" odd_paths

tap_check "no such script" refuses "no script 'nothing'" -e "$binary" nothing
tap_check "no Go program" refuses "/bin/true" -e /bin/true gopark
tap_check "no such file" refuses "$work/none" -e "$work/none" gopark
tap_check "arguments on the stack" refuses "Go 1.15 passes arguments on the stack" \
	-e "$($build 1.15 tests/bpftrace/does exe)" gopark
tap_check "arm64" refuses "amd64 only" -e "$($build 1.26 tests/bpftrace/does arm64)" gopark
listed() { [ "$("$gojitter" bpftrace --list | awk '{ print $1 }' | xargs)" = "$all" ]; }
tap_check "--list" listed
tap_done
