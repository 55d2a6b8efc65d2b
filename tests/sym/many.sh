#!/bin/sh
# Big files, long lists and many processes: what gojitter sym keeps in memory
# depends on neither the length of the list nor the size of the file.
. tests/tap.sh

gojitter=$O/gojitter
measure=$O/tests/bench/measure
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
link=$(tests/fixtures/gotool.sh link) || { tap_fail "Go's linker builds"; tap_done; }

peak() { "$measure" "$1" 0 "$gojitter" sym -f -i -e "$2" | cut -d' ' -f3; } # INPUT FILE: in KB

below() # WHAT KB LIMIT
{
	tap_check "$1: $2 KB, at most $3" [ "$2" -gt 0 -a "$2" -le "$3" ]
}

addresses() # FILE COUNT
{
	"$gojitter" sym -e "$1" --list | python3 -c '
import random, sys
rows = [line.split("\t") for line in sys.stdin]
begin, end = int(rows[0][0], 16), int(rows[-1][1], 16)
random.seed(2)
for _ in range(int(sys.argv[1])):
    print("%x" % random.randrange(begin, end))' "$2"
}

addresses "$link" 3000000 >"$work/3000000"
head -n 1 "$work/3000000" >"$work/1"
head -n 1000000 "$work/3000000" >"$work/1000000"
below "one address" "$(peak "$work/1" "$link")" 4000
million=$(peak "$work/1000000" "$link")
below "a million addresses" "$million" 130000
below "three million: as one million" "$(peak "$work/3000000" "$link")" $((million + million / 5))

# Answers through pipes of any rhythm are the same, in the same order.
head -n 200000 "$work/3000000" >"$work/list"
"$gojitter" sym -a -f -i -e "$link" <"$work/list" >"$work/wanted"
tap_check "in lines of 64" sh -c "python3 -c '
import sys, subprocess
p = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE)
lines = sys.stdin.buffer.readlines()
for i in range(0, len(lines), 64):
    p.stdin.write(b\"\".join(lines[i:i + 64]))
    p.stdin.flush()
p.stdin.close()
sys.exit(p.wait())' '$gojitter' sym -a -f -i -e '$link' <'$work/list' | cmp - '$work/wanted'"
head -n 500 "$work/list" | xargs "$gojitter" sym -a -f -i -e "$link" >"$work/got"
tap_check "as arguments" sh -c "[ -s '$work/got' ] &&
	head -c \$(stat -c %s '$work/got') '$work/wanted' | cmp - '$work/got'"
tap_check "the long list holds the answers of the short one" sh -c "'$gojitter' sym -a -f -i -e '$link' \
	<'$work/1000000' | head -c \$(stat -c %s '$work/wanted') | cmp - '$work/wanted'"

# Twelve processes at once on one file.
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
	"$gojitter" sym -a -f -i -e "$link" <"$work/list" | cksum >"$work/sum.$i" &
done
wait
tap_check "twelve processes at once" [ "$(sort -u "$work"/sum.* | wc -l)" -eq 1 ]
tap_check "with the right answers" [ "$(cat "$work/sum.1")" = "$(cksum <"$work/wanted")" ]

# A file of 300 MB: a Go program that carries 256 MB of data, linked by GNU ld
# and without section headers, so that the tables must be looked for.
mkdir "$work/big" && cat >"$work/big/big.go" <<'EOF'
package main

import (
	_ "embed"
	"fmt"
)

//go:embed data
var data string

func main() { fmt.Println(len(data)) }
EOF
head -c 256M /dev/zero >"$work/big/data"
set -- $(tests/toolchains.sh 1.25)
cache=${GJ_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/gojitter}
# Go's own packages from the shared cache; the 256 MB do not go into it.
cp -al "$cache/gocache/1.25" "$work/gocache" 2>/dev/null || rm -rf "$work/gocache"
build_big()
{
	(cd "$work/big" && env GOROOT="$1" GO111MODULE=off GOPROXY=off GOFLAGS= GOTOOLCHAIN=local \
		CGO_ENABLED=1 GOCACHE="$work/gocache" "$1/bin/go" build -buildmode=pie -ldflags=-linkmode=external \
		-o "$work/plain" big.go) &&
		llvm-objcopy --strip-sections "$work/plain" "$work/nosections"
}
tap_check "a file of 300 MB is built" build_big "$2"
"$gojitter" sym -e "$work/plain" --list | awk -F'\t' '$3 == "main.main" { print $1 }' >"$work/main"
tap_check "its functions are found" [ -s "$work/main" ]
for file in plain nosections; do
	tap_check "300 MB, $file: an answer" [ "$("$gojitter" sym -f -e "$work/$file" <"$work/main" | head -n 1)" = main.main ]
	below "300 MB, $file: memory" "$(peak "$work/main" "$work/$file")" 16000
done
tap_done
