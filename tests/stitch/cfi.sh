#!/bin/sh
# Compiled call frame information against binutils' reading of the same bytes
# (tests/stitch/cfi.py): libraries of this machine, cgo programs, .debug_frame
# alone, compressed, and in a debug file found by its build ID.
. tests/tap.sh

cfi=$O/tests/stitch/cfi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

compare() # NAME FILE [DEBUG_DIR DEBUG_FILE]
{
	name=$1
	shift
	if out=$(tests/stitch/cfi.py "$cfi" "$@" 2>&1); then
		echo "# $name: $out"
		tap_ok "$name"
	else
		tap_fail "$name" "$out"
	fi
}

for library in libc.so.6 libm.so.6 libstdc++.so.6 ld-linux-x86-64.so.2; do
	path=$(ldconfig -p | sed -n "s/.*$library .*x86-64.* => //p" | head -n 1)
	if [ -n "$path" ]; then compare "$library" "$path"; else tap_skip "$library" 'not installed'; fi
done
compare 'this command' "$O/gojitter"
for version in 1.19 1.27; do
	if binary=$(tests/fixtures/build.sh $version cgostacks cgo 2>"$work/err"); then
		compare "Go $version with cgo" "$binary"
		strip -o "$work/stripped" "$binary"
		compare "Go $version with cgo, stripped" "$work/stripped"
	else
		tap_fail "cgostacks $version builds" "$(cat "$work/err")"
	fi
done

cat >"$work/few.c" <<'END'
#include <stdio.h>
__attribute__((noinline)) int inner(int n) { volatile char room[64]; room[n & 63] = 1; return room[3]; }
__attribute__((noinline)) int outer(int n) { volatile char room[n + 1]; room[n] = 2; return inner(n) + room[n]; }
int main(int argc, char **argv) { printf("%d %s\n", outer(argc), argv[0]); return 0; }
END
build() # NAME FLAG...
{
	name=$1
	shift
	cc -O2 -fno-asynchronous-unwind-tables -fno-unwind-tables -g "$@" -Wl,--build-id \
		-o "$work/$name" "$work/few.c" || tap_fail "$name builds"
}
build plain -gz=none
build packed -gz=zlib
build packed_before -gz=zlib-gnu
compare '.debug_frame' "$work/plain"
compare '.debug_frame, compressed' "$work/packed"
compare '.debug_frame, compressed as before' "$work/packed_before"

# Only the debug file says how main's code unwinds.
id=$(readelf -n "$work/plain" | sed -n 's/.*Build ID: //p')
place=$work/debug/.build-id/$(echo "$id" | cut -c1-2)
mkdir -p "$place"
objcopy --only-keep-debug "$work/plain" "$place/$(echo "$id" | cut -c3-).debug"
strip -o "$work/bare" "$work/plain"
compare '.debug_frame of a debug file' "$work/bare" "$work/debug" "$work/plain"
rows_bare=$("$cfi" "$work/bare" | wc -l)
rows_debug=$("$cfi" "$work/bare" "$work/debug" | wc -l)
if [ "$rows_debug" -gt "$rows_bare" ]; then
	tap_ok 'the debug file adds rows'
else
	tap_fail 'the debug file adds rows' "$rows_bare without it, $rows_debug with it"
fi
tap_done
