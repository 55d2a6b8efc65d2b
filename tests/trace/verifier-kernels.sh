#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Every BPF program of this build on Debian's kernels, stable's, the next one's and the
# newest, in an emulated machine: accepted and within the verifier's budget; what a kernel
# refuses is a feature that gojitter trace says it has not there, and why.
. tests/tap.sh

budget=200000
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
top=$(pwd)
build=$(cd "$O" && pwd)
ticks=$(tests/fixtures/build.sh 1.26 tests/load/ticks.go exe) || exit 1
features=$("$O/gojitter" trace --what list | awk '{ print $1 }')

cat >"$work/script" <<END
uname -r >/mnt/version
cd '$top' || exit 1
'$build/tests/trace/verifier' '$build'/bpf/*.bpf.o >/mnt/programs
'$ticks' >/run/ticks &
target=\$!
until [ -s /run/ticks ]; do sleep 1; done
for feature in $(echo $features); do
	'$build/gojitter' trace -p \$target --what \$feature --instance one >/mnt/said.\$feature 2>&1
	echo \$? >/mnt/status.\$feature
	'$build/gojitter' untrace --instance one 2>/dev/null
done
kill \$target
END

boot() # SUITE
{
	kernel=$(tests/bpf/kernel.sh "$1" 2>"$work/err") || { cat "$work/err"; return 1; }
	tests/bpf/boot.sh "$kernel" "$work/script" "$share"
	status=$?
	echo "exit status $status of Linux $(cat "$share/version")"
	[ -s "$share/programs" ] && [ $status -eq 0 ]
}

# Loaded, or all that is said is one line with a reason, of which the kernel's own word is none.
told() # FEATURE
{
	cat "$share/said.$1"
	# A tracepoint that is not there is no program that is refused: another one stands in.
	grep "^$1 .* refused" "$share/programs" | grep -v 'refused: No such process: no log$' >"$share/refused"
	cat "$share/refused"
	if [ "$(cat "$share/status.$1")" -eq 0 ]; then
		[ ! -s "$share/refused" ]
	else
		[ "$(wc -l <"$share/said.$1")" -eq 1 ] && ! grep -q 'the kernel refuses' "$share/said.$1"
	fi
}

if [ "$(uname -m)" != x86_64 ]; then
	tap_skip 'other kernels' 'the emulated machine is an amd64 one'
	tap_done
fi
for suite in bookworm trixie trixie-backports; do
	share=$work/$suite
	mkdir "$share"
	tap_check "$suite: all programs were tried" boot "$suite"
	[ -s "$share/programs" ] || continue
	echo "# Linux $(cat "$share/version")"
	sed 's/^/# /' "$share/programs"
	for feature in $features; do
		tap_check "$suite: $feature is there, or it is said why not" told "$feature"
	done
	# What no feature owns has to be there.
	others=$(cut -d' ' -f1 "$share/programs" | sort -u | grep -vxF "$features" | paste -sd '|')
	tap_check "$suite: what belongs to no feature is accepted" sh -c \
		"! grep -E '^($others) .* refused' '$share/programs'"
	tap_check "$suite: none takes the verifier more than $budget instructions" sh -c \
		"! awk '\$3 + 0 > $budget' '$share/programs' | grep ."
done
tap_done
