#!/bin/sh
# The tests of the perf plugin again, with the newest perf, and with 6.12 what
# make check does with 6.1 alone.
set -u
status=0
for test in plugin.sh plugin-formats.sh plugin-bad.sh plugin-packaged.sh consumers.sh; do
	GJ_PERFS=7.3 "tests/perf/$test" || status=1
done
for test in plugin-formats.sh plugin-bad.sh; do
	GJ_PERFS=6.12 "tests/perf/$test" || status=1
done
exit $status
