// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/iommu: opening, the table of ioctls, loading and unloading.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/file.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "compat/fs.h"
#include "private.h"

/* Room for the argument of any ioctl. */
union granule_arg {
	u32 size;
	struct iommu_buffer_alloc buffer_alloc;
	struct iommu_destroy destroy;
	struct iommu_device_info device_info;
	struct iommu_hw_info hw_info;
	struct iommu_hwpt_alloc hwpt_alloc;
	struct iommu_ioas_alloc ioas_alloc;
	struct iommu_ioas_allow_iovas allow_iovas;
	struct iommu_ioas_copy copy;
	struct iommu_ioas_info ioas_info;
	struct iommu_ioas_iova_ranges iova_ranges;
	struct iommu_ioas_list_areas list_areas;
	struct iommu_ioas_map map;
	struct iommu_ioas_unmap unmap;
	struct iommu_last_error last_error;
	struct iommu_option option;
};

struct granule_ioctl {
	unsigned int cmd;
	u32 size;
	u32 min_size;
	/*
	 * The argument starts a buffer for the answer, whose bytes past the
	 * structure mean nothing yet (VFIO's argsz convention). Otherwise they
	 * belong to a later version of the structure and must be zero.
	 */
	bool buffer;
	int (*fn)(struct granule_call *call);
};

/* By number, from @_base on. */
#define IOCTL(_base, _cmd, _fn, _struct, _last)				\
	[_IOC_NR(_cmd) - (_base)] = {					\
		.cmd = _cmd,						\
		.size = sizeof(_struct) + BUILD_BUG_ON_ZERO(		\
			sizeof(_struct) > sizeof(union granule_arg)),	\
		.min_size = offsetofend(_struct, _last),		\
		.fn = _fn,						\
	}
#define IOCTL_BUFFER(_base, _cmd, _fn, _struct)				\
	[_IOC_NR(_cmd) - (_base)] = {					\
		.cmd = _cmd,						\
		.size = sizeof(_struct),				\
		.min_size = sizeof(_struct),				\
		.buffer = true,						\
		.fn = _fn,						\
	}

#define UPSTREAM(_cmd, _fn, _struct, _last) \
	IOCTL(IOMMUFD_CMD_BASE, _cmd, _fn, _struct, _last)
static const struct granule_ioctl upstream_ioctls[] = {
	UPSTREAM(IOMMU_DESTROY, granule_object_destroy,
		 struct iommu_destroy, id),
	UPSTREAM(IOMMU_IOAS_ALLOC, granule_ioas_alloc,
		 struct iommu_ioas_alloc, out_ioas_id),
	UPSTREAM(IOMMU_IOAS_ALLOW_IOVAS, granule_ioas_allow_iovas,
		 struct iommu_ioas_allow_iovas, allowed_iovas),
	UPSTREAM(IOMMU_IOAS_COPY, granule_ioas_copy,
		 struct iommu_ioas_copy, src_iova),
	UPSTREAM(IOMMU_IOAS_IOVA_RANGES, granule_ioas_iova_ranges,
		 struct iommu_ioas_iova_ranges, out_iova_alignment),
	UPSTREAM(IOMMU_IOAS_MAP, granule_ioas_map,
		 struct iommu_ioas_map, iova),
	UPSTREAM(IOMMU_IOAS_UNMAP, granule_ioas_unmap,
		 struct iommu_ioas_unmap, length),
	UPSTREAM(IOMMU_OPTION, granule_option,
		 struct iommu_option, val64),
	UPSTREAM(IOMMU_HWPT_ALLOC, granule_hwpt_alloc_ioctl,
		 struct iommu_hwpt_alloc, __reserved),
	UPSTREAM(IOMMU_GET_HW_INFO, granule_get_hw_info,
		 struct iommu_hw_info, __reserved),
};

#define GRANULE_BASE IOMMU_GRANULE_CMD_BASE
static const struct granule_ioctl granule_ioctls[] = {
	IOCTL_BUFFER(GRANULE_BASE, IOMMU_DEVICE_GET_INFO,
		     granule_device_get_info, struct iommu_device_info),
	IOCTL_BUFFER(GRANULE_BASE, IOMMU_IOAS_GET_INFO,
		     granule_ioas_get_info, struct iommu_ioas_info),
	IOCTL(GRANULE_BASE, IOMMU_IOAS_LIST_AREAS, granule_ioas_list_areas,
	      struct iommu_ioas_list_areas, areas),
	IOCTL(GRANULE_BASE, IOMMU_BUFFER_ALLOC, granule_buffer_alloc,
	      struct iommu_buffer_alloc, out_mmap_offset),
	IOCTL(GRANULE_BASE, IOMMU_GET_LAST_ERROR, granule_error_get,
	      struct iommu_last_error, out_need),
};

static const struct granule_ioctl *granule_find_ioctl(unsigned int cmd)
{
	const struct granule_ioctl *op = NULL;
	unsigned int nr = _IOC_NR(cmd);

	if (nr >= IOMMU_GRANULE_CMD_BASE) {
		nr -= IOMMU_GRANULE_CMD_BASE;
		if (nr < ARRAY_SIZE(granule_ioctls))
			op = &granule_ioctls[nr];
	} else if (nr >= IOMMUFD_CMD_BASE) {
		nr -= IOMMUFD_CMD_BASE;
		if (nr < ARRAY_SIZE(upstream_ioctls))
			op = &upstream_ioctls[nr];
	}
	return op && op->fn && op->cmd == cmd ? op : NULL;
}

/*
 * granule_call_respond - copy the argument back to the caller
 * @size: of the structure; a shorter one of an older caller is not overrun
 * Return: 0 or -EFAULT.
 */
int granule_call_respond(struct granule_call *call, size_t size)
{
	if (granule_should_fail() ||
	    copy_to_user(call->uarg, call->arg,
			 min_t(size_t, call->user_size, size)))
		return granule_fail(&call->why, -EFAULT, BAD_POINTER,
				    .out_addr = (uintptr_t)call->uarg);
	return 0;
}

static int granule_call_load(struct granule_call *call,
			     const struct granule_ioctl *op)
{
	int rc;

	if (get_user(call->user_size, (u32 __user *)call->uarg))
		return granule_fail(&call->why, -EFAULT, BAD_POINTER,
				    .out_addr = (uintptr_t)call->uarg);
	if (call->user_size < op->min_size)
		return granule_fail(&call->why, -EINVAL, ARG_SIZE,
				    .out_need = op->min_size,
				    .out_limit = op->size,
				    .out_usage = call->user_size);
	if (op->buffer)
		rc = copy_from_user(call->arg, call->uarg, op->size) ?
			     -EFAULT : 0;
	else
		rc = copy_struct_from_user(call->arg, op->size, call->uarg,
					   call->user_size);
	if (rc == -E2BIG)
		return granule_fail(&call->why, rc, ARG_SIZE,
				    .out_need = op->min_size,
				    .out_limit = op->size,
				    .out_usage = call->user_size);
	if (rc)
		return granule_fail(&call->why, rc, BAD_POINTER,
				    .out_addr = (uintptr_t)call->uarg);
	return 0;
}

static long granule_ioctl(struct file *file, unsigned int cmd,
			  unsigned long arg)
{
	struct granule_ctx *ctx = file->private_data;
	const struct granule_ioctl *op = granule_find_ioctl(cmd);
	struct granule_call call;
	union granule_arg buf;
	u32 ioas = 0;
	int rc;

	call.ctx = ctx;
	call.uarg = (void __user *)arg;
	call.arg = &buf;
	call.why.out_reason = IOMMU_REASON_NONE;
	rc = op ? granule_call_load(&call, op) : -ENOTTY;
	if (!rc) {
		if (cmd == IOMMU_IOAS_MAP)
			ioas = buf.map.ioas_id;
		else if (cmd == IOMMU_IOAS_COPY)
			ioas = buf.copy.dst_ioas_id;
		rc = op->fn(&call);
	}
	if (rc && cmd != IOMMU_GET_LAST_ERROR) {
		granule_error_record(ctx, cmd, rc, &call.why);
		granule_event_refused(ctx, ioas, ioas, &call.why);
	}
	return rc;
}

static int granule_open(struct inode *inode, struct file *file)
{
	struct granule_ctx *ctx;

	ctx = granule_should_fail() ? NULL :
		kzalloc(sizeof(*ctx), GFP_KERNEL_ACCOUNT);
	if (!ctx)
		return -ENOMEM;
	xa_init_flags(&ctx->objects, XA_FLAGS_ALLOC1 | XA_FLAGS_ACCOUNT);
	init_waitqueue_head(&ctx->idle);
	spin_lock_init(&ctx->errors_lock);
	spin_lock_init(&ctx->buffers_lock);
	iova_tree_init(&ctx->buffers);
	ctx->account = GRANULE_ACCOUNT_USER;
	ctx->file = file;
	file->private_data = ctx;
	granule_stat_add(GRANULE_STAT_CONTEXTS, 1);
	granule_context_add(ctx);
	granule_event_context(ctx, GRANULE_EVENT_CONTEXT_OPENED);
	return 0;
}

static int granule_release(struct inode *inode, struct file *file)
{
	struct granule_ctx *ctx = file->private_data;

	granule_objects_destroy_all(ctx);
	granule_event_context(ctx, GRANULE_EVENT_CONTEXT_CLOSED);
	granule_context_remove(ctx);
	xa_destroy(&ctx->objects);
	if (ctx->owner)
		granule_owner_put(ctx->owner);
	granule_errors_free(ctx);
	kfree(ctx);
	granule_stat_add(GRANULE_STAT_CONTEXTS, -1);
	return 0;
}

static const struct file_operations granule_fops = {
	.owner = THIS_MODULE,
	.open = granule_open,
	.release = granule_release,
	.unlocked_ioctl = granule_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.mmap = granule_buffer_mmap,
	.get_unmapped_area = granule_buffer_address,
};

struct granule_ctx *granule_ctx_get_fd(int fd)
{
	struct file *file = fget(fd);

	if (!file)
		return ERR_PTR(-EBADF);
	if (file->f_op != &granule_fops) {
		fput(file);
		return ERR_PTR(-EBADFD);
	}
	return file->private_data;
}
EXPORT_SYMBOL_GPL(granule_ctx_get_fd);

void granule_ctx_put(struct granule_ctx *ctx)
{
	fput(ctx->file);
}
EXPORT_SYMBOL_GPL(granule_ctx_put);

static struct miscdevice granule_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "iommu",
	.fops = &granule_fops,
	.mode = 0660,
	.groups = granule_stat_groups,
};

static int __init granule_init(void)
{
	int rc;

	rc = granule_pages_init();
	if (rc)
		return rc;
	rc = granule_areas_init();
	if (rc)
		goto err_pages;
	rc = granule_buffers_init();
	if (rc)
		goto err_areas;
	rc = granule_netlink_init();
	if (rc)
		goto err_buffers;
	rc = misc_register(&granule_misc);
	if (rc) {
		pr_err("cannot create /dev/iommu (%d): does this kernel have an iommufd of its own?\n",
		       rc);
		goto err_netlink;
	}
	return 0;

err_netlink:
	granule_netlink_exit();
err_buffers:
	granule_buffers_exit();
err_areas:
	granule_areas_exit();
err_pages:
	granule_pages_exit();
	return rc;
}

static void __exit granule_exit(void)
{
	misc_deregister(&granule_misc);
	granule_netlink_exit();
	granule_buffers_exit();
	granule_areas_exit();
	granule_pages_exit();
}

module_init(granule_init);
module_exit(granule_exit);
MODULE_ALIAS("devname:iommu");
MODULE_DESCRIPTION("/dev/iommu: I/O address spaces for user space");
MODULE_LICENSE("GPL");
