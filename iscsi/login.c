/* SPDX-License-Identifier: BSD-3-Clause */
#include "iscsi/login.h"

#include <openssl/crypto.h>
#include <string.h>

#include "gateway/base/bytes.h"
#include "gateway/base/num.h"
#include "iscsi/login_priv.h"

void
iscsi_login_init(struct iscsi_login *l, const struct iscsi_login_env *env)
{
	/* The two text buffers need no clearing. */
	memset(l, 0, offsetof(struct iscsi_login, in));
	l->env = *env;
	iscsi_params_default(&l->params);
}

void
iscsi_login_fini(struct iscsi_login *l)
{
	OPENSSL_cleanse(l, sizeof(*l));
}

/* The fields that all responses share; 11.13. */
static void
respond(struct iscsi_login *l, uint8_t flags, enum iscsi_login_status status, uint16_t tsih,
	uint32_t max_cmd_sn)
{
	uint8_t *b = l->bhs;

	memset(b, 0, sizeof(l->bhs));
	b[ISCSI_AT_OPCODE] = ISCSI_OP_LOGIN_RSP;
	b[ISCSI_AT_FLAGS] = flags;
	gw_put_be24(b + ISCSI_AT_DSL, l->data_len);
	memcpy(b + ISCSI_AT_ISID, l->isid, sizeof(l->isid));
	gw_put_be16(b + ISCSI_AT_TSIH, tsih);
	gw_put_be32(b + ISCSI_AT_ITT, l->itt);
	gw_put_be32(b + ISCSI_AT_STATSN, l->stat_sn);
	gw_put_be32(b + ISCSI_AT_EXPCMDSN, l->cmd_sn);
	gw_put_be32(b + ISCSI_AT_MAXCMDSN, max_cmd_sn);
	gw_put_be16(b + ISCSI_AT_LOGIN_STATUS, (uint16_t)status);
	l->stat_sn++;
}

static enum iscsi_login_next
refuse(struct iscsi_login *l, enum iscsi_login_status status)
{
	l->over = true;
	l->data = NULL;
	l->data_len = 0;
	respond(l, (uint8_t)(l->stage << 2), status, l->tsih, l->cmd_sn);
	return ISCSI_LOGIN_REFUSE;
}

static enum iscsi_login_next
drop(struct iscsi_login *l, const char *why)
{
	snprintf(l->why, sizeof(l->why), "%s", why);
	l->over = true;
	return ISCSI_LOGIN_DROP;
}

/* The first request sets what the later ones must repeat: 11.12.5 to 11.12.7, 11.2.1.8. */
static void
begin(struct iscsi_login *l, const uint8_t *bhs)
{
	l->started = true;
	memcpy(l->isid, bhs + ISCSI_AT_ISID, sizeof(l->isid));
	l->tsih = gw_be16(bhs + ISCSI_AT_TSIH);
	l->cid = gw_be16(bhs + ISCSI_AT_CID);
	l->itt = gw_be32(bhs + ISCSI_AT_ITT);
	l->cmd_sn = gw_be32(bhs + ISCSI_AT_CMDSN);
	/* Any start will do (11.13.4); the number that the initiator expects pleases everyone. */
	l->stat_sn = gw_be32(bhs + ISCSI_AT_EXPSTATSN);
	l->stage = (bhs[ISCSI_AT_FLAGS] & ISCSI_LOGIN_CSG) >> 2;
}

static enum iscsi_login_status
check_header(struct iscsi_login *l, const uint8_t *bhs, uint32_t len)
{
	uint8_t flags = bhs[ISCSI_AT_FLAGS];
	uint8_t csg = (flags & ISCSI_LOGIN_CSG) >> 2, nsg = flags & ISCSI_LOGIN_NSG;

	if (!l->started)
		begin(l, bhs);
	if (bhs[ISCSI_AT_VERMIN] > 0) /* 11.12.4: we speak version 0 */
		return LOGIN_FAIL(l, ISCSI_LOGIN_BAD_VERSION, "version %u at least is asked for",
				  bhs[ISCSI_AT_VERMIN]);
	if (len > ISCSI_LOGIN_DSL)
		return LOGIN_FAIL(l, ISCSI_LOGIN_INITIATOR_ERROR,
				  "a login request with %u bytes of data", len);
	if (memcmp(l->isid, bhs + ISCSI_AT_ISID, sizeof(l->isid)) != 0 ||
	    l->tsih != gw_be16(bhs + ISCSI_AT_TSIH) || l->cid != gw_be16(bhs + ISCSI_AT_CID) ||
	    l->itt != gw_be32(bhs + ISCSI_AT_ITT))
		return LOGIN_FAIL(l, ISCSI_LOGIN_INITIATOR_ERROR,
				  "ISID, TSIH, CID or task tag changed within a login");
	if (csg != l->stage || csg > ISCSI_STAGE_OPERATIONAL) /* 11.12.3 */
		return LOGIN_FAIL(l, ISCSI_LOGIN_INITIATOR_ERROR,
				  "the request is of stage %u, the login of stage %u", csg,
				  l->stage);
	if (flags & ISCSI_LOGIN_T && flags & ISCSI_TEXT_C) /* 11.12.2 */
		return LOGIN_FAIL(l, ISCSI_LOGIN_INITIATOR_ERROR, "T and C bits in one request");
	if (flags & ISCSI_LOGIN_T && (nsg <= csg || nsg == 2))
		return LOGIN_FAIL(l, ISCSI_LOGIN_INITIATOR_ERROR,
				  "transition from stage %u to stage %u", csg, nsg);
	return ISCSI_LOGIN_OK;
}

/* What we tell without being asked, 13.9, 13.6, 13.12. */
static void
tell(struct iscsi_login *l, bool first, struct iscsi_text_out *out)
{
	if (first && l->target) {
		iscsi_text_add_u32(out, "TargetPortalGroupTag", l->env.tpgt);
		if (l->target->alias[0])
			iscsi_text_add(out, "TargetAlias", l->target->alias);
	}
	if (l->stage == ISCSI_STAGE_OPERATIONAL)
		iscsi_nego_declare(&l->nego, &l->params, out);
}

/* All keys of a negotiation step are in: works out the answer. */
static enum iscsi_login_status
step(struct iscsi_login *l, bool transit)
{
	enum iscsi_login_status status = ISCSI_LOGIN_OK;
	bool first = !l->identified;
	struct iscsi_keyset set;
	struct iscsi_text_out out;

	iscsi_text_out_init(&out, l->out, sizeof(l->out));
	l->offered = false;
	if (!iscsi_keys_read(l->in, l->in_len, l->stage, &l->seen, &set, &out, l->why,
			     sizeof(l->why)))
		return ISCSI_LOGIN_INITIATOR_ERROR;
	for (unsigned k = ISCSI_KEY_TARGET_ALIAS; k <= ISCSI_KEY_TPGT; k++) {
		/* Only as a comment on what we told it. */
		if (set.value[k] && !iscsi_text_is_reply(set.value[k]))
			return LOGIN_FAIL(l, ISCSI_LOGIN_INITIATOR_ERROR,
					  "key %s is not the initiator's to send",
					  iscsi_keys[k].name);
	}
	if (first)
		status = iscsi_login_identify(l, &set);
	if (status == ISCSI_LOGIN_OK)
		status = iscsi_login_admit(l);
	if (status != ISCSI_LOGIN_OK)
		return status;
	if (first)
		iscsi_nego_init(&l->nego, l->target ? &l->target->params : NULL,
				l->env.max_recv_dsl, l->env.iser, l->tsih == 0, &l->params);
	l->identified = true;
	if (l->stage == ISCSI_STAGE_SECURITY) {
		status = iscsi_login_security(l, &set, &out);
	} else {
		if (!iscsi_nego_step(&l->nego, &set, l->seen, &l->params, &out, l->why,
				     sizeof(l->why)))
			status = ISCSI_LOGIN_INITIATOR_ERROR;
		else if (transit)
			l->offered = iscsi_nego_offer(&l->nego, l->seen, &out);
	}
	if (status != ISCSI_LOGIN_OK)
		return status;
	tell(l, first, &out);
	if (out.full)
		return LOGIN_FAIL(l, ISCSI_LOGIN_INITIATOR_ERROR, "the answers do not fit");
	l->out_len = out.len;
	l->out_sent = 0;
	l->in_len = 0;
	l->answering = true;
	return ISCSI_LOGIN_OK;
}

/* May the stage end with the answer that is going out? *status says why the login ends instead. */
static bool
may_transit(struct iscsi_login *l, enum iscsi_login_status *status)
{
	*status = ISCSI_LOGIN_OK;
	if (l->offered)
		return false;
	if (l->stage == ISCSI_STAGE_OPERATIONAL)
		return true;
	if (iscsi_login_authentic(l))
		return true;
	/*
	 * Some initiators (iPXE) ask for the transition with every CHAP request; they are told to
	 * wait (6.3.2). One that does not want to authenticate itself at all is not.
	 */
	if (!l->chap_asked)
		*status = LOGIN_FAIL(l, ISCSI_LOGIN_AUTH_FAILED,
				     "CHAP is required for %s, and %s does not offer it",
				     l->target ? l->target->iqn : "discovery", l->initiator);
	return false;
}

/* The next piece of the answer, and the transition with its last. */
static enum iscsi_login_next
send_piece(struct iscsi_login *l, uint8_t req_flags)
{
	uint8_t flags = (uint8_t)(l->stage << 2), nsg = req_flags & ISCSI_LOGIN_NSG;
	enum iscsi_login_status status;

	l->data = l->out + l->out_sent;
	l->data_len = GW_MIN(l->out_len - l->out_sent, (uint32_t)ISCSI_LOGIN_DSL);
	l->out_sent += l->data_len;
	l->answering = l->out_sent < l->out_len;
	if (l->answering) {
		flags |= ISCSI_TEXT_C;
	} else if (req_flags & ISCSI_LOGIN_T) {
		if (may_transit(l, &status))
			flags |= ISCSI_LOGIN_T | nsg;
		if (status != ISCSI_LOGIN_OK)
			return refuse(l, status);
	}
	if (!(flags & ISCSI_LOGIN_T)) {
		respond(l, flags, ISCSI_LOGIN_OK, l->tsih, l->cmd_sn);
		return ISCSI_LOGIN_MORE;
	}
	if (nsg != ISCSI_STAGE_FULL) {
		respond(l, flags, ISCSI_LOGIN_OK, l->tsih, l->cmd_sn);
		l->stage = nsg;
		return ISCSI_LOGIN_MORE;
	}
	if (!iscsi_nego_end(&l->nego, &l->params, l->why, sizeof(l->why)))
		return refuse(l, ISCSI_LOGIN_INITIATOR_ERROR);
	l->over = true;
	return ISCSI_LOGIN_GRANT;
}

enum iscsi_login_next
iscsi_login_rx(struct iscsi_login *l, const uint8_t bhs[ISCSI_BHS_LEN], const uint8_t *data,
	       uint32_t len)
{
	uint8_t flags = bhs[ISCSI_AT_FLAGS];
	enum iscsi_login_status status;

	if (l->over)
		return drop(l, "a PDU came after the end of the login");
	if ((bhs[ISCSI_AT_OPCODE] & ISCSI_OP_MASK) != ISCSI_OP_LOGIN_REQ) { /* 6.3 */
		if (!l->started)
			return drop(l, "the first PDU is not a login request");
		return refuse(l, LOGIN_FAIL(l, ISCSI_LOGIN_INVALID_REQUEST,
					    "a PDU with opcode 0x%02x came during login",
					    bhs[ISCSI_AT_OPCODE] & ISCSI_OP_MASK));
	}
	status = check_header(l, bhs, len);
	if (status == ISCSI_LOGIN_OK && ++l->pdus > ISCSI_LOGIN_PDU_MAX)
		status = LOGIN_FAIL(l, ISCSI_LOGIN_INITIATOR_ERROR,
				    "more than %u requests in one login", ISCSI_LOGIN_PDU_MAX);
	if (status != ISCSI_LOGIN_OK)
		return refuse(l, status);
	if (l->answering) { /* 11.13.7: an empty request fetches the next piece */
		if (len > 0 || flags & ISCSI_TEXT_C)
			return refuse(l, LOGIN_FAIL(l, ISCSI_LOGIN_INITIATOR_ERROR,
						    "keys came while our answer was not finished"));
		status = iscsi_login_admit(l);
		return status == ISCSI_LOGIN_OK ? send_piece(l, flags) : refuse(l, status);
	}
	if (len > ISCSI_LOGIN_TEXT_MAX - l->in_len)
		return refuse(l, LOGIN_FAIL(l, ISCSI_LOGIN_INITIATOR_ERROR,
					    "more than %u bytes of keys in one step",
					    ISCSI_LOGIN_TEXT_MAX));
	if (len > 0)
		memcpy(l->in + l->in_len, data, len);
	l->in_len += len;
	if (flags & ISCSI_TEXT_C) { /* 11.12.2: an empty response asks for the rest */
		l->data = NULL;
		l->data_len = 0;
		respond(l, (uint8_t)(l->stage << 2), ISCSI_LOGIN_OK, l->tsih, l->cmd_sn);
		return ISCSI_LOGIN_MORE;
	}
	status = step(l, flags & ISCSI_LOGIN_T);
	return status == ISCSI_LOGIN_OK ? send_piece(l, flags) : refuse(l, status);
}

static const char *
grant_failure(enum iscsi_login_status status)
{
	switch (status) {
	case ISCSI_LOGIN_FORBIDDEN:
		return "the access rules have changed meanwhile";
	case ISCSI_LOGIN_NOT_FOUND:
	case ISCSI_LOGIN_TARGET_REMOVED:
		return "the target has been removed meanwhile";
	case ISCSI_LOGIN_UNAVAILABLE:
		return "the target has gone offline meanwhile";
	case ISCSI_LOGIN_TOO_MANY_CONNS:
		return "a session has one connection here";
	case ISCSI_LOGIN_NO_SESSION:
		return "there is none of the TSIH asked for";
	case ISCSI_LOGIN_NO_RESOURCES:
		return "no memory, or too many sessions";
	default:
		return "internal error";
	}
}

enum iscsi_login_next
iscsi_login_granted(struct iscsi_login *l, enum iscsi_login_status status, uint16_t tsih,
		    uint32_t max_cmd_sn)
{
	if (status != ISCSI_LOGIN_OK)
		return refuse(l, LOGIN_FAIL(l, status, "no session could be made: %s",
					    grant_failure(status)));
	respond(l, (uint8_t)(ISCSI_LOGIN_T | l->stage << 2 | ISCSI_STAGE_FULL), ISCSI_LOGIN_OK,
		tsih, max_cmd_sn);
	return ISCSI_LOGIN_MORE;
}
