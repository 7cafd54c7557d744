/* SPDX-License-Identifier: BSD-3-Clause */
/* Shape of a PDU: lengths, additional header segments, header copies. Any thread. */
#ifndef ISCSI_PDU_H
#define ISCSI_PDU_H

#include <stdbool.h>
#include <stdint.h>

#include "gateway/base/bytes.h"
#include "iscsi/proto.h"

#define ISCSI_HEAD_MAX (ISCSI_BHS_LEN + ISCSI_AHS_MAX + ISCSI_DIGEST_LEN)

static inline uint8_t
iscsi_opcode(const uint8_t *bhs)
{
	return bhs[ISCSI_AT_OPCODE] & ISCSI_OP_MASK;
}

static inline bool
iscsi_immediate(const uint8_t *bhs)
{
	return bhs[ISCSI_AT_OPCODE] & ISCSI_OP_IMMEDIATE;
}

/* Bytes of all additional header segments, 11.2.1.5. */
static inline uint32_t
iscsi_ahs_len(const uint8_t *bhs)
{
	return bhs[ISCSI_AT_AHSLEN] * 4u;
}

static inline uint32_t
iscsi_dsl(const uint8_t *bhs)
{
	return gw_be24(bhs + ISCSI_AT_DSL);
}

/*
 * The CDB of a SCSI Command: 16 bytes of the BHS and what an extended CDB AHS adds (11.2.2.3).
 * Other AHS types are skipped. False if the segments do not add up or the CDB is longer than max.
 */
bool iscsi_pdu_cdb(const uint8_t *bhs, const uint8_t *ahs, uint8_t *cdb, uint32_t max,
		   uint8_t *len);

#endif
