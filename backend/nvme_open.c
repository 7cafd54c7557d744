/* SPDX-License-Identifier: BSD-3-Clause */
/* Opening a namespace: what it is, what it can do, and that nobody else uses it. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/nvme_priv.h"
#include "backend/uring_priv.h"
#include "gateway/base/log.h"
#include "gateway/base/num.h"

#define PAGE          4096u
#define PIECE_MAX     (1u << 20)
#define CNS_NAMESPACE 0x00
#define CNS_CTRL      0x01
#define CNS_CTRL_NVM  0x06

struct opening {
	struct be_dev *dev;
	struct nvme_dev *nd;
	struct be_opts o;
	struct nvme_names names;
	struct stat st; /* of the block device, or of the generic one if there is no other */
	char *err;
	unsigned err_size;
};

#define refuse(p, rc, ...) be_refuse((p)->err, (p)->err_size, rc, __VA_ARGS__)

bool
nvme_gone(const struct nvme_dev *nd)
{
	return nd->block_fd >= 0 && !uring_block_size(nd->block_fd);
}

/* --- whose it is --- */

static int
open_node(struct opening *p, const char *path, int flags, int *fd)
{
	char why[160];
	int e;

	*fd = open(path, (p->o.ro ? O_RDONLY : O_RDWR) | O_CLOEXEC | flags);
	if (*fd >= 0)
		return 0;
	e = errno;
	if (e == EBUSY)
		return refuse(p, -e, "%s is in use: %s is mounted, or part of another device",
			      p->o.path, path);
	return refuse(p, -e, "cannot open %s: %s", path, be_open_reason(e, why, sizeof(why)));
}

/* The block device is held, or somebody could mount it. */
static int
open_nodes(struct opening *p)
{
	const char *one = p->names.block[0] ? p->names.block : p->names.generic;
	struct nvme_dev *nd = p->nd;
	int rc;

	if (stat(one, &p->st))
		return refuse(p, -errno, "cannot open %s: %s", one, strerror(errno));
	rc = be_claim_check(&p->st, p->o.ro, p->o.path, p->err, p->err_size);
	if (rc)
		return rc;
	rc = open_node(p, p->names.generic, 0, &nd->fd);
	if (!rc && p->names.block[0])
		rc = open_node(p, p->names.block, p->o.ro ? 0 : O_EXCL, &nd->block_fd);
	if (!rc)
		rc = be_claim(&nd->claim, nd->block_fd >= 0 ? nd->block_fd : nd->fd, &p->st,
			      p->o.ro, nd->path, p->err, p->err_size);
	return rc;
}

static void
close_nodes(struct nvme_dev *nd)
{
	if (nd->block_fd >= 0)
		close(nd->block_fd);
	if (nd->fd >= 0)
		close(nd->fd);
}

/* --- what it is --- */

static int
no_identity(struct opening *p, int rc)
{
	if (rc == -EACCES || rc == -EPERM)
		return refuse(
		    p, rc,
		    "the kernel allows no NVMe commands to %s: it wants CAP_SYS_ADMIN, or "
		    "from Linux 6.2 on write permission for the device",
		    p->o.path);
	if (rc < 0)
		return refuse(p, rc, "%s cannot be identified: %s", p->o.path, strerror(-rc));
	return refuse(p, -EIO, "%s cannot be identified: NVMe status 0x%x", p->o.path,
		      (unsigned)rc);
}

static int
look(struct opening *p)
{
	static uint8_t ctrl[NVME_IDENTIFY_SIZE], ns[NVME_IDENTIFY_SIZE], nvm[NVME_IDENTIFY_SIZE];
	struct nvme_dev *nd = p->nd;
	int rc = ioctl(nd->fd, NVME_IOCTL_ID);
	bool more;

	if (rc <= 0)
		return refuse(p, -ENODEV, "%s is no NVMe namespace", p->o.path);
	nd->nsid = (uint32_t)rc;
	rc = nvme_identify(nd->fd, 0, CNS_CTRL, ctrl);
	if (!rc)
		rc = nvme_identify(nd->fd, nd->nsid, CNS_NAMESPACE, ns);
	if (rc)
		return no_identity(p, rc);
	/* A controller before NVMe 2.0 need not have this one. */
	more = !nvme_identify(nd->fd, 0, CNS_CTRL_NVM, nvm);
	rc = nvme_identity_parse(ctrl, ns, more ? nvm : NULL, p->o.path, &nd->id, p->err,
				 p->err_size);
	if (!rc && nd->id.volatile_cache)
		nvme_write_cache(nd->fd, &nd->id.volatile_cache);
	return rc;
}

/* What the driver allows: its own limits, and what it knows of faulty devices. */
static void
ask_kernel(struct opening *p)
{
	struct nvme_identity *id = &p->nd->id;
	uint64_t v;

	if (!p->names.block[0])
		return;
	if (uring_queue_u64(p->st.st_rdev, "max_hw_sectors_kb", &v) && v)
		id->xfer_max = (uint32_t)GW_MIN((uint64_t)id->xfer_max, v << 10);
	/* One page of memory may be one segment, and one more where it does not begin at a page. */
	if (uring_queue_u64(p->st.st_rdev, "max_segments", &v) && v > 1)
		id->xfer_max = (uint32_t)GW_MIN((uint64_t)id->xfer_max, (v - 1) * PAGE);
	if (uring_queue_u64(p->st.st_rdev, "write_zeroes_max_bytes", &v) && !v)
		id->zero = id->zero_deallocates = false;
	if (uring_queue_u64(p->st.st_rdev, "discard_max_bytes", &v) && !v)
		id->dsm = false;
}

static int
check_polled(struct opening *p)
{
	uint64_t v;

	if (p->o.iopoll && p->names.block[0] && uring_queue_u64(p->st.st_rdev, "io_poll", &v) && !v)
		return refuse(
		    p, -EINVAL,
		    "%s has no polled queues for iopoll=1: the nvme module makes them when "
		    "it is loaded with poll_queues=N",
		    p->o.path);
	return 0;
}

static uint32_t
pow2_below(uint32_t v)
{
	return v ? 1u << (31 - __builtin_clz(v)) : 0;
}

/* A hint to deallocate leaves anything behind; Write Zeroes with DEAC leaves zeroes. */
static void
describe_unmap(struct opening *p)
{
	const struct nvme_identity *id = &p->nd->id;
	bool hints = id->dsm && (p->o.dsm || !id->zero_deallocates);

	if (p->dev->ro || (!hints && !id->zero_deallocates))
		return;
	p->nd->hints = hints;
	p->dev->unmap_align = id->unmap_align;
	p->dev->unmap_zeroes = !hints;
}

static int
describe(struct opening *p)
{
	const struct nvme_identity *id = &p->nd->id;
	struct be_dev *dev = p->dev;
	uint32_t block = 1u << id->shift;

	p->nd->piece = pow2_below(GW_MIN(id->xfer_max, PIECE_MAX));
	if (p->nd->piece < block)
		return refuse(p, -EINVAL, "%s has blocks of %u bytes, more than the kernel moves",
			      p->o.path, block);
	dev->size = id->nblk << id->shift;
	if (p->o.size && p->o.size != dev->size)
		return refuse(p, -EINVAL, "%s has %llu bytes, which size=%llu cannot change",
			      p->o.path, (unsigned long long)dev->size,
			      (unsigned long long)p->o.size);
	if (id->write_protected && !p->o.ro)
		return refuse(p, -EROFS, "%s is write protected (readonly=1 would only read)",
			      p->o.path);
	dev->io_align = block;
	dev->dma_align = 4; /* PRP entries and the driver's dma_alignment: a dword */
	dev->phys_block = id->phys_block;
	dev->ro = p->o.ro;
	dev->volatile_cache = id->volatile_cache && !p->o.sync;
	dev->atomic_max = GW_MIN(id->atomic_max, p->nd->piece);
	dev->atomic_align = dev->atomic_gran = block;
	dev->atomic_boundary = id->atomic_boundary;
	dev->sanitize_kinds = dev->ro ? 0 : nvme_sanitize_kinds(p->nd);
	describe_unmap(p);
	return 0;
}

static int
inspect(struct opening *p)
{
	int rc = look(p);

	if (!rc)
		rc = check_polled(p);
	if (rc)
		return rc;
	ask_kernel(p);
	rc = describe(p);
	if (!rc)
		rc = nvme_trial(p->nd, p->err, p->err_size);
	return rc;
}

/* --- life --- */

static void
say(const struct opening *p)
{
	const struct nvme_dev *nd = p->nd;

	gw_info("NVMe: path=%s generic=%s nsid=%u bytes=%llu block=%u piece=%u cache=%d unmap=%s "
		"atomic=%u registered=%d polled=%d",
		nd->path, p->names.generic, nd->nsid, (unsigned long long)p->dev->size,
		p->dev->io_align, nd->piece, nd->id.volatile_cache,
		!p->dev->unmap_align   ? "none"
		: p->dev->unmap_zeroes ? "zeroes"
				       : "hint",
		p->dev->atomic_max, nd->fixed, nd->polled);
}

int
nvme_open(struct be_dev *dev, const char *const *kv, char *err, unsigned err_size)
{
	struct opening p = {.dev = dev, .err = err, .err_size = err_size};
	struct nvme_dev *nd;
	int rc = be_opts_parse(kv, &p.o, err, err_size);

	if (rc)
		return rc;
	if (!p.o.path)
		return refuse(&p, -EINVAL, "an NVMe namespace needs path=");
	rc = nvme_names_of(p.o.path, &p.names, err, err_size);
	if (rc)
		return rc;
	nd = p.nd = calloc(1, sizeof(*nd));
	if (!nd)
		return refuse(&p, -ENOMEM, "no memory to open %s", p.o.path);
	nd->fd = nd->block_fd = -1;
	nd->polled = p.o.iopoll;
	nd->sync = p.o.sync;
	nd->path = strdup(p.o.path);
	rc = nd->path ? open_nodes(&p) : refuse(&p, -ENOMEM, "no memory to open %s", p.o.path);
	if (rc)
		goto out_nodes;
	rc = inspect(&p);
	if (rc)
		goto out_claim;
	if (nd->block_fd >= 0)
		nd->kernel_size = uring_block_size(nd->block_fd);
	dev->priv = nd;
	say(&p);
	return 0;

out_claim:
	be_unclaim(&nd->claim);
out_nodes:
	close_nodes(nd);
	free(nd->path);
	free(nd);
	return rc;
}

void
nvme_close(struct be_dev *dev)
{
	struct nvme_dev *nd = dev->priv;

	be_unclaim(&nd->claim);
	close_nodes(nd);
	free(nd->path);
	free(nd);
}

/* Asks the device itself. 0 only if it says that there is no such namespace any more. */
static uint64_t
identify_size(struct be_dev *dev, bool *known)
{
	static uint8_t ctrl[NVME_IDENTIFY_SIZE], ns[NVME_IDENTIFY_SIZE];
	const struct nvme_dev *nd = dev->priv;
	struct nvme_identity id;
	struct nvme_verdict v;
	char why[256];
	int rc = nvme_identify(nd->fd, 0, CNS_CTRL, ctrl);

	if (!rc)
		rc = nvme_identify(nd->fd, nd->nsid, CNS_NAMESPACE, ns);
	v = nvme_verdict(rc);
	*known = !rc;
	if (rc)
		return v.st == BE_EGONE && v.retry == NVME_NO_RETRY ? 0 : be_dev_size(dev);
	rc = nvme_identity_parse(ctrl, ns, NULL, nd->path, &id, why, sizeof(why));
	if (!rc && id.shift == nd->id.shift)
		return id.nblk << id.shift;
	gw_err("a namespace is not what it was when it was opened: path=%s why=\"%s\"", nd->path,
	       rc ? why : "it has blocks of another size");
	return 0;
}

/*
 * The driver is told of changes by the device and looks itself; where it has no block device for
 * the namespace, the device is asked each time.
 */
uint64_t
nvme_size_now(struct be_dev *dev)
{
	struct nvme_dev *nd = dev->priv;
	uint64_t kernels = nd->block_fd >= 0 ? uring_block_size(nd->block_fd) : 0, size;
	bool known;

	if (nd->block_fd >= 0 && !kernels)
		return 0;
	if (kernels && kernels == nd->kernel_size)
		return be_dev_size(dev);
	size = identify_size(dev, &known);
	if (known)
		nd->kernel_size = kernels;
	return size;
}
