#!/bin/sh
# Our walk of stopped threads against gdb's, instruction by instruction through
# every place where a Go stack is hard to walk (tests/stitch/live.py). gdb reads
# the whole program, we read it stripped.
. tests/tap.sh

build=tests/fixtures/build.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export GJ_WALKER=$O/tests/stitch/live

if ! command -v gdb >/dev/null; then
	tap_skip 'walks of stopped threads' 'there is no gdb'
	tap_done
fi

# Every place was compared, none wrong; cuts are counted and shown.
check() # VERSION PROGRAM VARIANT PLACES
{
	title="$1 $2 $4"
	if ! binary=$($build "$1" "$2" "$3" 2>"$work/err"); then
		tap_fail "$title builds" "$(cat "$work/err")"
		return
	fi
	strip -o "$work/stripped" "$binary"
	GJ_LOG=$work/log GJ_LIVE=$binary:$work/stripped:$4:$1 timeout -k 5 240 \
		gdb -nx -q -batch -x tests/stitch/live.py >"$work/gdb" 2>&1
	status=$?
	sed "s/^/# $title: /" "$work/log"
	awk '/^#/ { next }
		/ 0 stops|not reached|[1-9][0-9]* wrong/ { bad = 1 }
		/ stops,/ { places++; }
		END { exit bad || places < 3 }' "$work/log"
	good=$?
	if [ $good -eq 0 ] && [ $status -eq 0 ]; then
		tap_ok "$title"
	else
		tap_fail "$title" "gdb: exit status $status; $(grep -v '^#' "$work/log" |
			grep -E ' 0 stops|not reached|[1-9][0-9]* wrong'; tail -n 5 "$work/gdb")"
	fi
}

for version in ${GJ_STITCH_VERSIONS:-1.15 1.19 1.23 1.27}; do
	check "$version" stacks exe plain
	check "$version" stacks exe preempt
	check "$version" cgostacks cgo cgo
done
check 1.27 stacks pie plain
tap_done
