#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# An object of gojitter bpf-object on Debian's kernels, stable's, the next
# one's and the newest, in an emulated machine where only stock bpftool is used.
. tests/tap.sh

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [ "$(uname -m)" != x86_64 ]; then
	tap_skip 'other kernels' 'the emulated machine is an amd64 one'
	tap_done
fi
top=$(pwd)
ticks=$(tests/fixtures/build.sh 1.26 tests/load/ticks.go exe) && bpftool=$(tests/load/bpftool.sh) || exit 1
gojitter=$(cd "$O" && pwd)/gojitter

cat >"$work/script" <<END
uname -r >/mnt/version
cd '$top' || exit 1
pins=/sys/fs/bpf/kernels
# All that cost little and can be had there.
'$gojitter' bpf-object -e '$ticks' -o /mnt/default.bpf.o 2>/mnt/default.err || exit 7
'$bpftool' prog loadall /mnt/default.bpf.o \$pins pinmaps \$pins/maps autoattach 2>/mnt/load-default.err || exit 8
rm -r \$pins
'$gojitter' bpf-object -e '$ticks' --what gc,goroutines,syscalls -o /mnt/written.bpf.o 2>/mnt/said.err || exit 2
'$ticks' >/mnt/ticks &
target=\$!
until [ -s /mnt/ticks ]; do sleep 1; done
'$bpftool' prog loadall /mnt/written.bpf.o \$pins pinmaps \$pins/maps autoattach 2>/mnt/load.err || exit 3
sleep 3
'$bpftool' map dump pinned \$pins/maps/targets >/mnt/targets || exit 4
'$bpftool' map dump pinned \$pins/maps/goroutines >/mnt/goroutines || exit 5
'$bpftool' map dump pinned \$pins/maps/blocked >/mnt/blocked || exit 9
kill \$target
sleep 2
'$bpftool' map dump pinned \$pins/maps/targets >/mnt/gone || exit 6
rm -r \$pins
END

boot() # SUITE
{
	kernel=$(tests/bpf/kernel.sh "$1" 2>"$work/err") || { cat "$work/err"; return 1; }
	tests/bpf/boot.sh "$kernel" "$work/script" "$share"
	status=$?
	cat "$share"/*.err
	echo "exit status $status of Linux $(cat "$share/version")"
	return $status
}

for suite in bookworm trixie trixie-backports; do
	share=$work/$suite
	mkdir "$share"
	tap_check "$suite: loaded, attached, read and taken away" boot "$suite"
	tap_check "$suite: the process was a target" grep -q go_minor "$share/targets"
	tap_check "$suite: its goroutines have names" grep -Eq '"func": "main[._]worker' "$share/goroutines"
	tap_check "$suite: and wait reasons" grep -q '"reason": "sleep"' "$share/blocked"
	tap_check "$suite: it is none behind its end" sh -c "[ -e '$share/gone' ] && ! grep -q go_minor '$share/gone'"
done
tap_done
