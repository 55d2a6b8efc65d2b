#!/bin/sh
# gojitter pprof: profiles of recordings as go tool pprof reads them, weights as perf
# script prints them, and as go build -pgo uses them.
#
# GJ_PPROF_TOOLS: Go releases whose pprof reads; GJ_PGO: those that build with it;
# GJ_PGO_ALL: by go build -pgo; GJ_PGO_KINDS: from which profiles, with the kernel's frames (dwarf) and without (user).
. tests/perf/plugin-lib.sh

gojitter=$O/gojitter
tools=${GJ_PPROF_TOOLS:-1.19 newest}
pgo=${GJ_PGO:-1.27}
kinds=${GJ_PGO_KINDS:-dwarf}
app=$(fixture 1.24 exe) || exit 1
old=$(fixture 1.19 nosym) || exit 1

# Of a Go release: "pprof ARG..." runs its pprof.
pprof_of() # RELEASE
{
	if [ "$1" = newest ]; then
		tests/fixtures/gotool.sh pprof
	else
		goroot=$(tests/toolchains.sh "$1") && goroot=${goroot#* }
		tool=$(find -L "$goroot/pkg/tool" -name pprof | head -n 1)
		# Releases without a built one build it on first use.
		[ -n "$tool" ] || { tool=$work/pprof-$1; [ -x "$tool" ] ||
			GOROOT=$goroot GOTOOLCHAIN=local GOFLAGS= GOCACHE=$GJ_CACHE/gocache/$1 \
				"$goroot/bin/go" build -o "$tool" cmd/pprof; } >&2
		echo "$tool"
	fi
}

convert() # RECORDING PROFILE ARG...
{
	in=$1 out=$2
	shift 2
	"$gojitter" pprof -i "$in" -o "$out" "$@"
}

begin=$(date +%s)
dwarf=$work/dwarf.data fp=$work/fp.data
"$gojitter" record -q --no-probe --call-graph dwarf,16384 -o "$dwarf" -- "$app" 2 >"$work/log" 2>&1 ||
	tap_fail "record with stack dumps" "$(cat "$work/log")"
"$gojitter" record -q --no-probe -o "$fp" -- "$old" 1 >"$work/log" 2>&1 ||
	tap_fail "record with frame pointers" "$(cat "$work/log")"

for file in "$dwarf" "$fp"; do
	name=$(basename "$file" .data)
	profile=$work/$name.pb.gz
	for version in $perfs; do
		PERF=$(perf_of "$version")
		export PERF
		tap_check "$name: perf $version: a profile is made" convert "$file" "$work/$name-$version.gz"
		tap_check "$name: perf $version: twice the same bytes" sh -c \
			"'$gojitter' pprof -i '$file' -o - | cmp - '$work/$name-$version.gz'"
		[ -e "$profile" ] || cp "$work/$name-$version.gz" "$profile"
		tap_check "$name: perf $version: as perf ${perfs%% *} has it" cmp "$profile" "$work/$name-$version.gz"
	done
	PERF=$recorder
	# Oracle: perf script alone.
	"$recorder" script -i "$file" -G -F ip,period >"$work/script" 2>"$work/script.err"
	# Old binaries by the newest tool only.
	[ $name = dwarf ] && some=$tools || some=${tools##* }
	for tool in $some; do
		pprof=$(pprof_of "$tool") || { tap_fail "$name: pprof $tool" "there is none"; continue; }
		for how in top traces raw peek=main.mix list=main.mix tags; do
			tap_check "$name: pprof $tool -$how" "$pprof" "-$how" -output "$work/$how" "$profile"
		done
		tap_check "$name: pprof $tool: every address weighs what perf script says" \
			python3 tests/pprof/raw.py leaves "$work/raw" "$work/script"
		tap_check "$name: pprof $tool: inlined functions" grep -q 'main.rotate.*(inline)' "$work/top"
		tap_check "$name: pprof $tool: lines of the source" grep -Eq '[0-9]m?s +[0-9]+:.*x = rotate' "$work/list=main.mix"
		tap_check "$name: pprof $tool: whole stacks" sh -c \
			"grep -A12 'main.mix' '$work/traces' | grep -q 'runtime.goexit'"
		tap_check "$name: pprof $tool: kernel" grep -q 'kernel.kallsyms' "$work/raw"
		# Every Go function's first line is where its source has "func". Before Go 1.20 that of a
		# function that was inlined everywhere stands nowhere.
		awk '/ s=[0-9]+$/ && /app\.go/ {
			for (i = 1; i <= NF; i++) if ($i ~ /app\.go:/) { split($i, part, ":"); file = part[1] }
			sub("s=", "", $NF); if ($NF + 0) print file, $NF }' "$work/raw" | sort -u >"$work/starts"
		tap_check "$name: pprof $tool: first lines" sh -c "[ -s '$work/starts' ] && while read -r file line; do
			sed -n \"\${line}p\" \"\$file\" | grep -q func || { echo \"\$file:\$line\"; exit 1; }; done <'$work/starts'"
	done
done

# The time of day, of a recording that was begun after this script and is over now.
when=$(sed -n 's/^Time: \(.*\) UTC.*/\1/p' "$work/raw")
tap_check 'time of day' sh -c "then=\$(date -u -d '${when% +*}' +%s) &&
	[ \$then -ge $begin ] && [ \$then -le \$(date +%s) ]"

# Labels and frames on request. The recording above has no goroutine ids but by snapshots.
pprof=$(pprof_of "${tools%% *}")
convert "$dwarf" "$work/labels.gz" --labels thread,cpu && "$pprof" -raw -output "$work/raw" "$work/labels.gz" 2>"$work/err"
tap_check 'labels thread and cpu' grep -q 'thread:\[plugin-app/[0-9]*\]' "$work/raw"
# Processor 0 too: a number without a unit would be no label where it is 0.
tap_check 'label cpu is on every sample' sh -c \
	"[ \$(grep -Ec 'cpu:\[[0-9]+ cpu\]' '$work/raw') = \$(grep -Ec '^ +[0-9]+ +[0-9]+: ' '$work/raw') ]"
convert "$dwarf" "$work/none.gz" --labels none && "$pprof" -raw -output "$work/raw" "$work/none.gz" 2>"$work/err"
tap_check 'no labels' sh -c "! grep -q ':\\[' '$work/raw'"
convert "$dwarf" "$work/user.gz" --no-kernel && "$pprof" -raw -output "$work/raw" "$work/user.gz" 2>"$work/err"
tap_check 'without the kernel' sh -c "grep -q syscall '$work/raw' && ! grep -q kernel.kallsyms '$work/raw'"

# What perf reads we read: compressed, by a pipe, with an event that is no clock.
perf_record() { "$recorder" record -q -e "$sampler" -g "$@" -- "$app" 0.5 >"$work/log" 2>&1; }
perf_record -z -o "$work/z.data" && convert "$work/z.data" "$work/z.gz"
tap_check 'compressed recording' "$pprof" -top "$work/z.gz"
perf_record -o - | cat >"$work/pipe.data"
"$recorder" record -q -e "$sampler" -g -o - -- "$app" 0.5 2>/dev/null | convert - "$work/pipe.gz"
tap_check 'recording by a pipe' "$pprof" -top "$work/pipe.gz"
"$recorder" record -q -e context-switches -c 1 -g -o "$work/cs.data" -- "$app" 0.3 >"$work/log" 2>&1
convert "$work/cs.data" "$work/cs.gz" && "$pprof" -raw -output "$work/raw" "$work/cs.gz" 2>"$work/err"
tap_check 'another event by its name' grep -q 'samples/count context-switches/count' "$work/raw"

# Go's compiler. Functions that our inlined lines make hot must be so to it.
cp -r tests/perf/plugin-app "$work/src"
for release in $pgo; do
	goroot=$(tests/toolchains.sh "$release") && goroot=${goroot#* }
	printf 'module app\n\ngo %s\n' "$release" >"$work/src/go.mod"
	compile() # LOG ARG...
	{
		log=$1
		shift
		(cd "$work/src" && GOROOT=$goroot GOTOOLCHAIN=local GOFLAGS=-mod=mod GOPROXY=off CGO_ENABLED=0 \
			GOCACHE=$GJ_CACHE/gocache/$release "$goroot/bin/go" build "$@" \
			"-gcflags=app=-m=2 -d=pgodebug=1$pgo_flag" -o "$work/pgo" . >"$log" 2>&1)
	}
	# go build -pgo compiles Go's own packages anew, too; for one package the compiler will do.
	use_profile() # FILE
	{
		if [ -n "${GJ_PGO_ALL:-}" ]; then pgo_arg=-pgo=$1; else pgo_arg=-pgo=off pgo_flag=" -pgoprofile=$1"; fi
	}
	pgo_flag=
	tap_check "go $release build without a profile" compile "$work/plain.log" -pgo=off
	for kind in $kinds; do
		use_profile "$work/$kind.$([ $kind = dwarf ] && echo pb.gz || echo gz)"
		tap_check "go $release build by a profile: $kind" compile "$work/$kind.log" "$pgo_arg"
		for func in main.rotate main.shift; do
			tap_check "go $release: $kind: $func is hot" grep -q "hot-node enabled.*func=$func\$" "$work/$kind.log"
		done
		tap_check "go $release: $kind: inlines more than without" sh -c \
			"grep -q hot-budget '$work/$kind.log' && ! grep -q 'hot-' '$work/plain.log'"
	done
done

# What goes wrong is told in one line and leaves no file.
refuses() # PATTERN ARG...
{
	pattern=$1
	shift
	! "$gojitter" pprof "$@" >"$work/out" 2>"$work/err" && [ ! -e "$work/no.gz" ] &&
		[ "$(grep -vc '^see gojitter' "$work/err")" = 1 ] && grep -q '^gojitter: ' "$work/err" && grep -q "$pattern" "$work/err" || {
		cat "$work/err"
		return 1
	}
}
echo nonsense >"$work/nonsense"
tap_check 'no recording' refuses 'missing: .* script cannot read it: .*No such file' -i "$work/missing" -o "$work/no.gz"
tap_check 'not a recording' refuses 'nonsense: .* script cannot read it' -i "$work/nonsense" -o "$work/no.gz"
tap_check 'no samples' refuses 'no samples are left' -i "$fp" --event nonsense -o "$work/no.gz"
tap_check 'wrong labels' refuses 'not understood' --labels goids -o "$work/no.gz"
tap_check 'compare with nonsense' refuses 'not a pprof profile' --compare "$work/nonsense" "$work/user.gz"
tap_check 'compare with nothing' refuses 'No such file' --compare "$work/missing" "$work/user.gz"
tap_check 'no field of that name' refuses 'cannot read it: Invalid field' -i "$fp" -o "$work/no.gz" -- -F nonsense
tap_check 'no perf' env PERF=/nonexistent sh -c "! '$gojitter' pprof -i '$fp' -o '$work/no.gz' 2>'$work/err' && grep -q 'install linux-perf' '$work/err'"
tap_done
