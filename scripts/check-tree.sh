#!/bin/sh
# Checks the rules of the tree: each directory under src/ includes only what
# stands before it in the flow and only that directory's public header (src/probe has two), every
# header compiles alone, libelf stays in src/elf, skeletons of BPF programs where these
# are loaded, every file names its licence, every map stands in docs/abi.md.
#
#   scripts/check-tree.sh [TEST...]
#
# TESTs are the scripts that make check and its like run: each is there, once.
set -eu

cd "$(dirname "$0")/.."
order='base sample perf elf demangle goroutine probe bpftrace debuginfo stitch pprof report session inject record profile events load export cmd'
# Whoever the tree belongs to; nothing would be checked without the list.
files=$(git -c safe.directory='*' ls-files -co --exclude-standard) || {
	echo "$0: git cannot list the files of this tree" >&2
	exit 1
}
# What was built is nobody's source, wherever it is.
out=$(realpath -m --relative-to=. "${O:-build}")
files=$(echo "$files" | awk -v out="$out/" 'index($0, out) != 1')
bad=0
complain() { echo "$1" >&2; bad=1; }

seen=
for dir in $order; do
	seen="$seen $dir"
	for file in $(echo "$files" | grep "^src/$dir/.*\.[ch]\$"); do
		for header in $(sed -n 's/^#include "\(.*\)"/\1/p' "$file"); do
			part=${header%%/*}
			case $header in
			gojitter*|gj_abi.h|gj_trace.h|gj_trace_*.h) continue ;;
			esac
			case " $seen " in
			*" $part "*) ;;
			*) complain "$file includes $header, which does not stand before src/$dir" ;;
			esac
			[ "$part" = base ] || [ "$part" = "$dir" ] || [ "$header" = "$part/$part.h" ] ||
				[ "$header" = probe/feature.h ] ||
				complain "$file includes $header, an internal header of src/$part"
		done
		if [ "$dir" != elf ] && grep -qE '^#include <(libelf|gelf)\.h>' "$file"; then
			complain "$file includes libelf; only src/elf may"
		fi
	done
done

# A BPF program is loaded by one file, which alone knows its skeleton.
for file in $(echo "$files" | grep -E '^(src|include|plugins)/.*\.[ch]$'); do
	case $file in
	src/record/sampler.c) own=sampler.skel.h ;;
	src/profile/profiler.c) own=profile.skel.h ;;
	*) own= ;;
	esac
	for skeleton in $(sed -n 's/^#include [<"]\(.*\.skel\.h\)[>"]/\1/p' "$file"); do
		[ "$skeleton" = "$own" ] || complain "$file includes $skeleton; who loads it may alone"
	done
done

for header in $(echo "$files" | grep -E '^(src|include)/.*\.h$'); do
	${CC:-gcc} -std=gnu11 -D_GNU_SOURCE -Isrc -Iinclude -Ibpf -fsyntax-only -x c "$header" 2>/dev/null ||
		complain "$header does not compile alone"
done

for file in $(echo "$files" | grep -E '\.(c|h|mk)$|^Makefile$'); do
	head -n 1 "$file" | grep -q SPDX-License-Identifier || complain "$file names no licence"
done

# Whoever reads a map has to find it in docs/abi.md.
for map in $(sed -n 's/^} \([a-z_0-9]*\) SEC(".maps");.*/\1/p' bpf/*.bpf.[ch] | sort -u); do
	grep -q "^|.*\`$map\`.*|.*|" docs/abi.md || complain "docs/abi.md has no row for the map $map"
done

for test; do
	[ -x "$test" ] || complain "mk/test.mk: $test is no executable file"
done
for test in $(printf '%s\n' "$@" | sort | uniq -d); do
	complain "mk/test.mk: $test is there twice"
done
exit $bad
