/* SPDX-License-Identifier: BSD-3-Clause */
/* Asynchronous Message: asks the initiator to log out (RFC 7143 11.9, event 1). */
#include "iscsi/conn.h"

#define AT_EVENT  36
#define AT_PARAM3 42 /* seconds within which the logout is expected */

void
iscsi_async_logout(struct iscsi_conn *c)
{
	struct iscsi_ctl *ctl;

	if (!iscsi_conn_event(c, ISCSI_EV_ASK_LOGOUT))
		return;
	ctl = iscsi_ctl_get(c, ISCSI_OP_ASYNC);
	if (!ctl) {
		iscsi_conn_end(c, "no memory to ask for a logout");
		return;
	}
	gw_put_be32(ctl->bhs + ISCSI_AT_ITT, ISCSI_RESERVED_TAG);
	ctl->bhs[AT_EVENT] = ISCSI_ASYNC_LOGOUT;
	gw_put_be16(ctl->bhs + AT_PARAM3, ISCSI_LOGOUT_MS / 1000);
	ctl->status = true;
	iscsi_ctl_send(ctl);
	c->logout_by = c->core->now + ISCSI_LOGOUT_MS * 1000000ull;
	gw_timer_start(c->core, &c->tick, ISCSI_LOGOUT_MS + 1);
}
