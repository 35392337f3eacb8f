#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Inside the VM: give edu to QEMU, and take it back.
set -e
here=$(dirname "$0")
device=${1:-0000:00:10.0}

iommuctl device bind "$device" >&2
status=0
"$here/qemu_iommufd.py" "$device" || status=$?
iommuctl device unbind "$device" >&2
exit $status
