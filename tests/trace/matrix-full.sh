#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# What tests/trace holds gojitter trace to, with the releases that make check leaves out;
# and a release that is too old for it.
. tests/tap.sh

# Of those there are (tests/toolchains.sh), less make check's.
versions=$(tests/toolchains.sh --list | grep -vxE '1\.15|1\.19|1\.22|1\.24|1\.25|1\.26|1\.27' | paste -sd ' ')
tap_check 'releases that make check leaves out' [ -n "$versions" ]
for test in tests/trace/*.sh; do
	case ${test##*/} in
	*-full.sh | *-long.sh | verifier*.sh | rare.sh) continue ;;
	esac
	echo "# $test, Go $versions"
	status=0
	GJ_GO_VERSIONS=$versions GJ_TRACE_VERSIONS=$versions GJ_TRACE_BESIDE=1.23 "$test" >"$O/tests/matrix" 2>&1 || status=1
	sed "s,^\(not ok\|ok\) [0-9]* - ,&${test##*/}: ,; /^1\.\.[0-9]*\$/d" "$O/tests/matrix"
	grep -q '^not ok' "$O/tests/matrix" || tap_check "${test##*/} ends well" [ $status -eq 0 ]
done
rm -f "$O/tests/matrix"

# Up to Go 1.16 arguments are on the stack.
old=$(tests/fixtures/build.sh 1.15 tests/load/ticks.go exe) || exit 1
"$old" >/dev/null &
target=$!
trap 'kill $target' EXIT
refuses() # FEATURE
{
	said=$("$O/gojitter" trace -p $target --what "$1" --instance matrix-$$ 2>&1)
	status=$?
	echo "$said"
	[ $status -eq 1 ] && [ "$(echo "$said" | wc -l)" -eq 1 ]
}
tap_check 'Go 1.15: goroutines cannot be had, in one line' refuses goroutines
tap_check 'and why' sh -c "echo '$tap_out' | grep -q 'goroutines cannot be had: .*1\.15'"
[ "$(id -u)" -ne 0 ] || "$O/gojitter" untrace --instance matrix-$$ 2>/dev/null
tap_done
