# Shell functions for tests that print TAP; to be sourced.
#
#   tap_ok NAME            one check passed
#   tap_fail NAME [TEXT]   one check failed
#   tap_skip NAME WHY
#   tap_check NAME CMD...  passes when CMD exits 0; its output is shown when not
#   tap_done               prints the plan; exit status 1 when anything failed

tap_count=0
tap_bad=0

tap_ok() { tap_count=$((tap_count + 1)); echo "ok $tap_count - $1"; }

tap_fail()
{
	tap_count=$((tap_count + 1)) tap_bad=$((tap_bad + 1))
	[ -z "${2:-}" ] || printf '%s\n' "$2" | sed 's/^/# /'
	echo "not ok $tap_count - $1"
}

tap_skip() { tap_count=$((tap_count + 1)); echo "ok $tap_count - $1 # SKIP $2"; }

tap_check()
{
	tap_name=$1
	shift
	if tap_out=$("$@" 2>&1); then tap_ok "$tap_name"; else tap_fail "$tap_name" "$tap_out"; fi
}

tap_done() { echo "1..$tap_count"; [ "$tap_bad" -eq 0 ] || exit 1; exit 0; }
