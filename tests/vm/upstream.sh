#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# iommuctl on a kernel with an iommufd of its own, as root in the VM:
#
#   tools/debug-kernel --upstream
#   tools/vm --kernel .../upstream-6.12 --no-modules -- tests/vm/upstream.sh
#
# Nothing of Granule's is in the kernel. Output is TAP.
set -u
dev=0000:00:10.0
# shellcheck source-path=SCRIPTDIR source=../tap.sh
. "$(dirname "$0")/../tap.sh"

both() { is "$1" && "$2" "$3"; }

modprobe vfio-pci
[ -c /dev/iommu ] && [ ! -e /sys/module/granule ] || {
	echo "Bail out! this is no kernel with an iommufd of its own"
	exit 1
}
run iommuctl device bind $dev
ok "device bind: with the kernel's own node" \
	both 0 out "vfio-pci.*/dev/vfio/devices/vfio0"
run iommuctl doctor $dev
ok "doctor: names whose /dev/iommu it is" \
	both 0 out 'iommufd: this kernel has a /dev/iommu of its own'
run iommuctl device show $dev
ok "device show: what this kernel tells" \
	both 0 out "note: page sizes and widths are not known: this /dev/iommu is not Granule's"
ok "device show: ranges" out '^  0x0 +0xfedfffff'
run iommuctl ranges $dev
ok "ranges" both 0 out '^0x0 +0xfedfffff.*usable'
ok "ranges: reserved regions, by sysfs" out '^0xfee00000 .*msi: '
run iommuctl plot $dev --ascii
ok "plot" both 0 out '^0xfee00000 +1M +x+ +reserved, msi'
run iommuctl map $dev --size 1M --iova 0x100000 --exec tests/e2e/edu_dma.py
ok "map: the device does DMA" both 0 out '4096 bytes equal'
ok "map: and not outside" out 'outside the mapping: our memory is untouched'
run iommuctl map $dev --size 64K --exec sh -c 'iommuctl maps --fd $IOMMU_FD'
ok "maps: says that mappings cannot be listed" \
	both 0 out 'IOAS [0-9]+: this /dev/iommu cannot list mappings'
iommuctl map $dev --size 64K >"$work/map.out" 2>&1 &
pid=$!
for _ in $(seq 1200); do
	grep -q 'held until' "$work/map.out" && break
	sleep 0.05
done
run iommuctl maps
ok "maps: finds the process" both 0 out "iommuctl \(process $pid, fd"
run iommuctl map $dev --size 4K
ok "map of a device in use: names the process" \
	both 3 err "in use by process $pid"
kill $pid
wait $pid
run iommuctl map $dev --size 4K --iova 0xfee00000
ok "map into a reserved region: the reason is worked out" both 5 err \
	'IOVA 0xfee00000 is in the reserved region 0xfee00000-0xfeefffff \(msi'
run iommuctl map $dev --size 4K --iova 0x100800
ok "map that is misaligned" both 5 err 'IOVA 0x100800 is not a multiple of'
run iommuctl map $dev --size 64K --iova 0x200000 --size 4K --iova 0x20f000
ok "map that overlaps" both 5 err 'IOVA 0x20f000 is in use by the mapping'
run setpriv --bounding-set -ipc_lock --inh-caps -ipc_lock \
	bash -c 'ulimit -l 64 && exec iommuctl map "$@"' - $dev --size 1M
ok "map over the memlock limit" both 5 err 'RLIMIT_MEMLOCK\) is 64 KiB'
run iommuctl map $dev --size 64K --granule 64K
ok "--granule: not here" both 5 err "this /dev/iommu has no such option"
run iommuctl map $dev --size 64K --memory buffer
ok "--memory buffer: not here" both 5 err "has no buffers"
run iommuctl device unbind $dev
ok "device unbind" both 0 out "no driver"
done_testing
