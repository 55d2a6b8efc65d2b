#!/bin/sh
# Walks of arm64 programs against gdb's, under user-mode emulation: gdb steps the
# emulated program through leaves, prologues, epilogues and the runtime's switches
# of stacks, we read its registers and memory from outside (tests/stitch/live.py).
# qemu 7.2 gives programs no vdso and returns from signals by code of its own; cgo
# would want an arm64 C library.
. tests/tap.sh

work=$(mktemp -d)
emulator=
trap 'kill $emulator 2>/dev/null; rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
export GJ_WALKER=$O/tests/stitch/live GJ_LOG=$work/log GJ_PLACE
places=${GJ_ARM64_PLACES:-leaf systemstack morestack gogo mcall}

# The emulator's gdb port: one that nobody has.
find_port()
{
	port=$((20000 + $$ % 20000))
	while grep -q "^ *[0-9]*: [0-9A-F]*:$(printf %04X $port) " /proc/net/tcp; do port=$((port + 1)); done
}

run() # VERSION
{
	: >"$work/log"
	find_port
	GOMAXPROCS=1 GODEBUG=asyncpreemptoff=1 qemu-aarch64 -B 0 -g $port "$binary" >"$work/out" 2>&1 &
	emulator=$!
	sleep 0.3
	GJ_QEMU=$emulator:$port GJ_LIVE=$binary:$work/stripped:arm64:$1 timeout -k 5 30 \
		gdb-multiarch -nx -q -batch -x tests/stitch/live.py >"$work/gdb" 2>&1 </dev/null
	kill $emulator 2>/dev/null
	wait $emulator 2>/dev/null
	emulator=
}

# Now and then gdb or the emulator dies on the way: then again, if nothing was wrong by then.
check() # VERSION PLACE
{
	GJ_PLACE=$2
	for attempt in 1 2 3 4; do
		run "$1"
		grep -q 'wrong' "$work/log" && break
	done
	sed "s/^/# $1: /" "$work/log"
	if grep -q ' [1-9][0-9]* stops,' "$work/log" && ! grep -q '# wrong\|[1-9][0-9]* wrong' "$work/log"; then
		tap_ok "$1 $2 on arm64"
	else
		tap_fail "$1 $2 on arm64" "$(tail -n 5 "$work/gdb")"
	fi
}

for version in ${GJ_STITCH_VERSIONS:-1.27}; do
	if ! binary=$(tests/fixtures/build.sh "$version" stacks arm64 2>"$work/err"); then
		tap_fail "stacks $version builds for arm64" "$(cat "$work/err")"
		continue
	fi
	llvm-strip -o "$work/stripped" "$binary"
	for place in $places; do check "$version" "$place"; done
done
tap_done
