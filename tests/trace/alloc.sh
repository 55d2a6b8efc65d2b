#!/bin/sh
# Refills, spans and large objects against MemStats.
. tests/tap.sh
. tests/trace/rare.sh
rare_test alloc
tap_done
