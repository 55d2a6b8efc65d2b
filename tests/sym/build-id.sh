#!/bin/sh
# gojitter sym --build-id on stacks that a BPF program took with BPF_F_USER_BUILD_ID:
# of a Go program that Go's linker made, of one that C's did, of C under cgo.
set -u
. tests/tap.sh

gojitter=$(cd "$O" && pwd)/gojitter
work=$(mktemp -d)
target=
trap '[ -z "$target" ] || kill "$target" 2>/dev/null; rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
GJ_CACHE=${GJ_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/gojitter}
HOME=$work/home
export GJ_CACHE HOME
mkdir "$HOME"
bpftool=$(command -v bpftool || ls /usr/sbin/bpftool)
toolchain=$(tests/toolchains.sh 1.24) || exit 1
GOROOT=${toolchain#* }
GOCACHE=$GJ_CACHE/gocache/1.24 GOFLAGS= GOTOOLCHAIN=local
export GOROOT GOCACHE GOFLAGS GOTOOLCHAIN

sym() { "$gojitter" sym --build-id -f "$@"; }

# Runs the program and takes 40 stacks of it; it goes on until stop.
take() # NAME COMMAND...
{
	stacks=$work/$1
	shift
	"$@" >"$work/target.txt" 2>&1 &
	target=$!
	sleep 0.3
	"$O/tests/sym/buildid" "$target" 40 "$bpftool" "$stacks" >"$stacks" 2>"$work/err"
	case $? in
	0) return 0 ;;
	77) tap_skip "$1" "no BPF program may sample here: $(tail -n 1 "$work/err")" ;;
	*) tap_fail "$1" "$(cat "$work/err")" ;;
	esac
	stop
	return 1
}

stop() { kill "$target" 2>/dev/null; wait "$target" 2>/dev/null; target=; }

agrees() # KIND FILE BINARY BASE OPTIONS... -- ORACLE...
{
	kind=$1 file=$2 binary=$3 base=$4
	shift 4
	options=
	while [ "$1" != -- ]; do options="$options $1"; shift; done
	shift
	[ "$kind" != raw ] || options="$options --raw=32"
	sym $options <"$file" >"$work/answers" 2>"$work/err" || { cat "$work/err"; return 1; }
	tests/sym/build-id.py "$kind" "$file" "$binary" "$base" "$work/answers" "$@"
}

go_oracle() { echo "$GOROOT/bin/go tool addr2line $1"; }

# C's linker puts the build id where the kernel looks; found by the running program first.
ext=$(tests/fixtures/build.sh 1.24 tests/perf/plugin-app ext) || exit 1
if take "external link" "$ext" 20 inlined generic closures assembly; then
	tap_check "the kernel knows build ids of C's linker" grep -qaP '^\x01\0\0\0' "$stacks"
	tap_check "external link: found in /proc" agrees raw "$stacks" "$ext" 0 -- $(go_oracle "$ext")
	stop
	tap_check "external link: found by -e FILE" agrees raw "$stacks" "$ext" 0 -e /bin/sh -e "$ext" -- $(go_oracle "$ext")
	tap_check "external link: found below a directory" agrees raw "$stacks" "$ext" 0 -e "$(dirname "$ext")" -- $(go_oracle "$ext")
	tap_check "external link: what bpftool prints" agrees txt "$stacks.txt" "$ext" 0 -e "$ext" -- $(go_oracle "$ext")
	tap_check "external link: bpftool's JSON" agrees json "$stacks.json" "$ext" 0 -e "$ext" -- $(go_oracle "$ext")
	id=$("$gojitter" sym -e "$ext" --info | sed -n 's/^build_id: //p')
	mkdir -p "$HOME/.debug/.build-id/$(echo "$id" | cut -c1-2)/$(echo "$id" | cut -c3-)"
	cp "$ext" "$HOME/.debug/.build-id/$(echo "$id" | cut -c1-2)/$(echo "$id" | cut -c3-)/elf"
	tap_check "external link: found in perf's cache" agrees raw "$stacks" "$ext" 0 -- $(go_oracle "$ext")
	rm -r "$HOME/.debug"
fi

# Go's linker leaves its notes where the kernel does not look: addresses only.
exe=$(tests/fixtures/build.sh 1.24 tests/perf/plugin-app exe) || exit 1
if take "internal link" "$exe" 20 inlined generic closures assembly; then
	sym --raw=32 <"$stacks" >"$work/answers"
	tap_check "internal link: addresses stay unknown" \
		sh -c "grep -q '^0x4[0-9a-f]*\$' '$work/answers' && ! grep -q '^main' '$work/answers'"
	tap_check "internal link: --pid tells" agrees raw "$stacks" "$exe" 0 --pid="$target" -- $(go_oracle "$exe")
	stop
fi

# C code, Go code and the seams between; C's functions by the symbols.
cgo=$(tests/fixtures/build.sh 1.24 cgostacks cgo) || exit 1
if take "cgo" "$cgo"; then
	sym --raw=32 <"$stacks" >"$work/answers"
	tap_check "cgo: C and Go by build id" sh -c "grep -qE '^(c_leaf|c_outer|_cgo_)' '$work/answers' && grep -q '^runtime\.' '$work/answers'"
	stop
fi
# A library of C's alone.
cat >"$work/spin.c" <<'END'
volatile int sink;
__attribute__((noinline)) int leaf(int n) { for (int i = 0; i < n; i++) sink += i; return sink; }
__attribute__((noinline)) int middle(int n) { return leaf(n) + 1; }
int main(void) { for (;;) middle(10000); }
END
cc -O0 -g -fno-omit-frame-pointer -Wl,--build-id -o "$work/spin" "$work/spin.c" || exit 1
if take "C" "$work/spin"; then
	stop
	sym --raw=32 -e "$work/spin" <"$stacks" >"$work/answers"
	tap_check "C: functions by symbols" sh -c "grep -qx leaf '$work/answers' && grep -qx middle '$work/answers' && grep -qx main '$work/answers'"
	tap_check "C: the same functions as addr2line's" agrees raw "$stacks" "$work/spin" 0 -e "$work/spin" -- \
		sh -c "addr2line -f -e $work/spin | sed 's/^.*spin.c:.*/??:0/'"
fi

# Text.
va=$("$gojitter" sym -e "$exe" --list | awk -F'\t' '$3 == "main.mix" { print $1 }')
off=$(printf '0x%x' $((0x$va - 0x400000 + 4)))
want=$("$gojitter" sym -e "$exe" -f -i 0x$(printf '%x' $((0x$va + 4))))
id=$("$gojitter" sym -e "$exe" --info | sed -n 's/^build_id: //p')
go_id=$("$GOROOT/bin/go" tool buildid "$exe")
answers() # TEXT
{
	got=$(echo "$1" | sym -i -e "$exe")
	[ "$got" = "$want" ] || { printf '%s\n' "$got" "$want"; return 1; }
}
tap_check "a GNU build id" answers "$id+$off"
tap_check "in capitals" answers "$(echo "$id" | tr a-f A-F)+$off"
tap_check "Go's own build id" answers "$go_id+$off"
tap_check "printed before it" [ "$(echo "$id+$off" | sym -a -p -e "$exe" | cut -d: -f1)" = "$id+$off" ]
tap_check "JSON" sh -c "echo '$id+$off' | '$gojitter' sym --build-id -j -e '$exe' | python3 -c 'import json, sys
assert json.load(sys.stdin)[\"frames\"][-1][\"func\"] == \"main.mix\"'"

# Frames nobody knows, lines that are none, bytes that are none.
unknown='??
??:0'
tap_check "an unknown build id" [ "$(echo "0123456789+0x10" | sym -e "$exe")" = "$unknown" ]
tap_check "an offset outside" [ "$(echo "$id+0xfffffffffff" | sym -e "$exe")" = "$unknown" ]
tap_check "a line that is no frame has an answer" [ "$(echo "what+ever" | sym -e "$exe")" = "$unknown" ]
refuses() # STATUS WORDS INPUT OPTIONS...
{
	status=$1 words=$2 input=$3
	shift 3
	sym "$@" <"$input" >"$work/text" 2>&1
	got=$?
	[ $got -eq "$status" ] || { echo "status $got"; cat "$work/text"; return 1; }
	grep -q "^gojitter: .*$words" "$work/text" || { cat "$work/text"; return 1; }
	[ "$(grep -c '^gojitter' "$work/text")" -eq 1 ] || { cat "$work/text"; return 1; }
}
head -c 100 /dev/zero >"$work/odd"
head -c 64 /dev/zero | tr '\0' '\7' >"$work/sevens"
echo '[{"key":["0x00"],"value":["0x07","0x07"]}]' >"$work/short.json"
tap_check "no whole frames" refuses 1 "100 bytes are no array" "$work/odd" --raw
tap_check "no status" refuses 1 "was the stack taken with BPF_F_USER_BUILD_ID" "$work/sevens" --raw
tap_check "a dump of another map" refuses 1 "2 bytes are no array" "$work/short.json"
tap_check "no such process" refuses 1 "" /dev/null --pid=4194305
tap_check "no number" refuses 2 "is no number" /dev/null --raw=x
tap_check "no such file" refuses 1 "No such file" /dev/null -e "$work/none"
# Random bytes end with an answer or a line, never by a signal.
random() { for i in 1 2 3 4 5 6 7 8; do
	head -c $((i * 320)) /dev/urandom >"$work/random"
	for option in --raw --raw=3 -i; do
		sym $option <"$work/random" >"$work/text" 2>&1
		[ $? -le 1 ] || return 1
	done
done; }
tap_check "random bytes" random
tap_done
