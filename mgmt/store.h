/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The wanted configuration on disk: one SQLite database in $LGT_STATE_DIR, directory 0700 and file
 * 0600 because it holds CHAP secrets. A change is one transaction that stays open until the gateway
 * has agreed. Of the last MGMT_VERSIONS changes the objects as they were before are kept, so that
 * each of these versions can be put together again and one change costs what it touches.
 */
#ifndef MGMT_STORE_H
#define MGMT_STORE_H

#include "mgmt/err.h"
#include "mgmt/model.h"

#define MGMT_VERSIONS 20

struct mgmt_store;

/* 0, or -1 with err: another daemon has it open, it is not ours, it is newer than we are. */
int mgmt_store_open(const char *dir, struct mgmt_store **out, struct mgmt_err *err);
void mgmt_store_close(struct mgmt_store *s);

/* Puts all stored objects into the empty model. */
int mgmt_store_load(struct mgmt_store *s, struct mgmt_model *m, struct mgmt_err *err);

/* Begins a transaction and writes the change; m is the model before it. -1: nothing is open. */
int mgmt_store_begin(struct mgmt_store *s, const struct mgmt_change *c, const struct mgmt_model *m,
		     struct mgmt_err *err);
/* 0: it survives a power cut. -1: rolled back. */
int mgmt_store_commit(struct mgmt_store *s, struct mgmt_err *err);
void mgmt_store_rollback(struct mgmt_store *s);

/* New array of {"version","at","what"}, newest first: what each change was. NULL with err. */
json_t *mgmt_store_versions(struct mgmt_store *s, struct mgmt_err *err);
/* New object key: object, the configuration as it was after that version. NULL with err. */
json_t *mgmt_store_version(struct mgmt_store *s, const struct mgmt_model *now, int64_t version,
			   struct mgmt_err *err);

#endif
