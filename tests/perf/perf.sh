#!/bin/sh
# Prints the path of a perf of the wanted release: an executable that takes
# perf's arguments and behaves like it.
#
#   tests/perf/perf.sh 6.1|6.12|7.3
#
# 6.1 is the machine's own where that is Debian 12's. 6.12 is bookworm-backports'
# and runs on the machine's libraries. 7.3 is trixie-backports' and wants newer
# ones: it runs in a mount namespace of its own in which /usr is the unpacked
# suite and everything else is the machine's, so paths in recordings stay true.
# All are unpacked below $GJ_CACHE/perf; nothing is installed. Where a suite has
# moved on, what it holds now is taken and named on standard error.
set -eu

[ $# -eq 1 ] || { echo "usage: $0 6.1|6.12|7.3" >&2; exit 2; }
version=$1
tests=$(cd "$(dirname "$0")/.." && pwd)
cache=${GJ_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/gojitter}
root=$cache/perf/$version
entry=$root/perf

is_version() # PERF
{
	found=$("$1" --version 2>&1) || return 1
	case $found in
	"perf version $version" | "perf version $version."*) return 0 ;;
	esac
	return 2
}

# The unpacked scripts and dlfilters, unless the caller has others.
write_plain_entry()
{
	cat >"$entry.new" <<-END
	#!/bin/sh
	PERF_EXEC_PATH=\${PERF_EXEC_PATH:-"$root/usr/lib/perf-core"}
	export PERF_EXEC_PATH
	exec "$root/usr/bin/perf" "\$@"
	END
}

# Libraries that gojitter was linked with here and whose name the newer suite
# changed travel along. unshare keeps the process, so signals and \$! still work.
write_namespace_entry()
{
	mkdir -p "$root/host-lib" "$root/usr/local" "$root/usr/src"
	ln -sf mawk "$root/usr/bin/awk"
	for library in $(ldconfig -p | sed -n 's/.* => \(.*lib\(Zy\|protobuf-c\)[^ ]*\)$/\1/p'); do
		[ -e "$root/usr/lib/x86_64-linux-gnu/${library##*/}" ] || cp -L "$library" "$root/host-lib/"
	done
	cat >"$entry.new" <<-END
	#!/bin/sh
	user=
	[ "\$(id -u)" -eq 0 ] || user=--map-root-user
	exec unshare --mount \$user --propagation private /bin/sh -c '
		root=\$1
		shift
		mount --bind /usr/local "\$root/usr/local" && mount --bind /usr/src "\$root/usr/src" &&
		mount --rbind "\$root/usr" /usr || exit 125
		LD_LIBRARY_PATH=\${LD_LIBRARY_PATH:+\$LD_LIBRARY_PATH:}\$root/host-lib
		export LD_LIBRARY_PATH
		exec /usr/bin/perf "\$@"' perf "$root" "\$@"
	END
}

case $version in
6.1)
	if [ -x /usr/bin/perf ] && is_version /usr/bin/perf; then
		echo /usr/bin/perf
		exit 0
	fi
	set -- bookworm linux-perf
	;;
6.12) set -- bookworm-backports linux-perf ;;
7.3) set -- trixie,trixie-backports linux-perf/trixie-backports bash dash coreutils sed grep mawk mount util-linux ;;
*) echo "$0: there is no perf '$version' here; there are 6.1, 6.12 and 7.3" >&2; exit 2 ;;
esac

if [ ! -x "$entry" ] || [ "$entry" -ot "$0" ]; then
	suite=$1
	shift
	mkdir -p "$root"
	exec 9>"$root.lock"
	flock 9
	if [ "$version" = 7.3 ]; then
		"$tests/debian.sh" --closure "$suite" "$root" "$@" 9>&- >&2
		write_namespace_entry
	else
		"$tests/debian.sh" "$suite" "$root" "$@" 9>&- >&2
		write_plain_entry
	fi
	chmod +x "$entry.new"
	mv "$entry.new" "$entry"
fi
status=0
is_version "$entry" || status=$?
case $status in
0) ;;
2) echo "$0: wanted perf $version, the suite now has: $found" >&2 ;;
*) echo "$0: perf $version does not run here: $found" >&2; exit 1 ;;
esac
echo "$entry"
