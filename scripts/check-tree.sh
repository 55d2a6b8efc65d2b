#!/bin/sh
# Checks the rules of the tree: each directory under src/ includes only what
# stands before it in the flow and only that directory's public header, every
# header compiles alone, libelf stays in src/elf, every file names its licence.
set -eu

cd "$(dirname "$0")/.."
order='base sample elf demangle goroutine probe debuginfo stitch report session record cmd'
bad=0
complain() { echo "$1" >&2; bad=1; }

seen=
for dir in $order; do
	seen="$seen $dir"
	for file in $(git ls-files -co --exclude-standard "src/$dir" | grep '\.[ch]$'); do
		for header in $(sed -n 's/^#include "\(.*\)"/\1/p' "$file"); do
			part=${header%%/*}
			case $header in
			gojitter*) continue ;;
			esac
			case " $seen " in
			*" $part "*) ;;
			*) complain "$file includes $header, which does not stand before src/$dir" ;;
			esac
			[ "$part" = base ] || [ "$part" = "$dir" ] || [ "$header" = "$part/$part.h" ] ||
				complain "$file includes $header, an internal header of src/$part"
		done
		if [ "$dir" != elf ] && grep -qE '^#include <(libelf|gelf)\.h>' "$file"; then
			complain "$file includes libelf; only src/elf may"
		fi
	done
done

for header in $(git ls-files -co --exclude-standard src include | grep '\.h$'); do
	${CC:-gcc} -std=gnu11 -D_GNU_SOURCE -Isrc -Iinclude -fsyntax-only -x c "$header" 2>/dev/null ||
		complain "$header does not compile alone"
done

for file in $(git ls-files -co --exclude-standard | grep -E '\.(c|h|mk)$|^Makefile$'); do
	head -n 1 "$file" | grep -q SPDX-License-Identifier || complain "$file names no licence"
done
exit $bad
