/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The copy manager (SPC-4 5.16): one struct scsi_copy for each command that copies, which belongs
 * to the command's core, as do the channels that it reads and writes through. It moves a range in
 * pieces, one at a time, through a buffer that it shares with the other copies of the core.
 */
#ifndef GW_SCSI_COPY_PRIV_H
#define GW_SCSI_COPY_PRIV_H

#include "gateway/scsi/scsi_priv.h"
#include "gateway/scsi/token_priv.h"

#define COPY_PIECE   (512u << 10) /* bytes of one read, and of the write after it */
#define COPY_JOBS    64           /* copies under way on a core */
#define COPY_BUFS    8            /* of which so many move a piece at one time */
#define COPY_RESULTS 64           /* ended copies that a core remembers */
#define ODX_RESULTS  32           /* the same of those with tokens */

/* What one EXTENDED COPY(LID1) may ask for; RECEIVE COPY OPERATING PARAMETERS announces it. */
#define XCOPY_HEADER   16
#define XCOPY_CSCD_LEN 32
#define XCOPY_CSCDS    16
#define XCOPY_SEGS     64
#define XCOPY_LIST_MAX (XCOPY_CSCDS * XCOPY_CSCD_LEN + XCOPY_SEGS * 32)
#define XCOPY_SEG_MAX  (32u << 20) /* bytes of one segment */

/* Descriptor type codes (SPC-4 6.4.5.1, 6.4.6.1). */
#define XCOPY_B2B     0x02 /* block device to block device */
#define XCOPY_B2B_OFF 0x0a /* the same, in bytes */
#define XCOPY_IDENT   0xe4 /* CSCD named by a designator */

#define SENSE_COPY(ascq)      SENSE(0xa, ascq)
#define COPY_NO_MORE          0x0000
#define COPY_UNDERRUN         0x0d04
#define COPY_UNREACHABLE_ID   0x0804
#define COPY_DEVICE_FAILURE   0x0d01
#define COPY_NOT_REACHABLE    0x0d02
#define COPY_WRONG_TYPE       0x0d03
#define COPY_INEXACT          0x260a
#define COPY_GRANULARITY      0x260d
#define SENSE_IN_PROGRESS     SENSE(0x5, 0x0016)
#define SENSE_MANY_CSCDS      SENSE(0x5, 0x2606)
#define SENSE_CSCD_TYPE       SENSE(0x5, 0x2607)
#define SENSE_MANY_SEGMENTS   SENSE(0x5, 0x2608)
#define SENSE_SEGMENT_TYPE    SENSE(0x5, 0x2609)
#define SENSE_INLINE_EXCEEDED SENSE(0x5, 0x260b)

enum {
	COPY_SRC,
	COPY_DST
};

/* One end of the range being copied. */
struct copy_side {
	struct scsi_lu_core *luc;
	uint64_t off;  /* bytes */
	uint8_t shift; /* log2 of the block size that the range was given in */
};

struct copy_buf {
	struct gw_list node;
	uint8_t *mem; /* COPY_PIECE bytes, page-aligned */
};

/* LIST ID USAGE (SPC-4 6.4.3.2). */
enum {
	LIST_ID_HOLD,
	LIST_ID_RESERVED,
	LIST_ID_DISCARD,
	LIST_ID_NONE
};

struct xcopy_list {
	uint8_t list_id, usage;
	unsigned ncscd, nseg;
	unsigned segs_at; /* where the segment descriptors begin */
};

struct scsi_copy {
	struct gw_list node;   /* free, or waits for a buffer */
	struct gw_list active; /* copies of the core */
	struct gw_cmd *cmd;
	struct copy_buf *buf;
	struct be_io io;
	struct iovec iov;
	/* The range: where from, where to, bytes, and how many of them are done. */
	struct copy_side side[2];
	uint64_t len, done;
	bool backwards;     /* from the end, because the two overlap */
	bool writes;        /* the destination's backend has a piece ... */
	uint32_t write_seq; /* ... since then, as scsi_core.abort_seq counts */
	uint8_t failed;     /* COPY_SRC or COPY_DST: whose status the command has */
	void (*ended)(struct scsi_copy *c, bool ok);
	uint64_t moved; /* bytes that all ranges have written */
	/* EXTENDED COPY: the CSCDs, NULL where the session sees no such LU; the next segment. */
	struct xcopy_list list;
	struct scsi_lu_core *cscd[XCOPY_CSCDS];
	unsigned seg, seg_at;
	/* WRITE USING TOKEN: its list, the LU of the token, NULL for zeroes; what is read counts
	 * only if valid() says so afterwards. */
	struct odx_list odx;
	struct scsi_lu_core *held;
	bool (*valid)(struct scsi_copy *c);
};

/* Bytes from the first one on; of a range that is copied from its end they count when all are done.
 */
static inline uint64_t
scsi_copy_in_order(const struct scsi_copy *c)
{
	return c->moved - (c->backwards && c->done < c->len ? c->done : 0);
}

/* What is remembered of a copy that ended: for RECEIVE COPY STATUS and FAILED SEGMENT DETAILS. */
struct copy_result {
	uint64_t nexus; /* its id; 0: free */
	uint64_t lu;	/* its id: the next LU may be made at its address */
	uint8_t list_id, status;
	bool details; /* the sense data was not fetched yet */
	uint8_t sense_len, sense[GW_SENSE_MAX];
	uint16_t segs;
	uint32_t bytes;
};

/* For RECEIVE ROD TOKEN INFORMATION. */
struct odx_result {
	uint64_t nexus; /* its id; 0: free */
	uint64_t lu;	/* its id */
	uint32_t list_id;
	uint8_t sa, status;
	bool runs, has_token;
	uint8_t sense_len, sense[GW_SENSE_MAX];
	uint64_t blocks;
	uint8_t token[TOKEN_LEN];
};

/* What a core has. */
struct scsi_copy_core {
	struct gw_core *core;
	struct gw_list jobs, active; /* free ones, and those under way */
	struct gw_list bufs, waits;  /* free buffers, and copies that wait for one */
	struct gw_hook hook;
	struct copy_result result[COPY_RESULTS];
	unsigned next_result;
	struct odx_result odx[ODX_RESULTS];
	unsigned next_odx;
	struct scsi_copy job[COPY_JOBS];
	struct copy_buf buf[COPY_BUFS];
};

static inline struct scsi_copy_core *
scsi_copy_core_of(const struct gw_cmd *cmd)
{
	return scsi_core_of(cmd->nexus->core)->copy;
}

/* NULL if too many are under way. */
struct scsi_copy *scsi_copy_new(struct gw_cmd *cmd);
void scsi_copy_free(struct scsi_copy *c);
/*
 * Copies side[COPY_SRC] (without LU: zeroes), len bytes, to side[COPY_DST]; then ended() is called.
 * Not ok: the command was aborted, or has the status that the LU side[failed] would have answered
 * with.
 */
void scsi_copy_range(struct scsi_copy *c);
/* Own core (tmf.c): the destination's backend gets a piece; it has come back. */
void scsi_copy_writes(struct scsi_copy *c);
void scsi_copy_wrote(struct scsi_copy *c);
/* While held, the LU does not come to an end, nor does a sanitize operation begin. */
void scsi_copy_hold(struct scsi_lu_core *luc);
void scsi_copy_release(struct scsi_lu_core *luc);

/* The parameter list of EXTENDED COPY(LID1): xcopy_param.c. */

struct xcopy_seg {
	uint8_t type;
	bool dc;        /* count is in blocks of the destination */
	uint16_t id[2]; /* COPY_SRC, COPY_DST: CSCD descriptor IDs */
	uint64_t lba[2];
	uint16_t byte[2]; /* offset into the block */
	uint32_t count;   /* blocks, or bytes for XCOPY_B2B_OFF */
};

/* Checks all that can be without looking at LUs; false: the sense is set. */
bool scsi_xcopy_parse(struct gw_cmd *cmd, struct xcopy_list *list);
/* Reads a segment descriptor of a list that was parsed; where the next one is. */
unsigned scsi_xcopy_segment(const struct gw_cmd *cmd, unsigned at, struct xcopy_seg *s);

/* A CSCD descriptor as far as it names an LU here. */
struct xcopy_cscd {
	bool named; /* by an NAA designator, and is not a null device */
	uint8_t naa[16];
	uint8_t type;     /* peripheral device type */
	uint32_t blk_len; /* bytes, 0: not told */
};

void scsi_xcopy_cscd(const struct gw_cmd *cmd, unsigned i, struct xcopy_cscd *d);

/* Results: copy_result.c. */

/* A copy with that list identifier is under way from this nexus at this LU; NULL: none. */
struct scsi_copy *scsi_copy_find(const struct gw_cmd *cmd, uint8_t list_id);
void scsi_copy_forget(struct gw_cmd *cmd, uint8_t list_id);
void scsi_copy_remember(const struct scsi_copy *c);

/* The same for tokens: odx_info.c. */

/* The command's list identifier belongs to one that is under way. */
bool scsi_odx_busy(const struct gw_cmd *cmd);
void scsi_odx_populates(const struct gw_cmd *cmd, const struct scsi_token *t);
void scsi_odx_populated(const struct gw_cmd *cmd);
void scsi_odx_written(const struct scsi_copy *c);

#endif
