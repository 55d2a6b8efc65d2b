#!/bin/sh
# The Go toolchains of the test matrix, from Debian's suites.
#
#   tests/toolchains.sh [--list] [VERSION...]
#
# Fetches each VERSION (all by default) into $GJ_CACHE/go/VERSION and prints
# "VERSION GOROOT" for each one that works. Go 1.16 to 1.18 and 1.20 are in no
# suite. A version that cannot be had is named on standard error and makes the
# exit status 1.
set -eu

here=$(dirname "$0")
cache=${GJ_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/gojitter}

suites='1.15 bullseye
1.19 bookworm
1.21 bookworm-backports
1.22 bookworm-backports
1.23 bookworm-backports
1.24 trixie
1.25 trixie-backports
1.26 trixie-backports
1.27 trixie-backports'

if [ "${1:-}" = --list ]; then
	echo "$suites" | cut -d' ' -f1
	exit 0
fi
[ $# -gt 0 ] || set -- $(echo "$suites" | cut -d' ' -f1)

failed=0
for version; do
	suite=$(echo "$suites" | sed -n "s/^$version //p")
	root=$cache/go/$version
	goroot=$root/usr/lib/go-$version
	if [ -n "$suite" ] && "$here/debian.sh" "$suite" "$root" \
		"golang-$version-go" "golang-$version-src"; then
		# Debian splits the tree over two packages, joined by absolute
		# links; point them inside the unpacked root.
		for link in $(find "$goroot" -maxdepth 2 -type l); do
			to=$(readlink "$link")
			case $to in
			/*) ln -sfn "$root$to" "$link" ;;
			esac
		done
		if GOTOOLCHAIN=local GOROOT=$goroot "$goroot/bin/go" version >/dev/null; then
			echo "$version $goroot"
			continue
		fi
	fi
	echo "$0: no Go $version" >&2
	failed=1
done
exit $failed
