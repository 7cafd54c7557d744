/* SPDX-License-Identifier: BSD-3-Clause */
#include "iscsi/discovery.h"

#include <stdio.h>
#include <string.h>

#include "gateway/base/str.h"
#include "iscsi/name.h"

/* Targets looked at in one call: a long row of foreign ones must not hold up the core. */
#define LOOKS 2048

void
iscsi_discovery_all(struct iscsi_discovery *d)
{
	memset(d, 0, sizeof(*d));
	d->active = d->all = true;
}

void
iscsi_discovery_one(struct iscsi_discovery *d, const char *name)
{
	memset(d, 0, sizeof(*d));
	d->active = true;
	gw_str_copy(d->one, sizeof(d->one), name);
}

static bool
visible(const struct gw_target *t, const struct iscsi_discovery_env *env)
{
	return t->ready && gw_acl_admits(t, env->initiator, (const struct sockaddr *)env->peer);
}

/*
 * "addr:port,tag", 13.8. A portal that listens on all addresses is known to the initiator by the
 * one it connected to. False: nothing to tell of this portal.
 */
static bool
portal_address(const struct gw_portal *p, const struct iscsi_discovery_env *env, char *dst,
	       size_t size)
{
	char local[INET6_ADDRSTRLEN];
	const char *host = p->host;

	if (!p->priv || p->xport != env->xport) /* not in service, or not for this initiator */
		return false;
	if (p->advertise[0]) {
		snprintf(dst, size, "%s,%u", p->advertise, p->tpgt);
		return true;
	}
	if (strcmp(host, "::") == 0 || strcmp(host, "0.0.0.0") == 0) {
		int family = iscsi_addr_family(env->local);

		if (!family || (family == AF_INET6 && host[0] == '0'))
			return false;
		iscsi_addr_text(env->local, local);
		host = local;
	}
	snprintf(dst, size, strchr(host, ':') ? "[%s]:%u,%u" : "%s:%u,%u", host, p->port, p->tpgt);
	return true;
}

/* One target from the cursor on; false: the buffer is full. */
static bool
tell_target(struct iscsi_discovery *d, const struct gw_target *t,
	    const struct iscsi_discovery_env *env, struct iscsi_text_out *out)
{
	char addr[128];

	if (!d->named)
		iscsi_text_add(out, "TargetName", t->iqn);
	if (out->full)
		return false;
	d->named = true;
	for (; d->at_portal < env->model->nportal; d->at_portal++) {
		if (!portal_address(env->model->portal[d->at_portal], env, addr, sizeof(addr)))
			continue;
		iscsi_text_add(out, "TargetAddress", addr);
		if (out->full)
			return false;
	}
	return true;
}

/* Index of the first target with an id of at least tid. */
static uint32_t
lower_bound(const struct gw_model *m, uint32_t tid)
{
	uint32_t lo = 0, hi = m->ntarget;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (m->target[mid]->tid < tid)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static void
fill_all(struct iscsi_discovery *d, const struct iscsi_discovery_env *env,
	 struct iscsi_text_out *out)
{
	const struct gw_model *m = env->model;
	unsigned looks = 0;

	for (uint32_t i = lower_bound(m, d->at_tid); i < m->ntarget; i++) {
		const struct gw_target *t = m->target[i];

		if (t->tid != d->at_tid) {
			d->at_tid = t->tid;
			d->at_portal = 0;
			d->named = false;
		}
		if (looks++ == LOOKS)
			return;
		if (visible(t, env) && !tell_target(d, t, env, out))
			return;
	}
	d->active = false;
}

void
iscsi_discovery_fill(struct iscsi_discovery *d, const struct iscsi_discovery_env *env,
		     struct iscsi_text_out *out)
{
	const struct gw_target *t;

	if (d->all) {
		fill_all(d, env, out);
	} else {
		t = gw_target_by_name(env->model, d->one);
		d->active = t && visible(t, env) && !tell_target(d, t, env, out);
	}
	out->full = false; /* what did not fit, comes next time */
}
