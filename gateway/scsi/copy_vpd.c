/* SPDX-License-Identifier: BSD-3-Clause */
/* The third-party copy VPD page (SPC-4 7.8.17): what the copy manager can do. */
#include "gateway/scsi/copy_priv.h"

/* Descriptor types. */
enum {
	DESC_TOKEN_LIMITS = 0x0000,
	DESC_COMMANDS = 0x0001,
	DESC_PARAMETERS = 0x0004,
	DESC_DESCRIPTORS = 0x0008,
	DESC_CSCD_IDS = 0x000c,
	DESC_TOKEN_FEATURES = 0x0106,
	DESC_TOKEN_TYPES = 0x0108,
	DESC_GENERAL = 0x8001
};

/* The header of a descriptor of n bytes, padded to four; its data. */
static uint8_t *
put_desc(uint8_t **b, uint16_t type, size_t n)
{
	uint8_t *d = *b;

	n = gw_round_up(n, 4);
	gw_put_be16(d, type);
	gw_put_be16(d + 2, (uint16_t)n);
	*b = d + 4 + n;
	return d + 4;
}

static bool
is_copy_op(const struct scsi_op *op)
{
	return op->opcode == 0x83 || op->opcode == 0x84;
}

/* One command support descriptor for each opcode, with its service actions. */
static void
put_commands(uint8_t **b)
{
	uint8_t list[64], *sas = NULL, *d;
	unsigned n = 0;

	for (unsigned i = 0; i < scsi_nops; i++) {
		const struct scsi_op *op = &scsi_ops[i];

		if (!is_copy_op(op))
			continue;
		BUG(n + 3 > sizeof(list));
		if (!sas || scsi_ops[i - 1].opcode != op->opcode) {
			list[n] = op->opcode;
			sas = &list[n + 1];
			*sas = 0;
			n += 2;
		}
		list[n++] = op->sa;
		++*sas;
	}
	d = put_desc(b, DESC_COMMANDS, 1 + n);
	d[0] = (uint8_t)n;
	memcpy(d + 1, list, n);
}

#define CSCD_ID_TOKEN 0xf800 /* to be told wherever tokens are taken (SPC-4 7.8.17.7) */
#define CSCD_ID_SELF  0xffff

#define FEATURES      44
#define BLOCK_FEATURE 48
#define TYPE_LEN      64
#define TOKEN_IN      0x02
#define TOKEN_OUT     0x01

/* The limits of TOKEN_LIMITS again, in bytes (SPC-4 7.8.17.8). */
static void
put_features(uint8_t **b)
{
	uint8_t *d = put_desc(b, DESC_TOKEN_FEATURES, FEATURES + BLOCK_FEATURE);

	/* REMOTE TOKENS 0: this target's alone. */
	gw_put_be32(d + 16, TOKEN_LONGEST);
	gw_put_be32(d + 20, TOKEN_LONGEST);
	gw_put_be16(d + 42, BLOCK_FEATURE);
	d += FEATURES;
	gw_put_be16(d + 2, BLOCK_FEATURE - 4);
	gw_put_be64(d + 8, TOKEN_BYTES);
	gw_put_be64(d + 16, TOKEN_OPTIMAL);
	gw_put_be64(d + 24, TOKEN_BYTES);
	gw_put_be64(d + 32, TOKEN_OPTIMAL);
}

/* SPC-4 7.8.17.9: what we make, and what we take; no type is better than another. */
static void
put_types(uint8_t **b)
{
	static const struct {
		uint32_t type;
		uint8_t bits;
	} types[] = {{TOKEN_TYPE_PIT_VULN, TOKEN_IN | TOKEN_OUT}, {TOKEN_TYPE_ZERO, TOKEN_IN}};
	uint8_t *d = put_desc(b, DESC_TOKEN_TYPES, 4 + GW_ARRAY_LEN(types) * TYPE_LEN);

	gw_put_be16(d + 2, GW_ARRAY_LEN(types) * TYPE_LEN);
	for (unsigned i = 0; i < GW_ARRAY_LEN(types); i++) {
		gw_put_be32(d + 4 + i * TYPE_LEN, types[i].type);
		d[4 + i * TYPE_LEN + 4] = types[i].bits;
	}
}

unsigned
scsi_copy_vpd(const struct gw_cmd *cmd, uint8_t *start)
{
	static const uint8_t types[] = {XCOPY_B2B, XCOPY_B2B_OFF, XCOPY_IDENT};
	uint8_t shift = scsi_view_of(cmd)->shift, *b = start, *d;

	/* Of block devices (SBC-4 6.6.9): Windows looks for it. */
	d = put_desc(&b, DESC_TOKEN_LIMITS, 32);
	gw_put_be16(d + 6, TOKEN_RANGES);
	gw_put_be32(d + 8, TOKEN_LONGEST);
	gw_put_be32(d + 12, TOKEN_TIMEOUT);
	gw_put_be64(d + 16, TOKEN_BYTES >> shift);
	gw_put_be64(d + 24, TOKEN_OPTIMAL >> shift);
	put_commands(&b);
	d = put_desc(&b, DESC_PARAMETERS, 28);
	gw_put_be16(d + 4, XCOPY_CSCDS);
	gw_put_be16(d + 6, XCOPY_SEGS);
	gw_put_be32(d + 8, XCOPY_LIST_MAX);
	d = put_desc(&b, DESC_DESCRIPTORS, 1 + sizeof(types));
	d[0] = sizeof(types);
	memcpy(d + 1, types, sizeof(types));
	d = put_desc(&b, DESC_CSCD_IDS, 6);
	gw_put_be16(d, 4);
	gw_put_be16(d + 2, CSCD_ID_TOKEN);
	gw_put_be16(d + 4, CSCD_ID_SELF);
	put_features(&b);
	put_types(&b);
	d = put_desc(&b, DESC_GENERAL, 32);
	gw_put_be32(d, COPY_JOBS);
	gw_put_be32(d + 4, COPY_JOBS);
	gw_put_be32(d + 8, XCOPY_SEG_MAX);
	d[12] = shift;
	return (unsigned)(b - start);
}
