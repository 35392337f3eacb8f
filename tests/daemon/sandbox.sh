#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The unit's sandbox: how much is left open, by systemd's own measure, and that
# its filter lets through every system call that the daemon makes.
#
# usage: sandbox.sh IOMMUD UNIT SOURCE_DIR
set -u
program=$1 unit=$2 source=$3
# shellcheck source-path=SCRIPTDIR source=../tap.sh
. "$(dirname "$0")/../tap.sh"

# All system calls of a set of systemd's, sets in it resolved.
members() {
	local line
	systemd-analyze syscall-filter "$1" | tail -n +2 | while read -r line; do
		case $line in
		@*) members "$line" ;;
		'#'*|'') ;;
		*) echo "$line" ;;
		esac
	done
}

allowed() {
	local set
	{
		members @default
		sed -n 's/^SystemCallFilter=\([^~].*\)/\1/p' "$unit" | tr ' ' '\n' |
			while read -r set; do
				case $set in
				@*) members "$set" ;;
				*) echo "$set" ;;
				esac
			done
	} | sort -u >"$work/in"
	# What is taken out, but for what is named by itself afterwards.
	sed -n 's/^SystemCallFilter=~//p' "$unit" | tr ' ' '\n' |
		while read -r set; do members "$set"; done | sort -u |
		grep -vxf <(sed -n 's/^SystemCallFilter=\([^~].*\)/\1/p' "$unit" |
			tr ' ' '\n' | grep -v @) >"$work/minus"
	comm -23 "$work/in" "$work/minus"
}

used() {
	mkdir -p "$work/etc/iommud.d"
	python3 "$source/tests/cli/fixture.py" \
		"$source/tests/cli/fixtures/host.txt" "$work/root"
	cat >"$work/etc/a.json" <<-'P'
		{"version": 1, "devices": {"a": {"match": {"class": "0x010802"},
		 "start": "boot"}}, "ioases": {"p": {"regions": {"r":
		 {"size": "4K", "iova": "0x0"}}}}}
	P
	strace -f -o "$work/trace" "$program" --config "$work/etc" --state \
		"$work/run" --socket "$work/sock" --root "$work/root" 2>"$work/log" &
	local pid=$! i
	for i in $(seq 100); do
		[ -S "$work/sock" ] && break
		sleep 0.1
	done
	python3 - "$source" "$work/sock" <<-'P'
		import sys
		sys.path.insert(0, sys.argv[1] + "/tests/daemon")
		from harness import Client, Error
		client = Client(sys.argv[2])
		for method, parameters in (
		        ("ListDevices", {}), ("OpenIoas", {"name": "p"}),
		        ("Acquire", {"devices": ["00:03.0"], "wait": 20}),
		        ("Bind", {"devices": ["02:00.0"]}), ("Reload", {}),
		        ("Define", {"kind": "limit", "name": "*",
		                    "definition": {"memlock": "1M"}}),
		        ("Acquire", {"devices": ["00:03.0"]})):
		    try:
		        client.call(method, **parameters)
		    except Error:
		        pass
	P
	# strace passes it on to what it runs.
	kill -TERM "$(pgrep -P "$pid" -x "$(basename "$program" | cut -c1-15)")"
	wait "$pid"
	awk '{ print $2 }' "$work/trace" | grep -oE '^[a-z_0-9]+\(' | tr -d '(' |
		sort -u
}

ok "systemd-analyze security: at most 2.0" systemd-analyze security \
	--offline=true --threshold=20 --no-pager "$unit"
if command -v strace >/dev/null; then
	allowed >"$work/allowed"
	used >"$work/used"
	comm -23 "$work/used" "$work/allowed" >"$work/refused"
	ok "the filter lets through what iommud calls ($(wc -l <"$work/used"))" \
		sh -c 'cat "$1"; [ ! -s "$1" ] && [ "$(wc -l <"$2")" -gt 30 ]' - \
		"$work/refused" "$work/used"
else
	skip "system calls" "strace is not installed"
fi
done_testing
