#!/bin/sh
# gojitter demangle as a filter: what it changes and what it must not, line by
# line on a pipe, lines of any length, any bytes.
. tests/tap.sh

gojitter=$O/gojitter
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

gives() # INPUT WANTED OPTION...
{
	gives_input=$1 gives_wanted=$2
	shift 2
	gives_got=$(printf '%s' "$gives_input" | "$gojitter" demangle "$@")
	[ "$gives_got" = "$gives_wanted" ] || { echo "got:  $gives_got"; return 1; }
}

tap_check "perf script's line" gives \
	'	  4a1b2c gopkg.in/yaml%2ev3.(*parser).parse+0x1c (/srv/a b.c/prog)' \
	'	  4a1b2c gopkg.in/yaml.v3.(*parser).parse+0x1c (/srv/a b.c/prog)'
tap_check "a folded stack" gives 'main;runtime.memmove.abi0;a/b%2ec.F[go.shape.struct { x int; y []string }];[unknown] 12' \
	'main;runtime.memmove;a/b.c.F[...];[unknown] 12' --short
tap_check "two names on a line" gives 'a/b%2ec.F calls main.f[int].func1, twice' \
	'a/b.c.F calls main.f[...]{closure#1}, twice' --short --readable
tap_check "blanks in type arguments" gives '  0.31%  main.f[go.shape.struct { a bool; b string }]  [.]' \
	'  0.31%  main.f[...]  [.]' --short
tap_check "C++ names are left to c++filt" gives '_ZN4main3fooEv 12.5% [kernel.kallsyms]' \
	'_ZN4main3fooEv 12.5% [kernel.kallsyms]' --short --readable
tap_check "no newline at the end" gives 'a/b%2ec.F' 'a/b.c.F'
tap_check "nothing" gives '' ''
tap_check "arguments, a line each" [ "$("$gojitter" demangle 'a/b%2ec.F' x.y.abi0 --)" = "$(printf 'a/b.c.F\nx.y')" ]

# Names as Go's own linker wrote them; Python's unquote is the judge of what they mean.
binary=$(tests/fixtures/gotool.sh link)
nm "$binary" >"$work/nm"
tap_check "there are escapes to undo" grep -q '%2e' "$work/nm"
python3 - "$work/nm" >"$work/wanted" <<'EOF'
import re, sys
from urllib.parse import unquote
for line in open(sys.argv[1]):
    line = unquote(line)
    sys.stdout.write(re.sub(r"(\S)\.abi(0|internal)$", r"\1", line))
EOF
"$gojitter" demangle <"$work/nm" >"$work/got"
tap_check "all symbols of Go's linker" cmp "$work/got" "$work/wanted"

# Bytes that are no names come out as they went in.
python3 -c '
import random, sys
random.seed(1)
text = bytes(random.randrange(256) for _ in range(3000000))
sys.stdout.buffer.write(text.replace(b"%", b"&"))' >"$work/bytes"
for options in '' '--short --readable'; do
	tap_check "any bytes${options:+ with }$options" sh -c "LC_ALL=C tr -d '[' <'$work/bytes' >'$work/in'
		'$gojitter' demangle $options <'$work/in' | cmp - '$work/in'"
done
tap_check "a megabyte of NULs" sh -c "head -c 1000000 /dev/zero >'$work/in' &&
	'$gojitter' demangle --short <'$work/in' | cmp - '$work/in'"
tap_check "names next to NULs" sh -c "[ \"\$(printf 'a/b%%2ec.F\\0a/b%%2ec.G' |
	'$gojitter' demangle | tr '\\0' '|')\" = 'a/b.c.F|a/b.c.G' ]"

# A line of 30 MB: in little memory, and every name in it found.
python3 -c 'print("a/b%2ec.F and main.f[int] " * 1200000, end="")' >"$work/long"
set -- $("$O/tests/bench/measure" "$work/long" 0 "$gojitter" demangle --short)
tap_check "a line of 30 MB takes less than 8 MB ($3 KB)" [ "$3" -lt 8000 ]
tap_check "every name in it" sh -c "'$gojitter' demangle --short <'$work/long' |
	tr ' ' '\\n' | sort | uniq -c | awk '{ print \$1, \$2 }' | tr '\\n' ' ' |
	grep -qx '1200000 a/b.c.F 1200000 and 1200000 main.f\\[\\.\\.\\.\\] '"
python3 -c 'print("a.b[" * 3000000)' >"$work/open"
tap_check "millions of brackets that nothing closes" sh -c "timeout 20 '$gojitter' demangle --short \
	<'$work/open' | cmp - '$work/open'"

# Each line goes out before the next one comes in.
tap_check "an answer to each line" python3 - "$gojitter" <<'EOF'
import subprocess, sys
p = subprocess.Popen([sys.argv[1], "demangle"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
for i in range(5):
    p.stdin.write(b"a/b%%2ec.F%d\n" % i)
    p.stdin.flush()
    line = p.stdout.readline()
    assert line == b"a/b.c.F%d\n" % i, line
EOF
tap_check "wrong option" sh -c "'$gojitter' demangle --none 2>/dev/null; [ \$? -eq 2 ]"
tap_check "--help" sh -c "'$gojitter' demangle --help | grep -q '^usage: gojitter demangle'"
tap_check "full disk" sh -c "'$gojitter' demangle <'$work/nm' >/dev/full 2>'$work/err'
	[ \$? -eq 1 ] && [ \"\$(cat '$work/err')\" = 'gojitter: standard output: No space left on device' ]"
tap_check "a directory as input" sh -c "'$gojitter' demangle </ 2>'$work/err'
	[ \$? -eq 1 ] && [ \"\$(cat '$work/err')\" = 'gojitter: standard input: Is a directory' ]"
tap_done
