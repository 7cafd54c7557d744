/* SPDX-License-Identifier: BSD-3-Clause */
/* What the loop asks of an engine. Private to core/. */
#ifndef GW_CORE_ENGINE_PRIV_H
#define GW_CORE_ENGINE_PRIV_H

#include <pthread.h>
#include <semaphore.h>

#include "gateway/core/core_priv.h"
#include "gateway/core/engine.h"

#define GW_CHUNK_SIZE (64u << 10)

/* chunk.c: the receive chunks of one core. */
struct gw_chunks {
	struct gw_chunk *chunk; /* all, by id */
	uint8_t *memory;
	uint32_t total;
	uint32_t lent;        /* to whoever received into them */
	struct gw_list spare; /* last put back first */
};

int gw_chunks_init(struct gw_chunks *cs, struct gw_core *core, uint32_t total);
void gw_chunks_fini(struct gw_chunks *cs);
struct gw_usage gw_chunks_usage(struct gw_core *core);
/*
 * An engine: what the loop asks of it, and the calls of engine.h without their first words, which
 * engine.c has said. open() runs before the core's thread starts, on any thread, and leaves
 * core->eng set or NULL with a sentence; close() undoes it. start() and stop() run on the loop's
 * thread, first and last.
 */
struct gw_engine_ops {
	const char *name;
	int (*open)(struct gw_core *core, uint32_t nchunks, char *err, unsigned err_size);
	void (*close)(struct gw_core *core);
	int (*start)(struct gw_core *core);
	void (*stop)(struct gw_core *core);
	/* Submits what was prepared and sleeps until something is to be reaped, at most `ns`. */
	void (*wait)(struct gw_core *core, uint64_t ns);
	/* True if there is something to reap; cheap, asked again and again while the loop spins. */
	bool (*ready)(struct gw_core *core);
	/* No more than was there at the beginning: what callbacks cause, comes with the next turn. */
	void (*reap)(struct gw_core *core);
	/* A chunk has become spare. */
	void (*chunk_back)(struct gw_core *core);

	void (*recv_chunk)(struct gw_core *core, struct gw_op *op, int fd, uint32_t max);
	void (*recv)(struct gw_core *core, struct gw_op *op, int fd, void *buf, uint32_t len);
	void (*sendmsg)(struct gw_core *core, struct gw_op *op, int fd, const struct msghdr *msg);
	void (*accept)(struct gw_core *core, struct gw_op *op, int fd);
	void (*readv)(struct gw_core *core, struct gw_op *op, int fd, const struct iovec *iov,
		      unsigned niov, uint64_t off);
	void (*writev)(struct gw_core *core, struct gw_op *op, int fd, const struct iovec *iov,
		       unsigned niov, uint64_t off, int rwf);
	void (*fdatasync)(struct gw_core *core, struct gw_op *op, int fd);
	void (*fallocate)(struct gw_core *core, struct gw_op *op, int fd, int mode, uint64_t off,
			  uint64_t len);
	void (*poll)(struct gw_core *core, struct gw_op *op, int fd, unsigned events);
	/* NULL: it has no ring. */
	struct io_uring *(*ring)(struct gw_core *core);
	struct io_uring_sqe *(*sqe)(struct gw_core *core, struct gw_op *op);
	/* Only for an operation that is in no list. */
	void (*cancel)(struct gw_core *core, struct gw_op *op);
	/* NULL: it remembers nothing of descriptors. */
	void (*forget)(struct gw_core *core, int fd);
};

/* aside.c: one sender, the core; each token of the semaphore says that there is something new. */
struct gw_aside {
	struct gw_core *core;
	_Atomic(struct gw_msg *) head; /* gw_op.msg, the last handed over first */
	sem_t tokens;
	pthread_t thread;
	bool runs;
	atomic_bool stop;
};

/* Has the thread carry out op->at.fn. */
void gw_aside_add(struct gw_core *core, struct gw_op *op);
/* Ends the thread, if there is one, when it has nothing more to do. */
void gw_aside_stop(struct gw_aside *a);

extern const struct gw_engine_ops gw_engine_uring, gw_engine_epoll;

/* What all engines have; the first member of each. */
struct gw_engine {
	const struct gw_engine_ops *ops;
	struct gw_core *core;
	bool eager;              /* since the last submission a file operation was prepared */
	struct gw_list starving; /* receives that wait for a chunk */
	struct gw_list ended;    /* with their results, for the next reap */
	struct gw_chunks chunks;
	struct gw_aside aside;
};

void gw_engine_init(struct gw_engine *e, const struct gw_engine_ops *ops, struct gw_core *core);

static inline struct gw_chunks *
gw_engine_chunks(struct gw_core *core)
{
	return &core->eng->chunks;
}

/* True if an operation was prepared that often completes while it is being submitted. */
static inline bool
gw_engine_eager(const struct gw_core *core)
{
	return core->eng->eager;
}

/* True if there is something to reap although the kernel knows nothing of it. */
static inline bool
gw_engine_ended(const struct gw_core *core)
{
	return !gw_list_empty(&core->eng->ended);
}

static inline void
gw_engine_finish(struct gw_engine *e, struct gw_op *op, int res)
{
	uintptr_t fn = (uintptr_t)op->done;

	op->busy = false;
	gw_stat_add(e->core->stats->completions, 1);
	op->done(op, res);
	gw_watch_called(&gw_loop_of(e->core)->watch, fn);
}

static inline int
gw_engine_start(struct gw_core *core)
{
	return core->eng->ops->start(core);
}

static inline void
gw_engine_stop(struct gw_core *core)
{
	gw_aside_stop(&core->eng->aside);
	core->eng->ops->stop(core);
}

static inline void
gw_engine_wait(struct gw_core *core, uint64_t ns)
{
	core->eng->ops->wait(core, ns);
}

static inline bool
gw_engine_ready(struct gw_core *core)
{
	return core->eng->ops->ready(core);
}

/* Completes what has ended and is known here, no more than was there at the beginning. */
void gw_engine_tell(struct gw_core *core);
/* ... and what the kernel knows. */
void gw_engine_reap(struct gw_core *core);

#endif
