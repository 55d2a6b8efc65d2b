#!/bin/sh
# Real binaries cut off at every byte of their tables, and with hostile words
# in them: tests/sym/sweep.c reads them and must come back.
. tests/tap.sh

sweep=$O/tests/sym/sweep

sweeps()
{
	sweeps_binary=$(tests/fixtures/build.sh "$1" rich "$2") &&
		sweeps_out=$(timeout 120 "$sweep" "$sweeps_binary") || { echo "$sweeps_out"; return 1; }
	case $sweeps_out in
	????*' files opened') ;;
	*) echo "$sweeps_out"; return 1 ;;
	esac
}

for version in $(tests/toolchains.sh --list); do
	tap_check "$version: every cut and hostile words" sweeps "$version" exe
done
for variant in nosym pie+ext lld+pie arm64; do
	tap_check "1.15 $variant: every cut and hostile words" sweeps 1.15 $variant
	tap_check "1.27 $variant: every cut and hostile words" sweeps 1.27 $variant
done
tap_done
