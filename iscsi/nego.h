/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The operational keys (RFC 7143 13, 6.2): what the initiator offers and what the target wants become
 * the values in force. Bytes and numbers only; the stage machine is login.c.
 */
#ifndef ISCSI_NEGO_H
#define ISCSI_NEGO_H

#include "gateway/api/model.h"
#include "iscsi/keys.h"

/* PDUs beyond the command window that a connection over RDMA has RECVs for (RFC 7145 6.7, 8.1.1). */
#define ISCSI_UNEXPECTED_PDUS 16

struct iscsi_nego {
	struct iscsi_params mine; /* what we want, each value within its key's range */
	uint32_t max_xmit_dsl;	  /* the most that we send in one PDU */
	uint8_t digests[2];	  /* header, data: bit 0 None, bit 1 CRC32C */
	bool discovery, iser, leading;
	bool declared;		  /* our MaxRecvDataSegmentLength is out */
	uint64_t offered;	  /* keys that we offered ourselves: what comes next is the answer */
};

/*
 * `want` is the target's, NULL in a discovery session. max_recv_dsl: what the transport can take.
 * leading: not for adding or replacing a connection of a session. Sets *active to the defaults.
 */
void iscsi_nego_init(struct iscsi_nego *n, const struct gw_target_params *want,
		     uint32_t max_recv_dsl, bool iser, bool leading, struct iscsi_params *active);

/*
 * Works on all operational keys of a step: *active changes, answers go to out. False with a reason if
 * the initiator has broken a rule that ends the login.
 */
bool iscsi_nego_step(struct iscsi_nego *n, const struct iscsi_keyset *set, uint64_t seen,
		     struct iscsi_params *active, struct iscsi_text_out *out, char *why,
		     size_t why_size);

/* Declares our MaxRecvDataSegmentLength, once, unless iSER has its own (RFC 7145 6.2). */
void iscsi_nego_declare(struct iscsi_nego *n, struct iscsi_params *active,
			struct iscsi_text_out *out);

/*
 * The initiator wants to end operational negotiation. A digest that the target demands and that was
 * not spoken of is offered now: true means that this added something to out, and the stage goes on.
 */
bool iscsi_nego_offer(struct iscsi_nego *n, uint64_t seen, struct iscsi_text_out *out);

/* The end: false with a reason if what is in force is not what the target demands. */
bool iscsi_nego_end(const struct iscsi_nego *n, struct iscsi_params *active, char *why,
		    size_t why_size);

/* A MaxRecvDataSegmentLength of the initiator, at any time; false: not a legal value. */
bool iscsi_nego_max_xmit(const char *value, uint32_t limit, struct iscsi_params *active);

#endif
