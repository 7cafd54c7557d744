/* SPDX-License-Identifier: BSD-3-Clause */
/* Full Feature Phase: which opcode is whose (RFC 7143 11.2.1.2), and the command window (4.2.2.1).
 */
#include "iscsi/conn.h"
#include "iscsi/session.h"

struct handler {
	enum iscsi_rx (*begin)(struct iscsi_conn *c);
	enum iscsi_rx (*end)(struct iscsi_conn *c);
	bool discovery; /* allowed in a discovery session, 4.3 */
	uint8_t refuse; /* enum iscsi_reject: never allowed */
};

static const struct handler handler[ISCSI_OP_MASK + 1] = {
    [ISCSI_OP_NOP_OUT] = {iscsi_nop_begin, iscsi_nop_end, true, 0},
    [ISCSI_OP_SCSI_CMD] = {iscsi_cmd_begin, iscsi_cmd_end, false, 0},
    [ISCSI_OP_TMF_REQ] = {iscsi_ctl_ready, iscsi_tmf_end, false, 0},
    [ISCSI_OP_LOGIN_REQ] = {iscsi_ctl_ready, NULL, true, ISCSI_REJECT_PROTOCOL},
    [ISCSI_OP_TEXT_REQ] = {iscsi_text_begin, iscsi_text_end, true, 0},
    [ISCSI_OP_DATA_OUT] = {iscsi_data_out_begin, iscsi_data_out_end, false, 0},
    [ISCSI_OP_LOGOUT_REQ] = {iscsi_ctl_ready, iscsi_logout_end, true, 0},
    /* 11.16: not allowed at ERL 0. */
    [ISCSI_OP_SNACK] = {iscsi_ctl_ready, NULL, false, ISCSI_REJECT_SNACK},
};

static const struct handler unknown = {iscsi_ctl_ready, NULL, true, ISCSI_REJECT_UNSUPPORTED};

static const struct handler *
handler_of(const struct iscsi_conn *c)
{
	const struct handler *h = &handler[iscsi_opcode(c->rx.head)];

	return h->begin ? h : &unknown;
}

enum iscsi_rx
iscsi_ffp_begin(struct iscsi_conn *c)
{
	const struct handler *h = handler_of(c);

	if (h->refuse || (c->discovery && !h->discovery)) {
		c->rx.reject = h->refuse ? h->refuse : ISCSI_REJECT_PROTOCOL;
		return iscsi_ctl_ready(c);
	}
	return h->begin(c);
}

enum iscsi_rx
iscsi_ffp_end(struct iscsi_conn *c)
{
	if (c->rx.reject)
		return iscsi_reject(c, c->rx.reject);
	if (c->rx.ignore)
		return ISCSI_RX_OK;
	return handler_of(c)->end(c);
}

/*
 * On one connection commands come in order of CmdSN. One that is within the window but not the next
 * means that the initiator has lost count: without a second connection nothing will fill the gap.
 */
enum iscsi_rx
iscsi_ffp_cmdsn(struct iscsi_conn *c)
{
	uint32_t sn = gw_be32(c->rx.head + ISCSI_AT_CMDSN);

	if (iscsi_immediate(c->rx.head))
		return ISCSI_RX_OK;
	if (!iscsi_window_has(&c->win, sn)) {
		c->rx.ignore = true;
		return ISCSI_RX_OK;
	}
	if (sn != c->win.exp_cmdsn)
		return iscsi_conn_die(c, "it skipped a command sequence number");
	c->win.exp_cmdsn++;
	/* Only a SCSI command holds its place; cmd.c takes this back. */
	c->win.max_cmdsn++;
	return ISCSI_RX_OK;
}
