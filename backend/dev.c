/* SPDX-License-Identifier: BSD-3-Clause */
/* The backends by name, and the life of a device. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend/backend_priv.h"
#include "gateway/base/bug.h"
#include "gateway/base/num.h"
#include "gateway/base/str.h"

/* rdwr and aio are what tgt calls its file backends: existing configurations go on working. */
static const struct {
	const char *name;
	const struct be_ops *ops;
} backends[] = {
    {"uring", &be_uring_ops}, {"rdwr", &be_uring_ops}, {"aio", &be_uring_ops},
    {"nvme", &be_nvme_ops},   {"mem", &be_mem_ops},     {"null", &be_null_ops},
};

static const char *names[GW_ARRAY_LEN(backends) + 1] = {"uring", "rdwr", "aio", "nvme",
							"mem",   "null", NULL};

const struct be_ops *
be_find(const char *bstype)
{
	for (unsigned i = 0; i < GW_ARRAY_LEN(backends); i++)
		if (!strcmp(backends[i].name, bstype))
			return backends[i].ops;
	return NULL;
}

const char *const *
be_names(void)
{
	return names;
}

/* What a backend owes its users, checked once. */
static void
check(const struct be_dev *dev)
{
	BUG(!dev->io_align || dev->io_align & (dev->io_align - 1));
	BUG(!dev->dma_align || dev->dma_align & (dev->dma_align - 1));
	BUG(!dev->phys_block || dev->phys_block & (dev->phys_block - 1));
	BUG(!dev->size || dev->size & (dev->io_align - 1));
	BUG(dev->unmap_zeroes && !dev->unmap_align);
	BUG(dev->atomic_max && (!dev->atomic_align || dev->atomic_align & (dev->atomic_align - 1) ||
				!dev->atomic_gran || dev->atomic_gran & (dev->atomic_gran - 1)));
	BUG(dev->counts_space && !dev->ops->space);
	BUG(dev->sanitize_kinds && (!dev->ops->sanitize || !dev->ops->sanitize_state));
}

static void
find_thermometer(struct be_dev *d, const char *const *kv)
{
	d->thermometer_fd = -1;
	for (; *kv && d->thermometer_fd < 0; kv++)
		if (!strncmp(*kv, "path=", 5))
			d->thermometer_fd = be_thermometer_open("/sys", *kv + 5);
	d->thermometer = d->thermometer_fd >= 0;
}

int
be_dev_open(const char *bstype, const char *const *kv, struct be_dev **dev, char *err,
	    unsigned err_size)
{
	const struct be_ops *ops = be_find(bstype);
	struct be_dev *d;
	int rc;

	if (!ops)
		return be_refuse(
		    err, err_size, -EINVAL,
		    "unknown backing store type \"%.64s\": there are uring (also called rdwr "
		    "and aio), nvme, mem and null",
		    bstype);
	d = calloc(1, sizeof(*d));
	if (!d)
		return be_refuse(err, err_size, -ENOMEM, "no memory for a backing store");
	d->ops = ops;
	BUG(!gw_str_copy(d->bstype, sizeof(d->bstype), bstype));
	rc = ops->open(d, kv, err, err_size);
	if (rc) {
		free(d);
		return rc;
	}
	check(d);
	find_thermometer(d, kv);
	*dev = d;
	return 0;
}

void
be_dev_close(struct be_dev *dev)
{
	dev->ops->close(dev);
	if (dev->thermometer)
		close(dev->thermometer_fd);
	free(dev);
}

uint64_t
be_dev_poll_size(struct be_dev *dev)
{
	uint64_t size = dev->ops->size_now(dev);

	if (size)
		__atomic_store_n(&dev->size, size, __ATOMIC_RELAXED);
	return size;
}
