#!/bin/sh
# Single look-ups, batches and plain walks over the tables must say the same of
# every address (tests/sym/agree.c), from several threads at once.
. tests/tap.sh

agree=$O/tests/sym/agree

agrees() # VERSION PROGRAM VARIANT
{
	agrees_binary=$(tests/fixtures/build.sh "$1" "$2" "$3") && "$agree" "$agrees_binary"
}

for version in $(tests/toolchains.sh --list); do
	tap_check "$version rich exe" agrees "$version" rich exe
done
tap_check "1.15 rich lld+pie" agrees 1.15 rich lld+pie
tap_check "1.27 rich arm64" agrees 1.27 rich arm64
tap_check "1.27 cgo cshared" agrees 1.27 cgo cshared
big=$(tests/fixtures/gotool.sh link) && tap_check "Go's linker" "$agree" "$big" 100000
tap_done
