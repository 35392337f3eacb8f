#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Inside the VM: every test that needs the modules, one after the other.
# tests/run.py starts it, and reads the "# program" and "# status" lines.
#
#	tools/vm -- tests/vm/all.sh BUILD [NAME...]
build=$1
shift
[ $# -gt 0 ] || set -- cmd ioas placement account ioas_model caps lasterror \
	dma hwpt memory bind memlock granule option buffer vfio region driver \
	chaos kvm reset threads kill netlink cli daemon handoff cli-granule \
	e2e see unload
here=$(dirname "$0")

# Users who are not root run programs of a checkout that may be root's alone.
# It is the guest's copy that changes.
for d in "$(readlink -f "$build")" "$(readlink -f "$here/../daemon")"; do
	while [ "$d" ]; do
		chmod o+x "$d"
		d=${d%/*}
	done
done

# Each program finds edu as the machine booted with it: bound to nothing. To
# start a process takes a guest long, and there are many devices.
release() {
	for d in /sys/bus/pci/devices/*; do
		read -r vendor <"$d/vendor"
		read -r device <"$d/device"
		[ "$vendor $device" = "0x1234 0x11e8" ] || continue
		[ ! -e "$d/driver" ] || echo "${d##*/}" >"$d/driver/unbind"
		echo >"$d/driver_override"
	done
}

# What the device under test was said to be.
trust=trusted
! grep -q granule_dma.untrusted=0 /proc/cmdline || trust=untrusted

for name; do
	release
	case $name in
	cli | cli-granule | dart) set -- "$here/$name.sh" ;;
	daemon) set -- "$here/../daemon/vm.py" "$build/daemon/iommud" ;;
	handoff) set -- "$here/../daemon/handoff.py" "$build" ;;
	handoff-long) set -- "$here/../daemon/handoff.py" --long "$build" ;;
	recipes) set -- "$here/../e2e/recipes.py" ;;
	e2e) set -- "$here/../e2e/passthrough.sh" ;;
	see) set -- "$here/../e2e/see.py" ;;
	huge) set -- "$here/../e2e/passthrough-huge.sh" ;;
	dmaapi)
		set -- "$here/../kselftest/dmaapi.py" --trust $trust --ms 20000
		;;
	# Four of them are 100,000 lists: run_dmaapi() in tests/run.py.
	dmaapi-long)
		set -- "$here/../kselftest/dmaapi.py" --trust $trust \
			--lists 25000
		;;
	two) set -- "$here/two.sh" "$build/tests/kselftest/two" ;;
	share) set -- "$here/two.sh" "$here/../kselftest/dmaapi.py" --devices 2 ;;
	unload) set -- "$here/../kselftest/unload.sh" "$build" ;;
	*) set -- "$build/tests/kselftest/$name" ;;
	esac
	echo "# program: $name"
	read -r begun _ </proc/uptime
	"$@" </dev/null
	status=$?
	read -r ended _ </proc/uptime
	echo "# seconds: $((${ended%.*} - ${begun%.*}))"
	echo "# status: $status"
done
