#!/bin/sh
# Installs the Debian packages that building, running and testing need.
#
#   scripts/deps.sh [demo]
#
# demo: only what building and the demonstration need. As root it installs what
# is missing; otherwise it prints the one command that does and fails. It
# changes nothing when all are there.
set -eu

packages='gcc make libc6-dev pkg-config
libelf-dev libdw-dev zlib1g-dev libzydis-dev libtraceevent-dev linux-perf golang-go
clang bpftool libbpf-dev'
# pprof profiles.
packages="$packages libprotobuf-c-dev protobuf-c-compiler"
# gojitter export.
packages="$packages libmicrohttpd-dev"
[ "${1:-}" = demo ] || packages="$packages
g++ git libiberty-dev libcmocka-dev bpftrace trace-cmd gdb binutils
lld llvm libclang-rt-14-dev python3 perl curl ca-certificates nodejs npm mandoc file procps"
# For make check-long: Debian's kernel source is an .xz archive.
[ "${1:-}" = demo ] || packages="$packages xz-utils"
# arm64 programs, emulated and stepped (tests/stitch/arm64.sh).
[ "${1:-}" = demo ] || packages="$packages qemu-user gdb-multiarch"

# A network that loses packets (tests/bpftrace/scripts.sh).
[ "${1:-}" = demo ] || packages="$packages iproute2"

missing=
for package in $packages; do
	case $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null) in
	'install ok installed') ;;
	*)
		# A machine that has the program from elsewhere is left alone.
		case $package in
		nodejs) command -v node >/dev/null && continue ;;
		npm) command -v npm >/dev/null && continue ;;
		esac
		missing="$missing $package"
		;;
	esac
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -ne 0 ]; then
	echo "packages are missing; run: sudo apt-get install --no-install-recommends$missing" >&2
	exit 1
fi
echo "installing (this may take minutes):$missing"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive
# A fresh machine may be busy with its own updates.
apt() { apt-get -y -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3 "$@"; }
{ apt update && apt install --no-install-recommends $missing; } >"$log" 2>&1 || {
	tail -n 20 "$log" >&2
	echo "gojitter: the packages could not be installed; the lines above say why" >&2
	exit 1
}
