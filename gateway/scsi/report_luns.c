/* SPDX-License-Identifier: BSD-3-Clause */
/* REPORT LUNS (SPC-4 6.33). */
#include "gateway/scsi/scsi_priv.h"

struct select {
	bool luns, wlun, valid;
};

/* There are no administrative or subsidiary logical units: their lists are empty. */
static struct select
selected(uint8_t code)
{
	switch (code) {
	case 0x00: /* all but well-known */
	case 0x11: /* administrative ones and those that belong to none */
		return (struct select){.luns = true, .valid = true};
	case 0x01:
		return (struct select){.wlun = true, .valid = true};
	case 0x02:
		return (struct select){.luns = true, .wlun = true, .valid = true};
	case 0x10:
	case 0x12:
		return (struct select){.valid = true};
	default:
		return (struct select){0};
	}
}

static uint64_t
list_len(const struct gw_cmd *cmd, struct select s)
{
	return 8ull * ((s.luns ? cmd->nexus->nitl : 0) + s.wlun);
}

bool
scsi_report_luns_prep(struct gw_cmd *cmd)
{
	struct select s = selected(cmd->cdb[2]);

	if (!s.valid)
		return scsi_check_cdb(cmd, 2, 7);
	cmd->data_len = (uint32_t)GW_MIN((uint64_t)gw_be32(cmd->cdb + 6), 8 + list_len(cmd, s));
	return true;
}

void
scsi_exec_report_luns(struct gw_cmd *cmd)
{
	const struct gw_nexus *n = cmd->nexus;
	struct select s = selected(cmd->cdb[2]);
	uint64_t len = list_len(cmd, s), off = 8;
	uint8_t b[8] = {0};

	gw_put_be32(b, (uint32_t)len);
	scsi_in_put(cmd, 0, b, 8);
	for (uint32_t i = 0; s.luns && i < n->nitl && off < cmd->data_len; i++, off += 8) {
		gw_lun_encode(n->itl[i].lun, b);
		scsi_in_put(cmd, off, b, 8);
	}
	if (s.wlun) {
		gw_lun_encode(GW_LUN_REPORT, b);
		scsi_in_put(cmd, off, b, 8);
	}
	scsi_ua_luns_reported(cmd->nexus);
	scsi_in_done(cmd, 8 + len);
}
