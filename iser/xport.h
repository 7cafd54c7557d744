/* SPDX-License-Identifier: BSD-3-Clause */
/* The RDMA transport as the rest of the gateway sees it. */
#ifndef ISER_XPORT_H
#define ISER_XPORT_H

#include "gateway/api/model.h"

extern const struct gw_xport_ops iser_xport;

/*
 * Main thread, before the cores start: what is counted of it. Devices are opened when a portal listens,
 * those of iWARP only if `iwarp` (see dev.c).
 */
void iser_init(bool iwarp);
/*
 * Main thread, while the cores still run, after iscsi_stop() has returned true: nothing of a device is
 * waited for any more. Then iser_fini().
 */
void iser_stop(void);
void iser_fini(void);

/* listen.c */
int iser_listen(struct gw_portal *portal, char *err, unsigned err_size);
void iser_accept(struct gw_portal *portal);
void iser_unlisten(struct gw_portal *portal);

#endif
