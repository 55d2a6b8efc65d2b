#!/bin/sh
# Goroutine ids on real programs that nobody here built, of releases that no
# toolchain can be had for: esbuild, stripped, Go 1.17, 1.18 and 1.20. They do not
# say which goroutine ran when; but a goroutine's start function, which the probe
# read from its g, must be the outermost function of each stack that is said to
# be its (tests/record/others.py).
. tests/tap.sh

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Many files, so that many goroutines come and go; big ones, so that they are seen.
python3 - "$work" <<'END'
import sys
files = 60
for i in range(files):
    with open(f"{sys.argv[1]}/part{i}.js", "w") as out:
        for j in range(1500):
            out.write(f"export function f{i}_{j}(a, b) {{ const x = [a, b, {j}].map(v => v * {i} + a);"
                      f" for (const y of x) if (y > {j}) return `${{y}}-${{b}}`; return x.length ? a : b }}\n")
with open(f"{sys.argv[1]}/main.js", "w") as out:
    for i in range(files):
        out.write(f"import * as p{i} from './part{i}.js'; console.log(p{i})\n")
END

check_program() # PACKAGE FILE
{
	program=$(tests/npm.sh "$1" "$2" 2>"$work/why")
	status=$?
	if [ $status -eq 77 ]; then
		tap_skip "$1" "$(cat "$work/why")"
		return
	fi
	tap_check "$1: goroutines and the roots of their stacks" roots_agree "$program"
	echo "$tap_out" | grep 'samples' | sed 's/^/# /'
}

roots_agree()
{
	"$O/gojitter" record --no-bpf -q -F 1999 -o "$work/perf.data" -- "$1" --bundle --minify --sourcemap \
		--outfile="$work/out.js" "$work/main.js" >/dev/null 2>"$work/err" || { cat "$work/err"; return 1; }
	perf script -i "$work/perf.data" --dlfilter "$O/gojitter.so" --dlarg format=json >"$work/samples" || return 1
	# The probe's own records, as stock perf prints them.
	perf script -i "$work/perf.data" -F event,trace 2>/dev/null | grep goexec_ >"$work/switches"
	tests/record/others.py "$work/samples" "$work/switches" "$1" "$(tests/fixtures/gotool.sh addr2line)"
}

check_program esbuild-linux-64@0.13.15 bin/esbuild
check_program esbuild-linux-64@0.14.47 bin/esbuild
check_program @esbuild/linux-x64@0.18.20 bin/esbuild
tap_done
