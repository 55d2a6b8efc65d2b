#!/bin/sh
# gojitter debuginfo: its options, what it writes where, what it says of files
# it cannot use.
. tests/tap.sh

build=tests/fixtures/build.sh
gojitter=$O/gojitter
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
new=$($build 1.27 tests/debuginfo/spin exe+strip) && old=$($build 1.19 tests/debuginfo/spin exe+strip) &&
	old_pie=$($build 1.19 tests/debuginfo/spin pie+strip) || exit 1

# Exit status, and exactly one line in which PATTERN stands, on standard error.
says() # STATUS PATTERN ARGUMENT...
{
	wanted=$1 pattern=$2
	shift 2
	"$gojitter" debuginfo "$@" >"$work/stdout" 2>"$work/stderr"
	status=$?
	[ $status -eq "$wanted" ] && grep -q "^gojitter: .*$pattern" "$work/stderr" &&
		[ "$(grep -vc '^see ' "$work/stderr")" -eq 1 ] && [ ! -s "$work/stdout" ] ||
		{ echo "status $status"; cat "$work/stdout" "$work/stderr"; return 1; }
}

tap_check "no binary" says 2 "no binary" -o "$work/x"
tap_check "no output" says 2 "-o OUT or --install" "$new"
tap_check "two outputs" says 2 "-o OUT or --install" "$new" --install -o "$work/x"
tap_check "two binaries" says 2 "one binary" "$new" "$old" -o "$work/x"
tap_check "--root alone" says 2 "root" "$new" -o "$work/x" --root "$work"
tap_check "--help" sh -c "'$gojitter' debuginfo --help | grep -q '^usage: gojitter debuginfo'"
"$gojitter" debuginfo --nonsense "$new" -o "$work/x" >/dev/null 2>&1
status=$?
tap_check "unknown option" test $status -eq 2

echo 'int main(void) { return 0; }' >"$work/c.c"
gcc -o "$work/c" "$work/c.c"
: >"$work/empty"
cp "$new" "$work/own"
mkdir "$work/dir"
tap_check "a C program" says 1 "$work/c: .*Go" "$work/c" -o "$work/x"
tap_check "a text" says 1 "$work/c.c: not an ELF file" "$work/c.c" -o "$work/x"
tap_check "an empty file" says 1 "$work/empty" "$work/empty" -o "$work/x"
tap_check "no such file" says 1 "$work/none: No such file" "$work/none" -o "$work/x"
tap_check "a directory" says 1 "$work/dir" "$work/dir" -o "$work/x"
tap_check "output over the binary" says 1 "binary itself" "$work/own" -o "$work/own"
tap_check "the binary is as it was" cmp "$new" "$work/own"
ln "$work/own" "$work/link"
tap_check "output over a link to it" says 1 "binary itself" "$work/own" -o "$work/link"
tap_check "output to a device" says 1 "not a regular file" "$new" -o /dev/null
tap_check "the device is as it was" test -c /dev/null
tap_check "output to a directory" says 1 "not a regular file" "$new" -o "$work/dir"
tap_check "output nowhere" says 1 "$work/none/x: .*No such file" "$new" -o "$work/none/x"
tap_check "nothing is left behind" sh -c "! ls -a '$work' '$work/dir' | grep -E '^x|\.[A-Za-z0-9]{6}$'"

# The debug file of a file with a build id.
hint()
{
	"$gojitter" debuginfo "$1" -o "$work/out" >"$work/stdout" 2>"$work/stderr" &&
		[ "$(wc -l <"$work/stdout")" -eq 1 ] && [ ! -s "$work/stderr" ] &&
		grep -q -- "$2" "$work/stdout" || { cat "$work/stdout" "$work/stderr"; return 1; }
}
id=$(readelf -n "$new" | sed -n 's/ *Build ID: //p')
place=/usr/lib/debug/.build-id/$(echo "$id" | cut -c1-2)/$(echo "$id" | cut -c3-).debug
tap_check "says where to install" hint "$new" "$place"
tap_check "has the build id" sh -c "readelf -n '$work/out' 2>/dev/null | grep -q 'Build ID: $id'"
cp "$work/out" "$work/first"
tap_check "the same again" sh -c "'$gojitter' debuginfo '$new' -o '$work/out' && cmp '$work/first' '$work/out'"
tap_check "readable, not executable" sh -c "[ \$(stat -c %a '$work/out') = $(printf '%o' $((0666 & ~$(umask))))  ]"
tap_check "without a build id says what to do" hint "$old" "gdb -e $old -s $work/out"

# Headers and sections in memory are those of the binary, number for number.
layout() # FILE
{
	readelf -SW "$1" 2>/dev/null | sed -n 's/^ *\[ *\([0-9]*\)\] //p' | awk '
		$7 ~ /A/ { print NR, $1, $3, $2 == "NOTE" ? "" : $4, $5 }'
	readelf -lW "$1" 2>/dev/null | awk '$1 == "LOAD" || /Entry point/'
}
for file in "$new" "$old" "$old_pie"; do
	"$gojitter" debuginfo "$file" -o "$work/out" >/dev/null
	layout "$file" >"$work/wanted"
	layout "$work/out" >"$work/got"
	tap_check "sections and segments of $(basename "$(dirname "$file")")" sh -c "
		[ \$(wc -l <'$work/wanted') -ge 10 ] && diff '$work/wanted' '$work/got'"
done

installs() # FILE PLACE
{
	rm -rf "$work/root"
	"$gojitter" debuginfo "$1" --install --root "$work/root" >"$work/stdout" &&
		grep -q "installed $work/root$2" "$work/stdout" && [ -f "$work/root$2" ]
}
tap_check "--install by build id" installs "$new" "$place"
tap_check "--install by path" installs "$old" "/usr/lib/debug$old"
ln -s "$old" "$work/symlink"
tap_check "--install by the true path" installs "$work/symlink" "/usr/lib/debug$old"
if [ "$(id -u)" -ne 0 ]; then
	tap_check "--install without permission" says 1 "Permission denied" "$new" --install
else
	tap_check "--install where nothing can be written" says 1 "/proc/none/.*directory" "$new" \
		--install --root /proc/none
fi

# A whole copy: every byte that is loaded is the binary's, and it runs.
same_bytes() # FILE COPY
{
	size=$(stat -c %s "$1")
	cmp -n "$size" -l "$1" "$2" | awk '$1 <= 40 || $1 > 64 { bad = 1; print } END { exit bad }'
}
for file in "$new" "$old" "$old_pie"; do
	name=$(basename "$(dirname "$file")")
	"$gojitter" debuginfo "$file" --with-code -o "$work/copy" >/dev/null
	tap_check "--with-code, $name: the binary's bytes" same_bytes "$file" "$work/copy"
	tap_check "--with-code, $name: runs" sh -c "[ \$('$work/copy' 1) = ready ]"
	"$gojitter" debuginfo "$file" -o "$work/out" >/dev/null
	nm -S "$work/copy" >"$work/copy.nm"
	tap_check "--with-code, $name: the same symbols" sh -c "nm -S '$work/out' | diff - '$work/copy.nm'"
	tap_check "--with-code, $name: sound" sh -c "llvm-dwarfdump --verify '$work/copy' | grep -qx 'No errors.'"
done
# An unstripped binary's own symbols and DWARF give way.
twin=$($build 1.27 tests/debuginfo/spin exe)
"$gojitter" debuginfo "$twin" --with-code -o "$work/copy" >/dev/null
tap_check "--with-code of an unstripped binary" sh -c "
	llvm-dwarfdump --verify '$work/copy' | grep -qx 'No errors.' && '$work/copy' 1 | grep -qx ready &&
	[ \$(readelf -SW '$work/copy' | grep -cE ' \.(symtab|debug_info) ') -eq 2 ]"

dump() { llvm-dwarfdump --debug-info --debug-line --debug-ranges "$1" | grep -v 'file format'; }
"$gojitter" debuginfo "$new" -o "$work/out" >/dev/null
"$gojitter" debuginfo "$new" -z -o "$work/packed" >/dev/null
dump "$work/out" >"$work/out.dump"
dump "$work/packed" >"$work/packed.dump"
tap_check "--compress: smaller" test "$(stat -c %s "$work/packed")" -lt "$(($(stat -c %s "$work/out") * 2 / 3))"
tap_check "--compress: says the same" sh -c "
	[ \$(wc -l <'$work/out.dump') -gt 10000 ] && cmp '$work/out.dump' '$work/packed.dump'"

# Symbols that a binary still has stay as they are.
nodwarf=$($build 1.27 cgo cgo+nodwarf) && "$gojitter" debuginfo "$nodwarf" -o "$work/out" >/dev/null
# The letter says what the section holds: nothing, in a debug file.
symbols() { nm "$1" | grep -v ' [UwaA] ' | sed 's/ [A-Za-z] / /' | LC_ALL=C sort; }
symbols "$nodwarf" >"$work/wanted"
symbols "$work/out" >"$work/got"
tap_check "symbols of a binary without DWARF" sh -c "
	grep -q c_inner '$work/wanted' && LC_ALL=C comm -23 '$work/wanted' '$work/got' | (! grep .)"

# Cut off anywhere, a file gives a debug file or one line.
cut_anywhere()
{
	size=$(stat -c %s "$old")
	for i in $(seq 0 40); do
		head -c $((size * i / 41 + i)) "$old" >"$work/cut"
		"$gojitter" debuginfo "$work/cut" -o "$work/cut.debug" >"$work/stdout" 2>"$work/stderr"
		status=$?
		[ $status -le 1 ] && [ "$(cat "$work/stdout" "$work/stderr" | wc -l)" -le 2 ] &&
			[ $status -eq 0 -o "$(grep -c '^gojitter: ' "$work/stderr")" -eq 1 ] ||
			{ echo "cut $i: status $status"; cat "$work/stdout" "$work/stderr"; return 1; }
	done
}
tap_check "cut off anywhere" cut_anywhere
tap_done
