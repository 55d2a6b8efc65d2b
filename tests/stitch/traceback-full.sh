#!/bin/sh
# The same in every release.
GJ_STITCH_VERSIONS='1.15 1.19 1.21 1.22 1.23 1.24 1.25 1.26 1.27' exec tests/stitch/traceback.sh
