/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A core's I/O buffers, registered with an io_uring in pieces of equal size, so that the kernel need
 * not pin and unpin pages for each operation. Own core.
 *
 * Receive chunks are not registered. Data follow a PDU's header there, so that they begin and end
 * inside of pages: a block device takes registered memory only in whole blocks of each page, and an
 * NVMe command with several segments costs more than pinning two pages.
 */
#ifndef GW_CORE_FIXED_H
#define GW_CORE_FIXED_H

#include "gateway/base/num.h"
#include "gateway/core/core.h"

struct io_uring;

struct gw_fixed {
	struct io_uring *ring;
	unsigned shift;
	uint64_t base, len; /* what is registered; 0: nothing */
	unsigned first;     /* entry in the ring's table */
};

/*
 * Registers as much as there are entries from `first` to `end - 1` of the ring's table, which is
 * sparse, in pieces of 1 << shift bytes, 1 GiB at most. 0 or -errno; what was registered before the
 * error, stays.
 */
int gw_fixed_add(struct gw_fixed *f, struct io_uring *ring, struct gw_core *core, unsigned shift,
		 unsigned first, unsigned end);
/* Empties the entries. */
void gw_fixed_del(struct gw_fixed *f);

/* The entry that holds all of the memory, or -1: it must be named by its address alone. */
static inline int
gw_fixed_index(const struct gw_fixed *f, uint64_t addr, uint64_t len)
{
	uint64_t off = addr - f->base;

	if (!len || !gw_range_ok(off, len, f->len) ||
	    off >> f->shift != (off + len - 1) >> f->shift)
		return -1;
	return (int)(f->first + (off >> f->shift));
}

#endif
