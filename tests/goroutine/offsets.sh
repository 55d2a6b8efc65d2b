#!/bin/sh
# Where the runtime keeps its fields (src/goroutine/offsets*.c), each source by
# itself and all together, against gdb's reading of the same build's DWARF.
. tests/tap.sh

build=tests/fixtures/build.sh
offsets=$O/tests/goroutine/offsets
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fields='g.stack.lo g.stack.hi g.m g.sched.sp g.sched.pc g.sched.bp g.syscallsp g.syscallpc
g.atomicstatus g.goid g.waitsince g.waitreason g.parentGoid g.gopc g.startpc g.labels
m.g0 m.procid m.gsignal m.curg m.p m.id m.alllink'

# What every amd64 build tells by its instructions alone.
coded='g.m g.sched.sp g.sched.pc g.sched.bp g.atomicstatus g.goid g.gopc g.startpc
m.g0 m.procid m.gsignal m.curg m.p m.alllink'

# "FIELD OFFSET" lines as gdb has them; fields the release lacks are left out.
gdb_says() # FILE
{
	set -- "$1" -ex 'set language c'
	for field in $fields; do
		set -- "$@" -ex "printf \"$field %d\\n\", (int)(long)&(('runtime.${field%%.*}' *)0)->${field#*.}"
	done
	gdb -nx -q -batch "$@" 2>/dev/null | grep '^[gm]\.'
}

# The fields in the lists $1 and $2 agree; $3 names those that must be in $1.
agree() # SAYS TRUTH NAMES
{
	for field in $3; do
		grep -q "^$field " "$2" || continue
		grep "^$field " "$1" >/dev/null || { echo "$field is not known"; return 1; }
	done
	grep '^[gm]\.' "$1" | grep -vxFf "$2" && return 1
	return 0
}

check_all() # NAME FILE TRUTH SOURCE
{
	"$offsets" "$2" all >"$work/all"
	tap_check "$1: every field as gdb has it" agree "$work/all" "$3" "$fields"
	tap_check "$1: from $4" grep -qx "source $4" "$work/all"
}

check_code() # NAME FILE TRUTH
{
	"$offsets" "$2" code >"$work/code"
	tap_check "$1: by its instructions alone" agree "$work/code" "$3" "$coded"
}

# A file that says it was built by another release.
pretend() # FILE FROM TO
{
	LC_ALL=C sed "s/go1\\.$2\\./go1.$3./g" "$1" >"$work/pretend"
}

check_version() # VERSION
{
	exe=$($build "$1" rich exe) && nosym=$($build "$1" rich nosym) &&
		arm=$($build "$1" rich arm64) && armnosym=$($build "$1" rich arm64+nosym) ||
		{ tap_fail "$1: fixtures"; return; }
	gdb_says "$exe" >"$work/truth"
	gdb_says "$arm" >"$work/armtruth"
	tap_check "$1: gdb knows the fields" grep -q '^g.goid ' "$work/truth"
	check_all "$1" "$exe" "$work/truth" dwarf+code+table
	check_all "$1 stripped" "$nosym" "$work/truth" code+table
	check_code "$1 stripped" "$nosym" "$work/truth"
	check_all "$1 arm64" "$arm" "$work/armtruth" dwarf+table
	check_all "$1 arm64 stripped" "$armnosym" "$work/armtruth" table
	# parentGoid is told by the release alone; 1.21 brought it.
	case $1 in
	1.15 | 1.19) return ;;
	esac
	pretend "$nosym" "${1#1.}" 99
	check_all "$1 said to be 1.99" "$work/pretend" "$work/truth" \
		'code (release not in the table)'
}

# Linked in another way: what the stripped build tells is what gdb has of its twin.
check_linked() # VERSION PROGRAM VARIANT STRIPPED-VARIANT TLS
{
	twin=$($build "$1" "$2" "$3" 2>"$work/err") && binary=$($build "$1" "$2" "$4" 2>"$work/err") ||
		{ tap_fail "$1 $2 $4 builds" "$(cat "$work/err")"; return; }
	gdb_says "$twin" >"$work/truth"
	check_all "$1 $4" "$binary" "$work/truth" code+table
	check_code "$1 $4" "$binary" "$work/truth"
	tap_check "$1 $4: TLS slot" grep -qx "$5" "$work/all"
}

# Each byte of the functions that are decoded, spoiled in three ways.
spoiled()
{
	binary=$($build "$1" rich nosym) && "$O/tests/goroutine/sweep" "$binary" >"$work/sweep" &&
		grep -qE '^[0-9]{4,} right, [0-9]{2,} refused$' "$work/sweep" ||
		{ cat "$work/sweep"; return 1; }
}

# Sources that disagree are refused, and both values named.
refused()
{
	pretend "$($build "$1" rich nosym)" "${1#1.}" "${2#1.}"
	"$offsets" "$work/pretend" all >"$work/all" && { cat "$work/all"; return 1; }
	grep "error -74 .*$3" "$work/all" || { cat "$work/all"; return 1; }
	"$O/gojitter" sym -e "$work/pretend" --info >"$work/info" &&
		grep -x 'goid_offset: unknown' "$work/info" &&
		grep "^offsets_source: none: .*$3" "$work/info" || { cat "$work/info"; return 1; }
}

unknown_release()
{
	pretend "$($build 1.27 rich arm64+nosym)" 27 99
	"$offsets" "$work/pretend" all >"$work/all" && { cat "$work/all"; return 1; }
	grep 'error -95 .*go1\.99.*the table ends at go1\.27' "$work/all" || { cat "$work/all"; return 1; }
}

for version in $(tests/toolchains.sh --list); do
	check_version "$version"
done
for version in 1.15 1.19 1.27; do
	check_linked $version rich pie pie+nosym 'tls -8'
	check_linked $version rich pie+ext pie+ext+strip 'tls -8'
	check_linked $version rich lld+pie lld+pie+strip 'tls -8'
	check_linked $version cgo cshared cshared+strip 'tls-slot 0x[0-9a-f]*'
done
for version in 1.15 1.22 1.27; do
	tap_check "$version: no spoiled byte of code makes a wrong offset" spoiled $version
done

# Stripped programs that others built, of releases there is no toolchain for:
# what their instructions tell by themselves is what the table says of that
# release, without which `source` would be another.
check_npm() # NAME@VERSION FILE RELEASE TLS
{
	binary=$(tests/npm.sh "$1" "$2" 2>"$work/err")
	case $? in
	0) ;;
	77) tap_skip "$1 ($3)" "$(cat "$work/err")"; return ;;
	*) tap_fail "$1 ($3)" "$(cat "$work/err")"; return ;;
	esac
	"$O/gojitter" sym -e "$binary" --info >"$work/info"
	"$offsets" "$binary" table >"$work/table"
	check_code "$1 ($3)" "$binary" "$work/table"
	tap_check "$1 ($3): release" grep -qx "go_version: go$3" "$work/info"
	tap_check "$1 ($3): source" grep -qx 'offsets_source: code+table' "$work/info"
	tap_check "$1 ($3): TLS slot" grep -qx "tls_g: $4" "$work/info"
}

check_npm esbuild-linux-64@0.11.23 bin/esbuild 1.16.3 -8
check_npm esbuild-linux-64@0.13.15 bin/esbuild 1.17.2 -8
check_npm esbuild-linux-64@0.14.47 bin/esbuild 1.18.3 -8
check_npm @esbuild/linux-x64@0.18.20 bin/esbuild 1.20.7 -8
# Without .go.buildinfo; with C code that has thread-local data of its own.
check_npm @esbuild/linux-x64@0.28.2 bin/esbuild 1.26.5 -8
check_npm turbo-linux-64@1.9.9 bin/go-turbo 1.18.10 -104

tap_check '1.22 said to be 1.24 is refused' refused 1.22 1.24 \
	'g.atomicstatus is at offset 144 by the code but at 152 by the table'
tap_check '1.26 said to be 1.25 is refused' refused 1.26 1.25 \
	'g.gopc is at offset 288 by the code but at 280 by the table'
tap_check 'arm64 of an unknown release without DWARF is refused' unknown_release
tap_done
