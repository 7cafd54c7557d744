/* SPDX-License-Identifier: BSD-3-Clause */
/* READ CAPACITY (SBC-4 5.15, 5.16). */
#include "gateway/scsi/scsi_priv.h"

void
scsi_exec_read_capacity10(struct gw_cmd *cmd)
{
	const struct scsi_view *v = scsi_view_of(cmd);
	uint8_t b[8];

	gw_put_be32(b, (uint32_t)GW_MIN(v->nblk - 1, (uint64_t)UINT32_MAX));
	gw_put_be32(b + 4, 1u << v->shift);
	scsi_in(cmd, b, sizeof(b));
}

void
scsi_exec_read_capacity16(struct gw_cmd *cmd)
{
	const struct scsi_view *v = scsi_view_of(cmd);
	uint8_t b[32] = {0};
	uint16_t flags = v->conf.lowest_aligned & 0x3fff;

	gw_put_be64(b, v->nblk - 1);
	gw_put_be32(b + 8, 1u << v->shift);
	b[13] = v->lbppbe & 0x0f;
	if (v->lbpme)
		flags |= 0x8000 | (v->lbprz ? 0x4000 : 0);
	gw_put_be16(b + 14, flags);
	scsi_in(cmd, b, sizeof(b));
}
