#!/bin/sh
# Files that are not what they should be, or stop being it while they are read:
# one clear line, exit status 1, within seconds.
. tests/tap.sh

gojitter=$O/gojitter
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
binary=$(tests/fixtures/build.sh 1.22 rich exe) || { tap_fail "builds"; tap_done; }

says() # WANTED COMMAND...: its one line on standard error, nothing else, status 1
{
	says_wanted=$1
	shift
	timeout 10 "$@" >"$work/out" 2>"$work/err" </dev/null
	says_status=$?
	[ $says_status -eq 1 ] && [ ! -s "$work/out" ] && [ "$(cat "$work/err")" = "gojitter: $says_wanted" ] ||
		{ echo "status $says_status"; cat "$work/out" "$work/err"; return 1; }
}

# Every way to ask meets the same first look at the file.
each() # NAME WANTED FILE
{
	for each_form in '401000' '-f -i 401000' '--list' '--info'; do
		tap_check "$1: sym $each_form" says "$2" "$gojitter" sym -e "$3" $each_form
	done
	tap_check "$1: sym, input empty" says "$2" "$gojitter" sym -e "$3"
}

mkfifo "$work/fifo"
each "a FIFO nobody writes to" "$work/fifo: not a regular file" "$work/fifo"
each "a device" "/dev/null: not a regular file" /dev/null
each "a directory" "$work: not a regular file" "$work"
each "no such file" "$work/none: No such file or directory" "$work/none"
ln -s loop "$work/loop"
each "a link to itself" "$work/loop: Too many levels of symbolic links" "$work/loop"
: >"$work/empty"
each "an empty file" "$work/empty: the file is empty" "$work/empty"
echo '#!/bin/sh' >"$work/script"
each "a script" "$work/script: not an ELF file" "$work/script"
gcc -o "$work/c" -x c - <<'EOF'
int main(void) { return 0; }
EOF
each "a C program" "$work/c: not a Go program: it has no .gopclntab" "$work/c"
strip "$work/c"
each "a stripped C program" "$work/c: not a Go program: it has no .gopclntab" "$work/c"
ar rc "$work/archive.a" "$work/script"
each "an archive" "$work/archive.a: not an ELF file" "$work/archive.a"

spoil() # FILE OFFSET BYTES: a copy of the fixture with other bytes there
{
	cp "$binary" "$1"
	printf "$3" | dd of="$1" bs=1 seek=$(($2)) conv=notrunc 2>/dev/null
}
spoil "$work/big-endian" 5 '\002'
each "big-endian" "$work/big-endian: not a 64-bit little-endian ELF file; amd64 and arm64 are supported" \
	"$work/big-endian"
spoil "$work/386" 4 '\001\001\001\000'
each "32 bits" "$work/386: not a 64-bit little-endian ELF file; amd64 and arm64 are supported" "$work/386"
spoil "$work/riscv" 18 '\363\000'
each "another machine" \
	"$work/riscv: built for ELF machine 243; amd64 (62) and arm64 (183) are supported" "$work/riscv"
table=$((0x$(readelf -SW "$binary" | sed -n 's/.* \.gopclntab *PROGBITS *[0-9a-f]* \([0-9a-f]*\).*/\1/p')))
spoil "$work/newer" $table '\360\377\377\377' && spoil "$work/newer" $table '\001\377\377\377'
each "tables of a later Go" \
	"$work/newer: .gopclntab has a header this gojitter does not know; it reads Go 1.15 to 1.27" "$work/newer"
spoil "$work/zeros" $table '\000\000\000\000'
each "tables that were wiped" "$work/zeros: not a Go program: it has no .gopclntab" "$work/zeros"
spoil "$work/offsets" $((table + 32)) '\377\377\377\377\377\377\377\377'
tap_check "a header that contradicts itself" sh -c "timeout 10 '$gojitter' sym -e '$work/offsets' 401000 2>&1 |
	grep -q '^gojitter: $work/offsets: .gopclntab at 0x[0-9a-f]* is cut short or its header contradicts itself$'"

# Cut to every eighth of its length: an answer or one line, never a signal.
cut_to() # BYTES
{
	head -c "$1" "$binary" >"$work/cut"
	timeout 10 "$gojitter" sym -f -e "$work/cut" 401000 >"$work/out" 2>"$work/err" </dev/null
	cut_status=$?
	echo "status $cut_status:" $(cat "$work/out" "$work/err")
	case $cut_status in
	0) [ ! -s "$work/err" ] && [ "$(wc -l <"$work/out")" -eq 2 ] && ! grep -q '??' "$work/out" ;;
	1) [ ! -s "$work/out" ] && [ "$(wc -l <"$work/err")" -eq 1 ] &&
		grep -q "^gojitter: $work/cut: .*cut short" "$work/err" ;;
	*) false ;;
	esac
}

size=$(stat -c %s "$binary")
for part in 1 2 3 4 5 6 7; do
	tap_check "cut after $part eighths" cut_to $((size * part / 8))
done
# What is cut off then is DWARF and the names of sections: nothing that is needed.
tap_check "seven eighths still answer" [ -s "$work/out" ]

# A session that is asked again after its file has changed under it.
session() # CHANGE: asks, runs CHANGE, asks again; prints both answers and the end
{
	python3 - "$gojitter" "$work/changing" "$1" <<'EOF'
import subprocess, sys
gojitter, path, change = sys.argv[1:]
asked = [line.split("\t")[0] for line in subprocess.run([gojitter, "sym", "-e", path, "--list"],
         stdout=subprocess.PIPE, universal_newlines=True).stdout.splitlines()]
first, rest = asked[10], asked[20::40]
p = subprocess.Popen([gojitter, "sym", "-f", "-e", path], stdin=subprocess.PIPE,
                     stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
p.stdin.write(first + "\n")
p.stdin.flush()
answer = p.stdout.readline() + p.stdout.readline()
subprocess.run(change, shell=True, check=True)
out, err = p.communicate("\n".join(rest) + "\n", timeout=20)
print(len(answer.splitlines()), out.count("\n") == 2 * len(rest), p.returncode, err, end="")
EOF
}
cp "$binary" "$work/changing"
tap_check "replaced by another file: the one that was opened is read on" [ \
	"$(session "cp /bin/sh '$work/new' && mv '$work/new' '$work/changing'")" = "2 True 0 " ]
cp "$binary" "$work/changing"
tap_check "deleted: read on" [ "$(session "rm '$work/changing'")" = "2 True 0 " ]
cp "$binary" "$work/changing"
tap_check "cut short in place: one line" [ "$(session "truncate -s 4096 '$work/changing'")" = \
	"2 False 1 gojitter: a file was cut short or could not be read while it was in use; try again" ]
tap_done
