/* SPDX-License-Identifier: BSD-3-Clause */
/* What the connections of a core share, whatever transport they come by. */
#ifndef ISCSI_CORE_H
#define ISCSI_CORE_H

#include "gateway/base/pool.h"
#include "gateway/core/core.h"
#include "gateway/core/timer.h"

/* Main thread, after gw_cores_init() and before gw_cores_start(): per-core state. 0 or -ENOMEM. */
int iscsi_init(void);
/*
 * Main thread, while the cores still run, after all portals were unlistened: ends every connection
 * and waits at most `ms` for them to go. True if none is left. Then iscsi_fini() after
 * gw_cores_fini().
 */
bool iscsi_stop(uint32_t ms);
/* Main thread, when the cores' threads have stopped and their memory is still there. */
void iscsi_fini(void);

/* Connections that all cores have, including those before login. Any thread. */
uint32_t iscsi_conns(void);

/* --- among the files of this folder: own core --- */

#define ISCSI_LOGINS 64

struct iscsi_wire;

struct iscsi_core {
	struct gw_core *core;
	struct gw_pool tasks, ctls, batches, logins;
	struct gw_pool conn_mem, sess_mem; /* grow when they are empty */
	struct gw_list conns;   /* all */
	struct gw_list waiters; /* conn->pool_wait */
	struct gw_hook wake;
	uint32_t nconn, nsess;
	uint64_t held; /* buffer bytes of all commands that wait for others of their task set */
	uint64_t mem_max; /* buffer bytes that a connection's commands may have, if they can wait */
	uint16_t discovery_tsih;
	struct gw_timer famine;
};

/* Something went back to a pool: whoever waits may try again, later in this turn. */
void iscsi_core_wake(struct iscsi_core *ic);
/* famine.c: somebody waits for buffers or a login's memory. */
void iscsi_famine_init(struct iscsi_core *ic);
void iscsi_famine(struct iscsi_core *ic);
/* crowd.c: as many connections are open as may be; says so to the log. Any thread. */
bool iscsi_crowd_full(void);
/* One more comes to this core: ends a connection in its favour, if there are too many of its kind. */
void iscsi_crowd_shed(struct iscsi_core *ic);
/*
 * What that wire has on this core for its connections is used up: one of them that has not logged in
 * makes room, or else one that is for discovery alone.
 */
void iscsi_crowd_yield(struct iscsi_core *ic, const struct iscsi_wire *wire);
/* An object of conn_mem or sess_mem; NULL without memory. Not in the data path. */
void *iscsi_core_get(struct gw_pool *p);
/* A session more or less: the pools grow with their number, shrink when there is none. Best effort. */
void iscsi_core_sessions(struct iscsi_core *ic, int change);

#endif
