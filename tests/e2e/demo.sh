#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# What tools/demo plays inside the VM. Every command is shown before it runs,
# and each has to do what it is there to show.
#
#   edu (1234:11e8, a PCI device that does DMA)
#    |
#   VT-d -- granule.ko ----- /dev/iommu ----------- iommuctl, QEMU
#           granule-vfio.ko  /dev/vfio/devices/vfioN
set -u
here=$(dirname "$0")
edu=0000:00:10.0
work=$(mktemp -d)

say() { printf '\n# %s\n' "$*"; }
die() { echo "demo: $*" >&2; exit 1; }
show() { printf '$ %s\n' "$*"; "$@"; }
must() { show "$@" || die "'$*' failed with status $?"; }
# must_fail STATUS COMMAND...: refused, with that exit status
must_fail() {
	local want=$1 got=0
	shift
	show "$@" || got=$?
	[ $got = "$want" ] || die "'$*': status $got, expected $want"
}
faults() { dmesg | grep -c 'DMAR: \[DMA' || true; }

say "A stock Debian kernel without iommufd, and Granule's modules"
must uname -r
must grep IOMMUFD "${GRANULE_CACHE:-/var/cache/granule}"/kernel/*/config
must ls -l /dev/iommu

say "Take a device from its driver, and ask what its IOMMU can do"
must iommuctl device bind $edu
must iommuctl device show $edu | tee "$work/show"
for what in '^group' '^page sizes' '^address width' '^  0x0 ' 'msi: '; do
	grep -q "$what" "$work/show" || die "device show lacks '$what'"
done

say "Map memory, and let the device copy a pattern out and back through it"
before=$(faults)
must iommuctl map $edu --size 1M --exec "$here/edu_dma.py"
say "The two accesses outside the mapping were blocked, and reported"
printf '$ dmesg | grep DMAR\n'
dmesg | grep 'DMAR: \[DMA' | tail -n 2
[ "$(faults)" -gt "$before" ] || die "the kernel reported no fault"

say "A map that cannot be says why"
must_fail 5 iommuctl map $edu --size 4K --iova 0xfee00000 --exec true
must_fail 5 iommuctl map $edu --size 4K --iova 0x1000000000000 --exec true
must_fail 5 iommuctl map $edu --size 8K --iova 0x100000 --size 4K \
	--iova 0x101000 --exec true
must_fail 5 setpriv --bounding-set -ipc_lock --inh-caps -ipc_lock -- \
	sh -c "ulimit -l 64; exec iommuctl map $edu --size 1M --exec true"

say "Who has mapped what"
must iommuctl map $edu --size 2M --iova 0x10000000 --size 64K --read \
	--exec iommuctl maps

say "Unmodified QEMU passes the device through with -object iommufd"
printf '$ %s\n' "qemu-system-x86_64 -object iommufd,id=i0 -device vfio-pci,host=$edu,iommufd=i0 -qtest stdio ..."
"$here/qemu_iommufd.py" $edu 2>/dev/null || die "QEMU could not"

say "Everything is given back"
must iommuctl device unbind $edu
must grep -H . /sys/class/misc/iommu/stats/*
grep -qv '^0$' /sys/class/misc/iommu/stats/* && die "something is left"
rm -rf "$work"
say "Done"
