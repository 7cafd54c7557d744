/* SPDX-License-Identifier: BSD-3-Clause */
#include "iser/xport.h"

#include <time.h>

#include "gateway/core/usage.h"
#include "iscsi/session.h"
#include "iscsi/xport.h"
#include "iser/conn.h"

static unsigned
fill(const struct iser_stats *s, struct gw_counter *out)
{
	unsigned n = 0;

#define X(name, what) out[n++] = (struct gw_counter){#name, gw_stat_get(s->name)};
	ISER_STATS(X)
#undef X
	return n;
}

/* Of the session's queue pair. */
static unsigned
counters(struct gw_nexus *nexus, struct gw_counter *out)
{
	const struct iscsi_session *s = iscsi_session_of(nexus);

	return s->conn ? fill(&iser_conn_of(s->conn)->stats, out) : 0;
}

const struct gw_xport_ops iser_xport = {
    .name = "iser",
    .respond = iscsi_respond,
    .turn = iscsi_turn,
    .listen = iser_listen,
    .accept = iser_accept,
    .unlisten = iser_unlisten,
    .close = iscsi_xport_close,
    .ask_logout = iscsi_xport_ask_logout,
    .params = iscsi_xport_params,
    .counters = counters,
};

/* Buffer memory that connections keep for messages, of what they may have. */
static struct gw_usage
message_bytes(struct gw_core *core)
{
	const struct iser_core *k = iser_core_of(core);

	return (struct gw_usage){k ? k->mem : 0, gw_buf_total(core) / 2};
}

/* Entries of completion queues that work requests have, of all that there are. */
static struct gw_usage
completions(struct gw_core *core)
{
	struct gw_usage u = {0, 0};

	for (const struct iser_dev *dev = iser_devs(); dev; dev = dev->next) {
		const struct iser_cq *q = dev->cq[core->id];

		if (q) {
			u.used += q->reserved[ISER_SENT] + q->reserved[ISER_RECEIVED];
			u.total += 2 * q->size;
		}
	}
	return u;
}

/* Of a device on this core. */
static unsigned
device_counters(const struct gw_core *core, unsigned i, const char **device,
		struct gw_counter *out)
{
	const struct iser_dev *dev = iser_devs();
	unsigned n;

	while (dev && (!dev->cq[core->id] || i-- > 0))
		dev = dev->next;
	if (!dev)
		return 0;
	*device = ibv_get_device_name(dev->verbs->device);
	n = fill(&dev->cq[core->id]->stats, out);
	out[n++] = (struct gw_counter){"qps", dev->cq[core->id]->nqp};
	return n;
}

void
iser_init(bool iwarp)
{
	if (iwarp)
		iser_devs_trust_iwarp();
	gw_devices_set(device_counters);
	gw_usage_add("rdma_message_bytes", message_bytes);
	gw_usage_add("rdma_completions", completions);
}

static void
stop_on(struct gw_core *core, void *arg)
{
	bool *idle = arg;

	*idle &= iser_cm_stop(core);
	for (struct iser_dev *dev = iser_devs(); dev; dev = dev->next) {
		if (dev->cq[core->id])
			*idle &= iser_cq_stop(dev->cq[core->id]);
		if (core->id == 0 && dev->watched) {
			gw_cancel(core, &dev->async);
			*idle = false;
		}
	}
}

static void
close_on(struct gw_core *core, void *arg)
{
	(void)arg;
	iser_cm_close(core);
	for (struct iser_dev *dev = iser_devs(); dev; dev = dev->next) {
		if (dev->cq[core->id])
			iser_cq_close(dev->cq[core->id]);
		dev->cq[core->id] = NULL;
	}
}

void
iser_stop(void)
{
	const struct timespec pause = {0, 1000 * 1000};
	bool idle;

	do {
		idle = true;
		for (unsigned i = 0; i < gw_ncores(); i++)
			gw_run_sync(gw_core_at(i), stop_on, &idle);
		if (!idle)
			nanosleep(&pause, NULL);
	} while (!idle);
	for (unsigned i = 0; i < gw_ncores(); i++)
		gw_run_sync(gw_core_at(i), close_on, NULL);
}

void
iser_fini(void)
{
	iser_devs_close();
}
