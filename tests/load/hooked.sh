#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# A program that others have hooked is read as its file has it, not with the
# breakpoints that the kernel puts into mappings of it.
. tests/tap.sh
. tests/load/lib.sh

binary=$work/ticks
cp "$(tests/fixtures/build.sh 1.27 tests/load/ticks.go exe)" "$binary"
hooks() # INSTANCE
{
	"$gojitter" trace -e "$binary" --what gc --instance "$1" >"$work/said" 2>&1
	status=$?
	grep '^gojitter: gc' "$work/said" | tee "$work/places.$1"
	return $status
}
tap_check 'all processes of a program are hooked' hooks "$ours"
tap_check 'it is hooked once more' hooks "$ours-2"
tap_check 'at as many places' cmp "$work/places.$ours" "$work/places.$ours-2"
tap_done
