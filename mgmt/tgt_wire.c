/* SPDX-License-Identifier: BSD-3-Clause */
#include "mgmt/tgt_wire.h"

#include <string.h>

#include "gateway/base/num.h"

/* Scripts compare these texts: they are part of the interface. */
static const char *const err_text[TGT_E_MAX] = {
    [TGT_OK] = "success",
    [TGT_E_UNKNOWN] = "unknown error",
    [TGT_E_NOMEM] = "out of memory",
    [TGT_E_NO_DRIVER] = "can't find the driver",
    [TGT_E_NO_TARGET] = "can't find the target",
    [TGT_E_NO_LUN] = "can't find the logical unit",
    [TGT_E_NO_SESSION] = "can't find the session",
    [TGT_E_NO_CONN] = "can't find the connection",
    [TGT_E_NO_BINDING] = "can't find the binding",
    [TGT_E_TARGET_EXIST] = "this target already exists",
    [TGT_E_LUN_EXIST] = "this logical unit number already exists",
    [TGT_E_BINDING_EXIST] = "this binding already exists",
    [TGT_E_ACL_EXIST] = "this access control rule already exists",
    [TGT_E_ACL_NOEXIST] = "this access control rule does not exist",
    [TGT_E_USER_EXIST] = "this account already exists",
    [TGT_E_NO_USER] = "can't find the account",
    [TGT_E_TOO_MANY_USER] = "too many accounts",
    [TGT_E_INVALID] = "invalid request",
    [TGT_E_OUTACCOUNT_EXIST] = "this target already has an outgoing account",
    [TGT_E_TARGET_ACTIVE] = "this target is still active",
    [TGT_E_LUN_ACTIVE] = "this logical unit is still active",
    [TGT_E_DRIVER_ACTIVE] = "this driver is busy",
    [TGT_E_UNSUPPORTED] = "this operation isn't supported",
    [TGT_E_UNKNOWN_PARAM] = "unknown parameter",
    [TGT_E_PREVENT_REMOVAL] = "this device has Prevent Removal set",
};

struct word {
	const char *name, *brief;
	int value;
};

static const struct word modes[] = {
    {"system", "sys", TGT_SYSTEM},       {"target", "tgt", TGT_TARGET},
    {"logicalunit", "lu", TGT_LUN},      {"portal", "pt", TGT_PORTAL},
    {"session", "sess", TGT_SESSION},    {"connection", "conn", TGT_CONN},
    {"account", "account", TGT_ACCOUNT}, {"lld", "lld", TGT_LLD},
};

static const struct word ops[] = {
    {"new", "new", TGT_NEW},    {"delete", "delete", TGT_DELETE},
    {"bind", "bind", TGT_BIND}, {"unbind", "unbind", TGT_UNBIND},
    {"show", "show", TGT_SHOW}, {"update", "update", TGT_UPDATE},
    {"stat", "stat", TGT_STAT}, {"start", "start", TGT_START},
    {"stop", "stop", TGT_STOP},
};

static const struct word types[] = {
    {"disk", "disk", TGT_TYPE_DISK}, {"tape", "tape", TGT_TYPE_TAPE},
    {"cd", "dvd", TGT_TYPE_CD},      {"changer", "changer", TGT_TYPE_CHANGER},
    {"osd", "osd", TGT_TYPE_OSD},    {"pt", "pt", TGT_TYPE_PT},
};

static int
word_value(const struct word *w, size_t n, const char *s)
{
	for (size_t i = 0; i < n; i++) {
		if (!strcmp(w[i].name, s) || !strcmp(w[i].brief, s))
			return w[i].value;
	}
	return -1;
}

static const char *
word_name(const struct word *w, size_t n, uint32_t value)
{
	for (size_t i = 0; i < n; i++) {
		if ((uint32_t)w[i].value == value)
			return w[i].name;
	}
	return "?";
}

const char *
tgt_err_text(uint32_t err)
{
	return err < TGT_E_MAX ? err_text[err] : "(unknown tgtadm_errno)";
}

const char *
tgt_mode_name(uint32_t mode)
{
	return word_name(modes, GW_ARRAY_LEN(modes), mode);
}

const char *
tgt_op_name(uint32_t op)
{
	return word_name(ops, GW_ARRAY_LEN(ops), op);
}

int
tgt_mode_by_name(const char *s)
{
	return word_value(modes, GW_ARRAY_LEN(modes), s);
}

int
tgt_op_by_name(const char *s)
{
	return word_value(ops, GW_ARRAY_LEN(ops), s);
}

int
tgt_type_by_name(const char *s)
{
	return word_value(types, GW_ARRAY_LEN(types), s);
}
