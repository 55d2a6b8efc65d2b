#!/bin/sh
# What gojitter.so does with options, recordings and programs that are not as
# they should be: one clear line, or what stock perf does, and never a crash. The
# plugin runs under AddressSanitizer and UBSan here.
set -u
. tests/perf/plugin-lib.sh

asan=$O/asan
runtime="$(${CC:-gcc} -print-file-name=libasan.so) $(${CC:-gcc} -print-file-name=libubsan.so)"
make -s -j2 O="$O" asan-plugin >"$work/make.log" 2>&1 || {
	tap_fail "build with sanitizers" "$(cat "$work/make.log")"
	tap_done
}
tap_check "the sanitizers are in" sh -c "nm -D '$asan/gojitter.so' | grep -q __asan_report_load"

# perf itself leaks; what it does at exit is not ours.
script() # ARGS...
{
	if [ "$version" = 6.1 ]; then
		LD_PRELOAD=$runtime ASAN_OPTIONS=detect_leaks=0:exitcode=99 UBSAN_OPTIONS=exitcode=99 \
			timeout 60 "$perf" script --dlfilter "$asan/gojitter.so" "$@" >"$work/out.txt" 2>"$work/err.txt"
	else
		timeout 60 "$perf" script --dlfilter "$plugin" "$@" >"$work/out.txt" 2>"$work/err.txt"
	fi
}

# The run ends well and standard error holds exactly one line of ours, which matches.
one_line() # NAME PATTERN STATUS ARGS...
{
	name=$1 pattern=$2 wanted=$3
	shift 3
	script "$@"
	status=$?
	if [ $status -eq "$wanted" ] && [ "$(grep -c '^gojitter: ' "$work/err.txt")" -eq 1 ] &&
		grep -qE "^gojitter: .*$pattern" "$work/err.txt"; then
		tap_ok "$version: $name"
	else
		tap_fail "$version: $name" "exit status $status: $(head -c 2000 "$work/err.txt")"
	fi
}

sane() # NAME: the last run neither crashed nor hung nor tripped a sanitizer
{
	# perf, too, reads behind the ends of what is spoiled.
	if [ $status -eq 99 ] && grep -q 'ERROR: AddressSanitizer' "$work/err.txt" &&
		! sed -n '/ERROR: AddressSanitizer/,/^$/p' "$work/err.txt" | grep -q gojitter; then
		return 0
	fi
	case $status in
	99 | 124 | 12[6-9] | 13? | 14?) ;;
	*) grep -qE 'AddressSanitizer|runtime error' "$work/err.txt" || return 0 ;;
	esac
	tap_fail "$1" "exit status $status: $(head -c 3000 "$work/err.txt")"
	return 1
}

app=$(fixture 1.24 exe) && other=$(fixture 1.24 pie) || exit 1
# Go 1.19 writes no build id.
older=$(fixture 1.19 exe) && cp "$older" "$work/older" && cp "$app" "$work/prog" || exit 1
# From perf 7 on the kernel records build ids, which does not find Go's.
record "$work/app.data" --no-buildid-mmap -g --user-regs=r14,sp,bp,ip -e "$sampler" -- "$work/prog" 0.7 &&
record "$work/older.data" -g -e "$sampler" -- "$work/older" 0.4 inlined generic &&
record "$work/dwarf.data" --call-graph dwarf,4096 -e "$sampler" -- "$work/prog" 0.4 || tap_done
sleep 1.1 && touch "$work/newer"
"$recorder" script --no-inline -i "$work/app.data" >"$work/whole.txt" 2>/dev/null

for version in ${GJ_PERFS:-6.1}; do # others: tests/perf/plugin-long.sh
	perf=$(perf_of "$version") || { tap_skip "perf $version" "cannot be had"; continue; }
	cp "$app" "$work/prog"

	one_line "an option there is none of" "'colour=red' is no option; there are format=" 1 \
		-i "$work/app.data" --dlarg colour=red
	one_line "neither on nor off" "'goid=maybe': it is on or off" 1 -i "$work/app.data" --dlarg goid=maybe
	one_line "a profile that goes nowhere" "format=pprof: output=FILE says where" 1 \
		-i "$work/app.data" --dlarg format=pprof
	one_line "labels there are none of" "labels=: 'goids' is none of" 1 \
		-i "$work/app.data" --dlarg format=pprof --dlarg labels=goids
	one_line "a format there is none of" "format=xml: the formats are perf, folded, json and pprof" 1 \
		-i "$work/app.data" --dlarg format=xml
	one_line "a field there is none of" "fields=: 'colour' is none of comm, pid," 1 \
		-i "$work/app.data" --dlarg fields=ip,colour
	one_line "no number of frames" "max-stack=many: a number of frames is wanted" 1 \
		-i "$work/app.data" --dlarg max-stack=many
	tap_check "$version: then nothing is printed" test ! -s "$work/out.txt"

	rm "$work/prog" && cp "$other" "$work/prog"
	one_line "the program was replaced" "$work/prog: the file was replaced since the recording" 0 -i "$work/app.data"
	tap_check "$version: its frames are [unknown] then, as stock perf shows them" test \
		"$(grep -c '\[unknown\]' "$work/out.txt")" -gt 100 -a "$(grep -c ' main\.' "$work/out.txt")" -eq 0
	echo 'no program' >"$work/prog"
	one_line "the program became a text file" "$work/prog: the file was replaced since the recording" 0 -i "$work/app.data"
	rm "$work/prog"
	one_line "the program is gone" "$work/prog: not on this machine.*symfs=DIR" 0 -i "$work/app.data"
	mkdir -p "$work/kept$work" && cp "$app" "$work/kept$work/prog"
	script -i "$work/app.data" --dlarg goid=off --dlarg inline=off --dlarg quality=off --dlarg "symfs=$work/kept"
	tap_check "$version: symfs= finds it where it was kept" test \
		"$(grep -c ' main\.mix+0x' "$work/out.txt")" -gt 20 -a ! -s "$work/err.txt"
	cp "$app" "$work/prog"

	cp -p "$older" "$work/older"
	script -i "$work/older.data" --dlarg quality=off
	tap_check "$version: a program without a build id is taken for the recorded one" sh -c \
		"! grep . '$work/err.txt' && grep -q ' main\.mix+0x' '$work/out.txt'"
	touch -r "$work/newer" "$work/older"
	one_line "unless it is younger: then it says so" "$work/older: newer than the recording" 0 -i "$work/older.data" --dlarg quality=off
	mkdir -p "$work/kept$work" && cp "$older" "$work/kept$work/older"
	script -i "$work/older.data" --dlarg quality=off --dlarg "symfs=$work/kept"
	tap_check "$version: symfs= is taken without a word" test ! -s "$work/err.txt"

	# Cut recordings: perf decides what is left of them.
	bad=0
	for cut in 3 60 104 500 9000 40000 100000; do
		head -c $cut "$work/app.data" >"$work/cut.data"
		"$perf" script -i "$work/cut.data" >"$work/stock.txt" 2>/dev/null
		stock=$?
		script -i "$work/cut.data"
		status=$?
		sane "$version: a recording cut at $cut" && [ $status -eq $stock ] || bad="$cut: $status, not $stock"
	done
	[ $bad = 0 ] && tap_ok "$version: cut recordings end as with stock perf" ||
		tap_fail "$version: cut recordings end as with stock perf" "$bad"

	# Spoiled recordings and programs: a byte in every so many is another.
	bad=0
	for seed in 1 2 3 4 5 6; do
		for data in app dwarf; do
			python3 -c '
import random, sys
random.seed(int(sys.argv[1]))
data = bytearray(open(sys.argv[2], "rb").read())
for _ in range(40):
    data[random.randrange(1000, len(data))] = random.choice((0, 1, 127, 255, random.randrange(256)))
open(sys.argv[3], "wb").write(data)' $seed "$work/$data.data" "$work/spoiled.data"
			# Where stock perf itself crashes there is nothing to see.
			timeout 60 "$perf" script -i "$work/spoiled.data" >/dev/null 2>&1
			[ $? -lt 124 ] || continue
			script -i "$work/spoiled.data" --dlarg lines=on
			status=$?
			sane "$version: spoiled recording $data $seed" || bad=1
		done
		mkdir -p "$work/spoiled$work"
		python3 -c '
import random, subprocess, sys
random.seed(int(sys.argv[1]))
data = bytearray(open(sys.argv[2], "rb").read())
table = [l.split() for l in subprocess.run(["readelf", "-SW", sys.argv[2]], capture_output=True,
         text=True).stdout.splitlines() if ".gopclntab" in l][0]
at = table.index(".gopclntab")
off, size = int(table[at + 3], 16), int(table[at + 4], 16)
for _ in range(200 * int(sys.argv[1])):
    data[off + random.randrange(64, size)] = random.randrange(256)
open(sys.argv[3], "wb").write(data)' $seed "$app" "$work/spoiled$work/prog"
		for format in perf json folded pprof; do
			script -i "$work/app.data" --dlarg "symfs=$work/spoiled" --dlarg format=$format --dlarg output=/dev/null --dlarg lines=on
			status=$?
			sane "$version: spoiled program $seed $format" || bad=1
		done
	done
	[ $bad = 0 ] && tap_ok "$version: spoiled recordings and programs do no harm"

	# Another machine's recording: its registers are others.
	sed 's/x86_64/arm64\x00/' "$work/app.data" >"$work/arm64.data"
	script -i "$work/arm64.data"
	status=$?
	sane "$version: a recording of an arm64 machine" && tap_check \
		"$version: a recording of an arm64 machine" test "$(grep -c ' main\.mix+0x' "$work/out.txt")" -gt 20 -a \
		"$(grep -c 'goid:[0-9]' "$work/out.txt")" -eq 0
done
tap_done
