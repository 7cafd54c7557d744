/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One read as all later ones will be done: says, in a sentence, whether this kernel lets us, and
 * finds out whether it takes registered memory (some refuse an I/O that is shorter than the
 * registration it lies in) and moves the data to where they belong.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "backend/nvme_priv.h"

#define MEMORY (1u << NVME_PIECE_SHIFT)
#define APART  48 /* bytes: a PDU's header */
#define FILL   0xa5

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

	memset(sqe, 0, GW_URING_SQE_SIZE);
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

/* Across a page's end, to see that offsets are kept. */
static bool
fixed_works(struct io_uring *ring, const struct nvme_dev *nd, uint8_t *mem)
{
	const struct iovec whole = {mem, MEMORY};
	uint32_t block = 1u << nd->id.shift;
	uint8_t *at = mem + MEMORY / 2 - APART;

	if (io_uring_register_buffers(ring, &whole, 1))
		return false;
	memset(at - APART, FILL, block + 2 * APART);
	if (read_block(ring, nd, at, 0) || memcmp(at, mem, block))
		return false;
	for (unsigned i = 1; i <= APART; i++) {
		if (at[-(int)i] != FILL || at[block - 1 + i] != FILL)
			return false;
	}
	return true;
}

int
nvme_trial(struct nvme_dev *nd, char *err, unsigned err_size)
{
	struct io_uring ring;
	uint8_t *mem;
	int rc = nvme_own_setup(&ring, 4, nd->polled), res;

	if (rc < 0)
		return no_ring(nd, rc, err, err_size);
	mem = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (mem == MAP_FAILED) {
		rc = be_refuse(err, err_size, -ENOMEM, "no memory to open %s", nd->path);
		goto out_ring;
	}
	res = read_block(&ring, nd, mem, -1);
	if (res) {
		rc = no_read(nd, res, err, err_size);
		goto out_memory;
	}
	nd->fixed = fixed_works(&ring, nd, mem);
	rc = 0;
out_memory:
	munmap(mem, MEMORY);
out_ring:
	io_uring_queue_exit(&ring);
	return rc;
}
