#!/bin/sh
# The two-stack sampler: the goroutine ids of its records against what programs
# say of themselves, every way of recording, and what is there afterwards.
. tests/tap.sh

gojitter=$O/gojitter
work=$(mktemp -d)
started=
clean()
{
	for one in $started; do kill -9 "$one" 2>/dev/null; done
	rm -rf "$work"
}
trap clean EXIT
data=$work/perf.data

# $work/truth against the records of $data.
judge() # [ARG...]
{
	perf script -i "$data" --dlfilter "$O/gojitter.so" --dlarg format=json >"$work/samples" &&
		tests/record/sampler.py "$data" "$work/samples" >"$work/named" 2>"$work/matched"
	status=$?
	cat "$work/matched"
	tests/record/truth.py "$work/truth" "$work/named" "$@" && [ $status -eq 0 ]
}

record() # ARG...
{
	"$gojitter" record -F 1499 -o "$data" "$@" 2>"$work/err" && return 0
	cat "$work/err"
	return 1
}

from_start() # BINARY [OPTION...]
{
	program=$1
	shift
	record "$@" -- "$program" 0.7 >"$work/truth" && judge
}

# Until the program ends; however late the recording begins, it sees some of it.
attached() # BINARY [OPTION...]
{
	"$1" 3 >"$work/truth" &
	target=$!
	shift
	sleep 0.2
	record "$@" -p $target || return 1
	wait $target
	judge --pid $target
}

# The program is what says how long.
beside() # BINARY OPTION...
{
	program=$1
	shift
	record "$@" -- sh -c 'echo $$ >"$1"; exec "$2" 2' sh "$work/pid" "$program" >"$work/truth" &&
		judge --pid "$(cat "$work/pid")"
}

# Children of a shell: forked, then exec'd. The first is known a moment after its
# start, the second by its file at once.
children()
{
	record -- sh -c '"$1" 0.7 >"$2"; "$1" 0.7 >"$3"' sh "$1" "$work/truth" "$work/truth2" || return 1
	cat "$work/truth2" >>"$work/truth"
	judge --most-missing 3
}

# Recorder and program in a pid namespace, or the program alone: numbers are perf's.
contained() # BINARY WHERE
{
	case $2 in
	inside) unshare -pf --mount-proc "$gojitter" record -q -F 1499 -o "$data" -- "$1" 0.7 \
			>"$work/truth" 2>"$work/err" ;;
	outside) unshare -pf "$1" 3 >"$work/truth" &
		target=$!
		sleep 0.3
		record -p "$(pgrep -P $target)" && wait $target ;;
	esac && judge
}

# Two containers at one depth number their processes alike: none of the other's
# samples may be taken for ours.
neighbours() # BINARY
{
	unshare -pf sh -c '"$1" 4 >"$2" & wait' sh "$1" "$work/truth2" &
	other=$!
	unshare -pf --mount-proc sh -c '"$1" 3 >"$2" & shift 2; "$@"; wait' sh "$1" "$work/truth" \
		"$gojitter" record -q -F 1499 -o "$data" -a -- sleep 1.5 2>"$work/err"
	status=$?
	wait $other
	perf script -i "$data" -F pid 2>"$work/err" | sort | uniq -c >"$work/pids"
	[ $status -eq 0 ] && python3 - "$data" "$work/pids" <<-'END'
		import collections, sys
		sys.path.insert(0, "tests/record")
		import records
		samples = {int(pid): int(cnt) for cnt, pid in (line.split() for line in open(sys.argv[2]) if line.split()[1:])}
		taken = collections.Counter(record.pid for record in records.read(sys.argv[1]))
		print("perf's samples", samples, "records", dict(taken))
		sys.exit(not (sum(taken.values()) > 100 and all(0 < cnt <= samples.get(pid, 0) for pid, cnt in taken.items())))
	END
}

labelled() # VERSION
{
	program=$(tests/fixtures/build.sh "$1" labelled nosym 2>"$work/err") || { cat "$work/err"; return 1; }
	record -- "$program" 0.5 && tests/record/labels.py "$data" "${1#1.}"
}


# Go in a C program: the loader chooses the library's slot of g. Its locked
# goroutines say which thread each has.
library() # VERSION VARIANT
{
	cat >"$work/host.c" <<-'END'
		#include <dlfcn.h>
		#include <unistd.h>
		int main(int argc, char **argv)
		{
			if (argc < 2 || !dlopen(argv[1], RTLD_NOW))
				return 1;
			for (;;)
				pause();
		}
	END
	cc -o "$work/host" "$work/host.c" -ldl && so=$(tests/fixtures/build.sh "$1" golib "$2") || return 1
	mkfifo "$work/never" 2>/dev/null
	"$work/host" "$so" <>"$work/never" >"$work/spins" &
	target=$!
	started="$started $target"
	sleep 0.5
	record -p $target -- sleep 1
	status=$?
	kill $target
	[ $status -eq 0 ] && python3 - "$data" "$work/spins" <<-'END'
		import sys
		sys.path.insert(0, "tests/record")
		import records
		spins = {int(line.split()[2]): int(line.split()[1]) for line in open(sys.argv[2]) if line.startswith("spin ")}
		found = [r for r in records.read(sys.argv[1]) if r.tid in spins]
		# 0: the thread waits in the scheduler for its goroutine.
		wrong = [r for r in found if r.goid not in (0, spins[r.tid])]
		none = [r for r in found if not r.goid]
		print(f"{len(spins)} threads, {len(found)} samples in user Go code, {len(none)} of no goroutine, wrong: {len(wrong)}")
		sys.exit(not (len(found) > 100 and not wrong and len(none) < 0.05 * len(found)))
	END
}

# What stock perf prints does not change by what stands behind its sections.
untouched() # PERF
{
	record -- "$binary" 0.4 >/dev/null || return 1
	python3 - "$data" "$work/bare" <<-'END'
		import struct, sys
		data = open(sys.argv[1], "rb").read()
		while data[-8:] in (b"GJSTACK1", b"GJTRAIL1"):
		    data = data[:len(data) - 16 - struct.unpack("<Q", data[-16:-8])[0]]
		open(sys.argv[2], "wb").write(data)
	END
	tests/record/records.py "$data" | grep '^[1-9][0-9]* records' || return 1
	# Inlined calls come by addr2line, which perf 7.3 waits for only so long.
	for what in 'script --no-inline' 'report --stdio --no-header --no-inline' 'evlist -v'; do
		"$1" $what -i "$data" 2>"$work/with.err" | grep -v '^# (Tip:' >"$work/with"
		"$1" $what -i "$work/bare" 2>"$work/without.err" | grep -v '^# (Tip:' >"$work/without"
		[ -s "$work/with" ] && diff "$work/with" "$work/without" &&
			diff "$work/with.err" "$work/without.err" || return 1
	done
}

# The program's GNU build id is in the file, whatever perf wrote it.
build_ids() # PERF BINARY
{
	id=$(readelf -n "$2" 2>/dev/null | awk '/Build ID:/ { print $3 }')
	"$2" 3 >/dev/null &
	target=$!
	started="$started $target"
	sleep 0.2
	PERF=$1 "$gojitter" record -q -F 499 -o "$data" -p $target -- sleep 0.3 2>"$work/err" || { cat "$work/err"; return 1; }
	kill $target
	"$1" buildid-list -i "$data" 2>"$work/err" >"$work/ids"
	grep "$(basename "$2")" "$work/ids"
	[ -n "$id" ] && grep -q "^$id .*$(basename "$2")" "$work/ids"
}

# A program that is set on no event and held by nobody is gone.
programs() { bpftool prog show name gj_sample 2>/dev/null | grep -c gj_sample; }

killed() # WHOM: gojitter or perf
{
	before=$(programs)
	"$gojitter" record -o "$data" -- "$binary" 3 >/dev/null 2>"$work/err" &
	recorder=$!
	sleep 0.8
	[ "$(programs)" -gt "$before" ] || { echo "no program is there: the test is void"; return 1; }
	bpftool prog show name gj_sample
	perf_pid=$(pgrep -P $recorder)
	command_pid=$(pgrep -P "$perf_pid")
	case $1 in
	gojitter) kill -9 $recorder ;;
	perf) kill -9 "$perf_pid" ;;
	esac
	wait $recorder
	echo "exit status $?"
	for _ in $(seq 100); do
		kill -0 "$perf_pid" 2>/dev/null || [ "$(programs)" -gt "$before" ] || break
		sleep 0.05
	done
	kill -9 $command_pid 2>/dev/null
	ls -A "$work" | grep '^\.gojitter' && { echo "a file was left"; return 1; }
	[ "$(programs)" -le "$before" ]
}

# The command must not begin, nor hang, when the recording fails.
not_begun()
{
	"$gojitter" record -e no-such-event -o "$data" -- sh -c 'echo begun' >"$work/out" 2>"$work/err"
	status=$?
	cat "$work/out"
	[ $status -ne 0 ] && [ ! -s "$work/out" ]
}


unprivileged() # OPTION... TEXT
{
	for text; do :; done
	mkdir -p "$work/nobody" && chmod 755 "$work" && chmod 777 "$work/nobody"
	cp "$gojitter" "$binary" "$work/nobody/" && chmod 755 "$work/nobody/gojitter" "$work/nobody/spins"
	(cd "$work/nobody" && setpriv --reuid 65534 --regid 65534 --clear-groups ./gojitter record \
		"$1" -o own.data -- ./spins 0.3 >/dev/null 2>"$work/err")
	status=$?
	cat "$work/err"
	[ $status -eq 0 ] && [ "$(grep -c "gojitter: no stack sampler: .*CAP_BPF.*$text" "$work/err")" -eq 1 ] &&
		[ -s "$work/nobody/own.data" ]
}

# All that is needed is what doctor names.
two_capabilities()
{
	mkdir -p "$work/few" && chmod 755 "$work" && chmod 777 "$work/few"
	cp "$gojitter" "$binary" "$work/few/" && chmod 755 "$work/few/gojitter" "$work/few/spins"
	(cd "$work/few" && setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=+bpf,+perfmon \
		--ambient-caps=+bpf,+perfmon ./gojitter record -o own.data -- ./spins 0.3 >/dev/null 2>"$work/err")
	cat "$work/err"
	tests/record/records.py "$work/few/own.data" | grep '^[1-9][0-9]* records'
}

piped()
{
	"$gojitter" record -o - -- "$binary" 0.3 2>"$work/err" | perf script -i - >"$work/script" 2>/dev/null
	cat "$work/err"
	[ "$(grep -c 'gojitter: no stack sampler: a pipe' "$work/err")" -eq 1 ] && [ -s "$work/script" ]
}

# The goroutine's stack in at most the bytes asked for; all of others where no chain
# leads into them, which of a program without C are the runtime's.
sliced()
{
	record --call-graph both,512 -- "$binary" 0.7 >/dev/null || return 1
	python3 - "$data" <<-'END'
		import sys
		sys.path.insert(0, "tests/record")
		import records
		found = records.read(sys.argv[1])
		sizes, others, without = [], 0, 0
		for r in found:
		    stacks = [(kind, len(data)) for kind, _, data in r.parts if kind in (records.STACK, records.GOROUTINE)]
		    curg = r.curg and records.peek(r, r.curg, 16)
		    lo, hi = (int.from_bytes(curg[i:i + 8], "little") for i in (0, 8)) if curg else (0, 0)
		    if lo <= r.sp < hi:
		        sizes.append(sum(size for kind, size in stacks))
		    elif r.goid:
		        others += 1
		        without += not any(kind == records.GOROUTINE and size for kind, size in stacks)
		print(f"{len(found)} records, {len(sizes)} on a goroutine's stack, at most {max(sizes)} bytes; "
		      f"{others} beside one, {without} without it")
		sys.exit(not (len(sizes) > 20 and 400 <= max(sizes) <= 512 and not without))
	END
}

# Pages that are not in memory cost no more than themselves.
holed()
{
	program=$(tests/fixtures/build.sh 1.22 hole nosym) && record -- "$program" 0.7 || return 1
	python3 - "$data" <<-'END'
		import sys
		sys.path.insert(0, "tests/record")
		import records
		whole = cut = 0
		for r in records.read(sys.argv[1]):
		    stacks = [(va, data) for kind, va, data in r.parts if kind == records.STACK and data]
		    if not r.flags & records.SHORT or not stacks or stacks[0][0] != r.sp:
		        continue
		    gap = stacks[1][0] - stacks[0][0] - len(stacks[0][1]) if len(stacks) == 2 else 0
		    whole += gap == 2 * 4096 and len(stacks[1][1]) > 4096
		    cut += len(stacks) == 1
		print(f"{whole} stacks go on behind the hole, {cut} end there")
		sys.exit(not (whole > 100 and cut < 0.05 * whole))
	END
}

# What fills the disk are the records: they end before perf's own file suffers.
disk_full()
{
	mkdir "$work/small" && mount -t tmpfs -o size=35m none "$work/small" || return 1
	"$gojitter" record -F 4999 -o "$work/small/data" -- "$binary" 3 >/dev/null 2>"$work/err"
	status=$?
	cat "$work/err"
	tests/record/records.py "$work/small/data" >"$work/records"
	perf script -i "$work/small/data" 2>&1 >"$work/script" | tee "$work/script.err"
	umount "$work/small"
	cat "$work/records"
	[ $status -eq 0 ] && grep -q '^[1-9][0-9]* records' "$work/records" && [ ! -s "$work/script.err" ] &&
		[ "$(grep -c 'gojitter: .*the disk is nearly full' "$work/err")" -eq 1 ] &&
		[ "$(grep -c '^[^ ]' "$work/script")" -gt "$(awk '{ print $1; exit }' "$work/records")" ]
}

# The figures belong into the log, too, when all is well.
check() # NAME CMD...
{
	tap_check "$@"
	echo "$tap_out" | grep 'samples in user Go code\|with a record of\|with labels' | sed 's/^/# /'
}

binary=$(tests/fixtures/build.sh 1.22 spins nosym) || exit 1
if ! "$gojitter" doctor | grep -q '^ok  stack sampler'; then
	"$gojitter" doctor | sed 's/^/# /'
	tap_skip "recordings" "the kernel or this user does not let BPF programs run: $("$gojitter" doctor | grep 'stack sampler')"
	tap_done
fi
# With GJ_LONG every release and every way.
for version in $([ -z "${GJ_LONG:-}" ] && echo 1.15 1.19 1.27 || tests/toolchains.sh --list); do
	check "$version: from the start" from_start "$(tests/fixtures/build.sh $version spins nosym)"
done
check "1.22 cgo+strip: from the start" from_start "$(tests/fixtures/build.sh 1.22 spins cgo+strip)"
check "attached" attached "$binary"
check "the whole machine" beside "$binary" -a
if [ -n "${GJ_LONG:-}" ]; then
	check "1.26 pie+nosym: from the start" from_start "$(tests/fixtures/build.sh 1.26 spins pie+nosym)"
	check "one processor" beside "$binary" -C 0
	check "compressed" attached "$binary" -z
	check "with a probe beside it" attached "$binary" --probe
	check "a pid namespace from outside" contained "$binary" outside
fi
check "a Go library in a C program" library 1.27 cshared
check "children" children "$binary"
check "in a pid namespace" contained "$binary" inside
tap_check "beside another pid namespace" neighbours "$binary"
for version in $([ -z "${GJ_LONG:-}" ] && echo 1.23 1.27 || echo 1.15 1.19 1.23 1.24 1.26 1.27); do
	check "$version: pprof labels" labelled $version
done
tap_check "both: a slice of the goroutine's stack" sliced
tap_check "a stack of which pages are not in memory" holed
for version in 6.1 6.12 7.3; do
	if perf_bin=$(tests/perf/perf.sh $version 2>"$work/err"); then
		tap_check "perf $version reads it as ever" untouched "$perf_bin"
		tap_check "perf $version: build ids" build_ids "$perf_bin" "$(tests/fixtures/build.sh 1.27 spins nosym)"
	else
		tap_fail "perf $version" "$(cat "$work/err")"
	fi
done
tap_check "SIGKILL to gojitter leaves nothing" killed gojitter
tap_check "SIGKILL to perf leaves nothing" killed perf
tap_check "a recording that fails does not begin the command" not_begun
tap_check "without privileges" unprivileged --call-graph=fp 'going on with a probe'
tap_check "without privileges: both" unprivileged --call-graph=both 'dwarf) instead'
if [ "$(cat /proc/sys/kernel/perf_event_paranoid)" -le 2 ]; then
	tap_check "with CAP_BPF and CAP_PERFMON alone" two_capabilities
else
	tap_skip "with CAP_BPF and CAP_PERFMON alone" "kernel.perf_event_paranoid above 2 lets only root sample"
fi
tap_check "a pipe" piped
tap_check "a disk that fills up" disk_full
tap_done
