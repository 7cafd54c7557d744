/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The parameter list of EXTENDED COPY(LID1) (SPC-4 6.4.3): its form is checked as a whole before
 * anything is copied. What a descriptor means is found out when it is processed.
 */
#include "gateway/scsi/copy_priv.h"

#define SEG_HEAD 4

/* Length of a segment descriptor of that type, 0 if there is none here. */
static unsigned
seg_len(uint8_t type)
{
	switch (type) {
	case XCOPY_B2B:
		return 28;
	case XCOPY_B2B_OFF:
		return 32;
	default:
		return 0;
	}
}

static bool
parse_cscds(struct gw_cmd *cmd, struct xcopy_list *list, unsigned len)
{
	for (unsigned off = 0; off < len; off += XCOPY_CSCD_LEN) {
		uint8_t type;

		if (!scsi_out_get(cmd, XCOPY_HEADER + off, &type, 1))
			return scsi_check(cmd, SENSE_PARAM_LENGTH);
		if (type != XCOPY_IDENT)
			return scsi_check(cmd, SENSE_CSCD_TYPE);
		if (len - off < XCOPY_CSCD_LEN)
			return scsi_check_param(cmd, 2, 7);
		if (list->ncscd++ == XCOPY_CSCDS)
			return scsi_check(cmd, SENSE_MANY_CSCDS);
	}
	list->segs_at = XCOPY_HEADER + len;
	return true;
}

static bool
parse_segments(struct gw_cmd *cmd, struct xcopy_list *list, unsigned len)
{
	uint8_t d[SEG_HEAD];

	for (unsigned off = 0, n; off < len; off += n) {
		unsigned at = list->segs_at + off;

		if (len - off < SEG_HEAD)
			return scsi_check_param(cmd, 8, 7);
		if (!scsi_out_get(cmd, at, d, SEG_HEAD))
			return scsi_check(cmd, SENSE_PARAM_LENGTH);
		n = seg_len(d[0]);
		if (!n)
			return scsi_check(cmd, SENSE_SEGMENT_TYPE);
		/* FCO, for which there is nothing faster here, and what is reserved. */
		if (d[1] & 0xfc)
			return scsi_check_param_bits(cmd, at + 1, d[1]);
		if (gw_be16(d + 2) != n - SEG_HEAD)
			return scsi_check_param(cmd, at + 2, 7);
		if (n > len - off)
			return scsi_check_param(cmd, 8, 7);
		if (list->nseg++ == XCOPY_SEGS)
			return scsi_check(cmd, SENSE_MANY_SEGMENTS);
	}
	return true;
}

bool
scsi_xcopy_parse(struct gw_cmd *cmd, struct xcopy_list *list)
{
	uint8_t h[XCOPY_HEADER];
	uint64_t cscds, segs, inlined;

	memset(list, 0, sizeof(*list));
	if (!scsi_out_get(cmd, 0, h, XCOPY_HEADER))
		return scsi_check(cmd, SENSE_PARAM_LENGTH);
	list->list_id = h[0];
	list->usage = h[1] >> 3 & 3;
	cscds = gw_be16(h + 2);
	segs = gw_be32(h + 8);
	inlined = gw_be32(h + 12);
	if (cscds + segs > XCOPY_LIST_MAX)
		return scsi_check(cmd, SENSE_PARAM_LENGTH);
	if (inlined)
		return scsi_check(cmd, SENSE_INLINE_EXCEEDED);
	if (XCOPY_HEADER + cscds + segs > cmd->out_len)
		return scsi_check(cmd, SENSE_PARAM_LENGTH);
	if (list->usage == LIST_ID_RESERVED)
		return scsi_check_param(cmd, 1, 4);
	if (list->usage == LIST_ID_NONE && list->list_id)
		return scsi_check_param(cmd, 0, 7);
	return parse_cscds(cmd, list, (unsigned)cscds) && parse_segments(cmd, list, (unsigned)segs);
}

unsigned
scsi_xcopy_segment(const struct gw_cmd *cmd, unsigned at, struct xcopy_seg *s)
{
	uint8_t d[32] = {0};
	unsigned n;

	scsi_out_get(cmd, at, d, 1);
	n = seg_len(d[0]);
	BUG(!n || !scsi_out_get(cmd, at, d, n));
	*s = (struct xcopy_seg){.type = d[0],
				.dc = d[1] & 0x02,
				.id = {gw_be16(d + 4), gw_be16(d + 6)},
				.lba = {gw_be64(d + 12), gw_be64(d + 20)}};
	if (d[0] == XCOPY_B2B_OFF) {
		s->count = gw_be32(d + 8);
		s->byte[COPY_SRC] = gw_be16(d + 28);
		s->byte[COPY_DST] = gw_be16(d + 30);
	} else {
		s->count = gw_be16(d + 10);
	}
	return at + n;
}

void
scsi_xcopy_cscd(const struct gw_cmd *cmd, unsigned i, struct xcopy_cscd *d)
{
	uint8_t b[XCOPY_CSCD_LEN];

	BUG(!scsi_out_get(cmd, XCOPY_HEADER + i * XCOPY_CSCD_LEN, b, sizeof(b)));
	/* Binary, of the LU, NAA, 16 bytes (SPC-4 7.8.6.6). LU ID TYPE is ignored (6.4.5.1). */
	d->named = !(b[1] & 0x20) && (b[4] & 0x0f) == 1 && (b[5] & 0x3f) == 3 && b[7] == 16;
	memcpy(d->naa, b + 8, 16);
	d->type = b[1] & 0x1f;
	d->blk_len = gw_be32(b + 28) & 0xffffff;
}
