/* SPDX-License-Identifier: BSD-3-Clause */
/* Shared by engine_uring.c (the ring) and uring_op.c (the operations). */
#ifndef GW_CORE_URING_PRIV_H
#define GW_CORE_URING_PRIV_H

#include <liburing.h>

#include "gateway/core/engine_priv.h"

/*
 * user_data is the operation's address with the kind in its lowest bits. NOBODY: no operation, the
 * completion says nothing. WAKE: the poll of the mailbox.
 */
enum uring_tag {
	TAG_OP = 0,
	TAG_CHUNK = 1,
	TAG_WAKE = 2,
	TAG_NOBODY = 3,
	TAG_MASK = 3
};

struct gw_engine {
	struct io_uring ring;
	struct gw_core *core;
	bool eager;              /* since the last submission a file operation was prepared */
	struct gw_list starving; /* receives that wait for a chunk */
	struct gw_list ended;    /* cancelled while the kernel did not have them */
	uint8_t *fixed;          /* registered buffer memory, NULL: none */
	uint64_t fixed_len;
	struct io_uring_buf_ring *shelf; /* chunks that the kernel may pick */
	uint32_t shelf_size, on_shelf;
	struct gw_chunks chunks;
};

/* A buffer registration covers 1 GiB at most, so that long regions take several. */
#define URING_FIXED_SHIFT 30
#define URING_SHELF_GROUP 1

/* The next SQE; submits when the queue is full. Never NULL. */
struct io_uring_sqe *uring_sqe(struct gw_engine *e);
/* Prepares the receive of an operation that has been taken. */
void uring_prep_chunk(struct gw_engine *e, struct gw_op *op);

#endif
