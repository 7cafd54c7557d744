/* SPDX-License-Identifier: BSD-3-Clause */
#include "iscsi/tcp_xport.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "gateway/base/log.h"
#include "gateway/core/usage.h"
#include "iscsi/conn.h"
#include "iscsi/session.h"

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
	struct tcp_core *tc = gw_container(h, struct tcp_core, wake);

	struct gw_list now;

	gw_list_init(&now);
	gw_list_splice_tail(&now, &tc->waiters);
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
tcp_core_wake(struct tcp_core *tc)
{
	if (!gw_list_empty(&tc->waiters))
		gw_at_kick(tc->core, &tc->wake);
}

void *
tcp_core_get(struct gw_pool *p)
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
tcp_core_sessions(struct tcp_core *tc, int change)
{
	tc->nsess += (uint32_t)change;
	if (tc->nsess == 0) {
		gw_pool_trim(&tc->tasks);
		gw_pool_trim(&tc->ctls);
		gw_pool_trim(&tc->batches);
		return;
	}
	pool_upto(&tc->tasks, TASKS_START + tc->nsess * TASKS_PER_SESSION, TASKS_MAX);
	pool_upto(&tc->ctls, CTLS_START + tc->nsess * CTLS_PER_SESSION, CTLS_MAX);
	pool_upto(&tc->batches, BATCHES_START + tc->nsess * BATCHES_PER_SESSION, BATCHES_MAX);
}

static void
core_free(struct tcp_core *tc)
{
	gw_pool_fini(&tc->tasks);
	gw_pool_fini(&tc->ctls);
	gw_pool_fini(&tc->batches);
	gw_pool_fini(&tc->logins);
	gw_pool_fini(&tc->conn_mem);
	gw_pool_fini(&tc->sess_mem);
	gw_local_free(tc, sizeof(*tc));
}

static struct tcp_core *
core_new(struct gw_core *core)
{
	struct tcp_core *tc = gw_local_alloc(core->node, sizeof(*tc));

	if (!tc)
		return NULL;
	tc->core = core;
	tc->xport = &tcp_xport;
	tc->mem_max = GW_MAX(gw_buf_total(core) / 4, (uint64_t)GW_XFER_MAX);
	gw_list_init(&tc->conns);
	gw_list_init(&tc->waiters);
	gw_hook_init(&tc->wake, wake);
	tcp_famine_init(tc);
	if (gw_pool_init(&tc->tasks, sizeof(struct iscsi_task), TASKS_START) ||
	    gw_pool_init(&tc->ctls, sizeof(struct iscsi_ctl), CTLS_START) ||
	    gw_pool_init(&tc->batches, iscsi_batch_size(), BATCHES_START) ||
	    gw_pool_init(&tc->logins, sizeof(struct iscsi_login_work), TCP_LOGINS) ||
	    gw_pool_init(&tc->conn_mem, sizeof(struct iscsi_conn), GROW_MIN) ||
	    gw_pool_init(&tc->sess_mem, sizeof(struct iscsi_session), GROW_MIN)) {
		core_free(tc);
		return NULL;
	}
	return tc;
}

#define POOL_USAGE(pool)                                                                           \
	static struct gw_usage pool##_usage(struct gw_core *core)                                  \
	{                                                                                          \
		const struct tcp_core *tc = core->slot[GW_SLOT_TCP];                               \
		return (struct gw_usage){tc->pool.total - tc->pool.nfree, tc->pool.total};         \
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
tcp_init(void)
{
	int rc = iscsi_registry_init();

	if (rc)
		return rc;
	for (unsigned i = 0; i < gw_ncores(); i++) {
		struct gw_core *core = gw_core_at(i);

		core->slot[GW_SLOT_TCP] = core_new(core);
		if (!core->slot[GW_SLOT_TCP]) {
			tcp_fini();
			return -ENOMEM;
		}
	}
	usages();
	return 0;
}

void
tcp_fini(void)
{
	for (unsigned i = 0; i < gw_ncores(); i++) {
		struct gw_core *core = gw_core_at(i);

		if (core->slot[GW_SLOT_TCP])
			core_free(core->slot[GW_SLOT_TCP]);
		core->slot[GW_SLOT_TCP] = NULL;
	}
	iscsi_registry_fini();
}

static void
end_all(struct gw_core *core, void *arg)
{
	struct tcp_core *tc = core->slot[GW_SLOT_TCP];

	gw_list_each (c, &tc->conns, struct iscsi_conn, node)
		iscsi_conn_end(c, "the gateway shuts down");
	*(uint32_t *)arg += tc->nconn;
}

bool
tcp_stop(uint32_t ms)
{
	const struct timespec pause = {0, 2 * 1000 * 1000};

	for (uint32_t waited = 0;; waited += 2) {
		uint32_t left = 0;

		for (unsigned i = 0; i < gw_ncores(); i++)
			gw_run_sync(gw_core_at(i), end_all, &left);
		/* Last, as a session may outlive its connection. */
		left += tcp_conns() + iscsi_sessions_living();
		if (left == 0 || waited >= ms)
			return left == 0;
		nanosleep(&pause, NULL);
	}
}

static const char *
why_text(enum gw_why why)
{
	switch (why) {
	case GW_WHY_ADMIN:
		return "the administrator closed it";
	case GW_WHY_TARGET_GONE:
		return "its target was deleted";
	case GW_WHY_REINSTATED:
		return "a new login took its place";
	case GW_WHY_COLD_RESET:
		return "its target was reset";
	case GW_WHY_ACL:
		return "the access rules no longer admit it";
	case GW_WHY_SHUTDOWN:
		return "the gateway shuts down";
	}
	return "closed from above";
}

static void
xport_close(struct gw_nexus *n, enum gw_why why)
{
	struct iscsi_session *s = iscsi_session_of(n);

	if (s->conn)
		iscsi_conn_end(s->conn, why_text(why));
}

static void
xport_ask_logout(struct gw_nexus *n)
{
	struct iscsi_session *s = iscsi_session_of(n);

	if (s->conn && !s->conn->dying && s->conn->full)
		iscsi_async_logout(s->conn);
}

/* Keys as in 13; whole lines only. */
static void
xport_params(const struct gw_nexus *n, char *buf, unsigned size)
{
	static const struct iscsi_params none;
	const struct iscsi_params *now = iscsi_session_params(n), *p = now ? now : &none;
	const struct {
		const char *key;
		uint32_t value;
		enum {
			NUMBER,
			YES_NO,
			DIGEST
		} kind;
	} row[] = {
	    {"HeaderDigest", p->header_digest, DIGEST},
	    {"DataDigest", p->data_digest, DIGEST},
	    {"MaxRecvDataSegmentLength", p->max_recv_dsl, NUMBER},
	    {"MaxXmitDataSegmentLength", p->max_xmit_dsl, NUMBER},
	    {"InitialR2T", p->initial_r2t, YES_NO},
	    {"ImmediateData", p->immediate_data, YES_NO},
	    {"MaxOutstandingR2T", p->max_outstanding_r2t, NUMBER},
	    {"FirstBurstLength", p->first_burst, NUMBER},
	    {"MaxBurstLength", p->max_burst, NUMBER},
	    {"DefaultTime2Wait", p->time2wait, NUMBER},
	    {"DefaultTime2Retain", p->time2retain, NUMBER},
	    {"MaxConnections", p->max_connections, NUMBER},
	    {"ErrorRecoveryLevel", p->erl, NUMBER},
	    {"DataPDUInOrder", p->data_pdu_in_order, YES_NO},
	    {"DataSequenceInOrder", p->data_sequence_in_order, YES_NO},
	    {"iSCSIProtocolLevel", p->protocol_level, NUMBER},
	};
	unsigned at = 0;

	if (size == 0)
		return;
	buf[0] = 0;
	for (unsigned i = 0; now && i < GW_ARRAY_LEN(row); i++) {
		char line[64];
		int len;

		if (row[i].kind == NUMBER)
			len = snprintf(line, sizeof(line), "%s=%u\n", row[i].key, row[i].value);
		else if (row[i].kind == YES_NO)
			len = snprintf(line, sizeof(line), "%s=%s\n", row[i].key,
				       row[i].value ? "Yes" : "No");
		else
			len = snprintf(line, sizeof(line), "%s=%s\n", row[i].key,
				       row[i].value ? "CRC32C" : "None");
		if (at + (unsigned)len >= size)
			return;
		memcpy(buf + at, line, (size_t)len + 1);
		at += (unsigned)len;
	}
}

const struct gw_xport_ops tcp_xport = {
    .name = "tcp",
    .respond = iscsi_respond,
    .listen = tcp_listen,
    .unlisten = tcp_unlisten,
    .close = xport_close,
    .ask_logout = xport_ask_logout,
    .params = xport_params,
};
