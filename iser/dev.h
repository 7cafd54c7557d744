/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * RDMA devices: of each one protection domain and one registration of all buffer memory, and on each
 * core that uses it two completion queues. They are opened when a portal first listens or a connection
 * first comes by them, and stay until the end.
 */
#ifndef ISER_DEV_H
#define ISER_DEV_H

#include <infiniband/verbs.h>

#include "gateway/core/core.h"
#include "gateway/core/engine.h"
#include "gateway/core/timer.h"

/* What a QP has done, and all of a device on a core. No name is one of a session's other counters. */
#define ISER_STATS(X)                                  \
	X(sends, "SENDs completed")                    \
	X(recvs, "messages received")                  \
	X(rdma_reads, "RDMA Reads completed")          \
	X(rdma_read_bytes, "bytes read by RDMA")       \
	X(rdma_writes, "RDMA Writes posted")           \
	X(rdma_write_bytes, "bytes written by RDMA")   \
	X(posts, "chains of work requests posted")     \
	X(full, "times the send queue had no room")    \
	X(rdma_errors, "completions with an error of their own")

struct iser_stats {
#define X(name, what) _Atomic uint64_t name;
	ISER_STATS(X)
#undef X
};

struct iser_dev {
	struct ibv_context *verbs;
	struct ibv_context **list; /* our hold on it */
	struct ibv_pd *pd;
	struct ibv_mr *mr; /* of the arena; NULL: the device cannot be used */
	uint32_t max_sge, max_read_sge;
	uint32_t max_wr, max_cqe;
	bool can_send_inv;
	uint8_t max_ord; /* RDMA Reads of a QP that are out at once */
	struct iser_cq *cq[GW_CORES_MAX]; /* each its core's */
	struct gw_msg msg;  /* to core 0, which waits for events of the device */
	struct gw_op async;
	bool watched;
	struct iser_dev *next;
};

/* The two queues of a core: what is sent, and what is received. */
enum iser_side {
	ISER_SENT,
	ISER_RECEIVED,
	ISER_SIDES
};

/* A device's completions on one core. */
struct iser_cq {
	struct iser_dev *dev;
	struct gw_core *core;
	struct ibv_comp_channel *channel;
	struct ibv_cq *cq[ISER_SIDES];
	bool armed[ISER_SIDES]; /* its next completion wakes the core */
	unsigned unacked[ISER_SIDES];
	uint32_t size, reserved[ISER_SIDES]; /* entries */
	uint32_t watchers; /* who waits for something that was sent */
	uint32_t out;     /* signaled work requests that were sent */
	struct gw_timer lazy;
	struct iser_stats stats;
	uint32_t nqp;
	struct gw_op op;
	uint64_t looked; /* core->now of that turn */
	bool waiting, stopping;
	bool dead; /* its device has gone */
	struct gw_hook again;
};

/* Main thread, before any is opened: uses iWARP devices as well, though see dev.c. */
void iser_devs_trust_iwarp(void);
/* Opens all devices of this host; how many there are. Control thread. */
unsigned iser_devs_open(void);
/* The one of that context, opened if need be; NULL: it cannot be, the log says why. Any thread. */
struct iser_dev *iser_dev_get(struct ibv_context *verbs);
/* The first device, then dev->next; they never go before iser_devs_close(). Any thread. */
struct iser_dev *iser_devs(void);
/* Main thread, when the cores have stopped: closes what iser_cq_close() has left. */
void iser_devs_close(void);

/* The completion queues of this core, made if need be; NULL: cannot be made. Own core. */
struct iser_cq *iser_cq_get(struct iser_dev *dev, struct gw_core *core);
/*
 * Room for the completions of so many work requests: what is not reserved may not be posted, as a queue
 * that overflows takes all its connections with it. False: there is none.
 */
bool iser_cq_reserve(struct iser_cq *q, enum iser_side side, uint32_t n);
void iser_cq_release(struct iser_cq *q, enum iser_side side, uint32_t n);
/* A signaled work request was posted, or has completed. */
void iser_cq_posted(struct iser_cq *q);
void iser_cq_returned(struct iser_cq *q);
/*
 * Somebody waits for what was sent to complete, and when it has; in pairs. While nobody does, such
 * completions wake no core: they are found with what comes next, or after some milliseconds.
 */
void iser_cq_watch_sent(struct iser_cq *q);
void iser_cq_unwatch_sent(struct iser_cq *q);
/* Handles all completions that are there; for who ends a QP without waiting. */
void iser_cq_drain(struct iser_cq *q);
/* Stops to wait for completions; true when nothing is under way any more. Own core, nothing posted. */
bool iser_cq_stop(struct iser_cq *q);
void iser_cq_close(struct iser_cq *q);

#endif
