#!/bin/sh
# gojitter trace --what samples: known stacks (tests/fixtures/kinds) in the maps that
# bpftool prints and in what gojitter profile --instance makes of them; shares beside the
# program's own CPU profile; processes that come, run again and have ended; what is lost.
. tests/tap.sh
. tests/load/lib.sh

if [ "$(id -u)" -ne 0 ]; then
	tap_skip 'samples' 'BPF programs want root'
	tap_done
fi

hz=499
dir=$pins/$ours
check() # NAME CMD...
{
	tap_check "$@"
	echo "$tap_out" | sed 's/^/# /'
}

# Processor time that process $1 has used, in seconds.
cpu_of() { awk -v hz="$(getconf CLK_TCK)" '{ sub(/.*\) /, ""); print ($12 + $13) / hz }' "/proc/$1/stat"; }

trace() { "$gojitter" trace -F $hz --what samples --instance "$ours" "$@" 2>&1; }
untrace() { "$gojitter" untrace --instance "$ours"; }

# tap_check runs what it checks in a shell of its own: the numbers are in a file.
: >"$work/pids"
kill_all() { kill -9 $(cat "$work/pids") 2>/dev/null; : >"$work/pids"; }
trap 'kill_all; load_clean' EXIT
trap 'exit 1' HUP INT TERM

# A file of our own: others may run the same fixture.
build() # VERSION VARIANT
{
	cached=$(tests/fixtures/build.sh "$1" kinds "$2") || { tap_fail "Go $1 builds kinds" "$cached"; return 1; }
	binary=$work/kinds-$1-$2
	cp "$cached" "$binary"
}

# Starts kinds, which ends after so many seconds of processor time; its number is $pid.
run_kinds() # SECONDS [PROFILE]
{
	: >"$work/truth"
	"$binary" "$@" >"$work/truth" 2>/dev/null &
	pid=$!
	echo "$pid" >>"$work/pids"
	until_true grep -q ready "$work/truth"
}

has_used() { [ "$(cpu_of "$pid" | cut -d. -f1)" -ge "$1" ]; }

# Stopped, so that what is read stands still.
freeze()
{
	for _ in $(seq 300); do
		! has_used "$1" || break
		sleep 0.1
	done
	kill -STOP "$pid"
	sleep 0.2
}

folded() { "$gojitter" profile --instance "$ours" --folded -o "$work/folded" 2>"$work/said"; }

# A process that runs when tracing begins.
by_pid()
{
	run_kinds 1000 || return 1
	trace -p "$pid" && at=$(cpu_of "$pid") && freeze 2 && used=$(cpu_of "$pid") && folded || { cat "$work/said"; return 1; }
	cat "$work/said"
	python3 tests/trace/samples.py "$dir" $hz "$(echo "$used $at" | awk '{ print $1 - $2 }')" &&
		tests/bpf/profile.py --any "$work/truth" "$work/folded"
}

# One that comes later, with its own CPU profile; it has ended when its samples are read.
by_file() # VERSION
{
	trace -e "$binary" && run_kinds 3 "$work/cpu.pb.gz" || return 1
	wait "$pid"
	folded || { cat "$work/said"; return 1; }
	cat "$work/said"
	toolchain=$(tests/toolchains.sh "$1")
	GOROOT=${toolchain#* } GOTOOLCHAIN=local "${toolchain#* }/bin/go" tool pprof -top -cum \
		-nodecount=1000 -nodefraction=0 "$binary" "$work/cpu.pb.gz" >"$work/top" 2>"$work/err" || {
		cat "$work/err"
		return 1
	}
	python3 tests/trace/samples.py "$dir" $hz 3 &&
		tests/bpf/profile.py --any "$work/truth" "$work/folded" "$work/top"
}

# Addresses that found no room: here, that are taken away. The samples are in `samples` still.
without_lines()
{
	bpftool -j map dump pinned "$dir/samples_lines" | python3 -c '
import json, sys
for entry in json.load(sys.stdin):
    print("map delete pinned", sys.argv[1], "key", *entry["key"])' "$dir/samples_lines" >"$work/batch"
	[ -s "$work/batch" ] && bpftool batch file "$work/batch" >/dev/null || return 1
	mv "$work/folded" "$work/lines"
	folded || { cat "$work/said"; return 1; }
	cat "$work/said"
	grep -q 'by function only' "$work/said" || return 1
	python3 - "$work/lines" "$work/folded" <<-'EOF'
	import sys
	lines, functions = ([line.rsplit(" ", 1) for line in open(path)] for path in sys.argv[1:])
	totals = [sum(int(count) for _, count in stacks) for stacks in (lines, functions)]
	stacks = [stack.split(";")[1:] for stack, _ in functions]
	# Of deeper ones the outermost are not kept.
	bad = [s for s in stacks if s[0] not in ("runtime.goexit", "runtime.mstart", "runtime.mcall", "runtime.morestack",
	                                  "runtime.systemstack", "runtime.rt0_go")
	       and len(s) < 32]
	bad += [s for s in stacks if "main.worker" in s[:-1] and not
	        s[s.index("main.worker") + 1].startswith(("main.work", "main.goid", "fmt.", "runtime.", "sync.", "[kernel]"))]
	ours = sum("main.worker" in s for s in stacks)
	print(f"{totals[1]} samples by function of {totals[0]}; {ours} stacks of workers, {len(bad)} wrong", *bad[:3])
	sys.exit(totals[0] != totals[1] or bool(bad) or ours < 10)
	EOF
}

end()
{
	note
	untrace
	kill_all
}

for version in ${GJ_GO_VERSIONS:-1.19 1.22 1.27}; do
	build "$version" exe || continue
	check "Go $version: a process that comes, beside its own profile" by_file "$version"
	end
done
build 1.27 cgo && check 'Go 1.27, cgo: a process that runs' by_pid
end
build 1.19 pie+strip && check 'Go 1.19, PIE, stripped: a process that runs' by_pid &&
	check 'without addresses: the same by function' without_lines
end
tap_check 'untrace leaves nothing' nothing_left

# C code of a process that came after the start: what it called is cut, and counted; nothing is guessed.
cut_is_counted()
{
	trace -e "$binary" && run_kinds 1000 && freeze 2 && folded || return 1
	cat "$work/said"
	bpftool -j map dump pinned "$dir/samples" >"$work/samples.json"
	bpftool -j map dump pinned "$dir/drops" >"$work/drops.json"
	python3 - "$work/samples.json" "$work/drops.json" <<-'EOF'
	import json, sys
	entries, drops = ([e.get("formatted", e) for e in json.load(open(path))] for path in sys.argv[1:])
	cut = sum(e["value"]["count"] for e in entries if not e["value"]["end"].startswith("whole"))
	short = [e for e in drops if e["key"] in ("drop_stack_short", 5)]
	dropped = sum(cpu["value"] for e in short for cpu in e["values"])
	bad = [e for e in entries if not e["value"]["end"].startswith("whole")
	       and e["value"]["frames"][0] != "not_go" and "runtime." not in e["value"]["frames"][0]]
	deep = [e for e in entries if "main.cspin" in e["value"]["frames"] and "not_go" in e["value"]["frames"]
	        and e["value"]["end"] == "whole"]
	print(f"{cut} cut, {dropped} in drops, {len(bad)} of them in Go code, {len(deep)} through C whole")
	sys.exit(not (cut == dropped and not bad and deep))
	EOF
}
build 1.27 cgo && check 'C code mapped later: cut stacks are counted' cut_is_counted
end

# The same number, another address space: what was known of the code before is no more so.
again()
{
	trace -e "$binary" && : >"$work/truth" || return 1
	bash -c "('$binary' 1 >/dev/null); exec '$binary' 1000" >"$work/truth" 2>/dev/null &
	pid=$!
	echo "$pid" >>"$work/pids"
	until_true grep -q ready "$work/truth" && freeze 2 && folded && cat "$work/said" &&
		tests/bpf/profile.py --any "$work/truth" "$work/folded"
}
build 1.27 pie && check 'processes one after the other, PIE' again
end

# Two programs, whose functions' numbers overlap.
two()
{
	build 1.19 exe && one=$binary && build 1.27 exe || return 1
	trace -e "$one" -e "$binary" || return 1
	"$one" 1000 >"$work/other" 2>/dev/null &
	other=$!
	echo "$other" >>"$work/pids"
	run_kinds 1000 && freeze 2
	kill -STOP $other
	folded || return 1
	kill -9 $other
	cat "$work/said"
	bpftool -j map dump pinned "$dir/samples" | python3 -c '
import json, sys
names = {}
for e in json.load(sys.stdin):
    e = e.get("formatted", e)
    names.setdefault(e["key"]["tgid"], set()).update(e["value"]["frames"])
print({tgid: len(n) for tgid, n in names.items()})
# The wrapper of a go statement: dwrap up to Go 1.19, gowrap from 1.21 on.
wraps = [any(w in name for name in n) for n in names.values() for w in (".func1", ".gowrap1")]
sys.exit(len(names) != 2)' && tests/bpf/profile.py --any "$work/truth" "$work/folded"
}
check 'two programs in one instance' two
end

# In the default set, and when it cannot be had.
build 1.27 exe
run_kinds 1000
tap_check 'in the default set' sh -c "'$gojitter' trace -p $pid --instance $ours 2>&1 | grep '^gojitter: samples: .* 49 a second' && [ -e $dir/samples ]"
untrace
cat >"$work/without.py" <<'EOF'
import ctypes, os, struct, sys
# A seccomp filter that answers perf_event_open (298 on amd64) with EPERM.
code = [(0x20, 0, 0, 0), (0x15, 0, 1, 298), (0x06, 0, 0, 0x00050001), (0x06, 0, 0, 0x7fff0000)]
text = b"".join(struct.pack("HBBI", *insn) for insn in code)
buffer = ctypes.create_string_buffer(text)
program = struct.pack("HxxxxxxQ", len(code), ctypes.addressof(buffer))
libc = ctypes.CDLL(None)
libc.prctl(38, 1, 0, 0, 0)
if libc.prctl(22, 2, program, 0, 0):
    sys.exit(99)
os.execv(sys.argv[1], sys.argv[1:])
EOF
without() { python3 "$work/without.py" "$gojitter" trace -p "$pid" --instance "$ours" "$@"; }
without_default()
{
	without >"$work/out" 2>&1 || { cat "$work/out"; return 1; }
	grep '^gojitter: samples cannot be had: perf_event_open' "$work/out" && [ ! -e "$dir/samples" ] && [ -e "$dir/gc" ]
}
tap_check 'what cannot be had is said and left out' without_default
untrace
tap_check 'asked for by name: one line' refuses 1 'samples cannot be had: perf_event_open' without --what samples
tap_check 'no instance: one line' refuses 1 'no instance nowhere' "$gojitter" profile --instance nowhere
tap_check 'a path for an instance: one line' refuses 1 'no instance' "$gojitter" profile --instance ../x
tap_check 'both: usage' refuses 2 'only -o' "$gojitter" profile --instance "$ours" -p 1
tap_check 'trace without samples: one line' sh -c "'$gojitter' trace -q -p $pid --what gc --instance $ours && '$gojitter' profile --instance $ours 2>&1 | grep -c 'no instance .* with samples' | grep -x 1"
untrace
tap_done
