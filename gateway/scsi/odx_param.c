/* SPDX-License-Identifier: BSD-3-Clause */
/* The parameter lists of POPULATE TOKEN and WRITE USING TOKEN (SBC-4 5.10.2, 5.48.2). */
#include "gateway/scsi/copy_priv.h"

#define SA_POPULATE   0x10
#define POPULATE_HEAD 16
#define WRITE_HEAD    536
#define DESC          16u
#define RTV           0x02 /* POPULATE TOKEN */
#define DEL_TKN       0x02 /* WRITE USING TOKEN */

bool
scsi_odx_prep(struct gw_cmd *cmd)
{
	if (cmd->data_len <= WRITE_HEAD + 2 * TOKEN_RANGES * DESC)
		return true;
	return scsi_check(cmd, SENSE_PARAM_LENGTH);
}

struct token_range
scsi_odx_range(const struct gw_cmd *cmd, const struct odx_list *list, unsigned i)
{
	uint8_t d[DESC];

	BUG(!scsi_out_get(cmd, list->ranges_at + (uint64_t)i * DESC, d, DESC));
	return (struct token_range){gw_be64(d) << list->shift, (uint64_t)gw_be32(d + 8)
								   << list->shift};
}

/* No block may be named twice. */
static bool
overlaps(const struct gw_cmd *cmd, const struct odx_list *list, unsigned i)
{
	struct token_range r = scsi_odx_range(cmd, list, i);

	for (unsigned k = 0; k < i; k++) {
		struct token_range q = scsi_odx_range(cmd, list, k);

		if (r.off < q.off + q.len && q.off < r.off + r.len)
			return true;
	}
	return false;
}

static bool
parse_ranges(struct gw_cmd *cmd, struct odx_list *list, unsigned len)
{
	const struct scsi_view *v = scsi_view_of(cmd);
	uint8_t d[DESC];

	/* What is left of an incomplete descriptor is ignored. */
	list->nrange = len / DESC;
	if (!list->nrange)
		return scsi_check_param(cmd, list->ranges_at - 2, 7);
	if (list->nrange > TOKEN_RANGES)
		return scsi_check(cmd, SENSE_MANY_SEGMENTS);
	for (unsigned i = 0; i < list->nrange; i++) {
		if (!scsi_out_get(cmd, list->ranges_at + i * DESC, d, DESC))
			return scsi_check(cmd, SENSE_PARAM_LENGTH);
		if (!gw_range_ok(gw_be64(d), gw_be32(d + 8), v->nblk))
			return scsi_check(cmd, SENSE_LBA_RANGE);
		if (overlaps(cmd, list, i))
			return scsi_check_param(cmd, list->ranges_at + i * DESC, 7);
		list->bytes += (uint64_t)gw_be32(d + 8) << list->shift;
	}
	/* The sum is what one command works on. */
	return list->bytes <= TOKEN_BYTES || scsi_check_param(cmd, list->ranges_at + 8, 7);
}

static bool
parse_populate(struct gw_cmd *cmd, struct odx_list *list, const uint8_t *h)
{
	uint32_t type = gw_be32(h + 8);

	list->timeout = gw_be32(h + 4) ? gw_be32(h + 4) : TOKEN_TIMEOUT;
	if (list->timeout > TOKEN_LONGEST)
		return scsi_check_param(cmd, 4, 7);
	if ((h[2] & RTV) && type != TOKEN_TYPE_PIT && type != TOKEN_TYPE_PIT_VULN &&
	    type != TOKEN_TYPE_PIT_ANY)
		return scsi_check_param(cmd, 8, 7);
	return true;
}

static bool
parse_write(struct gw_cmd *cmd, struct odx_list *list, const uint8_t *h)
{
	uint8_t t[8];

	list->offset = gw_be64(h + 8);
	list->deletes = h[2] & DEL_TKN;
	if (!scsi_out_get(cmd, TOKEN_AT, t, sizeof(t)))
		return scsi_check(cmd, SENSE_PARAM_LENGTH);
	return gw_be16(t + 6) == TOKEN_LEN - 8 || scsi_check(cmd, SENSE_TOKEN_LENGTH);
}

bool
scsi_odx_parse(struct gw_cmd *cmd, struct odx_list *list)
{
	bool populate = cmd->op->sa == SA_POPULATE;
	unsigned head = populate ? POPULATE_HEAD : WRITE_HEAD, len;
	uint8_t h[POPULATE_HEAD], l[2];

	memset(list, 0, sizeof(*list));
	list->ranges_at = head;
	list->shift = scsi_view_of(cmd)->shift;
	if (cmd->out_len < head || !scsi_out_get(cmd, 0, h, sizeof(h)) ||
	    !scsi_out_get(cmd, head - 2, l, sizeof(l)))
		return scsi_check(cmd, SENSE_PARAM_LENGTH);
	len = gw_be16(l);
	if (gw_be16(h) + 2u < head + GW_MAX(len, DESC)) /* POPULATE, WRITE ... DATA LENGTH */
		return scsi_check_param(cmd, 0, 7);
	if (head + len > cmd->out_len)
		return scsi_check(cmd, SENSE_PARAM_LENGTH);
	return (populate ? parse_populate : parse_write)(cmd, list, h) &&
	       parse_ranges(cmd, list, len);
}
