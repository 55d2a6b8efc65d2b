#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# gojitter bpf-object: what it writes is loaded, attached and read by stock bpftool
# alone, and says what programs of known behaviour say of themselves.
. tests/tap.sh

gojitter=$O/gojitter
build=tests/fixtures/build.sh
versions=${GJ_OBJECT_VERSIONS:-1.19 1.22 1.24 1.25 1.26 1.27}
work=$(mktemp -d)
pins=/sys/fs/bpf/object-test-$$
target=
clean()
{
	[ -z "$target" ] || kill -9 "$target" 2>/dev/null
	rm -rf "$pins" "$work"
}
trap clean EXIT

[ "$(id -u)" -eq 0 ] || { tap_skip 'objects loaded by bpftool' 'uprobes want root'; tap_done; }
mountpoint -q /sys/fs/bpf || mount -t bpf bpf /sys/fs/bpf
bpftool=$(tests/load/bpftool.sh) || { tap_fail 'a bpftool of 7.5 or later'; tap_done; }

# Without symbols, with an interpreter, of C's linker.
variant_of() # VERSION
{
	case $1 in
	1.22 | 1.26) echo pie ;;
	1.25) echo cgo+ext ;;
	*) echo exe ;;
	esac
}

# A file of our own: others may run the cached one meanwhile, and would be counted.
own() # VERSION PROGRAM VARIANT
{
	built=$($build "$@") || return 1
	mkdir -p "$work/own"
	rm -f "$work/own/$(basename "$built")"
	cp "$built" "$work/own" && echo "$work/own/$(basename "$built")"
}

writes() { "$gojitter" bpf-object -e "$1" -o "$work/written.bpf.o" --what "$2" >"$work/said" 2>&1 || { cat "$work/said"; return 1; }; }

loads()
{
	"$bpftool" prog loadall "$work/written.bpf.o" "$pins" pinmaps "$pins/maps" autoattach >"$work/said" 2>&1 &&
		[ ! -s "$work/said" ] || { cat "$work/said"; return 1; }
}

unloads() { rm -r "$pins"; }

until_true() # CMD...
{
	tries=0
	until "$@" >/dev/null 2>&1; do
		tries=$((tries + 1))
		[ $tries -lt 200 ] || { echo "never: $*"; return 1; }
		sleep 0.05
	done
}

# Begins when told so by descriptor 5; what it says is in $dir/out.
start() # BINARY
{
	rm -f "$dir/in"
	mkfifo "$dir/in"
	GOTRACEBACK=system GODEBUG=asyncpreemptoff=1 GOGC=off "$1" <"$dir/in" >"$dir/out" &
	target=$!
	exec 5>"$dir/in"
	until_true grep -qx ready "$dir/out"
}

ends()
{
	exec 5>&-
	wait "$target" || { echo "the program ended with $?"; return 1; }
	target=
}

# The program of tests/trace/goroutines.sh, and its judge.
goroutines() # VERSION
{
	dir=$work/$1
	mkdir "$dir"
	toolchain=$(tests/toolchains.sh "$1") && binary=$(own "$1" switches "$(variant_of "$1")") &&
		writes "$binary" goroutines && start "$binary" && loads || return 1
	echo go >&5
	until_true grep -qx 'done' "$dir/out" || return 1
	echo dump >&5
	until_true grep -qx end "$dir/out" || return 1
	sleep 0.1 # to where it waits for the next line
	for map in goroutines goroutine_counts sched_latency blocked long_runs wakers \
		blocked_stacks waker_stacks drops; do
		"$bpftool" -j map dump pinned "$pins/maps/$map" >"$dir/$map.json" || return 1
	done
	unloads && ends || return 1
	GOROOT=${toolchain#* } GOTOOLCHAIN=local "${toolchain#* }/bin/go" tool nm "$binary" >"$dir/nm"
	tests/trace/goroutines.py "$dir" "${1#1.}" "$dir/nm"
}

beside() # FEATURE VERSION
{
	binary=$(own "$2" "tests/trace/$1.go" "$(variant_of "$2")") &&
		tests/load/object.py "$bpftool" "$1.py" "$binary" "${2#1.}"
}

# The oldest and the newest with the others, as they take time.
others_of() # VERSION
{
	case $1 in
	1.19 | 1.27) echo alloc netpoll syscalls ;;
	esac
}

for version in $versions; do
	tap_check "$version, $(variant_of $version): goroutines, as it counts them itself" goroutines "$version"
	exec 5>&-
	rm -rf "$pins"
	for feature in ${GJ_OBJECT_FEATURES:-gc $(others_of "$version")}; do
		tap_check "$version, $(variant_of $version): $feature" beside $feature "$version"
	done
done

# Processes come and go with nobody of ours about.
dir=$work
old=$(own 1.24 switches exe)
has_target() { "$bpftool" -j map dump pinned "$pins/maps/targets" | grep -Eq "\"key\": ?$1[,}]"; }
has_none() { ! has_target "$1"; }
comes_and_goes()
{
	writes "$old" all && loads && start "$old" && until_true has_target "$target" || return 1
	was=$target
	ends && until_true has_none "$was"
}
tap_check 'a process that comes is a target, and none when it has ended' comes_and_goes
# Where bpftool has put programs, and where doctor's list is by what Go's own nm says.
places()
{
	"$("tests/toolchains.sh" 1.24 | cut -d' ' -f2)/bin/go" tool nm "$old" >"$work/nm"
	set -- $(readelf -lW "$old" | awk '$1 == "LOAD" && / R E / { print $2, $3; exit }')
	"$gojitter" doctor -e "$old" | sed -n 's/^ *\([^ ]*\)+\(0x[0-9a-f]*\)  .* gj_on_.*/\1 \2/p' |
		while read -r name off; do
			address=0x$(awk -v name="$name" '$3 == name { print $1; exit }' "$work/nm")
			printf '0x%x\n' $((address + off - $2 + $1))
		done | sort >"$work/planned"
	for pin in "$pins"/gj_on_*; do
		"$bpftool" link show pinned "$pin" | sed -n 's/.*uprobe .*+\(0x[0-9a-f]*\) .*/\1/p'
	done | sort >"$work/attached"
	[ -s "$work/planned" ] && diff "$work/planned" "$work/attached"
}
tap_check 'every place of every feature has its program' places
program_ids() { "$bpftool" -j prog show pinned "$1" | sed -n 's/^{"id":\([0-9]*\).*/\1/p'; }
for pin in "$pins"/gj_*; do
	program_ids "$pin"
	"$bpftool" -j link show pinned "$pin" 2>/dev/null | sed -n 's/.*"prog_id":\([0-9]*\).*/\1/p'
done >"$work/ids"
all_gone()
{
	while read -r id; do
		! "$bpftool" prog show id "$id" >/dev/null 2>&1 || return 1
	done <"$work/ids"
}
removed() { [ -s "$work/ids" ] && unloads && until_true all_gone; }
tap_check 'with its pins removed it is gone' removed

# Features that hook nothing: also of a program without symbols, and a process that ran
# before is met when it is switched.
if "$gojitter" trace --what list | grep -q ^threads; then
	ticks=$(own 1.26 tests/load/ticks.go strip)
	ran_before()
	{
		"$ticks" >/dev/null &
		target=$!
		writes "$ticks" threads && loads && until_true has_target "$target" || return 1
		kill "$target"
		wait "$target"
		until_true has_none "$target" && target= && unloads
	}
	tap_check 'a process that ran before is met by threads alone' ran_before
	rm -rf "$pins"
	writes "$old" all
fi

# Every goroutine of it, by reading a file that bpftool has made.
if "$gojitter" trace --what list | grep -q ^census; then
	ticks=$(own 1.26 tests/load/ticks.go exe)
	read_census()
	{
		"$ticks" >/dev/null &
		target=$!
		writes "$ticks" census && loads && until_true has_target "$target" || return 1
		cat "$pins/census" >"$work/census" || return 1
		"$bpftool" map dump pinned "$pins/maps/census_goroutines" >"$work/goroutines"
		kill "$target"
		wait "$target"
		target=
		unloads
		cat "$work/census"
		grep -q '1 force gc (idle)' "$work/census" && grep -q '"func": "main.worker"' "$work/goroutines" &&
			grep -q '"func": "runtime.main"' "$work/goroutines"
	}
	tap_check 'its census is read' read_census
	rm -rf "$pins"
	writes "$old" all
fi

# What other tools make of the file.
tap_check 'readelf has no complaint' sh -c "! readelf -aW '$work/written.bpf.o' 2>&1 >/dev/null | grep ."
tap_check 'llvm-objdump reads every function' sh -c "llvm-objdump -dr '$work/written.bpf.o' >'$work/code' &&
	[ \$(grep -c '^[0-9a-f]* <.*>:' '$work/code') -eq \$(readelf -sW '$work/written.bpf.o' | grep -c ' FUNC ') ]"
tap_check 'bpftool makes a skeleton of it' sh -c "'$bpftool' gen skeleton '$work/written.bpf.o' >/dev/null"
not_attached()
{
	bpftool prog loadall "$work/written.bpf.o" "$pins" pinmaps "$pins/maps" &&
		[ -e "$pins/maps/goroutines" ] && [ -e "$pins/gj_on_casgstatus" ]
}
tap_check "this machine's bpftool loads and pins it, too" not_attached
rm -rf "$pins"

# Without symbols.
stripped=$($build 1.24 switches strip)
refuses() # PATTERN ARGUMENTS...
{
	pattern=$1
	shift
	"$gojitter" bpf-object "$@" >"$work/said" 2>&1
	was=$?
	cat "$work/said"
	[ $was -eq 1 ] && [ "$(wc -l <"$work/said")" -eq 1 ] && grep -Eq "^gojitter: .*$pattern" "$work/said"
}
tap_check 'a stripped program is refused, with what to do' \
	refuses 'gc cannot be had: .*switches has no symbols, .*--with-code' -e "$stripped" -o "$work/none" --what gc
tap_check 'and no file is left' [ ! -e "$work/none" ]
copied()
{
	"$gojitter" debuginfo "$stripped" --with-code -o "$work/copy" && chmod +x "$work/copy" || return 1
	writes "$work/copy" goroutines && start "$work/copy" && loads || return 1
	echo go >&5
	until_true grep -qx 'done' "$dir/out" || return 1
	"$bpftool" map dump pinned "$pins/maps/goroutine_counts" >"$work/counts"
	unloads && ends || return 1
	# As many as it says, on all processors together.
	[ "$(awk '/"created"/ { sum += $2 } END { print sum }' "$work/counts")" -eq \
		"$(sed -n 's/^all //p' "$dir/out")" ]
}
tap_check 'its copy by gojitter debuginfo --with-code is traced' copied
exec 5>&-
rm -rf "$pins"
# A program of C's linker keeps symbols that others may call.
exported()
{
	binary=$(own 1.24 tests/trace/gc.go cgo+ext+strip) &&
		tests/load/object.py "$bpftool" gc.py "$binary" 24
}
tap_check 'one stripped that exports a function is attached by that' exported

misused()
{
	for arguments in '' "-e $old" "-o $work/none" "-e $old -o $work/none --what nonsense" "-e $old -o $work/none more"; do
		"$gojitter" bpf-object $arguments >"$work/said" 2>&1
		[ $? -eq 2 ] && grep -q '^see gojitter bpf-object --help' "$work/said" || { cat "$work/said"; return 1; }
	done
	[ ! -e "$work/none" ]
}
tap_check 'wrong usage' misused
tap_check 'no Go program' refuses 'no Go program' -e /bin/ls -o "$work/none"
tap_check 'no such program' refuses 'No such file' -e /nonexistent -o "$work/none"
tap_check 'a library' refuses 'golib.*gojitter trace -p PID' -e "$($build 1.24 golib cshared)" -o "$work/none"
cp "$old" "$work/a:b"
tap_check 'a path that bpftool would divide' refuses "a:b: bpftool takes no ':'" -e "$work/a:b" -o "$work/none"
tap_check 'nowhere to write it' refuses 'No such file' -e "$old" -o /nonexistent/x
cp "$old" "$work/program"
tap_check 'over the program' refuses 'is the program' -e "$work/program" -o "$work/program"
tap_check 'which is as it was' cmp "$old" "$work/program"
tap_check 'a full disk' refuses 'No space' -e "$old" -o /dev/full
tap_done
