/* SPDX-License-Identifier: BSD-3-Clause */
/* What the connections of a core share: pools that grow with the sessions, and those who wait. */
#include "iscsi/core.h"

#include <errno.h>
#include <time.h>

#include "gateway/core/usage.h"
#include "iscsi/session.h"
#include "iscsi/tcp_conn.h"

#define TASKS_START       512
#define TASKS_PER_SESSION 32
#define TASKS_MAX         65536
#define CTLS_START        256
/* A session that does not read keeps as many of these as it may have: nobody else's. */
#define CTLS_PER_SESSION    ISCSI_CTL_MAX
#define CTLS_MAX            (1u << 20)
#define BATCHES_START       64
#define BATCHES_PER_SESSION 1
#define BATCHES_MAX         65536
#define GROW_MIN            64

/*
 * All that wait now are looked at, in order: what came free may be of a kind that the first ones do not
 * want. One that finds nothing goes to the end again.
 */
static void
wake(struct gw_hook *h)
{
	struct iscsi_core *ic = gw_container(h, struct iscsi_core, wake);
	struct gw_list now;

	gw_list_init(&now);
	gw_list_splice_tail(&now, &ic->waiters);
	while (!gw_list_empty(&now)) {
		struct iscsi_conn *c = gw_list_first(&now, struct iscsi_conn, pool_wait);

		gw_list_del(&c->pool_wait);
		if (c->tx_hungry) {
			c->tx_hungry = false;
			gw_at_flush(c->core, &c->tx_hook);
		}
		iscsi_rx_resume(c, ISCSI_STOP_POOL);
	}
}

void
iscsi_core_wake(struct iscsi_core *ic)
{
	if (!gw_list_empty(&ic->waiters))
		gw_at_kick(ic->core, &ic->wake);
}

void *
iscsi_core_get(struct gw_pool *p)
{
	void *o = gw_pool_get(p);

	if (o)
		return o;
	(void)gw_pool_grow(p, GW_MAX(p->total / 4, (uint32_t)GROW_MIN));
	return gw_pool_get(p);
}

/* Objects that are never used at once cost address space alone. */
static void
pool_upto(struct gw_pool *p, uint32_t want, uint32_t max)
{
	uint32_t more;

	want = GW_MIN(want, max);
	if (p->total >= want)
		return;
	/* In steps that grow with the pool, so that a wave of logins does not grow it one by one. */
	more = GW_MIN(p->total / 4, max - p->total);
	(void)gw_pool_grow(p, GW_MAX(want - p->total, more));
}

void
iscsi_core_sessions(struct iscsi_core *ic, int change)
{
	ic->nsess += (uint32_t)change;
	if (ic->nsess == 0) {
		gw_pool_trim(&ic->tasks);
		gw_pool_trim(&ic->ctls);
		gw_pool_trim(&ic->batches);
		return;
	}
	pool_upto(&ic->tasks, TASKS_START + ic->nsess * TASKS_PER_SESSION, TASKS_MAX);
	pool_upto(&ic->ctls, CTLS_START + ic->nsess * CTLS_PER_SESSION, CTLS_MAX);
	pool_upto(&ic->batches, BATCHES_START + ic->nsess * BATCHES_PER_SESSION, BATCHES_MAX);
}

static void
core_free(struct iscsi_core *ic)
{
	gw_pool_fini(&ic->tasks);
	gw_pool_fini(&ic->ctls);
	gw_pool_fini(&ic->batches);
	gw_pool_fini(&ic->logins);
	gw_pool_fini(&ic->conn_mem);
	gw_pool_fini(&ic->sess_mem);
	gw_local_free(ic, sizeof(*ic));
}

static struct iscsi_core *
core_new(struct gw_core *core)
{
	struct iscsi_core *ic = gw_local_alloc(core->node, sizeof(*ic));

	if (!ic)
		return NULL;
	ic->core = core;
	ic->mem_max = GW_MAX(gw_buf_total(core) / 4, (uint64_t)GW_XFER_MAX);
	gw_list_init(&ic->conns);
	gw_list_init(&ic->waiters);
	gw_hook_init(&ic->wake, wake);
	iscsi_famine_init(ic);
	if (gw_pool_init(&ic->tasks, sizeof(struct iscsi_task), TASKS_START) ||
	    gw_pool_init(&ic->ctls, sizeof(struct iscsi_ctl), CTLS_START) ||
	    gw_pool_init(&ic->batches, tcp_batch_size(), BATCHES_START) ||
	    gw_pool_init(&ic->logins, sizeof(struct iscsi_login_work), ISCSI_LOGINS) ||
	    gw_pool_init(&ic->conn_mem, sizeof(struct tcp_conn), GROW_MIN) ||
	    gw_pool_init(&ic->sess_mem, sizeof(struct iscsi_session), GROW_MIN)) {
		core_free(ic);
		return NULL;
	}
	return ic;
}

#define POOL_USAGE(pool)                                                                   \
	static struct gw_usage pool##_usage(struct gw_core *core)                          \
	{                                                                                  \
		const struct iscsi_core *ic = core->slot[GW_SLOT_ISCSI];                   \
		return (struct gw_usage){ic->pool.total - ic->pool.nfree, ic->pool.total}; \
	}

POOL_USAGE(tasks)
POOL_USAGE(ctls)
POOL_USAGE(batches)
POOL_USAGE(logins)
POOL_USAGE(conn_mem)
POOL_USAGE(sess_mem)

static void
usages(void)
{
	gw_usage_add("tasks", tasks_usage);
	gw_usage_add("control_pdus", ctls_usage);
	gw_usage_add("batches", batches_usage);
	gw_usage_add("logins", logins_usage);
	gw_usage_add("connections", conn_mem_usage);
	gw_usage_add("sessions", sess_mem_usage);
}

int
iscsi_init(void)
{
	int rc = iscsi_registry_init();

	if (rc)
		return rc;
	for (unsigned i = 0; i < gw_ncores(); i++) {
		struct gw_core *core = gw_core_at(i);

		core->slot[GW_SLOT_ISCSI] = core_new(core);
		if (!core->slot[GW_SLOT_ISCSI]) {
			iscsi_fini();
			return -ENOMEM;
		}
	}
	usages();
	return 0;
}

void
iscsi_fini(void)
{
	for (unsigned i = 0; i < gw_ncores(); i++) {
		struct gw_core *core = gw_core_at(i);

		if (core->slot[GW_SLOT_ISCSI])
			core_free(core->slot[GW_SLOT_ISCSI]);
		core->slot[GW_SLOT_ISCSI] = NULL;
	}
	iscsi_registry_fini();
}

uint32_t
iscsi_conns(void)
{
	uint32_t n = 0;

	for (unsigned i = 0; i < gw_ncores(); i++)
		n += (uint32_t)gw_stat_get(gw_core_at(i)->stats->conns_live);
	return n;
}

static void
end_all(struct gw_core *core, void *arg)
{
	struct iscsi_core *ic = core->slot[GW_SLOT_ISCSI];

	gw_list_each (c, &ic->conns, struct iscsi_conn, node)
		iscsi_conn_end(c, "the gateway shuts down");
	*(uint32_t *)arg += ic->nconn;
}

bool
iscsi_stop(uint32_t ms)
{
	const struct timespec pause = {0, 2 * 1000 * 1000};

	for (uint32_t waited = 0;; waited += 2) {
		uint32_t left = 0;

		for (unsigned i = 0; i < gw_ncores(); i++)
			gw_run_sync(gw_core_at(i), end_all, &left);
		/* Last, as a session may outlive its connection. */
		left += iscsi_conns() + iscsi_sessions_living();
		if (left == 0 || waited >= ms)
			return left == 0;
		nanosleep(&pause, NULL);
	}
}
