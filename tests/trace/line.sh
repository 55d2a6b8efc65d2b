#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Runs a command between two network namespaces, whose names become its last arguments,
# with a line between them that loses segments.
#
#   tests/trace/line.sh DROP COMMAND...
#
# DROP: tests/trace/drop.bpf.c, compiled.
set -e

drop=$1 one=gj$$a two=gj$$b
shift
trap 'ip netns del $one; ip netns del $two' EXIT

end() # NETNS LINK NUMBER
{
	# Without ::1 Go does without IPv6.
	ip -n "$1" link set lo up
	ip -n "$1" addr add "10.77.0.$3/24" dev "$2"
	ip -n "$1" addr add "fd77::$3/64" dev "$2" nodad
	ip -n "$1" link set "$2" up
	ip netns exec "$1" tc qdisc add dev "$2" clsact
	ip netns exec "$1" tc filter add dev "$2" ingress bpf da obj "$drop" sec tc
}

# The kernel gives addresses of IPv6 their routes when it comes to it.
is_ready() # NETNS LINK PEER
{
	[ -z "$(ip -n "$1" -6 addr show dev "$2" tentative)" ] &&
		ip -n "$1" -6 route get "$3" >/dev/null 2>&1
}

ip netns add $one
ip netns add $two
ip -n $one link add v0 type veth peer name v1 netns $two
end $one v0 1
end $two v1 2
for try in $(seq 100); do
	! is_ready $one v0 fd77::2 || ! is_ready $two v1 fd77::1 || break
	sleep 0.05
done
"$@" $one $two
