#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# A program that others have hooked is read as its file has it, not with the
# breakpoints that the kernel puts into mappings of it.
. tests/tap.sh
. tests/load/lib.sh

binary=$work/ticks
cp "$(tests/fixtures/build.sh 1.27 tests/load/ticks.go exe)" "$binary"
places() { "$gojitter" doctor -e "$binary" | sed -n '/trace gc/,/trace alloc/s/~.* us//p'; } # without what hits cost today
places >"$work/before"
tap_check 'gc can be had' grep -q gj_on_stw_stopped "$work/before"
tap_check 'all processes of the program are hooked' \
	"$gojitter" trace -q -e "$binary" --what gc --instance "$ours"
places >"$work/after"
tap_check 'its places are what they were' diff "$work/before" "$work/after"
tap_done
