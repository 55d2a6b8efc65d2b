#!/bin/sh
# The front, build/bin/perf: which words of a command line it changes, and
# which perf it becomes. The perf behind it is a script that prints what it got.
. tests/tap.sh

front=$O/bin/perf
plugin=$(cd "$O" && pwd)/gojitter.so
[ -x "$front" ] || { tap_fail "the front is built"; tap_done; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/stock" "$work/empty" "$work/copy" "$work/loop"
cat >"$work/stock/perf" <<'END'
#!/bin/sh
[ $# -eq 0 ] || printf '<%s>\n' "$@"
END
chmod +x "$work/stock/perf"
PATH=$work/stock:$PATH
unset PERF PERF_EXEC_PATH

# One case a line: what is typed, and after the bar what perf is to get. Words
# have no blanks here; PLUGIN stands for the path of the built gojitter.so.
cases='script -s gojitter.so | script --dlfilter PLUGIN
script --script gojitter.so | script --dlfilter PLUGIN
script -sgojitter.so | script --dlfilter PLUGIN
script --script=gojitter.so | script --dlfilter PLUGIN
script --scr gojitter.so | script --dlfilter PLUGIN
script --sc=gojitter.so | script --dlfilter PLUGIN
script -fs gojitter.so | script -f --dlfilter PLUGIN
script -vfsgojitter.so -G | script -vf --dlfilter PLUGIN -G
script -s ./gojitter.so | script --dlfilter ./gojitter.so
script -s dlfilter-show-cycles.so | script --dlfilter dlfilter-show-cycles.so
script -i f -s gojitter.so --dlarg goid=off | script -i f --dlfilter PLUGIN --dlarg goid=off
script -i - -s gojitter.so | script -i - --dlfilter PLUGIN
script --input - -s gojitter.so | script --input - --dlfilter PLUGIN
script --time 1,2 -s gojitter.so | script --time 1,2 --dlfilter PLUGIN
script --ns -s gojitter.so --dsos x.so | script --ns --dlfilter PLUGIN --dsos x.so
script -s gojitter.so -s other.so | script --dlfilter PLUGIN --dlfilter other.so
-p --no-pager script -s gojitter.so | -p --no-pager script --dlfilter PLUGIN
--buildid-dir script script -s gojitter.so | --buildid-dir script script --dlfilter PLUGIN
--debug verbose=1 script -s gojitter.so | --debug verbose=1 script --dlfilter PLUGIN
--exec-path=d script -s gojitter.so | --exec-path=d script --dlfilter PLUGIN
script -s foo.py | script -s foo.py
script -sfoo.py --script=foo.pl | script -sfoo.py --script=foo.pl
script -s python:gojitter.so | script -s python:gojitter.so
script -s lang | script -s lang
script -s gojitter.so.1 | script -s gojitter.so.1
script -s .so | script -s .so
script -s | script -s
script --script | script --script
script -S gojitter.so | script -S gojitter.so
script --symbols=gojitter.so --symfs gojitter.so | script --symbols=gojitter.so --symfs gojitter.so
script -F -s gojitter.so | script -F -s gojitter.so
script -k gojitter.so -i -sgojitter.so | script -k gojitter.so -i -sgojitter.so
script -- -s gojitter.so | script -- -s gojitter.so
script report x -s gojitter.so | script report x -s gojitter.so
script -v report x -s gojitter.so | script -v report x -s gojitter.so
script record x -- cmd -s gojitter.so | script record x -- cmd -s gojitter.so
script -a x cmd -s gojitter.so | script -a x cmd -s gojitter.so
script --ns x cmd -s gojitter.so | script --ns x cmd -s gojitter.so
report -s gojitter.so | report -s gojitter.so
record -- perf script -s gojitter.so | record -- perf script -s gojitter.so
record script -s gojitter.so | record script -s gojitter.so
gojitter script -s gojitter.so | gojitter script -s gojitter.so
--help | --help
script | script'

echo "$cases" | {
	while read -r line; do
		typed=${line%% | *} wanted=${line##* | }
		got=$("$front" $typed | tr '\n' ' ' | sed 's/[<>]//g; s/ $//')
		wanted=$(echo "$wanted" | sed "s|PLUGIN|$plugin|g")
		[ "$got" = "$wanted" ] && echo same || printf 'perf %s\n  got:  %s\n  want: %s\n' "$typed" "$got" "$wanted"
	done >"$work/cases"
}
tap_check "there were cases" [ "$(grep -c '^same$' "$work/cases")" -gt 40 ]
if grep -v '^same$' "$work/cases" >"$work/bad"; then
	tap_fail "only perf script's -s X.so is changed" "$(cat "$work/bad")"
else
	tap_ok "only perf script's -s X.so is changed"
fi

# Blanks, newlines, empty words, bytes that are no text.
odd=$(printf 'a b\n\n\tc\\*$x\377z')
"$work/stock/perf" script "$odd" '' "  $odd" -s x.so >"$work/want"
tap_check "nothing in a word is touched" sh -c \
	'"$1" script "$2" "" "  $2" -s x.so | cmp - "$3"' sh "$front" "$odd" "$work/want"
"$work/stock/perf" script -F "$odd" --dlfilter "$plugin" --dlarg "$odd" >"$work/want"
tap_check "nor around a changed option" sh -c \
	'"$1" script -F "$2" -s gojitter.so --dlarg "$2" | cmp - "$3"' sh "$front" "$odd" "$work/want"
tap_check "no words at all" [ -z "$("$front")" ]
tap_check "3,000 words" [ "$("$front" script $(seq 3000) | wc -l)" -eq 3001 ]

printf '#!/bin/sh\nexit 37\n' >"$work/empty/perf"
chmod +x "$work/empty/perf"
PERF=$work/empty/perf "$front" script
tap_check "PERF names the perf; its exit status comes back" [ $? -eq 37 ]
mv "$work/empty/perf" "$work/empty/perf-other"
(PATH=$work/empty:$PATH PERF=perf-other "$front" script)
tap_check "PERF may be a name on PATH" [ $? -eq 37 ]

# Never itself: first on PATH, as a link, as a copy, twice over.
own=$(cd "$O/bin" && pwd)
ln -s "$own/perf" "$work/copy/perf"
tap_check "is not found on PATH as perf" [ "$(PATH=$own:$PATH perf --x)" = '<--x>' ]
tap_check "nor through a link" [ "$(PATH=$work/copy:$own:$PATH perf --x)" = '<--x>' ]
rm "$work/copy/perf"
cp "$own/perf" "$work/copy/perf"
tap_check "nor as a copy" [ "$(PATH=$own:$work/copy:$own:$PATH perf --x)" = '<--x>' ]
tap_check "a copy without gojitter.so beside it passes the name on" \
	[ "$("$work/copy/perf" script -s gojitter.so | tail -n 1)" = '<gojitter.so>' ]
tap_check "a directory called perf is no perf" sh -c \
	'mkdir "$1/dir" "$1/dir/perf"; [ "$(PATH=$1/dir:$PATH "$2" --x)" = "<--x>" ]' sh "$work" "$front"

one_line() # PATTERN COMMAND...: status 1, one line on standard error, nothing else
{
	one_want=$1
	shift
	one_out=$("$@" 2>"$work/stderr")
	one_status=$?
	cat "$work/stderr"
	[ $one_status -eq 1 ] && [ -z "$one_out" ] && [ "$(wc -l <"$work/stderr")" -eq 1 ] &&
		grep -q "^gojitter: $one_want" "$work/stderr"
}
tap_check "no perf: one line" one_line 'perf: not on PATH' env PATH="$own:$work/empty" "$front" script
tap_check "PERF names nothing: one line" one_line "$work/none: PERF names no perf" \
	env PERF="$work/none" "$front" script
tap_check "PERF names a front: one line" one_line "$own/perf: PERF names no perf" \
	env PERF="$own/perf" "$front" script
printf '#!/bin/sh\nexec %s/perf "$@"\n' "$own" >"$work/loop/perf"
chmod +x "$work/loop/perf"
tap_check "a perf that runs the front: one line, no loop" one_line "$work/loop/perf: leads only back" \
	env PATH="$work/loop:/usr/bin:/bin" timeout 20 "$front" script
tap_done
