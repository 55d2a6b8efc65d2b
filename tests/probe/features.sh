#!/bin/sh
# Where gojitter trace hooks a binary, and what doctor says of it: against
# objdump's disassembly, with and without symbols.
. tests/tap.sh

features=$O/tests/probe/features
gojitter=$O/gojitter
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

agrees() # BINARY
{
	"$features" "$1" >"$work/plan" && python3 tests/probe/features.py "$work/plan" "$1"
}

same_stripped() # BINARY
{
	objcopy --strip-all "$1" "$work/stripped" && "$features" "$1" >"$work/plan" &&
		"$features" "$work/stripped" >"$work/plan.stripped" &&
		[ -s "$work/plan" ] && diff "$work/plan" "$work/plan.stripped"
}

# doctor prints each place once, and every feature.
doctor_says() # BINARY
{
	"$gojitter" doctor -e "$1" >"$work/doctor"
	"$features" "$1" >"$work/plan"
	grep -q "trace census: tier 1, .*; no hook in the target$" "$work/doctor" ||
		{ echo "nothing on census"; return 1; }
	"$gojitter" trace --what list | cut -d' ' -f1 | sort >"$work/list"
	sed -n 's/^    trace \([a-z]*\):.*/\1/p' "$work/doctor" | sort | diff "$work/list" - || return 1
	while IFS='	' read -r feature program function callee at needed entry va off kind repeat insn; do
		place=$(printf '%s+0x%x  %s  (%s' "$function" $((0x$va - 0x$entry)) "$insn" "$kind")
		[ "$(grep -cF "        $place" "$work/doctor")" -eq 1 ] || { echo "not once: $place"; return 1; }
	done <"$work/plan"
	[ "$(grep -c '^        runtime' "$work/doctor")" -eq "$(wc -l <"$work/plan")" ]
}

# Single-stepping is never cheaper than emulation.
costs()
{
	grep -E '\((emulated|stepped)[^)]*\) ~[0-9.]+ us' "$work/doctor" | sed -E 's/.*\((emulated|stepped)[^)]*\) ~([0-9.]+) us.*/\1 \2/' |
		awk '{ cost[$1] = $2 } END { print cost["emulated"], cost["stepped"]; exit !(cost["emulated"] > 0 && cost["stepped"] > cost["emulated"]) }'
}

old_release_is_refused()
{
	"$features" "$1" >"$work/plan"
	cat "$work/plan"
	[ "$(grep -c '	unavailable	no hooks are known for Go 1.15' "$work/plan")" -eq 5 ] &&
		[ "$(wc -l <"$work/plan")" -eq 5 ]
}

for version in ${GJ_GO_VERSIONS:-1.19 1.22 1.24 1.25 1.26 1.27}; do
	if ! binary=$(tests/fixtures/build.sh "$version" rich exe 2>&1); then
		tap_fail "Go $version builds" "$binary"
		continue
	fi
	tap_check "Go $version: objdump sees the same places" agrees "$binary"
	tap_check "Go $version: the same without symbols" same_stripped "$binary"
done
tap_check "doctor prints them" doctor_says "$binary"
if "$gojitter" doctor | grep -q '^ok  probes'; then
	tap_check "doctor measures both ways" costs
else
	tap_skip "doctor measures both ways" "uprobes are not permitted here"
fi
if binary=$(tests/fixtures/build.sh 1.15 rich exe 2>&1); then
	tap_check "Go 1.15 has no hooks" old_release_is_refused "$binary"
else
	tap_fail "Go 1.15 builds" "$binary"
fi
tap_done
