/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * UNMAP (SBC-4 5.35). The whole parameter list is checked before the first block goes; then the
 * ranges are unmapped one after the other, in steps that an abort need not wait long for.
 */
#include "gateway/scsi/scsi_priv.h"

#define HEADER 8
#define DESC   16

struct range {
	uint64_t lba, nblk;
};

static bool
get_desc(const struct gw_cmd *cmd, unsigned i, struct range *r)
{
	uint8_t d[DESC];

	if (!scsi_out_get(cmd, HEADER + (uint64_t)i * DESC, d, DESC))
		return false;
	r->lba = gw_be64(d);
	r->nblk = gw_be32(d + 8);
	return true;
}

/* Number of descriptors, or -1 with the sense set. */
static int
check_list(struct gw_cmd *cmd)
{
	const struct scsi_view *v = scsi_view_of(cmd);
	uint8_t h[HEADER];
	unsigned data_len, desc_len, n;
	struct range r;

	if (!scsi_out_get(cmd, 0, h, HEADER)) {
		scsi_check(cmd, SENSE_PARAM_LENGTH);
		return -1;
	}
	data_len = gw_be16(h);
	desc_len = gw_be16(h + 2);
	if (data_len < HEADER - 2 || data_len + 2 > cmd->out_len ||
	    desc_len > data_len + 2 - HEADER) {
		scsi_check(cmd, SENSE_PARAM_LENGTH);
		return -1;
	}
	/* What is left of an incomplete descriptor is ignored (SBC-4 5.35.2). */
	n = desc_len / DESC;
	if (n > SCSI_UNMAP_DESC_MAX) {
		scsi_check_param(cmd, 2, -1);
		return -1;
	}
	for (unsigned i = 0; i < n; i++) {
		if (!get_desc(cmd, i, &r)) {
			scsi_check(cmd, SENSE_PARAM_LENGTH);
			return -1;
		}
		if (!gw_range_ok(r.lba, r.nblk, v->nblk)) {
			scsi_check(cmd, SENSE_LBA_RANGE);
			return -1;
		}
	}
	return (int)n;
}

static void unmap_step(struct gw_cmd *cmd);

static void
unmap_done(struct be_io *io)
{
	struct gw_cmd *cmd = scsi_cmd_of_io(io);

	if (scsi_io_failed(cmd))
		return;
	cmd->scratch[1] += io->len;
	unmap_step(cmd);
}

/* scratch[0]: descriptor, [1]: bytes of it done, [2]: number of descriptors. */
static void
unmap_step(struct gw_cmd *cmd)
{
	struct range r;
	uint64_t off, len;

	for (; cmd->scratch[0] < cmd->scratch[2]; cmd->scratch[0]++, cmd->scratch[1] = 0) {
		if (!get_desc(cmd, (unsigned)cmd->scratch[0], &r) ||
		    !gw_shl_u64(r.lba, cmd->blk_shift, &off) ||
		    !gw_shl_u64(r.nblk, cmd->blk_shift, &len)) {
			scsi_fail(cmd, SENSE_LBA_RANGE);
			return;
		}
		len -= cmd->scratch[1];
		if (!len)
			continue;
		scsi_io(cmd, BE_UNMAP, 0, off + cmd->scratch[1], GW_MIN(len, SCSI_RANGE_STEP), NULL,
			0, unmap_done);
		return;
	}
	scsi_good(cmd);
}

void
scsi_exec_unmap(struct gw_cmd *cmd)
{
	int n;

	/* A parameter list length of 0 is not an error. */
	if (!cmd->data_len) {
		scsi_good(cmd);
		return;
	}
	cmd->blk_shift = scsi_view_of(cmd)->shift;
	n = check_list(cmd);
	if (n < 0) {
		gw_cmd_complete(cmd);
		return;
	}
	cmd->scratch[0] = cmd->scratch[1] = 0;
	cmd->scratch[2] = (uint64_t)n;
	unmap_step(cmd);
}
