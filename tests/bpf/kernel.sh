#!/bin/sh
# Fetches a Debian kernel, and what boots it, without installing anything; prints
# the directory it is unpacked in.
#
#   tests/bpf/kernel.sh SUITE
#
# The kernel is the one that SUITE's linux-image-amd64 stands for. Beside it,
# ../tools holds qemu, kmod and a static busybox.
set -eu

[ $# -eq 1 ] || { echo "usage: $0 SUITE" >&2; exit 2; }
suite=$1
tests=$(cd "$(dirname "$0")/.." && pwd)
cache=${GJ_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/gojitter}

"$tests/debian.sh" --closure bookworm "$cache/kernel/tools" qemu-system-x86 seabios busybox-static kmod >&2
# Fetches the suite's lists.
"$tests/debian.sh" "$suite" "$cache/kernel/meta/$suite" linux-image-amd64 >&2

# The packages that the package without a version depends on; since 7.x there are several.
state=$cache/apt/$suite
depends() # PACKAGE
{
	apt-cache -o Dir::Etc::sourcelist="$state/sources.list" -o Dir::Etc::sourceparts=/dev/null \
		-o Dir::State="$state" -o Dir::State::lists="$state/lists" \
		-o Dir::State::status="$state/status" -o Dir::Cache="$state" depends "$1" |
		awk '$1 == "Depends:" && $2 ~ /^linux-(image|base|binary|modules)-[0-9]/ { print $2 }'
}
image=$(depends linux-image-amd64 | grep '^linux-image-')
packages=$(depends "$image" | sort -u)
[ -n "$packages" ] || packages=$image
# shellcheck disable=SC2086 # several words
"$tests/debian.sh" "$suite" "$cache/kernel/$suite" $packages >&2
echo "$cache/kernel/$suite"
