#!/bin/sh
# The ways in with the newest perf, which wants a /usr of its own.
exec tests/perf/ways.sh 7.3
