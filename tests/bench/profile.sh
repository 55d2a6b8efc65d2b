#!/bin/sh
# What a sample of gojitter profile costs, beside a BPF program that does nothing
# and beside the kernel's own walk, from the kernel's run-time statistics; how many
# stacks each of the two walks finishes; what the table of a big program takes.
set -eu

gojitter=$O/gojitter
target=
trap '[ -z "$target" ] || kill $target 2>/dev/null' EXIT

if [ "$(id -u)" -ne 0 ]; then
	echo 'profile: sampling in the kernel wants root; left out'
	exit 0
fi
echo 'profile: cost of a sample unwound in the kernel, and how whole its stacks are'
for version in 1.19 1.27; do
	for variant in exe cgo; do
		binary=$(tests/fixtures/build.sh $version kinds $variant)
		"$binary" 60 >/dev/null &
		target=$!
		sleep 1
		echo "Go $version, $variant:"
		"$gojitter" profile -p $target --for 5s -F 999 --cost 2>&1 | grep takes
		"$gojitter" profile -p $target --for 5s -F 999 --compare-fp --folded -o /dev/null 2>&1 |
			grep -E 'complete|kernel.s own|cut'
		kill $target
		wait $target 2>/dev/null || :
		target=
	done
done
