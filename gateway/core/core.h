/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A core: one thread, pinned to one CPU, that runs one loop and shares nothing.
 *
 * Each object of the data path has one home core and is touched by that core's thread only. Cores
 * speak to each other by messages (struct gw_msg) whose ownership goes with them. What every core
 * must know or do is brought round by a tour (struct gw_tour): one message that visits all cores in
 * turn and comes home; it needs no memory and leaves one total order.
 *
 * One turn of the loop:
 *	wait	submit all that was prepared and sleep until a completion, a message or a timer
 *	reap	completions call gw_op.done
 *	hear	messages call gw_msg.fn
 *	tick	due timers call gw_timer.fire
 *	kick	the kick hooks (backend channels ring their doorbells); file operations that
 *		complete at once are reaped
 *	flush	the flush hooks (connections send all answers of this turn in one go)
 * A hook that is armed while its list runs, is run in the same turn once more, up to a budget.
 */
#ifndef GW_CORE_CORE_H
#define GW_CORE_CORE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/base/list.h"
#include "gateway/core/stats.h"

#define GW_CORES_MAX 64
#define GW_CACHELINE 64

struct gw_engine;
struct gw_wheel;
struct gw_bufs;
struct gw_mailbox;
struct gw_core;

/* Per-core state of the folders above, each set once by its owner at start. */
enum gw_slot {
	GW_SLOT_MODEL,
	GW_SLOT_SCSI,
	GW_SLOT_BACKEND,
	GW_SLOT_ISCSI,
	GW_SLOT_ISER,
	GW_SLOT_MAX
};

/* Work for the end of this turn; embedded in its owner. */
struct gw_hook {
	struct gw_list node;
	void (*fn)(struct gw_hook *);
	bool armed; /* private */
};

/* How busy a core has been, looked at once a second while it is awake. Its own; read by anyone. */
struct gw_busy {
	_Atomic uint64_t at;	   /* ns: when it looked last */
	_Atomic uint64_t permille; /* of the CPU in the second before */
	uint64_t cpu_ns, next;	   /* private */
};

struct gw_core {
	unsigned id;		      /* 0 .. gw_ncores() - 1 */
	int cpu;		      /* -1 when not pinned */
	int node;		      /* of the memory next to that CPU; -1: unknown */
	uint64_t born;		      /* ns, CLOCK_MONOTONIC: when it was made */
	uint64_t now;		      /* ns, CLOCK_MONOTONIC at the start of this turn */
	struct gw_engine *eng;	      /* engine.h */
	struct gw_wheel *wheel;	      /* timer.h */
	struct gw_bufs *bufs;	      /* buf.h */
	struct gw_list kick, flush;   /* armed hooks */
	void *slot[GW_SLOT_MAX];
	struct gw_core_stats *stats;  /* written by this core only */
	struct gw_mailbox *mailbox;   /* private */
	struct gw_busy busy;	      /* place.c */
	_Alignas(GW_CACHELINE) atomic_uint load; /* connections placed here; place.c */
};

/* --- life; called by main.c --- */

struct gw_core_conf {
	/* List as in taskset(1): "0,2-3"; NULL: all CPUs we may run on. One named twice gets two cores. */
	const char *cores;
	const char *engine; /* "uring" or "epoll"; NULL: uring, or epoll where that is forbidden */
	/* I/O buffer memory of each core, raised to GW_XFER_MAX if less; 0: default (64 MiB). */
	uint64_t buf_bytes;
	/* How long to look for more work before sleeping, us (spin.c); 0: not at all. */
	uint32_t poll_us;
	uint32_t chunks; /* receive chunks (engine.h) of each core; 0: default (256) */
};

/*
 * Creates all cores (memory, engines, mailboxes) without starting their threads. 0 or -errno, with
 * one sentence in err. After it, slots may be filled.
 */
int gw_cores_init(const struct gw_core_conf *conf, char *err, unsigned err_size);
/* Starts the threads ("core/N"). 0 or -errno. */
int gw_cores_start(void);
/* Stops the loops, joins the threads, frees everything. Nothing may be in flight. */
void gw_cores_fini(void);

unsigned gw_ncores(void);
/* The engine that runs, by its name. */
const char *gw_cores_engine(void);
struct gw_core *gw_core_at(unsigned id);
/* The core of the calling thread, NULL on any other thread (control, main). */
struct gw_core *gw_core_self(void);

/*
 * Memory for what the main thread makes for a core (core->node): zeroed, near the core's CPU, in pages
 * that hold nobody else's, so that no cache line of it is another core's. NULL: none left.
 */
void *gw_local_alloc(int node, size_t size);
void gw_local_free(void *p, size_t size);

/* --- hooks: own core only --- */

static inline void
gw_hook_init(struct gw_hook *h, void (*fn)(struct gw_hook *))
{
	gw_list_init(&h->node);
	h->fn = fn;
	h->armed = false;
}

/* Runs h once in the phase of that name of this turn. Arming an armed hook does nothing. */
void gw_at_kick(struct gw_core *core, struct gw_hook *h);
void gw_at_flush(struct gw_core *core, struct gw_hook *h);
void gw_hook_disarm(struct gw_hook *h);

/* --- messages: any thread may send --- */

/* Embedded in what is sent; the sender may not touch it until the receiver gives it back. */
struct gw_msg {
	struct gw_msg *next; /* private */
	void (*fn)(struct gw_core *on, struct gw_msg *msg);
};

/* Messages of one sender arrive in order. Never fails, never blocks. */
void gw_send(struct gw_core *to, struct gw_msg *msg);

/* --- tours --- */

/*
 * visit() runs on each core, 0 first, and must call gw_tour_next() exactly once, at once or when
 * it has finished (it may wait for completions meanwhile). After the last, done() runs on the core
 * that started the tour; a tour started by a thread that is not a core's runs done() on that of the
 * last core. Two tours started from the same core never overtake each other on any core unless a
 * visit waits.
 */
struct gw_tour {
	struct gw_msg msg; /* private */
	struct gw_core *home; /* private */
	unsigned at;	   /* private: the core being visited */
	void *sleeper;	   /* private: who waits in gw_tour_sync() */
	void (*visit)(struct gw_core *on, struct gw_tour *t);
	void (*done)(struct gw_tour *t);
};

void gw_tour_start(struct gw_tour *t, void (*visit)(struct gw_core *, struct gw_tour *),
		   void (*done)(struct gw_tour *));
void gw_tour_next(struct gw_tour *t);

/* From a thread that is not a core's: runs the tour and sleeps until all cores were visited. */
void gw_tour_sync(struct gw_tour *t, void (*visit)(struct gw_core *, struct gw_tour *));

/* From a thread that is not a core's: runs fn(core, arg) on that core, sleeps until it returned. */
void gw_run_sync(struct gw_core *on, void (*fn)(struct gw_core *, void *), void *arg);

/* --- placement --- */

/*
 * The core for a new connection, with one more counted on it: one of those that have about the fewest,
 * and of them the least busy. gw_unplace() gives it back. Any thread.
 */
struct gw_core *gw_place(void);
void gw_unplace(struct gw_core *core);
/* CPU time per mille of the last second. Any thread; now_ns as core->now. */
uint32_t gw_core_busy(const struct gw_core *core, uint64_t now_ns);

#endif
