#!/bin/sh
# Where probes are placed: against objdump's idea of the code, and by counting
# the hits of a program that says how often it calls.
. tests/tap.sh

plan=$O/tests/probe/plan
work=$(mktemp -d)
event=
clean()
{
	[ -z "$event" ] || echo "-:gojitter/$event" >>/sys/kernel/tracing/uprobe_events 2>/dev/null
	rm -rf "$work"
}
trap clean EXIT
functions='runtime.execute runtime.gopark runtime.ready runtime.casgstatus runtime.newproc1
runtime.goexit0 runtime.schedule runtime.park_m runtime.entersyscall runtime.exitsyscall
runtime.mallocgc runtime.newstack runtime.netpoll runtime.stopTheWorldWithSema
runtime.(*mcache).refill runtime.(*mcentral).grow runtime.lock2 runtime.chanrecv main.grow main.plain'

# Every planned address begins an instruction for objdump, too, and it is the same one.
agrees() # BINARY
{
	set -f
	IFS='
'
	"$plan" "$1" $(echo "$functions" | tr ' ' '\n') >"$work/plans" || return 1
	unset IFS
	set +f
	found=0
	while read -r name address offset kind repeat insn; do
		[ "$address" != absent ] || continue
		line=$(objdump -d -M intel --no-show-raw-insn --start-address="0x$address" \
			--stop-address=$((0x$address + 16)) "$1" | grep -E "^ *$address:" | head -n 1)
		theirs=$(echo "$line" | awk '{ print $2 }' | sed 's/^je$/jz/; s/^jne$/jnz/; s/^jae$/jnb/; s/^ja$/jnbe/; s/^jg$/jnle/; s/^jge$/jnl/')
		ours=${insn%% *}
		if [ "$theirs" != "$ours" ]; then
			echo "$name: planned at $address: $insn; objdump: $line"
			return 1
		fi
		case $kind:$ours in
		emulated:push | emulated:j* | emulated:call | emulated:nop | stepped:*) ;;
		*) echo "$name: $insn is not emulated by any kernel"; return 1 ;;
		esac
		case $kind in
		emulated) found=$((found + 1)) ;;
		esac
	done <"$work/plans"
	echo "$found of the functions have an emulated instruction"
	[ "$found" -ge 12 ]
}

# The hits of the probe are the calls, and the program lives.
counts() # BINARY FUNCTION
{
	"$plan" "$1" "$2" >"$work/plan" || return 1
	read -r name address offset kind repeat insn <"$work/plan"
	event=plan_test_$$
	echo "p:gojitter/$event $1:0x$offset" >>/sys/kernel/tracing/uprobe_events || return 1
	perf stat -x, -o "$work/stat" -e "gojitter:$event" "$1" >"$work/said"
	status=$?
	echo "-:gojitter/$event" >>/sys/kernel/tracing/uprobe_events
	event=
	read -r calls sum <"$work/said"
	hits=$(grep gojitter "$work/stat" | cut -d, -f1)
	echo "$2 at $insn ($kind, $repeat): $calls calls, $hits hits"
	[ $status -eq 0 ] && [ "$kind" = emulated ] || return 1
	case $repeat in
	once) [ "$hits" -eq "$calls" ] ;;
	repeats) [ "$hits" -ge "$calls" ] ;;
	esac
}

mountpoint -q /sys/kernel/tracing || mount -t tracefs nodev /sys/kernel/tracing 2>/dev/null
for version in $(tests/toolchains.sh --list); do
	[ "$version" != 1.15 ] || continue
	for variant in exe pie+nosym; do
		if ! binary=$(tests/fixtures/build.sh "$version" calls $variant 2>&1); then
			tap_fail "$version $variant builds" "$binary"
			continue
		fi
		tap_check "$version $variant: objdump sees the same instructions" agrees "$binary"
		if [ ! -w /sys/kernel/tracing/uprobe_events ]; then
			tap_skip "$version $variant: hits" "uprobes are not permitted here"
			continue
		fi
		tap_check "$version $variant: a call that grows the stack" counts "$binary" main.grow
		tap_check "$version $variant: a plain call" counts "$binary" main.plain
	done
done
tap_done
