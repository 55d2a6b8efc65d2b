#!/bin/sh
# Builds perf from Debian's kernel source with our patch in it, and prints the
# path of the binary.
#
#   tests/perf/patched.sh 6.1|7.3
#
# It is a perf without the parts the patch does not meet (Python, Perl, the
# terminal's views), which takes two to four minutes. Below $GJ_CACHE, once for
# each patch and source; flex and bison are unpacked there too.
set -eu

[ $# -eq 1 ] || { echo "usage: $0 6.1|7.3" >&2; exit 2; }
version=$1
tests=$(cd "$(dirname "$0")/.." && pwd)
patch=$tests/../contrib/perf-$version-script-take-a-dlfilter.patch
cache=${GJ_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/gojitter}
case $version in
6.1) suite=bookworm newer= ;;
7.3) suite=trixie-backports newer='BUILD_BPF_SKEL=0 NO_RUST=1 NO_SHELLCHECK=1' ;;
*) echo "$0: there is no patch for perf '$version'" >&2; exit 2 ;;
esac

"$tests/debian.sh" "$suite" "$cache/source/$version" "linux-source-$version" >&2
archive=$cache/source/$version/usr/src/linux-source-$version.tar.xz
id=$({ cat "$patch" "$0"; stat -c %s "$archive"; } | sha256sum | cut -c1-16)
dir=$cache/perf-patched/$version-$id
mkdir -p "$dir"
exec 9>"$dir/lock"
flock 9
if [ ! -x "$dir/perf" ]; then
	tools=$cache/perf-patched/tools
	"$tests/debian.sh" bookworm "$tools" flex bison m4 9>&- >&2
	PATH=$tools/usr/bin:$PATH M4=$tools/usr/bin/m4 BISON_PKGDATADIR=$tools/usr/share/bison
	export PATH M4 BISON_PKGDATADIR
	top=linux-source-$version
	work=$(mktemp -d "$dir/build.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	mkdir "$work/out"
	tar -C "$work" -xJf "$archive" "$top/tools" "$top/scripts" "$top/include" "$top/lib" \
		"$top/kernel" "$top/arch/x86" "$top/arch/arm64" "$top/Makefile"
	# Without fuzz, and not as part of a repository the cache may be in.
	(cd "$work/$top" && GIT_CEILING_DIRECTORIES=$work git apply "$patch") >&2
	perl "$work/$top/scripts/checkpatch.pl" --no-tree --ignore MISSING_SIGN_OFF "$patch" >&2
	make -C "$work/$top/tools/perf" O="$work/out" -j"$(nproc)" WERROR=0 VF=0 CORESIGHT= \
		$newer NO_GTK2=1 NO_JEVENTS=1 NO_JVMTI=1 NO_LIBAUDIT=1 NO_LIBBABELTRACE=1 \
		NO_LIBBPF=1 NO_LIBCAP=1 NO_LIBCRYPTO=1 NO_LIBNUMA=1 NO_LIBPERL=1 NO_LIBPYTHON=1 \
		NO_LIBUNWIND=1 NO_LIBZSTD=1 NO_LZMA=1 NO_SDT=1 NO_SLANG=1 \
		>"$dir/build.log" 2>&1 9>&- || { tail -n 30 "$dir/build.log" >&2; exit 1; }
	mv "$work/out/perf" "$dir/perf"
fi
echo "$dir/perf"
