#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The units' sandboxes: how much is left open, by systemd's own measure, and that
# their filters let through every system call that the daemon makes.
#
# usage: sandbox.sh IOMMUD UNIT EARLY_UNIT SOURCE_DIR
set -u
program=$1 service=$2 early=$3 source=$4
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

allowed() { # UNIT
	local unit=$1 set
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

places() {
	mkdir -p "$work/etc/iommud.d"
	python3 "$source/tests/cli/fixture.py" \
		"$source/tests/cli/fixtures/host.txt" "$work/root"
	cat >"$work/etc/a.json" <<-'P'
		{"version": 1, "devices": {"a": {"match": {"class": "0x010802"},
		 "start": "boot"}}, "ioases": {"p": {"regions": {"r":
		 {"size": "4K", "iova": "0x0"}}}}}
	P
}

calls() {
	awk '{ print $2 }' "$work/trace" | grep -oE '^[a-z_0-9]+\(' | tr -d '(' |
		sort -u
}

used_early() {
	strace -f -o "$work/trace" "$program" --early --config "$work/etc" \
		--root "$work/root" 2>"$work/log"
	calls
}

used() {
	strace -f -o "$work/trace" "$program" --config "$work/etc" --state \
		"$work/run" --socket "$work/sock" --root "$work/root" 2>"$work/log" &
	local pid=$!
	python3 - "$source" "$work/sock" <<-'P'
		import sys
		sys.path.insert(0, sys.argv[1] + "/tests/daemon")
		from harness import Client, Error, answers, wait_until
		wait_until(lambda: answers(sys.argv[2]))
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
	calls
}

# filter UNIT FEWEST COMMAND: one test, of what COMMAND prints.
filter() {
	local name
	name=$(basename "$1")
	allowed "$1" >"$work/allowed"
	"$3" >"$work/used"
	comm -23 "$work/used" "$work/allowed" >"$work/refused"
	ok "$name: the filter lets through what it calls ($(wc -l <"$work/used"))" \
		sh -c 'cat "$1"; [ ! -s "$1" ] && [ "$(wc -l <"$2")" -gt "$3" ]' - \
		"$work/refused" "$work/used" "$2"
}

for unit in "$service" "$early"; do
	ok "$(basename "$unit"): systemd-analyze security: at most 2.0" \
		systemd-analyze security --offline=true --threshold=20 --no-pager \
		"$unit"
done
if command -v strace >/dev/null; then
	places
	filter "$early" 15 used_early
	ok "which kept a device" grep -q ': kept for vfio-pci' "$work/log"
	filter "$service" 30 used
else
	skip "system calls" "strace is not installed"
fi
done_testing
