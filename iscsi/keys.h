/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every text key that we know, as one table: RFC 7143 13 and 12.1, RFC 7144 7, RFC 7145 6. The table
 * drives reading, the checks of stage and range, and the merging of values.
 */
#ifndef ISCSI_KEYS_H
#define ISCSI_KEYS_H

#include <stdbool.h>
#include <stdint.h>

#include "iscsi/params.h"
#include "iscsi/proto.h"
#include "iscsi/text.h"

/*
 * In the order in which the keys of one negotiation step are worked on, whatever their order on the
 * wire: what others depend on comes first.
 */
enum iscsi_key {
	ISCSI_KEY_SESSION_TYPE,
	ISCSI_KEY_INITIATOR_NAME,
	ISCSI_KEY_INITIATOR_ALIAS,
	ISCSI_KEY_TARGET_NAME,
	ISCSI_KEY_TARGET_ALIAS,
	ISCSI_KEY_TARGET_ADDRESS,
	ISCSI_KEY_TPGT,
	ISCSI_KEY_SEND_TARGETS,
	ISCSI_KEY_AUTH_METHOD,
	ISCSI_KEY_CHAP_A,
	ISCSI_KEY_CHAP_I,
	ISCSI_KEY_CHAP_C,
	ISCSI_KEY_CHAP_N,
	ISCSI_KEY_CHAP_R,
	ISCSI_KEY_RDMA_EXTENSIONS, /* from here on: negotiated by nego.c */
	ISCSI_KEY_HEADER_DIGEST,
	ISCSI_KEY_DATA_DIGEST,
	ISCSI_KEY_MAX_CONNECTIONS,
	ISCSI_KEY_INITIAL_R2T,
	ISCSI_KEY_IMMEDIATE_DATA,
	ISCSI_KEY_MAX_RECV_DSL,
	ISCSI_KEY_MAX_BURST,
	ISCSI_KEY_FIRST_BURST,
	ISCSI_KEY_TIME2WAIT,
	ISCSI_KEY_TIME2RETAIN,
	ISCSI_KEY_MAX_OUTSTANDING_R2T,
	ISCSI_KEY_DATA_PDU_IN_ORDER,
	ISCSI_KEY_DATA_SEQUENCE_IN_ORDER,
	ISCSI_KEY_ERROR_RECOVERY_LEVEL,
	ISCSI_KEY_TASK_REPORTING,
	ISCSI_KEY_PROTOCOL_LEVEL,
	ISCSI_KEY_IF_MARKER,
	ISCSI_KEY_OF_MARKER,
	ISCSI_KEY_IF_MARK_INT,
	ISCSI_KEY_OF_MARK_INT,
	ISCSI_KEY_NODE_ARCHITECTURE,
	ISCSI_KEY_TARGET_RECV_DSL,
	ISCSI_KEY_INITIATOR_RECV_DSL,
	ISCSI_KEY_MAX_UNEXPECTED_PDUS,
	ISCSI_KEY_MAX_AHS_LENGTH,
	ISCSI_KEY_TAGGED_BUFFER,
	ISCSI_KEY_ISER_HELLO,
	ISCSI_KEY_MAX, /* at most 64: sets of keys are bit masks */
};

enum iscsi_key_kind {
	ISCSI_KIND_MINIMUM, /* number: the smaller of both (6.2.2) */
	ISCSI_KIND_MAXIMUM,
	ISCSI_KIND_AND, /* Yes/No */
	ISCSI_KIND_OR,
	ISCSI_KIND_LIST,    /* first of the offered values that we support (6.2.1) */
	ISCSI_KIND_NUMBER,  /* declared number, no answer */
	ISCSI_KIND_FLAG,    /* declared Yes/No, no answer */
	ISCSI_KIND_TEXT,    /* declared text, no answer */
	ISCSI_KIND_AUTH,    /* a step of an authentication method */
	ISCSI_KIND_REQUEST, /* SendTargets */
	ISCSI_KIND_TARGETS, /* only a target may send it */
	ISCSI_KIND_NO,	    /* obsolete (13.25): "No" */
	ISCSI_KIND_REJECT,  /* obsolete (13.25): "Reject" */
};

/* Where a key may come from an initiator, and what else limits it. */
enum {
	ISCSI_USE_SECURITY = 1 << ISCSI_STAGE_SECURITY,
	ISCSI_USE_OPERATIONAL = 1 << ISCSI_STAGE_OPERATIONAL,
	ISCSI_USE_FULL = 1 << ISCSI_STAGE_FULL,
	ISCSI_USE_LOGIN = ISCSI_USE_SECURITY | ISCSI_USE_OPERATIONAL,
	ISCSI_USE_NORMAL = 1 << 4,  /* Irrelevant in discovery sessions */
	ISCSI_USE_ISER = 1 << 5,    /* Irrelevant unless RDMAExtensions=Yes */
	ISCSI_USE_LEADING = 1 << 6, /* Irrelevant but in the leading login of a session */
};

#define ISCSI_KEY_NOWHERE 0xffff

struct iscsi_key_def {
	const char *name;
	uint8_t kind, use;
	uint16_t value_max; /* bytes */
	uint32_t min, max, def; /* legal range and default; Yes is 1 */
	uint16_t off;	    /* in struct iscsi_params: bool, or uint32_t for numbers; or NOWHERE */
	const char *rfc;    /* section */
};

extern const struct iscsi_key_def iscsi_keys[ISCSI_KEY_MAX];

/* Key of that name (case counts, 6.1), ISCSI_KEY_MAX if we know none. */
enum iscsi_key iscsi_key_find(const char *name);

/* All parameters at the defaults of the table. */
void iscsi_params_default(struct iscsi_params *p);

/* The known keys of one negotiation step; values point into the text they were read from. */
struct iscsi_keyset {
	const char *value[ISCSI_KEY_MAX]; /* NULL: not there */
};

/*
 * Reads a whole step of len bytes (text[len] is writable). Keys not to be used in `stage`, malformed
 * pairs, over-long values, and keys that are in *seen already (6.2: nothing is negotiated twice) make
 * it fail with one sentence in why; keys that we do not know are answered NotUnderstood (6.2). What was
 * read is added to *seen. false also if the answers do not fit.
 */
bool iscsi_keys_read(char *text, size_t len, enum iscsi_stage stage, uint64_t *seen,
		     struct iscsi_keyset *set, struct iscsi_text_out *out, char *why,
		     size_t why_size);

#endif
