#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Programs in uprobes have their stacks on their threads, not in memory of the processor
# (bpf/trace.bpf.h, gj_own_stack): in the machine code that this kernel makes of them.
. tests/tap.sh
. tests/load/lib.sh

ticks=$(tests/fixtures/build.sh 1.26 tests/load/ticks.go exe) || exit 1
start "$ticks"
"$gojitter" trace -q -p "$pid" --what all --instance "$ours" || exit 1

# Frames of the processor are reached by %r9 (Linux arch/x86/net/bpf_jit_comp.c, X86_REG_R9).
code_of() # PROGRAM
{
	"$O/tests/load/jited" "$pins/$ours/progs/$1" >"$work/code" &&
		objdump -D -b binary -m i386:x86-64 "$work/code" >"$work/text" && [ -s "$work/text" ]
}
is_own() { code_of "$1" && ! grep -m 3 '(%r9)' "$work/text"; }
cnt=0
for pin in "$pins/$ours/progs"/*; do
	bpftool prog show pinned "$pin" | grep -q '^[0-9]*: kprobe ' || continue
	cnt=$((cnt + 1))
	tap_check "${pin##*/} has its thread's stack" is_own "${pin##*/}"
done
tap_check 'there are such programs' [ $cnt -gt 10 ]
tap_done
