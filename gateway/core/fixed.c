/* SPDX-License-Identifier: BSD-3-Clause */
#include "gateway/core/fixed.h"

#include <liburing.h>

#include "gateway/core/buf.h"

#define BATCH 64

/* Registers the pieces after those that are: as many as one call takes. Their number or -errno. */
static int
add_some(struct gw_fixed *f, uint64_t len, unsigned at, unsigned end)
{
	struct iovec iov[BATCH];
	uint64_t done = f->len;
	unsigned n = 0;

	while (done < len && n < BATCH && at + n < end) {
		iov[n].iov_base = (void *)(uintptr_t)(f->base + done);
		iov[n].iov_len = GW_MIN(len - done, (uint64_t)1 << f->shift);
		done += iov[n++].iov_len;
	}
	return n ? io_uring_register_buffers_update_tag(f->ring, at, iov, NULL, n) : 0;
}

int
gw_fixed_add(struct gw_fixed *f, struct io_uring *ring, struct gw_core *core, unsigned shift,
	     unsigned first, unsigned end)
{
	unsigned at = first;
	uint64_t len;
	uint8_t *base;
	int n;

	gw_buf_region(core, &base, &len);
	*f = (struct gw_fixed){
	    .ring = ring, .shift = shift, .base = (uintptr_t)base, .first = first};
	while ((n = add_some(f, len, at, end)) > 0) {
		at += (unsigned)n;
		f->len = GW_MIN(len, (uint64_t)(at - first) << shift);
	}
	return n;
}

void
gw_fixed_del(struct gw_fixed *f)
{
	static const struct iovec none[BATCH];
	uint64_t piece = 1ull << f->shift;
	unsigned at = f->first, end = at + (unsigned)((f->len + piece - 1) >> f->shift);

	for (; at < end; at += BATCH)
		io_uring_register_buffers_update_tag(f->ring, at, none, NULL,
						     GW_MIN(end - at, (unsigned)BATCH));
	f->len = 0;
}
