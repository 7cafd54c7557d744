/* SPDX-License-Identifier: BSD-3-Clause */
/* A connection over TCP as the wire of those who handle PDUs: its memory, its descriptor. */
#include "iscsi/tcp_conn.h"

#include <string.h>
#include <unistd.h>

#include "iscsi/tcp_xport.h"

static void
wire_start(struct iscsi_conn *c)
{
	struct tcp_conn *tc = tcp_conn_of(c);

	tcp_tx_start(tc);
	tcp_rx_start(tc);
}

static void
wire_stop(struct iscsi_conn *c, bool bye)
{
	struct tcp_conn *tc = tcp_conn_of(c);

	(void)bye; /* what is sent arrives before our FIN */
	if (tc->in.busy)
		gw_cancel(c->core, &tc->in.op);
	if (c->tx_busy)
		gw_cancel(c->core, &tc->tx_op);
}

static bool
wire_busy(struct iscsi_conn *c)
{
	return c->tx_busy || tcp_conn_of(c)->in.busy;
}

static void
wire_close(struct iscsi_conn *c)
{
	struct tcp_conn *tc = tcp_conn_of(c);

	gw_forget_fd(c->core, tc->fd);
	close(tc->fd);
	tc->fd = -1;
	tcp_rx_close(tc);
	tcp_tx_close(tc);
}

static void
wire_free(struct iscsi_conn *c)
{
	struct gw_pool *pool = &c->ic->conn_mem;

	gw_pool_put(pool, tcp_conn_of(c));
	gw_pool_trim(pool);
}

static const struct iscsi_wire wire = {
    .xport = &tcp_xport,
    .start = wire_start,
    .go_on = tcp_rx_go_on,
    .send = tcp_tx_send,
    .keep = tcp_rx_keep,
    .unkeep = tcp_rx_unkeep,
    .solicit = iscsi_r2t_start,
    .stop = wire_stop,
    .busy = wire_busy,
    .close = wire_close,
    .free = wire_free,
};

struct iscsi_conn *
tcp_conn_new(struct gw_core *home, int fd, const struct sockaddr_storage *peer,
	     const struct sockaddr_storage *local)
{
	struct iscsi_core *ic = home->slot[GW_SLOT_ISCSI];
	struct tcp_conn *tc = iscsi_core_get(&ic->conn_mem);

	if (!tc)
		return NULL;
	memset(tc, 0, sizeof(*tc));
	tc->fd = fd;
	iscsi_conn_init(&tc->conn, home, &wire, peer, local);
	return &tc->conn;
}
