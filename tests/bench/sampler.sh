#!/bin/sh
# What the two-stack sampler costs: nanoseconds a sample by the kernel's own
# run-time statistics (kernel.bpf_stats_enabled), beside perf recording the same
# chain without it, and what a request of a service then takes of processor time,
# in one interleaved run.
set -eu

work=$(mktemp -d)
server=
stats=$(sysctl -n kernel.bpf_stats_enabled 2>/dev/null || echo 0)
clean()
{
	[ -z "$server" ] || kill -9 "$server" 2>/dev/null || true
	sysctl -q -w kernel.bpf_stats_enabled="$stats" 2>/dev/null || true
	rm -rf "$work"
}
trap clean EXIT
sysctl -q -w kernel.bpf_stats_enabled=1

binary=$(tests/fixtures/build.sh 1.22 served nosym)

# Requests done in a while, into $work/NAME, while what is given records process $server.
serve() # NAME [COMMAND...]
{
	name=$1
	shift
	recorder=
	if [ $# -gt 0 ]; then
		"$@" >/dev/null 2>"$work/err" &
		recorder=$!
		sleep 0.7
	fi
	kill -USR1 "$server"
	sleep 1.5
	case $name in
	# Program type 7: BPF_PROG_TYPE_PERF_EVENT.
	sampler*) cat /proc/$recorder/fdinfo/* | awk '
		/^prog_type:/ { ours = $2 == 7 }
		/^run_time_ns:/ && ours { ns = $2 }
		/^run_cnt:/ && ours { cnt = $2 }
		END { print ns + 0, cnt + 0 }' >>"$work/$name.cost" ;;
	esac
	kill -USR1 "$server"
	[ -z "$recorder" ] || { kill -INT $recorder; wait $recorder || true; }
	sleep 0.1
	tail -n 1 "$work/served" >>"$work/$name"
}

"$binary" >"$work/served" &
server=$!
sleep 0.5
for round in 1 2 3; do
	serve bare
	for hz in 99 999; do
		serve perf$hz perf record -q -k CLOCK_MONOTONIC --call-graph fp -e cpu-clock -F $hz -p $server -o "$work/perf.data"
		serve sampler$hz "$O/gojitter" record -q -e cpu-clock -F $hz -p $server -o "$work/own.data"
	done
done
echo "the two-stack sampler on a service (go1.22, best of 3 interleaved runs):"
python3 - "$work" <<'END'
import sys
work = sys.argv[1]
# Lines of the service: requests, nanoseconds, nanoseconds of processor time.
def cost(name):
    return min(int(cpu) / int(cnt) for cnt, _, cpu in (line.split() for line in open(f"{work}/{name}")))
bare = cost("bare")
print(f"  without recording a request takes {bare / 1000:.1f} us of processor time")
for hz in (99, 999):
    costs = [line.split() for line in open(f"{work}/sampler{hz}.cost")]
    ns = min(int(t) / int(n) for t, n in costs)
    runs = max(int(n) for _, n in costs)
    print(f"  {hz:4} Hz: {ns:.0f} ns a sample ({runs} samples); a request takes "
          f"{100 * (cost(f'perf{hz}') / bare - 1):+.1f} % with perf alone, "
          f"{100 * (cost(f'sampler{hz}') / bare - 1):+.1f} % with the sampler")
END
