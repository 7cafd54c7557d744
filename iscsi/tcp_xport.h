/* SPDX-License-Identifier: BSD-3-Clause */
/* The TCP transport as the rest of the gateway sees it. */
#ifndef ISCSI_TCP_XPORT_H
#define ISCSI_TCP_XPORT_H

#include "gateway/api/model.h"

extern const struct gw_xport_ops tcp_xport;

/* tcp_listen.c */
int tcp_listen(struct gw_portal *portal, char *err, unsigned err_size);
void tcp_accept(struct gw_portal *portal);
void tcp_unlisten(struct gw_portal *portal);

#endif
