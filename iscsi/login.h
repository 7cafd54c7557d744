/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The login phase as an engine of bytes in, bytes out (RFC 7143 6, 9.2, 12, 13): one Login Request PDU
 * goes in, at most one Login Response comes out. It knows no sockets and no verbs; TCP, iSER, unit
 * tests and the fuzzer drive it alike. It decides stages, keys, CHAP, access; it does not create the
 * session: that may have to wait for an older one to end (reinstatement), so the caller does it
 * between ISCSI_LOGIN_GRANT and iscsi_login_granted().
 *
 * Memory: sizeof(struct iscsi_login), about 35 KiB, while a login lasts, whatever the peer sends; the
 * caller takes it from a pool of its core. The core's thread only. Nothing blocks.
 */
#ifndef ISCSI_LOGIN_H
#define ISCSI_LOGIN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "gateway/api/model.h"
#include "iscsi/chap.h"
#include "iscsi/nego.h"
#include "iscsi/params.h"
#include "iscsi/proto.h"

enum iscsi_login_next {
	ISCSI_LOGIN_MORE,   /* send the response, read on */
	ISCSI_LOGIN_GRANT,  /* all agreed: make the session, then call iscsi_login_granted() */
	ISCSI_LOGIN_REFUSE, /* send the response, then close; login->why says why */
	ISCSI_LOGIN_DROP,   /* close without a word: not a login, or nonsense after a refusal */
};

/* What the engine reads of its surroundings; constant during a login but for model. */
struct iscsi_login_env {
	const struct gw_model *model; /* the core's current one, set anew before each call */
	struct sockaddr_storage peer, local;
	uint16_t tpgt; /* of the portal */
	bool iser;
	uint32_t max_recv_dsl; /* the MaxRecvDataSegmentLength that we declare at most */
};

#define ISCSI_LOGIN_TEXT_MAX 16384 /* bytes of keys in one negotiation step, C-bit pieces included */
#define ISCSI_LOGIN_PDU_MAX  64	   /* requests in one login */

struct iscsi_login {
	struct iscsi_login_env env;

	/* The response, valid after iscsi_login_rx() and iscsi_login_granted(). */
	uint8_t bhs[ISCSI_BHS_LEN];
	const char *data;
	uint32_t data_len;

	/* The outcome, valid with GRANT. */
	bool discovery;
	char initiator[GW_NAME_MAX + 1];
	char alias[GW_SECRET_MAX + 1];
	char target_name[GW_NAME_MAX + 1];
	const struct gw_target *target; /* of env.model at the time of the last call; NULL: discovery */
	uint8_t isid[6];
	uint16_t tsih, cid;		/* tsih as asked: 0 for a new session */
	uint32_t cmd_sn;		/* CmdSN of the first command to come */
	uint32_t stat_sn;		/* StatSN of our next response */
	struct iscsi_params params;

	/* REFUSE and DROP: one sentence for the log, which names the rule. */
	char why[1024];

	/* Private. */
	struct iscsi_chap chap;
	struct iscsi_nego nego;
	uint64_t seen; /* bit n: key n was negotiated */
	uint32_t in_len, out_len, out_sent;
	uint8_t stage;
	uint8_t pdus;
	bool started;	 /* the first request has come */
	bool identified; /* its keys were accepted */
	bool chap_asked; /* AuthMethod=CHAP was agreed */
	bool answering;	 /* out holds an answer that is not sent out whole */
	bool offered;	 /* with an offer of ours, so that the stage does not end with it */
	bool over;	 /* refused or granted */
	uint32_t itt;
	char in[ISCSI_LOGIN_TEXT_MAX + 1];
	char out[ISCSI_LOGIN_TEXT_MAX];
};

void iscsi_login_init(struct iscsi_login *l, const struct iscsi_login_env *env);
/* Wipes what the peer sent and what was computed of secrets. */
void iscsi_login_fini(struct iscsi_login *l);

/*
 * One PDU: its header and data segment of len <= ISCSI_LOGIN_DSL bytes (longer ones are refused; the
 * caller does not receive them). Any opcode may be given: one that is not a Login Request gets
 * ISCSI_LOGIN_REFUSE or DROP. ExpCmdSN and MaxCmdSN of the response are filled with cmd_sn.
 */
enum iscsi_login_next iscsi_login_rx(struct iscsi_login *l, const uint8_t bhs[ISCSI_BHS_LEN],
				     const uint8_t *data, uint32_t len);

/*
 * After GRANT: the session exists (status ISCSI_LOGIN_OK) with that TSIH, or could not be made. Fills
 * the last response. MORE means: send it and go to Full Feature Phase. If the wait was long the caller
 * looks l->target_name up again: l->target belongs to the model of the last call.
 */
enum iscsi_login_next iscsi_login_granted(struct iscsi_login *l, enum iscsi_login_status status,
					  uint16_t tsih, uint32_t max_cmd_sn);

#endif
