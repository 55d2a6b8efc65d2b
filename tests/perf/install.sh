#!/bin/sh
# make install and make uninstall: into a DESTDIR, and below a prefix of its own
# from which every way to the plugin is then used. The perf there has an exec
# path made of links to its own, so nothing of the machine's is written to.
. tests/tap.sh

tests=$PWD/tests
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
program=$(tests/fixtures/build.sh 1.22 whirl nosym+strip) || { tap_fail "builds"; tap_done; }
twin=$(tests/fixtures/build.sh 1.22 whirl exe) || { tap_fail "builds"; tap_done; }
nm=$(tests/fixtures/gotool.sh nm) || { tap_fail "builds go tool nm"; tap_done; }
"$nm" "$twin" | awk '$2 == "T" || $2 == "t" { print $3 }' | LC_ALL=C sort -u >"$work/nm"
unset PERF GOJITTER_SO PERF_EXEC_PATH DESTDIR MAKEFLAGS MAKELEVEL

. tests/perf/ways.inc

# Nothing may go to the machine's own directories.
run_make() { make -s O="$O" traceeventdir="$work/plugins" "$@" >"$work/log" 2>&1 || { cat "$work/log"; return 1; }; }

# Files and links below a directory, as paths in it.
listing() { (cd "$1" && find . ! -type d | sed 's/^\.//' | LC_ALL=C sort); }

links_are_sound() # DIR: relative, and to something in DIR
{
	(cd "$1" && find . -type l) | while read -r link; do
		case $(readlink "$1/$link") in
		/*) echo "$link is absolute" ;;
		esac
		case $(readlink -f "$1/$link") in
		"$1"/*) [ -e "$1/$link" ] || echo "$link leads nowhere" ;;
		*) echo "$link leads out" ;;
		esac
	done | grep . && return 1
	return 0
}

mkdir "$work/plugins"

one_line_for() # PACKAGE MAKE-ARG...
{
	package=$1
	shift
	! run_make all "$@" >"$work/text" && [ "$(wc -l <"$work/log")" -eq 1 ] &&
		grep -q "missing: .*$package.*; run make demo, or scripts/deps.sh" "$work/log"
}
tap_check "what a build lacks is told in one line: protoc-c" one_line_for protobuf-c-compiler PROTOC_C=no-such
tap_check "headers" one_line_for 'libelf-dev .*libprotobuf-c-dev' "CC=gcc -nostdinc"

# What a packager does. The exec path is the machine's perf's.
dest=$work/dest
tap_check "make install DESTDIR=" run_make install DESTDIR="$dest" prefix=/usr
tap_check "the last line says how to put the front first" \
	[ "$(tail -n 1 "$work/log")" = 'perf script -s gojitter.so: put the front before perf with PATH=/usr/libexec/gojitter/bin:$PATH' ]
listing "$dest" >"$work/in-dest"
exec_path=$(perf --exec-path)
for path in /usr/bin/gojitter /usr/bin/perf-gojitter /usr/lib/libgojitter.so /usr/include/gojitter.h \
	/usr/libexec/gojitter/bin/perf "$exec_path/dlfilters/gojitter.so" \
	"$exec_path/scripts/python/bin/gojitter-report" /usr/share/man/man1/perf-gojitter.1 \
	/usr/share/man/man1/gojitter-pprof.1 /usr/share/doc/gojitter/pprof.md; do
	tap_check "installs $path" grep -qxF "$path" "$work/in-dest"
done
tap_check "links hold inside DESTDIR" links_are_sound "$dest"
tap_check "what is installed does not name DESTDIR" sh -c '! grep -rqF "$1" "$1"' sh "$dest"
tap_check "make uninstall DESTDIR=" run_make uninstall DESTDIR="$dest" prefix=/usr
tap_check "leaves nothing" [ -z "$(listing "$dest")" ]

tap_check "without a perf it installs too" run_make install DESTDIR="$dest" perfexecdir=
tap_check "and one line says what is missing" [ "$(grep -c '^no perf found: ' "$work/log")" -eq 1 ]
run_make uninstall DESTDIR="$dest" perfexecdir=
tap_check "that leaves nothing either" [ -z "$(listing "$dest")" ]

# Somebody who may not write where perf is.
mkdir "$work/perf-core"
cat >"$work/as-nobody" <<END
mount --bind "$work/perf-core" "$work/perf-core" && mount -o remount,bind,ro "$work/perf-core" || exit 77
make -s O="$O" install prefix="$dest" traceeventdir= perfexecdir="$work/perf-core" >"$work/log" 2>&1
END
unshare --mount sh "$work/as-nobody" 2>"$work/stderr"
status=$?
if [ -s "$work/stderr" ]; then
	tap_skip "installs without perf's directory" "$(head -n 1 "$work/stderr")"
else
	tap_check "installs without perf's directory" [ $status -eq 0 ]
	tap_check "and one line says what is missing there" \
		[ "$(grep -c "^$work/perf-core is not writable: " "$work/log")" -eq 1 ]
fi
rm -rf "$dest"

# What somebody does for himself.
prefix=$work/prefix
perf=$(tests/perf/perf.sh 6.1) || { tap_fail "perf 6.1 is there"; tap_done; }
mkdir -p "$prefix/perf-core"
cp -Rs "$("$perf" --exec-path)/." "$prefix/perf-core/"
find "$prefix/perf-core" -name '*gojitter*' -delete
listing "$prefix" >"$work/before"
tap_check "make install prefix=" run_make install prefix="$prefix" perfexecdir="$prefix/perf-core"

cat >"$work/use.c" <<'END'
#include <gojitter.h>
static int lines;
static void warn(void *data, const char *line) { (void)data; (void)line; lines++; }
int main(void)
{
	struct gj_host host = { .size = sizeof(host), .warn = warn };
	char *args[] = { "no=such" };
	return gj_session_new(&host, args, 1) || lines != 1;
}
END
tap_check "the header and the library are good for a program" sh -c '
	gcc -o "$1/use" "$1/use.c" -I"$2/include" -L"$2/lib" -lgojitter &&
	LD_LIBRARY_PATH=$2/lib "$1/use" && ldd "$1/use" | grep -q libgojitter.so.0' sh "$work" "$prefix"
for page in "$prefix"/share/man/man*/*; do
	# But for pages of programs that are not here, or not known to be.
	tap_check "manual page $(basename "$page")" sh -c '! mandoc -Tlint "$1" 2>&1 |
		grep -vE "referenced manual not found|outdated mandoc.db" | grep .' sh "$page"
done

home=$prefix/libexec/gojitter
front_dir=$home/bin external_dir=$prefix/bin
if ways_begin 6.1 "$perf" "$prefix/perf-core"; then
	ways_check_all
	way_path=$prefix/bin
	ways_says "the installed command's names are the plugin's" 0 '^main\.grindCoffee$' \
		gojitter sym -f -e "$program" \
		"$("$nm" "$twin" | awk '$3 == "main.grindCoffee" { print $1 }')"
	way_path=

	# The commands that run perf script with the plugin find it, however they are called.
	finds_plugin() # COMMAND
	{
		env PERF="$perf" "$1" inject -q -i "$dir/perf.data" -o "$work/whole" &&
			env PERF="$perf" "$1" pprof -i "$dir/perf.data" -o "$work/profile"
	}
	tap_check "the installed command finds its plugin" finds_plugin "$prefix/bin/gojitter"
	ln -s "$prefix/bin/gojitter" "$work/link"
	tap_check "by a link to it" finds_plugin "$work/link"
	tap_check "in the plugin's home" finds_plugin "$home/gojitter"
	mkdir "$work/alone" && cp "$prefix/bin/gojitter" "$work/alone/"
	tap_check "not without perf-gojitter beside it" sh -c '! "$@" 2>"$0" && grep -q "make install" "$0"' \
		"$work/stderr" "$work/alone/gojitter" pprof -i "$dir/perf.data" -o "$work/none"
	ln -s "$home/perf-gojitter" "$work/alone/perf-gojitter"
	tap_check "with it, where the home is elsewhere" finds_plugin "$work/alone/gojitter"
	rm "$work/alone/perf-gojitter"
	tap_check "by GOJITTER_SO" env GOJITTER_SO="$home/gojitter.so" PERF="$perf" "$work/alone/gojitter" \
		pprof -i "$dir/perf.data" -o "$work/profile"
fi

if [ -f "$O/traceevent/plugin_gojitter.so" ]; then
	tap_check "the libtraceevent plugin is where libtraceevent looks" \
		cmp "$O/traceevent/plugin_gojitter.so" "$work/plugins/plugin_gojitter.so"
else
	tap_skip "the libtraceevent plugin is where libtraceevent looks" "this build has none"
fi

tap_check "make uninstall prefix=" run_make uninstall prefix="$prefix" perfexecdir="$prefix/perf-core"
listing "$prefix" >"$work/after"
tap_check "leaves what was there before" cmp "$work/before" "$work/after"
tap_check "there and where libtraceevent looks" [ -z "$(ls -A "$work/plugins")" ]
tap_done
