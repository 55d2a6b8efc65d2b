#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# A program on an overlayfs, as in a container: stat(2) shows other numbers than the
# kernel has, and processes to come are known all the same.
. tests/tap.sh
. tests/load/lib.sh

[ "$(id -u)" -eq 0 ] || { tap_skip 'programs on overlayfs' 'mounting wants root'; tap_done; }
mountpoint -q /sys/fs/bpf || mount -t bpf bpf /sys/fs/bpf
objects=/sys/fs/bpf/overlay-test-$$
# What has been mounted last goes first.
clean()
{
	for pid in $pids; do
		kill -9 "$pid" 2>/dev/null
		wait "$pid" 2>/dev/null
	done
	rm -rf "$objects"
	# Links, removed by now, keep it for a moment more.
	! mountpoint -q "$work/merged" || until_true umount "$work/merged"
	umount "$work/upper" "$work/lower" 2>/dev/null
	load_clean
}
trap clean EXIT
mkdir "$work/lower" "$work/upper" "$work/merged"
layers()
{
	mount -t tmpfs none "$work/lower" && mount -t tmpfs none "$work/upper" &&
		mkdir "$work/upper/files" "$work/upper/work" &&
		cp "$(tests/fixtures/build.sh 1.26 tests/load/ticks.go exe)" "$work/lower" &&
		mount -t overlay -o "lowerdir=$work/lower,upperdir=$work/upper/files,workdir=$work/upper/work" \
			overlay "$work/merged"
}
tap_check 'two file systems are laid over each other' layers
program=$work/merged/ticks

traced() { "$gojitter" trace -q -e "$program" --instance "$ours"; }
tap_check 'traced by its file' traced
start "$program"
tap_check 'a process that comes is a target' until_true has_target "$pid"
"$gojitter" untrace --instance "$ours"
stop "$pid"

loaded()
{
	bpftool=$(tests/load/bpftool.sh) && "$gojitter" bpf-object -q -e "$program" -o "$work/written.bpf.o" &&
		"$bpftool" prog loadall "$work/written.bpf.o" "$objects" pinmaps "$objects/maps" autoattach
}
tap_check 'an object for it is loaded' loaded
start "$program"
is_known() { bpftool -j map dump pinned "$objects/maps/targets" | grep -Eq "\"key\": ?$pid,"; }
tap_check 'whose process is a target, too' until_true is_known
tap_done
