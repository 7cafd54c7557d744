/* SPDX-License-Identifier: BSD-3-Clause */
/* A tgtadm request: bytes of a stranger in, a checked struct out; and the table of what can be
 * asked. */
#ifndef MGMT_REQUEST_H
#define MGMT_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

#include "mgmt/err.h"
#include "mgmt/mgmt.h"
#include "mgmt/text.h"
#include "mgmt/tgt_wire.h"

#define MGMT_ARGS_MAX 256
#define MGMT_LUNS     "luns" /* the list of a LUN map */

struct mgmt_req {
	struct tgt_req h;
	int lld;   /* enum mgmt_lld; iscsi if none is named, -1: there is no such driver */
	bool json; /* show and stat: the answer as JSON ("format=json" in the payload) */
	char text[TGT_REQ_MAX];  /* the payload, NUL-terminated */
	char split[TGT_REQ_MAX]; /* the same cut at the commas, without "targetOps " */
	unsigned nargs;
	const char *arg[MGMT_ARGS_MAX]; /* "name=value", pointing into split */
};

/*
 * How many bytes the request has, from its first `got` bytes: 0 while the header is incomplete, -1
 * with err if it is too long or too short to be one.
 */
long mgmt_req_size(const void *buf, size_t got, struct mgmt_err *err);
/* Decodes a whole request of `size` bytes. 0, or -1 with err. */
int mgmt_req_parse(const void *buf, size_t size, struct mgmt_req *r, struct mgmt_err *err);

/* The value of the last argument of that name, NULL if it was not given. */
const char *mgmt_req_arg(const struct mgmt_req *r, const char *name);
/* The index in arg of the first "NAME=..." or bare "NAME", whose value is a list; nargs if none. */
unsigned mgmt_req_list(const struct mgmt_req *r, const char *name);
/* Cuts "NAME=VALUE" at its first '='. False without one, or without a name that fits. */
bool mgmt_req_split(const char *arg, char *name, size_t name_size, const char **value);
/* For `-n NAME -v VALUE`: cuts the payload at its first '='. False without one. */
bool mgmt_req_pair(const struct mgmt_req *r, char *name, size_t name_size, const char **value);

/* True if the request cannot be answered without the gateway: it is worth waiting for it. */
bool mgmt_req_needs_gateway(const struct mgmt_req *r);
/* Does it: 0 with what is to be printed in out, or -1 with err. */
int mgmt_req_run(struct mgmt *m, const struct mgmt_req *r, struct mgmt_text *out,
		 struct mgmt_err *err);

#endif
