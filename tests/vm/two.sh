#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Inside the VM of tools/vm --second-granule: says which IOMMU is whose, as no
# firmware does there, and runs a test.
#
#	tools/vm --selftest --iommu virtio --granule 16k --second-granule 64k -- \
#		tests/vm/two.sh build/tests/kselftest/two
set -e
[ -d /sys/module/granule_place ] ||
	modprobe granule-place \
		places=0000:01:00.0=LNRO0005:00,0000:02:00.0=LNRO0005:01
exec "$@"
