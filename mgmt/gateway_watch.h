/* SPDX-License-Identifier: BSD-3-Clause */
/* Keeps the gateway connected, and what it has equal to what is wanted. */
#ifndef MGMT_GATEWAY_WATCH_H
#define MGMT_GATEWAY_WATCH_H

#include <systemd/sd-event.h>

#include "mgmt/tgt_ipc.h"

struct mgmt_watch {
	struct mgmt *m;
	struct mgmt_ipc *ipc;
	sd_event *event;
	sd_event_source *timer, *io;
	int io_fd;           /* that io watches */
	uint64_t pause_usec; /* until the next attempt */
	char said[512];      /* the last trouble logged: once each, not five times a second */
};

/* 0 or a negative errno. The first attempt is made by the loop at once. */
int mgmt_watch_start(struct mgmt_watch *w, struct mgmt *m, struct mgmt_ipc *ipc, sd_event *event);
void mgmt_watch_stop(struct mgmt_watch *w);

#endif
