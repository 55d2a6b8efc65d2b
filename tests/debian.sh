#!/bin/sh
# Fetches packages of any Debian suite and unpacks them into a directory of our own.
#
#   tests/debian.sh [--closure] SUITE[,SUITE...] DEST PACKAGE[/SUITE]...
#
# With --closure everything the packages depend on comes too, so that DEST/usr
# can stand in for the machine's own.
# apt runs on a private sources list, state and cache below $GJ_CACHE, so the
# machine's own apt configuration and package database stay untouched. The
# archive's address and keyring are those the machine already uses. Exit
# status 0 when every package stands unpacked in DEST.
set -eu

closure=
[ "${1:-}" != --closure ] || { closure=yes; shift; }
[ $# -ge 3 ] || { echo "usage: $0 [--closure] SUITE[,SUITE...] DEST PACKAGE..." >&2; exit 2; }
suite=$1 dest=$2
shift 2
cache=${GJ_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/gojitter}
state=$cache/apt/$suite
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

stamp=$dest/.unpacked
[ "$(cat "$stamp" 2>/dev/null)" = "$suite $*" ] && exit 0

# The archive the machine's own sources name, whatever mirror that is.
uri=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' |
	grep -E '/debian/?$' | head -n 1)
[ -n "$uri" ] || {
	echo "$0: this machine's apt sources name no Debian archive" >&2
	exit 1
}

mkdir -p "$state/lists/partial" "$state/archives/partial" "$dest"
exec 9>"$state/lock"
flock 9
for one in $(echo "$suite" | tr , ' '); do
	printf 'deb [signed-by=%s] %s %s main\n' "$keyring" "$uri" "$one"
done >"$state/sources.list"
: >"$state/status"

private_apt()
{
	apt-get -q -o Dir::Etc::sourcelist="$state/sources.list" \
		-o Dir::Etc::sourceparts=/dev/null \
		-o Dir::State="$state" -o Dir::State::lists="$state/lists" \
		-o Dir::State::status="$state/status" \
		-o Dir::Cache="$state" -o Dir::Cache::archives="$state/archives" \
		-o APT::Sandbox::User=root -o Acquire::Retries=3 "$@"
}

# Lists older than a day are fetched again.
if [ -z "$(find "$state/lists" -maxdepth 1 -name '*Packages*' -mtime -1 2>/dev/null)" ]; then
	private_apt update >"$state/update.log" 2>&1 || { cat "$state/update.log" >&2; exit 1; }
fi
work=$(mktemp -d "$state/get.XXXXXX")
trap 'rm -rf "$work"' EXIT
fetch()
{
	if [ -n "$closure" ]; then
		private_apt -o Dir::Cache::archives="$work" -y --download-only \
			--no-install-recommends install "$@"
	else
		private_apt download "$@"
	fi
}
mkdir "$work/partial"
(cd "$work" && fetch "$@" >get.log 2>&1) || { cat "$work/get.log" >&2; exit 1; }
for deb in "$work"/*.deb; do
	dpkg -x "$deb" "$dest"
	echo "$(basename "$deb")" >>"$dest/.packages"
done
echo "$suite $*" >"$stamp"
