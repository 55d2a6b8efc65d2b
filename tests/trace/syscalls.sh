#!/bin/sh
# Syscalls of known number and length, and the wait for a P behind them.
. tests/tap.sh
. tests/trace/rare.sh
rare_test syscalls
rare_test syscalls_c cgo
tap_done
