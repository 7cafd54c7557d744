/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What waits to be sent. What a peer does not read holds back what we read from it: responses are
 * bounded by the command window, control PDUs by ISCSI_CTL_MAX.
 */
#include "iscsi/conn.h"

void
iscsi_tx_window(const struct iscsi_conn *c, uint8_t *bhs)
{
	gw_put_be32(bhs + ISCSI_AT_EXPCMDSN, c->win.exp_cmdsn);
	gw_put_be32(bhs + ISCSI_AT_MAXCMDSN, c->win.max_cmdsn);
}

void
iscsi_tx_queue(struct iscsi_conn *c, struct iscsi_tx *tx)
{
	tx->queued = true;
	gw_list_add_tail(&c->txq, &tx->node);
	if (!c->tx_full && !c->dying)
		gw_at_flush(c->core, &c->tx_hook);
}

bool
iscsi_tx_unqueue(struct iscsi_conn *c, struct iscsi_tx *tx)
{
	(void)c;
	if (!tx->queued)
		return false;
	gw_list_del(&tx->node);
	tx->queued = false;
	return true;
}

/* It may be the connection's last word. */
static void
ctl_sent(struct iscsi_conn *c, const struct iscsi_ctl *ctl)
{
	if (ctl->logout)
		(void)iscsi_conn_event(c, ISCSI_EV_LOGOUT_SENT);
	if (ctl->close)
		iscsi_conn_end(c, ctl->logout ? "logged out" : c->why ? c->why : "refused");
}

void
iscsi_tx_sent(struct iscsi_conn *c, struct iscsi_tx *tx)
{
	if (tx->kind == ISCSI_TX_CTL)
		ctl_sent(c, gw_container(tx, struct iscsi_ctl, tx));
	iscsi_tx_drop(tx);
}

void
iscsi_tx_drop(struct iscsi_tx *tx)
{
	gw_list_del(&tx->node);
	tx->queued = false;
	if (tx->kind == ISCSI_TX_CTL)
		iscsi_ctl_put(gw_container(tx, struct iscsi_ctl, tx));
	else
		iscsi_task_settle(gw_container(tx, struct iscsi_task, tx));
}

void
iscsi_tx_purge(struct iscsi_conn *c)
{
	gw_list_each_safe (tx, &c->txq, struct iscsi_tx, node)
		iscsi_tx_drop(tx);
}

static void
flush(struct gw_hook *h)
{
	struct iscsi_conn *c = gw_container(h, struct iscsi_conn, tx_hook);

	if (!c->dying && !c->tx_full && !gw_list_empty(&c->txq))
		c->wire->send(c);
}

void
iscsi_tx_init(struct iscsi_conn *c)
{
	gw_list_init(&c->txq);
	gw_hook_init(&c->tx_hook, flush);
}
