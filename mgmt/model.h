/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The wanted configuration: JSON objects by key, as docs/control-protocol.md has them. What only
 * the management side needs (the bstype alias that the administrator gave, keys that the gateway
 * always negotiates the same way) is in the member "mgmt" of an object and never sent to the
 * gateway.
 */
#ifndef MGMT_MODEL_H
#define MGMT_MODEL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define MGMT_KEY_MAX 320

struct mgmt_model {
	json_t *objects; /* key: object; iterates in the order of creation */
	json_t *names;   /* iSCSI name in lower case: tid */
};

/* A change that is not yet agreed. Nothing of the model changes before mgmt_model_commit(). */
struct mgmt_change {
	json_t *set;    /* key: whole new object */
	json_t *del;    /* key: true */
	bool force;     /* a target may go although it has sessions */
	char what[200]; /* one line for the list of versions; no secrets */
};

int mgmt_model_init(struct mgmt_model *m); /* 0 or -ENOMEM */
void mgmt_model_fini(struct mgmt_model *m);

/* Borrowed references, NULL if there is none. */
json_t *mgmt_model_get(const struct mgmt_model *m, const char *key);
json_t *mgmt_model_target(const struct mgmt_model *m, int64_t tid);
json_t *mgmt_model_lun(const struct mgmt_model *m, int64_t tid, uint64_t lun);
json_t *mgmt_model_account(const struct mgmt_model *m, const char *name);
/* tid of the target with that name in any case, 0 if none. */
int64_t mgmt_model_tid_by_name(const struct mgmt_model *m, const char *iqn);
bool mgmt_model_has_targets(const struct mgmt_model *m);

/*
 * New array (the caller's) of borrowed objects whose key begins with `prefix`, ascending by tid and
 * lun. "target:", "lun:", "lun:7/". NULL without memory.
 */
json_t *mgmt_model_list(const struct mgmt_model *m, const char *prefix);

int mgmt_change_init(struct mgmt_change *c); /* 0 or -ENOMEM */
void mgmt_change_fini(struct mgmt_change *c);
/* The object as it will be, to be edited in place (borrowed). NULL if there is none, or no memory.
 */
json_t *mgmt_change_edit(struct mgmt_change *c, const struct mgmt_model *m, const char *key);
/* Takes the reference of obj, which has the member "key". 0 or -ENOMEM. */
int mgmt_change_set(struct mgmt_change *c, json_t *obj);
int mgmt_change_del(struct mgmt_change *c, const char *key);
/* True if the gateway would see a difference. */
bool mgmt_change_visible(const struct mgmt_change *c, const struct mgmt_model *m);

/* Makes the change part of the model. 0 or -ENOMEM. */
int mgmt_model_commit(struct mgmt_model *m, const struct mgmt_change *c);

/* False for objects that only the management side has ("former:..."). */
bool mgmt_key_visible(const char *key);
/* The object without its "mgmt" member: a new reference. */
json_t *mgmt_gateway_form(const json_t *obj);

/* The member object of that name, borrowed; made if it is not there. NULL only without memory. */
json_t *mgmt_sub(json_t *o, const char *name);

/* Members of an object, with a default for what is missing or of another type. */
const char *mgmt_str(const json_t *o, const char *name, const char *otherwise);
json_int_t mgmt_int(const json_t *o, const char *name, json_int_t otherwise);
bool mgmt_bool(const json_t *o, const char *name, bool otherwise);
/* Index of string s in an array of strings, -1 if it is not there. */
int mgmt_array_find(const json_t *array, const char *s);

#endif
