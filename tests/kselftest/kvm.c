// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM's VFIO device and our device files: a VMM shows it each before it binds
 * it. Without KVM (which in the VM is an emulated AMD's) all is skipped.
 */
#include <linux/kvm.h>

#include "edu.h"

#define BASE 0x1000000ULL

FIXTURE(kvm)
{
	int kvm, vm, vfio;	/* vfio: the virtual machine's VFIO device */
	int fd;
	uint32_t ioas;
	struct edu edu;
};

static int vfio_file(int vfio, uint64_t what, int fd)
{
	int32_t value = fd;
	struct kvm_device_attr attr = {
		/* The same number as KVM_DEV_VFIO_FILE of later headers. */
		.group = KVM_DEV_VFIO_GROUP,
		.attr = what,
		.addr = (uintptr_t)&value,
	};

	return try_ioctl(vfio, KVM_SET_DEVICE_ATTR, &attr);
}

static int add_file(int vfio, int fd)
{
	return vfio_file(vfio, KVM_DEV_VFIO_GROUP_ADD, fd);
}

static int del_file(int vfio, int fd)
{
	return vfio_file(vfio, KVM_DEV_VFIO_GROUP_DEL, fd);
}

FIXTURE_SETUP(kvm)
{
	struct kvm_create_device create = { .type = KVM_DEV_TYPE_VFIO };

	self->edu.dev = -1;
	self->fd = self->vm = self->vfio = -1;
	if (system("modprobe -q kvm-amd"))
		SKIP(return, "no KVM: the CPU is not an AMD with virtualisation");
	self->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->kvm);
	self->vm = ioctl(self->kvm, KVM_CREATE_VM, 0);
	ASSERT_LE(0, self->vm);
	OK(try_ioctl(self->vm, KVM_CREATE_DEVICE, &create));
	self->vfio = create.fd;
	self->fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
	OK(iommu_ioas_alloc(self->fd, &self->ioas));
	OK(edu_open(&self->edu, 0));
}

FIXTURE_TEARDOWN(kvm)
{
	int i, fds[] = { self->vfio, self->vm, self->kvm, self->fd };

	edu_close(&self->edu);
	for (i = 0; i < ARRAY_LEN(fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

/* As QEMU does it: shown to KVM first, then bound; DMA as ever. */
TEST_F(kvm, shown_and_bound)
{
	uint8_t *mem = mmap(NULL, 2 * PG, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, mem);
	memset(mem, 0x5a, PG);
	OK(add_file(self->vfio, self->edu.dev));
	FAILS(EEXIST, add_file(self->vfio, self->edu.dev));
	OK(edu_bind(&self->edu, self->fd));
	OK(edu_attach(&self->edu, self->ioas));
	OK(iommu_map_at(self->fd, self->ioas, mem, 2 * PG, RW, BASE));
	OK(edu_start(&self->edu));
	OK(edu_load(&self->edu, BASE, PG));
	OK(edu_store(&self->edu, BASE + PG, PG));
	EXPECT_EQ(0, memcmp(mem, mem + PG, PG));
	OK(del_file(self->vfio, self->edu.dev));
	FAILS(ENOENT, del_file(self->vfio, self->edu.dev));
	OK(add_file(self->vfio, self->edu.dev));
	munmap(mem, 2 * PG);
}

/* KVM's reference keeps the file, and the device with it. */
TEST_F(kvm, keeps_the_device)
{
	struct edu again;

	OK(edu_bind(&self->edu, self->fd));
	OK(add_file(self->vfio, self->edu.dev));
	close(self->edu.dev);
	self->edu.dev = -1;
	OK(edu_open(&again, 0));
	FAILS(EINVAL, edu_bind(&again, self->fd));
	close(self->vfio);
	close(self->vm);
	self->vfio = self->vm = -1;
	OK(edu_bind(&again, self->fd));
	edu_close(&again);
}

/* One that was taken back is still a file that KVM may have. */
TEST_F(kvm, taken_back)
{
	struct granule_vfio_revoke revoke = { .argsz = sizeof(revoke) };
	struct edu other;

	OK(add_file(self->vfio, self->edu.dev));
	OK(edu_open(&other, 0));
	OK(edu_bind(&other, self->fd));
	OK(try_ioctl(other.dev, GRANULE_VFIO_REVOKE, &revoke));
	OK(del_file(self->vfio, self->edu.dev));
	OK(add_file(self->vfio, self->edu.dev));
	FAILS(ESTALE, edu_bind(&self->edu, self->fd));
	edu_close(&other);
}

/* Whatever is not VFIO's is refused, as ever; a group's file is not. */
TEST_F(kvm, other_files)
{
	char path[PATH_MAX], link[PATH_MAX] = "";
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), group;

	FAILS(EINVAL, add_file(self->vfio, null));
	FAILS(EINVAL, add_file(self->vfio, self->fd));
	FAILS(EBADF, add_file(self->vfio, -1));
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group",
		 self->edu.bdf);
	ASSERT_LT(0, readlink(path, link, sizeof(link) - 1));
	snprintf(path, sizeof(path), "/dev/vfio/%s", strrchr(link, '/') + 1);
	group = open(path, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, group) TH_LOG("%s: %s", path, strerror(errno));
	OK(add_file(self->vfio, group));
	OK(add_file(self->vfio, self->edu.dev));
	OK(del_file(self->vfio, group));
	close(group);
	close(null);
}

TEST_HARNESS_MAIN
