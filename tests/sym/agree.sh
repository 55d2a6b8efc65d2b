#!/bin/sh
# Single look-ups, batches and plain walks over the tables must say the same of
# every address (tests/sym/agree.c), from several threads at once.
. tests/tap.sh

agree=$O/tests/sym/agree

agrees() # VERSION PROGRAM VARIANT
{
	agrees_binary=$(tests/fixtures/build.sh "$1" "$2" "$3") &&
		agrees_said=$("$agree" "$agrees_binary") || { echo "$agrees_said"; return 1; }
	# ABI wrappers came with Go 1.17.
	[ "$1" = 1.15 ] || ! echo "$agrees_said" | grep ' [0-9] twins'
}

for version in $(tests/toolchains.sh --list); do
	tap_check "$version rich exe" agrees "$version" rich exe
done
tap_check "1.15 rich lld+pie" agrees 1.15 rich lld+pie
tap_check "1.27 rich arm64" agrees 1.27 rich arm64
tap_check "1.27 cgo cshared" agrees 1.27 cgo cshared
big=$(tests/fixtures/gotool.sh link) && tap_check "Go's linker" "$agree" "$big" 100000
tap_done
