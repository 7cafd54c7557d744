/* SPDX-License-Identifier: BSD-3-Clause */
/* The TCP transport as the rest of the gateway sees it. */
#ifndef ISCSI_TCP_XPORT_H
#define ISCSI_TCP_XPORT_H

#include "gateway/api/model.h"
#include "iscsi/params.h"

extern const struct gw_xport_ops tcp_xport;

/* Own core: what the session of this nexus has negotiated; NULL if its connection has gone. */
const struct iscsi_params *iscsi_session_params(const struct gw_nexus *n);

/* tcp_listen.c */
int tcp_listen(struct gw_portal *portal, char *err, unsigned err_size);
void tcp_unlisten(struct gw_portal *portal);

#endif
