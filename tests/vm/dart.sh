#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Inside the VM, which has no other IOMMU: granule-dart.ko drives models of each
# kind of DART. Prints TAP; granule-dart-test.ko says it in the kernel's log.
#
#	tools/vm --iommu none --selftest --no-load -- tests/vm/dart.sh
# shellcheck source-path=SCRIPTDIR source=../tap.sh
. "$(dirname "$0")/../tap.sh"

modprobe granule-dart || exit 1
for kind in t8103 t6000 t8110; do
	dmesg -C
	if modprobe granule-dart-test kind=$kind; then
		rmmod granule-dart-test || echo "Bail out! it stays loaded"
	fi
	log=$(dmesg | sed -n 's/.*granule-dart-test: //p')
	plan=$(echo "$log" | sed -n 's/^1\.\.//p')
	ran=$(echo "$log" | grep -cE '^(not )?ok ')
	if [ "${plan:-0}" -ne "$ran" ] || [ "$ran" -eq 0 ]; then
		ok "$kind: $ran of ${plan:-?} tests" false
	fi
	take < <(echo "$log" | grep -E '^(not )?ok ' |
		sed -E "s/ok [0-9]+ - $kind /ok - $kind: /")
done
# The second time it finds everything as the first time.
ok "unloaded and loaded again" eval \
	'modprobe -r granule-dart && modprobe granule-dart'
done_testing
