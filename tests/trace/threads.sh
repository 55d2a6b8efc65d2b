#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# gojitter trace --what threads: waiting for a processor as the kernel's own accounts have
# it, and told apart from waiting for Go's scheduler.
. tests/tap.sh

[ "$(id -u)" -eq 0 ] || { tap_skip 'threads traced' 'BPF programs want root'; tap_done; }
for version in ${GJ_TRACE_VERSIONS:-1.19 1.22 1.24 1.25 1.26 1.27}; do
	binary=$(tests/fixtures/build.sh "$version" tests/trace/delays.go exe) || {
		tap_fail "Go $version builds it"
		continue
	}
	# One of them where processes have other numbers than the kernel's own.
	within= where=
	[ "$version" != 1.25 ] || within='unshare --pid --fork --mount-proc' where=', in a pid namespace'
	# shellcheck disable=SC2086 # several words
	tap_check "$version: the kernel's delay, and Go's$where" $within tests/trace/threads.py "$binary"
	echo "$tap_out" | grep '^#'
done
tap_done
