#!/bin/sh
# gojitter trace --budget: what is dear is turned off, at once or later, and said by name;
# what is cheap stays; the keeper is there as long as it is needed.
. tests/tap.sh
. tests/load/lib.sh

cost() { python3 tests/load/cost.py "$ours" "$@"; }
is() { [ "$1" = "$2" ] || { echo "$1, not $2"; return 1; }; }
cost_is() { is "$(cost "$1" "$2" "$3")" "$4"; } # FEATURE PROGRAM FIELD VALUE
keeper() { pgrep -fx "gojitter budget --instance $ours"; }
keepers() { keeper | wc -l; }
keepers_are() { is "$(keepers)" "$1"; }
untrace() { "$gojitter" untrace --instance "$ours"; }
links() { find "$pins/$ours/links" -name "$1*" | wc -l; }
# Until the command holds, so many seconds at most.
within() # SECONDS CMD...
{
	tries=$(($1 * 10))
	shift
	until "$@" >/dev/null 2>&1; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || { "$@"; return 1; }
		sleep 0.1
	done
}

churn() # BINARY HOW
{
	"$1" "$2" >"$work/ticks" &
	pid=$!
	pids="$pids $pid"
	until_true test -s "$work/ticks"
	mv "$work/ticks" "$work/ticks.$pid"
}

goes_on()
{
	before=$(wc -l <"$work/ticks.$pid")
	sleep 0.3
	[ "$(wc -l <"$work/ticks.$pid")" -gt "$before" ]
}

traces() # ARGUMENTS...
{
	"$gojitter" trace -p "$pid" --instance "$ours" "$@" >"$work/said" 2>&1 || { cat "$work/said"; return 1; }
}

# Processor time of a switch, in ns: the least of the last so many tenths of a second.
switch_ns() # TENTHS
{
	tail -n $(($1 + 1)) "$work/ticks.$pid" | awk '
		NR > 1 && $1 > cnt { took = ($2 - ns) / ($1 - cnt); if (!best || took < best) best = took }
		{ cnt = $1; ns = $2 }
		END { printf "%d\n", best }'
}

# A program that switches goroutines as fast as it can.
for version in 1.22 1.27; do
	churn "$(tests/fixtures/build.sh $version tests/load/churn.go exe)" busy
	sleep 1
	before=$(switch_ns 8)
	tap_check "Go $version, a million switches a second: it starts" traces --what goroutines,gc --budget 2%
	tap_check 'says what it took and that it is off' grep -Eq \
		'goroutines: turned off: [0-9,]{6,} hits/s, ~[0-9]+\.[0-9] % of one processor; with it the budget of 2.0 % is exceeded' "$work/said"
	sed 's/^/# /' "$work/said"
	tap_check 'the map says so, too' cost_is goroutines all state off_over_budget
	tap_check 'of its program' cost_is goroutines gj_on_casgstatus state off_over_budget
	tap_check 'and that gc is on' cost_is gc all state on
	tap_check 'what nobody asked for is off by the user' cost_is syscalls all state off_by_user
	since() { [ "$(cost goroutines all since_ns)" -ge "$(cost goroutines all measured_ns)" ]; }
	tap_check 'since behind the window that it was too much in' since
	tap_check 'it is not hooked any more' is "$(links gj_on_casgstatus)" 0
	tap_check 'gc is' [ "$(links gj_on_gc_start)" -gt 0 ]
	tap_check 'what was counted is still there' sh -c "bpftool map dump pinned $pins/$ours/goroutine_counts | grep -q key"
	lines=$(wc -l <"$work/ticks.$pid")
	# The least of ever more tenths of a second: others are busy on this machine, too.
	is_fast()
	{
		after=$(switch_ns $(($(wc -l <"$work/ticks.$pid") - lines)))
		echo "a switch took $before ns before, $after ns behind it"
		[ "$after" -gt 0 ] && [ $((after * 9)) -le $((before * 10)) ]
	}
	tap_check 'the program is as fast as before, to a tenth' within 8 is_fast
	is_fast | sed 's/^/# /'
	untrace
	[ $version = 1.27 ] || { stop "$pid"; continue; }
	tap_check 'with --budget off it starts' traces --what goroutines --budget off
	sleep 1
	slow=$(switch_ns 5)
	echo "# and $slow ns with it on"
	tap_check 'stays on' cost_is goroutines all state on
	tap_check 'and costs: this test can see it' [ $((slow * 9)) -gt $((before * 10)) ]
	tap_check 'nobody keeps it' keepers_are 0
	untrace
	stop "$pid"
done

# One at a known pace: the estimate against what the program's processor time says.
churn "$(tests/fixtures/build.sh 1.27 tests/load/churn.go exe)" paced
sleep 2
# Processor time of a switch over the last one and a half seconds, in ns.
sums() { tail -n 16 "$work/ticks.$pid" | awk 'NR == 1 { cnt = $1; ns = $2 } END { print ($2 - ns) / ($1 - cnt) }'; }
before=$(sums)
tap_check 'one at a slow pace starts' traces --what goroutines --budget 100%
sleep 2
after=$(sums)
agrees()
{
	hits=$(cost goroutines all hits_per_s)
	estimate=$(cost goroutines all ns_per_hit)
	rate=$(tail -n 16 "$work/ticks.$pid" | awk 'NR == 1 { cnt = $1 } END { print ($1 - cnt) / 1.5 }')
	awk -v before="$before" -v after="$after" -v hits="$hits" -v ns="$estimate" -v rate="$rate" 'BEGIN {
		measured = (after - before) * rate; estimated = hits * ns
		printf "%d hits/s at %d ns are %.2f %% of a processor; the program takes %.2f %% more\n",
			hits, ns, estimated / 1e7, measured / 1e7
		exit !(estimated > measured / 2 && estimated < measured * 2) }'
}
tap_check 'the estimate is what its processor time says, within a factor of two' agrees
echo "# $tap_out"
untrace
stop "$pid"

# A program that comes later, and becomes busy later still.
binary=$(tests/fixtures/build.sh 1.27 tests/load/churn.go exe)
tap_check 'of a program that nobody runs everything starts' "$gojitter" trace -q -e "$binary" \
	--instance "$ours" --what goroutines,gc,alloc --budget 5%
churn "$binary" quiet
tap_check 'goroutines stay on' cost_is goroutines all state on
tap_check 'one keeper' within 2 keepers_are 1
keeper_named() { is "$(cat "/proc/$(keeper)/comm")" gojitter-budget && is "$(cost keeper)" "$(keeper)"; }
tap_check 'with a name of its own, in the map' within 2 keeper_named
# shellcheck disable=SC2012
tap_check 'that holds the directory and news of it' is "$(ls "/proc/$(keeper)/fd" | wc -l)" 5
looked() { [ "$(cost goroutines all hits)" -gt 0 ] && [ "$(cost targets_permille)" -lt 50 ]; }
tap_check 'it runs, and is seen to be quiet' within 12 looked
tap_check 'goroutines stay on with it' cost_is goroutines all state on
kill -USR1 "$pid"
tap_check 'it becomes busy: the keeper turns goroutines off' within 20 cost_is goroutines all state off_over_budget
kept_busy() { [ "$(cost targets_permille)" -gt 50 ]; }
tap_check 'which takes much time' kept_busy
tap_check 'detached' is "$(links gj_on_casgstatus)" 0
tap_check 'gc stays' cost_is gc all state on
tap_check 'the keeper stays' keepers_are 1

# Killed, and what comes after it.
kill -9 "$(keeper)"
tap_check 'the keeper killed: the target goes on' goes_on
tap_check 'what is on stays' [ "$(links gj_on_gc_start)" -gt 0 ]
tap_check 'the map is read' cost_is goroutines all state off_over_budget
tap_check 'doctor says that nobody looks' within 20 sh -c \
	"$gojitter doctor | grep -q 'instance $ours: nobody keeps its budget'"
tap_check 'and what is off' sh -c "$gojitter doctor | grep -q 'instance $ours: goroutines is turned off'"
"$gojitter" budget --instance "$ours" 2>"$work/kept" &
by_hand=$!
again() { is "$(cost keeper)" $by_hand; }
tap_check 'gojitter budget does' within 2 again
tap_check 'only once' refuses 1 "instance $ours: process $by_hand keeps its budget" "$gojitter" budget --instance "$ours"
tap_check 'a start that takes over' traces --what gc --take-over
over() { ! keeper | grep -qx "$by_hand"; }
tap_check 'ends the keeper of the old one' within 2 over
tap_check 'one is there' within 2 keepers_are 1
untrace
tap_check 'untrace ends it' within 2 keepers_are 0
tap_check 'the next start is clean' traces --what gc
rm -r "${pins:?}/$ours"
tap_check 'removed by hand: the keeper ends' within 2 keepers_are 0
tap_check 'a keeper of nothing' refuses 1 "instance $ours: there is none" "$gojitter" budget --instance "$ours"
traces --what gc
within 2 keepers_are 1
stop "$pid"
tap_check 'the target ends: the keeper does' within 10 keepers_are 0
tap_check 'and takes away what nobody pays for any more' sh -c "! ls $pins/$ours/links | grep -q ."
tap_check 'which the map says, and stays' cost_is gc all state off_target_gone
tap_check 'and say that nobody looks' is "$(cost keeper)" 0
untrace

# The loader killed while it measures.
churn "$(tests/fixtures/build.sh 1.27 tests/load/churn.go exe)" busy
"$gojitter" trace -q -p "$pid" --instance "$ours" --what goroutines &
loader=$!
until_true sh -c "ls /sys/fs/bpf/gojitter/making/$ours-*/links/gj_on_casgstatus"
kill -9 $loader
wait $loader 2>/dev/null
tap_check 'SIGKILL while it measures: nothing bears the name' [ ! -e "$pins/$ours" ]
tap_check 'the target goes on' goes_on
tap_check 'the next start is clean' traces --what gc
tap_check 'nothing is left over' no_leftovers

tap_check 'no share' refuses 2 '--budget much: a share' "$gojitter" trace -p "$pid" --budget much
tap_check 'none' refuses 2 '--budget 0%: a share' "$gojitter" trace -p "$pid" --budget 0%
tap_check 'more than all' refuses 2 '--budget 101: a share' "$gojitter" trace -p "$pid" --budget 101
untrace
stop "$pid"

# The kernel counts for CAP_SYS_ADMIN only.
cp "$gojitter" "$work/gojitter"
cp "$(tests/fixtures/build.sh 1.27 tests/load/churn.go exe)" "$work/program"
chmod 755 "$work" "$work/gojitter" "$work/program"
cat >"$work/least.sh" <<'EOF'
mount -t bpf -o mode=0777 bpf /sys/fs/bpf
as() { setpriv --reuid 65534 --regid 65534 --clear-groups --bounding-set "$caps" \
	--inh-caps "$caps" --ambient-caps "$caps" "$@"; }
caps=-all
as "$1/program" quiet >"$1/least" &
until [ -s "$1/least" ]; do sleep 0.05; done
pid=$(pgrep -f "^$1/program")
caps=-all,+bpf,+perfmon
as "$1/gojitter" trace -p "$pid" --what gc --instance "$2" --budget 2% 2>&1
as "$1/gojitter" trace -p "$pid" --what gc --instance "$2" 2>&1
as "$1/gojitter" untrace --instance "$2"
kill "$pid"
EOF
if grep -q uprobe_multi /proc/kallsyms; then
	unshare -m sh "$work/least.sh" "$work" "$ours" >"$work/least.said"
	tap_check 'without CAP_SYS_ADMIN it refuses a budget asked for' grep -q \
		'^gojitter: --budget: the kernel does not count what programs cost: CAP_SYS_ADMIN is missing' "$work/least.said"
	tap_check 'and goes on without one nobody asked for' grep -q \
		'^gojitter: no budget: .*CAP_SYS_ADMIN is missing' "$work/least.said"
	tap_check 'which then starts' grep -q '^gojitter: 1 process; maps' "$work/least.said"
else
	tap_skip 'without CAP_SYS_ADMIN' 'this kernel has no uprobe.multi (Linux 6.6)'
fi
tap_check 'no keeper is left' within 2 keepers_are 0
tap_done
