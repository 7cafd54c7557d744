/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * iSER on the wire (RFC 7145): the header in front of each iSCSI PDU that is sent, the Hello Messages,
 * and what the two sides tell each other while the RDMA connection is made. Bytes only; any thread.
 */
#ifndef ISER_PROTO_H
#define ISER_PROTO_H

#include <stdbool.h>
#include <stdint.h>

#include "iscsi/proto.h"
#include "iscsi/wire.h"

#define ISER_HEADER_LEN  28
#define ISER_HEAD_LEN    (ISER_HEADER_LEN + ISCSI_BHS_LEN) /* in front of all that varies in length */
#define ISER_HELLO_LEN   4  /* of what a Hello Message says */
#define ISER_VERSION     10 /* 9.3 */
#define ISER_CM_LEN      4

/* One SEND of the initiator; points into the receive buffer. */
struct iser_send {
	bool hello; /* a Hello Message; of the rest only what it says is filled */
	uint8_t max_ver, min_ver;
	uint16_t ird; /* RDMA Reads that the initiator serves at once */

	struct iscsi_remote out; /* the data of a write: we read it (Write STag, 9.2) */
	struct iscsi_remote in;  /* the data of a read: we write it (Read STag) */
	const uint8_t *bhs;     /* 48 bytes */
	const uint8_t *ahs;     /* the additional header segments, as long as the header says */
	const uint8_t *data;    /* the data segment, of `len` bytes */
	uint32_t len;
};

/*
 * What came in n bytes: the first ISER_HEAD_LEN of them at head, the others at rest. NULL, or what is
 * wrong, a constant for the log: it is shorter than it says, or is none of these.
 */
const char *iser_send_parse(const uint8_t *head, const uint8_t *rest, uint32_t n,
			    struct iser_send *s);

/* The header of a PDU of ours: ISER_HEADER_LEN bytes. A target advertises no memory (9.2). */
void iser_header_put(uint8_t *p);
/*
 * The answer to a Hello Message (9.4), ISER_HEADER_LEN bytes: ord is how many RDMA Reads we have under
 * way at most. False: the versions do not meet, and it says so.
 */
bool iser_hello_reply_put(uint8_t *p, const struct iser_send *hello, uint16_t ord);

/*
 * The message in the private data of the connection request and of its reply, for InfiniBand and
 * RoCE (InfiniBand Architecture, annex A12): what the sender cannot do.
 */
struct iser_cm {
	bool no_zbva;     /* registrations whose addresses begin at 0 */
	bool no_send_inv; /* SEND with invalidate */
};

/* Of n bytes at p; 0 and NULL, as from iWARP: the sender can neither. */
struct iser_cm iser_cm_parse(const uint8_t *p, uint32_t n);
/* ISER_CM_LEN bytes. */
void iser_cm_put(uint8_t *p, struct iser_cm cm);

#endif
