#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# gojitter trace --what tcp on lines that lose segments, IPv4 and IPv6: as many as the
# kernel's own counters say, each with the goroutine that owns the connection.
. tests/tap.sh

versions=${GJ_TRACE_VERSIONS:-1.19 1.22 1.24 1.25 1.26 1.27}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

[ "$(id -u)" -eq 0 ] || { tap_skip 'retransmits traced' 'network namespaces want root'; tap_done; }

run() # VERSION
{
	toolchain=$(tests/toolchains.sh "$1") && binary=$(tests/fixtures/build.sh "$1" tests/trace/echo.go exe) &&
		tests/trace/line.sh "$work/drop.o" tests/trace/tcp.py "$binary" "${toolchain#* }"
}

clang -target bpf -O2 -g "-I/usr/include/$(cc -print-multiarch)" -c -o "$work/drop.o" tests/trace/drop.bpf.c
# They mostly wait for timers: three at a time.
for version in $versions; do
	{ run "$version" >"$work/$version" 2>&1 || touch "$work/$version.bad"; } &
	running="${running:-} $!"
	# shellcheck disable=SC2086 # several words
	set -- $running
	[ $# -lt 3 ] || { wait "$1"; shift; }
	running=$*
done
wait
for version in $versions; do
	grep '^counts' "$work/$version" | sed 's/^/# /'
	if [ -e "$work/$version.bad" ]; then
		tap_fail "$version: retransmits" "$(cat "$work/$version")"
	else
		tap_ok "$version: as many as SNMP counts, of the right goroutine, stack and kind"
	fi
done
tap_done
