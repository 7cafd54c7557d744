/* SPDX-License-Identifier: BSD-3-Clause */
/* MODE SENSE (SPC-4 6.13, 6.14). */
#include "gateway/scsi/mode_priv.h"

#define CDB_DBD   0x08
#define CDB_LLBAA 0x10
#define ALL_PAGES 0x3f
#define ALL_SUBS  0xff

/* Block descriptor (SBC-4 6.5.2); its length. */
static unsigned
block_descriptor(const struct scsi_view *v, bool lon, uint8_t *b)
{
	if (lon) {
		gw_put_be64(b, v->nblk);
		gw_put_be32(b + 12, 1u << v->shift);
		return 16;
	}
	gw_put_be32(b, (uint32_t)GW_MIN(v->nblk, (uint64_t)UINT32_MAX));
	gw_put_be24(b + 5, 1u << v->shift);
	return 8;
}

static unsigned
collect(const struct scsi_view *v, enum mode_pc pc, uint8_t code, uint8_t subpage, uint8_t *b)
{
	uint8_t page[MODE_PAGE_MAX];
	unsigned n = 0, len;

	for (unsigned i = 0; i < scsi_nmode_pages; i++) {
		const struct mode_page *p = &scsi_mode_pages[i];

		if (!scsi_mode_has(p, v) || (code != ALL_PAGES && p->code != code) ||
		    (subpage != ALL_SUBS && p->subpage != subpage))
			continue;
		len = scsi_mode_page(p, v, pc, page);
		memcpy(b + n, page, len);
		n += len;
	}
	return n;
}

void
scsi_exec_mode_sense(struct gw_cmd *cmd)
{
	const struct scsi_view *v = scsi_view_of(cmd);
	bool lon = cmd->op->cdb_len == 10, disk = v->conf.kind == SCSI_KIND_DISK;
	unsigned header = lon ? 8 : 4, bd = 0, n;
	enum mode_pc pc = cmd->cdb[2] >> 6;
	uint8_t b[512] = {0}, device = 0;

	if (pc == MODE_SAVED) {
		scsi_fail(cmd, SENSE_NO_SAVING);
		return;
	}
	if (disk && !(cmd->cdb[1] & CDB_DBD))
		bd = block_descriptor(v, lon && (cmd->cdb[1] & CDB_LLBAA), b + header);
	n = collect(v, pc, cmd->cdb[2] & 0x3f, cmd->cdb[3], b + header + bd);
	if (!n) {
		scsi_check_cdb(cmd, 2, 5);
		gw_cmd_complete(cmd);
		return;
	}
	n += header + bd;
	if (disk) /* DPOFUA, WP */
		device = 0x10 | (v->conf.readonly || cmd->itl->ro || v->swp ? 0x80 : 0);
	if (lon) {
		gw_put_be16(b, (uint16_t)(n - 2));
		b[3] = device;
		b[4] = bd == 16; /* LONGLBA */
		gw_put_be16(b + 6, (uint16_t)bd);
	} else {
		b[0] = (uint8_t)(n - 1);
		b[2] = device;
		b[3] = (uint8_t)bd;
	}
	scsi_in(cmd, b, n);
}
