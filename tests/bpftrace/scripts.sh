#!/bin/sh
# scripts/*.bt, run by stock bpftrace, against what the kernel counts itself and programs
# that sleep, or compete for a processor, in a known way.
. tests/tap.sh

work=$(mktemp -d)
a=gjbt$$a b=gjbt$$b
tracer=
others=
cleanup()
{
	[ -z "$tracer$others" ] || kill $tracer $others 2>/dev/null
	ip netns del "$a" 2>/dev/null
	ip netns del "$b" 2>/dev/null
	rm -rf "$work"
}
trap cleanup EXIT
mountpoint -q /sys/kernel/tracing || mount -t tracefs nodev /sys/kernel/tracing 2>/dev/null
if ! bpftrace -e 'BEGIN { exit(); }' >"$work/err" 2>&1; then
	tap_skip "bpftrace" "bpftrace does not run here: $(tail -n 1 "$work/err")"
	tap_done
fi

traces() # SCRIPT [ARGUMENT...]
{
	script=$1
	shift
	: >"$work/all"
	__BPFTRACE_NOTIFY_PROBES_ATTACHED=1 timeout -s KILL 40 bpftrace -o "$work/out" "scripts/$script" "$@" \
		>"$work/all" 2>&1 &
	tracer=$!
	for try in $(seq 300); do
		! grep -q PROBES_ATTACHED "$work/all" || return 0
		sleep 0.05
	done
	cat "$work/all"
	return 1
}
ends() { kill -INT "$tracer" && wait "$tracer"; tracer=; }

# Runs a check; whatever it left behind when it failed would keep its output open.
tidily() # CHECK
{
	"$@"
	status=$?
	exec 8>&-
	[ -z "$tracer$others" ] || kill $tracer $others 2>/dev/null
	return $status
}

# The sum of a histogram's rows below a key.
entries() # KEY
{
	awk -v key="$1" 'index($0, key) == 1 { on = 1; next } /^$/ { on = 0 }
		on { sub(/^\[[^]]*[])] */, ""); sum += $1 } END { print sum + 0 }' "$work/out"
}

makes_network()
{
	ip netns add "$a" && ip netns add "$b" &&
		ip -n "$a" link add v0 type veth peer name v1 netns "$b" &&
		ip -n "$a" addr add 10.77.0.1/24 dev v0 && ip -n "$b" addr add 10.77.0.2/24 dev v1 &&
		ip -n "$a" addr add fd77::1/64 dev v0 nodad && ip -n "$b" addr add fd77::2/64 dev v1 nodad &&
		ip -n "$a" link set v0 up && ip -n "$b" link set v1 up
}
loses()
{
	clang -O2 -g -target bpf -I/usr/include/"$(gcc -dumpmachine)" -c tests/bpftrace/drop.bpf.c \
		-o "$work/drop.o" &&
		ip netns exec "$b" tc qdisc add dev v1 clsact &&
		ip netns exec "$b" tc filter add dev v1 ingress bpf da obj "$work/drop.o" sec tc
}
sent_again() # NAMESPACE: its own count
{
	ip netns exec "$1" cat /proc/net/snmp |
		awk '/^Tcp: [0-9]/ { print $n } /^Tcp: [A-Z]/ { for (i = 1; i <= NF; i++) if ($i == "RetransSegs") n = i }'
}

cat >"$work/echo.py" <<'END'
import socket, sys
address, count = sys.argv[2], int(sys.argv[3])
family = socket.AF_INET6 if ":" in address else socket.AF_INET
s = socket.socket(family)
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
if sys.argv[1] == "serve":
    s.bind((address, 9000)); s.listen(); print("ready", flush=True)
    peer, _ = s.accept()
    while data := peer.recv(1000, socket.MSG_WAITALL):
        peer.sendall(data[:1])
else:
    s.connect((address, 9000))
    for i in range(count):
        s.sendall(b"x" * 1000)
        s.recv(1)
END

talks() # ADDRESS COUNT
{
	ip netns exec "$b" python3 "$work/echo.py" serve "$1" "$2" >"$work/ready" &
	others=$!
	for try in $(seq 200); do ! grep -q ready "$work/ready" || break; sleep 0.05; done
	ip netns exec "$a" timeout 30 python3 "$work/echo.py" ask "$1" "$2" && wait $others
	others=
}

retransmits()
{
	before=$(($(sent_again "$a") + $(sent_again "$b")))
	traces retransmits.bt && talks 10.77.0.2 200 && talks fd77::2 100 && sleep 0.3 && ends || return 1
	grew=$(($(sent_again "$a") + $(sent_again "$b") - before))
	# Both directions of our two connections, so that nobody else's count.
	v4=$(awk '/^@retransmits\[/ && /10\.77\.0\.1, / && /, 9000/ { n += $NF } END { print n + 0 }' "$work/out")
	v6=$(awk '/^@retransmits6\[/ && /fd77::1, / && /, 9000/ { n += $NF } END { print n + 0 }' "$work/out")
	lines=$(grep -cE '^[0-9:]{8} (10\.77\.0\.|fd77::)[12]:[0-9]+ (10\.77\.0\.|fd77::)[12]:[0-9]+ [A-Z_]+$' "$work/out")
	echo "RetransSegs $grew; script $v4 + $v6, $lines lines"
	[ "$grew" -ge 10 ] && [ "$v4" -ge 5 ] && [ "$v6" -ge 2 ] && [ $((v4 + v6)) -eq "$grew" ] && [ "$lines" -eq "$grew" ] ||
		{ cat "$work/out" "$work/all"; return 1; }
}

if makes_network 2>"$work/err"; then
	tap_check "a network that loses packets" loses
	tap_check "retransmits.bt: RetransSegs of the kernel" tidily retransmits
else
	tap_skip "retransmits.bt" "no network namespaces here: $(tail -n 1 "$work/err")"
fi

# Each time that a thread leaves the processor of its own will, something wakes it; nearly
# every sleep is one (it may be woken before it is gone). The kernel leaves out the wake-up
# of a timer that interrupts another tracing program, which others here may run.
cat >"$work/sleeps.py" <<'END'
import os, resource, sys, time
left = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw
print(os.getpid(), flush=True)
sys.stdin.readline()
open("/proc/self/comm", "w").write("gjsleeper")
begin = left()
for i in range(50): time.sleep(0.002)
print("left", left() - begin, "done", flush=True)
sys.stdin.readline()
END
starts() # PROGRAM...
{
	rm -f "$work/in" && mkfifo "$work/in" && : >"$work/said"
	"$@" <"$work/in" >"$work/said" &
	others=$!
	exec 8>"$work/in"
	for try in $(seq 200); do ! grep -q '^[0-9]' "$work/said" || return 0; sleep 0.05; done
	return 1
}
goes() { echo >&8; for try in $(seq 400); do ! grep -q done "$work/said" || return 0; sleep 0.05; done; return 1; }
leaves() { exec 8>&-; wait $others; others=; }

wakeups()
{
	starts python3 "$work/sleeps.py" && pid=$others && traces wakeup-latency.bt && goes && ends &&
		leaves || return 1
	count=$(entries "@wakeup_us[$pid, gjsleeper]")
	left=$(sed -n 's/^left \([0-9]*\) .*/\1/p' "$work/said")
	echo "left the processor $left times, $count wake-ups"
	[ "$left" -ge 35 ] && [ "$count" -ge $((left - 5)) ] && [ "$count" -le $((left + 30)) ] && ! grep -q '@woken' "$work/out" ||
		{ cat "$work/out" "$work/all"; return 1; }
}
tap_check "wakeup-latency.bt: one for each sleep" tidily wakeups
only_one()
{
	starts python3 "$work/sleeps.py" && pid=$others && traces wakeup-latency.bt "$pid" && goes && ends &&
		leaves || return 1
	[ "$(entries "@wakeup_us[$pid, gjsleeper]")" -ge 35 ] &&
		[ "$(grep '^@wakeup_us' "$work/out" | grep -cv "\[$pid, ")" -eq 0 ] ||
		{ cat "$work/out" "$work/all"; return 1; }
}
tap_check "wakeup-latency.bt TID: no other thread" tidily only_one

# Two that spin on one processor are preempted, and wait about as long as the other runs.
cat >"$work/spins.py" <<'END'
import os, sys, time
print(os.getpid(), flush=True)
sys.stdin.readline()
os.sched_setaffinity(0, {0})
child = os.fork()
end = time.monotonic() + 1
while time.monotonic() < end: pass
if not child: os._exit(0)
os.waitpid(child, 0)
print("done", flush=True)
sys.stdin.readline()
END
queues()
{
	starts python3 "$work/spins.py" && pid=$others && traces run-queue.bt "$pid" && goes && ends &&
		leaves || return 1
	us=$(sed -n "s/^@total_us\[$pid, python3\]: //p" "$work/out")
	echo "waited $us us of 1 s, $(entries '@queued_us[preempted]') times preempted"
	[ "$(entries '@queued_us[preempted]')" -ge 3 ] && [ "${us:-0}" -ge 200000 ] &&
		[ "$(grep -c '^@queued_us\[preempted\]' "$work/out")" -eq 1 ] ||
		{ cat "$work/out" "$work/all"; return 1; }
}
tap_check "run-queue.bt: two on one processor wait for each other" tidily queues
tap_done
