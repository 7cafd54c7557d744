/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The RDMA connection manager on each core: its events come to who owns the id that they are for. An
 * id's events come to the core that it was moved to.
 */
#ifndef ISER_CM_H
#define ISER_CM_H

#include <rdma/rdma_cma.h>

#include "gateway/core/core.h"
#include "gateway/core/engine.h"

struct iser_cm_event {
	enum rdma_cm_event_type type;
	int status;
	struct rdma_cm_id *id;
	struct rdma_conn_param param; /* without its private data */
	uint8_t private_data[64];     /* as much as we could have a use for */
	uint8_t private_len;
};

/* id->context of every id of ours; of one that asks to connect the kernel tells no more until it is accepted. */
struct iser_cm_owner {
	/* The event is acknowledged: the id may be destroyed. */
	void (*event)(struct iser_cm_owner *o, const struct iser_cm_event *e);
};

/* Reading from this descriptor of a library never waits; false: it cannot be had so. */
bool iser_never_waits(int fd);

/* What a core has of RDMA, whichever device. */
struct iser_core {
	struct gw_core *core;
	struct rdma_event_channel *channel;
	struct gw_op op;
	bool waiting, stopping;
	struct gw_list conns;    /* struct iser_conn */
	uint64_t mem;            /* bytes of I/O buffers that its connections have for messages */
	struct gw_list arrivals; /* requests to connect */
	struct gw_hook arrive;
};

/* Own core: begins to listen for events. 0 or -errno. Called again it does nothing. */
int iser_cm_open(struct gw_core *core);

/* NULL before iser_cm_open(). */
static inline struct iser_core *
iser_core_of(struct gw_core *core)
{
	return core->slot[GW_SLOT_ISER];
}

/* Own core, when no id is left: true when nothing is under way any more; then iser_cm_close(). */
bool iser_cm_stop(struct gw_core *core);
void iser_cm_close(struct gw_core *core);

#endif
