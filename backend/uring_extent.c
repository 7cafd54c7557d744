/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What of a file is mapped: lseek(2) with SEEK_DATA and SEEK_HOLE, which looks at the page cache,
 * too, and may read the file system's maps from the disk, so it runs beside the core. Space that is
 * reserved for zeroes (fallocate(2)) counts as a hole: it reads as one.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "backend/uring_priv.h"
#include "gateway/base/num.h"

bool
uring_extents(const struct uring_dev *ud)
{
	return !ud->block && (lseek(ud->fd, 0, SEEK_DATA) >= 0 || errno == ENXIO);
}

/* On the thread. The file's position is nobody's: all transfers say where. */
static int
look(struct gw_op *op)
{
	struct be_io *io = uring_be_io(op);
	int fd = uring_fd(io);
	off_t off = (off_t)io->off, data = lseek(fd, off, SEEK_DATA), end;

	if (data < 0)
		return -errno;
	io->mapped = data == off;
	end = io->mapped ? lseek(fd, off, SEEK_HOLE) : data;
	if (end < 0)
		return -errno;
	/* Another core has unmapped it meanwhile: whoever goes on from here will see. */
	if (end <= off)
		end = off + 1;
	io->extent = GW_MIN(io->len, (uint64_t)(end - off));
	return 0;
}

static void
looked(struct gw_op *op, int res)
{
	struct be_io *io = uring_be_io(op);

	/* There is no data from here on. */
	if (res == -ENXIO) {
		io->mapped = false;
		io->extent = io->len;
		res = 0;
	}
	be_done(io, res < 0 ? uring_st(io, -res) : BE_OK);
}

void
uring_extent_start(struct be_io *io)
{
	struct uring_io *u = uring_io(io);

	memset(u, 0, sizeof(*u));
	u->op.done = looked;
	gw_aside(io->chan->core, &u->op, look);
}
