#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Every BPF program of this build, loaded by this kernel: accepted, and how many
# instructions the verifier went through for it. It takes a million; a fifth of that
# leaves room for kernels that count differently.
. tests/tap.sh

budget=200000
[ "$(id -u)" -eq 0 ] || { tap_skip 'programs loaded' 'loading BPF programs wants root'; tap_done; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$O/tests/trace/verifier" "$O"/bpf/*.bpf.o >"$work/programs"
sed 's/^/# /' "$work/programs"
looked_at() { awk '$3 + 0 > 0 { cnt++ } END { print cnt + 0 }' "$work/programs"; }
objects() { cut -d' ' -f1 "$work/programs" | sort -u; }
# Some hold maps only.
has_programs() # OBJECT
{
	readelf -SW "$1" | sed -n 's/^ *\[ *[0-9]*\] //p' |
		awk '$2 == "PROGBITS" && $7 ~ /X/ && $5 !~ /^0*$/ { found = 1 } END { exit !found }'
}
built()
{
	for object in "$O"/bpf/*.bpf.o; do
		! has_programs "$object" || basename "$object" .bpf.o
	done | sort
}
tap_check 'every object was loaded' [ "$(objects)" = "$(built)" ]
tap_check 'the kernel refuses no program' sh -c "! grep ' refused' '$work/programs'"
tap_check "none takes the verifier more than $budget instructions" sh -c \
	"! awk '\$3 + 0 > $budget' '$work/programs' | grep ."
# 512 bytes in all; kernels up to 6.8 count each function's in steps of 32. The functions of
# metrics call each other in many short chains: their sum tells nothing.
tap_check 'none needs more stack than older kernels have' sh -c \
	"! awk '\$1 != \"metrics\" && \$5 + 0 > 512' '$work/programs' | grep ."
tap_check 'and it says of each how much' sh -c "! awk '\$5 + 0 == 0' '$work/programs' | grep ."
tap_check 'and it says of each how many' [ "$(looked_at)" -eq "$(wc -l <"$work/programs")" ]
tap_done
