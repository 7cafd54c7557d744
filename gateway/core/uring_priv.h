/* SPDX-License-Identifier: BSD-3-Clause */
/* Shared by engine_uring.c (the ring) and uring_op.c (the operations). */
#ifndef GW_CORE_URING_PRIV_H
#define GW_CORE_URING_PRIV_H

#include <liburing.h>

#include "gateway/core/engine_priv.h"
#include "gateway/core/fixed.h"

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

struct gw_uring {
	struct gw_engine base;
	struct io_uring ring;
	struct gw_fixed fixed;
	struct io_uring_buf_ring *shelf; /* chunks that the kernel may pick */
	uint32_t shelf_size, on_shelf;
};

static inline struct gw_uring *
uring_of(struct gw_core *core)
{
	return gw_container(core->eng, struct gw_uring, base);
}

#define URING_SHELF_GROUP 1

/* The next SQE; submits when the queue is full. Never NULL. */
struct io_uring_sqe *uring_sqe(struct gw_uring *e);
/* Prepares the receive of an operation that has been taken. */
void uring_prep_chunk(struct gw_uring *e, struct gw_op *op);

/* uring_op.c: the calls of engine.h. */
void uring_recv_chunk(struct gw_core *core, struct gw_op *op, int fd, uint32_t max);
void uring_recv(struct gw_core *core, struct gw_op *op, int fd, void *buf, uint32_t len);
void uring_sendmsg(struct gw_core *core, struct gw_op *op, int fd, const struct msghdr *msg);
void uring_accept(struct gw_core *core, struct gw_op *op, int fd);
void uring_readv(struct gw_core *core, struct gw_op *op, int fd, const struct iovec *iov,
		 unsigned niov, uint64_t off);
void uring_writev(struct gw_core *core, struct gw_op *op, int fd, const struct iovec *iov,
		  unsigned niov, uint64_t off, int rwf);
void uring_fdatasync(struct gw_core *core, struct gw_op *op, int fd);
void uring_fallocate(struct gw_core *core, struct gw_op *op, int fd, int mode, uint64_t off,
		     uint64_t len);
void uring_poll(struct gw_core *core, struct gw_op *op, int fd, unsigned events);
struct io_uring_sqe *uring_entry(struct gw_core *core, struct gw_op *op);
void uring_cancel(struct gw_core *core, struct gw_op *op);

#endif
