#!/bin/sh
# Programs that read perf script's text read ours as well: speedscope's importer
# (from npm), c++filt, our own filter. How FlameGraph reads it stands in
# plugin-formats.sh.
set -u
. tests/perf/plugin-lib.sh

speedscope=1.25.0
cache=$GJ_CACHE/npm/speedscope-$speedscope

fetch_speedscope()
{
	[ -d "$cache/package/dist/release" ] && return 0
	mkdir -p "$cache" &&
		(cd "$work" && npm_config_cache=$work/npm timeout 120 npm pack --silent "speedscope@$speedscope") \
			>"$work/npm.log" 2>&1 &&
		tar -xzf "$work/speedscope-$speedscope.tgz" -C "$cache"
}

app=$(fixture 1.24 exe) || exit 1
record "$work/app.data" -g --user-regs=r14,sp,bp,ip -e "$sampler" -- "$app" 1.5 || tap_done

for version in $perfs; do
	perf=$(perf_of "$version") || { tap_skip "perf $version" "cannot be had"; continue; }
	# The Go program's records only: the first ones are perf's own, before it becomes the program.
	"$perf" script --no-inline -i "$work/app.data" -c plugin-app >"$work/stock.txt" 2>/dev/null
	# repair=off: the same chains.
	"$perf" script -i "$work/app.data" -c plugin-app --dlfilter "$plugin" >"$work/ours.txt"
	"$perf" script -i "$work/app.data" --dlfilter "$plugin" --dlarg goid=off >"$work/all.txt"
	"$perf" script --no-inline -i "$work/app.data" >"$work/stock-all.txt" 2>/dev/null
	"$perf" script --no-inline -i "$work/app.data" -c plugin-app --dlfilter "$plugin" --dlarg repair=off \
		--dlarg quality=off >"$work/flat.txt"

	if fetch_speedscope; then
		node tests/perf/consumers-speedscope.js "$cache/package/dist/release" "$work/stock.txt" \
			"$work/flat.txt" "$work/ours.txt" "$work/stock-all.txt" "$work/all.txt" >"$work/imported" 2>"$work/node.err" ||
			tap_fail "$version: speedscope's importer runs" "$(cat "$work/node.err")"
		tap_check "$version: speedscope reads the same profiles from our text as from stock perf's" python3 -c '
import json, re, sys
stock, flat, ours, stock_all, everything = [json.loads(line) for line in open(sys.argv[1])]
name = lambda n: re.sub(r"\.abi0$", "", n)
def functions(p):
    found = {}
    for n, weight in p["functions"].items():
        found[name(n)] = round(found.get(name(n), 0) + weight, 6)
    return found
assert stock["profiles"] > 1 and len(stock["functions"]) > 50, stock
assert flat["weights"] == stock["weights"], (flat["weights"], stock["weights"])
assert functions(flat) == functions(stock), set(functions(flat).items()) ^ set(functions(stock).items())
# With inlined calls the time is the same, and more functions share it.
assert ours["weights"] == stock["weights"] and "main.rotate" in ours["functions"], ours
assert everything["weights"] == stock_all["weights"], (everything["weights"], stock_all["weights"])
print(len(stock["functions"]), "functions")' "$work/imported"
	else
		tap_skip "$version: speedscope's importer" "npm cannot fetch speedscope $speedscope: $(tail -n 1 "$work/npm.log")"
	fi
	c++filt <"$work/ours.txt" >"$work/filtered.txt"
	tap_check "$version: c++filt changes nothing" cmp "$work/ours.txt" "$work/filtered.txt"
	"$O/gojitter" demangle <"$work/ours.txt" >"$work/filtered.txt"
	tap_check "$version: gojitter demangle changes nothing" cmp "$work/ours.txt" "$work/filtered.txt"
done
tap_done
