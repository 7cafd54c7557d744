/* SPDX-License-Identifier: BSD-3-Clause */
/* Text Requests of the Full Feature Phase: the connection's side of text_op.h (RFC 7143 11.10). */
#include "iscsi/conn.h"
#include "iscsi/session.h"

#define OUT_MAX 8192u

enum iscsi_rx
iscsi_text_begin(struct iscsi_conn *c)
{
	enum iscsi_rx v = iscsi_ctl_ready(c);

	if (v != ISCSI_RX_OK)
		return v;
	if (c->rx.len > ISCSI_TEXT_IN_MAX) {
		c->rx.reject = ISCSI_REJECT_PROTOCOL;
		return ISCSI_RX_OK;
	}
	/* The request in the first part, the response in the second. */
	if (!gw_buf_get(c->core, ISCSI_TEXT_IN_MAX + OUT_MAX, &c->rx.sg))
		return iscsi_rx_wait(c, ISCSI_STOP_BUF);
	iscsi_rx_to_flat(c, c->rx.sg.iov[0].iov_base);
	return ISCSI_RX_OK;
}

enum iscsi_rx
iscsi_text_end(struct iscsi_conn *c)
{
	struct iscsi_session *s = c->sess;
	struct iscsi_text_env env = {
	    .model = gw_model_of(c->core),
	    .initiator = s->key.initiator,
	    .target_name = s->nexus.target ? s->nexus.target->iqn : NULL,
	    .peer = c->peer,
	    .local = c->local,
	    .xport = c->wire->xport,
	    .params = &c->params,
	};
	uint8_t *in = c->rx.sg.iov[0].iov_base;
	enum iscsi_reject reject = ISCSI_REJECT_PROTOCOL;
	struct iscsi_ctl *ctl;
	enum iscsi_rx v = iscsi_ffp_cmdsn(c);

	if (v != ISCSI_RX_OK || c->rx.ignore)
		return v;
	ctl = iscsi_ctl_get(c, ISCSI_OP_TEXT_RSP);
	if (!ctl)
		return iscsi_conn_die(c, "no memory for a Text Response");
	if (!iscsi_text_rx(&s->text, &env, c->rx.head, in, c->rx.len, ctl->bhs,
			   (char *)in + ISCSI_TEXT_IN_MAX, GW_MIN(OUT_MAX, c->params.max_xmit_dsl),
			   &ctl->len, &reject)) {
		iscsi_ctl_put(ctl);
		return iscsi_reject(c, reject);
	}
	ctl->sg = c->rx.sg;
	ctl->at = ISCSI_TEXT_IN_MAX;
	ctl->status = true;
	c->rx.sg.n = 0;
	iscsi_ctl_send(ctl);
	return ISCSI_RX_OK;
}
