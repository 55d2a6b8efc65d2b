#!/bin/sh
# The same in more releases, at more places.
GJ_ARM64_PLACES='leaf recursion duffcopy duffzero sha256 systemstack morestack copystack mcall' \
	GJ_STITCH_VERSIONS='1.19 1.23 1.27' exec tests/stitch/arm64.sh
