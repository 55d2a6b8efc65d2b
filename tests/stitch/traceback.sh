#!/bin/sh
# Our walk of a stopped thread against the traceback that Go's runtime prints of
# it, PC and SP of every frame (tests/stitch/traceback.py): in leaves, prologues,
# recursion, assembly, and on the system stack with the goroutine behind it.
. tests/tap.sh

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export GJ_WALKER=$O/tests/stitch/live GJ_WORK=$work

if ! command -v gdb >/dev/null; then
	tap_skip "walks against the runtime's traceback" 'there is no gdb'
	tap_done
fi

# PLACE:STEPS, so many instructions behind the first of PLACE (one of several functions).
places='main.leaf:1
main.framed:3
main.recurse:2
main.duff:25
main.zero:25
crypto/sha1.blockAVX2 crypto/sha1.block:60
crypto/sha256.block crypto/internal/fips140/sha256.blockAVX2:90
runtime.systemstack:40
runtime.morestack:30
runtime.newstack:9
runtime.mcall:40
runtime.park_m:2
runtime.sigpanic:4
runtime.gopanic:3
time.now:40'

for version in ${GJ_STITCH_VERSIONS:-1.19 1.27}; do
	if ! binary=$(tests/fixtures/build.sh "$version" stacks exe 2>"$work/err"); then
		tap_fail "stacks $version builds" "$(cat "$work/err")"
		continue
	fi
	strip -o "$work/stripped" "$binary"
	while read -r place; do
		# In the vdso 1.15 prints nothing of the thread.
		[ "$version $place" != '1.15 time.now:40' ] || continue
		rm -f "$work/log"
		# Now and then gdb loses the program between two steps: then nothing was compared.
		for attempt in 1 2; do
			GJ_TRACEBACK=$binary:$work/stripped:$place:$work/log timeout -k 5 30 \
				gdb -nx -q -batch -x tests/stitch/traceback.py >"$work/gdb" 2>&1 </dev/null
			[ ! -s "$work/log" ] || break
		done
		if grep -q '^right' "$work/log" 2>/dev/null; then
			tap_ok "$version $place, $(cat "$work/log")"
		else
			tap_fail "$version $place" "$(cat "$work/log" 2>/dev/null || tail -n 5 "$work/gdb")"
		fi
	done <<-END
	$places
	END
done
tap_done
