# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# TAP on standard output, for every test program in bash; tests of what a
# command says; $work, a directory that goes in the end.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
nr=0 bad=0

# ok NAME COMMAND...: one test, which passes when COMMAND does. What it said, and
# what was run before it, is shown if not; before the line, for tests/run.py.
ok() {
	local name=$1
	shift
	nr=$((nr + 1))
	if "$@" >"$work/said" 2>&1; then
		echo "ok $nr - $name"
	else
		bad=$((bad + 1))
		details
		echo "not ok $nr - $name"
	fi
}

details() {
	local f
	for f in said out err; do
		[ ! -s "$work/$f" ] ||
			tail -n 50 "$work/$f" | sed "s|^|#   $f: |"
	done
}

skip() { # NAME WHY
	nr=$((nr + 1))
	echo "ok $nr - $1 # SKIP $2"
}

# take: somebody else's TAP on standard input is our tests; not its plan.
take() {
	local line
	while IFS= read -r line; do
		[[ ! $line =~ ^1\.\.[0-9]+$ ]] || continue
		if [[ $line =~ ^(not )?ok( +[0-9]+)?( .*)?$ ]]; then
			nr=$((nr + 1))
			[ -z "${BASH_REMATCH[1]}" ] || bad=$((bad + 1))
			line="${BASH_REMATCH[1]}ok $nr${BASH_REMATCH[3]}"
		fi
		echo "$line"
	done
}

# The end of a script: the plan, and whether all went well.
done_testing() {
	echo "1..$nr"
	[ "$bad" = 0 ] && [ "$nr" -gt 0 ]
}

# run COMMAND...: keep its output and its status.
run() {
	"$@" >"$work/out" 2>"$work/err"
	status=$?
}

is() { [ "$status" = "$1" ]; }
out() { grep -qE -- "$1" "$work/out"; }
err() { grep -qE -- "$1" "$work/err"; }
