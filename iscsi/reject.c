/* SPDX-License-Identifier: BSD-3-Clause */
/* Control entries, and the PDU that says no (RFC 7143 11.17). */
#include <string.h>

#include "iscsi/conn.h"

enum iscsi_rx
iscsi_ctl_ready(struct iscsi_conn *c)
{
	if (c->nctl >= ISCSI_CTL_MAX)
		return iscsi_rx_wait(c, ISCSI_STOP_CTL);
	if (c->ic->ctls.nfree == 0)
		return iscsi_rx_wait(c, ISCSI_STOP_POOL);
	return ISCSI_RX_OK;
}

struct iscsi_ctl *
iscsi_ctl_get(struct iscsi_conn *c, uint8_t opcode)
{
	struct iscsi_ctl *ctl = gw_pool_get(&c->ic->ctls);

	if (!ctl)
		return NULL;
	memset(ctl, 0, sizeof(*ctl));
	gw_list_init(&ctl->tx.node);
	ctl->tx.kind = ISCSI_TX_CTL;
	ctl->conn = c;
	ctl->bhs[ISCSI_AT_OPCODE] = opcode;
	ctl->bhs[ISCSI_AT_FLAGS] = ISCSI_FLAG_F;
	c->nctl++;
	return ctl;
}

void
iscsi_ctl_put(struct iscsi_ctl *ctl)
{
	struct iscsi_conn *c = ctl->conn;

	gw_buf_put(c->core, &ctl->sg);
	gw_pool_put(&c->ic->ctls, ctl);
	c->nctl--;
	iscsi_core_wake(c->ic);
	iscsi_rx_resume(c, ISCSI_STOP_CTL);
	iscsi_conn_poke(c);
}

void
iscsi_ctl_send(struct iscsi_ctl *ctl)
{
	if (ctl->conn->dying)
		iscsi_ctl_put(ctl);
	else
		iscsi_tx_queue(ctl->conn, &ctl->tx);
}

void
iscsi_ctl_head(struct iscsi_conn *c, const struct iscsi_ctl *ctl, uint8_t *bhs)
{
	memcpy(bhs, ctl->bhs, ISCSI_BHS_LEN);
	if (ctl->raw)
		return;
	gw_put_be32(bhs + ISCSI_AT_STATSN, c->stat_sn);
	iscsi_tx_window(c, bhs);
	if (ctl->status)
		c->stat_sn++;
}

uint8_t *
iscsi_ctl_data(struct iscsi_ctl *ctl)
{
	return ctl->sg.n ? (uint8_t *)ctl->sg.iov[0].iov_base + ctl->at : ctl->small;
}

static struct iscsi_ctl *
reject_new(struct iscsi_conn *c, enum iscsi_reject reason)
{
	struct iscsi_ctl *ctl = iscsi_ctl_get(c, ISCSI_OP_REJECT);

	if (!ctl)
		return NULL;
	gw_stat_add(c->core->stats->rejects, 1);
	ctl->bhs[ISCSI_AT_RSP] = (uint8_t)reason;
	gw_put_be32(ctl->bhs + ISCSI_AT_ITT, ISCSI_RESERVED_TAG);
	memcpy(ctl->small, c->rx.head, ISCSI_BHS_LEN);
	ctl->len = ISCSI_BHS_LEN;
	ctl->status = true;
	return ctl;
}

enum iscsi_rx
iscsi_reject(struct iscsi_conn *c, enum iscsi_reject reason)
{
	struct iscsi_ctl *ctl = reject_new(c, reason);

	if (!ctl)
		return iscsi_conn_die(c, "no memory to reject a PDU");
	iscsi_ctl_send(ctl);
	return ISCSI_RX_OK;
}

enum iscsi_rx
iscsi_reject_close(struct iscsi_conn *c, enum iscsi_reject reason, const char *why)
{
	struct iscsi_ctl *ctl = reject_new(c, reason);

	if (!ctl)
		return iscsi_conn_die(c, why);
	c->why = why;
	c->rx.stop |= ISCSI_STOP_CLOSE;
	ctl->close = true;
	iscsi_ctl_send(ctl);
	return ISCSI_RX_DEAD;
}
