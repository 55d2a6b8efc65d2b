#!/bin/sh
# gojitter profile: stacks unwound in the kernel against the known ones of
# tests/fixtures/kinds, goroutines against the program's own numbers, shares
# against the program's own CPU profile; what it leaves, what it says.
. tests/tap.sh

gojitter=$O/gojitter
work=$(mktemp -d)
target=
trap '[ -z "$target" ] || kill $target 2>/dev/null; rm -rf "$work"' EXIT
mkfifo "$work/stdin"

# Starts kinds in the background and waits until all its goroutines run.
start() # BINARY [ARG...]
{
	: >"$work/truth"
	if [ $# -gt 1 ]; then
		"$@" >"$work/truth" &
	else
		sleep 1000 >"$work/stdin" &
		holder=$!
		"$1" <"$work/stdin" >"$work/truth" &
	fi
	target=$!
	for _ in $(seq 100); do
		! grep -q ready "$work/truth" || return 0
		sleep 0.1
	done
	return 1
}

finish()
{
	[ -z "${holder:-}" ] || kill $holder 2>/dev/null
	holder=
	wait $target 2>/dev/null
	target=
}

# Wants 98 of 100 stacks whole, by gojitter's own sums and by what the stacks show;
# and nothing put into them on the way out (the session's repair would say so).
by_goid() # BINARY
{
	start "$1" 3 && "$gojitter" profile -p $target -F 1499 --by=goid --compare-fp \
		--folded -o "$work/folded" 2>"$work/said"
	status=$?
	finish
	cat "$work/said"
	[ $status -eq 0 ] && ! grep -q repaired "$work/said" && awk '/ complete;/ { whole = $7 } END { exit !(whole >= 98) }' "$work/said" &&
		tests/bpf/profile.py "$work/truth" "$work/folded"
}

# Both profiles at once; the program's ends first.
beside_pprof() # GOVERSION BINARY
{
	start "$2" 6 "$work/cpu.pb.gz" && "$gojitter" profile -p $target -F 499 --by=goid \
		--folded -o "$work/folded" 2>"$work/said" || return 1
	finish
	toolchain=$(tests/toolchains.sh "$1")
	GOROOT=${toolchain#* } GOTOOLCHAIN=local "${toolchain#* }/bin/go" tool pprof -top -cum \
		-nodecount=1000 -nodefraction=0 "$2" "$work/cpu.pb.gz" >"$work/top" 2>"$work/err" || {
		cat "$work/err"
		return 1
	}
	tests/bpf/profile.py "$work/truth" "$work/folded" "$work/top"
}

# The figures belong into the log, too, when all is well.
check() # NAME CMD...
{
	tap_check "$@"
	echo "$tap_out" | sed 's/^/# /'
}

if [ "$(id -u)" -ne 0 ]; then
	tap_skip 'profiles' 'sampling in the kernel wants root'
	tap_done
fi

for version in ${GJ_PROFILE_VERSIONS:-1.19 1.27}; do
	for variant in exe cgo pie+strip; do
		if binary=$(tests/fixtures/build.sh "$version" kinds $variant 2>&1); then
			check "$version $variant: stacks and goroutines" by_goid "$binary"
		else
			tap_fail "$version $variant builds" "$binary"
		fi
	done
done
for version in ${GJ_PROFILE_VERSIONS:-1.27}; do
	binary=$(tests/fixtures/build.sh "$version" kinds exe) &&
		check "$version: shares beside the program's own profile" beside_pprof "$version" "$binary"
done

# What stock bpftool shows while it runs, and what is left when it is killed.
ours() { bpftool -j prog show | grep -c gj_prof_sample; }
# Waits until the profile in the background has counted something.
wait_for_samples()
{
	for _ in $(seq 100); do
		! bpftool map dump name gj_prof_sum 2>/dev/null | grep -q '"complete": [1-9]' || return 0
		sleep 0.2
	done
}
before=$(ours)
binary=$(tests/fixtures/build.sh 1.27 kinds exe)
start "$binary"
"$gojitter" profile -p $target -F 499 -q --folded -o "$work/folded" &
profile=$!
wait_for_samples
for map in gj_prof_stack gj_prof_count gj_prof_sum gj_prof_target; do
	# Two of them are emptied every two seconds.
	for _ in 1 2 3 4 5; do
		bpftool map dump name $map >"$work/$map" 2>&1
		! grep -q '"key"' "$work/$map" || break
		sleep 0.3
	done
done
check 'bpftool prints stacks, counts and sums by name' sh -c "
	grep -q '\"end\": \"GJ_PROF_COMPLETE\"' $work/gj_prof_stack &&
	grep -q '\"user_cnt\": [1-9]' $work/gj_prof_stack &&
	grep -q '\"goid\": ' $work/gj_prof_count &&
	grep -q '\"complete\": [1-9]' $work/gj_prof_sum &&
	grep -q '\"cut_switching\": ' $work/gj_prof_sum &&
	grep -q '\"go_lo\": ' $work/gj_prof_target"
kill -9 $profile
wait $profile 2>/dev/null
# The kernel takes its time.
for _ in $(seq 50); do
	[ "$(ours)" -gt "$before" ] || bpftool map dump name gj_prof_sum >/dev/null 2>&1 || break
	sleep 0.1
done
tap_check 'nothing is left behind when it is killed' [ "$(ours)" -eq "$before" ]

# The end by SIGINT is an end like any other.
"$gojitter" profile -p $target -F 499 -q --folded -o "$work/folded" &
profile=$!
wait_for_samples
kill -INT $profile
wait $profile
status=$?
tap_check 'SIGINT ends it and it is written' [ $status -eq 0 -a -s "$work/folded" ]

# One line on standard error, and the exit status wanted.
says() # STATUS PATTERN CMD...
{
	want=$1 pattern=$2
	shift 2
	"$@" >"$work/out" 2>"$work/err"
	status=$?
	cat "$work/err"
	[ $status -eq "$want" ] && grep -q "^gojitter: .*$pattern" "$work/err" &&
		[ "$(grep -c . "$work/err")" -eq $((want == 2 ? 2 : 1)) ]
}
# Processes in a pid namespace go by its numbers.
in_namespace()
{
	unshare -pf --mount-proc sh -c "
		sleep 1 & '$binary' 4 >'$work/truth' & sleep 1
		exec '$gojitter' profile -p \$! -F 499 --by=goid --folded -o '$work/folded'" 2>"$work/said" || { cat "$work/said"; return 1; }
	cat "$work/said"
	tests/bpf/profile.py "$work/truth" "$work/folded"
}
check 'in a pid namespace' in_namespace

# go tool pprof's own view of what is written.
pprof_reads()
{
	"$gojitter" profile -p $target -F 499 --for 2s --by=goid -o "$work/ours.pb.gz" || return 1
	toolchain=$(tests/toolchains.sh 1.27)
	GOROOT=${toolchain#* } GOTOOLCHAIN=local "${toolchain#* }/bin/go" tool pprof -raw \
		"$work/ours.pb.gz" >"$work/raw" 2>&1 || { cat "$work/raw"; return 1; }
	grep -q 'PeriodType: cpu nanoseconds' "$work/raw" && grep -q 'Period: 2004008' "$work/raw" &&
		grep -q 'main.worker' "$work/raw" && grep -q 'goid:\[' "$work/raw"
}
check 'go tool pprof reads the profile' pprof_reads
tap_check 'a profile that cannot be written: one line' says 1 'no/such' \
	"$gojitter" profile -q -p $target --for 300ms -o "$work/no/such/file.pb.gz"

# Another user, who can reach both programs.
chmod 755 "$work"
cp "$gojitter" "$binary" "$work/"
nobody='setpriv --reuid 65534 --regid 65534 --clear-groups'
tap_check 'without permission: one line' says 1 'root' \
	$nobody "$work/gojitter" profile -p $target --for 1s
# Whoever owns the process may read it, but not sample in the kernel.
$nobody "$work/kinds" 20 >"$work/out2" &
theirs=$!
sleep 1
tap_check 'with permission to the process alone: one line' says 1 'root' \
	$nobody "$work/gojitter" profile -p $theirs --for 1s
kill $theirs
finish
tap_check 'no such process: one line' says 1 '4194303' "$gojitter" profile -p 4194303
tap_check 'not Go: one line' says 1 'no Go program' "$gojitter" profile -p $$
tap_check 'no process: usage' says 2 'nothing to profile' "$gojitter" profile
tap_check 'bad time: usage' says 2 'not understood' "$gojitter" profile -p 1 --for=1y
tap_done
