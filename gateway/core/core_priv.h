/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of core/ know of each other. Private to core/. */
#ifndef GW_CORE_CORE_PRIV_H
#define GW_CORE_CORE_PRIV_H

#include <pthread.h>
#include <semaphore.h>
#include <stdalign.h>

#include "gateway/core/core.h"
#include "gateway/core/usage.h"
#include "gateway/core/watch_priv.h"

#define GW_NEVER_DUE UINT64_MAX

/* Busy polling of one loop; spin.c. */
struct gw_spin {
	uint64_t max_ns;    /* 0: never */
	uint64_t window_ns; /* now; 0: not worth it */
};

/* A core with what only its loop sees. */
struct gw_loop {
	struct gw_core core;
	struct gw_watch watch;
	struct gw_spin spin;
	alignas(GW_CACHELINE) struct gw_core_stats stats;
	alignas(GW_CACHELINE) struct gw_msg stop_msg;
	pthread_t thread;
	bool started, stop;
	int start_error;
	sem_t ready;
};

static inline struct gw_loop *
gw_loop_of(struct gw_core *core)
{
	return gw_container(core, struct gw_loop, core);
}

extern _Thread_local struct gw_core *gw_core_current;

/* Nanoseconds of CLOCK_MONOTONIC. */
uint64_t gw_clock_ns(void);

/* loop.c: the thread's main function; arg is a struct gw_loop. Posts `ready` when it has begun. */
void *gw_loop_main(void *arg);

/* place.c: sees how busy the core is; own core, when busy.next is due. */
void gw_busy_look(struct gw_core *core, uint64_t now_ns);

/* cpulist.c: the CPUs that a list names, in its order, at most `max`; their number or -errno. */
int gw_cpulist_parse(const char *list, int *cpu, unsigned max, char *err, unsigned err_size);

/* local.c: the memory node of a CPU, -1 if nobody knows. */
int gw_cpu_node(int cpu);

/* mailbox.c */
struct gw_mailbox *gw_mailbox_new(int node);
void gw_mailbox_free(struct gw_mailbox *mb);
/* Becomes readable when a message came for a receiver that had said it would sleep. */
int gw_mailbox_fd(const struct gw_mailbox *mb);
/* True if the receiver may sleep now: nothing has come, and whatever comes will wake it. */
bool gw_mailbox_sleep(struct gw_mailbox *mb);
/* All that has come, oldest first, linked through next. The receiver is awake after it. */
struct gw_msg *gw_mailbox_take(struct gw_mailbox *mb);
void gw_mailbox_put(struct gw_mailbox *mb, struct gw_msg *msg);

/* True if something has come; for the receiver that is awake. */
bool gw_mailbox_any(struct gw_mailbox *mb);

/* spin.c */
void gw_spin_init(struct gw_spin *s, uint64_t max_ns);
/* The loop has slept for ns. */
void gw_spin_slept(struct gw_spin *s, uint64_t ns);
/* After a turn with work: submits, and looks until something has come (true) or it is time to sleep. */
bool gw_spin(struct gw_loop *loop, uint64_t now);

/* timer.c */
struct gw_wheel *gw_wheel_new(uint64_t now_ns, int node);
void gw_wheel_free(struct gw_wheel *wheel);
/* Fires what is due. */
void gw_wheel_tick(struct gw_core *core);
/* When the loop must be awake for the wheel, in ns of CLOCK_MONOTONIC; 0: at once. */
uint64_t gw_wheel_next(struct gw_wheel *wheel);

/* buf.c: the arena of all cores, and the part of each. */
int gw_arena_init(unsigned ncores, uint64_t bytes_each);
void gw_arena_fini(void);
struct gw_bufs *gw_bufs_new(struct gw_core *core);
void gw_bufs_free(struct gw_bufs *bufs);
struct gw_usage gw_bufs_usage(struct gw_core *core);

#endif
