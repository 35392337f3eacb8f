# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# For the tests of iommuctl in the VM: tap.sh, and the edu device as $dev.
#
# Words for sh -c and eval are meant to be expanded later.
# shellcheck disable=SC2016
set -u

stats=/sys/class/misc/iommu/stats
# shellcheck source-path=SCRIPTDIR source=../tap.sh
. "$(dirname "${BASH_SOURCE[0]}")/../tap.sh"

bail() {
	echo "Bail out! $*"
	exit 1
}

# status 0 and nothing to complain about
clean() { is 0 && [ ! -s "$work/err" ]; }
# py EXPRESSION: true of the JSON document d in the output
py() {
	/usr/bin/python3 -c 'import json, sys
d = json.load(open(sys.argv[1]))
sys.exit(not eval("(" + sys.argv[2] + ")"))' "$work/out" "$1"
}
# keep VERB: the JSON document in the output, for schemas
kept=()
keep() {
	cp "$work/out" "$work/kept.${#kept[@]}"
	kept+=("$1" "$work/kept.${#kept[@]}")
}
# All that was kept is what docs/schema says; together, since it takes a while.
schemas() {
	"$(dirname "${BASH_SOURCE[0]}")/../cli/schema.py" \
		"${kept[@]}" >"$work/out"
}
# fails STATUS REGEX...: exits so, prints nothing, and one sentence with those
fails() {
	local r
	is "$1" && [ ! -s "$work/out" ] &&
		[ "$(wc -l <"$work/err")" = 1 ] || return 1
	shift
	for r; do
		err "$r" || return 1
	done
}

# Everything that was taken is given back; the last close may take a moment.
drained() {
	local f n sum
	for _ in {1..1200}; do
		sum=0
		for f in "$stats"/*; do
			read -r n <"$f"
			sum=$((sum + n))
		done
		[ "$sum" = 0 ] && return 0
		sleep 0.05
	done
	grep . "$stats"/*
	return 1
}

# start ARGS...: iommuctl map in the background, until it says that it holds.
start() {
	: >"$work/map.out"
	iommuctl map "$dev" "$@" >"$work/map.out" 2>"$work/err" &
	pid=$!
	for _ in $(seq 1200); do
		grep -q 'held until' "$work/map.out" && return 0
		kill -0 "$pid" 2>/dev/null || return 1
		sleep 0.05
	done
	return 1
}

# finish [SIGNAL]: end it; its status
finish() {
	kill "-${1:-TERM}" "$pid" && wait "$pid" 2>/dev/null
}

[ "$(id -u)" = 0 ] || bail "this needs root"
[ -c /dev/iommu ] || bail "no /dev/iommu: the modules are not loaded"
for d in "$stats"/{contexts,objects,devices,areas,pinned_bytes}; do
	[ -r "$d" ] || bail "no counter $d"
done
dev=
for d in /sys/bus/pci/devices/*; do
	read -r vendor <"$d/vendor"
	read -r device <"$d/device"
	[ "$vendor $device" = "0x1234 0x11e8" ] || continue
	# Behind a virtio IOMMU it may get its group with its driver.
	case $(ls "$d/iommu_group/devices" 2>/dev/null),$(ls /sys/class/iommu) in
	"${d##*/}",* | ,0000:*) dev=${d##*/} ;;
	esac
done
[ -n "$dev" ] || bail "no edu device (1234:11e8) in an IOMMU group of its own"
[ ! -e "/sys/bus/pci/devices/$dev/driver" ] || bail "$dev is bound already"
# The number of its group, or nothing.
group_of() {
	local link
	link=$(readlink "/sys/bus/pci/devices/$1/iommu_group") && echo "${link##*/}"
}
