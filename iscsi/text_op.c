/* SPDX-License-Identifier: BSD-3-Clause */
#include "iscsi/text_op.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "gateway/base/bytes.h"
#include "iscsi/name.h"

void
iscsi_text_init(struct iscsi_text *t)
{
	memset(t, 0, sizeof(*t));
	t->ttt = ISCSI_RESERVED_TAG;
}

static void
drop_input(struct iscsi_text *t)
{
	free(t->in);
	t->in = NULL;
	t->in_len = 0;
}

void
iscsi_text_fini(struct iscsi_text *t)
{
	drop_input(t);
}

static void
reset(struct iscsi_text *t)
{
	drop_input(t);
	t->ttt = ISCSI_RESERVED_TAG;
	t->sending.active = false;
}

static void
respond(struct iscsi_text *t, uint8_t flags, uint32_t len, uint8_t *bhs)
{
	memset(bhs, 0, ISCSI_BHS_LEN);
	bhs[ISCSI_AT_OPCODE] = ISCSI_OP_TEXT_RSP;
	bhs[ISCSI_AT_FLAGS] = flags;
	gw_put_be24(bhs + ISCSI_AT_DSL, len);
	gw_put_be32(bhs + ISCSI_AT_ITT, t->itt);
	/* A tag says that we expect more of this exchange, 11.11.4. */
	if (flags & ISCSI_FLAG_F)
		t->ttt = ISCSI_RESERVED_TAG;
	else if (t->ttt == ISCSI_RESERVED_TAG)
		t->ttt = t->next_ttt++ & 0x7fffffff;
	gw_put_be32(bhs + ISCSI_AT_TTT, t->ttt);
}

/*
 * SendTargets, Appendix C. In a normal session only the session's own target may be asked for;
 * "All" then means just that, as some initiators (libiscsi) use it there.
 */
static void
send_targets(struct iscsi_text *t, const struct iscsi_text_env *env, const char *value,
	     struct iscsi_text_out *out)
{
	bool all = strcmp(value, "All") == 0;
	char name[GW_NAME_MAX + 1];

	if (env->target_name) {
		if (all || !*value ||
		    (iscsi_name_copy(name, value) && strcasecmp(name, env->target_name) == 0))
			iscsi_discovery_one(&t->sending, env->target_name);
	} else if (all) {
		iscsi_discovery_all(&t->sending);
	} else if (iscsi_name_copy(name, value) && iscsi_name_typed(name)) {
		iscsi_discovery_one(&t->sending, name);
	}
	if (!t->sending.active)
		iscsi_text_add(out, "SendTargets", "Reject");
}

/* The target's own limit of what we send; the transport has its own. */
static uint32_t
xmit_limit(const struct iscsi_text_env *env)
{
	const struct gw_target *t =
	    env->target_name ? gw_target_by_name(env->model, env->target_name) : NULL;

	return t && t->params.max_xmit_dsl >= 512 ? t->params.max_xmit_dsl : ISCSI_DSL_MAX;
}

/* All keys of a request are in. */
static bool
work(struct iscsi_text *t, const struct iscsi_text_env *env, struct iscsi_text_out *out)
{
	struct iscsi_keyset set;
	const char *value;
	uint64_t seen = 0;
	char why[160];
	bool ok;

	ok =
	    iscsi_keys_read(t->in, t->in_len, ISCSI_STAGE_FULL, &seen, &set, out, why, sizeof(why));
	if (ok) {
		value = set.value[ISCSI_KEY_MAX_RECV_DSL];
		/* RFC 7145 6.2: over RDMA another key has the say, and that one is for logins. */
		if (value && env->params->rdma_extensions)
			iscsi_text_add(out, "MaxRecvDataSegmentLength", "Irrelevant");
		else if (value && !iscsi_text_is_reply(value) &&
			 !iscsi_nego_max_xmit(value, xmit_limit(env), env->params))
			iscsi_text_add(out, "MaxRecvDataSegmentLength", "Reject");
		value = set.value[ISCSI_KEY_SEND_TARGETS];
		if (value)
			send_targets(t, env, value, out);
	}
	drop_input(t);
	return ok && !out->full;
}

/* Adds a piece of input; false: *reject. */
static bool
collect(struct iscsi_text *t, const uint8_t *data, uint32_t len, enum iscsi_reject *reject)
{
	if (len > ISCSI_TEXT_IN_MAX - t->in_len) {
		*reject = ISCSI_REJECT_PROTOCOL;
		return false;
	}
	if (!t->in)
		t->in = malloc(ISCSI_TEXT_IN_MAX + 1);
	if (!t->in) {
		*reject = ISCSI_REJECT_LONG_OP; /* out of resources, 11.17.1 */
		return false;
	}
	if (len > 0)
		memcpy(t->in + t->in_len, data, len);
	t->in_len += len;
	return true;
}

/* Header rules of 11.10; starts a new exchange or goes on with the present one. */
static bool
check_header(struct iscsi_text *t, const uint8_t *bhs, uint32_t len)
{
	uint32_t itt = gw_be32(bhs + ISCSI_AT_ITT), ttt = gw_be32(bhs + ISCSI_AT_TTT);
	uint8_t flags = bhs[ISCSI_AT_FLAGS];

	if (flags & ISCSI_FLAG_F && flags & ISCSI_TEXT_C) /* 11.10.2 */
		return false;
	if (ttt == ISCSI_RESERVED_TAG) { /* 11.10.4: starts, or starts again */
		reset(t);
		t->itt = itt;
		return true;
	}
	if (ttt != t->ttt || itt != t->itt)
		return false;
	/* While an answer is going out, empty requests fetch it: 11.11.2. */
	return !t->sending.active || (len == 0 && !(flags & ISCSI_TEXT_C));
}

static bool
exchange(struct iscsi_text *t, const struct iscsi_text_env *env, const uint8_t *bhs,
	 const uint8_t *data, uint32_t len, uint8_t *bhs_out, struct iscsi_text_out *out,
	 enum iscsi_reject *reject)
{
	const struct iscsi_discovery_env walk = {
	    .model = env->model,
	    .initiator = env->initiator,
	    .peer = &env->peer,
	    .local = &env->local,
	    .xport = env->xport,
	};
	uint8_t flags = bhs[ISCSI_AT_FLAGS] & ISCSI_FLAG_F;

	*reject = ISCSI_REJECT_PROTOCOL;
	if (!check_header(t, bhs, len))
		return false;
	if (!t->sending.active) {
		if (!collect(t, data, len, reject))
			return false;
		if (bhs[ISCSI_AT_FLAGS] & ISCSI_TEXT_C) {
			respond(t, 0, 0, bhs_out);
			return true;
		}
		if (!work(t, env, out))
			return false;
	}
	if (t->sending.active)
		iscsi_discovery_fill(&t->sending, &walk, out);
	if (t->sending.active)
		flags = ISCSI_TEXT_C;
	respond(t, flags, out->len, bhs_out);
	return true;
}

bool
iscsi_text_rx(struct iscsi_text *t, const struct iscsi_text_env *env,
	      const uint8_t bhs[ISCSI_BHS_LEN], const uint8_t *data, uint32_t len,
	      uint8_t bhs_out[ISCSI_BHS_LEN], char *out, uint32_t out_max, uint32_t *out_len,
	      enum iscsi_reject *reject)
{
	struct iscsi_text_out text;

	iscsi_text_out_init(&text, out, out_max);
	if (!exchange(t, env, bhs, data, len, bhs_out, &text, reject)) {
		reset(t);
		return false;
	}
	*out_len = text.len;
	return true;
}
