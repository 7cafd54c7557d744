/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The memory in which a core's data lie (its I/O buffers, its receive chunks), registered with an
 * io_uring in pieces of equal size, so that the kernel need not pin and unpin pages for each
 * operation. Own core.
 */
#ifndef GW_CORE_FIXED_H
#define GW_CORE_FIXED_H

#include "gateway/base/num.h"
#include "gateway/core/core.h"

struct io_uring;

/*
 * Chunks are for who can take memory as it lies (data follow a PDU's header there): a block device
 * that is written with O_DIRECT takes registered memory only in whole blocks of a page.
 */
enum gw_fixed_region { GW_FIXED_BUFFERS, GW_FIXED_CHUNKS, GW_FIXED_REGIONS };

struct gw_fixed {
	struct io_uring *ring;
	unsigned shift;
	struct {
		uint64_t base, len; /* what is registered of it; 0: nothing */
		unsigned first;     /* entry in the ring's table */
	} region[GW_FIXED_REGIONS];
};

/* Pieces are 1 << shift bytes long, 1 GiB at most; the ring's table of buffers is sparse. */
void gw_fixed_init(struct gw_fixed *f, struct io_uring *ring, unsigned shift);
/*
 * Registers a region of the core's, in entries `first` to `end - 1`. The entry after the last, or
 * -errno; what was registered before the error, stays.
 */
int gw_fixed_add(struct gw_fixed *f, struct gw_core *core, enum gw_fixed_region which,
		 unsigned first, unsigned end);
/* Empties the entries. */
void gw_fixed_del(struct gw_fixed *f);

/* The entry that holds all of the memory, or -1: it must be named by its address alone. */
static inline int
gw_fixed_index(const struct gw_fixed *f, uint64_t addr, uint64_t len)
{
	for (unsigned i = 0; i < GW_FIXED_REGIONS; i++) {
		uint64_t off = addr - f->region[i].base;

		if (len && gw_range_ok(off, len, f->region[i].len) &&
		    off >> f->shift == (off + len - 1) >> f->shift)
			return (int)(f->region[i].first + (off >> f->shift));
	}
	return -1;
}

#endif
