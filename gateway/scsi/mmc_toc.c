/* SPDX-License-Identifier: BSD-3-Clause */
/* Where what is on the disc: READ TOC/PMA/ATIP (MMC-6 6.25), READ SUB-CHANNEL (MMC-3 6.33). */
#include "gateway/scsi/mmc_priv.h"

#define CDB_MSF  0x02
#define CDB_SUBQ 0x40

#define NO_AUDIO_STATUS 0x15

void
mmc_msf(uint64_t lba, uint8_t msf[3])
{
	/* The first two seconds of a disc come before block 0. */
	uint64_t frames = GW_MIN(lba, UINT64_C(1) << 32) + 150, minutes = frames / (60 * 75);

	msf[0] = (uint8_t)GW_MIN(minutes, UINT64_C(0xff));
	msf[1] = minutes > 0xff ? 59 : (uint8_t)(frames / 75 % 60);
	msf[2] = minutes > 0xff ? 74 : (uint8_t)(frames % 75);
}

void
mmc_address(uint64_t lba, bool msf, uint8_t b[4])
{
	if (msf) {
		b[0] = 0;
		mmc_msf(lba, b + 1);
	} else {
		gw_put_be32(b, (uint32_t)GW_MIN(lba, (uint64_t)UINT32_MAX));
	}
}

/* A TOC descriptor; the first byte after it. */
static uint8_t *
track(uint8_t *b, uint8_t number, uint64_t lba, bool msf)
{
	b[1] = MMC_DATA_TRACK;
	b[2] = number;
	mmc_address(lba, msf, b + 4);
	return b + 8;
}

/* A descriptor of the lead-in's Q sub-channel, always in MSF form. */
static uint8_t *
point(uint8_t *b, uint8_t what, const uint8_t pmsf[3])
{
	b[0] = 1; /* session */
	b[1] = MMC_DATA_TRACK;
	b[3] = what;
	memcpy(b + 8, pmsf, 3);
	return b + 11;
}

static uint8_t *
full_toc(const struct scsi_view *v, uint8_t *b)
{
	uint8_t first[3] = {1}, last[3] = {1}, start[3], end[3];

	mmc_msf(0, start);
	mmc_msf(v->nblk, end);
	b = point(b, 0xa0, first); /* and the type of the disc: CD-ROM */
	b = point(b, 0xa1, last);
	b = point(b, 0xa2, end);
	return point(b, 1, start);
}

/* What byte 6 may name: a track to begin with, or a session. */
static bool
number_ok(uint8_t format, uint8_t number)
{
	if (format == 0)
		return number <= 1 || number == MMC_LEAD_OUT;
	return format == 1 || number <= 1;
}

void
scsi_exec_read_toc(struct gw_cmd *cmd)
{
	const struct scsi_view *v = scsi_view_of(cmd);
	bool msf = cmd->cdb[1] & CDB_MSF;
	uint8_t format = cmd->cdb[2] & 0x0f, b[64] = {0}, *end = b + 4;

	/* Drives of before MMC had the format in the vendor's bits of CONTROL. */
	if (!format)
		format = cmd->cdb[9] >> 6;
	if (format > 2 || !number_ok(format, cmd->cdb[6])) {
		scsi_check_cdb(cmd, format > 2 ? 2 : 6, -1);
		gw_cmd_complete(cmd);
		return;
	}
	b[2] = b[3] = 1; /* first and last track or session */
	if (format == 2)
		end = full_toc(v, end);
	else if (cmd->cdb[6] != MMC_LEAD_OUT || format == 1)
		end = track(end, 1, 0, msf);
	if (format == 0)
		end = track(end, MMC_LEAD_OUT, v->nblk, msf);
	gw_put_be16(b, (uint16_t)(end - b - 2));
	scsi_in(cmd, b, (size_t)(end - b));
}

/* Nothing plays: the position is the beginning, and there are no catalogue numbers. */
void
scsi_exec_read_subchannel(struct gw_cmd *cmd)
{
	static const uint8_t len[] = {0, 12, 20, 20};
	uint8_t format = cmd->cdb[3], b[24] = {0}, n = 0;
	bool msf = cmd->cdb[1] & CDB_MSF;

	if (format == 0 || format >= sizeof(len)) {
		scsi_check_cdb(cmd, 3, -1);
		gw_cmd_complete(cmd);
		return;
	}
	b[1] = NO_AUDIO_STATUS;
	if (cmd->cdb[2] & CDB_SUBQ) {
		n = len[format];
		b[4] = format;
		if (format != 2) {
			b[5] = MMC_DATA_TRACK;
			b[6] = 1; /* track */
		}
		if (format == 1) {
			b[7] = 1; /* index */
			mmc_address(0, msf, b + 8);
		}
	}
	gw_put_be16(b + 2, n);
	scsi_in(cmd, b, 4u + n);
}
