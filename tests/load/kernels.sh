#!/bin/sh
# gojitter trace on Debian's kernels, stable's, the next one's and the newest, in an
# emulated machine: with and without uprobe.multi, with and without dots in names.
. tests/tap.sh

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
top=$(pwd)
build=$(cd "$O" && pwd)
ticks=$(tests/fixtures/build.sh 1.26 tests/load/ticks.go exe) || exit 1

cat >"$work/script" <<END
uname -r >/mnt/version
cd '$top' || exit 1
'$ticks' >/mnt/ticks &
target=\$!
until [ -s /mnt/ticks ]; do sleep 1; done
'$build/gojitter' trace -p \$target --what all --budget 100% --instance kernels 2>/mnt/said.err || exit 2
pins=/sys/fs/bpf/gojitter/v1/kernels
ls \$pins/links >/mnt/links
bpftool map dump pinned \$pins/costs >/mnt/costs || exit 3
pgrep -fx 'gojitter budget --instance kernels' >/mnt/keeper
sleep 2
bpftool map dump pinned \$pins/targets >/mnt/targets || exit 3
cat \$pins/census >/mnt/census || exit 7
bpftool map dump pinned \$pins/census_goroutines >/mnt/goroutines || exit 8
for map in \$pins/*; do
	id=\$(bpftool -j map show pinned \$map 2>/dev/null | sed -n 's/.*"btf_id":\([0-9]*\).*/\1/p')
	[ -z "\$id" ] || bpftool btf dump id \$id >>/mnt/btf
done
for way in ring perf; do
	option=
	[ \$way = ring ] || option=--perf-buffer
	'$build/gojitter' trace -q -p \$target --what goroutines --events \$option --for 2s -o /mnt/\$way.file \
		--instance \$way 2>>/mnt/said.err || exit 7
	'$build/gojitter' events --json /mnt/\$way.file >/mnt/\$way.json 2>>/mnt/said.err || exit 8
done
kill \$target
sleep 2
bpftool map dump pinned \$pins/targets >/mnt/gone || exit 4
'$build/gojitter' untrace 2>>/mnt/said.err || exit 5
bpftool link show >/mnt/left
[ ! -e \$pins ] || exit 6
sleep 1
! pgrep -fx 'gojitter budget --instance kernels' || exit 7
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

measured()
{
	test -s "$share/keeper" && grep -q '"state": "on"' "$share/costs" &&
		grep -Eq '"hits": *[1-9]' "$share/costs" && grep -Eq '"trap_ns": *[1-9]' "$share/costs"
}

named()
{
	grep -Eq "'main[._]worker' val=" "$share/btf" && grep -q "'chan_receive' val=19" "$share/btf"
}

if [ "$(uname -m)" != x86_64 ]; then
	tap_skip 'other kernels' 'the emulated machine is an amd64 one'
	tap_done
fi
for suite in ${GJ_SUITES:-bookworm trixie trixie-backports}; do
	share=$work/$suite
	mkdir "$share"
	tap_check "$suite: traced, read and taken away" boot "$suite"
	tap_check "$suite: hooks are in place" test -s "$share/links"
	tap_check "$suite: what they cost was measured" measured
	tap_check "$suite: the process was a target" grep -q go_minor "$share/targets"
	tap_check "$suite: the census is taken" grep -Eq '^pid [0-9]+: [0-9]+ goroutines: .* force gc \(idle\)' "$share/census"
	tap_check "$suite: stacks of it reach their first functions" grep -q '"is_cut": 0' "$share/goroutines"
	tap_check "$suite: and is none behind its end" sh -c "! grep -q go_minor '$share/gone'"
	tap_check "$suite: functions and wait reasons have names" named
	for way in ring perf; do
		tap_check "$suite: events through $way buffers" grep -q "\"buffer\":\"$way\"" "$share/$way.json"
		tap_check "$suite: of the program's goroutines" \
			grep -q '"kind":"goroutine_waiting".*"func":"main.worker".*"reason":"' "$share/$way.json"
	done
	tap_check "$suite: no link is left" sh -c "! grep -q . '$share/left'"
done
tap_done
