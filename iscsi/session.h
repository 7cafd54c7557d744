/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sessions, and the registry that knows all of them (RFC 7143 6.3): one per (initiator name, ISID,
 * target, portal group). The registry lives on core 0 and is spoken to by messages; a session's
 * home is its connection's core. Discovery sessions do not enter it.
 *
 * A claim is answered when the session may live: a session with the same name that lived before has
 * been told to end, and has ended.
 */
#ifndef ISCSI_SESSION_H
#define ISCSI_SESSION_H

#include "iscsi/conn.h"
#include "iscsi/text_op.h"

struct iscsi_session_key {
	char initiator[GW_NAME_MAX + 1];
	uint8_t isid[6];
	uint16_t tpgt;
	uint32_t tid;
};

struct iscsi_session {
	struct gw_nexus nexus;
	struct iscsi_conn *conn; /* NULL once the connection has gone */
	struct gw_core *core;
	bool open; /* scsi_nexus_open() has been called, closed() has not come */
	bool closing;
	bool discovery;
	bool claiming; /* the registry has the session and has not answered yet */
	bool registered;
	struct iscsi_text text;
	uint32_t hash_mask;
	struct iscsi_task **hash; /* by ITT */
	struct iscsi_slot slot[ISCSI_SLOTS];
	uint32_t nslot;

	/* The registry's, while it has the session. */
	struct iscsi_session_key key;
	uint16_t asked_tsih, cid, tsih;
	uint16_t status;    /* enum iscsi_login_status */
	struct gw_msg msg;  /* claim, release and their answers */
	struct gw_msg kick; /* core 0 -> home: make way */
	bool kicked;
	struct gw_list waiting; /* claims that wait for this session's end */
	struct gw_list wait_node;
	struct iscsi_session *next; /* hash chain */
};

/* 0 or -ENOMEM; core 0's memory, before the cores start. */
int iscsi_registry_init(void);
void iscsi_registry_fini(void);
/* Sessions known, for tests. */
uint32_t iscsi_registry_count(void);
/* Sessions that have memory: also those that the registry does not know yet, or any more. Any thread. */
uint32_t iscsi_sessions_living(void);

/* Home core. A session for this connection's finished login; NULL without memory. */
struct iscsi_session *iscsi_session_new(struct iscsi_conn *c, const struct iscsi_login *l,
					uint32_t depth);
/* Asks for the right to live; ends in iscsi_login_claimed() on the connection, if it is still
 * there. */
void iscsi_session_claim(struct iscsi_session *s);
/* The connection has gone and the nexus is closed: leaves the registry, then frees the session. */
void iscsi_session_end(struct iscsi_session *s);

static inline struct iscsi_session *
iscsi_session_of(struct gw_nexus *n)
{
	return gw_container(n, struct iscsi_session, nexus);
}

/* Own core: what was negotiated; NULL if its connection has gone. */
const struct iscsi_params *iscsi_session_params(const struct gw_nexus *n);

#endif
