#!/bin/sh
# gojitter inject where it cannot: one clear line, status 1, and no trace of the copy.
set -u
GJ_PERFS=6.1
. tests/perf/plugin-lib.sh

gojitter=$(cd "$O" && pwd)/gojitter
PERF=$recorder
export PERF
app=$(fixture 1.24 exe) || exit 1
mkdir "$work/out"
good=$work/good.data
record "$good" --call-graph dwarf -e "$sampler" -- "$app" 0.2 inlined closures || tap_done

# Exactly one line that holds WORDS, status STATUS, and nothing new in the directory.
refuses() # STATUS WORDS COMMAND...
{
	status=$1 words=$2
	shift 2
	ls -la "$work/out" >"$work/before"
	"$@" >"$work/text" 2>&1
	got=$?
	ls -la "$work/out" >"$work/after"
	[ $got -eq "$status" ] || { echo "status $got"; cat "$work/text"; return 1; }
	case $(cat "$work/text") in
	"gojitter: "*"$words"*) ;;
	*) cat "$work/text"; return 1 ;;
	esac
	[ "$(grep -vc '^see gojitter' "$work/text")" -eq 1 ] || { cat "$work/text"; return 1; }
	diff "$work/before" "$work/after"
}

bad() # NAME WORDS IN [OUT]
{
	tap_check "$1" refuses 1 "$2" "$gojitter" inject -i "$3" -o "${4:-$work/out/copy}"
}

echo "no recording at all" >"$work/text.data"
: >"$work/empty.data"
bad "another file" "not a perf.data file" "$work/text.data"
bad "an empty file" "not a perf.data file" "$work/empty.data"
bad "no file" "No such file" "$work/none.data"
size=$(stat -c %s "$good")
for part in 1 30 60 99; do
	head -c $((size * part / 100)) "$good" >"$work/cut.data"
	bad "cut at $part percent" "$work/cut.data: " "$work/cut.data"
done
# perf record writes the size of its records last.
cp "$good" "$work/killed.data"
printf '\0\0\0\0\0\0\0\0' | dd of="$work/killed.data" bs=1 seek=48 conv=notrunc 2>"$work/err"
bad "an unfinished recording" "killed before it finished" "$work/killed.data"
# Records that do not follow each other: half of them zero.
cp "$good" "$work/holes.data"
dd if=/dev/zero of="$work/holes.data" bs=4096 seek=$((size / 8192)) count=40 conv=notrunc 2>"$work/err"
bad "a recording with a hole" "$work/holes.data: " "$work/holes.data"

record "$work/z.data" -z -g -e "$sampler" -- "$app" 0.3 inlined closures && {
	# The magic of its first compressed bytes, 8 bytes into a record of type 81.
	python3 - "$work/z.data" <<-'END'
	import sys
	data = open(sys.argv[1], "rb").read().replace(b"\x28\xb5\x2f\xfd", b"none", 1)
	open(sys.argv[1], "wb").write(data)
	END
	bad "a compressed recording, damaged" "$work/z.data: " "$work/z.data"
}
record "$work/threads.data" --threads -g -e "$sampler" -- "$app" 0.1 inlined &&
	bad "a recording in a directory" "without --threads" "$work/threads.data"
timeout 60 "$recorder" record -q -g -e "$sampler" -o - -- "$app" 0.1 inlined >"$work/pipe.data" 2>"$work/err"
bad "what perf record wrote into a pipe" "record into a file" "$work/pipe.data"
mkfifo "$work/fifo"
bad "a pipe" "record into one" "$work/fifo"
tap_check "standard input" refuses 2 "are files" "$gojitter" inject -i - -o "$work/out/copy"
tap_check "no output named" refuses 2 "say which recording" "$gojitter" inject -i "$good"

cp "$good" "$work/out/same"
ln -s same "$work/out/link"
bad "the input as output" "is the input too" "$work/out/same" "$work/out/same"
bad "a link to it" "is the input too" "$work/out/same" "$work/out/link"
bad "a directory as output" "is no file" "$good" "$work/out"
bad "a device as output" "is no file" "$good" /dev/null
bad "no directory to write to" "No such file" "$good" "$work/none/copy"
tap_check "no perf" refuses 1 "there is no such program" \
	env PERF="$work/none" "$gojitter" inject -i "$good" -o "$work/out/copy"
tap_check "no plugin" refuses 1 "gojitter.so" \
	env GOJITTER_SO="$work/none" "$gojitter" inject -i "$good" -o "$work/out/copy"

# A disk of 8 KB, of which the chains take more.
fill()
{
	unshare --mount --propagation private sh -c '
		mount -t tmpfs -o size=8k nodev "$2" || exit 2
		"$1" inject -i "$3" -o "$2/copy" 2>"$4"
		status=$?
		[ -z "$(ls -A "$2")" ] || exit 3
		exit $status' sh "$gojitter" "$work/out" "$good" "$work/text"
	[ $? -eq 1 ] && [ "$(wc -l <"$work/text")" -eq 1 ] &&
		grep -E '^gojitter: .*(disk full|No space left)' "$work/text"
}
if unshare --mount true 2>"$work/err"; then
	tap_check "a full disk" fill
else
	tap_skip "a full disk" "only root may mount one"
fi

# What had the output's name is replaced when the copy is whole, and not before.
echo old >"$work/out/copy"
bad "an old copy stays" "not a perf.data file" "$work/text.data"
tap_check "it is old" grep -qx old "$work/out/copy"
tap_check "an old copy goes" "$gojitter" inject -q -i "$good" -o "$work/out/copy"
tap_check "it is new" "$recorder" script -i "$work/out/copy" -F ip
ls -A "$work/out" >"$work/text"
tap_check "nothing else is left" [ "$(tr '\n' ' ' <"$work/text")" = "copy link same " ]

# What gojitter record leaves behind the records is there in the copy.
printf 'BODY\4\0\0\0\0\0\0\0GJOTHER1' >"$work/trailer"
cat "$good" "$work/trailer" >"$work/trailed.data"
tap_check "inject a recording with something behind it" "$gojitter" inject -i "$work/trailed.data" -o "$work/out/copy"
tail -c 20 "$work/out/copy" >"$work/tail"
tap_check "what stands behind it stays there" cmp "$work/trailer" "$work/tail"
tap_done
