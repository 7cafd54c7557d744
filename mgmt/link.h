/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The connection to the gateway: JSON-RPC 2.0, a line a message, one request at a time
 * (docs/control-protocol.md). Calls wait for their answer, up to a time limit.
 */
#ifndef MGMT_LINK_H
#define MGMT_LINK_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "mgmt/err.h"

#define MGMT_LINE_MAX (64u << 20)

struct mgmt_link {
	int fd; /* -1: not connected */
	char path[108];
	uint64_t last_id;
	int64_t pause_until; /* ms: it hung; no attempt before */
	json_t *hello;       /* what the gateway said of itself; NULL before the first connection */
	char *buf;           /* of the answer being read */
	size_t cap;
	/* Replaces the socket in tests: as mgmt_link_call(). */
	int (*fake)(void *arg, const char *method, const json_t *params, json_t **result,
		    struct mgmt_err *err);
	void *fake_arg;
};

/* path is the gateway's socket. -1 if it is too long. */
int mgmt_link_init(struct mgmt_link *l, const char *path);
void mgmt_link_fini(struct mgmt_link *l);
bool mgmt_link_up(const struct mgmt_link *l);

/* Connects and says hello: 0, or -1 with err. */
int mgmt_link_connect(struct mgmt_link *l, struct mgmt_err *err);
void mgmt_link_close(struct mgmt_link *l);
/* A new pidfd of the gateway's process, -1 if it cannot be had. */
int mgmt_link_pidfd(const struct mgmt_link *l);
/* Says hello again: 0 from a gateway that is alive. As mgmt_link_call(), with a short limit. */
int mgmt_link_hello(struct mgmt_link *l, struct mgmt_err *err);

/*
 * Takes params (NULL: none). 0 with *result, a new reference (result may be NULL). -1 with err: the
 * gateway refused, or, if !mgmt_link_up() afterwards, nobody knows what it did.
 */
int mgmt_link_call(struct mgmt_link *l, const char *method, json_t *params, int timeout_ms,
		   json_t **result, struct mgmt_err *err);

#endif
