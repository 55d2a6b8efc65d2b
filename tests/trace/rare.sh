# Runs a feature's test program built by each release; to be sourced behind tests/tap.sh.

# NAME [VARIANT]: tests/trace/NAME.go, checked by NAME.py BINARY MINOR
rare_test()
{
	for version in ${GJ_GO_VERSIONS:-1.19 1.22 1.24 1.25 1.26 1.27}; do
		binary=$(tests/fixtures/build.sh "$version" "tests/trace/$1.go" "${2:-exe}") || {
			tap_fail "Go $version builds it"
			continue
		}
		tap_check "$1, Go $version" python3 "tests/trace/$1.py" "$binary" "${version#1.}"
		[ -z "${GJ_TEST_VERBOSE:-}" ] || printf '%s\n' "$tap_out"
	done
}
