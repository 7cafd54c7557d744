/* SPDX-License-Identifier: BSD-3-Clause */
/* What the transports' struct gw_xport_ops have in common: see there. */
#ifndef ISCSI_XPORT_H
#define ISCSI_XPORT_H

#include <sys/socket.h>

#include "gateway/api/xport.h"

void iscsi_xport_close(struct gw_nexus *n, enum gw_why why);
void iscsi_xport_ask_logout(struct gw_nexus *n);
void iscsi_xport_params(const struct gw_nexus *n, char *buf, unsigned size);

/* Control thread: where a portal listens. Its length, or -EINVAL with a sentence in err. */
int iscsi_portal_address(const struct gw_portal *p, struct sockaddr_storage *addr, char *err,
			 unsigned err_size);

#endif
