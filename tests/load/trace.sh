#!/bin/sh
# gojitter trace from beginning to end on real programs: what is pinned outlives the
# command, stock bpftool reads it with names, untrace leaves nothing.
. tests/tap.sh
. tests/load/lib.sh

build=tests/fixtures/build.sh
old=$($build 1.24 tests/load/ticks.go exe)
new=$($build 1.27 tests/load/ticks.go pie+nodwarf)
"$(tests/toolchains.sh 1.24 | cut -d' ' -f2)/bin/go" tool nm "$old" >"$work/nm"

address() { awk -v name="$1" '$3 == name { print $1; exit }' "$work/nm"; }
field() { dump targets | tr ',{}' '\n\n\n' | sed -n "s/.*\"$1\": *\(-\{0,1\}[0-9]*\).*/\1/p" | head -n 1; }
equals() { [ "$1" = "$2" ] || { echo "$1 is not $2"; return 1; }; }

starts() # ARGUMENTS...
{
	"$gojitter" trace "$@" --instance "$ours" >"$work/said" 2>&1 || { cat "$work/said"; return 1; }
	note
	grep -q "maps: $pins/$ours" "$work/said"
}

start "$old"
target=$pid
tap_check 'it starts, says where its maps are, and returns' starts -p "$target" --what all
tap_check 'a line for each feature' [ "$(grep -Ec '^gojitter: [a-z]+: (hooked at|nothing is hooked)' "$work/said")" -eq \
	"$("$gojitter" trace --what list | wc -l)" ]
# shellcheck disable=SC2012
tap_check 'links and programs are pinned and loaded' sh -c "
	for pin in $pins/$ours/progs/*; do bpftool prog show pinned \$pin >/dev/null || exit 1; done
	[ \$(ls $pins/$ours/links | wc -l) -gt 0 ]"
tap_check 'the target is in the map' has_target "$target"
tap_check 'runtime.allgs is where go tool nm has it' equals "$(field allgs_va)" $((0x$(address runtime.allgs)))
tap_check 'functions count from runtime.text' equals "$(field text_va)" $((0x$(address runtime.text)))
tap_check 'the target goes on' is_ticking "$target"

# Enumerators of every map that has functions, as "NAME VALUE".
names()
{
	for map in "$pins/$ours"/*; do
		id=$(bpftool -j map show pinned "$map" 2>/dev/null | sed -n 's/.*"btf_id":\([0-9]*\).*/\1/p')
		[ -z "$id" ] || echo "$id"
	done | sort -u | while read -r id; do
		bpftool btf dump id "$id" | sed -n "s/^\t'\(.*\)' val=\(.*\)/\1 \2/p"
	done
}
number_of() # FUNCTION: as bpf/gj_trace.h has it, program 0
{
	echo $((0x$(address "$1") - 0x$(address runtime.text) + 1))
}
names >"$work/names"
has_name() { grep -qx "$1 $2" "$work/names" || { grep "^$1 " "$work/names"; return 1; }; }
if grep -q '^unknown_function ' "$work/names"; then
	for function in main.worker main.main runtime.gcStart 'runtime.(*mheap).alloc'; do
		tap_check "$function has its number in the type information" \
			has_name "$(echo "$function" | tr -d '(*)')" "$(number_of "$function")"
	done
	awk 'tolower($2) == "t" && $3 ~ /^(main|runtime|fmt|os|time)\./ && $3 !~ /abi0$/ { print $3 }' "$work/nm" |
		tr -d '(*)' | LC_ALL=C sort -u >"$work/functions"
	# Those without other marks, whose place in the name is ours to choose; the ends of the code are none.
	missing=$(cut -d' ' -f1 "$work/names" | LC_ALL=C sort -u | LC_ALL=C comm -13 - "$work/functions" |
		grep -vE '[^A-Za-z0-9_.]|^runtime\.e?text$' | tee "$work/missing")
	sed 's/^/# /' "$work/missing" | head -5
	tap_check 'no function of Go that nm lists is without a name' [ -z "$missing" ]
else
	tap_fail 'functions have names in the type information' 'no map refers to enum gj_func'
fi
if grep -q '^no_reason ' "$work/names"; then
	tap_check 'sleep is 19 in Go 1.24 (runtime2.go)' has_name sleep 19
fi

again() { refuses 1 "instance $ours is there already; --take-over" "$gojitter" trace -p "$target" --instance "$ours"; }
tap_check 'a second start is refused' again
tap_check 'with the first one as it was' has_target "$target"
replaces()
{
	before=$(ls -i "$pins" | grep " $ours\$")
	starts -p "$target" --take-over || return 1
	[ "$before" != "$(ls -i "$pins" | grep " $ours\$")" ] && has_target "$target" &&
		no_leftovers
}
tap_check '--take-over replaces it' replaces
stop "$target"
target_gone() { ! has_target "$target"; }
tap_check 'a process that ends is no target any more' until_true target_gone
tap_check 'untrace removes it' "$gojitter" untrace --instance "$ours"
tap_check 'no link, no program, no pin is left' until_true nothing_left

# By file: one that runs and one to come; a release of the other numbering beside it.
start "$new"
first=$pid
tap_check 'by file, two releases in one instance' starts -e "$old" -e "$new"
tap_check 'the process that ran' has_target "$first"
start "$new"
tap_check 'one that came later' until_true has_target "$pid"
later_bias()
{
	dump targets | tr -d ' \n' | sed 's/{"key"/\n&/g' | grep "^{\"key\":$pid," | sed -n 's/.*"bias":\([0-9]*\).*/\1/p'
}
mapped_bias() # PIE, linked at 0
{
	awk '/ r.xp .*ticks/ { split($1, at, "-"); print at[1], $3; exit }' "/proc/$pid/maps"
}
bias_agrees()
{
	set -- $(mapped_bias) $(readelf -lW "$new" | awk '$1 == "LOAD" && / E / { print $2, $3; exit }')
	# Mapped page less the segment's link-time page.
	equals "$(later_bias)" "$((0x$1 - ($4 - ($3 - 0x$2))))"
}
tap_check 'and where its code is, as its maps say' bias_agrees
stop "$pid"
later_gone() { ! has_target "$pid"; }
tap_check 'it ends' until_true later_gone
stop "$first"

# A process that becomes another program.
"$gojitter" untrace --instance "$ours"
cat >"$work/exec.go" <<'EOF'
package main

import (
	"os"
	"syscall"
)

func main() {
	os.Stdin.Read(make([]byte, 1))
	syscall.Exec("/bin/sleep", []string{"sleep", "5"}, nil)
}
EOF
execs=$($build 1.24 "$work/exec.go" exe)
mkfifo "$work/go"
"$execs" <"$work/go" &
pid=$!
pids="$pids $pid"
exec 5>"$work/go"
tap_check 'a program that is going to call exec' starts -p "$pid"
echo >&5
has_left() { ! has_target "$pid" && [ -d "/proc/$pid" ]; }
tap_check 'is no target behind it' until_true has_left

# A Go library in a C program: its slot of g is the loader's choice.
cat >"$work/lib.go" <<'EOF'
package main

import "C"
import "time"

//export Begin
func Begin() { go worker() }

func worker() {
	for {
		time.Sleep(20 * time.Millisecond)
	}
}

func main() {}
EOF
cat >"$work/host.c" <<'EOF'
#include <dlfcn.h>
#include <unistd.h>
int main(int argc, char **argv)
{
	void *library = dlopen(argv[argc - 1], RTLD_NOW);
	void (*begin)(void) = (void (*)(void))dlsym(library, "Begin");

	begin();
	for (;;)
		pause();
}
EOF
cc -o "$work/host" "$work/host.c" -ldl
library=$($build 1.26 "$work/lib.go" cshared)
"$work/host" "$library" &
pid=$!
pids="$pids $pid"
until_true grep -q "$library" "/proc/$pid/maps"
sleep 0.5
"$gojitter" untrace --instance "$ours"
tap_check 'a Go library in a C program' starts -p "$pid"
tap_check 'its process is a target' has_target "$pid"
stop "$pid"
tap_check 'untrace without a name takes the only one' sh -c \
	"[ \$(ls $pins | wc -l) -ne 1 ] || $gojitter untrace"
"$gojitter" untrace --instance "$ours" 2>/dev/null
tap_check 'nothing is left of it' until_true nothing_left
tap_done
