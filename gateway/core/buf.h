/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * I/O buffers of one core: page-aligned, registered with the engine and each RDMA device.
 * All memory is taken at start from the process's arena (huge pages where there are any);
 * exhaustion is back-pressure: the caller waits (struct gw_waiter) and stops reading from its peer.
 */
#ifndef GW_CORE_BUF_H
#define GW_CORE_BUF_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "gateway/core/core.h"

#define GW_SEG_MAX  (1u << 20)		  /* largest contiguous piece, bytes */
#define GW_SG_MAX   8			  /* pieces of one transfer */
#define GW_XFER_MAX (GW_SEG_MAX * GW_SG_MAX) /* largest transfer of one command, bytes */

/* A transfer's memory. len is what was asked for; the pieces hold at least that. */
struct gw_sg {
	struct iovec iov[GW_SG_MAX]; /* iov_len sums up to len exactly */
	uint32_t len;
	uint16_t n;
};

/*
 * len bytes, 1 .. GW_XFER_MAX, all or nothing; all pieces but the last are GW_SEG_MAX long, each is
 * page-aligned and its memory extends to the next 512-byte boundary at least (4 KiB in fact).
 * Contents are undefined: whoever sends them, fills them first. False: none free now.
 */
bool gw_buf_get(struct gw_core *core, uint32_t len, struct gw_sg *sg);
/* Gives the memory back and empties sg; an empty one (n == 0) is fine. Waiters wake at the next kick. */
void gw_buf_put(struct gw_core *core, struct gw_sg *sg);

/* Somebody who could not get a buffer. wake() runs from the loop when there may be some again. */
struct gw_waiter {
	struct gw_list node;
	void (*wake)(struct gw_waiter *w);
	bool waiting;	      /* private */
	struct gw_core *core; /* private */
};

/*
 * First come, first woken: while somebody waits, gw_buf_get() serves nobody else than the one being
 * woken, and who waits again from its wake() keeps its place. Waiting twice, or leaving without
 * waiting, does nothing. A waiter is zeroed before its first use.
 */
void gw_buf_wait(struct gw_core *core, struct gw_waiter *w);
void gw_buf_unwait(struct gw_waiter *w);

/* Where all buffers of this core lie, for whoever registers them with a device. */
void gw_buf_region(const struct gw_core *core, uint8_t **base, uint64_t *len);
/* All cores' together, in one piece; from gw_cores_init() to gw_cores_fini(). Any thread. */
void gw_arena_region(uint8_t **base, uint64_t *len);
/* Bytes that this core has in all. */
uint64_t gw_buf_total(const struct gw_core *core);
/* Bytes handed out and not yet returned, for statistics and leak tests. */
uint64_t gw_buf_used(const struct gw_core *core);

#endif
