#!/bin/sh
# gojitter.so's text against stock perf script's on the same recordings of an
# unstripped program, line by line: every kind of recording and every option
# of perf script that chooses or shapes what is printed.
set -u
. tests/perf/plugin-lib.sh

# Stock perf and ours must end alike and print alike (plugin-compare.py knows the true differences).
same() # NAME BINARY ARGS...
{
	name=$1 binary=$2
	shift 2
	# --no-inline: stock perf's inlined calls come from DWARF and addr2line, not from Go's tables.
	"$perf" script --no-inline "$@" <"$input" >"$dir/stock.txt" 2>"$dir/stock.err"
	stock_status=$?
	"$perf" script --no-inline "$@" --dlfilter "$plugin" --dlarg goid=off --dlarg show-probe=on --dlarg repair=off --dlarg quality=off \
		<"$input" >"$dir/ours.txt" 2>"$dir/ours.err"
	status=$?
	if [ $status -ne $stock_status ]; then
		tap_fail "$version: $name" "exit status $status, stock perf's is $stock_status: $(cat "$dir/ours.err")"
	elif [ "$(wc -l <"$dir/stock.txt")" -lt 20 ]; then
		tap_fail "$version: $name" "too little to compare: $(cat "$dir/stock.txt" "$dir/stock.err")"
	elif grep '^gojitter: ' "$dir/ours.err" |
		grep -vE '^gojitter: (/[^:]*: (not on this machine|the file was replaced|newer than)|[0-9]+ more files)' >"$dir/complaints"; then
		tap_fail "$version: $name" "$(cat "$dir/complaints")"
	else
		tap_check "$version: $name" "$perf_tests/plugin-compare.py" "$dir/stock.txt" "$dir/ours.txt" "$binary"
	fi
}

app=$(fixture 1.24 exe) && old=$(fixture 1.19 exe) && pie=$(fixture 1.27 pie) || exit 1
cat >"$work/others.sh" <<END
#!/bin/sh
# Neighbours that are not Go, and one process that becomes another program.
for i in 1 2 3 4 5 6 7 8 9 10; do gzip -c "$plugin" >/dev/null; done &
"$old" 0.5 inlined syscalls garbage
"$pie" 0.4 closures generic
exec "$app" 0.8
END
chmod +x "$work/others.sh"
name=test$$
arm "$name" "$app" 160 304 || { tap_skip "same text as stock perf" "no probe can be set here"; tap_done; }

record "$work/app.data" -g --user-regs=r14,sp,bp,ip -e "$sampler" \
	-e "gojitter:goexec_$name/call-graph=no/" -- "$app" 1 &&
record "$work/all.data" -a -g -e "$sampler" -e sched:sched_switch -e page-faults -- "$work/others.sh" &&
record "$work/z.data" -z -g -e "$sampler" -- "$app" 0.5 &&
record "$work/threads.data" --threads -g -e "$sampler" -- "$app" 0.5 &&
record "$work/plain.data" -e "$sampler" -e sched:sched_switch -- "$app" 0.5 &&
record "$work/addr.data" -d -g -e page-faults -- "$app" 0.5 garbage || tap_done
timeout 60 "$recorder" record -q -g -e "$sampler" -e sched:sched_switch -o - -- "$app" 0.5 >"$work/pipe.data" \
	2>"$work/record.log" || tap_fail "record into a pipe" "$(cat "$work/record.log")"
disarm

# A stretch in the middle of the recording, and a process and a thread of it.
first=$("$recorder" script -i "$work/all.data" -F time 2>/dev/null | sed -n '300{s/[ :]//g;p;}')
last=$("$recorder" script -i "$work/all.data" -F time 2>/dev/null | sed -n '1500{s/[ :]//g;p;}')
ids=$("$recorder" script -i "$work/all.data" -c plugin-app -F pid,tid 2>/dev/null | sed -n '400{s/ //g;p;}')

check_version() # VERSION
{
	version=$1 dir=$work/$1
	mkdir "$dir"
	perf=$(perf_of "$version") || { tap_skip "perf $version" "cannot be had"; return; }
	input=/dev/null
	same "a program and its probe" "$app" -i "$work/app.data"
	same "user registers too" "$app" -i "$work/app.data" -F +uregs
	same "the whole machine, several events, several programs" "$app" -i "$work/all.data"
	same "--time" "$app" -i "$work/all.data" --time "$first,$last"
	same "--comm" "$app" -i "$work/all.data" -c plugin-app
	same "--pid" "$app" -i "$work/all.data" --pid "${ids%/*}"
	same "--tid" "$app" -i "$work/all.data" --tid "${ids#*/}"
	same "--cpu" "$app" -i "$work/all.data" -C 0
	same "-S" "$app" -i "$work/all.data" -S main.mix,read_zero
	same "--show-task-events --show-mmap-events" "$app" -i "$work/all.data" --show-task-events --show-mmap-events
	same "--ns" "$app" -i "$work/app.data" --ns
	same "--reltime" "$app" -i "$work/app.data" --reltime
	same "-G" "$app" -i "$work/app.data" -G
	same "-F comm,pid,tid,time,event,ip,sym,dso" "$app" -i "$work/app.data" -F comm,pid,tid,time,event,ip,sym,dso
	same "-F comm,tid,ip,sym" "$app" -i "$work/app.data" -Fcomm,tid,ip,sym
	same "-F -dso,+pid" "$app" -i "$work/app.data" --fields=-dso,+pid
	same "-F sw:..." "$app" -i "$work/all.data" -c plugin-app -F sw:comm,tid,ip,sym
	same "-F without call chains" "$app" -i "$work/all.data" -F comm,cpu,event
	same "perf record -z" "$app" -i "$work/z.data"
	same "perf record --threads" "$app" -i "$work/threads.data"
	same "no call chains" "$app" -i "$work/plain.data"
	same "data addresses" "$app" -i "$work/addr.data"
	same "a pipe's bytes in a file" "$app" -i "$work/pipe.data"
	input=$work/pipe.data
	same "perf record -o - | perf script -i -" "$app" -i -
}

# All releases at once: they read the same files.
for version in $perfs; do
	check_version "$version" >"$work/tap.$version" &
done
wait
for version in $perfs; do
	grep -q '^ok' "$work/tap.$version" || tap_fail "perf $version" "nothing was compared"
	cat "$work/tap.$version"
done
tap_count=$((tap_count + $(cat "$work"/tap.* | grep -cE '^(not )?ok')))
tap_bad=$((tap_bad + $(cat "$work"/tap.* | grep -c '^not ok')))
tap_done
