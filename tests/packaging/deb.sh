#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Build the Debian packages, and with dkms the modules in them. Prints TAP.
#
# usage: tests/packaging/deb.sh [KERNEL...]	(default: 6.1 6.12)
set -u
top=$(readlink -f "$(dirname "$0")/../..")
cache=${GRANULE_CACHE:-/var/cache/granule}
kernels=("$@")
[ $# -gt 0 ] || kernels=(6.1 6.12)
# shellcheck source-path=SCRIPTDIR source=../tap.sh
. "$top/tests/tap.sh"

# has PACKAGE FILE...: the files are in it
has() {
	local package=$1 file
	shift
	dpkg-deb -c "$work"/debs/"$package"_*.deb | awk '{ print $6 }' >"$work/list"
	for file; do
		grep -qE "^\./$file\$" "$work/list" || {
			echo "no $file in $package"
			return 1
		}
	done
}

# dkms_builds KERNEL: all modules, from what the package installs
dkms_builds() {
	local release tree=$work/tree-$1
	release=$(cat "$cache/kernel/$1/version")
	mkdir -p "$tree" "$work/installed-$1"
	dkms build --dkmstree "$tree" --installtree "$work/installed-$1" \
		--sourcetree "$work/root/usr/src" -k "$release" \
		--kernelsourcedir "$cache/kernel/$1/build" granule/"$version" || {
		cat "$tree"/granule/*/build/make.log
		return 1
	}
	find "$tree" -name '*.ko*' | sed 's/.*\///; s/\.ko.*//' | sort |
		tee "$work/modules"
	[ "$(tr '\n' ' ' <"$work/modules")" = \
		"granule granule-dart granule-dma granule-vfio granule-virtio-iommu " ]
}

ok "what it needs is there" "$top/tools/setup" --quiet --packages
ok "dpkg-buildpackage builds the packages" "$top/tools/deb" "$work/debs"
ok "iommud: program, units, rules" has iommud usr/sbin/iommud \
	'lib/systemd/system/iommud(-early)?\.service' \
	'lib/systemd/system/iommud\.socket' 'lib/udev/rules\.d/05-iommud\.rules' \
	'usr/lib/sysusers\.d/iommud\.conf' 'usr/share/man/man8/iommud\.8\.gz'
ok "iommuctl: program, completion, manual" has iommuctl usr/bin/iommuctl \
	'usr/share/bash-completion/completions/iommuctl.*' \
	'usr/share/man/man1/iommuctl\.1\.gz'
ok "libiommu0: the library alone" has libiommu0 'usr/lib/.*/libiommu\.so\.0'
ok "libiommu-dev: headers and pkg-config file" has libiommu-dev \
	usr/include/libiommu.h 'usr/lib/.*/pkgconfig/libiommu\.pc'
dpkg-deb -x "$work"/debs/granule-dkms_*.deb "$work/root"
version=$(sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' \
	"$work"/root/usr/src/granule-*/dkms.conf)
for kernel in "${kernels[@]}"; do
	ok "dkms builds all modules for $kernel" dkms_builds "$kernel"
done
done_testing
