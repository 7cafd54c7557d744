/* SPDX-License-Identifier: BSD-3-Clause */
/* RDMA portals: a connection goes to the least loaded core before it is accepted. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/base/log.h"
#include "iscsi/xport.h"
#include "iser/conn.h"
#include "iser/xport.h"

#define BACKLOG  1024
#define RETRY_MS 1000

/* Home: `core`; made and freed by the control thread. */
struct iser_listener {
	struct iser_cm_owner owner;
	struct gw_core *core;
	struct rdma_cm_id *id;
	uint16_t tpgt;
	bool accepting;
	int rc; /* 0 or -errno of opening */
	struct sockaddr_storage addr;
	struct gw_timer retry; /* after its device has gone */
};

/* A request to connect, on its way to its core and waiting there. */
struct arrival {
	struct gw_msg msg;
	struct gw_list node;
	struct rdma_cm_id *id;
	struct rdma_conn_param want;
	struct iser_cm cm;
	uint16_t tpgt;
};

static void
refuse(struct rdma_cm_id *id)
{
	(void)rdma_reject(id, NULL, 0);
	rdma_destroy_id(id);
}

/* One a turn: to accept takes a dozen system calls, and others have work to do. */
static void
arrive(struct gw_hook *h)
{
	struct iser_core *k = gw_container(h, struct iser_core, arrive);
	struct arrival *a = gw_list_first(&k->arrivals, struct arrival, node);
	struct rdma_cm_id *id;

	if (!a)
		return;
	id = a->id;
	gw_list_del(&a->node);
	iscsi_crowd_shed(k->core->slot[GW_SLOT_ISCSI]);
	if (k->stopping || !iser_conn_new(k->core, id, a->cm, &a->want, a->tpgt)) {
		gw_unplace(k->core);
		refuse(id);
	}
	free(a);
	if (!gw_list_empty(&k->arrivals))
		gw_at_kick(k->core, h);
}

static void
arrives(struct gw_core *on, struct gw_msg *msg)
{
	struct arrival *a = gw_container(msg, struct arrival, msg);
	struct iser_core *k = iser_core_of(on);

	gw_list_add_tail(&k->arrivals, &a->node);
	gw_at_kick(on, &k->arrive);
}

static void
incoming(const struct iser_listener *l, const struct iser_cm_event *e)
{
	struct arrival *a = NULL;
	struct gw_core *home;

	e->id->context = NULL; /* was the listener's */
	if (l->accepting && !iscsi_crowd_full())
		a = calloc(1, sizeof(*a));
	if (!a) {
		refuse(e->id);
		return;
	}
	a->msg.fn = arrives;
	gw_list_init(&a->node);
	a->id = e->id;
	a->tpgt = l->tpgt;
	a->want = e->param;
	a->cm = iser_cm_parse(e->private_data, e->private_len);
	home = gw_place();
	if (home != l->core && rdma_migrate_id(e->id, iser_core_of(home)->channel)) {
		gw_log_limited(GW_LOG_WARN, "an RDMA connection cannot move to its core: %s",
			       strerror(errno));
		gw_unplace(home);
		refuse(e->id);
		free(a);
		return;
	}
	gw_send(home, &a->msg);
}

static void
listener_event(struct iser_cm_owner *o, const struct iser_cm_event *e)
{
	struct iser_listener *l = gw_container(o, struct iser_listener, owner);

	if (e->type == RDMA_CM_EVENT_CONNECT_REQUEST) {
		incoming(l, e);
	} else if (e->type == RDMA_CM_EVENT_DEVICE_REMOVAL) {
		gw_warn("the RDMA device of a portal was removed: it waits for its return");
		rdma_destroy_id(l->id);
		l->id = NULL;
		gw_timer_start(l->core, &l->retry, RETRY_MS);
	}
}

/* 0 or -errno. */
static int
try_listen(struct iser_listener *l)
{
	int rc = 0;

	if (rdma_create_id(iser_core_of(l->core)->channel, &l->id, &l->owner, RDMA_PS_TCP))
		return -errno;
	if (rdma_bind_addr(l->id, (struct sockaddr *)&l->addr) || rdma_listen(l->id, BACKLOG)) {
		rc = -errno;
		rdma_destroy_id(l->id);
		l->id = NULL;
	}
	return rc;
}

static void
retry(struct gw_timer *t)
{
	struct iser_listener *l = gw_container(t, struct iser_listener, retry);

	if (try_listen(l))
		gw_timer_start(l->core, t, RETRY_MS);
	else
		gw_info("the RDMA device of a portal is back: it listens again");
}

static void
open_on(struct gw_core *core, void *arg)
{
	int *rc = arg;

	if (*rc == 0)
		*rc = iser_cm_open(core);
	if (*rc == 0 && !iser_core_of(core)->arrive.fn)
		gw_hook_init(&iser_core_of(core)->arrive, arrive);
}

static void
listen_on(struct gw_core *core, void *arg)
{
	struct iser_listener *l = arg;

	(void)core;
	l->rc = try_listen(l);
}

static void
accept_on(struct gw_core *core, void *arg)
{
	struct iser_listener *l = arg;

	(void)core;
	l->accepting = true;
}

static void
unlisten_on(struct gw_core *core, void *arg)
{
	struct iser_listener *l = arg;

	(void)core;
	gw_timer_stop(&l->retry);
	if (l->id)
		rdma_destroy_id(l->id);
}

static int
open_listener(struct iser_listener *l, const struct gw_portal *p, char *err, unsigned err_size)
{
	int len = iscsi_portal_address(p, &l->addr, err, err_size);

	if (len < 0)
		return len;
	gw_run_sync(l->core, listen_on, l);
	if (l->rc == -ENODEV || l->rc == -EADDRNOTAVAIL)
		snprintf(err, err_size, "no RDMA device of this host has the address %s", p->host);
	else if (l->rc == -EADDRINUSE)
		snprintf(err, err_size, "RDMA port %u of %s is in use by another program", p->port,
			 p->host);
	else if (l->rc)
		snprintf(err, err_size, "cannot listen for RDMA on %s port %u: %s", p->host,
			 p->port, strerror(-l->rc));
	return l->rc;
}

int
iser_listen(struct gw_portal *portal, char *err, unsigned err_size)
{
	struct iser_listener *l;
	int rc = 0;

	if (iser_devs_open() == 0) {
		snprintf(err, err_size, "this host has no RDMA device");
		return -ENODEV;
	}
	for (unsigned i = 0; i < gw_ncores(); i++)
		gw_run_sync(gw_core_at(i), open_on, &rc);
	l = rc ? NULL : calloc(1, sizeof(*l));
	if (!l) {
		snprintf(err, err_size, "the RDMA connection manager cannot be used: %s",
			 strerror(rc ? -rc : ENOMEM));
		return rc ? rc : -ENOMEM;
	}
	l->tpgt = portal->tpgt;
	l->owner.event = listener_event;
	gw_timer_init(&l->retry, retry);
	l->core = gw_core_at(portal->port % gw_ncores());
	rc = open_listener(l, portal, err, err_size);
	if (rc) {
		free(l);
		return rc;
	}
	portal->priv = l;
	return 0;
}

void
iser_accept(struct gw_portal *portal)
{
	struct iser_listener *l = portal->priv;

	gw_run_sync(l->core, accept_on, l);
}

void
iser_unlisten(struct gw_portal *portal)
{
	struct iser_listener *l = portal->priv;

	if (!l)
		return;
	gw_run_sync(l->core, unlisten_on, l);
	free(l);
	portal->priv = NULL;
}
