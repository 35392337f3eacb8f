#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# iommuctl where the IOMMU's page is larger than the CPU's, as root in the VM:
#
#   tools/vm --iommu virtio --granule 16k --qemu '-device e1000e,addr=4' \
#	-- tests/vm/cli-granule.sh
#   tools/vm -- tests/vm/cli-granule.sh
#
# Behind an IOMMU with pages of 4K the granule is raised by --granule 16K.
# Output is TAP.
# Words for sh -c and eval are meant to be expanded later.
# shellcheck disable=SC2016
# shellcheck source-path=SCRIPTDIR source=cli-lib.sh
. "$(dirname "$0")/cli-lib.sh"
here=$(dirname "$0")
page=$(getconf PAGESIZE)
thp=/sys/kernel/mm/transparent_hugepage

# value EXPRESSION: of the JSON document d in the output
value() {
	/usr/bin/python3 -c 'import json, sys
d = json.load(open(sys.argv[1]))
print(eval(sys.argv[2]))' "$work/out" "$1"
}
# What is chosen in a file of transparent_hugepage: "[this] that"
chosen() { sed 's/.*\[\(.*\)\].*/\1/' "$1"; }

# --- by sysfs, before it is bound ---
modprobe -q e1000e	# a driver of the kernel's to look at, for --qemu above
run iommuctl device list --json
ok "device list --json" clean
listed=$(value "next(x['granule'] for x in d['devices']
	if x['device'] == '$dev')")
run iommuctl device show "$dev" --json
ok "device show --json" clean
state=$(value "d['kernel_dma']['state']")
group=$(group_of "$dev")
if [ -z "$group" ]; then
	ok "no group before there is a driver: says so" \
		test "$state" = unknown
elif [ -d "/sys/kernel/granule-dma/$group" ]; then
	ok "kernel DMA: translated, but for nobody" \
		py "d['kernel_dma']['by'] == 'granule-dma' and
		d['kernel_dma']['granule'] == $listed and
		d['kernel_dma']['mapped_granules'] == 0"
else
	ok "kernel DMA: as the type of the group says" test "$state" = \
		"$(sed 's/^DMA.*/translated/; s/identity/untranslated/' \
			"/sys/kernel/iommu_groups/$group/type")"
fi
# Devices that drivers of the kernel have: all counters are as in sysfs.
users=0
for d in /sys/kernel/granule-dma/*; do
	[ "$(cat "$d/users" 2>/dev/null || echo 0)" -gt 0 ] || continue
	users=$((users + 1))
	for other in "/sys/kernel/iommu_groups/${d##*/}/devices/"*; do
		other=${other##*/}
		run iommuctl device show "$other" --json
		ok "kernel DMA of $other: translated" py "
			d['kernel_dma']['state'] == ('translated'
				if $(cat "$d/trusted") else 'bounced') and
			d['kernel_dma']['by'] == 'granule-dma' and
			d['kernel_dma']['granule'] == $(cat "$d/granule") and
			0 <= d['kernel_dma']['failures'] and
			d['device']['iommu_faults'] == 0"
		run iommuctl device show "$other"
		ok "kernel DMA of $other: in the text" eval '
			out "^kernel DMA +(translated|bounced) by granule-dma" &&
			out "^DMA mapped +[0-9]+ granules of [0-9]+K" &&
			out "^IOMMU .*granule_virtio_iommu.*, 0 faults"'
	done
done
[ "$users" -gt 0 ] || echo "# no driver of the kernel uses granule-dma here"

# --- bound ---
run iommuctl device bind "$dev"
ok "device bind" is 0
# A machine with a virtio IOMMU does not remap interrupts.
unsafe=/sys/module/granule/parameters/allow_unsafe_interrupts
was_unsafe=$(cat $unsafe)
run iommuctl map "$dev" --size 4M --memory buffer --exec true
if ! is 0; then
	ok "interrupts are not remapped: refused, with the parameter" \
		fails 5 'does not remap interrupts, .*allow_unsafe_interrupts'
	echo Y >$unsafe
fi
run iommuctl ranges "$dev" --json
ok "ranges --json" clean
granule=$(value "d['granule']")
run iommuctl device list --json
ok "ranges: granule as in the list" py "next(x['granule'] for x in d['devices']
	if x['device'] == '$dev') == $granule"
run iommuctl ranges "$dev" --json
ok "ranges: alignment, CPU page" \
	py "d['alignment'] == $granule and d['cpu_page_size'] == $page"
ok "ranges: a rule where it is larger" py "
	d['needs_contiguous'] == ($granule > $page) and
	(d['rule'] is not None) == ($granule > $page) and
	all(int(r['start'], 16) % $granule == 0 and
	    (int(r['last'], 16) + 1) % $granule == 0 for r in d['iova_ranges'])"
run iommuctl ranges "$dev"
ok "ranges: granule and CPU page" \
	out "^granule +$((granule / 1024))K \(CPU page $((page / 1024))K\)\$"
raise=()
if [ "$granule" -gt "$page" ]; then
	ok "ranges: the rule" out "^user memory +every $((granule / 1024)) KiB \
must be one physically contiguous, aligned piece: use huge pages"
	run iommuctl device show "$dev"
	ok "device show: the rule" out "^user memory +every $((granule / 1024)) KiB"
else
	granule=16384
	raise=(--granule 16K)
fi
run iommuctl device show "$dev"
ok "kernel DMA: unused while vfio-pci has it" out '^kernel DMA +unused: vfio-pci'
kib=$((granule / 1024))
ok "nothing is held after looking" drained

# map ARGS...: at the granule of this run
map() { run iommuctl map "$dev" "${raise[@]}" "$@"; }

# --- kinds of memory ---
plain="[0-9]+ of $((4096 / kib)) granules of $kib KiB of the memory are not \
physically contiguous and aligned, the first at 0x[0-9a-f]+ in the process, \
and the IOMMU has no smaller page here; use huge pages \(hugetlb, or THP by \
madvise\), mTHP of $kib KiB, or a buffer"
map --size 4M --memory anonymous --exec true
ok "plain memory: refused, with what will do" \
	fails 5 "map $dev: $plain .*--memory hugetlb, thp or buffer\$"
ok "plain memory: nothing is held" drained
map --size 4M --memory thp --exec true
ok "THP" eval 'is 0 && err "4M +read write +fresh, thp"'
map --size "${kib}K" --memory thp --read --exec true
ok "THP of one granule, for reading" is 0
map --size 4M --memory buffer --exec true
ok "buffer" eval 'is 0 && err "4M +read write +fresh, buffer"'
map --size 4M --memory hugetlb --exec true
ok "hugetlb without free pages" fails 5 '2 huge pages of 2M are not free'
echo 2 >/proc/sys/vm/nr_hugepages
map --size "${kib}K" --memory hugetlb --exec "$here/../e2e/edu_dma.py"
ok "hugetlb: DMA of a part of a page" is 0
map --size 2M --huge 2M --exec "$here/../e2e/edu_dma.py"
ok "--huge 2M: DMA" is 0
echo 0 >/proc/sys/vm/nr_hugepages
map --size 64K --memory buffer --exec "$here/../e2e/edu_dma.py"
ok "buffer: DMA" is 0
map --size 64K --exec "$here/../e2e/edu_dma.py"
ok "chosen for a command: a buffer, DMA" \
	eval 'is 0 && err "note: --memory buffer was chosen, because every"'
ok "everything is given back" drained

# --- chosen, and held ---
ok "chosen: holds" start "${raise[@]}" --size 64K --size 4M
ok "chosen: THP, and says so" eval \
	'grep -q "64K .*fresh, thp" "$work/map.out" &&
	grep -q "4M .*fresh, thp" "$work/map.out" &&
	grep -q "^note: --memory thp was chosen, because every $kib KiB" \
		"$work/map.out"'
ok "chosen: granule in effect" grep -q "granule ${kib}K," "$work/map.out"
run iommuctl maps --pid "$pid" --json
ok "maps: granule and alignment" py "all(
	i['granule'] == $granule and i['alignment'] == $granule
	for c in d['contexts'] for i in c['ioas'])"
ok "chosen: ends" finish TERM
was=$(chosen $thp/enabled)
echo never >$thp/enabled
map --size 4M --memory thp --exec true
ok "THP switched off: refused, with where they are" fails 5 \
	"$plain .*switched off in $thp/enabled\$"
ok "THP switched off: holds" start "${raise[@]}" --size 4M
ok "THP switched off: a buffer is chosen" \
	grep -q '4M .*fresh, buffer' "$work/map.out"
ok "THP switched off: ends" finish TERM
if [ -d "$thp/hugepages-${kib}kB" ]; then
	mthp=$(chosen "$thp/hugepages-${kib}kB/enabled")
	echo madvise >"$thp/hugepages-${kib}kB/enabled"
	map --size 4M --memory thp --exec true
	ok "mTHP of ${kib}K" eval 'is 0 && err "4M +read write +fresh, thp"'
	echo "$mthp" >"$thp/hugepages-${kib}kB/enabled"
else
	echo "# this kernel has no mTHP of ${kib}K"
fi
echo "$was" >$thp/enabled
ok "everything is given back then, too" drained

# --- alignment, and a granule on purpose ---
map --size "${kib}K" --iova "$(printf '0x%x' $((granule * 4 + page)))"
ok "IOVA within a granule" fails 5 "is not a multiple of $(printf '0x%x' \
	"$granule"), .*; $(printf '0x%x' $((granule * 4))) is\$"
map --size 4K
ok "length of less than a granule" \
	fails 5 "length 0x1000 is not a multiple of $(printf '0x%x' "$granule")"
run iommuctl map "$dev" --granule 128K --size 256K --json --exec true
cp "$work/err" "$work/out"
ok "--granule 128K: in effect" py "d['granule'] == 131072 and
	int(d['areas'][0]['iova'], 16) % 131072 == 0"
run iommuctl map "$dev" --granule 128K --size 64K
ok "--granule 128K: length" fails 5 'length 0x10000 is not a multiple of 0x20000'
run iommuctl map "$dev" --granule 2G --size 2G
ok "--granule 2G: refused" fails 5 \
	'--granule 2G: .* has to be a power of two from 4 KiB to 1 GiB'
run iommuctl map "$dev" --granule 4K --size "${kib}K" --exec true
ok "--granule 4K: what the IOMMU needs stays" is 0
ok "nothing is held in the end" drained
run iommuctl device show "$dev"
if out 'granule_virtio_iommu'; then
	ok "device show: faults of the DMA outside" \
		out '^IOMMU .*, [1-9][0-9]* faults of the device'
fi
run iommuctl device unbind "$dev"
ok "device unbind" is 0
[ "$was_unsafe" = Y ] || echo N >$unsafe

done_testing
