/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Shared by engine_epoll.c (the engine), epoll_sock.c and epoll_file.c (the operations), epoll_aio.c
 * (kernel AIO) and epoll_work.c (threads for what may block).
 */
#ifndef GW_CORE_EPOLL_PRIV_H
#define GW_CORE_EPOLL_PRIV_H

#include <linux/aio_abi.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/epoll.h>

#include "gateway/core/engine_priv.h"

#define EPOLL_EVENTS   256
#define EPOLL_WORKERS  8   /* threads of one core */
#define EPOLL_QUEUE    256 /* operations that they may have; a power of two */
#define EPOLL_AIO_MAX  256 /* operations of kernel AIO under way */
#define EPOLL_AIO_TURN 64  /* of them in one io_submit(2) */

enum epoll_tag {
	EPOLL_RECV_CHUNK,
	EPOLL_RECV,
	EPOLL_SENDMSG,
	EPOLL_ACCEPT,
	EPOLL_POLL,
	EPOLL_READV,
	EPOLL_WRITEV,
	EPOLL_FDATASYNC,
	EPOLL_FALLOCATE
};

enum epoll_fd_flag {
	/* Sockets and the like. */
	EPOLL_IN_SET = 1 << 0,  /* registered, so that an event follows each change */
	EPOLL_DRAINED = 1 << 1, /* nothing to receive until the next event */
	/* The end was announced, or urgent data: a short receive does not say that it was all. */
	EPOLL_ENDS = 1 << 2,
	EPOLL_NONBLOCK = 1 << 3,
	/* Files. */
	EPOLL_FILE = 1 << 4, /* the next ones are known */
	EPOLL_DIRECT = 1 << 5,
	EPOLL_READS_BLOCK = 1 << 6, /* RWF_NOWAIT is not supported */
	EPOLL_WRITES_BLOCK = 1 << 7
};

/* What is known of a descriptor, by its number, until gw_forget_fd(). All zero: nothing. */
struct epoll_fd {
	struct gw_list waiting; /* operations, for an event */
	uint8_t flags;
};

/* epoll_aio.c. ctx is 0 where the kernel offers none. */
struct epoll_aio {
	aio_context_t ctx;
	int eventfd;
	unsigned inflight, nbatch;
	struct iocb batch[EPOLL_AIO_TURN];
	struct gw_list waiting; /* operations, for a place */
};

/* epoll_work.c: a queue with one sender, the core; each token of the semaphore is one operation. */
struct epoll_work {
	sem_t tokens;
	atomic_bool stop;
	unsigned nthreads;
	struct gw_list waiting; /* operations, for a place in the queue */
	pthread_t thread[EPOLL_WORKERS];
	struct gw_core *core;
	alignas(GW_CACHELINE) atomic_uint head; /* the next to be taken, moved by the threads */
	alignas(GW_CACHELINE) atomic_uint tail; /* moved by the core */
	_Atomic(struct gw_op *) slot[EPOLL_QUEUE];
};

struct gw_epoll {
	struct gw_engine base;
	int fd;
	unsigned skipped; /* waits in a row that did not look for events */
	unsigned nevents;
	uint32_t nfds;
	struct epoll_fd *fds;
	struct gw_list todo; /* operations that nobody has tried yet */
	struct epoll_event event[EPOLL_EVENTS];
	struct epoll_aio aio;
	struct epoll_work work;
};

static inline struct gw_epoll *
epoll_of(struct gw_core *core)
{
	return gw_container(core->eng, struct gw_epoll, base);
}

/* NULL: no such number is possible. */
static inline struct epoll_fd *
epoll_fd(struct gw_epoll *e, int fd)
{
	return fd >= 0 && (uint32_t)fd < e->nfds ? &e->fds[fd] : NULL;
}

/* --- engine_epoll.c --- */

/* Has op, which is in no list, tried when the turn is submitted. */
void epoll_todo(struct gw_core *core, struct gw_op *op, enum epoll_tag tag);
/* op has ended outside of a reap: done() runs with the next one. */
void epoll_end(struct gw_epoll *e, struct gw_op *op, int res);
/* Leaves a list, whatever it waited for there. */
void epoll_unlist(struct gw_op *op);

/* --- epoll_sock.c --- */

/* Tries op, which is in no list; -EINPROGRESS: it waits, else its result. */
int epoll_sock_try(struct gw_epoll *e, struct gw_op *op);
/* Gives spare chunks to receives that starve. */
void epoll_sock_feed(struct gw_epoll *e);
/* Something has happened to fd. */
void epoll_sock_event(struct gw_epoll *e, int fd, uint32_t events);

void epoll_recv_chunk(struct gw_core *core, struct gw_op *op, int fd, uint32_t max);
void epoll_recv(struct gw_core *core, struct gw_op *op, int fd, void *buf, uint32_t len);
void epoll_sendmsg(struct gw_core *core, struct gw_op *op, int fd, const struct msghdr *msg);
void epoll_accept(struct gw_core *core, struct gw_op *op, int fd);
void epoll_poll(struct gw_core *core, struct gw_op *op, int fd, unsigned events);

/* --- epoll_file.c --- */

/* Takes op, which is in no list, as far as is possible without waiting. */
void epoll_file_try(struct gw_epoll *e, struct gw_op *op);

void epoll_readv(struct gw_core *core, struct gw_op *op, int fd, const struct iovec *iov,
		 unsigned niov, uint64_t off);
void epoll_writev(struct gw_core *core, struct gw_op *op, int fd, const struct iovec *iov,
		  unsigned niov, uint64_t off, int rwf);
void epoll_fdatasync(struct gw_core *core, struct gw_op *op, int fd);
void epoll_fallocate(struct gw_core *core, struct gw_op *op, int fd, int mode, uint64_t off,
		     uint64_t len);

/* --- epoll_aio.c --- */

/* 0 or -errno; a kernel without AIO is no error. */
int epoll_aio_open(struct epoll_aio *a);
/* Waits for what is under way. */
void epoll_aio_close(struct epoll_aio *a);
/* Prepares op, which is in no list, for the next epoll_aio_submit(). */
void epoll_aio_add(struct gw_epoll *e, struct gw_op *op);
void epoll_aio_submit(struct gw_epoll *e);
void epoll_aio_reap(struct gw_epoll *e);

/* --- epoll_work.c --- */

void epoll_work_init(struct epoll_work *w, struct gw_core *core);
void epoll_work_fini(struct epoll_work *w);
/* Starts the threads. 0 or -errno. */
int epoll_work_start(struct epoll_work *w);
/* Ends them when they have finished what they are at. */
void epoll_work_stop(struct epoll_work *w);
/* Has a thread carry out op, which is in no list. */
void epoll_work_add(struct epoll_work *w, struct gw_op *op);

#endif
