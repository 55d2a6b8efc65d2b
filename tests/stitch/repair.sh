#!/bin/sh
# Callers that a chain by frame pointers lacks: what we prove from code against
# gdb's frames, at the beginning of functions and instruction by instruction on
# (tests/stitch/repair.py). gdb reads the whole program, we read it stripped.
#
#   GJ_REPAIR_VERSIONS   the releases (1.19 and 1.27)
#   GJ_FUNCTIONS         at so many (60) functions each, out of all when more than 100
#   GJ_SECONDS           or for so long (25)
. tests/tap.sh

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export GJ_REPAIR=$O/tests/stitch/repair GJ_STRIPPED=$work/stripped GJ_LOG=$work/log

if ! command -v gdb >/dev/null; then
	tap_skip 'repaired chains' 'there is no gdb'
	tap_done
fi

# Many places, none wrong, and most of what lacks put back.
compare() # VERSION PROGRAM ARGUMENTS
{
	if ! GJ_PROGRAM=$(tests/fixtures/build.sh "$1" "$2" exe 2>"$work/err"); then
		tap_fail "$1 $2 builds" "$(cat "$work/err")"
		return
	fi
	export GJ_PROGRAM GJ_ARGUMENTS="$3"
	strip -o "$work/stripped" "$GJ_PROGRAM"
	GJ_ENTRIES=$("$O/gojitter" sym -e "$GJ_PROGRAM" --list | cut -f1 | tr '\n' ' ')
	export GJ_ENTRIES
	timeout -k 5 200 gdb -nx -q -batch -x tests/stitch/repair.py >"$work/gdb" 2>&1
	sed 's/^#* */# /' "$work/log"
	tap_check "$1 $(basename "$2")" awk -F'[= ]' '
		/^functions=/ { for (i = 1; i < NF; i += 2) n[$i] = $(i + 1) }
		END { exit !(n["functions"] >= 4 && n["stops"] >= 80 && n["lacking"] >= 20 && n["wrong"] == 0 &&
			n["exact"] + n["function"] >= 0.6 * n["lacking"] && n["extra"] <= 0.02 * n["stops"]) }' "$work/log"
}

for version in ${GJ_REPAIR_VERSIONS:-1.19 1.27}; do
	compare "$version" tests/perf/plugin-app 600
done
tap_done
