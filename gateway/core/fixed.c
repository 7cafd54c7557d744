/* SPDX-License-Identifier: BSD-3-Clause */
#include "gateway/core/fixed.h"

#include <liburing.h>
#include <string.h>

#include "gateway/core/buf.h"
#include "gateway/core/engine_priv.h"

#define BATCH 64

/* Registers pieces from offset `done` of a region on: as many as one call takes. Their number. */
static int
add_some(struct gw_fixed *f, uint64_t base, uint64_t len, uint64_t done, unsigned at, unsigned end)
{
	struct iovec iov[BATCH];
	unsigned n = 0;

	while (done < len && n < BATCH && at + n < end) {
		iov[n].iov_base = (void *)(uintptr_t)(base + done);
		iov[n].iov_len = GW_MIN(len - done, (uint64_t)1 << f->shift);
		done += iov[n++].iov_len;
	}
	return n ? io_uring_register_buffers_update_tag(f->ring, at, iov, NULL, n) : 0;
}

void
gw_fixed_init(struct gw_fixed *f, struct io_uring *ring, unsigned shift)
{
	memset(f, 0, sizeof(*f));
	f->ring = ring;
	f->shift = shift;
}

int
gw_fixed_add(struct gw_fixed *f, struct gw_core *core, enum gw_fixed_region which, unsigned first,
	     unsigned end)
{
	const struct gw_chunks *cs = gw_engine_chunks(core);
	uint64_t len = (uint64_t)cs->total * GW_CHUNK_SIZE, done = 0;
	uint8_t *memory = cs->memory;
	unsigned at = first;
	int n;

	if (which == GW_FIXED_BUFFERS)
		gw_buf_region(core, &memory, &len);
	f->region[which].base = (uintptr_t)memory;
	f->region[which].first = first;
	while ((n = add_some(f, (uintptr_t)memory, len, done, at, end)) > 0) {
		at += (unsigned)n;
		done = GW_MIN(len, (uint64_t)(at - first) << f->shift);
		f->region[which].len = done;
	}
	return n < 0 ? n : (int)at;
}

void
gw_fixed_del(struct gw_fixed *f)
{
	const struct iovec none = {NULL, 0};

	for (unsigned i = 0; i < GW_FIXED_REGIONS; i++) {
		for (uint64_t off = 0; off < f->region[i].len; off += 1ull << f->shift)
			io_uring_register_buffers_update_tag(
			    f->ring, f->region[i].first + (unsigned)(off >> f->shift), &none, NULL,
			    1);
		f->region[i].len = 0;
	}
}
