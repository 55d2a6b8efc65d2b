#!/bin/sh
# Prints the path of a bpftool that attaches what it loads (`autoattach`, 7.5 and
# later): the machine's own, or bookworm-backports', unpacked below $GJ_CACHE.
set -eu

tests=$(cd "$(dirname "$0")/.." && pwd)
cache=${GJ_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/gojitter}

# It calls itself by the path it was run as.
is_new()
{
	set -- $("$1" version 2>/dev/null | sed -n 's/.*bpftool v\([0-9]*\)\.\([0-9]*\).*/\1 \2/p')
	[ $# -eq 2 ] && { [ "$1" -gt 7 ] || { [ "$1" -eq 7 ] && [ "$2" -ge 5 ]; }; }
}

for own in $(command -v bpftool) /usr/sbin/bpftool; do
	if is_new "$own"; then
		echo "$own"
		exit 0
	fi
done
root=$cache/bpftool/7.5
mkdir -p "$root"
exec 9>"$root.lock"
flock 9
"$tests/debian.sh" bookworm-backports "$root" bpftool 9>&- >&2
is_new "$root/usr/sbin/bpftool" || { echo "$0: bookworm-backports' bpftool is not 7.5 or later" >&2; exit 1; }
echo "$root/usr/sbin/bpftool"
