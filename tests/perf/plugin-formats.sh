#!/bin/sh
# What gojitter.so adds to perf script, against those who know it otherwise: Go's
# tools and llvm-symbolizer for names, inlined calls and lines; stock perf for
# every value in JSON; perf's stackcollapse for folded stacks; an unstripped twin
# for stripped programs.
set -u
. tests/perf/plugin-lib.sh

check() { "$perf_tests/plugin-check.py" "$@"; }
ours() # OUT FILE --dlarg...
{
	out=$1 file=$2
	shift 2
	"$perf" script -i "$file" --dlfilter "$plugin" "$@" >"$out" 2>"$out.err" ||
		tap_fail "$version: perf script $*" "$(cat "$out.err")"
}

app=$(fixture 1.24 exe) && newest=$(fixture 1.27 pie) && older=$(fixture 1.19 exe) || exit 1
stripped=$(fixture 1.24 strip) && bare=$(fixture 1.27 nosym) && bare_twin=$(fixture 1.27 exe) || exit 1

record "$work/app.data" -g --user-regs=r14,sp,bp,ip -e "$sampler" -- "$app" 1.5 &&
record "$work/newest.data" -g -e "$sampler" -- "$newest" 1 &&
record "$work/older.data" -g -e "$sampler" -- "$older" 1 &&
record "$work/stripped.data" -g -e "$sampler" -- "$stripped" 1 &&
record "$work/bare.data" -g -e "$sampler" -- "$bare" 1 &&
record "$work/dwarf.data" --call-graph dwarf,8192 -e "$sampler" -- "$app" 1 || tap_done
name=formats$$
probed=
if arm "$name" "$app" 160 304; then
	record "$work/probed.data" -g --user-regs=r14,sp,bp,ip -e "$sampler" -e page-faults \
		-e "gojitter:goexec_$name/call-graph=no/" -- "$app" 1.5 && probed=$work/probed.data
	disarm
fi
# A program that lives below a root of its own, as in a container, and lives on.
jail=$work/jail
mkdir -p "$jail" && cp "$bare" "$jail/service"
trap 'kill "$(cat "$work/jailed" 2>/dev/null)" 2>/dev/null; disarm; rm -rf "$work"' EXIT
cat >"$work/jail.sh" <<END
chroot "$jail" /service 600 inlined generic garbage >/dev/null 2>&1 &
echo \$! >"$work/jailed"
sleep 1
END
record "$work/jail.data" -g -e "$sampler" -- sh "$work/jail.sh" || tap_done
# The same bytes of text under symbols, and without them, where symfs= looks.
mkdir -p "$work/with$(dirname "$stripped")" "$work/without$(dirname "$app")" "$work/bare$(dirname "$bare")"
cp "$app" "$work/with$stripped" && cp "$stripped" "$work/without$app" && cp "$bare_twin" "$work/bare$bare"

for version in ${GJ_PERFS:-6.1}; do # others: tests/perf/plugin-long.sh
	perf=$(perf_of "$version") || { tap_skip "perf $version" "cannot be had"; continue; }

	# Names, inlined calls, files and lines.
	for data in app:$app newest:$newest older:$older; do
		binary=${data#*:} data=${data%%:*}
		ours "$work/$data.json" "$work/$data.data" --dlarg format=json
		[ "$data" = newest ] ||
			tap_check "$version: $data: functions and lines as llvm-symbolizer and go tool addr2line say" \
				check lines "$work/$data.json" "$binary" "$binary"
		ours "$work/$data.txt" "$work/$data.data"
		tap_check "$version: $data: the same frames in text and JSON" \
			check same-frames "$work/$data.json" "$work/$data.txt"
	done
	ours "$work/bare.json" "$work/bare.data" --dlarg format=json
	tap_check "$version: a stripped program: functions and lines as its twin's" \
		check lines "$work/bare.json" "$bare" "$bare_twin"
	ours "$work/lines.txt" "$work/app.data" --dlarg lines=on
	tap_check "$version: lines=on puts file:line under each Go frame" test \
		"$(grep -c '^  /.*app\.go:[1-9][0-9]*$' "$work/lines.txt")" -gt 500 -a \
		"$(grep -A1 '(inlined)$' "$work/lines.txt" | grep -c '^  /.*:[1-9]')" -eq \
		"$(grep -c '(inlined)$' "$work/lines.txt")"
	ours "$work/plain.txt" "$work/app.data"
	grep -v '^  /' "$work/lines.txt" | cmp -s - "$work/plain.txt" &&
		tap_ok "$version: lines=on changes nothing else" ||
		tap_fail "$version: lines=on changes nothing else" "$(grep -v '^  /' "$work/lines.txt" | diff - "$work/plain.txt" | head -5)"

	# Stripped programs say what unstripped ones say.
	ours "$work/stripped.txt" "$work/stripped.data" --dlarg inline=off
	"$perf" script --no-inline -i "$work/stripped.data" >"$work/stock.txt" 2>/dev/null
	tap_check "$version: a stripped program: stock perf knows none of its functions" test \
		"$(grep -F "($stripped)" "$work/stock.txt" | grep -vc '\[unknown\]')" -eq 0
	tap_check "$version: a stripped program: we know all" test \
		"$(grep -F "($stripped)" "$work/stripped.txt" | grep -c '\[unknown\]')" -eq 0 -a \
		"$(grep -cF "($stripped)" "$work/stripped.txt")" -gt 1000
	ours "$work/twin.txt" "$work/stripped.data" --dlarg inline=off --dlarg "symfs=$work/with"
	tap_check "$version: a stripped program: the same text as with symbols (symfs=)" \
		cmp "$work/stripped.txt" "$work/twin.txt"
	ours "$work/twin.txt" "$work/app.data" --dlarg "symfs=$work/without"
	tap_check "$version: an unstripped program: the same text as without symbols" \
		cmp "$work/plain.txt" "$work/twin.txt"

	ours "$work/jail.txt" "$work/jail.data"
	tap_check "$version: a program in another root directory" sh -c "
		grep -c ' main\..*(/service)\$' '$work/jail.txt' && ! grep '\[unknown\] (/service)' '$work/jail.txt' &&
		! grep -v '^gojitter: quality: ' '$work/jail.txt.err'"

	# Names in the field's forms.
	ours "$work/short.txt" "$work/app.data" --dlarg short=on
	tap_check "$version: short=on shows shapes as dots" test \
		"$(grep -c ' main\.sum\[go\.shape\.uint64\]+0x' "$work/plain.txt")" -gt 20 -a \
		"$(grep -c ' main\.sum\[\.\.\.\]+0x' "$work/short.txt")" -eq \
		"$(grep -c ' main\.sum\[go\.shape\.uint64\]+0x' "$work/plain.txt")"
	tap_check "$version: no .abi0" test "$(grep -c '\.abi0' "$work/plain.txt")" -eq 0 -a \
		"$(grep -c ' runtime\.goexit+0x1 ' "$work/plain.txt")" -gt 100

	# JSON. Since 6.5 perf prints addresses as they are.
	ours "$work/app.json" "$work/app.data" --dlarg format=json --dlarg inline=off --dlarg repair=off
	if [ "$version" = 6.1 ]; then
		tap_ok "$version: JSON parses: $(python3 -c 'import json, sys; print(sum(1 for l in open(sys.argv[1]) if json.loads(l)))' "$work/app.json") objects"
	else
		"$perf" script --no-inline --ns -F comm,pid,tid,time,event,period,ip -i "$work/app.data" >"$work/stock.txt"
		tap_check "$version: JSON: every value as stock perf's" check json "$work/app.json" "$work/stock.txt"
	fi

	# Folded.
	ours "$work/app.folded" "$work/app.data" --dlarg format=folded --dlarg inline=off \
		--dlarg repair=off
	core=$(dirname "$perf")/usr/lib/perf-core
	[ -d "$core" ] || core=/usr/lib/perf-core
	if PERF_EXEC_PATH=$core "$perf" script report stackcollapse --no-inline -i "$work/app.data" \
		>"$work/app.collapsed" 2>"$work/collapse.err" && [ -s "$work/app.collapsed" ]; then
		tap_check "$version: folded: as perf's stackcollapse" \
			check folded "$work/app.folded" "$work/app.collapsed"
	else
		tap_skip "$version: folded: as perf's stackcollapse" "this perf runs no Python scripts"
	fi
	ours "$work/app.folded" "$work/app.data" --dlarg format=folded
	tap_check "$version: folded: as FlameGraph reads our text" \
		check flamegraph "$work/app.folded" "$work/plain.txt"
	ours "$work/marked.folded" "$work/app.data" --dlarg format=folded --dlarg annotate=on
	tap_check "$version: folded: annotate=on marks the kernel's and inlined functions" sh -c "
		sed 's/_\[[ki]\]//g' '$work/marked.folded' | LC_ALL=C sort | cmp - '$work/app.sorted' &&
		grep -q ';main.rotate_\[i\]' '$work/marked.folded' && grep -q ';vfs_read_\[k\]' '$work/marked.folded'" \
		"$(LC_ALL=C sort "$work/app.folded" >"$work/app.sorted")"

	# A dump of the stack in place of the user's call chain.
	ours "$work/dwarf.txt" "$work/dwarf.data" --dlarg goid=off --dlarg inline=off
	"$perf" script --no-inline -i "$work/dwarf.data" >"$work/stock.txt" 2>/dev/null
	tap_check "$version: --call-graph dwarf: as far as stock perf unwinds, and on" \
		check dwarf "$work/dwarf.txt" "$work/stock.txt"

	# Goroutines, in the four forms there are.
	tap_check "$version: goid: without a probe no number is invented" check goids "$work/plain.txt" 0
	[ -n "$probed" ] || { tap_skip "$version: goid: with the probe" "no probe can be set here"; continue; }
	ours "$work/probed.txt" "$probed"
	tap_check "$version: goid: its forms" check goids "$work/probed.txt" 200
	tap_check "$version: goid: the probe's own events are not shown" test "$(grep -c goexec "$work/probed.txt")" -eq 0
	ours "$work/probed.json" "$probed" --dlarg format=json
	tap_check "$version: goid: the same in text and JSON" check same-frames "$work/probed.json" "$work/probed.txt"
	ours "$work/goid.folded" "$probed" --dlarg format=folded --dlarg goid=on --dlarg event=cpu-clock
	tap_check "$version: goid: goid=on parts folded stacks by goroutine" \
		grep -qE '^plugin-app;goroutine [0-9]+;runtime\.goexit;' "$work/goid.folded"
	ours "$work/first.folded" "$probed" --dlarg format=folded
	tap_check "$version: folded: one event's samples only, and it says so" \
		grep -q '^gojitter: counting [^ ]* only; event=' "$work/first.folded.err"
done
tap_done
