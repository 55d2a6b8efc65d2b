#!/bin/sh
# A stripped Go program that nobody here built: fzf as Debian packages it. Stock
# perf names none of its Go functions, the plugin all of them.
set -u
. tests/perf/plugin-lib.sh

programs=$GJ_CACHE/programs
if ! tests/debian.sh bookworm "$programs" fzf >"$work/fetch.log" 2>&1; then
	tap_skip "a packaged program" "cannot be fetched: $(tail -n 1 "$work/fetch.log")"
	tap_done
fi
fzf=$programs/usr/bin/fzf
tap_check "it is stripped" sh -c "! readelf -SW '$fzf' | grep -qE '\.(symtab|debug_info)'"

seq 1 1500000 >"$work/lines"
cat >"$work/search.sh" <<END
#!/bin/sh
for word in 1234 77 905; do "$fzf" --filter \$word <"$work/lines" >/dev/null; done
END
chmod +x "$work/search.sh"
record "$work/fzf.data" -g -e "$sampler" -- "$work/search.sh" || tap_done

for version in $perfs; do
	perf=$(perf_of "$version") || { tap_skip "perf $version" "cannot be had"; continue; }
	"$perf" script -i "$work/fzf.data" 2>/dev/null | grep -F "($fzf)" >"$work/stock.txt"
	"$perf" script -i "$work/fzf.data" --dlfilter "$plugin" --dlarg inline=off --dlarg repair=off \
		--dlarg quality=off 2>"$work/err" |
		grep -F "($fzf)" >"$work/ours.txt"
	# What perf does know is C: cgo's in .dynsym, the PLT. Go's names have a dot.
	tap_check "$version: stock perf: every Go frame [unknown]" sh -c "wc -l <'$work/stock.txt';
		test \$(wc -l <'$work/stock.txt') -gt 1000 && ! grep -E '[0-9a-f] [^ ]*\.[^ ]*\+0x' '$work/stock.txt' | head -n 5 | grep ."
	tap_check "$version: ours: as many frames, none [unknown]" test \
		"$(wc -l <"$work/ours.txt")" -eq "$(wc -l <"$work/stock.txt")" -a \
		"$(grep -c '\[unknown\]' "$work/ours.txt")" -eq 0 -a ! -s "$work/err"
	tap_check "$version: the same addresses" sh -c \
		"awk '{ print \$1 }' '$work/stock.txt' >'$work/a'; awk '{ print \$1 }' '$work/ours.txt' | cmp '$work/a' -"
	tap_check "$version: the matcher's functions are there" grep -qE \
		' github\.com/junegunn/fzf/src(/algo)?\.[A-Za-z(*).0-9]+\+0x' "$work/ours.txt"
done
tap_done
