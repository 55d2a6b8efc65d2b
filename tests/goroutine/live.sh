#!/bin/sh
# Snapshots of live Go programs against what the Go runtime prints about itself
# (tests/goroutine/live.py), of every release, stripped and PIE; and what is
# said where there is nothing to take a snapshot of.
. tests/tap.sh

build=tests/fixtures/build.sh
live=tests/goroutine/live.py
snapshot=$O/tests/goroutine/snapshot
work=$(mktemp -d)
pids=
trap 'kill $pids 2>/dev/null; rm -rf "$work"' EXIT

check() # VERSION VARIANT MODE
{
	if binary=$($build "$1" goids "$2" 2>"$work/err"); then
		tap_check "$1 $2: $3" $live "$3" "$binary"
	else
		tap_fail "$1 $2 builds" "$(cat "$work/err")"
	fi
}

check_library() # VERSION
{
	if library=$($build "$1" golib "$2" 2>"$work/err"); then
		tap_check "$1 $2: a library in a C program" $live library "$work/host" "$library"
	else
		tap_fail "$1 $2 builds" "$(cat "$work/err")"
	fi
}

# The snapshot fails with errno $1 and says $2; the rest is the command.
says() # ERRNO TEXT COMMAND...
{
	says_errno=$1 says_text=$2
	shift 2
	says_out=$("$@") && { echo "$says_out"; return 1; }
	case $says_out in
	"error $says_errno "*"$says_text"*) [ "$(echo "$says_out" | wc -l)" -eq 1 ] || echo "$says_out" ;;
	*) echo "$says_out"; return 1 ;;
	esac
}

cat >"$work/host.c" <<'END'
#include <dlfcn.h>
#include <stdio.h>
#include <unistd.h>
int main(int argc, char **argv)
{
	if (argc < 2 || !dlopen(argv[1], RTLD_NOW))
		return puts(dlerror()), 1;
	for (;;)
		pause();
}
END
cc -o "$work/host" "$work/host.c" -ldl || tap_fail 'the C program builds'

newest=$(tests/toolchains.sh --list | tail -n 1)
for version in $(tests/toolchains.sh --list); do
	for variant in exe nosym pie+nosym; do
		check "$version" $variant same
	done
done
check 1.19 pie+ext+nosym same
check "$newest" pie+ext+nosym same
check 1.19 nosym churn
check "$newest" pie churn
check "$newest" nosym many
if unshare --pid true 2>/dev/null; then
	check 1.22 exe namespace
else
	tap_skip '1.22 exe: namespace' 'no pid namespace without privileges'
fi
check "$newest" nosym replaced
check 1.19 exe tls
check "$newest" pie+nosym tls
check_library 1.19 cshared
check_library "$newest" cshared
check_library "$newest" cshared+strip

# Programs that others built, of releases there is no toolchain for.
check_npm() # NAME@VERSION FILE ARG...
{
	name=$1
	binary=$(tests/npm.sh "$1" "$2" 2>"$work/err")
	case $? in
	0) shift 2; tap_check "$name" $live foreign "$binary" "$@" ;;
	77) tap_skip "$name" "$(cat "$work/err")" ;;
	*) tap_fail "$name" "$(cat "$work/err")" ;;
	esac
}

for version in 0.11.23 0.13.15 0.14.47; do
	check_npm esbuild-linux-64@$version bin/esbuild --service=$version
done
for version in 0.18.20 0.28.2; do
	check_npm @esbuild/linux-x64@$version bin/esbuild --service=$version
done

sleep 1000 &
pids="$pids $!"
tap_check 'a C program' says -2 'no Go program' "$snapshot" $!
tap_check 'no such process' says -3 'there is no process 4194305' "$snapshot" 4194305
if [ "$(id -u)" -eq 0 ]; then
	tap_check 'a kernel thread' says -2 'a kernel thread, or it has ended' "$snapshot" 2
	chmod 755 "$work"
	cp "$snapshot" "$work/snapshot"
	tap_check 'no permission' says -1 'no permission to look into it' \
		setpriv --reuid 65534 --clear-groups "$work/snapshot" $!
else
	tap_skip 'a kernel thread' 'only root may look into one'
	tap_skip 'no permission' 'needs root to become another user'
fi
tap_done
