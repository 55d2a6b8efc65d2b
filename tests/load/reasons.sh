#!/bin/sh
# Names and numbers of wait reasons (src/goroutine/wait_reasons.c) against the
# runtime's own sources of each release.
. tests/tap.sh

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# "NUMBER TEXT" of waitReasonStrings: numbers by the order of the constants.
source_says() # FILE
{
	awk '
	/^\twaitReasonZero +waitReason = iota/ { counting = 1; cnt = 0 }
	counting && /^\)/ { counting = 0 }
	counting && /^\twaitReason[A-Za-z]+/ { number[$1] = cnt++ }
	/^var waitReasonStrings = / { naming = 1; next }
	naming && /^}/ { naming = 0 }
	naming && /^\twaitReason/ {
		name = $1; sub(/:$/, "", name)
		text = $0; sub(/^[^"]*"/, "", text); sub(/",?$/, "", text)
		if (text != "") print number[name], text
	}' "$1"
}

# Numbers in the list the runtime itself keeps (1.23 on).
busy_says() # FILE
{
	awk '
	/^\twaitReasonZero +waitReason = iota/ { counting = 1; cnt = 0 }
	counting && /^\)/ { counting = 0 }
	counting && /^\twaitReason[A-Za-z]+/ { number[$1] = cnt++ }
	/^var isWaitingFor(GC|SuspendG) = / { listing = 1; next }
	listing && /^}/ { listing = 0 }
	listing && /: +true,/ { name = $1; sub(/:$/, "", name); print number[name] }' "$1" | sort -n
}

same() # WHAT: $work/ours against $work/theirs
{
	[ -s "$work/theirs" ] || { echo "nothing was found in $file"; return 1; }
	diff -u "$work/theirs" "$work/ours"
}

lists=0
for version in $(tests/toolchains.sh --list); do
	goroot=$(tests/toolchains.sh "$version" | cut -d' ' -f2)
	file=$goroot/src/runtime/runtime2.go
	minor=${version#1.}
	source_says "$file" | sort -n >"$work/theirs"
	"$O/tests/load/reasons" "$minor" | sed 's/^[^ ]* \([^ ]*\) [^ ]* /\1 /' | sort -n >"$work/ours"
	tap_check "Go $version: every wait reason has its number" same
	busy_says "$file" >"$work/theirs"
	[ -s "$work/theirs" ] || continue
	lists=$((lists + 1))
	"$O/tests/load/reasons" "$minor" | awk '$3 == "busy" { print $2 }' | sort -n >"$work/ours"
	tap_check "Go $version: those that go on working are the runtime's own list" same
done
tap_check 'releases with such a list were among them' [ "$lists" -ge 3 ]
tap_check 'a release that is not known has no names' [ -z "$("$O/tests/load/reasons" 28 13)" ]
tap_done
