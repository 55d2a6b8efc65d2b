#!/bin/sh
# gojitter demangle --gccgo against gccgo's own runtime: a program built by
# gccgo is asked what it calls each of its functions (libgo decodes the name
# that the compiler mangled), and the filter is given the names of its symbols.
. tests/tap.sh

cache=${GJ_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/gojitter}
root=$cache/gccgo
libs=$root/usr/lib/gcc/x86_64-linux-gnu/12
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

build()
{
	tests/debian.sh bookworm "$root" gccgo-12 libgo-12-dev libgo21 &&
		"$root/usr/bin/x86_64-linux-gnu-gccgo-12" -fno-use-linker-plugin "-B$libs" -g -O1 -fPIE \
			-c -o "$work/gccgo.o" tests/fixtures/gccgo/gccgo.go &&
		gcc -no-pie -o "$work/gccgo" "$work/gccgo.o" "-L$libs" -lgobegin -l:libgo.a -lm -lpthread
}

tap_check "gccgo builds the fixture" build
[ -x "$work/gccgo" ] || tap_done
nm "$work/gccgo" | awk '$2 ~ /[Tt]/ && $3 ~ /^main\./ { print $1, $3 }' | sort -u -k1,1 >"$work/symbols"
tap_check "there are names to ask for" [ "$(wc -l <"$work/symbols")" -gt 12 ]
cut -d' ' -f1 "$work/symbols" | "$work/gccgo" >"$work/theirs"
cut -d' ' -f2 "$work/symbols" | "$O/gojitter" demangle --gccgo >"$work/ours"
tap_check "names as gccgo's runtime has them" diff "$work/ours" "$work/theirs"
# Every kind that the mangling knows must have come up.
for part in 'größe_Länge' 'under_score.me_th_od' 'main.main..func1' 'struct{' '\[3\]'; do
	tap_check "$part among them" grep -q "$part" "$work/theirs"
done
tap_done
