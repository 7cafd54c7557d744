/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "gateway/base/str.h"
#include "iscsi/login_priv.h"
#include "iscsi/name.h"

static const char *
value_of(const struct iscsi_keyset *set, enum iscsi_key k)
{
	return set->value[k];
}

static struct iscsi_chap_accounts
accounts_of(const struct iscsi_login *l)
{
	const struct gw_model *m = l->env.model;

	if (l->discovery)
		return (struct iscsi_chap_accounts){
		    .in = m->disc_in, .nin = m->ndisc_in, .out = m->disc_out, .mask = m->chap_mask};
	return (struct iscsi_chap_accounts){.in = l->target->in,
					    .nin = l->target->nin,
					    .out = l->target->out,
					    .mask = m->chap_mask};
}

bool
iscsi_login_authentic(const struct iscsi_login *l)
{
	return l->chap.state == ISCSI_CHAP_DONE || accounts_of(l).nin == 0;
}

/* SessionType, 13.21: Normal unless said otherwise, and said in the first request. */
static enum iscsi_login_status
session_type(struct iscsi_login *l, const char *type)
{
	if (!type || strcmp(type, "Normal") == 0)
		return ISCSI_LOGIN_OK;
	if (strcmp(type, "Discovery") != 0)
		return LOGIN_FAIL(l, ISCSI_LOGIN_BAD_SESSION_TYPE, "unknown SessionType %.40s",
				  type);
	l->discovery = true;
	return ISCSI_LOGIN_OK;
}

enum iscsi_login_status
iscsi_login_identify(struct iscsi_login *l, const struct iscsi_keyset *set)
{
	const char *initiator = value_of(set, ISCSI_KEY_INITIATOR_NAME);
	const char *target = value_of(set, ISCSI_KEY_TARGET_NAME);
	const char *alias = value_of(set, ISCSI_KEY_INITIATOR_ALIAS);
	enum iscsi_login_status status;

	status = session_type(l, value_of(set, ISCSI_KEY_SESSION_TYPE));
	if (status != ISCSI_LOGIN_OK)
		return status;
	if (!initiator)
		return LOGIN_FAIL(l, ISCSI_LOGIN_MISSING_PARAM,
				  "the first login request has no InitiatorName");
	if (!iscsi_name_copy(l->initiator, initiator) || !iscsi_name_typed(l->initiator))
		return LOGIN_FAIL(l, ISCSI_LOGIN_INITIATOR_ERROR,
				  "InitiatorName %.223s is not an iSCSI name (iqn., eui. or naa.)",
				  initiator);
	if (alias)
		gw_str_copy(l->alias, sizeof(l->alias), alias);
	if (!l->discovery && !target)
		return LOGIN_FAIL(l, ISCSI_LOGIN_MISSING_PARAM,
				  "%s asks for a normal session without TargetName", l->initiator);
	if (!l->discovery && !iscsi_name_copy(l->target_name, target))
		return LOGIN_FAIL(l, ISCSI_LOGIN_NOT_FOUND,
				  "TargetName %.223s is not an iSCSI name", target);
	return ISCSI_LOGIN_OK;
}

/* Security negotiation may have been left out, or accounts have come up after it. */
static enum iscsi_login_status
proven(struct iscsi_login *l, const char *whom)
{
	if (l->stage == ISCSI_STAGE_OPERATIONAL && !iscsi_login_authentic(l))
		return LOGIN_FAIL(l, ISCSI_LOGIN_AUTH_FAILED,
				  "CHAP is required for %s, and %s did not authenticate itself",
				  whom, l->initiator);
	return ISCSI_LOGIN_OK;
}

enum iscsi_login_status
iscsi_login_admit(struct iscsi_login *l)
{
	const struct gw_model *m = l->env.model;
	char from[INET6_ADDRSTRLEN];

	l->target = NULL;
	if (!m->ready)
		return LOGIN_FAIL(l, ISCSI_LOGIN_UNAVAILABLE, "the system is offline");
	if (l->discovery)
		return proven(l, "discovery");
	l->target = gw_target_by_name(m, l->target_name);
	if (!l->target)
		return LOGIN_FAIL(l, ISCSI_LOGIN_NOT_FOUND,
				  "%s asks for target %s, which is not here", l->initiator,
				  l->target_name);
	if (!gw_acl_admits(l->target, l->initiator, (const struct sockaddr *)&l->env.peer)) {
		iscsi_addr_text(&l->env.peer, from);
		return LOGIN_FAIL(l, ISCSI_LOGIN_FORBIDDEN,
				  "no access rule of target %s admits %s from %s", l->target->iqn,
				  l->initiator, from);
	}
	if (!l->target->ready)
		return LOGIN_FAIL(l, ISCSI_LOGIN_UNAVAILABLE, "target %s is offline",
				  l->target->iqn);
	return proven(l, l->target->iqn);
}

/* AuthMethod: CHAP where there are accounts, else None; each only if the initiator offers it. */
static enum iscsi_login_status
auth_method(struct iscsi_login *l, const char *offer, struct iscsi_text_out *out)
{
	bool chap = accounts_of(l).nin > 0;
	const char *want = chap ? "CHAP" : "None", *rest = offer, *item;
	const char *whom = l->discovery ? "discovery" : l->target->iqn;
	size_t n;

	while (iscsi_text_item(&rest, &item, &n)) {
		if (!iscsi_text_item_is(item, n, want))
			continue;
		iscsi_text_add(out, "AuthMethod", want);
		l->chap_asked = chap;
		return ISCSI_LOGIN_OK;
	}
	if (chap)
		return LOGIN_FAIL(l, ISCSI_LOGIN_AUTH_FAILED,
				  "CHAP is required for %s, and %s offers only %.60s", whom,
				  l->initiator, offer);
	return LOGIN_FAIL(l, ISCSI_LOGIN_AUTH_FAILED,
			  "%s insists on %.60s, and no account is set for %s", l->initiator, offer,
			  whom);
}

enum iscsi_login_status
iscsi_login_security(struct iscsi_login *l, const struct iscsi_keyset *set,
		     struct iscsi_text_out *out)
{
	struct iscsi_chap_accounts accounts = accounts_of(l);
	const char *offer = value_of(set, ISCSI_KEY_AUTH_METHOD);
	enum iscsi_login_status status;

	if (offer) {
		status = auth_method(l, offer, out);
		if (status != ISCSI_LOGIN_OK)
			return status;
	}
	if (!l->chap_asked) {
		for (unsigned k = ISCSI_KEY_CHAP_A; k <= ISCSI_KEY_CHAP_R; k++) {
			if (set->value[k])
				return LOGIN_FAIL(l, ISCSI_LOGIN_INITIATOR_ERROR,
						  "%s came without AuthMethod=CHAP",
						  iscsi_keys[k].name);
		}
		return ISCSI_LOGIN_OK;
	}
	return iscsi_chap_step(&l->chap, &accounts, set, out, l->why, sizeof(l->why));
}
