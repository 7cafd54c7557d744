/* SPDX-License-Identifier: BSD-3-Clause */
/* Tours over the nexuses of all cores: how many there are, and the end of all of them. */
#include <time.h>

#include "gateway/base/log.h"
#include "gateway/model/model_priv.h"

struct census {
	struct gw_tour tour;
	uint32_t tid; /* 0: all */
	uint32_t n;
};

static void
count_visit(struct gw_core *core, struct gw_tour *tour)
{
	struct census *c = gw_container(tour, struct census, tour);

	gw_list_each (n, gw_nexus_list(core), struct gw_nexus, node)
		c->n += c->tid == 0 || (n->target && n->target->tid == c->tid && !n->closing);
	gw_tour_next(tour);
}

uint32_t
sessions_of(uint32_t tid)
{
	struct census c = {.tid = tid};

	gw_tour_sync(&c.tour, count_visit);
	return c.n;
}

static void
ask_visit(struct gw_core *core, struct gw_tour *tour)
{
	gw_list_each_safe (n, gw_nexus_list(core), struct gw_nexus, node) {
		if (!n->closing && n->xport->ask_logout)
			n->xport->ask_logout(n);
	}
	gw_tour_next(tour);
}

static void
close_visit(struct gw_core *core, struct gw_tour *tour)
{
	gw_list_each_safe (n, gw_nexus_list(core), struct gw_nexus, node) {
		if (!n->closing)
			n->xport->close(n, GW_WHY_SHUTDOWN);
	}
	gw_tour_next(tour);
}

static bool
all_gone(uint32_t ms)
{
	struct timespec pause = {.tv_nsec = 10 * 1000 * 1000};

	for (uint32_t waited = 0; sessions_of(0) > 0; waited += 10) {
		if (waited >= ms)
			return false;
		nanosleep(&pause, NULL);
	}
	return true;
}

bool
gw_conf_drain(uint32_t ask_ms, uint32_t close_ms)
{
	const struct gw_index *ix = &gw_conf_now.state.portal;
	struct gw_tour tour;
	uint32_t n;

	for (uint32_t i = 0; i < ix->n; i++) {
		struct m_portal *p = ix->at[i];

		if (p->listening)
			p->p.xport->unlisten(&p->p);
		p->listening = false;
	}
	n = sessions_of(0);
	if (n == 0)
		return true;
	gw_info("asking initiators to log out: sessions=%u", n);
	gw_tour_sync(&tour, ask_visit);
	if (all_gone(ask_ms))
		return true;
	gw_info("closing the sessions that are left: sessions=%u", sessions_of(0));
	gw_tour_sync(&tour, close_visit);
	return all_gone(close_ms);
}
