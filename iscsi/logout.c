/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Logout (RFC 7143 11.14, 11.15). The session ends with its only connection: commands under way are
 * ended first, then the response goes out, then the transport is closed.
 */
#include <string.h>

#include "iscsi/conn.h"
#include "iscsi/session.h"

enum {
	CLOSE_SESSION,
	CLOSE_CONNECTION,
	REMOVE_FOR_RECOVERY
}; /* 11.14.1 */
enum {
	DONE,
	NO_CID,
	NO_RECOVERY
}; /* 11.15.1 */

#define REASON_MASK 0x7f
#define AT_CID      20
#define AT_WAIT     40
#define AT_RETAIN   42

static uint8_t
verdict(const struct iscsi_conn *c, const uint8_t *bhs)
{
	uint8_t reason = bhs[ISCSI_AT_FLAGS] & REASON_MASK;

	if (reason == CLOSE_SESSION)
		return DONE;
	if (reason != CLOSE_CONNECTION)
		return NO_RECOVERY;
	return gw_be16(bhs + AT_CID) == c->sess->cid ? DONE : NO_CID;
}

void
iscsi_logout_go(struct iscsi_conn *c)
{
	struct iscsi_ctl *ctl = c->logout;

	c->logout = NULL;
	if (ctl)
		iscsi_ctl_send(ctl);
}

static enum iscsi_rx
log_out(struct iscsi_conn *c, struct iscsi_ctl *ctl)
{
	struct iscsi_session *s = c->sess;

	ctl->close = ctl->logout = true;
	c->logout = ctl;
	if (!iscsi_conn_event(c, ISCSI_EV_LOGOUT))
		return ISCSI_RX_DEAD;
	c->rx.stop |= ISCSI_STOP_CLOSE;
	iscsi_tasks_drop(c);
	if (s->open) {
		s->closing = true;
		scsi_nexus_close(&s->nexus);
	} else {
		iscsi_logout_go(c);
	}
	return ISCSI_RX_OK;
}

enum iscsi_rx
iscsi_logout_end(struct iscsi_conn *c)
{
	const uint8_t *bhs = c->rx.head;
	struct iscsi_ctl *ctl;
	enum iscsi_rx v = iscsi_ffp_cmdsn(c);

	if (v != ISCSI_RX_OK || c->rx.ignore)
		return v;
	ctl = iscsi_ctl_get(c, ISCSI_OP_LOGOUT_RSP);
	if (!ctl)
		return iscsi_conn_die(c, "no memory for a Logout Response");
	memcpy(ctl->bhs + ISCSI_AT_ITT, bhs + ISCSI_AT_ITT, 4);
	ctl->bhs[ISCSI_AT_RSP] = verdict(c, bhs);
	ctl->status = true;
	gw_put_be16(ctl->bhs + AT_WAIT, (uint16_t)c->params.time2wait);
	/* At ERL 0 nothing is retained. */
	gw_put_be16(ctl->bhs + AT_RETAIN, 0);
	if (ctl->bhs[ISCSI_AT_RSP] == DONE)
		return log_out(c, ctl);
	iscsi_ctl_send(ctl);
	return ISCSI_RX_OK;
}
