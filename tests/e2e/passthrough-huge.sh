#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Inside the VM, where the IOMMU's pages are larger than the CPU's: unmodified
# QEMU passes edu through, with all of its memory in pieces of a granule.
#
#	tools/vm --iommu virtio --granule 16k -- tests/e2e/passthrough-huge.sh
#
# docs/granule.md says which memory that is, and what helps. TAP.
set -u
here=$(dirname "$0")
edu=${1:-0000:00:10.0}
thp=/sys/kernel/mm/transparent_hugepage

# Interrupts are not remapped on such a machine.
echo 1 >/sys/module/granule/parameters/allow_unsafe_interrupts
iommuctl device bind "$edu" >&2 || exit 1
echo 36 >/proc/sys/vm/nr_hugepages
granule=$(cat /sys/class/iommu/*/granule-virtio-iommu/granule) || exit 1
# Firmware and option ROMs are RAM of their own: pages of shmem, which has huge
# ones if told so; from 6.11 on, ones of the granule's size are enough.
mine=$thp/hugepages-$((granule / 1024))kB/shmem_enabled
if [ -e "$mine" ]; then
	echo always >"$mine"
else
	echo always >$thp/shmem_enabled
fi
"$here/qemu_iommufd.py" --granule "$granule" "$edu"
status=$?
iommuctl device unbind "$edu" >&2
exit $status
