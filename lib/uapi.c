// SPDX-License-Identifier: LGPL-2.1-only
/* One function per ioctl of /dev/iommu and of VFIO device files. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "libiommu.h"

/* Retries when the answer grew in between; more often means a broken kernel. */
#define MAX_TRIES 16
/* Larger answers are not believed. */
#define MAX_INFO (64U << 20)
#define MAX_RANGES (1U << 20)

static int call(int fd, unsigned long cmd, void *arg)
{
	return ioctl(fd, cmd, arg) < 0 ? -errno : 0;
}

const char *iommu_version(void)
{
	return LIBIOMMU_VERSION;
}

int iommu_open(const char *path)
{
	int fd = open(path ? path : "/dev/iommu", O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int iommu_destroy(int fd, __u32 id)
{
	struct iommu_destroy cmd = { .size = sizeof(cmd), .id = id };

	return call(fd, IOMMU_DESTROY, &cmd);
}

int iommu_ioas_alloc(int fd, __u32 *ret_id)
{
	struct iommu_ioas_alloc cmd = { .size = sizeof(cmd) };
	int rc = call(fd, IOMMU_IOAS_ALLOC, &cmd);

	if (!rc)
		*ret_id = cmd.out_ioas_id;
	return rc;
}

int iommu_ioas_iova_ranges(int fd, __u32 ioas_id,
			   struct iommu_iova_range **ret_ranges,
			   __u32 *ret_nr, __u64 *ret_alignment)
{
	struct iommu_ioas_iova_ranges cmd;
	struct iommu_iova_range *ranges = NULL, *more;
	__u32 room = 0;
	int rc, tries;

	*ret_ranges = NULL;
	*ret_nr = 0;
	for (tries = 0; tries < MAX_TRIES; tries++) {
		cmd = (struct iommu_ioas_iova_ranges){
			.size = sizeof(cmd),
			.ioas_id = ioas_id,
			.num_iovas = room,
			.allowed_iovas = (uintptr_t)ranges,
		};
		rc = call(fd, IOMMU_IOAS_IOVA_RANGES, &cmd);
		if (rc != -EMSGSIZE)
			break;
		if (cmd.num_iovas > MAX_RANGES) {
			rc = -EBADMSG;
			break;
		}
		room = cmd.num_iovas;
		more = reallocarray(ranges, room, sizeof(*ranges));
		if (!more) {
			rc = -ENOMEM;
			break;
		}
		ranges = more;
	}
	if (!rc && cmd.num_iovas > room)
		rc = -EBADMSG;
	if (rc) {
		free(ranges);
		return rc;
	}
	*ret_ranges = ranges;
	*ret_nr = cmd.num_iovas;
	if (ret_alignment)
		*ret_alignment = cmd.out_iova_alignment;
	return 0;
}

int iommu_ioas_allow_iovas(int fd, __u32 ioas_id,
			   const struct iommu_iova_range *ranges, __u32 nr)
{
	struct iommu_ioas_allow_iovas cmd = {
		.size = sizeof(cmd),
		.ioas_id = ioas_id,
		.num_iovas = nr,
		.allowed_iovas = (uintptr_t)ranges,
	};

	return call(fd, IOMMU_IOAS_ALLOW_IOVAS, &cmd);
}

int iommu_ioas_map(int fd, __u32 ioas_id, __u32 flags, const void *va,
		   __u64 length, __u64 *iova)
{
	struct iommu_ioas_map cmd = {
		.size = sizeof(cmd),
		.flags = flags,
		.ioas_id = ioas_id,
		.user_va = (uintptr_t)va,
		.length = length,
		.iova = flags & IOMMU_IOAS_MAP_FIXED_IOVA ? *iova : 0,
	};
	int rc = call(fd, IOMMU_IOAS_MAP, &cmd);

	if (!rc)
		*iova = cmd.iova;
	return rc;
}

int iommu_ioas_copy(int fd, __u32 flags, __u32 dst_ioas, __u32 src_ioas,
		    __u64 length, __u64 src_iova, __u64 *dst_iova)
{
	struct iommu_ioas_copy cmd = {
		.size = sizeof(cmd),
		.flags = flags,
		.dst_ioas_id = dst_ioas,
		.src_ioas_id = src_ioas,
		.length = length,
		.dst_iova = flags & IOMMU_IOAS_MAP_FIXED_IOVA ? *dst_iova : 0,
		.src_iova = src_iova,
	};
	int rc = call(fd, IOMMU_IOAS_COPY, &cmd);

	if (!rc)
		*dst_iova = cmd.dst_iova;
	return rc;
}

int iommu_ioas_unmap(int fd, __u32 ioas_id, __u64 iova, __u64 length,
		     __u64 *ret_bytes)
{
	struct iommu_ioas_unmap cmd = {
		.size = sizeof(cmd),
		.ioas_id = ioas_id,
		.iova = iova,
		.length = length,
	};
	int rc = call(fd, IOMMU_IOAS_UNMAP, &cmd);

	if (!rc && ret_bytes)
		*ret_bytes = cmd.length;
	return rc;
}

int iommu_option_get(int fd, __u32 option, __u32 object_id, __u64 *ret_value)
{
	struct iommu_option cmd = {
		.size = sizeof(cmd),
		.option_id = option,
		.op = IOMMU_OPTION_OP_GET,
		.object_id = object_id,
	};
	int rc = call(fd, IOMMU_OPTION, &cmd);

	if (!rc)
		*ret_value = cmd.val64;
	return rc;
}

int iommu_option_set(int fd, __u32 option, __u32 object_id, __u64 value)
{
	struct iommu_option cmd = {
		.size = sizeof(cmd),
		.option_id = option,
		.op = IOMMU_OPTION_OP_SET,
		.object_id = object_id,
		.val64 = value,
	};

	return call(fd, IOMMU_OPTION, &cmd);
}

int iommu_ioas_granule(int fd, __u32 ioas_id, __u64 *ret)
{
	return iommu_option_get(fd, IOMMU_OPTION_IOAS_GRANULE, ioas_id, ret);
}

int iommu_ioas_set_granule(int fd, __u32 ioas_id, __u64 granule)
{
	return iommu_option_set(fd, IOMMU_OPTION_IOAS_GRANULE, ioas_id,
				granule);
}

int iommu_buffer_alloc(int fd, __u32 ioas_id, __u64 granule, __u64 length,
		       struct iommu_buffer_alloc *ret)
{
	struct iommu_buffer_alloc cmd = {
		.size = sizeof(cmd),
		.ioas_id = ioas_id,
		.length = length,
		.granule = granule,
	};
	int rc = call(fd, IOMMU_BUFFER_ALLOC, &cmd);

	if (!rc)
		*ret = cmd;
	return rc;
}

int iommu_buffer_get(int fd, __u32 ioas_id, __u64 granule, __u64 length,
		     struct iommu_buffer *ret)
{
	struct iommu_buffer_alloc cmd;
	void *va;
	int rc;

	*ret = (struct iommu_buffer){ 0 };
	rc = iommu_buffer_alloc(fd, ioas_id, granule, length, &cmd);
	if (rc)
		return rc;
	rc = iommu_map_aligned(cmd.out_length, cmd.out_granule,
			       PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			       cmd.out_mmap_offset, &va);
	if (rc) {
		(void)iommu_destroy(fd, cmd.out_buffer_id);
		return rc;
	}
	*ret = (struct iommu_buffer){
		.id = cmd.out_buffer_id,
		.va = va,
		.length = cmd.out_length,
		.granule = cmd.out_granule,
		.offset = cmd.out_mmap_offset,
	};
	return 0;
}

void iommu_buffer_put(int fd, struct iommu_buffer *buf)
{
	if (!buf->id)
		return;
	munmap(buf->va, buf->length);
	(void)iommu_destroy(fd, buf->id);
	*buf = (struct iommu_buffer){ 0 };
}

int iommu_hwpt_alloc(int fd, __u32 dev_id, __u32 pt_id, __u32 *ret_id)
{
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd),
		.dev_id = dev_id,
		.pt_id = pt_id,
	};
	int rc = call(fd, IOMMU_HWPT_ALLOC, &cmd);

	if (!rc)
		*ret_id = cmd.out_hwpt_id;
	return rc;
}

int iommu_get_hw_info(int fd, __u32 dev_id, struct iommu_hw_info *ret_info,
		      void *data, __u32 len)
{
	*ret_info = (struct iommu_hw_info){
		.size = sizeof(*ret_info),
		.dev_id = dev_id,
		.data_len = len,
		.data_uptr = (uintptr_t)data,
	};
	return call(fd, IOMMU_GET_HW_INFO, ret_info);
}

/*
 * Both info ioctls start with argsz and answer with the size that they need.
 * @head is the first bytes of the argument, filled in by the caller.
 */
static int get_info(int fd, unsigned long cmd, const void *head,
		    __u32 head_size, void **ret)
{
	__u32 size = head_size, need;
	void *buf = NULL, *more;
	int rc, tries;

	*ret = NULL;
	for (tries = 0; tries < MAX_TRIES; tries++) {
		more = realloc(buf, size);
		if (!more) {
			free(buf);
			return -ENOMEM;
		}
		buf = more;
		memset(buf, 0, size);
		memcpy(buf, head, head_size);
		memcpy(buf, &size, sizeof(size));
		rc = call(fd, cmd, buf);
		if (rc) {
			free(buf);
			return rc;
		}
		memcpy(&need, buf, sizeof(need));
		if (need <= size) {
			/* Readers take argsz for what is valid. */
			if (need < head_size)
				break;
			*ret = buf;
			return 0;
		}
		if (need > MAX_INFO)
			break;
		size = need;
	}
	free(buf);
	return -EBADMSG;
}

int iommu_device_get_info(int fd, __u32 dev_id,
			  struct iommu_device_info **ret_info)
{
	struct iommu_device_info head = { .dev_cookie = dev_id };

	return get_info(fd, IOMMU_DEVICE_GET_INFO, &head, sizeof(head),
			(void **)ret_info);
}

int iommu_ioas_get_info(int fd, __u32 ioas_id,
			struct iommu_ioas_info **ret_info)
{
	struct iommu_ioas_info head = { .ioas_id = ioas_id };

	return get_info(fd, IOMMU_IOAS_GET_INFO, &head, sizeof(head),
			(void **)ret_info);
}

int iommu_ioas_list_areas(int fd, __u32 ioas_id,
			  struct iommu_area_info **ret_areas, size_t *ret_nr)
{
	struct iommu_area_info *areas = NULL, *more;
	struct iommu_ioas_list_areas cmd = { 0 };
	size_t nr = 0, room = 0;
	__u64 from = 0;
	int rc;

	*ret_areas = NULL;
	*ret_nr = 0;
	for (;;) {
		if (nr == room) {
			room = room ? room * 2 : 64;
			more = reallocarray(areas, room, sizeof(*areas));
			if (!more) {
				rc = -ENOMEM;
				goto err;
			}
			areas = more;
		}
		cmd = (struct iommu_ioas_list_areas){
			.size = sizeof(cmd),
			.ioas_id = ioas_id,
			.iova = from,
			.num_areas = room - nr < UINT32_MAX ? room - nr :
							      UINT32_MAX,
			.areas = (uintptr_t)(areas + nr),
		};
		rc = call(fd, IOMMU_IOAS_LIST_AREAS, &cmd);
		if (rc)
			goto err;
		/* The walk must move on, or it would never end. */
		if (cmd.num_areas > room - nr ||
		    (cmd.out_more && (!cmd.num_areas || cmd.iova <= from))) {
			rc = -EBADMSG;
			goto err;
		}
		nr += cmd.num_areas;
		if (!cmd.out_more)
			break;
		from = cmd.iova;
	}
	if (!nr) {
		free(areas);
		areas = NULL;
	}
	*ret_areas = areas;
	*ret_nr = nr;
	return 0;
err:
	free(areas);
	return rc;
}

int iommu_last_error(int fd, struct iommu_last_error *ret)
{
	*ret = (struct iommu_last_error){ .size = sizeof(*ret) };
	return call(fd, IOMMU_GET_LAST_ERROR, ret);
}

int iommu_vfio_open(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int iommu_vfio_bind(int devfd, int iommufd, __u32 *ret_dev_id)
{
	struct vfio_device_bind_iommufd cmd = {
		.argsz = sizeof(cmd),
		.iommufd = iommufd,
	};
	int rc = call(devfd, VFIO_DEVICE_BIND_IOMMUFD, &cmd);

	if (!rc)
		*ret_dev_id = cmd.out_devid;
	return rc;
}

int iommu_vfio_attach(int devfd, __u32 *pt_id)
{
	struct vfio_device_attach_iommufd_pt cmd = {
		.argsz = sizeof(cmd),
		.pt_id = *pt_id,
	};
	int rc = call(devfd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &cmd);

	if (!rc)
		*pt_id = cmd.pt_id;
	return rc;
}

int iommu_vfio_detach(int devfd)
{
	struct vfio_device_detach_iommufd_pt cmd = { .argsz = sizeof(cmd) };

	return call(devfd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &cmd);
}

int iommu_vfio_revoke(int devfd)
{
	struct granule_vfio_revoke cmd = { .argsz = sizeof(cmd) };

	return call(devfd, GRANULE_VFIO_REVOKE, &cmd);
}
