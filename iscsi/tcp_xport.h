/* SPDX-License-Identifier: BSD-3-Clause */
/* The TCP transport as the rest of the gateway sees it. */
#ifndef ISCSI_TCP_XPORT_H
#define ISCSI_TCP_XPORT_H

#include "gateway/api/model.h"
#include "iscsi/params.h"

extern const struct gw_xport_ops tcp_xport;

/* Main thread, after gw_cores_init() and before gw_cores_start(): per-core state. 0 or -ENOMEM. */
int tcp_init(void);
/*
 * Main thread, while the cores still run, after all portals were unlistened: ends every connection
 * and waits at most `ms` for them to go. True if none is left. Then tcp_fini() after
 * gw_cores_fini().
 */
bool tcp_stop(uint32_t ms);
/* Main thread, when the cores' threads have stopped and their memory is still there. */
void tcp_fini(void);

/* Own core: what the session of this nexus has negotiated; NULL if its connection has gone. */
const struct iscsi_params *iscsi_session_params(const struct gw_nexus *n);

/* tcp_listen.c */
int tcp_listen(struct gw_portal *portal, char *err, unsigned err_size);
void tcp_unlisten(struct gw_portal *portal);

/* Connections that all cores have, including those before login. Any thread. */
uint32_t tcp_conns(void);

#endif
