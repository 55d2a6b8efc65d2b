#!/bin/sh
# The metrics file on Debian's kernels, stable's, the next one's and the newest, in an
# emulated machine: the verifier takes it, all features have their families, promtool agrees.
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
'$build/gojitter' trace -p \$target --what all --instance kernels 2>/mnt/said.err || exit 2
sleep 2
kill -STOP \$target
cat /sys/fs/bpf/gojitter/v1/kernels/metrics >/mnt/metrics 2>>/mnt/said.err || exit 3
dd if=/sys/fs/bpf/gojitter/v1/kernels/metrics bs=100 2>/dev/null >/mnt/pieces
bpftool -j map dump pinned /sys/fs/bpf/gojitter/v1/kernels/goroutine_counts >/mnt/counts || exit 4
'$build/gojitter' untrace || exit 5
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

# What bpftool has of a counter, all processors added up.
parks()
{
	python3 -c 'import json, sys
print(sum(cpu["value"]["parked"] for row in json.load(sys.stdin) for cpu in row["formatted"]["values"]))' \
		<"$share/counts"
}

says() # PATTERN
{
	grep -E "$1" "$share/metrics"
}

if [ "$(uname -m)" != x86_64 ]; then
	tap_skip 'other kernels' 'the emulated machine is an amd64 one'
	tap_done
fi
for suite in ${GJ_SUITES:-bookworm trixie trixie-backports}; do
	share=$work/$suite
	mkdir "$share"
	tap_check "$suite: traced and read" boot "$suite"
	tap_check "$suite: promtool accepts it" sh -c "promtool check metrics <'$share/metrics'"
	tap_check "$suite: in pieces it is the same" cmp "$share/metrics" "$share/pieces"
	tap_check "$suite: the program is named" says '^gojitter_process_info\{trace="kernels",pid="[0-9]+",program="ticks",go="1\.26"\} 1$'
	tap_check "$suite: functions and wait reasons have names" \
		says '^gojitter_goroutine_blocked_seconds_count\{.*reason="sleep",func="(runtime|main)[._][A-Za-z0-9._]*"\} [1-9]'
	tap_check "$suite: all processors are added up" \
		says "^gojitter_goroutine_parks_total\{.*\} $(parks)\$"
done
tap_done
