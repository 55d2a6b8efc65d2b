#!/bin/sh
# gojitter trace when something goes wrong: whatever is killed, taken away or not
# allowed, the target goes on, nothing half-made bears an instance's name, and the
# next start is clean.
. tests/tap.sh
. tests/load/lib.sh

ticks=$(tests/fixtures/build.sh 1.26 tests/load/ticks.go nosym)
trace()
{
	"$gojitter" trace -q --budget off --instance "$ours" "$@" || return
	note
}
untrace() { "$gojitter" untrace --instance "$ours"; }

start "$ticks"
target=$pid

# What a whole instance has, to know one when it is there.
trace -p "$target"
contents() { (cd "$pins/$ours" && find . | sort); }
contents >"$work/whole"
untrace

# The loader, killed after ever longer times until it is done before that.
killed=0 whole=0 half=0
for delay in $(seq 0 2 80); do
	"$gojitter" trace -q --budget off --instance "$ours" -p "$target" &
	loader=$!
	sleep "0.0$(printf %02d "$delay")"
	kill -9 "$loader" 2>/dev/null
	wait "$loader" 2>/dev/null
	[ $? -ne 137 ] || killed=$((killed + 1))
	[ -e "$pins/$ours" ] || continue
	whole=$((whole + 1))
	contents | cmp -s - "$work/whole" || half=$((half + 1))
	untrace
done
tap_check 'SIGKILL came at the loader before its end' [ $killed -ge 3 ]
tap_check 'what bears the name is whole, each time' [ $half -eq 0 ]
tap_check 'the target goes on' is_ticking "$target"
# What the last ones left is gone with the next start and its end.
trace -p "$target"
tap_check 'a start removes what killed ones left' no_leftovers
untrace
tap_check 'nothing is left' until_true nothing_left

# The same while it takes over: there is one at any time, the old or the new.
trace -p "$target"
killed=0 missing=0
for delay in $(seq 0 4 60); do
	"$gojitter" trace -q --budget off --instance "$ours" -p "$target" --take-over &
	loader=$!
	sleep "0.0$(printf %02d "$delay")"
	kill -9 "$loader" 2>/dev/null
	wait "$loader" 2>/dev/null
	[ $? -ne 137 ] || killed=$((killed + 1))
	contents 2>/dev/null | cmp -s - "$work/whole" || missing=$((missing + 1))
done
tap_check 'SIGKILL came while it took over' [ $killed -ge 2 ]
tap_check 'a whole instance is there, each time' [ $missing -eq 0 ]

# untrace, killed; it takes few milliseconds, so more often than not it is too late.
killed=0 half=0 tries=0
while [ $killed -lt 3 ] && [ $tries -lt 60 ]; do
	tries=$((tries + 1))
	[ -e "$pins/$ours" ] || trace -p "$target"
	"$gojitter" untrace --instance "$ours" 2>/dev/null &
	loader=$!
	[ $((tries % 3)) -eq 0 ] || sleep "0.00$((tries % 3))"
	kill -9 "$loader" 2>/dev/null
	wait "$loader" 2>/dev/null
	[ $? -ne 137 ] || killed=$((killed + 1))
	[ ! -e "$pins/$ours" ] || contents | cmp -s - "$work/whole" || half=$((half + 1))
done
tap_check 'SIGKILL came at untrace before its end' [ $killed -ge 1 ]
tap_check 'the instance is whole or has no name, each time' [ $half -eq 0 ]
"$gojitter" untrace --instance "$ours" 2>/dev/null
tap_check 'the next untrace removes the rest' until_true nothing_left

# Taken apart by hand.
trace -p "$target"
rm -r "$pins/$ours/links" "$pins/$ours/targets"
tap_check 'an instance without links and a map is removed' untrace
trace -p "$target"
rm -r "${pins:?}/$ours"
tap_check 'one that is all gone is not there' refuses 1 "there is no instance $ours" \
	"$gojitter" untrace --instance "$ours"
tap_check 'nothing is left of either' until_true nothing_left

# Two at once.
trace -p "$target" >"$work/one" 2>&1 &
one=$!
trace -p "$target" >"$work/two" 2>&1 &
wait $!
second=$?
wait $one
first=$?
tap_check 'of two starts at once one is refused' [ $((first + second)) -eq 1 ]
tap_check 'the other is whole' sh -c "cd $pins/$ours && find . | sort | cmp - $work/whole"
tap_check 'a second instance beside it' "$gojitter" trace -q -p "$target" --instance "$ours-2"
tap_check 'goes by itself' "$gojitter" untrace --instance "$ours-2"
tap_check 'and leaves the first' sh -c "cd $pins/$ours && find . | sort | cmp - $work/whole"
kill -9 "$target"
wait "$target" 2>/dev/null
gone() { ! has_target "$target"; }
tap_check 'the target killed: it is none any more' until_true gone
tap_check 'its maps are still read' dump targets
untrace
tap_check 'nothing is left of it' until_true nothing_left

# What cannot be traced.
tap_check 'no such process' refuses 1 'there is no process 4190000' trace -p 4190000
tap_check 'the dead target' refuses 1 "there is no process $target" trace -p "$target"
tap_check 'not a Go program' refuses 1 'no Go program' trace -p $$
tap_check 'not a Go file' refuses 1 'no Go program' trace -e /bin/true
tap_check 'no such file' refuses 1 'No such file' trace -e "$work/none"
tap_check 'a directory' refuses 1 'not a regular file' trace -e "$work"
head -c 300000 "$ticks" >"$work/cut"
tap_check 'a file cut short' refuses 1 'the file is cut short' trace -e "$work/cut"
head -c 100 /bin/true >"$work/head"
tap_check 'a header alone' refuses 1 "$work/head: .*" trace -e "$work/head"
tap_check 'text' refuses 1 'not an ELF file' trace -e /etc/passwd
tap_check 'a name with a dot' refuses 1 "instance 'a.b'" "$gojitter" trace -p $$ --instance a.b
tap_check 'a name that leads elsewhere' refuses 1 "instance '../x'" "$gojitter" untrace --instance ../x
tap_check 'a feature there is none of' refuses 2 '--what nonsense: there are' trace -p $$ --what nonsense
tap_check 'nothing to trace' refuses 2 'nothing to trace' trace
tap_check 'nothing is made for any of them' until_true nothing_left

# Without capabilities, and with one of the two that are needed.
start "$ticks"
cp "$gojitter" "$work/gojitter"
chmod 755 "$work" "$work/gojitter"
as() # CAPS ARGUMENTS...
{
	caps=$1
	shift
	setpriv --reuid 65534 --regid 65534 --clear-groups --bounding-set "-all$caps" \
		--inh-caps "-all$caps" --ambient-caps "-all$caps" "$work/gojitter" trace -q --instance "$ours" "$@"
}
tap_check 'no capability' refuses 1 'CAP_BPF and CAP_PERFMON are missing' as '' -p "$pid"
tap_check 'CAP_BPF alone' refuses 1 'CAP_PERFMON is missing' as ,+bpf -p "$pid"
tap_check 'CAP_PERFMON alone' refuses 1 'CAP_BPF is missing' as ,+perfmon -p "$pid"
tap_check 'none of it reached the target' is_ticking "$pid"

# With both, and a bpf file system that may be written, on a process of its own.
cp "$ticks" "$work/program"
chmod 755 "$work/program"
cat >"$work/least.sh" <<'EOF'
mount -t bpf -o mode=0777 bpf /sys/fs/bpf
as() { setpriv --reuid 65534 --regid 65534 --clear-groups --bounding-set "$caps" \
	--inh-caps "$caps" --ambient-caps "$caps" "$@"; }
caps=-all
as "$1/program" >"$1/least" &
until [ -s "$1/least" ]; do sleep 0.05; done
pid=$(pgrep -f "^$1/program")
caps=-all,+bpf,+perfmon
as "$1/gojitter" trace -q -p "$pid" --instance "$2" && bpftool map dump pinned \
	"/sys/fs/bpf/gojitter/v1/$2/targets" | grep -q "\"key\": $pid," &&
	as "$1/gojitter" untrace --instance "$2"
status=$?
kill "$pid"
exit $status
EOF
if grep -q uprobe_multi /proc/kallsyms; then
	tap_check 'CAP_BPF and CAP_PERFMON are enough' unshare -m sh "$work/least.sh" "$work" "$ours"
else
	tap_skip 'CAP_BPF and CAP_PERFMON are enough' 'this kernel has no uprobe.multi (Linux 6.6)'
fi

# Namespaces: the file is nowhere to be seen from outside; numbers are the loader's.
tap_check 'a program in a mount namespace of its own' sh -c "
	unshare -m sh -c 'mount -t tmpfs none /mnt && cp $ticks /mnt/app && exec /mnt/app' >$work/inner &
	inner=\$!
	until [ -s $work/inner ]; do sleep 0.05; done
	$gojitter trace -q -p \$inner --instance $ours && $gojitter untrace --instance $ours
	status=\$?
	kill \$inner
	exit \$status"
cat >"$work/inside.sh" <<'EOF'
"$1" >"$3/deep" &
pid=$!
until [ -s "$3/deep" ]; do sleep 0.05; done
"$2" trace -q -p $pid --instance "$4" || exit 1
bpftool -j map dump pinned "/sys/fs/bpf/gojitter/v1/$4/targets" >"$3/before"
grep -Eq "\"key\": *$pid," "$3/before" || exit 2
kill $pid
wait $pid
for try in 1 2 3 4 5 6 7 8 9 10; do
	bpftool -j map dump pinned "/sys/fs/bpf/gojitter/v1/$4/targets" >"$3/after"
	grep -Eq "\"key\": *$pid," "$3/after" || break
	sleep 0.1
done
"$2" untrace --instance "$4"
! grep -Eq "\"key\": *$pid," "$3/after"
EOF
tap_check 'in a pid namespace numbers are those of the loader' \
	unshare -p -f --mount-proc sh "$work/inside.sh" "$ticks" "$gojitter" "$work" "$ours"
tap_check 'bpffs is mounted where it is not' unshare -m sh -c "
	while umount /sys/fs/bpf 2>/dev/null; do :; done
	$gojitter trace -q -p $pid --instance $ours && test -e $pins/$ours/targets &&
		$gojitter untrace --instance $ours"
stop "$pid"
tap_check 'nothing is left at the end' until_true nothing_left
tap_done
