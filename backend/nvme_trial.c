/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One read as all later ones will be done: says, in a sentence, whether this kernel lets us, and
 * finds out whether it takes registered memory (some refuse an I/O that is shorter than the
 * registration it lies in).
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "backend/nvme_priv.h"

#define MEMORY (1u << NVME_FIXED_SHIFT)

static int
no_ring(const struct nvme_dev *nd, int rc, char *err, unsigned err_size)
{
	if (rc == -EPERM || rc == -ENOSYS || rc == -EACCES)
		return be_refuse(err, err_size, rc,
				 "%s needs io_uring, which is forbidden here "
				 "(kernel.io_uring_disabled, or the rules of a container): %s",
				 nd->path, strerror(-rc));
	if (rc == -EINVAL)
		return be_refuse(err, err_size, -EOPNOTSUPP,
				 "%s needs a kernel with io_uring passthrough, Linux 6.1 or later",
				 nd->path);
	return be_refuse(err, err_size, rc, "no io_uring for %s: %s", nd->path, strerror(-rc));
}

static int
no_read(const struct nvme_dev *nd, int res, char *err, unsigned err_size)
{
	if (res > 0)
		return be_refuse(err, err_size, -EIO, "cannot read %s: NVMe status 0x%x", nd->path,
				 (unsigned)res);
	if (res == -EACCES || res == -EPERM)
		return be_refuse(
		    err, err_size, res,
		    "the kernel allows no NVMe commands to %s: it wants CAP_SYS_ADMIN, "
		    "or from Linux 6.2 on write permission for the device",
		    nd->path);
	if (res == -EOPNOTSUPP || res == -ENOTTY)
		return be_refuse(err, err_size, res, "the kernel has no %spassthrough for %s",
				 nd->polled ? "polled " : "", nd->path);
	return be_refuse(err, err_size, res, "cannot read %s: %s", nd->path, strerror(-res));
}

/* The device's status or -errno. */
static int
read_block(struct io_uring *ring, const struct nvme_dev *nd, uint8_t *mem, int fixed)
{
	struct nvme_uring_cmd c = {.opcode = NVME_READ,
				   .nsid = nd->nsid,
				   .addr = (uintptr_t)mem,
				   .data_len = 1u << nd->id.shift};
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	struct io_uring_cqe *cqe;
	int rc;

	nvme_prep(sqe, &c, false, fixed);
	sqe->fd = nd->fd;
	rc = io_uring_submit(ring);
	if (rc < 0)
		return rc;
	do
		rc = io_uring_wait_cqe(ring, &cqe);
	while (rc == -EINTR);
	if (rc < 0)
		return rc;
	rc = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return rc;
}

int
nvme_trial(struct nvme_dev *nd, char *err, unsigned err_size)
{
	struct iovec iov = {.iov_len = MEMORY};
	struct io_uring ring;
	int rc = nvme_ring_setup(&ring, 4, nd->polled), res;

	if (rc < 0)
		return no_ring(nd, rc, err, err_size);
	iov.iov_base = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (iov.iov_base == MAP_FAILED) {
		rc = be_refuse(err, err_size, -ENOMEM, "no memory to open %s", nd->path);
		goto out_ring;
	}
	res = read_block(&ring, nd, iov.iov_base, -1);
	if (res) {
		rc = no_read(nd, res, err, err_size);
		goto out_memory;
	}
	nd->fixed = io_uring_register_buffers(&ring, &iov, 1) == 0 &&
		    read_block(&ring, nd, iov.iov_base, 0) == 0;
	rc = 0;
out_memory:
	munmap(iov.iov_base, MEMORY);
out_ring:
	io_uring_queue_exit(&ring);
	return rc;
}
