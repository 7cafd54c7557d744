/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * TransportIDs of iSCSI (SPC-4 7.6.4.6): how parameter lists of PERSISTENT RESERVE OUT and answers
 * of PERSISTENT RESERVE IN name an initiator.
 */
#ifndef GW_SCSI_TRANSPORT_ID_H
#define GW_SCSI_TRANSPORT_ID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/api/model.h"

/* The largest that is built: head, name, ",i,0x", ISID, NUL, padding. */
#define TRANSPORT_ID_MAX 248

struct transport_id {
	char initiator[GW_NAME_MAX + 1]; /* as in gw_nexus: lower case */
	uint8_t isid[6];
	bool port; /* names that initiator port; else all those of the initiator (format 0) */
};

/*
 * Reads the first of a list of which n bytes are there. How many it takes, at least 24; 0: it is
 * none, and *bad is the offset of the byte that is wrong.
 */
size_t transport_id_read(const uint8_t *p, size_t n, struct transport_id *id, size_t *bad);
/* Writes that of an initiator port; bytes. */
size_t transport_id_write(uint8_t buf[TRANSPORT_ID_MAX], const char *initiator,
			  const uint8_t isid[6]);

#endif
