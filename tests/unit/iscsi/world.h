/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A small configuration for the tests of login and text requests, built by hand, with stand-ins for
 * the model's two look-ups: a target admits whom its first rule names, or all.
 */
#ifndef TESTS_UNIT_ISCSI_WORLD_H
#define TESTS_UNIT_ISCSI_WORLD_H

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/api/model.h"

struct world {
	struct gw_model model;
	struct gw_target target, *targets[1];
	struct gw_acl acl;
	struct gw_portal portal, *portals[1];
	struct gw_account user, second, out;
	const struct gw_account *in[2];
	struct sockaddr_storage peer, local;
};

static inline void
world_addr(struct sockaddr_storage *ss, const char *text)
{
	struct sockaddr_in *in = (void *)ss;
	struct sockaddr_in6 *in6 = (void *)ss;

	memset(ss, 0, sizeof(*ss));
	if (inet_pton(AF_INET, text, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
	} else {
		inet_pton(AF_INET6, text, &in6->sin6_addr);
		in6->sin6_family = AF_INET6;
	}
}

static inline void
world_account(struct gw_account *a, const char *name, const char *secret)
{
	snprintf(a->name, sizeof(a->name), "%s", name);
	snprintf(a->secret, sizeof(a->secret), "%s", secret);
}

static inline void
world_init(struct world *w)
{
	memset(w, 0, sizeof(*w));
	world_account(&w->user, "user", "secret-of-user");
	world_account(&w->second, "second", "secret-of-second");
	world_account(&w->out, "target", "secret-of-target");
	w->in[0] = &w->user;
	w->in[1] = &w->second;
	w->target = (struct gw_target){
	    .tid = 1,
	    .ready = true,
	    .iqn = "iqn.2026-01.org.example:disk",
	    .params = {.max_recv_dsl = 262144,
		       .max_xmit_dsl = 131072,
		       .first_burst = 65536,
		       .max_burst = 262144,
		       .max_outstanding_r2t = 4,
		       .default_time2wait = 2,
		       .default_time2retain = 20,
		       .immediate_data = true,
		       .header_digest = 3,
		       .data_digest = 3},
	    .nacl = 1,
	    .acl = &w->acl,
	    .in = w->in,
	};
	w->acl.kind = GW_ACL_ALL;
	w->portal = (struct gw_portal){.host = "::", .port = 3260, .tpgt = 1, .priv = w};
	w->portals[0] = &w->portal;
	w->targets[0] = &w->target;
	w->model = (struct gw_model){.ready = true,
				     .ntarget = 1,
				     .nportal = 1,
				     .target = w->targets,
				     .portal = w->portals,
				     .disc_in = w->in,
				     .chap_mask = 0x1e0};
	world_addr(&w->peer, "192.0.2.5");
	world_addr(&w->local, "192.0.2.1");
}

const struct gw_target *
gw_target_by_name(const struct gw_model *m, const char *iqn)
{
	for (uint32_t i = 0; i < m->ntarget; i++) {
		if (strcmp(m->target[i]->iqn, iqn) == 0)
			return m->target[i];
	}
	return NULL;
}

bool
gw_acl_admits(const struct gw_target *t, const char *initiator, const struct sockaddr *peer)
{
	if (t->nacl == 0)
		return false;
	return t->acl[0].kind == GW_ACL_ALL || strcmp(t->acl[0].name, initiator) == 0;
}

#endif
