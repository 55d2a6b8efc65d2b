#!/bin/sh
# gojitter sym against Go's own tools and llvm-symbolizer, over binaries of
# every toolchain built in every way (tests/sym/oracle.py says what is compared).
#
#   tests/sym/matrix.sh [--full]
#
# --full: every variant with every release, and Go's own big programs.
. tests/tap.sh

full=${1:-}
build=tests/fixtures/build.sh
oracle=tests/sym/oracle.py
gojitter=$O/gojitter
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

check() # VERSION PROGRAM VARIANT CHECK...
{
	check_name="$1 $2 $3:"
	if ! binary=$($build "$1" "$2" "$3" 2>"$work/err"); then
		tap_fail "$check_name builds" "$(cat "$work/err")"
		return
	fi
	shift 3
	tap_check "$check_name $*" "$oracle" "$binary" "$@"
}

# A stripped build answers as the unstripped one does, byte for byte.
check_twin() # VERSION PROGRAM VARIANT STRIPPED-VARIANT
{
	if twin=$($build "$1" "$2" "$3" 2>"$work/err"); then
		check "$1" "$2" "$4" twin info --twin "$twin"
	else
		tap_fail "$1 $2 $3 builds" "$(cat "$work/err")"
	fi
}

all='info entries random returns nm inlines'

check_thoroughly()
{
	for variant in exe pie ext pie+ext noinline noopt trimpath arm64 arm64+pie; do
		check "$1" rich $variant $all
	done
	# Up to 1.17 functab holds addresses; Go's own tools do not find them in relocations.
	case $1 in
	1.15) check "$1" rich lld+pie info nm inlines ;;
	*) check "$1" rich lld+pie $all ;;
	esac
	for variant in cgo cshared plugin; do
		check "$1" cgo $variant $all
	done
	check_twin "$1" rich exe nosym
	check_twin "$1" rich exe strip
	check_twin "$1" rich pie pie+nosym
	check_twin "$1" rich pie+ext pie+ext+strip
	check_twin "$1" rich pie+ext pie+ext+nosym
	check_twin "$1" rich lld+pie lld+pie+strip
	check_twin "$1" rich arm64 arm64+nosym
	check_twin "$1" cgo cshared cshared+strip
}

check_usual()
{
	for variant in exe pie+ext arm64; do
		check "$1" rich $variant $all
	done
	check "$1" cgo cgo $all
	check_twin "$1" rich exe strip
	check_twin "$1" rich pie+ext pie+ext+nosym
}

check_quickly()
{
	check "$1" rich exe info entries random nm inlines
	check_twin "$1" rich exe strip
}

oldest=$(tests/toolchains.sh --list | head -n 1)
newest=$(tests/toolchains.sh --list | tail -n 1)
for version in $(tests/toolchains.sh --list); do
	case $full$version in
	--full* | $oldest | $newest) check_thoroughly "$version" ;;
	1.19 | 1.22) check_usual "$version" ;;
	*) check_quickly "$version" ;;
	esac
done

# Go's own programs: as the distribution ships them, stripped, and built here.
set -- $(tests/toolchains.sh "$newest")
goroot=$2
tools=$goroot/pkg/tool/linux_amd64
for program in "$goroot/bin/gofmt" "$goroot/bin/go" "$tools/link" "$tools/compile"; do
	tap_check "shipped $(basename "$program"): entries random" "$oracle" "$program" entries random
done
programs=link
[ -z "$full" ] || programs='link gofmt compile go'
for program in $programs; do
	if binary=$(tests/fixtures/gotool.sh "$program" 2>"$work/err"); then
		tap_check "built $program: entries random returns nm inlines" \
			"$oracle" "$binary" entries random returns nm inlines
	else
		tap_fail "built $program" "$(cat "$work/err")"
	fi
done

# Where sections, build information or symbols are missing.
says() # FILE KEY VALUE
{
	"$gojitter" sym -e "$1" --info >"$work/info" && grep -x "$2: $3" "$work/info" ||
		{ cat "$work/info"; return 1; }
}

check_without() # VERSION
{
	twin=$($build "$1" rich exe) || return
	objcopy --remove-section .go.buildinfo "$twin" "$work/nobuildinfo"
	tap_check "$1 without .go.buildinfo: version from runtime.buildVersion" \
		says "$work/nobuildinfo" version_source symbol
	tap_check "$1 without .go.buildinfo: go_version" \
		says "$work/nobuildinfo" go_version "$(go_version "$twin")"
	objcopy --strip-symbol runtime.buildVersion "$work/nobuildinfo" "$work/nosymbol"
	tap_check "$1 without that symbol: version from DWARF" \
		says "$work/nosymbol" version_source dwarf
	tap_check "$1 without that symbol: go_version" \
		says "$work/nosymbol" go_version "$(go_version "$twin")"
	strip "$work/nobuildinfo"
	tap_check "$1 stripped without .go.buildinfo: version from .rodata" \
		says "$work/nobuildinfo" version_source rodata
	tap_check "$1 stripped without .go.buildinfo: go_version" \
		says "$work/nobuildinfo" go_version "$(go_version "$twin")"
	LC_ALL=C sed "s/go1\.$(go_minor "$twin")/no1.00/g" "$work/nobuildinfo" >"$work/noversion"
	tap_check "$1 with no word of its version: from the layout of its tables" \
		says "$work/noversion" version_source layout
	tap_check "$1 with no word of its version: go_version" \
		says "$work/noversion" go_version unknown
	tap_check "$1 with no word of its version: twin" \
		"$oracle" "$work/noversion" twin --twin "$twin"
	for variant in exe pie pie+ext; do
		twin=$($build "$1" rich $variant) || return
		llvm-objcopy --strip-sections "$twin" "$work/nosections"
		tap_check "$1 $variant without section headers: twin" \
			"$oracle" "$work/nosections" twin --twin "$twin"
		tap_check "$1 $variant without section headers: go_version" \
			says "$work/nosections" go_version "$(go_version "$twin")"
	done
}

go_minor() { go_version "$1" | sed 's/^go1\.\([0-9]*\).*/\1/'; }
go_version() { "$goroot/bin/go" version "$1" | sed 's/.*: //'; }

for version in "$oldest" 1.19 1.22 "$newest"; do
	check_without "$version"
done
tap_done
