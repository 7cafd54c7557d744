/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The management daemon's one state, and the way of a change: rows in an open transaction, the
 * gateway's consent, commit. The daemon has one thread; changes happen one after another.
 */
#ifndef MGMT_MGMT_H
#define MGMT_MGMT_H

#include "mgmt/err.h"
#include "mgmt/link.h"
#include "mgmt/model.h"
#include "mgmt/store.h"

/* tgt's drivers. Every target is served over both transports; a driver is what it was made with. */
enum mgmt_lld {
	MGMT_ISCSI,
	MGMT_ISER,
	MGMT_LLDS
};

struct mgmt {
	struct mgmt_model model;
	struct mgmt_store *store; /* NULL: nothing is kept (tests) */
	struct mgmt_link link;
	bool synced;                 /* the gateway has what the model has */
	bool lld_stopped[MGMT_LLDS]; /* "lld stop": the driver takes no requests */
	/* "system delete": the daemon ends when its answer is out and the gateway is gone. */
	bool stopping;
	int gateway_pidfd; /* of the gateway that was told to end; -1: none */
	int wait_ms;       /* how long a change waits for a gateway that is away */
	char trouble[512]; /* why the gateway does not have what is wanted; empty: it has, or no try
			    */
};

/* Loads the store (may be NULL) into an empty model with a system object. */
int mgmt_init(struct mgmt *m, struct mgmt_store *store, const char *gateway_path,
	      struct mgmt_err *err);
void mgmt_fini(struct mgmt *m);

/*
 * A portal for the time before portals are changed: it is stored with the first change of portals.
 * addr is "ADDR:PORT" as for `--op new --mode portal`.
 */
int mgmt_default_portal(struct mgmt *m, const char *addr, struct mgmt_err *err);
/* True from the first change of portals on, even if none is left. */
bool mgmt_portals_kept(const struct mgmt *m);

/* Sends the whole wanted configuration; logs what the gateway could not open. */
int mgmt_push_all(struct mgmt *m, struct mgmt_err *err);

/* All or nothing: 0 and durable, or -1 with err and nothing changed. The change stays the caller's.
 */
int mgmt_apply(struct mgmt *m, struct mgmt_change *c, struct mgmt_err *err);

/* Tells the gateway, and ourselves, how much to log. */
void mgmt_log_level(struct mgmt *m);

#endif
