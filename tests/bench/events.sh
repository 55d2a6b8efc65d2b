#!/bin/sh
# Ring buffer beside perf buffer for events of gojitter trace: the greatest rate
# without loss, the time to the reader at 50,000 events a second, the loss when events
# come twice as fast as the reader takes them. Of one run; other work on the machine
# moves the 99th percentile most.
set -eu

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
[ "$(nproc)" -gt 1 ] || { echo "events: one processor; who tells and who reads would be one"; exit 0; }
[ -x "$O/tests/bench/events" ] || { echo "events: built without BPF"; exit 0; }
clang -target bpf -mcpu=v2 -O2 -g -D__TARGET_ARCH_x86 -Ibpf -I"/usr/include/$(gcc -print-multiarch)" \
	-Wno-missing-declarations -c -o "$work/events.bpf.o" tests/bench/events.bpf.c
echo "events of 56 bytes, buffers of 8 MiB (source document: ring 1.28 M/s, 47 us, perf 0.63 M/s, 182 us, 2.4 % loss):"
"$O/tests/bench/events" "$work/events.bpf.o"

# What telling costs the target: the kernel's statistics of the program at casgstatus,
# with a program that does nothing but switch goroutines.
stats=$(sysctl -n kernel.bpf_stats_enabled)
instance=bench-events-$$
target=
clean()
{
	[ -z "$target" ] || kill "$target" 2>/dev/null || true
	"$O/gojitter" untrace --instance "$instance" 2>/dev/null || true
	sysctl -q -w kernel.bpf_stats_enabled="$stats"
	rm -rf "$work"
}
trap clean EXIT
sysctl -q -w kernel.bpf_stats_enabled=1
binary=$(tests/fixtures/build.sh 1.26 pingpong nosym)
"$binary" 60 >/dev/null &
target=$!
sleep 0.5
hits() { # "NS HITS INSTRUCTIONS" so far
	bpftool -j prog show pinned "/sys/fs/bpf/gojitter/v1/$instance/progs/gj_on_casgstatus" |
		sed 's/.*"run_time_ns":\([0-9]*\),"run_cnt":\([0-9]*\).*"bytes_xlated":\([0-9]*\).*/\1 \2 \3/'
}
say() # HOW
{
	until [ -e "/sys/fs/bpf/gojitter/v1/$instance" ]; do sleep 0.1; done
	before=$(hits)
	sleep 1
	echo "$before $(hits)" | awk -v how="$1" '{
		printf "  casgstatus %-15s %4.0f ns a hit, %.2f M/s, %d instructions\n", how ":",
			($4 - $1) / ($5 - $2), ($5 - $2) / 1e6, $6 / 8 }'
}
"$O/gojitter" trace -q -p "$target" --what goroutines --instance "$instance"
say 'no events'
"$O/gojitter" untrace --instance "$instance"
for way in ring perf; do
	option=
	[ $way = ring ] || option=--perf-buffer
	"$O/gojitter" trace -p "$target" --what goroutines --events $option --instance "$instance" \
		-o "$work/file" 2>"$work/said" &
	reader=$!
	say "$way buffer"
	kill $reader
	wait $reader
	sed -n 's/.* \([0-9]* events\) in [^;]*/  \1/p' "$work/said"
	rm "$work/file"
done
