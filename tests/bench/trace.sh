#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# What gojitter trace costs, beside an empty BPF program, bpftrace and Go's execution
# trace: a hit, a switch of goroutines, an event of each program, a service's answers.
set -eu

[ "$(id -u)" -eq 0 ] || { echo "tests/bench/trace.sh: uprobes want root" >&2; exit 1; }
mountpoint -q /sys/fs/bpf || mount -t bpf bpf /sys/fs/bpf
for version in 1.22 1.27; do
	trips=$(tests/fixtures/build.sh $version tests/bench/trips.go exe)
	http=$(tests/fixtures/build.sh $version tests/bench/http.go exe)
	tests/bench/trace.py $version "$trips" "$http"
done
