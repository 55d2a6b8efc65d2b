#!/bin/sh
# The two-stack sampler and the profile on Debian's kernels: stable's, the next
# one's and the newest, in an emulated machine. What is recorded there is judged here,
# against what the programs say of themselves.
. tests/tap.sh

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
top=$(pwd)
build=$(cd "$O" && pwd)
spins=$(tests/fixtures/build.sh 1.27 spins nosym) && kinds=$(tests/fixtures/build.sh 1.27 kinds exe) || exit 1

# Code runs a tenth as fast there: the kernel alone takes seconds to check a program.
cat >"$work/script" <<END
uname -r >/mnt/version
cd '$top' || exit 1
'$build/gojitter' record -F 499 -o /run/perf.data -- '$spins' 4 >/mnt/truth 2>/mnt/record.err || exit 2
cp /run/perf.data /mnt || exit 3
'$kinds' 100 >/mnt/kinds &
target=\$!
for second in 1 2 3 4 5 6; do
	! grep -q ready /mnt/kinds || break
	sleep 1
done
'$build/gojitter' profile -p \$target -F 299 --for 3s --by=goid --folded -o /mnt/folded 2>/mnt/profile.err || exit 4
kill \$target
END

boot() # SUITE
{
	kernel=$(tests/bpf/kernel.sh "$1" 2>"$work/err") || { cat "$work/err"; return 1; }
	tests/bpf/boot.sh "$kernel" "$work/script" "$share"
	status=$?
	cat "$share"/*.err
	echo "exit status $status of Linux $(cat "$share/version")"
	return $status
}

recorded()
{
	perf script -i "$share/perf.data" --dlfilter "$O/gojitter.so" --dlarg format=json >"$work/samples" 2>"$work/said"
	grep quality "$work/said"
	sed -n 's/.* complete=\([0-9.]*\)%.*/\1/p' "$work/said" | awk '{ seen = $1 >= 99 } END { exit !seen }' &&
		tests/record/truth.py "$share/truth" "$work/samples"
}

profiled()
{
	awk '/ complete;/ { whole = $7 } END { exit !(whole >= 98) }' "$share/profile.err" &&
		tests/bpf/profile.py "$share/kinds" "$share/folded"
}

# The figures belong into the log, too, when all is well.
check() # NAME CMD...
{
	tap_check "$@"
	echo "$tap_out" | grep -v '^ok' | sed 's/^/# /'
}

if [ "$(uname -m)" != x86_64 ]; then
	tap_skip 'kernels' 'the programs are amd64'
	tap_done
fi
for suite in bookworm trixie trixie-backports; do
	share=$work/$suite
	mkdir "$share"
	check "$suite: boots, records, profiles" boot "$suite"
	[ -s "$share/perf.data" ] && check "$suite: stack records" recorded || tap_fail "$suite: stack records" 'no recording'
	[ -s "$share/folded" ] && check "$suite: stacks unwound in the kernel" profiled ||
		tap_fail "$suite: stacks unwound in the kernel" 'no profile'
done
tap_done
