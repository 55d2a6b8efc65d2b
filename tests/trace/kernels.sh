#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# gojitter trace --what threads,tcp on Debian's kernels, stable's, the next one's and the
# newest, in an emulated machine: with and without a tracepoint behind writes (Linux 6.5).
. tests/tap.sh

[ "$(uname -m)" = x86_64 ] || { tap_skip 'other kernels' 'the emulated machine is an amd64 one'; tap_done; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
toolchain=$(tests/toolchains.sh 1.24) && echo=$(tests/fixtures/build.sh 1.24 tests/trace/echo.go exe) &&
	delays=$(tests/fixtures/build.sh 1.24 tests/trace/delays.go exe) || exit 1
build=$(cd "$O" && pwd)
clang -target bpf -O2 -g "-I/usr/include/$(cc -print-multiarch)" -c -o "$work/drop.o" tests/trace/drop.bpf.c

script() # KERNEL COMMAND
{
	base=$1
	[ -d "$base/lib/modules" ] || base=$base/usr
	tools=${1%/*}/tools
	cat <<END
uname -r >/mnt/version
cd '$(pwd)' && export O='$build' HOME=/run LC_ALL=C PYTHONDONTWRITEBYTECODE=1 ECHO_TIME=4s || exit 1
ln -s '$tools/bin/kmod' /run/modprobe
for module in veth sch_ingress cls_bpf; do
	LD_LIBRARY_PATH='$tools/usr/lib/x86_64-linux-gnu:$tools/lib/x86_64-linux-gnu' \\
		/run/modprobe -d '$base' \$module || exit 2
done
mkdir -p /run/netns
tests/trace/$2 >/mnt/out 2>&1
END
}

boot() # SUITE NAME COMMAND
{
	share=$work/$1-$2
	mkdir "$share"
	kernel=$(tests/bpf/kernel.sh "$1" 2>"$work/err") || { cat "$work/err"; return 1; }
	script "$kernel" "$3" >"$work/script"
	tests/bpf/boot.sh "$kernel" "$work/script" "$share"
	status=$?
	cat "$share/out"
	echo "exit status $status of Linux $(cat "$share/version")"
	return $status
}

for suite in ${GJ_TRACE_SUITES:-bookworm trixie trixie-backports}; do
	tap_check "$suite: threads" boot "$suite" threads "threads.py '$delays'"
	echo "$tap_out" | sed -n 's/^#* *\(three\|of\|exit\)/# \1/p'
	tap_check "$suite: tcp" boot "$suite" tcp "line.sh '$work/drop.o' tests/trace/tcp.py '$echo' '${toolchain#* }'"
	echo "$tap_out" | sed -n 's/^\(counts\|exit\)/# \1/p'
done
tap_done
