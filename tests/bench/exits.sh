#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# What the runtime does around a system call, by release, in ns, the least of 20 rounds:
# a switch of goroutines, entersyscall, exitsyscall that keeps its P (fast), a system call
# without and with both, and (a median) exitsyscall that has to wait for a P (slow).
set -eu

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

printf '%-6s%8s%8s%11s%6s%7s%11s\n' Go switch enter fast_exit raw cycle slow_exit
for version in ${GJ_GO_VERSIONS:-1.19 1.22 1.24 1.25 1.26 1.27}; do
	binary=$(tests/fixtures/build.sh "$version" exits exe)
	"$binary" >"$work/said"
	printf '%-6s' "$version"
	sed 's/[a-z_]*=//g' "$work/said" | { read -r a b c d e f; printf '%8s%8s%11s%6s%7s%11s\n' "$a" "$b" "$c" "$d" "$e" "$f"; }
done
