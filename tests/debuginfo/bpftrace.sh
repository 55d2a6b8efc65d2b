#!/bin/sh
# Stock bpftrace on stripped programs whose debug file is installed in
# /usr/lib/debug (of a mount namespace of our own): it lists functions, attaches
# by name, and names the frames of ustack as it does for the unstripped twin.
. tests/tap.sh

build=tests/fixtures/build.sh
work=$(mktemp -d)
spin=
cleanup()
{
	[ -z "$spin" ] || kill "$spin" 2>/dev/null
	rm -rf "$work"
}
trap cleanup EXIT

if ! unshare -m true 2>/dev/null; then
	tap_skip "bpftrace" "no mount namespace without privileges"
	tap_done
fi
mountpoint -q /sys/kernel/tracing || mount -t tracefs nodev /sys/kernel/tracing
if ! bpftrace -e 'BEGIN { exit(); }' >"$work/err" 2>&1; then
	tap_skip "bpftrace" "bpftrace does not run here: $(tail -n 1 "$work/err")"
	tap_done
fi

# Both stand at one path in turn, so that all output can be compared.
program=$work/spin
debug=$work/debug
use_twin() { rm -rf "$debug" "$program" && mkdir "$debug" && cp "$twin" "$program"; }
use_stripped() { rm -rf "$debug" "$program" && mkdir "$debug" && cp "$stripped" "$program"; }
use_debuginfo()
{
	use_stripped && "$O/gojitter" debuginfo "$program" --install --root "$work/root" >"$work/said" &&
		cp -r "$work/root/usr/lib/debug/." "$debug/" && rm -rf "$work/root"
}

bpf() # ARGUMENT...
{
	unshare -m sh -ec 'debug=$1; shift
		mkdir -p /usr/lib/debug
		mount --bind "$debug" /usr/lib/debug
		exec timeout -k 5 60 bpftrace "$@"' bpf "$debug" "$@" 2>"$work/err"
}

# Names as tests/debuginfo/compare.py evens them out: ABI, middle dot, type
# parameters, which Go 1.18 to 1.20 keep in ELF symbols only.
functions()
{
	bpf -l "uprobe:$program:*" | sed 's/^[^:]*:[^:]*://; s/\.abi0$//; s/\xc2\xb7/./
		s/^type\.\.eq\.\[[^]]*\]/type..eq.[...]/' | LC_ALL=C sort -u
}

# All of the twin's that are Go's: C code has lost its names with the symbols.
lists_all()
{
	use_twin && functions >"$work/theirs" && use_debuginfo && functions >"$work/ours" || return 1
	[ "$(wc -l <"$work/ours")" -gt 1000 ] || { cat "$work/err"; return 1; }
	for side in ours theirs; do
		grep '\.' "$work/$side" |
			grep -vE '^runtime\.e?text$|\.(cold|part|isra|constprop)' >"$work/$side.go"
	done
	diff "$work/ours.go" "$work/theirs.go"
}

stacks() # [-p]
{
	"$program" >/dev/null &
	spin=$!
	bpf -e "uprobe:$program:\"main.marker\" /pid == $spin/ {
		@stack[ustack(8)] = count(); @sym[usym(reg(\"ip\"))] = count();
		if (++@n >= 5) { exit(); } }" >"$work/raw"
	status=$?
	kill $spin
	wait $spin 2>/dev/null
	spin=
	[ $status -eq 0 ] || cat "$work/err"
	# Counts and the order of stacks are a matter of chance.
	sed 's/\.abi0//; s/: [0-9]*$//' "$work/raw" | grep -E '^ +[a-z]|^@sym' | sort -u
}

attaches()
{
	use_twin && stacks >"$work/theirs" && use_debuginfo && stacks >"$work/ours" || return 1
	diff "$work/ours" "$work/theirs" && grep -q 'main.marker+0' "$work/ours" &&
		grep -q 'runtime.main+' "$work/ours" && grep -q '@sym\[main.marker\]' "$work/ours" ||
		{ cat "$work/ours" "$work/err"; return 1; }
}

nothing_without()
{
	use_stripped
	! bpf -e "uprobe:$program:\"main.marker\" { exit(); }" >"$work/raw" &&
		grep -q 'No probes to attach' "$work/raw" ||
		{ cat "$work/raw" "$work/err"; return 1; }
}

for case in "1.27 exe" "1.27 pie" "1.27 pie+ext" "1.24 exe" "1.19 exe" "1.19 pie"; do
	set -- $case
	twin=$($build "$1" tests/debuginfo/spin "$2") &&
		stripped=$($build "$1" tests/debuginfo/spin "$2+strip") ||
		{ tap_fail "$case builds"; continue; }
	# Before Go 1.24 there is no build id: libbcc looks here.
	unset BCC_SYMFS
	[ "$1" != 1.19 ] || export BCC_SYMFS=/usr/lib/debug
	tap_check "$case: bpftrace -l" lists_all
	tap_check "$case: attaches by name, names frames" attaches
	tap_check "$case: does not without the debug file" nothing_without
done
tap_done
