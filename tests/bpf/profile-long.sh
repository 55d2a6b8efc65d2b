#!/bin/sh
# tests/bpf/profile.sh with every release.
set -eu
GJ_PROFILE_VERSIONS=$(tests/toolchains.sh --list | grep -v '^1\.15$' | tr '\n' ' ')
export GJ_PROFILE_VERSIONS
exec tests/bpf/profile.sh
