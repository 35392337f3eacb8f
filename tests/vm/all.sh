#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Inside the VM: every test that needs the modules, one after the other.
# tests/run.py starts it, and reads the "# program" and "# status" lines.
#
#	tools/vm -- tests/vm/all.sh BUILD [NAME...]
build=$1
shift
[ $# -gt 0 ] || set -- cmd ioas caps lasterror dma vfio threads kill cli e2e unload
here=$(dirname "$0")

# Each program finds edu as the machine booted with it: bound to nothing.
release() {
	for d in /sys/bus/pci/devices/*; do
		[ "$(cat "$d/vendor" "$d/device" | tr -d '\n')" = 0x12340x11e8 ] ||
			continue
		[ ! -e "$d/driver" ] || echo "${d##*/}" >"$d/driver/unbind"
		echo >"$d/driver_override"
	done
}

for name; do
	release
	case $name in
	cli) set -- "$here/cli.sh" ;;
	e2e) set -- "$here/../e2e/passthrough.sh" ;;
	unload) set -- bash "$build/tests/kselftest/unload.sh" ;;
	*) set -- "$build/tests/kselftest/$name" ;;
	esac
	echo "# program: $name"
	"$@" </dev/null
	echo "# status: $?"
done
