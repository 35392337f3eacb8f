#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# iommuctl against the real modules and a real device, as root in the VM:
#
#   tools/vm -- tests/vm/cli.sh
#
# The device is QEMU's "edu" (1234:11e8) behind VT-d. Output is TAP.
# Words for sh -c and eval are meant to be expanded later.
# shellcheck disable=SC2016
# shellcheck source-path=SCRIPTDIR source=cli-lib.sh
. "$(dirname "$0")/cli-lib.sh"
group=$(group_of "$dev")

# --- before it is bound ---
run iommuctl device show "$dev"
ok "show before bind: notes the remedy" out "note: .*iommuctl device bind $dev"
run iommuctl map "$dev" --size 4K
ok "map before bind: names the remedy" \
	fails 5 "map $dev: .*iommuctl device bind $dev"

# --- bind ---
run iommuctl device bind "$dev"
ok "device bind" clean
ok "device bind: driver is vfio-pci" test "$(basename "$(readlink \
	"/sys/bus/pci/devices/$dev/driver")")" = vfio-pci
run iommuctl --json device bind "$dev"
ok "device bind again: nothing changes" clean
keep "device bind"
node=$(/usr/bin/python3 -c 'import json, sys
print(json.load(open(sys.argv[1]))["devices"][0]["node"])' "$work/out")
ok "device bind: the node is there" test -c "$node"
run iommuctl device show "${node##*/}"
ok "device show by name of the vfio device" out "^device +$dev"
run iommuctl device show "$node"
ok "device show by path of the node" out "^device +$dev"

# --- show, ranges ---
run iommuctl device show "$dev"
ok "device show" clean
ok "device show: group and members" out "^group +$group: .*$dev \(vfio-pci\)"
ok "device show: page sizes" out '^page sizes +4K'
ok "device show: granule and CPU page" out '^granule +4K'
ok "device show: address width" out '^address width +[0-9]+ bits'
ok "device show: output width" out '^output width +[0-9]+ bits'
ok "device show: an IOVA range" out '^  0x0 +0xfedfffff'
ok "device show: reserved region with reason" \
	out '0xfee00000 +0xfeefffff .*msi: writes there are interrupts'
ok "device show: no notes" eval '! out "^note:"'
run iommuctl device show "$dev" --json
ok "device show --json" clean
keep "device show"
ok "device show --json: same facts" py "d['version'] == 1 \
	and d['source'] == 'device-info' \
	and d['group']['group'] == $group \
	and d['group']['devices'][0]['device'] == '$dev' \
	and d['info']['page_sizes'][0] == 4096 \
	and d['info']['granule'] == 4096 \
	and d['info']['cpu_page_size'] == 4096 \
	and 39 <= d['info']['address_width'] <= 64 \
	and d['info']['iova_ranges'][0] == \
		dict(start='0x0', last='0xfedfffff', size=0xfee00000) \
	and any(r['start'] == '0xfee00000' and r['reason'] == 'msi' \
		for r in d['info']['reserved_regions']) \
	and d['notes'] == []"
past=$(/usr/bin/python3 -c 'import json, sys
r = json.load(open(sys.argv[1]))["info"]["iova_ranges"][-1]
print(hex(int(r["last"], 16) + 1))' "$work/out")
run iommuctl ranges "$dev"
ok "ranges" eval 'clean && out "0xfee00000 +0xfeefffff +1M +msi" &&
	out "0x0 +0xfedfffff .*usable"'
run iommuctl group show "$group"
ok "group show: viable" out '^viable +yes'
ok "nothing is held after looking" drained

# --- map, and look at it from outside ---
ok "map: holds" start --size 64K --iova 0x100000
ok "map: says where it landed" grep -qE \
	'^0x100000 +0x10ffff +64K +read write' "$work/map.out"
run iommuctl maps --pid "$pid"
ok "maps --pid: shows it" out '0x100000 +0x10ffff +64K +read write'
ok "maps --pid: and the device" out "devices $dev"
run iommuctl maps --json
ok "maps: finds the process by itself" py "any(
	p['pid'] == $pid and a['iova'] == '0x100000' and a['size'] == 65536
	for c in d['contexts'] for p in c['processes']
	for i in c['ioas'] for a in i['areas'])"
keep maps
run iommuctl plot "$dev" --json
ok "plot: the address space of who has the device" py "d['ioas'] \
	and d['process']['pid'] == $pid \
	and [s['size'] for s in d['segments'] if s['kind'] == 'mapped'] == \
		[65536]"
keep plot
ok "counters: areas" test "$(cat $stats/areas)" = 1
ok "counters: pinned bytes" test "$(cat $stats/pinned_bytes)" = 65536
run iommuctl map "$dev" --size 4K
ok "map of a device in use: names the process" \
	fails 3 "in use by process $pid"
run iommuctl device show "$dev"
ok "device show of a device in use: notes it" out "note: .*process $pid"
run timeout 20 iommuctl device unbind "$dev"
ok "device unbind of a device in use: refused" fails 3 "process $pid"
ok "map: SIGTERM ends it" finish TERM
ok "map: everything is given back" drained
ok "map: holds again" start --size 8K
ok "map: SIGINT ends it" finish INT
ok "map: and SIGKILL" eval 'start --size 1M; finish KILL; [ $? = 137 ]'
ok "map: everything is given back then, too" drained

# --- a long map, and a signal in the middle of it ---
# It may have mapped all before this shell has its turn: then once more.
for _ in $(seq 10); do
	: >"$work/err"
	# In the background, bash has SIGINT ignored.
	env --default-signal=INT iommuctl map "$dev" --size 640M --progress \
		>"$work/map.out" 2>"$work/err" &
	pid=$!
	for _ in $(seq 3000); do
		grep -qE 'mapping: .*of 640M pinned, [1-9]' "$work/err" && break
		sleep 0.02
	done
	kill -INT $pid
	wait $pid 2>/dev/null
	status=$?
	grep -q "held until" "$work/map.out" || break
done
ok "map --progress: SIGINT in the middle ends it" eval \
	'is 130 && ! grep -q "held until" "$work/map.out"'
ok "map --progress: what was pinned is given back" drained
run iommuctl map "$dev" --size 256M --progress --exec true
ok "map --progress: time left and bytes" eval \
	'is 0 && err "^mapped: 256M pinned in [0-9.]+ s"'

# --- maps that fail ---
run iommuctl map "$dev" --size 4K --iova 0xfee00000
ok "map into a reserved region" fails 5 "map $dev: IOVA 0xfee00000 is in the \
reserved region 0xfee00000-0xfeefffff \(msi: writes there are interrupts\); \
choose another IOVA, see 'iommuctl ranges $dev'"
run iommuctl map "$dev" --size 2M --iova 0xfed00000
ok "map that reaches into a reserved region" \
	fails 5 'IOVA 0xfee00000 is in the reserved region'
run iommuctl map "$dev" --size 4K --iova "$past"
ok "map outside the aperture" \
	fails 5 "IOVA $past is outside the aperture" "$past-0xffffffffffffffff"
run iommuctl map "$dev" --size 64K --iova 0x200000 --size 4K --iova 0x20f000
ok "map that overlaps" fails 5 \
	'IOVA 0x20f000 is in use by the mapping 0x200000-0x20ffff'
run iommuctl map "$dev" --size 4K --iova 0x100800
ok "map that is misaligned" fails 5 'IOVA 0x100800 is not a multiple of 0x1000'
run iommuctl map "$dev" --size 5000
ok "map of half a page" fails 5 'length 0x1388 is not a multiple of 0x1000'
run iommuctl map "$dev" --size 8K --iova 0xfffffffffffff000
ok "map past the end" fails 5 'pass the end of the address space'
run setpriv --bounding-set -ipc_lock --inh-caps -ipc_lock \
	bash -c 'ulimit -l 64 && exec iommuctl map "$@"' - "$dev" --size 1M
ok "map over the memlock limit" fails 5 'RLIMIT_MEMLOCK\) is 64 KiB' \
	'1 MiB more are needed' 'ulimit -l' LimitMEMLOCK CAP_IPC_LOCK
ok "nothing is held after failures" drained

# --- files, huge pages, several pieces ---
head -c 16384 /dev/urandom >"$work/file"
run iommuctl map "$dev" --size 8K --file "$work/file" --offset 4K \
	--iova 0x300000 --read --exec sh -c 'iommuctl maps --fd $IOMMU_FD'
ok "map --file --read --exec maps --fd" \
	eval 'is 0 && out "0x300000 +0x301fff +8K +read +user"'
run iommuctl map "$dev" --size 8K --file "$work/file" --offset 12K
ok "map past the end of the file" fails 5 'has 16384 bytes'
run iommuctl map "$dev" --size 4M --huge thp --size 4K --write --exec \
	sh -c 'iommuctl maps --fd $IOMMU_FD --ioas $IOMMU_IOAS --json'
ok "map of two pieces, one of huge pages" py "[
	(a['size'], a['read'], a['write'])
	for i in d['contexts'][0]['ioas'] for a in i['areas']] in (
	[(4 << 20, True, True), (4096, False, True)],
	[(4096, False, True), (4 << 20, True, True)])"
run iommuctl map "$dev" --size 2M --huge 2M
ok "map without free huge pages" fails 5 '1 huge pages of 2M are not free'
echo 2 >/proc/sys/vm/nr_hugepages
run iommuctl map "$dev" --size 2M --huge 2M --exec true
ok "map of a huge page" is 0
echo 0 >/proc/sys/vm/nr_hugepages

# --- --exec: environment, descriptors, status ---
run iommuctl map "$dev" --size 64K --iova 0x400000 --exec sh -c '
	echo "$IOMMU_IOVA $IOMMU_LENGTH $IOMMU_DEVICE"
	readlink "/proc/self/fd/$IOMMU_FD" "/proc/self/fd/$IOMMU_DEVICE_FD"'
ok "map --exec: environment" out "^0x400000 65536 $dev\$"
ok "map --exec: descriptors" eval 'out "^/dev/iommu\$" && out "^$node\$"'
run iommuctl map "$dev" --size 4K --exec sh -c 'exit 42'
ok "map --exec: status of the command" is 42
run iommuctl map "$dev" --size 4K --exec sh -c 'kill -9 $$'
ok "map --exec: command killed" is 137
run iommuctl map "$dev" --size 4K --exec /nonexistent
ok "map --exec: no such command" is 127
iommuctl map "$dev" --size 4K --exec sleep 100 2>/dev/null &
pid=$!
sleep 1
ok "map --exec: SIGTERM goes to the command" eval 'finish TERM; [ $? = 143 ]'
ok "nothing is held after --exec" drained

# --- unbind ---
run iommuctl device unbind "$dev" --json
keep "device unbind"
iommuctl device bind "$dev" >"$work/out"
run iommuctl device unbind "$dev"
ok "device unbind" eval 'clean && out "^$dev: no driver"'
ok "device unbind: driver and override are gone" eval \
	'[ ! -e /sys/bus/pci/devices/$dev/driver ] &&
	[ "$(cat /sys/bus/pci/devices/$dev/driver_override)" = "(null)" ]'
run iommuctl device unbind "$dev"
ok "device unbind again: refused" fails 5 'nothing to undo'
run iommuctl device bind "$dev" --driver no-such-driver
ok "device bind to no driver" fails 6 'no driver no-such-driver'
run iommuctl device bind "$dev" --driver virtio-pci
ok "device bind to a driver that refuses it: rolled back" eval \
	'is 7 && [ "$(cat /sys/bus/pci/devices/$dev/driver_override)" = \
	"(null)" ]'
ok "nothing is held in the end" drained
ok "JSON is what docs/schema says" schemas

done_testing
