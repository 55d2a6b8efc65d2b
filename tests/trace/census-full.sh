#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# tests/trace/census.sh over all releases and forms of linking.
forms=
for version in $(tests/toolchains.sh --list); do
	# None of it is known of Go 1.15, whose arguments are on the stack.
	[ "$version" != 1.15 ] || continue
	for form in exe nosym+pie strip ext noinline noopt cgo; do
		forms="$forms $version:$form"
	done
done
GJ_CENSUS_FORMS=$forms GJ_CENSUS_BUSY='1.19 1.21 1.22 1.23 1.24 1.25 1.26 1.27' exec tests/trace/census.sh
