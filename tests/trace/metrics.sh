#!/bin/sh
# The metrics of gojitter trace as Prometheus, node_exporter and promtool take them,
# against bpftool's dumps of the maps; gojitter export and its answers.
. tests/tap.sh
. tests/load/lib.sh

tools=$(tests/trace/prometheus.sh) || exit 1
PATH=$tools:$PATH
programs=
for version in ${GJ_GO_VERSIONS:-1.22 1.27}; do
	for program in gc=gc,alloc,goroutines syscalls=syscalls,netpoll,threads,tcp,census; do
		binary=$(tests/fixtures/build.sh "$version" "tests/trace/${program%=*}.go" exe) || {
			tap_fail "Go $version builds ${program%=*}.go"
			continue
		}
		programs="$programs $binary=${program#*=}=${version#1.}"
	done
done
tap_check 'what Prometheus has is what bpftool dumps' python3 tests/trace/metrics.py $programs
[ -z "${GJ_TEST_VERBOSE:-}" ] || printf '%s\n' "$tap_out"

# Every family that may be told stands in the documentation.
documented()
{
	sed -n 's/^	{ "\(gojitter_[a-z_]*\)".*/\1/p' bpf/metrics.bpf.h | sort >"$work/told"
	sed -n 's/^| `\(gojitter_[a-z_]*\)` .*/\1/p' docs/metrics.md | sort >"$work/documented"
	[ -s "$work/told" ] && diff "$work/told" "$work/documented"
}
tap_check 'docs/metrics.md lists every family' documented

# Of one instance, with the features that hook nothing or little.
ticks=$(tests/fixtures/build.sh 1.26 tests/load/ticks.go exe) || exit 1
start "$ticks"
tap_check 'an instance is made' "$gojitter" trace -q -p "$pid" --what gc --instance "$ours"
tap_check 'and another one' "$gojitter" trace -q -p "$pid" --what gc,alloc --instance "$ours-2"
kill -STOP "$pid"

port_of() # FILE
{
	sed -n 's/^gojitter: serving http:.*:\([0-9]*\)\/metrics$/\1/p' "$1"
}

serve() # NAME ADDRESS [OPTION...]
{
	log=$work/$1.log address=$2
	shift 2
	"$gojitter" export --listen "$address" "$@" >"$log" 2>&1 &
	exporter=$!
	pids="$pids $exporter"
	until_true test -s "$log"
	port=$(port_of "$log")
}

answers() # STATUS URL [CURL OPTION...]
{
	status=$1 url=$2
	shift 2
	told=$(curl -s -o "$work/body" -w '%{http_code}' "$@" "$url")
	cat "$work/body"
	[ "$told" = "$status" ]
}

one_of_each()
{
	answers 200 "http://127.0.0.1:$port/metrics" >/dev/null &&
		[ "$(grep -c '^# TYPE gojitter_process_info ' "$work/body")" = 1 ] &&
		[ "$(grep -c "^gojitter_process_info{trace=\"$ours\"" "$work/body")" = 1 ] &&
		[ "$(grep -c "^gojitter_process_info{trace=\"$ours-2\"" "$work/body")" = 1 ] &&
		promtool check metrics <"$work/body"
}

same_as_cat() # URL
{
	answers 200 "$1" >/dev/null && cmp "$work/body" "$pins/$ours/metrics"
}

serve all 127.0.0.1:0
tap_check 'two instances are joined by family' one_of_each
tap_check 'its type is the text format' sh -c "curl -sI http://127.0.0.1:$port/metrics |
	grep -qi '^content-type: text/plain; version=0.0.4; charset=utf-8'"
tap_check 'another path is not found' answers 404 "http://127.0.0.1:$port/other"
tap_check 'POST is not allowed' answers 405 "http://127.0.0.1:$port/metrics" -d x
tap_check 'the port is taken' refuses 1 'cannot listen there: Address already in use' \
	"$gojitter" export --listen "127.0.0.1:$port"
kill "$exporter"
wait "$exporter"
tap_check 'it ends when asked to' [ $? -eq 0 ]
serve one '[::1]:0' --instance "$ours"
tap_check 'one instance, over IPv6: what cat prints' same_as_cat "http://[::1]:$port/metrics"
"$gojitter" untrace --instance "$ours-2"
"$gojitter" untrace --instance "$ours"
tap_check 'an instance that is gone is an error' answers 500 "http://[::1]:$port/metrics"
kill "$exporter"
wait "$exporter"

# What a process that has ended leaves behind.
kill -CONT "$pid"
start "$ticks"
tap_check 'another program' "$gojitter" trace -q -p "$pid" --what goroutines --instance "$ours"
told() { grep -q "^gojitter_$1{trace=\"$ours\",pid=\"$pid\"" "$pins/$ours/metrics"; }
tap_check 'it has goroutines' until_true told goroutines
stop "$pid"
is_gone() { ! told process_info; }
tap_check 'it ends' until_true is_gone
tap_check 'and has no goroutines any more' sh -c "! grep '^gojitter_goroutines{' '$pins/$ours/metrics'"
tap_check 'what was counted stays' told goroutine_parks_total
"$gojitter" untrace --instance "$ours"

# Who is not root may be let in.
start "$ticks"
tap_check 'an instance for others' "$gojitter" trace -q -p "$pid" --what gc --instance "$ours"
mode=$(stat -c %a /sys/fs/bpf)
unprivileged()
{
	chmod 644 "$pins/$ours/metrics"
	chmod o+x /sys/fs/bpf
	setpriv --reuid 65534 --regid 65534 --clear-groups "$gojitter" export --instance "$ours" >"$work/theirs"
	status=$?
	chmod "$mode" /sys/fs/bpf
	[ $status -eq 0 ] && grep -q '^gojitter_process_info{' "$work/theirs"
}
# It must reach the command, too.
if setpriv --reuid 65534 --regid 65534 --clear-groups test -x "$gojitter"; then
	tap_check 'another user reads it by permission alone' unprivileged
else
	cp "$gojitter" "$work/gojitter"
	chmod 755 "$work"
	gojitter=$work/gojitter
	tap_check 'another user reads it by permission alone' unprivileged
	gojitter=$O/gojitter
fi

# The textfile.
mkdir "$work/text"
tap_check 'a file is written' "$gojitter" export --textfile "$work/text" --instance "$ours"
tap_check 'which everyone may read' [ "$(stat -c %a "$work/text/gojitter.prom")" = 644 ]
inode=$(stat -c %i "$work/text/gojitter.prom")
tap_check 'and again' "$gojitter" export --textfile "$work/text" --instance "$ours"
tap_check 'by another one in its place' [ "$(stat -c %i "$work/text/gojitter.prom")" != "$inode" ]
tap_check 'alone' [ "$(ls -A "$work/text")" = gojitter.prom ]
cp "$work/text/gojitter.prom" "$work/before"
tap_check 'a full disk is said' sh -c "ulimit -f 1; trap '' XFSZ; ! '$gojitter' export --textfile '$work/text' 2>/dev/null"
tap_check 'and leaves what was there' cmp "$work/before" "$work/text/gojitter.prom"
tap_check 'and nothing beside it' [ "$(ls -A "$work/text")" = gojitter.prom ]
tap_check 'no directory' refuses 1 'No such file or directory' "$gojitter" export --textfile "$work/none"

tap_check 'no such instance' refuses 1 'no such instance' "$gojitter" export --instance "$ours-none"
tap_check 'no name of one' refuses 1 'no such name' "$gojitter" export --instance ../making
tap_check 'no address' refuses 1 'ADDR:PORT' "$gojitter" export --listen here
tap_check 'no port' refuses 1 'ADDR:PORT' "$gojitter" export --listen 127.0.0.1:99999
tap_check 'not both' refuses 2 'exclude each other' "$gojitter" export --listen :0 --textfile "$work"
tap_check 'standard output that takes nothing' refuses 1 'No space left' sh -c "'$gojitter' export --instance '$ours' >/dev/full"
tap_done
