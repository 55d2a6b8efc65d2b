#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Puts links to gojitter's parts where perf looks for what it runs: its exec
# path, as `perf --exec-path` prints it.
#
#   exec-path.sh HOME DIR [STOCK]
#
# HOME holds the parts. With STOCK, perf's own exec path, DIR becomes a copy of
# it made of links, to be named by PERF_EXEC_PATH: that replaces perf's own, so
# everything in it must be there too.
set -eu

[ $# -ge 2 ] || { echo "usage: $0 HOME DIR [STOCK]" >&2; exit 2; }
home=$1 dir=$2 stock=${3:-}

if [ -n "$stock" ] && [ -d "$stock" ]; then
	mkdir -p "$dir"
	cp -Rsf "$(cd "$stock" && pwd)/." "$dir/"
fi
mkdir -p "$dir/dlfilters" "$dir/scripts/python/bin"
ln -srf "$home/gojitter.so" "$dir/dlfilters/gojitter.so"
ln -srf "$home/gojitter.py" "$dir/scripts/python/gojitter.py"
ln -srf "$home/gojitter-record" "$dir/scripts/python/bin/gojitter-record"
ln -srf "$home/gojitter-report" "$dir/scripts/python/bin/gojitter-report"
ln -srf "$home/perf-gojitter" "$dir/perf-gojitter"
