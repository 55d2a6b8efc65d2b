#!/bin/sh
# Stock gdb on stripped programs whose debug file is installed: it finds it by
# itself, stops by name and by line, and prints the backtraces, inlined calls
# included, that it prints for the unstripped twin.
. tests/tap.sh

build=tests/fixtures/build.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root

# Frames, stops and symbols of what gdb prints, without what only types and
# variables could give, the number of a thread, the file a symbol is of, and the
# frame that gdb invents above a goroutine's first where Go's DWARF does not say
# that it is the first.
run_gdb() # AUTO-LOAD PROGRAM COMMAND...
{
	auto_load=$1 program=$2
	shift 2
	for command; do echo "$command"; done >"$work/commands"
	timeout -k 5 60 gdb -nx -q -batch -iex "set debug-file-directory $root/usr/lib/debug" \
		-iex "add-auto-load-safe-path $root" -iex "set auto-load python-scripts $auto_load" \
		-iex "set print demangle off" -ex "set confirm off" -ex "set pagination off" \
		-ex "set backtrace past-main on" -x "$work/commands" "$program" \
		2>"$work/err" </dev/null >"$work/raw"
	sed -nE "s/ \(([a-z~][A-Za-z0-9~]*=.*)?\) at / () at /; s/\.abi0//
		s/^Thread [0-9.]+/Thread/; s/ (in section|of file) .*//; s/ and ends at .*//
		/ 0x0+ in \?\? \(\)$/d; /^(#|Thread|Line|main\.|runtime\.|Breakpoint)/p" "$work/raw"
}

prepare() # VERSION VARIANT
{
	twin=$($build "$1" tests/debuginfo/spin "$2") &&
		stripped=$($build "$1" tests/debuginfo/spin "$2+strip") || return 1
	rm -rf "$root"
	"$O/gojitter" debuginfo "$stripped" --install --root "$root" >"$work/said" &&
		"$O/gojitter" debuginfo "$stripped" -o "$work/spin.debug" >/dev/null
}

same() # COMMAND...
{
	run_gdb on "$stripped" "$@" >"$work/ours"
	cp "$work/err" "$work/err.ours"
	run_gdb off "$twin" "$@" >"$work/theirs"
	diff "$work/ours" "$work/theirs" || { cat "$work/err.ours"; return 1; }
	[ "$(wc -l <"$work/ours")" -ge 3 ] || { cat "$work/ours" "$work/err.ours"; return 1; }
}

# An address of main.mix with two calls inlined one into the other, as llvm-symbolizer has it.
inlined_offset()
{
	start=$(nm "$twin" | sed -n 's/ [tT] main\.mix$//p')
	for offset in $(seq 5 100); do
		printf '0x%x\n' $((0x$start + offset))
	done | llvm-symbolizer --obj="$twin" --addresses --inlines --output-style=GNU |
		awk '/^0x/ { address = $1; n = 0; next } /^main\./ { name[n++] = $1 }
			/spin.go/ && n == 3 && name[0] == "main.step" && !seen { seen = address }
			END { print seen }' >"$work/inlined"
	[ -s "$work/inlined" ] && echo "*'main.mix'+$(($(cat "$work/inlined") - 0x$start))"
}

shows_inlined()
{
	same "break $(inlined_offset)" "run 1" bt "info symbol \$pc" && grep -q '^#0 .*main\.step' "$work/ours" &&
		grep -q '^#1 .*main\.twice' "$work/ours" && grep -q '^#2 .*main\.mix' "$work/ours" ||
		{ cat "$work/ours"; return 1; }
}

# Nothing of it without the debug file.
nothing_without()
{
	rm -rf "$root"
	run_gdb on "$stripped" "info symbol main.main" "info line main.main" >"$work/ours"
	! grep -q main "$work/ours"
}

# By hand, with nothing installed.
by_hand()
{
	gdb -nx -q -batch -ex "info line main.mix" -e "$stripped" -s "$work/spin.debug" |
		grep 'Line 2[67] of ".*/spin.go" starts at address .* <main.mix'
}

for version in 1.19 1.24 1.27; do
	for variant in exe pie pie+ext; do
		name="$version $variant"
		prepare "$version" $variant || { tap_fail "$name builds"; continue; }
		tap_check "$name: a function by name, its callers" same \
			"break main.marker" "run 1" bt "frame function main.main" "info symbol main.burn" \
			"info line main.(*worker).run" "info line runtime.goexit"
		tap_check "$name: a line" same "break spin.go:41" "run 1" "bt 2" "info symbol \$pc"
		tap_check "$name: inlined calls in a backtrace" shows_inlined
		tap_check "$name: by hand" by_hand
		tap_check "$name: nothing without the debug file" nothing_without
	done
done

# Where no build id would tell, gdb is not given the debug file of another build.
replaced()
{
	prepare 1.19 exe && cp "$stripped" "$work/replaced" &&
		"$O/gojitter" debuginfo "$work/replaced" --install --root "$root" >"$work/said" &&
		cp "$($build 1.19 rich strip)" "$work/replaced" || return 1
	run_gdb on "$work/replaced" "info line main.main" >"$work/ours"
	grep "$work/replaced is not of this build" "$work/err" && ! grep main.main "$work/ours"
}
tap_check "1.19 exe: replaced by another build" replaced
tap_done
