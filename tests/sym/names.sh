#!/bin/sh
# Names: short generics as Go's runtime prints them, import paths as they are
# written in the source, C and assembly names.
. tests/tap.sh

gojitter=$O/gojitter
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The runtime of the program itself is asked for the name at every function's
# first instruction. Names of types it shortens too; we do not.
short_names() # VERSION
{
	short_binary=$(tests/fixtures/build.sh "$1" names exe) || return
	"$gojitter" sym -e "$short_binary" --list | grep -v "$(printf '\t')type[:.]" | cut -f1 >"$work/entries"
	"$short_binary" <"$work/entries" >"$work/theirs" || return
	"$gojitter" sym -j --short -e "$short_binary" <"$work/entries" |
		sed 's/.*"frames":\[{"func":"\([^"]*\)".*/\1/' >"$work/ours"
	[ "$(wc -l <"$work/ours")" -gt 1000 ] || return
	# first name: the runtime takes the name at offset 0 of its table for none
	paste "$work/ours" "$work/theirs" | awk -F'\t' '
		$2 == "" { if (++none > 1) print "no name for " $1; next }
		$1 != $2 { print $1 ", not " $2 }' >"$work/bad"
	cat "$work/bad"
	[ ! -s "$work/bad" ]
}

generics_shown() { grep -qx 'main.(\*pair\[...\]).set' "$work/ours" && grep -q '\.func1\.1$' "$work/ours"; }

for version in $(tests/toolchains.sh --list); do
	tap_check "$version: --short as the runtime prints names" short_names "$version"
	[ "$version" = 1.15 ] || tap_check "$version: generics and nested closures among them" generics_shown
done

# A package whose path the linker escapes: dots in its last element.
set -- $(tests/toolchains.sh "$(tests/toolchains.sh --list | tail -n 1)")
goroot=$2
path=example.com/dot.ted/yaml.v3.x
mkdir -p "$work/src/$path" "$work/src/program"
cat >"$work/src/$path/yaml.go" <<'EOF'
package yaml

type Node struct{ n int }

//go:noinline
func (n *Node) Decode(k int) int { f := func() int { return n.n + k }; return Call(f) }

//go:noinline
func Call(f func() int) int { return f() }
EOF
cat >"$work/src/program/main.go" <<EOF
package main

import yaml "$path"

func main() { println((&yaml.Node{}).Decode(1)) }
EOF
builds()
{
	env GOROOT="$goroot" GOPATH="$work" GO111MODULE=off GOPROXY=off GOFLAGS= GOTOOLCHAIN=local \
		CGO_ENABLED=0 GOCACHE="$work/cache" "$goroot/bin/go" build -o "$work/program" program
}
tap_check "a program with dots in an import path builds" builds
"$gojitter" sym -e "$work/program" --list | cut -f3 >"$work/list"
for name in "$path.(*Node).Decode" "$path.Call" "$path.(*Node).Decode.func1"; do
	tap_check "$name" grep -qxF "$name" "$work/list"
done
tap_check "no escape is left in --list" sh -c "! grep -q '%2e' '$work/list'"
tap_check "Go's own nm shows the escape" sh -c "'$(tests/fixtures/gotool.sh nm)' '$work/program' |
	grep -q 'yaml%2ev3%2ex.Call'"
listed() { sed -n "s|^[0-9a-f]* [Tt] \($path\..*\)|\1|p" | sort; }
tap_check "demangle makes of nm's names what --list shows" [ \
	"$(nm "$work/program" | "$gojitter" demangle | listed)" = \
	"$(sed 's/^/0 T /' "$work/list" | listed)" ]
tap_done
