#!/bin/sh
# make demo: records a real Go HTTP service under load and follows one request's
# goroutine from its Go frames into the kernel; then the same through perf report,
# as folded stacks and through go tool pprof; then a stripped program of the distribution's, beside
# what stock perf prints for it. Leaves nothing behind.
set -eu

cd "$(dirname "$0")/.."
O=${O:-build}
work=$(mktemp -d)
service= load= installed= kernel_missing=
clean()
{
	[ -z "$load" ] || kill "$load" 2>/dev/null || :
	[ -z "$service" ] || kill "$service" 2>/dev/null || :
	if [ -n "$installed" ]; then
		rm -f "$installed" "$installed-gdb.py"
		rmdir -p --ignore-fail-on-non-empty "${installed%/*}" 2>/dev/null || :
	fi
	rm -rf "$work"
}
trap clean EXIT
trap 'exit 130' INT TERM
PATH=$O/bin:$O:$PATH
# perf keeps a copy of every program it recorded, else below $HOME/.debug.
printf '[buildid]\n\tdir = %s\n' "$work/debug" >"$work/perfconfig"
PERF_CONFIG=$work/perfconfig
export PATH PERF_CONFIG

title() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
# Shows a command as it is typed, then runs it.
run() { printf '$ %s\n' "$*"; "$@"; }

# Records of a perf script output whose text matches all patterns: the first one.
first_record() # FILE PATTERN...
{
	file=$1
	shift
	awk -v patterns="$(printf '%s\n' "$@")" 'BEGIN { RS = ""; cnt = split(patterns, want, "\n") }
		{ for (i = 1; i <= cnt; i++) if ($0 !~ want[i]) next; print; print ""; exit }' "$file"
}

# The record of FILE that was sampled when the first one of ONE was.
same_record() # ONE FILE
{
	awk -v when="$(grep -oE ' [0-9]+\.[0-9]{6}: ' "$1" | head -n 1)" '
		index($0, when) && !/goexec_/ { found = 1 }
		found { print; if (!NF) exit }' "$2"
}

if [ "$(id -u)" -ne 0 ]; then
	level=$(cat /proc/sys/kernel/perf_event_paranoid)
	# Where Debian's kernels start.
	[ "$level" -le 2 ] || {
		echo "gojitter: kernel.perf_event_paranoid is $level, perf is for root alone; become root, or sysctl kernel.perf_event_paranoid=2" >&2
		exit 1
	}
	kernel_missing=': perf records those for root'
	echo "gojitter: not root: no probe, so goroutines are known as far as snapshots show; as root there is more to see"
fi

title "A Go HTTP service, stripped (-s -w), under load"
env GOFLAGS= GO111MODULE=off CGO_ENABLED=0 go build -ldflags '-s -w' -o "$work/service" scripts/demo/service.go
cat LICENSE LICENSE LICENSE >"$work/service.txt"
"$work/service" >"$work/url" 2>"$work/log" &
service=$!
until [ -s "$work/url" ]; do kill -0 $service; sleep 0.05; done
"$work/service" "$(cat "$work/url")" &
load=$!
sleep 1
run gojitter record -p $service -o "$work/perf.data" -- sleep 3

title "One request's goroutine: in Go code, and down in the kernel"
echo "\$ perf script -i perf.data -s gojitter.so"
perf script -i "$work/perf.data" -s gojitter.so >"$work/text"
goid=$(awk 'BEGIN { RS = "" } /conn\)\.serve/ && /goid:[0-9]/ { match($0, /goid:[0-9]+/)
	id = substr($0, RSTART + 5, RLENGTH - 5); cnt[id]++; if (/syscall\.Syscall/) kernel[id]++ }
	END { for (id in cnt) if (kernel[id] && cnt[id] > best) { best = cnt[id]; goid = id } print goid }' "$work/text")
[ -n "$goid" ] || { echo "no goroutine was seen both in Go code and in a system call; the recording was too short" >&2; exit 1; }
first_record "$work/text" "goid:$goid " 'main[.]countWords' 'conn[)][.]serve'
first_record "$work/text" "goid:$goid " 'entry_SYSCALL_64|do_syscall_64' 'syscall[.]Syscall|syscall[.]read|syscall[.]write' 'conn[)][.]serve' >"$work/kernel"
[ -s "$work/kernel" ] || echo "(no sample of it in the kernel$kernel_missing)" >"$work/kernel"
cat "$work/kernel"
printf '%s samples of %s are of goroutine %s\n' "$(grep -c "goid:$goid " "$work/text")" "$(grep -c ' goid:' "$work/text")" "$goid"

title "What stock perf prints for the first of them"
echo "\$ perf script -i perf.data"
perf script -i "$work/perf.data" 2>/dev/null >"$work/stock"
first_record "$work/text" "goid:$goid " 'main[.]countWords' 'conn[)][.]serve' >"$work/one"
same_record "$work/one" "$work/stock"

title "The same through stock perf report, with a debug file made from the binary's own tables"
if [ "$(id -u)" -eq 0 ]; then
	run gojitter debuginfo "$work/service" --install | tee "$work/debuginfo"
	installed=$(grep -oE '/usr/lib/debug/[^ ]*' "$work/debuginfo" | head -n 1 | sed 's/[.,;:]$//')
else
	# Another place where perf looks.
	mkdir "$work/.debug"
	run gojitter debuginfo "$work/service" -o "$work/.debug/service"
fi
echo "\$ perf report -i perf.data --no-children --stdio"
perf report -i "$work/perf.data" --no-children --stdio -g none --percent-limit 2 2>/dev/null |
	sed "/goexec_/,\$d" | grep -vE '^$|^# \(Tip' | head -n 24

title "Folded, for flame graphs"
echo "\$ perf script -i perf.data -s gojitter.so --dlarg format=folded --dlarg short=on"
perf script -i "$work/perf.data" -s gojitter.so --dlarg format=folded --dlarg short=on |
	sort -t' ' -k2 -n -r | awk '{ print $NF, $0 }' | sort -n -r | cut -d' ' -f2- | head -n 4 | cut -c1-400

title "A pprof profile, for go tool pprof and go build -pgo"
run gojitter pprof -i "$work/perf.data" -o "$work/profile.pb.gz"
echo "\$ go tool pprof -top -cum -focus=countWords profile.pb.gz"
PPROF_TMPDIR=$work go tool pprof -top -cum -focus=countWords -nodecount=12 "$work/profile.pb.gz" 2>"$work/err" || {
	cat "$work/err" >&2
	exit 1
}

title "A stripped program that nobody here built: the distribution's gofmt"
run gojitter record -q -o "$work/gofmt.data" -- gofmt -l "$(go env GOROOT)/src/net"
perf script -i "$work/gofmt.data" -s gojitter.so >"$work/text"
perf script -i "$work/gofmt.data" 2>/dev/null >"$work/stock"
first_record "$work/text" 'goid:[0-9]' 'go/parser' 'main[.]processFile' >"$work/one"
cat "$work/one"
echo "and without gojitter:"
same_record "$work/one" "$work/stock"
