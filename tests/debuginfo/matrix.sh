#!/bin/sh
# gojitter debuginfo over binaries of every toolchain built in many ways: what
# stock tools say of the debug file of a stripped one, against what they say of
# its unstripped twin (tests/debuginfo/compare.py says what is compared).
#
#   tests/debuginfo/matrix.sh [--full]
. tests/tap.sh

full=${1:-}
build=tests/fixtures/build.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

compare() # NAME STRIPPED TWIN CHECK...
{
	name=$1 stripped=$2 twin=$3
	shift 3
	if ! "$O/gojitter" debuginfo "$stripped" -o "$work/out" >"$work/said" 2>&1; then
		tap_fail "$name: a debug file" "$(cat "$work/said")"
		return
	fi
	tap_check "$name: $*" tests/debuginfo/compare.py "$stripped" "$work/out" "$twin" "$@"
}

check() # VERSION PROGRAM VARIANT STRIPPED-VARIANT CHECK...
{
	if twin=$($build "$1" "$2" "$3" 2>"$work/err") &&
		stripped=$($build "$1" "$2" "$4" 2>"$work/err"); then
		name="$1 $2 $4"
		shift 4
		compare "$name" "$stripped" "$twin" "$@"
	else
		tap_fail "$1 $2 $3 builds" "$(cat "$work/err")"
	fi
}

all='verify symbols frames unwind gdb'

check_thoroughly()
{
	for variant in exe pie pie+ext lld+pie; do
		check "$1" rich $variant $variant+strip $all
	done
	check "$1" rich exe nosym $all
	check "$1" cgo cgo cgo+strip $all
	check "$1" cgo cshared cshared+strip $all
	# gdb is built for this machine only.
	check "$1" rich arm64 arm64+nosym verify symbols frames unwind
	check "$1" rich arm64+pie arm64+pie+nosym verify symbols frames unwind
}

newest=$(tests/toolchains.sh --list | tail -n 1)
for version in $(tests/toolchains.sh --list); do
	case $full$version in
	--full* | 1.19 | "$newest") check_thoroughly "$version" ;;
	1.24)
		check "$version" rich exe exe+strip $all
		check "$version" rich pie pie+strip $all
		check "$version" cgo cgo cgo+strip $all
		;;
	*) check "$version" rich exe exe+strip $all ;;
	esac
done

# What a binary still has is kept: symbols of one without DWARF, of C code too.
check "$newest" cgo cgo cgo+nodwarf verify symbols frames
# Without section headers.
twin=$($build "$newest" rich pie)
llvm-objcopy --strip-sections "$twin" "$work/nosections"
compare "$newest rich pie without section headers" "$work/nosections" "$twin" verify frames

# Big programs: every function of them, in memory that the debug file sets.
peak_within_bounds() # STRIPPED
{
	tests/debuginfo/peak.py "$O/gojitter" debuginfo "$1" -o "$work/out" >"$work/peak"
	peak=$(tail -n 1 "$work/peak")
	size=$(stat -c %s "$work/out")
	echo "$peak bytes of memory for a file of $size"
	[ "$peak" -lt $((3 * size + 8000000)) ]
}
programs=link
[ -z "$full" ] || programs='link compile'
for program in $programs; do
	if twin=$(tests/fixtures/gotool.sh $program 2>"$work/err"); then
		strip -o "$work/$program" "$twin"
		compare "built $program" "$work/$program" "$twin" $all
		tap_check "built $program: memory below three times the debug file" \
			peak_within_bounds "$work/$program"
	else
		tap_fail "built $program" "$(cat "$work/err")"
	fi
done
tap_done
