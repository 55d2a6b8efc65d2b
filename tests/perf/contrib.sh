#!/bin/sh
# The patches in contrib/: perf built with one takes the plugin by -s, in every
# spelling, and -s is what it was for everything else.
#
#   tests/perf/contrib.sh [PERF VERSION...]
. tests/tap.sh

[ $# -gt 0 ] || set -- 6.1
home=$(cd "$O" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
program=$(tests/fixtures/build.sh 1.22 whirl nosym+strip) || { tap_fail "builds"; tap_done; }

same() # WANT COMMAND...
{
	same_want=$1
	shift
	"$@" </dev/null >"$work/got" 2>"$work/stderr" || { cat "$work/stderr"; return 1; }
	cmp "$work/got" "$same_want"
}

refuses() # TEXT COMMAND...
{
	refuses_text=$1
	shift
	"$@" </dev/null >"$work/got" 2>&1 && return 1
	grep -q "$refuses_text" "$work/got" || { cat "$work/got"; return 1; }
}

for version; do
	perf=$(tests/perf/patched.sh "$version") || { tap_fail "perf $version builds with the patch"; continue; }
	tap_ok "perf $version builds with the patch, which checkpatch.pl accepts"
	data=$work/perf.data
	"$perf" record -q -e cpu-clock -F 499 -g -o "$data" -- "$program" >"$work/log" 2>&1 ||
		tap_fail "perf $version records" "$(cat "$work/log")"
	PERF_EXEC_PATH=$home/exec-path
	export PERF_EXEC_PATH
	"$perf" script -i "$data" --dlfilter "$home/gojitter.so" >"$work/want" 2>/dev/null
	"$perf" script -i "$data" >"$work/stock" 2>/dev/null
	tap_check "perf $version: the plugin's output is its own" sh -c \
		'grep -q " main.grindCoffee+0x" "$1/want" && ! grep -q main.grindCoffee "$1/stock"' sh "$work"
	for form in '-s gojitter.so' '-sgojitter.so' '--script gojitter.so' '--script=gojitter.so' \
		"-s $home/gojitter.so" '--dlfilter none.so -s gojitter.so'; do
		tap_check "perf $version: script $(echo "$form" | sed "s|$home/|PATH/|")" \
			same "$work/want" "$perf" script -i "$data" $form
	done
	tap_check "perf $version: plain script is what it was" same "$work/stock" "$perf" script -i "$data"
	tap_check "perf $version: other extensions are refused as before" \
		refuses 'invalid script extension' "$perf" script -i "$data" -s gojitter.tcl
	tap_check "perf $version: a language still means a script" \
		refuses 'Python scripting not supported' "$perf" script -i "$data" -s python:gojitter.so
	unset PERF_EXEC_PATH
done
tap_done
