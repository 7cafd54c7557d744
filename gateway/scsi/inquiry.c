/* SPDX-License-Identifier: BSD-3-Clause */
/* INQUIRY (SPC-4 6.4): standard data; vital product data pages are in vpd.c. */
#include "gateway/base/str.h"
#include "gateway/scsi/scsi_priv.h"

#define STANDARD_LEN 96

uint8_t
scsi_peripheral(const struct gw_cmd *cmd)
{
	static const uint8_t types[] = {
	    [SCSI_KIND_DISK] = 0x00, [SCSI_KIND_CONTROLLER] = 0x0c, [SCSI_KIND_CD] = 0x05};

	if (cmd->lu)
		return types[scsi_view_of(cmd)->conf.kind];
	/* Qualifier 3, type 1Fh: no logical unit can be there; 1Eh: well-known logical unit. */
	return cmd->lun == GW_LUN_REPORT ? 0x1e : 0x7f;
}

static void
standard(const struct gw_cmd *cmd, uint8_t *b)
{
	static const uint16_t versions[] = {0x00a0 /* SAM-5 */, 0x0960 /* iSCSI */,
					    0x0460 /* SPC-4 */};
	const struct scsi_lu_conf *conf = cmd->lu ? &scsi_view_of(cmd)->conf : NULL;

	b[0] = scsi_peripheral(cmd);
	b[1] = conf && conf->removable ? 0x80 : 0;
	b[2] = 0x06; /* SPC-4 */
	b[3] = 0x12; /* HISUP, response data format 2 */
	b[4] = STANDARD_LEN - 5;
	b[5] = b[0] == 0x00 ? 0x38 : 0; /* TPGS: implicitly and by command; 3PC */
	b[6] = 0x10;                    /* MULTIP */
	b[7] = 0x02; /* CMDQUE */
	gw_str_pad(b + 8, 8, conf ? conf->vendor : "LICHGATE");
	gw_str_pad(b + 16, 16, conf ? conf->product : "");
	gw_str_pad(b + 32, 4, conf ? conf->rev : "");
	for (unsigned i = 0; i < GW_ARRAY_LEN(versions); i++)
		gw_put_be16(b + 58 + 2 * i, versions[i]);
	if (b[0] == 0x00)
		gw_put_be16(b + 64, 0x04c0); /* SBC-3 */
	else if (b[0] == 0x05)
		gw_put_be16(b + 64, 0x04e0); /* MMC-6 */
}

void
scsi_exec_inquiry(struct gw_cmd *cmd)
{
	uint8_t page[SCSI_INQUIRY_MAX] = {0};
	bool evpd = cmd->cdb[1] & 1;
	unsigned n = STANDARD_LEN;

	if (evpd)
		n = scsi_vpd_page(cmd, cmd->cdb[2], page);
	else if (cmd->cdb[2] == 0)
		standard(cmd, page);
	else
		n = 0;
	if (!n) {
		scsi_check_cdb(cmd, 2, 7);
		gw_cmd_complete(cmd);
		return;
	}
	scsi_in(cmd, page, n);
}
