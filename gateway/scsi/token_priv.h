/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tokens of offloaded data transfer (SPC-4 5.16.6): each stands for ranges of one LU as they were
 * when it was made. The view of the LU lists them, so that every core sees whether a write touches
 * one: then the token is revoked before the write begins (type 00800001h: point in time copy,
 * change vulnerable). They end with the LU, after a time without use, or to make room.
 */
#ifndef GW_SCSI_TOKEN_PRIV_H
#define GW_SCSI_TOKEN_PRIV_H

#include "gateway/scsi/scsi_priv.h"

#define TOKEN_LEN    512
#define TOKEN_AT     16 /* in the list of WRITE USING TOKEN */
#define TOKEN_RANGES 64
/* What one token stands for, or one WRITE USING TOKEN writes. */
#define TOKEN_BYTES   (256ull << 20)
#define TOKEN_OPTIMAL (64ull << 20)
#define TOKEN_TIMEOUT 30 /* s without use */
#define TOKEN_LONGEST 600

#define TOKEN_TYPE_PIT      0x00800000u /* as the copy manager likes best */
#define TOKEN_TYPE_PIT_VULN 0x00800001u /* what ours are */
#define TOKEN_TYPE_PIT_ANY  0x0080ffffu
#define TOKEN_TYPE_ZERO     0xffff0001u

#define SENSE_TOKEN_UNKNOWN SENSE(0x5, 0x2304)
#define SENSE_TOKEN_REVOKED SENSE(0x5, 0x2306)
#define SENSE_TOKEN_EXPIRED SENSE(0x5, 0x2307)
#define SENSE_TOKEN_DELETED SENSE(0x5, 0x2309)
#define SENSE_TOKEN_LENGTH  SENSE(0x5, 0x230a)

struct token_range {
	uint64_t off, len; /* bytes */
};

struct scsi_token {
	struct scsi_change ch;      /* that shows it to all cores */
	struct scsi_token *dropped; /* those that made room for it */
	uint8_t key[TOKEN_LEN];
	uint8_t shift;           /* log2 of the block size */
	uint64_t bytes, timeout; /* timeout: ns */
	_Atomic uint64_t used;   /* core->now */
	_Atomic bool revoked, deleted;
	unsigned nrange;
	struct token_range range[TOKEN_RANGES];
};

/* What the parameter lists of POPULATE TOKEN and WRITE USING TOKEN say: odx_param.c. */
struct odx_list {
	uint32_t timeout; /* s */
	uint64_t offset;  /* blocks, into what the token stands for */
	uint64_t bytes;
	unsigned nrange, ranges_at;
	uint8_t shift; /* log2 of the block size that the ranges were checked with */
	bool is_short; /* the token has less: `bytes` is what it has */
	bool deletes;  /* the token is of no use afterwards */
};

bool scsi_odx_parse(struct gw_cmd *cmd, struct odx_list *list);
/* A range of a list that was parsed. */
struct token_range scsi_odx_range(const struct gw_cmd *cmd, const struct odx_list *list,
				  unsigned i);

/* Own core of the command: a token for these ranges of its LU; NULL: no memory. */
struct scsi_token *scsi_token_new(const struct gw_cmd *cmd, const struct odx_list *list);
/* Home core: shows it; done() owns the change again. */
void scsi_token_show(struct scsi_token *t, struct gw_cmd *cmd, void (*done)(struct scsi_change *));
/* In done(): those that made room are forgotten. */
void scsi_token_shown(struct scsi_token *t);
/* The token at byte `at` of the data-out among those of that view, NULL if it is not there. */
struct scsi_token *scsi_token_find(const struct scsi_view *v, const struct gw_cmd *cmd,
				   uint64_t at);
void scsi_token_delete(struct scsi_token *t);
/* 0, or why it does not stand for its data any more. */
uint32_t scsi_token_sense(const struct scsi_token *t, uint64_t now);

#endif
