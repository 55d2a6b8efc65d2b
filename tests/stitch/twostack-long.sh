#!/bin/sh
# tests/stitch/twostack.sh with every release.
set -eu
GJ_TWOSTACK_VERSIONS=$(tests/toolchains.sh --list | grep -v '^1\.15$')
export GJ_TWOSTACK_VERSIONS
exec tests/stitch/twostack.sh
