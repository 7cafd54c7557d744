/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Text requests in Full Feature Phase (RFC 7143 11.10, 11.11): SendTargets over as many PDUs as it
 * takes, and the few keys that may change (MaxRecvDataSegmentLength). Bytes in, bytes out, as login.h.
 */
#ifndef ISCSI_TEXT_OP_H
#define ISCSI_TEXT_OP_H

#include "iscsi/discovery.h"
#include "iscsi/login.h"

#define ISCSI_TEXT_IN_MAX 8192 /* bytes of keys in one exchange, C-bit pieces included */

/* One exchange; a few hundred bytes in the session, the buffer only while one goes on. */
struct iscsi_text {
	/* Private. */
	char *in;	   /* C-bit pieces so far; NULL when none */
	uint32_t in_len;
	uint32_t itt, ttt; /* of the exchange under way; ttt ISCSI_RESERVED_TAG: none */
	uint32_t next_ttt;
	struct iscsi_discovery sending;
};

struct iscsi_text_env {
	const struct gw_model *model;
	const char *initiator;
	const char *target_name; /* of this session; NULL in a discovery session */
	struct sockaddr_storage peer, local;
	const struct gw_xport_ops *xport;
	struct iscsi_params *params; /* MaxRecvDataSegmentLength may change */
};

void iscsi_text_init(struct iscsi_text *t);
void iscsi_text_fini(struct iscsi_text *t);

/*
 * One Text Request. On true, bhs_out (F, C, TTT, ITT, LUN and DataSegmentLength set; sequence numbers
 * are the caller's) and *out_len <= out_max bytes of out are the response. On false, *reject says why,
 * and the exchange is forgotten. out_max: at least 512, at most the initiator's
 * MaxRecvDataSegmentLength; ISCSI_LOGIN_DSL (8192) bytes are a good size.
 */
bool iscsi_text_rx(struct iscsi_text *t, const struct iscsi_text_env *env,
		   const uint8_t bhs[ISCSI_BHS_LEN], const uint8_t *data, uint32_t len,
		   uint8_t bhs_out[ISCSI_BHS_LEN], char *out, uint32_t out_max, uint32_t *out_len,
		   enum iscsi_reject *reject);

#endif
