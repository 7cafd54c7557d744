/* SPDX-License-Identifier: BSD-3-Clause */
#include "iscsi/keys.h"

#include <stdio.h>
#include <string.h>

#include "gateway/api/model.h"
#include "gateway/base/num.h"

#define LO   ISCSI_USE_LEADING
#define SEC  ISCSI_USE_SECURITY
#define OPER ISCSI_USE_OPERATIONAL
#define BOTH ISCSI_USE_LOGIN
#define FFP  ISCSI_USE_FULL
#define NORM ISCSI_USE_NORMAL
#define ISER ISCSI_USE_ISER

#define DSL_MIN  512u
#define TIME_MAX 3600u
#define TEXT_MAX ISCSI_TEXT_VALUE_MAX
#define BIN_MAX  (2 + 2 * ISCSI_TEXT_BIN_MAX)

#define KEY_AT(id, key, k, u, lo, hi, d, field, section)                 \
	[ISCSI_KEY_##id] = {.name = key,                                 \
			    .kind = ISCSI_KIND_##k,                      \
			    .use = u,                                    \
			    .value_max = TEXT_MAX,                       \
			    .min = lo,                                   \
			    .max = hi,                                   \
			    .def = d,                                    \
			    .off = offsetof(struct iscsi_params, field), \
			    .rfc = section}
#define KEY(id, key, k, u, longest, section)          \
	[ISCSI_KEY_##id] = {.name = key,              \
			    .kind = ISCSI_KIND_##k,   \
			    .use = u,                 \
			    .value_max = longest,     \
			    .max = UINT32_MAX,        \
			    .off = ISCSI_KEY_NOWHERE, \
			    .rfc = section}

/* clang-format off */
const struct iscsi_key_def iscsi_keys[ISCSI_KEY_MAX] = {
	KEY(SESSION_TYPE, "SessionType", TEXT, LO | BOTH, TEXT_MAX, "7143 13.21"),
	KEY(INITIATOR_NAME, "InitiatorName", TEXT, BOTH, GW_NAME_MAX, "7143 13.5"),
	KEY(INITIATOR_ALIAS, "InitiatorAlias", TEXT, BOTH | FFP, TEXT_MAX, "7143 13.7"),
	KEY(TARGET_NAME, "TargetName", TEXT, BOTH, GW_NAME_MAX, "7143 13.4"),
	KEY(TARGET_ALIAS, "TargetAlias", TARGETS, BOTH | FFP, TEXT_MAX, "7143 13.6"),
	KEY(TARGET_ADDRESS, "TargetAddress", TARGETS, BOTH | FFP, TEXT_MAX, "7143 13.8"),
	KEY(TPGT, "TargetPortalGroupTag", TARGETS, BOTH, TEXT_MAX, "7143 13.9"),
	KEY(SEND_TARGETS, "SendTargets", REQUEST, FFP, TEXT_MAX, "7143 13.3"),
	KEY(AUTH_METHOD, "AuthMethod", LIST, SEC, TEXT_MAX, "7143 12.1"),
	KEY(CHAP_A, "CHAP_A", AUTH, SEC, TEXT_MAX, "7143 12.1.3"),
	KEY(CHAP_I, "CHAP_I", AUTH, SEC, TEXT_MAX, "7143 12.1.3"),
	KEY(CHAP_C, "CHAP_C", AUTH, SEC, BIN_MAX, "7143 12.1.3"),
	KEY(CHAP_N, "CHAP_N", AUTH, SEC, TEXT_MAX, "7143 12.1.3"),
	KEY(CHAP_R, "CHAP_R", AUTH, SEC, BIN_MAX, "7143 12.1.3"),
	KEY_AT(RDMA_EXTENSIONS, "RDMAExtensions", AND, LO | NORM | OPER, 0, 1, 0,
	       rdma_extensions, "7145 6.3"),
	KEY_AT(HEADER_DIGEST, "HeaderDigest", LIST, OPER, 0, 1, 0, header_digest, "7143 13.1"),
	KEY_AT(DATA_DIGEST, "DataDigest", LIST, OPER, 0, 1, 0, data_digest, "7143 13.1"),
	KEY_AT(MAX_CONNECTIONS, "MaxConnections", MINIMUM, LO | NORM | OPER, 1, 65535, 1,
	       max_connections, "7143 13.2"),
	KEY_AT(INITIAL_R2T, "InitialR2T", OR, LO | NORM | OPER, 0, 1, 1, initial_r2t, "7143 13.10"),
	KEY_AT(IMMEDIATE_DATA, "ImmediateData", AND, LO | NORM | OPER, 0, 1, 1,
	       immediate_data, "7143 13.11"),
	KEY_AT(MAX_RECV_DSL, "MaxRecvDataSegmentLength", NUMBER, OPER | FFP,
	       DSL_MIN, ISCSI_DSL_MAX, ISCSI_LOGIN_DSL, max_xmit_dsl, "7143 13.12"),
	KEY_AT(MAX_BURST, "MaxBurstLength", MINIMUM, LO | NORM | OPER, DSL_MIN, ISCSI_DSL_MAX,
	       262144, max_burst, "7143 13.13"),
	KEY_AT(FIRST_BURST, "FirstBurstLength", MINIMUM, LO | NORM | OPER, DSL_MIN, ISCSI_DSL_MAX,
	       65536, first_burst, "7143 13.14"),
	KEY_AT(TIME2WAIT, "DefaultTime2Wait", MAXIMUM, LO | OPER, 0, TIME_MAX, 2,
	       time2wait, "7143 13.15"),
	KEY_AT(TIME2RETAIN, "DefaultTime2Retain", MINIMUM, LO | OPER, 0, TIME_MAX, 20,
	       time2retain, "7143 13.16"),
	KEY_AT(MAX_OUTSTANDING_R2T, "MaxOutstandingR2T", MINIMUM, LO | NORM | OPER, 1, 65535, 1,
	       max_outstanding_r2t, "7143 13.17"),
	KEY_AT(DATA_PDU_IN_ORDER, "DataPDUInOrder", OR, LO | NORM | OPER, 0, 1, 1,
	       data_pdu_in_order, "7143 13.18"),
	KEY_AT(DATA_SEQUENCE_IN_ORDER, "DataSequenceInOrder", OR, LO | NORM | OPER, 0, 1, 1,
	       data_sequence_in_order, "7143 13.19"),
	KEY_AT(ERROR_RECOVERY_LEVEL, "ErrorRecoveryLevel", MINIMUM, LO | OPER, 0, 2, 0,
	       erl, "7143 13.20"),
	KEY(TASK_REPORTING, "TaskReporting", LIST, LO | NORM | OPER, TEXT_MAX, "7143 13.23"),
	KEY_AT(PROTOCOL_LEVEL, "iSCSIProtocolLevel", MINIMUM, LO | NORM | OPER, 0, 31, 1,
	       protocol_level, "7143 13.24, 7144 7.1.1"),
	KEY(IF_MARKER, "IFMarker", NO, OPER, TEXT_MAX, "7143 13.25"),
	KEY(OF_MARKER, "OFMarker", NO, OPER, TEXT_MAX, "7143 13.25"),
	KEY(IF_MARK_INT, "IFMarkInt", REJECT, OPER, TEXT_MAX, "7143 13.25"),
	KEY(OF_MARK_INT, "OFMarkInt", REJECT, OPER, TEXT_MAX, "7143 13.25"),
	KEY(NODE_ARCHITECTURE, "X#NodeArchitecture", TEXT, LO | BOTH | FFP, TEXT_MAX, "7143 13.26"),
	KEY_AT(TARGET_RECV_DSL, "TargetRecvDataSegmentLength", MINIMUM, LO | NORM | ISER | OPER,
	       DSL_MIN, ISCSI_DSL_MAX, ISCSI_LOGIN_DSL, target_recv_dsl, "7145 6.4"),
	KEY_AT(INITIATOR_RECV_DSL, "InitiatorRecvDataSegmentLength", MINIMUM,
	       LO | NORM | ISER | OPER, DSL_MIN, ISCSI_DSL_MAX, ISCSI_LOGIN_DSL,
	       initiator_recv_dsl, "7145 6.5"),
	KEY_AT(MAX_UNEXPECTED_PDUS, "MaxOutstandingUnexpectedPDUs", NUMBER, LO | NORM | ISER | OPER,
	       0, UINT32_MAX, 0, max_unexpected_pdus, "7145 6.7"),
	KEY(MAX_AHS_LENGTH, "MaxAHSLength", NUMBER, LO | NORM | ISER | OPER, TEXT_MAX, "7145 6.8"),
	KEY(TAGGED_BUFFER, "TaggedBufferForSolicitedDataOnly", FLAG, LO | NORM | ISER | OPER,
	    TEXT_MAX, "7145 6.9"),
	KEY_AT(ISER_HELLO, "iSERHelloRequired", FLAG, LO | NORM | ISER | OPER, 0, 1, 0,
	       iser_hello, "7145 6.10"),
};
/* clang-format on */

_Static_assert(ISCSI_KEY_MAX <= 64, "sets of keys are 64-bit masks");

enum iscsi_key
iscsi_key_find(const char *name)
{
	enum iscsi_key k = 0;

	while (k < ISCSI_KEY_MAX && strcmp(iscsi_keys[k].name, name) != 0)
		k++;
	return k;
}

void
iscsi_params_default(struct iscsi_params *p)
{
	memset(p, 0, sizeof(*p));
	for (unsigned k = 0; k < ISCSI_KEY_MAX; k++) {
		const struct iscsi_key_def *def = &iscsi_keys[k];
		uint8_t *at = (uint8_t *)p + def->off;

		if (def->off == ISCSI_KEY_NOWHERE)
			continue;
		if (def->kind == ISCSI_KIND_MINIMUM || def->kind == ISCSI_KIND_MAXIMUM ||
		    def->kind == ISCSI_KIND_NUMBER)
			memcpy(at, &def->def, sizeof(def->def));
		else
			*(bool *)at = def->def;
	}
	p->max_recv_dsl = ISCSI_LOGIN_DSL;
}

/* One known key into the set; false with the reason. */
static bool
take(enum iscsi_key k, const char *value, enum iscsi_stage stage, uint64_t *seen,
     struct iscsi_keyset *set, char *why, size_t why_size)
{
	static const char *const stages[] = {"security negotiation", "operational negotiation", "",
					     "full feature phase"};
	const struct iscsi_key_def *def = &iscsi_keys[k];

	if (!(def->use & 1u << stage)) {
		snprintf(why, why_size, "key %s has no place in %s", def->name, stages[stage]);
		return false;
	}
	if (*seen & 1ull << k) {
		snprintf(why, why_size, "key %s came twice", def->name);
		return false;
	}
	if (strlen(value) > def->value_max) {
		snprintf(why, why_size, "the value of key %s is longer than %u bytes", def->name,
			 def->value_max);
		return false;
	}
	for (const char *p = value; *p; p++) {
		if ((uint8_t)*p < 0x20 || *p == 0x7f) {
			snprintf(why, why_size, "the value of key %s has a control character",
				 def->name);
			return false;
		}
	}
	*seen |= 1ull << k;
	set->value[k] = value;
	return true;
}

bool
iscsi_keys_read(char *text, size_t len, enum iscsi_stage stage, uint64_t *seen,
		struct iscsi_keyset *set, struct iscsi_text_out *out, char *why, size_t why_size)
{
	struct iscsi_text_in in;
	const char *key, *value;

	memset(set, 0, sizeof(*set));
	iscsi_text_in_init(&in, text, len);
	for (;;) {
		enum iscsi_key k;

		switch (iscsi_text_next(&in, &key, &value)) {
		case ISCSI_TEXT_END:
			return true;
		case ISCSI_TEXT_BAD:
			snprintf(why, why_size, "malformed key=value text");
			return false;
		case ISCSI_TEXT_PAIR:
			break;
		}
		k = iscsi_key_find(key);
		if (k < ISCSI_KEY_MAX) {
			if (!take(k, value, stage, seen, set, why, why_size))
				return false;
			continue;
		}
		if (!iscsi_text_is_reply(value))
			iscsi_text_add(out, key, "NotUnderstood");
		if (out->full) {
			snprintf(why, why_size, "too many unknown keys to answer them all");
			return false;
		}
	}
}
