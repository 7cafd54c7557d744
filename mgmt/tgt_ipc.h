/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The socket that tgtadm and lgtadm talk to: one request a connection. Nothing that one client does
 * or leaves undone stalls another: reads and writes never block, each client has a time limit and a
 * bounded buffer, and when MGMT_CLIENTS_MAX are connected the next ones wait in the listen queue.
 */
#ifndef MGMT_TGT_IPC_H
#define MGMT_TGT_IPC_H

#include <systemd/sd-event.h>

#include "mgmt/mgmt.h"

#define MGMT_CLIENTS_MAX 128

struct mgmt_ipc;

/*
 * Takes the lock, binds, listens. The event loop runs the requests. It ends when a request said
 * m->stopping and was answered. 0, or -1 with err.
 */
int mgmt_ipc_new(struct mgmt *m, sd_event *event, const char *path, struct mgmt_ipc **out,
		 struct mgmt_err *err);
void mgmt_ipc_free(struct mgmt_ipc *ipc);

/* The gateway has come (or came and refused): runs the requests that wait for it. */
void mgmt_ipc_gateway_changed(struct mgmt_ipc *ipc);

#endif
