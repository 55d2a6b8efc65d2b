#!/bin/sh
# One file of a package of the npm registry, for real programs that nobody here
# built.
#
#   tests/npm.sh NAME@VERSION FILE
#
# Fetches the package once into $GJ_CACHE/npm, checks its integrity (npm does)
# and prints where FILE stands. Exit status 77 and the reason on standard error
# when npm is missing or the registry cannot be reached.
set -eu

[ $# -eq 2 ] || { echo "usage: $0 NAME@VERSION FILE" >&2; exit 2; }
cache=${GJ_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/gojitter}/npm
dir=$cache/$(echo "$1" | tr / _)

mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9
if [ ! -d "$dir" ]; then
	command -v npm >/dev/null || { echo "npm is not installed" >&2; exit 77; }
	work=$(mktemp -d "$cache/get.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	(cd "$work" && timeout 120 npm pack --silent "$1" >pack.log 2>&1 9>&-) || {
		echo "npm cannot fetch $1: $(tail -n 1 "$work/pack.log")" >&2
		exit 77
	}
	mkdir "$work/package"
	tar -xzf "$work"/*.tgz --strip-components=1 -C "$work/package"
	mv "$work/package" "$dir"
fi
[ -f "$dir/$2" ] || { echo "$0: $1 has no $2" >&2; exit 1; }
echo "$dir/$2"
