/* SPDX-License-Identifier: BSD-3-Clause */
/* lgtadm's command line: tgtadm's options, rules and complaints. */
#ifndef MGMT_LGTADM_OPTS_H
#define MGMT_LGTADM_OPTS_H

#include <stdbool.h>

#include "mgmt/tgt_wire.h"

struct adm_opts {
	struct tgt_req req; /* len is not filled in */
	unsigned control_port;
	bool debug, json;
	int mode, op; /* -1: not given */
	bool has_lun;
	const char *name, *value, *path, *bstype, *bsopts, *bsoflags, *blocksize, *targetname;
	const char *address, *initiator, *user, *password, *target_ops, *portal_ops;
	char given[64]; /* the short letters of the options given */
};

/* -1: go on with the request in o; else the exit code: help, version, or a complaint was printed.
 */
int adm_parse(int argc, char **argv, struct adm_opts *o);

/* Puts the payload together; -1 if it does not fit. */
int adm_payload(const struct adm_opts *o, char *dst, unsigned size);

#endif
