/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SendTargets (RFC 7143 13.3, Appendix C) as a cursor over the model: each call fills one response and
 * remembers where to go on, by target id, so that the model may change in between.
 */
#ifndef ISCSI_DISCOVERY_H
#define ISCSI_DISCOVERY_H

#include "gateway/api/model.h"
#include "iscsi/text.h"

struct iscsi_discovery {
	bool active;
	bool all;		    /* every target from at_tid on; else the one of that name */
	bool named;		    /* the TargetName of at_tid is out, addresses follow */
	uint32_t at_tid, at_portal; /* where to go on */
	char one[GW_NAME_MAX + 1];
};

/* Who asks, and where and over what it came in. */
struct iscsi_discovery_env {
	const struct gw_model *model;
	const char *initiator;
	const struct sockaddr_storage *peer, *local;
	const struct gw_xport_ops *xport;
};

void iscsi_discovery_all(struct iscsi_discovery *d);
/* `name` as iscsi_name_copy() leaves it. */
void iscsi_discovery_one(struct iscsi_discovery *d, const char *name);

/*
 * Adds what fits: of each target that is ready and whose rules admit the initiator, TargetName and a
 * TargetAddress for each portal in service over the transport that the question came over: an
 * address does not say its transport, and initiators log in over the one they asked over. When all
 * is told, d->active becomes false. At most some thousand targets are looked at in one call.
 */
void iscsi_discovery_fill(struct iscsi_discovery *d, const struct iscsi_discovery_env *env,
			  struct iscsi_text_out *out);

#endif
