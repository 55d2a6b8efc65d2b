#!/bin/sh
# Cycles, stops of the world and assists as the runtime itself counts them.
. tests/tap.sh
. tests/trace/rare.sh
rare_test gc
tap_done
