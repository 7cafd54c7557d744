/* SPDX-License-Identifier: BSD-3-Clause */
#include "mgmt/params.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "gateway/base/num.h"
#include "gateway/base/str.h"
#include "mgmt/model.h"
#include "mgmt/tgt_wire.h"

enum kind {
	NUMBER,
	YESNO,
	DIGEST,
	MARKER
};

/*
 * `ours`: the gateway negotiates with the value. The others are accepted, kept and shown because
 * configuration files of tgt have them; the gateway always negotiates their safest value (one
 * connection, ErrorRecoveryLevel 0, everything in order, no markers), which RFC 7143 lets the
 * responder choose.
 */
static const struct param {
	const char *name, *dflt;
	enum kind kind;
	bool ours;
	uint32_t min, max;
} params[] = {
    {"nop_interval", "15", NUMBER, true, 0, 3600},
    {"nop_count", "3", NUMBER, true, 1, 1000},
    {"MaxRecvDataSegmentLength", "262144", NUMBER, true, 512, 16777215},
    {"HeaderDigest", "None,CRC32C", DIGEST, true, 0, 0},
    {"DataDigest", "None,CRC32C", DIGEST, true, 0, 0},
    {"InitialR2T", "No", YESNO, true, 0, 0},
    {"MaxOutstandingR2T", "1", NUMBER, true, 1, 65535},
    {"ImmediateData", "Yes", YESNO, true, 0, 0},
    {"FirstBurstLength", "65536", NUMBER, true, 512, 16777215},
    {"MaxBurstLength", "262144", NUMBER, true, 512, 16777215},
    {"DataPDUInOrder", "Yes", YESNO, false, 0, 0},
    {"DataSequenceInOrder", "Yes", YESNO, false, 0, 0},
    {"ErrorRecoveryLevel", "0", NUMBER, false, 0, 2},
    {"IFMarker", "No", YESNO, false, 0, 0},
    {"OFMarker", "No", YESNO, false, 0, 0},
    {"DefaultTime2Wait", "2", NUMBER, true, 0, 3600},
    {"DefaultTime2Retain", "20", NUMBER, true, 0, 3600},
    {"OFMarkInt", "Reject", MARKER, false, 1, 65535},
    {"IFMarkInt", "Reject", MARKER, false, 1, 65535},
    {"MaxConnections", "1", NUMBER, false, 1, 65535},
    {"RDMAExtensions", "Yes", YESNO, false, 0, 0},
    {"TargetRecvDataSegmentLength", "262144", NUMBER, false, 512, 16777215},
    {"InitiatorRecvDataSegmentLength", "262144", NUMBER, false, 512, 16777215},
    {"MaxOutstandingUnexpectedPDUs", "0", NUMBER, false, 0, UINT32_MAX},
    {"MaxXmitDataSegmentLength", "262144", NUMBER, true, 512, 16777215},
    {"MaxQueueCmd", "128", NUMBER, true, 1, 1024},
};

static const struct param *
find(const char *name)
{
	for (size_t i = 0; i < GW_ARRAY_LEN(params); i++) {
		if (!strcasecmp(params[i].name, name))
			return &params[i];
	}
	return NULL;
}

static json_t *
parse_digest(const char *value)
{
	char copy[32], *next = copy, *s;
	json_t *list;

	if (!gw_str_copy(copy, sizeof(copy), value))
		return NULL;
	list = json_array();
	while ((s = strsep(&next, ","))) {
		const char *word = !strcasecmp(s, "None")     ? "None"
				   : !strcasecmp(s, "CRC32C") ? "CRC32C"
							      : NULL;

		if (!word || mgmt_array_find(list, word) >= 0) {
			json_decref(list);
			return NULL;
		}
		json_array_append_new(list, json_string(word));
	}
	return list;
}

/* The value as the gateway takes it, NULL if it is not allowed. */
static json_t *
parse(const struct param *p, const char *value)
{
	uint64_t n;

	switch (p->kind) {
	case YESNO:
		if (strcasecmp(value, "Yes") && strcasecmp(value, "No"))
			return NULL;
		return json_boolean(!strcasecmp(value, "Yes"));
	case DIGEST:
		return parse_digest(value);
	case MARKER:
		if (!strcasecmp(value, "Reject"))
			return json_string("Reject");
		__attribute__((fallthrough));
	case NUMBER:
		if (!gw_str_u64(value, &n) || n < p->min || n > p->max)
			return NULL;
		return json_integer((json_int_t)n);
	}
	return NULL;
}

static int
refuse(const struct param *p, const char *value, struct mgmt_err *err)
{
	static const char *const want[] = {
	    [YESNO] = "Yes or No",
	    [DIGEST] = "None, CRC32C, or both with a comma between them",
	};

	if (p->kind == YESNO || p->kind == DIGEST)
		return mgmt_fail(err, TGT_E_INVALID, "%s is %s, not \"%s\"", p->name, want[p->kind],
				 value);
	return mgmt_fail(err, TGT_E_INVALID,
			 "%s is a number from %" PRIu32 " to %" PRIu32 ", not \"%s\"", p->name,
			 p->min, p->max, value);
}

/*
 * FirstBurstLength may not exceed MaxBurstLength (RFC 7143 13.14). Configuration files set them in
 * any order, so what was asked for is kept and the gateway gets what is possible.
 */
static int
fit_bursts(json_t *target)
{
	json_t *stored = json_object_get(target, "params");
	json_t *keys = json_object_get(json_object_get(target, "mgmt"), "keys");
	json_int_t first = mgmt_int(keys, "FirstBurstLength", 65536);
	json_int_t max = mgmt_int(stored, "MaxBurstLength", 262144);

	return json_object_set_new(stored, "FirstBurstLength", json_integer(GW_MIN(first, max)));
}

int
mgmt_param_set(json_t *target, const char *name, const char *value, struct mgmt_err *err)
{
	const struct param *p = find(name);
	json_t *keys = mgmt_sub(mgmt_sub(target, "mgmt"), "keys"), *v;
	int bad;

	if (!p)
		return mgmt_fail(err, TGT_E_INVALID, "a target has no parameter \"%s\"", name);
	v = parse(p, value);
	if (!v)
		return refuse(p, value, err);
	bad = !keys || json_object_set(keys, p->name, v);
	if (p->ours)
		bad |= json_object_set(json_object_get(target, "params"), p->name, v);
	json_decref(v);
	if (bad || (strstr(p->name, "BurstLength") && fit_bursts(target)))
		return mgmt_fail(err, TGT_E_NOMEM, "out of memory");
	return 0;
}

static void
value_text(const json_t *target, const struct param *p, char *dst, size_t size)
{
	const json_t *where = p->ours ? json_object_get(target, "params")
				      : json_object_get(json_object_get(target, "mgmt"), "keys");
	const json_t *v = json_object_get(where, p->name);

	if (json_is_integer(v))
		snprintf(dst, size, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
	else if (json_is_boolean(v))
		snprintf(dst, size, "%s", json_is_true(v) ? "Yes" : "No");
	else if (json_is_array(v))
		snprintf(dst, size, "%s%s%s", json_string_value(json_array_get(v, 0)),
			 json_array_size(v) > 1 ? "," : "",
			 json_array_size(v) > 1 ? json_string_value(json_array_get(v, 1)) : "");
	else
		snprintf(dst, size, "%s", json_is_string(v) ? json_string_value(v) : p->dflt);
}

void
mgmt_params_show(const json_t *target, struct mgmt_text *out)
{
	char value[64];

	for (size_t i = 0; i < GW_ARRAY_LEN(params); i++) {
		value_text(target, &params[i], value, sizeof(value));
		mgmt_text_addf(out, "%s=%s\n", params[i].name, value);
	}
}

json_t *
mgmt_params_json(const json_t *target)
{
	json_t *o = json_object();
	char value[64];

	for (size_t i = 0; i < GW_ARRAY_LEN(params); i++) {
		value_text(target, &params[i], value, sizeof(value));
		json_object_set_new(o, params[i].name, json_string(value));
	}
	return o;
}

json_int_t
mgmt_param_int(const json_t *target, const char *name)
{
	const struct param *p = find(name);
	uint64_t n = 0;

	if (p)
		(void)gw_str_u64(p->dflt, &n);
	return mgmt_int(json_object_get(target, "params"), name, (json_int_t)n);
}
