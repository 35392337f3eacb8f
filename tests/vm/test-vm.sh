#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Test tools/vm itself: what it passes on, what it notices, what it keeps in.
#
# Usage: tests/vm/test-vm.sh [KERNEL...]     (default: 6.1 6.12)
# Prints TAP. About 40 boots, up to three at once: 4 minutes on two idle CPUs.
# shellcheck disable=SC2016 # much here is expanded elsewhere
set -u

top=$(readlink -f "$(dirname "$0")/../..")
kernels=("$@")
[ $# -gt 0 ] || kernels=(6.1 6.12)
# shellcheck source-path=SCRIPTDIR source=../tap.sh
. "$top/tests/tap.sh"
mkdir "$work/results" "$work/dir with, a comma"
# What --system installs is there already; all else is built anew.
system=${GRANULE_BUILD:-$top/build}
export GRANULE_BUILD="$work/build"

# result STATUS NAME [FILE]: one TAP line without its number; FILE if not ok
result() {
	if [ "$1" = 0 ]; then
		echo "ok - $2"
	else
		echo "not ok - $2"
		[ -z "${3:-}" ] || tail -n 25 "$3" | sed 's/^/# /'
	fi
}

# expect STATUS NAME ARGUMENT...: run tools/vm in $dir, compare the status;
# its output is in $dir/out and $dir/err
expect() {
	local want=$1 name=$2 got
	shift 2
	"$top/tools/vm" "$@" >"$dir/out" 2>"$dir/err"
	got=$?
	echo "status $got, not $want" >>"$dir/err"
	result "$([ "$got" = "$want" ]; echo $?)" "$name" "$dir/err"
}

# check NAME COMMAND...: about the files of the last expect
check() {
	local name=$1
	shift
	"$@" >/dev/null 2>&1
	result $? "$name" "$dir/err"
}

every_kernel() {
	local kernel=$1 dir="$work/dir with, a comma/$1" sum what
	local vm=(--kernel "$kernel")
	local provoke=("${vm[@]}" --modules "$work/provoke-$kernel")
	mkdir "$dir" "$dir/share"
	cd "$dir" || exit 1

	# One boot, many questions. Binary and CR bytes on stdout, lines on stderr.
	cat >"$dir/script" <<-'S'
		seq 100000
		printf 'a\r\n\377\000b'
		{ echo "cwd=$PWD"; echo "uid=$(id -u)"; echo "path=$PATH"
		  echo "vm=$GRANULE_VM"; echo "var=$OF_CALLER"; uname -r; tty
		  echo "mode=$(stat -c %a /dev/shm)"; wc -c; } >&2 </dev/stdin
		touch in-guest && echo guest >before && echo host >share/file
		rm share/gone && ln -s nowhere share/link && chmod 640 share/file
		ls -d /sys/bus/pci/devices/0000:00:10.0/iommu_group/devices/* >&2
		for m in /sys/fs/cgroup /sys/kernel/debug /dev/pts /dev/shm; do
			mountpoint $m >&2
		done
		(: </dev/tcp/127.0.0.1/1) 2>&1 | grep -o 'Connection refused' >&2
		(sleep 1000; echo late) &
		exit 77
	S
	cp script before
	touch share/gone
	sum=$( { seq 100000; printf 'a\r\n\377\000b'; } | sha256sum)
	OF_CALLER='x y' expect 77 "exit status 77" "${vm[@]}" --no-modules \
		--share "$dir/share" -- bash script
	check "100000 lines, CR, NUL and 0xff are unchanged" \
		[ "$(sha256sum <out)" = "$sum" ]
	check "runs in the caller's directory" grep -qxF "cwd=$dir" err
	check "as root" grep -qx 'uid=0' err
	check "the build's programs come first in PATH" \
		grep -q "^path=$GRANULE_BUILD/cli:.*$PATH" err
	check "the caller's environment" grep -qx 'var=x y' err
	check "GRANULE_VM says where we are" grep -qx 'vm=1' err
	check "the kernel asked for" grep -q "^${kernel//./\\.}\\." err
	check "standard input is empty" grep -qx '0' err
	check "cgroups, debugfs, ptys and shared memory" \
		[ "$(grep -c 'is a mountpoint' err)" = 4 ]
	check "the loopback interface is up" grep -qx 'Connection refused' err
	check "edu is alone in its IOMMU group (intel)" \
		[ "$(grep -c '^/sys/bus/pci.*/iommu_group/devices/' err)" = 1 ]
	check "what the guest writes stays in the guest" \
		eval '[ ! -e in-guest ] && cmp script before'
	check "--share lets it out" eval \
		'[ "$(cat share/file)" = host ] && [ ! -e share/gone ] &&
		 [ "$(readlink share/link)" = nowhere ] &&
		 [ "$(stat -c %a share/file)" = 640 ]'

	# What the kernel says counts, whatever the command says.
	expect 125 "a kernel warning fails a command that succeeds" \
		"${provoke[@]}" -- sh -c 'modprobe provoke what=warn; exit 0'
	check "and is printed" grep -q 'WARNING: .*provoke_warn' err
	expect 125 "a use after free does" "${provoke[@]}" -- sh -c \
		'modprobe provoke what=use-after-free
		 echo 1 >/sys/kernel/slab/kmalloc-1k/validate; true'
	check "and is printed" grep -qE 'BUG kmalloc-1k|Poison overwritten' err
	expect 0 "a module from --modules, found by modprobe" "${provoke[@]}" -- \
		sh -c 'modinfo provoke && modprobe provoke && modprobe nvme &&
		       grep -q ^provoke /proc/modules && modprobe -r provoke'

	# All of a power-off is watched, and what COMMAND left runs until then.
	cat >"$dir/script" <<-'S'
		dd if=/dev/zero of=/dev/null 2>/dev/null &
		exit 7
	S
	expect 7 "--power-off" "${vm[@]}" --no-modules --power-off -- sh script
	expect 125 "a warning during --power-off" "${provoke[@]}" --power-off \
		-- modprobe provoke what=shutdown
	check "is printed" grep -q 'provoked at shutdown' err
	# A system, with a file of the caller's. It shuts itself down.
	mkdir -p files/etc/systemd/system
	cat >files/etc/systemd/system/granule-test.service <<-'S'
		[Service]
		Type=oneshot
		RemainAfterExit=yes
		ExecStart=/bin/true
	S
	cat >script <<-'S'
		cat /proc/1/comm
		systemctl start granule-test && systemctl is-active granule-test
		systemctl is-active iommud systemd-udevd
		ls -d /run/systemd/system
		exit 9
	S
	GRANULE_BUILD=$system expect 9 "--system --power-off" "${vm[@]}" --system \
		--files files --power-off -- sh script
	check "systemd is PID 1, units of --files and ours are active" \
		[ "$(tr '\n' ' ' <out)" = "systemd active active active /run/systemd/system " ]
	# The guest asks QEMU for its state, the greeting being lost.
	cat >"$dir/script" <<-'S'
		stty -F "$GRANULE_QMP" raw -echo
		exec 3<>"$GRANULE_QMP"
		printf '\377\n{"execute":"qmp_capabilities"}\n' >&3
		printf '{"execute":"query-status"}\n' >&3
		while read -r -t 10 line <&3; do
			case $line in *running*) echo "$line"; exit 0 ;; esac
		done
		exit 1
	S
	expect 0 "--qmp" "${vm[@]}" --no-modules --qmp -- bash script
	# Whether DMA passes before a driver for the IOMMU is there.
	for what in "" --boot-bypass; do
		expect 0 "boots with --iommu virtio $what" "${vm[@]}" --no-modules \
			--iommu virtio --granule 64k ${what:+"$what"} -- \
			"$top/tests/e2e/untranslated.py" "$([ -z "$what" ] && echo blocked || echo passes)"
	done

	for what in none "virtio 4k" "virtio 16k" "virtio 64k"; do
		local groups=no args=(--iommu "${what% *}")
		[ "$what" = none ] || args+=(--granule "${what#* }")
		# The only in-tree driver, and the only granule it can do.
		[ "$what$kernel" != "virtio 4k6.12" ] || groups=yes
		cat >"$dir/script" <<-'S'
			edu=/sys/bus/pci/devices/0000:00:10.0
			cat $edu/vendor $edu/device
			modprobe vfio-pci
			echo 1234 11e8 >/sys/bus/pci/drivers/vfio-pci/new_id
			[ -e $edu/iommu_group ] && echo groups=yes || echo groups=no
		S
		expect 0 "boots with --iommu $what" "${vm[@]}" --no-modules \
			"${args[@]}" -- sh script
		check "edu is there" [ "$(head -n 2 out | tr '\n' ' ')" = "0x1234 0x11e8 " ]
		check "it has a group: $groups" grep -qx "groups=$groups" out
	done
}

once() {
	local dir=$work/once status
	mkdir "$dir"
	cd "$dir" || exit 1
	local vm=(--kernel "${kernels[-1]}" --no-modules)
	local provoke=(--kernel "${kernels[-1]}" --modules "$work/provoke-${kernels[-1]}")

	expect 2 "no command: usage error" "${vm[@]}"
	check "which says so" grep -q 'no COMMAND' err
	expect 2 "--granule without a virtio IOMMU is refused" "${vm[@]}" \
		--granule 16k -- true
	expect 2 "--boot-bypass without one, too" "${vm[@]}" --boot-bypass -- true
	expect 2 "--files without --system, too" "${vm[@]}" --files . -- true
	expect 2 "too little memory is refused" "${vm[@]}" --memory 16 -- true
	expect 2 "an unknown option is refused" "${vm[@]}" --frob -- true
	expect 125 "an unknown kernel is refused" --kernel 2.4 -- true
	check "with the names of those there are" grep -q "${kernels[-1]}" err
	cd /dev/shm || exit 1
	expect 2 "a directory that the guest hides is refused" "${vm[@]}" -- true
	cd "$dir" || exit 1

	expect 0 "exit status 0" "${vm[@]}" -- true
	check "nothing else is printed" [ "$(cat out; wc -l <err)" = 1 ]
	expect 255 "exit status 255" "${vm[@]}" --memory 512 \
		--log "$dir/log" -- sh -c 'exit 255'
	check "--log has the kernel's log" grep -q 'Linux version' "$dir/log"
	expect 143 "killed by SIGTERM" "${vm[@]}" -- sh -c 'kill $$; sleep 9'
	expect 127 "no such command" "${vm[@]}" -- no-such-command-here
	expect 126 "not a command" "${vm[@]}" -- /etc/passwd
	expect 3 "failing command in a kernel that warns: its own status" \
		"${provoke[@]}" --append 'panic_on_warn=0' -- \
		sh -c 'modprobe provoke what=warn; exit 3'
	check "and the warning is printed" grep -q 'WARNING: .*provoke_warn' err
	expect 125 "a crash" "${vm[@]}" -- sh -c 'echo c >/proc/sysrq-trigger'
	expect 125 "a CPU that is stuck" "${provoke[@]}" \
		--append watchdog_thresh=1 -- modprobe provoke what=lockup
	check "with the place" grep -q 'soft lockup' err
	expect 124 "a command that does not end" "${vm[@]}" --timeout 30 -- \
		sh -c 'echo before; sleep 1000'
	check "what it wrote until then" grep -qx before out
	expect 0 "--icount" "${vm[@]}" --icount -- sh -c \
		'[ "$(nproc)" = 1 ] && ! grep -q slub_debug /proc/cmdline &&
		 ! grep -qw erms /proc/cpuinfo'

	# Ctrl-C, with nothing left over. Bash ignores SIGINT in background jobs.
	python3 - "$top/tools/vm" "${vm[@]}" --append granule.mark="$work" -- \
		sh -c 'echo up; sleep 1000' >out 2>err <<-'P'
		import signal, subprocess, sys
		# Ignored, it would be in the child as well.
		signal.signal(signal.SIGINT, signal.default_int_handler)
		vm = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE)
		assert vm.stdout.readline() == b"up\n"
		vm.send_signal(signal.SIGINT)
		sys.exit(vm.wait())
	P
	status=$?
	check "Ctrl-C ends it with status 130" [ "$status" = 130 ]
	check "and leaves no QEMU behind" \
		eval '! grep -lza "[g]ranule.mark=$work" /proc/[0-9]*/cmdline | grep .'
}

mkdir "$GRANULE_BUILD"
for kernel in "${kernels[@]}"; do
	if ! "$top/tools/kbuild" -q --source "$top/tests/vm/provoke" "$kernel" \
		"$work/provoke-$kernel"; then
		echo "Bail out! cannot build the module that provokes warnings"
		exit 1
	fi
done
# The leading digits put the results in order.
for i in "${!kernels[@]}"; do
	every_kernel "${kernels[i]}" |
		sed -u "s/ok - /ok - ${kernels[i]}: /" >"$work/results/$i" &
done
once >"$work/results/once" &
wait
take < <(cat "$work"/results/*)
done_testing
