/* SPDX-License-Identifier: BSD-3-Clause */
#include "iser/cm.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/base/log.h"
#include "gateway/base/num.h"
#include "gateway/core/engine.h"

#define BUDGET 16 /* events of a turn */

bool
iser_never_waits(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0;
}

static void
wait_more(struct iser_core *k)
{
	k->waiting = true;
	gw_poll(k->core, &k->op, k->channel->fd, POLLIN);
}

/* Copied and acknowledged before anybody sees it: an id with an event that is not, cannot go. */
static bool
take(struct iser_core *k)
{
	struct rdma_cm_event *ev;
	struct iser_cm_event e;
	struct iser_cm_owner *o;

	if (rdma_get_cm_event(k->channel, &ev))
		return false;
	e = (struct iser_cm_event){
	    .type = ev->event, .status = ev->status, .id = ev->id, .param = ev->param.conn};
	e.private_len = 0;
	if (ev->param.conn.private_data) {
		e.private_len = (uint8_t)GW_MIN((size_t)ev->param.conn.private_data_len,
						sizeof(e.private_data));
		memcpy(e.private_data, ev->param.conn.private_data, e.private_len);
	}
	e.param.private_data = NULL;
	o = ev->id->context;
	rdma_ack_cm_event(ev);
	gw_debug("connection manager: event=%s status=%d", rdma_event_str(e.type), e.status);
	if (o)
		o->event(o, &e);
	return true;
}

static void
ready(struct gw_op *op, int res)
{
	struct iser_core *k = gw_container(op, struct iser_core, op);
	unsigned budget = BUDGET;

	(void)res;
	k->waiting = false;
	if (k->stopping)
		return;
	while (budget > 0 && take(k))
		budget--;
	wait_more(k);
}

int
iser_cm_open(struct gw_core *core)
{
	struct iser_core *k = iser_core_of(core);

	if (k)
		return 0;
	k = calloc(1, sizeof(*k));
	if (!k)
		return -ENOMEM;
	k->core = core;
	k->op.done = ready;
	gw_list_init(&k->conns);
	gw_list_init(&k->arrivals);
	k->channel = rdma_create_event_channel();
	if (!k->channel) {
		free(k);
		return errno ? -errno : -ENODEV;
	}
	(void)iser_never_waits(k->channel->fd);
	core->slot[GW_SLOT_ISER] = k;
	wait_more(k);
	return 0;
}

bool
iser_cm_stop(struct gw_core *core)
{
	struct iser_core *k = iser_core_of(core);

	if (!k)
		return true;
	k->stopping = true;
	if (k->waiting)
		gw_cancel(core, &k->op);
	return !k->waiting;
}

void
iser_cm_close(struct gw_core *core)
{
	struct iser_core *k = iser_core_of(core);

	if (!k)
		return;
	gw_forget_fd(core, k->channel->fd);
	rdma_destroy_event_channel(k->channel);
	core->slot[GW_SLOT_ISER] = NULL;
	free(k);
}
