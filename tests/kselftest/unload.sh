#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Loading and unloading the modules: refused while in use, clean at any other
# time, twenty times. Runs in the VM; prints TAP.
#
# usage: unload.sh BUILD
set -u

build=$1
rounds=20
stats=/sys/class/misc/iommu/stats
# shellcheck source-path=SCRIPTDIR source=../tap.sh
. "$(dirname "$0")/../tap.sh"

loaded() { [ -d "/sys/module/${1//-/_}" ]; }
fails() { ! "$@" 2>/dev/null; }

clean() {
	local f n
	for f in contexts objects areas devices pinned_bytes; do
		read -r n <$stats/$f
		[ "$n" = 0 ] || {
			echo "$f is $n"
			return 1
		}
	done
}

load() { modprobe granule && modprobe granule-vfio; }
unload() { rmmod granule_vfio && rmmod granule; }

edu() { # the address of an edu device behind an IOMMU
	local d vendor device
	for d in /sys/bus/pci/devices/*; do
		read -r vendor <"$d/vendor"
		read -r device <"$d/device"
		if [ "$vendor $device" = "0x1234 0x11e8" ] &&
			[ -e "$d/iommu_group" ]; then
			echo "${d##*/}"
			return
		fi
	done
	return 1
}

bind_driver() {
	local d=/sys/bus/pci/devices/$1
	[ "$(basename "$(readlink "$d/driver")")" = vfio-pci ] && return
	modprobe vfio-pci
	[ ! -e "$d/driver" ] || echo "$1" >"$d/driver/unbind"
	echo vfio-pci >"$d/driver_override"
	echo "$1" >/sys/bus/pci/drivers_probe
	[ -e "$d/vfio-dev" ]
}

node() { # the VFIO file of a device
	local n
	n=$(ls "/sys/bus/pci/devices/$1/vfio-dev" 2>/dev/null) || return
	[ -n "$n" ] && echo "/dev/vfio/devices/$n"
}

all_gone() { # nothing of either module is left
	! loaded granule && ! loaded granule_vfio && [ ! -e /dev/iommu ] &&
		[ ! -e /sys/class/misc/iommu ] &&
		{ [ ! -d /dev/vfio/devices ] ||
			[ -z "$(ls -A /dev/vfio/devices)" ]; }
}

dev=$(edu) || dev=
[ -z "$dev" ] || bind_driver "$dev" || dev=

load || { echo "Bail out! the modules do not load"; exit 1; }
ok "loaded: /dev/iommu is there" test -c /dev/iommu
ok "loaded: nothing is counted" clean

# Any process that has the file open keeps the module.
exec 9<>/dev/iommu
ok "open: one context" test "$(cat $stats/contexts)" = 1
ok "open: rmmod granule is refused" fails rmmod granule
rmmod granule_vfio
ok "open: granule-vfio goes, as it has nothing open" fails loaded granule_vfio
ok "open: rmmod granule is still refused" fails rmmod granule
ok "open: the file still answers" test -c /dev/iommu
exec 9>&-
ok "closed: rmmod granule works" rmmod granule
ok "closed: nothing is left" all_gone
load

if [ -n "$dev" ]; then
	path=$(node "$dev")
	ok "device: its node is there" test -c "$path"
	exec 9<>"$path"
	ok "device open: rmmod granule-vfio is refused" fails rmmod granule_vfio
	ok "device open: rmmod granule is refused" fails rmmod granule
	exec 9>&-
	ok "device closed: both modules go" unload
	ok "device closed: nothing is left" all_gone
	ok "device closed: vfio-pci still has it" test \
		"$(basename "$(readlink "/sys/bus/pci/devices/$dev/driver")")" \
		= vfio-pci
	load
	ok "loaded again: the device's node is back" test -c "$(node "$dev")"
else
	skip "device" "no edu device behind an IOMMU"
fi

# Work is done in each round, so that there is something to leave behind: the
# test programs map, attach, and end with all of it.
failed=0
for ((i = 1; i <= rounds; i++)); do
	"$build/tests/kselftest/ioas" -t map_overlap >/dev/null 2>&1 || {
		echo "# round $i: ioas failed"
		failed=1
	}
	if [ -n "$dev" ]; then
		"$build/tests/kselftest/bind" -t close_device_first >/dev/null 2>&1 || {
			echo "# round $i: bind failed"
			failed=1
		}
	fi
	clean || failed=1
	unload || { echo "# round $i: unload failed"; failed=1; }
	all_gone || { echo "# round $i: something is left"; failed=1; }
	load || { echo "# round $i: load failed"; failed=1; }
done
ok "$rounds rounds of work, unload and load" test $failed = 0

# A process that is killed with everything in use lets the modules go.
if [ -n "$dev" ]; then
	bind_driver "$dev"
	"$build/cli/iommuctl" map "$dev" --size 64M >/dev/null 2>&1 &
	pid=$!
	for ((i = 0; i < 3000; i++)); do
		[ "$(cat $stats/pinned_bytes)" = 0 ] || break
		sleep 0.02
	done
	ok "in use by a process: pages are pinned" test $i -lt 3000
	ok "in use by a process: rmmod granule-vfio is refused" \
		fails rmmod granule_vfio
	kill -KILL $pid
	wait $pid 2>/dev/null
	for ((i = 0; i < 3000; i++)); do
		[ "$(cat $stats/contexts)" = 0 ] && break
		sleep 0.02
	done
	ok "killed: nothing is counted" clean
	ok "killed: both modules go" unload
	load
else
	skip "killed" "no edu device behind an IOMMU"
fi

ok "in the end: loaded, nothing counted" clean
done_testing
