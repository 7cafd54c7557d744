/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Asynchronous system calls of one core. A call prepares the operation (no system call yet) and
 * takes `op` until op->done(op, res) runs on the same core, never from inside the call. res is what
 * the system call returned, or -errno. Short transfers are normal: the owner goes on with what is
 * left. Memory named by an operation stays valid until done(). One operation per gw_op at a time; a
 * gw_op is zeroed before its first use. Sockets are blocking ones (no O_NONBLOCK), or the result is
 * -EAGAIN.
 *
 * Two engines implement this: io_uring (engine_uring.c), and epoll with kernel AIO for where
 * io_uring is forbidden (engine_epoll.c).
 */
#ifndef GW_CORE_ENGINE_H
#define GW_CORE_ENGINE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "gateway/core/core.h"

struct gw_chunk;
struct io_uring;
struct io_uring_params;
struct io_uring_sqe;

struct gw_op {
	void (*done)(struct gw_op *op, int res);
	struct gw_chunk *chunk; /* result of gw_recv_chunk(), one reference, the owner's to put */
	union {
		struct gw_list node; /* private: waiting in a list of the engine */
		struct gw_msg msg;   /* private: coming back from another thread */
	};
	int fd;			/* private */
	uint32_t len;		/* private: bytes, or entries of an iovec */
	bool busy;		/* private: given to the engine */
	bool ending;		/* private: gw_cancel() was called, or comes too late */
	uint8_t tag;		/* private: the kind of operation */
	union {
		int flags; /* private: of the system call */
		int res;   /* private: what to tell done() */
	};
	union {
		void *buf;
		const struct msghdr *msghdr;
		const struct iovec *iov;
		uint64_t range;
		int (*fn)(struct gw_op *op);
	} at;			/* private */
	uint64_t off;		/* private */
};

/*
 * A piece of receive memory, in which PDUs are parsed in place. Whoever keeps a pointer into it
 * takes a reference. Home: the core that received it.
 */
struct gw_chunk {
	uint8_t *data;
	uint32_t size;
	uint32_t refs;
	struct gw_core *core;
	uint16_t id;		/* private */
	struct gw_list node;	/* private */
};

static inline void
gw_chunk_ref(struct gw_chunk *c)
{
	c->refs++;
}
void gw_chunk_put(struct gw_chunk *c);

/* True when few chunks are left: whoever could keep one, copies instead. */
bool gw_chunks_low(struct gw_core *core);

/*
 * Receives at most `max` bytes (0: a chunk full) into a chunk that is picked only when data has
 * come, so that an idle connection holds no memory. When all chunks are in use the operation waits
 * for one. res: bytes, 0 for end of stream, -errno; op->chunk is NULL unless res > 0.
 */
void gw_recv_chunk(struct gw_core *core, struct gw_op *op, int fd, uint32_t max);

/* Receives up to len bytes into buf. */
void gw_recv(struct gw_core *core, struct gw_op *op, int fd, void *buf, uint32_t len);

/* MSG_NOSIGNAL is added. msg and its iovec stay untouched until done(). */
void gw_sendmsg(struct gw_core *core, struct gw_op *op, int fd, const struct msghdr *msg);

/* res: the new descriptor (SOCK_CLOEXEC). */
void gw_accept(struct gw_core *core, struct gw_op *op, int fd);

/* rwf: RWF_DSYNC or 0. Single segments of the core's buffer memory use the registered buffers. */
void gw_readv(struct gw_core *core, struct gw_op *op, int fd, const struct iovec *iov,
	      unsigned niov, uint64_t off);
void gw_writev(struct gw_core *core, struct gw_op *op, int fd, const struct iovec *iov,
	       unsigned niov, uint64_t off, int rwf);
void gw_fdatasync(struct gw_core *core, struct gw_op *op, int fd);
/* mode as in fallocate(2); on block devices the kernel turns it into discard or write-zeroes. */
void gw_fallocate(struct gw_core *core, struct gw_op *op, int fd, int mode, uint64_t off,
		  uint64_t len);
/*
 * fn(op) runs on a thread of the core's that may block, one after the other, for rare calls that the
 * kernel's asynchronous interfaces do not know; res: what it returned. It touches what belongs to op
 * only.
 */
void gw_aside(struct gw_core *core, struct gw_op *op, int (*fn)(struct gw_op *op));
/* One-shot poll for `events` (POLLIN ...); res: the events that came. */
void gw_poll(struct gw_core *core, struct gw_op *op, int fd, unsigned events);

/*
 * For who speaks with a driver in its own commands (IORING_OP_URING_CMD): the core's ring, NULL
 * where the engine is another. Its entries are large (SQE128, CQE32). Its tables of registered files
 * and buffers are sparse (or missing, if the kernel has no memory for them), and the caller's to
 * fill: all files, the buffers from GW_URING_BUFFERS on.
 */
#define GW_URING_FILES	     512
#define GW_URING_BUFFERS     16
#define GW_URING_BUFFERS_MAX 16384 /* IORING_MAX_REG_BUFFERS of Linux */
#define GW_URING_SQE_SIZE    128
struct io_uring *gw_uring(struct gw_core *core);
/*
 * Makes a ring of the same kind, for who needs one beside it: large entries, and completions that run
 * when they are asked for, on the thread that uses it, if the kernel can. more: other IORING_SETUP_*;
 * *p: what came of it. 0 or -errno. Any thread.
 */
int gw_uring_setup(struct io_uring *ring, unsigned sq, unsigned cq, unsigned more,
		   struct io_uring_params *p);
/* The entry for op, cleared but for its user_data; the caller fills it before it does anything else. */
struct io_uring_sqe *gw_uring_sqe(struct gw_core *core, struct gw_op *op);

/*
 * `fd` is about to be closed; nothing that this core was asked to do with it is under way. Each core
 * that has used a descriptor is told before, so that it does not take the next one of that number
 * for it.
 */
void gw_forget_fd(struct gw_core *core, int fd);

/* Asks to end `op` early. done() still comes, with -ECANCELED or with what had happened already. */
void gw_cancel(struct gw_core *core, struct gw_op *op);

#endif
