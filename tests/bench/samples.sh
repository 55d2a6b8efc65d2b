#!/bin/sh
# What `gojitter trace --what samples` costs by the kernel's run-time statistics, while a
# program keeps all processors busy: a run of the program on any timer, and its share.
set -eu

gojitter=$O/gojitter
instance=samples-bench-$$
target=
stats=$(cat /proc/sys/kernel/bpf_stats_enabled 2>/dev/null || echo)
finish()
{
	[ -z "$target" ] || kill $target 2>/dev/null || :
	"$gojitter" untrace --instance $instance 2>/dev/null || :
	[ "$stats" != 0 ] || echo 0 >/proc/sys/kernel/bpf_stats_enabled
}
trap finish EXIT

if [ "$(id -u)" -ne 0 ] || [ -z "$stats" ]; then
	echo 'samples: run-time statistics of BPF programs want root; left out'
	exit 0
fi
[ "$stats" != 0 ] || echo 1 >/proc/sys/kernel/bpf_stats_enabled
dir=/sys/fs/bpf/gojitter/v1/$instance
read_stats()
{
	bpftool -j prog show pinned $dir/progs/gj_samples |
		sed 's/.*"run_time_ns":\([0-9]*\),"run_cnt":\([0-9]*\).*/\1 \2/'
}
counted() { bpftool map dump pinned $dir/samples_info | awk -F'[:,]' '/"complete"|"cut_/ { n += $2 } END { print n }'; }

echo 'samples: cost of the sampling that is always on'
binary=$(tests/fixtures/build.sh 1.27 kinds exe)
"$binary" 1000 >/dev/null &
target=$!
for hz in 49 99 997; do
	"$gojitter" trace -q -p $target --what samples -F $hz --instance $instance
	before="$(read_stats) $(counted) $(date +%s%N)"
	sleep 8
	echo "$before $(read_stats) $(counted) $(date +%s%N) $(nproc)" | awk -v hz=$hz '{
		ns = $5 - $1; runs = $6 - $2; samples = $7 - $3; took = $8 - $4
		printf "%d Hz: %d runs, %d of them samples of the program; %d ns a run; %.4f %% of each processor\n",
			hz, runs, samples, ns / runs, 100 * ns / took / $9
	}'
	"$gojitter" untrace --instance $instance
done
