#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Prints the directory of prometheus, promtool and prometheus-node-exporter: Debian's,
# unpacked below $GJ_CACHE. Installed, they would serve on this machine's network.
set -eu

root=${GJ_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/gojitter}/prometheus
"$(dirname "$0")/../debian.sh" bookworm "$root" prometheus prometheus-node-exporter >&2
echo "$root/usr/bin"
