/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One connection to the control socket: lines in, lines out. A request is read only when the answer
 * to the one before has been sent, so that memory is bounded by one request and one answer; a
 * client that stands still in the middle of either is dropped.
 */
#ifndef GW_CONTROL_CLIENT_H
#define GW_CONTROL_CLIENT_H

#include <systemd/sd-event.h>

#include "gateway/base/list.h"
#include "gateway/control/rpc.h"

#define CLIENT_LINE_MAX  (64u << 20) /* bytes of a request */
#define CLIENT_STALL_SEC 30

struct client {
	struct gw_list node;
	sd_event_source *io;
	struct rpc_env *env;
	int fd;
	char *in;
	size_t in_len, in_room, scanned; /* no '\n' before `scanned` */
	char *out;
	size_t out_len, out_at;
	uint64_t moved_at;              /* us: when bytes last moved */
	void (*gone)(struct client *c); /* frees it */
};

/* Takes fd. NULL: no memory; fd is closed. */
struct client *client_new(sd_event *ev, int fd, struct rpc_env *env, void (*gone)(struct client *));
void client_free(struct client *c);
/* True if the client has stood still in the middle of a request or an answer. */
bool client_stalled(const struct client *c, uint64_t now_us);

#endif
