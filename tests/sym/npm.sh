#!/bin/sh
# Programs that nobody here built, most of them stripped, of releases that no
# Debian suite has among others: npm packages. Names and lines against the newest
# `go tool addr2line`, which reads .gopclntab; --info against `go version`.
. tests/tap.sh

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

check() # NAME@VERSION FILE GO-RELEASE VERSION-SOURCE
{
	binary=$(tests/npm.sh "$1" "$2" 2>"$work/err")
	case $? in
	0) ;;
	77) tap_skip "$1" "$(cat "$work/err")"; return ;;
	*) tap_fail "$1" "$(cat "$work/err")"; return ;;
	esac
	[ "$4" = symbol ] || tap_check "$1: stripped" sh -c "! nm '$binary' 2>/dev/null | grep -q ."
	tap_check "$1: names and lines at every entry and at random" \
		env GJ_RANDOM=20000 tests/sym/oracle.py "$binary" entries random
	"$O/gojitter" sym -e "$binary" --info >"$work/info"
	tap_check "$1: go_version" grep -x "go_version: go$3" "$work/info"
	tap_check "$1: version_source" grep -x "version_source: $4" "$work/info"
	tap_check "$1: --info" tests/sym/oracle.py "$binary" info
}

check esbuild-linux-64@0.11.23 bin/esbuild 1.16.3 buildinfo
check esbuild-linux-64@0.13.15 bin/esbuild 1.17.2 buildinfo
check esbuild-linux-64@0.14.47 bin/esbuild 1.18.3 buildinfo
check @esbuild/linux-x64@0.18.20 bin/esbuild 1.20.7 buildinfo
check @esbuild/linux-x64@0.28.2 bin/esbuild 1.26.5 rodata
check @esbuild/linux-arm64@0.18.20 bin/esbuild 1.20.7 buildinfo
# Linked by LLVM's linker, which lost the build information; with its symbols.
check turbo-linux-64@1.9.9 bin/go-turbo 1.18.10 symbol
tap_done
