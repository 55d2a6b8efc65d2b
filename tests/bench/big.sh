#!/bin/sh
# Builds a Go program of about 100 MB, with symbols and DWARF, and prints its
# path: 52 packages of 300 functions each, with inlined calls, closures, maps,
# generics and errors in them, built by the newest toolchain of the matrix.
# Kept below $GJ_CACHE; building it takes some minutes.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
cache=${GJ_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/gojitter}
version=$("$here/../toolchains.sh" --list | tail -n 1)
toolchain=$("$here/../toolchains.sh" "$version")
GOROOT=${toolchain#* }
dir=$cache/fixtures/big-$({ cat "$GOROOT/VERSION" "$0"; } | sha256sum | cut -c1-16)
[ -x "$dir/big" ] && { echo "$dir/big"; exit 0; }

mkdir -p "$dir"
exec 9>"$dir/lock"
flock 9
[ -x "$dir/big" ] && { echo "$dir/big"; exit 0; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/src/big"
awk -v dir="$work/src/big" -v packages=52 -v functions=300 '
function package(p,    file, f) {
	system("mkdir -p " dir "/part" p)
	file = dir "/part" p "/part.go"
	printf "package part%d\n\nimport (\n\t\"errors\"\n\t\"fmt\"\n\t\"sort\"\n\t\"strings\"\n)\n\n", p > file
	printf "type node struct {\n\tkey string\n\tcnt int\n\tnext *node\n\tlist []int\n}\n\n" > file
	printf "func (n *node) add(i int) *node { n.cnt += i; n.list = append(n.list, n.cnt); return n }\n" > file
	printf "func sum[T int | int64 | float64](list []T) (s T) { for _, x := range list { s += x }; return }\n" > file
	printf "func clamp(i, lo, hi int) int { if i < lo { return lo }; if i > hi { return hi }; return i }\n\n" > file
	for (f = 0; f < functions; f++) {
		printf "//go:noinline\nfunc Step%d(words []string, seen map[string]*node, n int) (out *node, err error) {\n", f > file
		printf "\tout = &node{key: \"part%d.%d\", list: make([]int, 0, n)}\n", p, f > file
		printf "\tdefer func() {\n\t\tif r := recover(); r != nil {\n\t\t\terr = fmt.Errorf(\"step %d: %%v at %%d\", r, n)\n\t\t}\n\t}()\n", f > file
		printf "\tfor i, w := range words {\n\t\tswitch {\n\t\tcase strings.HasPrefix(w, \"a%d\"):\n\t\t\tout = out.add(clamp(i*%d, 3, 1<<20))\n", f, f % 17 + 1 > file
		printf "\t\tcase len(w) > %d && w[%d] == 0x%x:\n\t\t\tseen[w] = out.add(sum(out.list) + n)\n", f % 9 + 2, f % 9, f % 90 + 33 > file
		printf "\t\tcase seen[w] != nil:\n\t\t\tnext, err := Step%d(words[i+1:], seen, clamp(n-1, 0, %d))\n", (f + 7) % functions, f + 1 > file
		printf "\t\t\tif err != nil {\n\t\t\t\treturn nil, fmt.Errorf(\"%%s in %d: %%w\", w, err)\n\t\t\t}\n\t\t\tnext.next, out = out, next\n", f > file
		printf "\t\tdefault:\n\t\t\tout.key += strings.ToUpper(w) + fmt.Sprint(i, %d, len(seen))\n\t\t}\n\t}\n", f > file
		printf "\tsort.Slice(out.list, func(i, j int) bool { return out.list[i]*%d < out.list[j]+clamp(j, %d, n) })\n", f + 1, f > file
		printf "\tif n < 0 {\n\t\treturn nil, errors.New(\"step %d of part %d got \" + strings.Repeat(\"-\", -n))\n\t}\n", f, p > file
		printf "\tseen[out.key] = out.add(int(sum([]float64{float64(n), %d.5})))\n\treturn out, nil\n}\n\n", f > file
	}
	printf "var Steps = []func([]string, map[string]*node, int) (*node, error){\n" > file
	for (f = 0; f < functions; f++) printf "\tStep%d,\n", f > file
	printf "}\n\nfunc Run(words []string) int {\n\tseen := map[string]*node{}\n\tfor i, s := range Steps {\n\t\ts(words, seen, i)\n\t}\n\treturn len(seen)\n}\n" > file
	close(file)
}
BEGIN {
	file = dir "/main.go"
	printf "package main\n\nimport (\n\t\"fmt\"\n\t\"os\"\n\n" > file
	for (p = 0; p < packages; p++) { package(p); printf "\t\"big/part%d\"\n", p > file }
	printf ")\n\nfunc main() {\n\ttotal := 0\n" > file
	for (p = 0; p < packages; p++) printf "\ttotal += part%d.Run(os.Args)\n", p > file
	printf "\tfmt.Println(total)\n}\n" > file
}' </dev/null
cd "$work/src/big"
env GOROOT="$GOROOT" GOPATH="$work" GO111MODULE=off GOPROXY=off GOFLAGS= GOTOOLCHAIN=local CGO_ENABLED=0 \
	GOCACHE="$cache/gocache/$version" "$GOROOT/bin/go" build -ldflags=-compressdwarf=false \
	-o "$dir/big.new" big 9>&- >&2
mv "$dir/big.new" "$dir/big"
echo "$dir/big"
