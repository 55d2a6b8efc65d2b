#!/bin/sh
# The patch for the newest perf.
exec tests/perf/contrib.sh 7.3
