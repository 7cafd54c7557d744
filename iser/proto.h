/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * iSER on the wire (RFC 7145): the header in front of each iSCSI PDU that is sent, and what the two
 * sides tell each other while the RDMA connection is made. Bytes only; any thread.
 */
#ifndef ISER_PROTO_H
#define ISER_PROTO_H

#include <stdbool.h>
#include <stdint.h>

#define ISER_HEADER_LEN 28
#define ISER_CM_LEN	4

/*
 * Memory of the initiator that a command moves data to or from: `stag` names it, `at` is where its
 * first byte lies, as the initiator counts. None of it can be trusted: the RDMA device of the
 * initiator checks each access, and the connection ends when one was wrong.
 */
struct iser_memory {
	bool valid;
	uint32_t stag;
	uint64_t at;
};

/* One SEND of the initiator, with an iSCSI PDU in it; points into the receive buffer. */
struct iser_send {
	struct iser_memory out; /* the data of a write: we read it (Write STag, 9.2) */
	struct iser_memory in;  /* the data of a read: we write it (Read STag) */
	const uint8_t *bhs;     /* 48 bytes, then the additional header segments */
	const uint8_t *data;    /* the data segment, of `len` bytes */
	uint32_t len;
};

/*
 * What came in n bytes at p. NULL, or what is wrong, a constant for the log: it is shorter than it
 * says, or is no iSCSI PDU. Hello Messages are refused as well: we do not ask for them (6.7).
 */
const char *iser_send_parse(const uint8_t *p, uint32_t n, struct iser_send *s);

/* The header of a PDU of ours: ISER_HEADER_LEN bytes. A target advertises no memory (9.2). */
void iser_header_put(uint8_t *p);

/*
 * The message in the private data of the connection request and of its reply, for InfiniBand and
 * RoCE (InfiniBand Architecture, annex A12): what the sender cannot do.
 */
struct iser_cm {
	bool no_zbva;     /* registrations whose addresses begin at 0 */
	bool no_send_inv; /* SEND with invalidate */
};

/* Of n bytes at p, 0 and NULL if there were none: then the sender can neither. */
struct iser_cm iser_cm_parse(const uint8_t *p, uint32_t n);
/* ISER_CM_LEN bytes. */
void iser_cm_put(uint8_t *p, struct iser_cm cm);

#endif
