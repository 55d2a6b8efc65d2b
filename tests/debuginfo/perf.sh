#!/bin/sh
# Stock perf over recordings of stripped programs: with the debug file where
# perf looks for it, perf script and perf report print what they print for the
# unstripped twin (tests/debuginfo/perf.py says what is compared), and inlined
# calls too. GJ_PERF names another perf.
. tests/tap.sh

build=tests/fixtures/build.sh
perf=${GJ_PERF:-perf}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export GJ_CACHE="${GJ_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/gojitter}"
# perf's own cache of binaries and debug files stands in the home directory.
export HOME="$work/home"
mkdir "$HOME"

if ! $perf record -q -e cpu-clock -o "$work/data" true >"$work/err" 2>&1; then
	tap_skip "perf" "perf cannot record here: $(tail -n 1 "$work/err")"
	tap_done
fi

# The stripped program stands under a path of its own; two roots hold what perf
# finds there: the twin, or the stripped program and its debug file.
prepare() # VERSION VARIANT
{
	twin=$($build "$1" tests/debuginfo/spin "$2") &&
		stripped=$($build "$1" tests/debuginfo/spin "$2+strip") || return 1
	rm -rf "$work/run" "$work/twin" "$work/out"
	program=$work/run/spin
	mkdir -p "$work/run" "$work/twin$work/run" "$work/out$work/run"
	cp "$stripped" "$program"
	cp "$stripped" "$work/out$program"
	cp "$twin" "$work/twin$program"
	"$O/gojitter" debuginfo "$program" --install --root "$work/out" >"$work/said" &&
		"$O/gojitter" debuginfo "$program" -o "$work/spin.debug" >/dev/null
}

record() # ARGUMENT...
{
	$perf record -q -e cpu-clock -F 499 -o "$work/data" "$@" "$program" 1 >"$work/err" 2>&1 ||
		{ cat "$work/err"; return 1; }
}

script() # ROOT FIELDS
{
	$perf script -i "$work/data" --symfs "$work/$1" -F "$2" 2>"$work/err"
}

scripts_agree() # AT-LEAST-INLINED
{
	script out ip,sym,symoff,srcline >"$work/ours"
	script twin ip,sym,symoff,srcline >"$work/theirs"
	tests/debuginfo/perf.py "$work/ours" "$work/theirs" "$work/spin.debug" "$twin" \
		>"$work/verdict" || { cat "$work/verdict"; return 1; }
	inlined=$(grep -c '(inlined)' "$work/ours")
	[ "$inlined" -ge "$1" ] || { echo "$inlined inlined frames"; return 1; }
}

report() # ROOT
{
	$perf report -i "$work/data" --symfs "$work/$1" --stdio --no-children -g none \
		-F sample,symbol 2>"$work/err" | sed 's/\.abi0\b//; s/ *$//' | grep -v '^#'
}

reports_agree()
{
	report out >"$work/ours"
	report twin >"$work/theirs"
	grep -q '\[\.\] main.mix$' "$work/ours" && diff "$work/ours" "$work/theirs"
}

# Without the debug file the same perf names nothing: it is the file that does it.
nothing_without()
{
	mkdir -p "$work/bare$work/run"
	cp "$program" "$work/bare$program"
	script bare ip,sym | grep main.mix && return 1
	script out ip,sym | grep -q main.mix
}

for version in 1.19 1.24 1.27; do
	for variant in exe pie pie+ext; do
		name="$version $variant"
		prepare "$version" $variant || { tap_fail "$name builds"; continue; }
		tap_check "$name: recorded with frame pointers" record -g
		tap_check "$name: perf script, names and lines" scripts_agree 0
		tap_check "$name: perf report" reports_agree
		tap_check "$name: no names without the debug file" nothing_without
		[ $variant != pie ] || continue
		# perf 6.1 and 6.12 look for inlined calls in chains they unwind themselves.
		tap_check "$name: recorded with stacks" record --call-graph dwarf,4096
		tap_check "$name: perf script, inlined calls" scripts_agree 20
	done
done

report_shows_inlined()
{
	$perf report -i "$work/data" --symfs "$work/out" --stdio 2>"$work/err" >"$work/ours"
	grep -q 'main.step (inlined)' "$work/ours" && grep -q 'main.twice (inlined)' "$work/ours" ||
		{ head -n 60 "$work/ours"; return 1; }
}
tap_check "$name: perf report shows inlined calls" report_shows_inlined

# In perf's own cache, which takes no root: where perf record has put the program.
in_cache()
{
	id=$(readelf -n "$program" | sed -n 's/ *Build ID: //p')
	dir=$HOME/.debug/.build-id/$(echo "$id" | cut -c1-2)/$(echo "$id" | cut -c3-)
	[ -d "$dir" ] || { echo "perf record made no $dir"; return 1; }
	$perf script -i "$work/data" -F ip,sym 2>/dev/null | grep main.mix && return 1
	cp "$work/spin.debug" "$dir/debug"
	$perf script -i "$work/data" -F ip,sym 2>/dev/null | grep -q main.mix
}
tap_check "$name: in ~/.debug" in_cache

# /usr/lib/debug itself, in a mount namespace of our own.
compare_installed() # VERSION VARIANT
{
	prepare "$1" "$2" && record -g || return 1
	rm -rf "$HOME/.debug"
	unshare -m sh -ec "
		mkdir -p /usr/lib/debug
		mount -t tmpfs none /usr/lib/debug
		'$O/gojitter' debuginfo '$program' --install >'$work/said'
		$perf script -i '$work/data' -F ip,sym,symoff,srcline 2>/dev/null >'$work/installed'" ||
		return 1
	script out ip,sym,symoff,srcline >"$work/ours"
	grep -A1 -F main. "$work/ours" >"$work/wanted"
	grep -A1 -F main. "$work/installed" | diff - "$work/wanted" && [ -s "$work/wanted" ]
}
if unshare -m true 2>/dev/null; then
	tap_check "1.19 exe: installed by path" compare_installed 1.19 exe
	tap_check "1.27 pie: installed by build id" compare_installed 1.27 pie
else
	tap_skip "installed in /usr/lib/debug" "no mount namespace without privileges"
fi
tap_done
