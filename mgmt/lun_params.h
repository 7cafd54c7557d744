/* SPDX-License-Identifier: BSD-3-Clause */
/* What `--params` changes in a logical unit, and how its backing store is told to the gateway. */
#ifndef MGMT_LUN_PARAMS_H
#define MGMT_LUN_PARAMS_H

#include <jansson.h>
#include <stdbool.h>

#include "mgmt/err.h"

#define MGMT_CD_BLOCK 2048

/* Checks and stores "name=value" in the LUN object. 0, or -1 with err. */
int mgmt_lun_set(json_t *lun, const char *name, const char *value, struct mgmt_err *err);

/* Options of the backing store: "sync:direct", "size=1g". 0, or -1 with err. */
int mgmt_lun_set_flags(json_t *lun, const char *bsoflags, struct mgmt_err *err);
int mgmt_lun_set_opts(json_t *lun, const char *bsopts, struct mgmt_err *err);

/* The gateway's name for a bstype that an administrator gives, NULL if there is none. */
const char *mgmt_bstype(const char *alias);
/* "rdwr", "aio" ...: i from 0; NULL at the end. *flags: it takes sync and direct. */
const char *mgmt_bstype_at(unsigned i, bool *flags);
/* Does the gateway's backend of that name need a path? */
bool mgmt_bstype_has_path(const char *gateway);

/* Sets "bstype" and "kv" from what is wanted in "mgmt". 0, or -1 with err. */
int mgmt_lun_backing(json_t *lun, struct mgmt_err *err);

/* Is it a CD/DVD drive? */
bool mgmt_lun_is_cd(const json_t *lun);
/* Whether all that it is now goes together. 0, or -1 with err. */
int mgmt_lun_check(const json_t *lun, struct mgmt_err *err);

/* The identity that tgt would give: vendor IET, SCSI ID and serial number made of tid and lun. */
void mgmt_lun_tgt_identity(json_t *lun);

#endif
