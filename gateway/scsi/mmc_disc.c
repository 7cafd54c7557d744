/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the disc is: READ DISC INFORMATION, READ TRACK INFORMATION, READ DISC STRUCTURE, and of the
 * drive MECHANISM STATUS (MMC-6 6.21, 6.26, 6.22, 6.11).
 */
#include "gateway/scsi/mmc_priv.h"

#define DISC_INFO_LEN  34
#define TRACK_INFO_LEN 36

/* Where the data of a DVD begins (MMC-6 6.22.3.2.1): addresses have 24 bits. */
#define DVD_START 0x030000u
#define DVD_END   0xffffffu

static void
refuse(struct gw_cmd *cmd, unsigned byte)
{
	scsi_check_cdb(cmd, byte, -1);
	gw_cmd_complete(cmd);
}

void
scsi_exec_disc_information(struct gw_cmd *cmd)
{
	uint8_t b[DISC_INFO_LEN] = {0};

	if (cmd->cdb[1] & 7) { /* data types of media that are written */
		refuse(cmd, 1);
		return;
	}
	gw_put_be16(b, DISC_INFO_LEN - 2);
	b[2] = 0x0e; /* the last session is complete, the disc finalized */
	b[3] = 1;    /* first track */
	b[4] = 1;    /* sessions */
	b[5] = 1;    /* first and last track of the last session */
	b[6] = 1;
	b[7] = 0x20; /* URU: for unrestricted use */
	scsi_in(cmd, b, sizeof(b));
}

/* Byte 0..1: by block, by track, by session; all name the only track. */
static bool
names_the_track(struct gw_cmd *cmd)
{
	uint32_t number = gw_be32(cmd->cdb + 2);

	switch (cmd->cdb[1] & 3) {
	case 0:
		if (number < scsi_view_of(cmd)->nblk)
			return true;
		return scsi_check(cmd, SENSE_LBA_RANGE);
	case 3:
		return scsi_check_cdb(cmd, 1, 1);
	default:
		if (number == 1)
			return true;
		return scsi_check_cdb(cmd, 2, -1);
	}
}

void
scsi_exec_track_information(struct gw_cmd *cmd)
{
	const struct scsi_view *v = scsi_view_of(cmd);
	uint8_t b[TRACK_INFO_LEN] = {0};

	if (!names_the_track(cmd)) {
		gw_cmd_complete(cmd);
		return;
	}
	gw_put_be16(b, TRACK_INFO_LEN - 2);
	b[2] = 1;                     /* track */
	b[3] = 1;                     /* session */
	b[5] = MMC_DATA_TRACK & 0x0f; /* track mode */
	b[6] = 1;                     /* data mode 1 */
	gw_put_be32(b + 24, (uint32_t)GW_MIN(v->nblk, (uint64_t)UINT32_MAX));
	scsi_in(cmd, b, sizeof(b));
}

/* Formats of READ DISC STRUCTURE, with the bytes that follow their header. */
static const struct {
	uint8_t code;
	uint16_t len;
} formats[] = {
    {0x00, 2048}, /* physical */
    {0x01, 4},    /* copyright: none of its systems, no regions */
    {0x04, 2048}, /* manufacturer: says nothing */
};

static void
fill_physical(const struct scsi_view *v, uint8_t *b)
{
	uint32_t last = (uint32_t)GW_MIN(v->nblk - 1 + DVD_START, (uint64_t)DVD_END);

	b[0] = 0x01; /* DVD-ROM, version 1 */
	b[1] = 0x0f; /* 120 mm, no maximum rate */
	b[2] = 0x01; /* one layer, embossed */
	gw_put_be24(b + 5, DVD_START);
	gw_put_be24(b + 9, last);
	gw_put_be24(b + 13, last);
}

/* Which formats there are. */
static void
list_formats(struct gw_cmd *cmd)
{
	uint8_t b[4 + 4 * GW_ARRAY_LEN(formats)] = {0};

	gw_put_be16(b, sizeof(b) - 2);
	for (unsigned i = 0; i < GW_ARRAY_LEN(formats); i++) {
		b[4 + 4 * i] = formats[i].code;
		b[5 + 4 * i] = 0x40; /* can be read, not sent */
		gw_put_be16(b + 6 + 4 * i, (uint16_t)(4 + formats[i].len));
	}
	scsi_in(cmd, b, sizeof(b));
}

void
scsi_exec_disc_structure(struct gw_cmd *cmd)
{
	const struct scsi_view *v = scsi_view_of(cmd);
	uint8_t b[4 + 2048] = {0}, format = cmd->cdb[7];
	unsigned i = 0;

	if (cmd->cdb[1] & 0x0f) { /* of a BD */
		refuse(cmd, 1);
		return;
	}
	if (format == 0xff) {
		list_formats(cmd);
		return;
	}
	while (i < GW_ARRAY_LEN(formats) && formats[i].code != format)
		i++;
	if (i == GW_ARRAY_LEN(formats)) {
		refuse(cmd, 7);
	} else if (mmc_profile_of(v) != MMC_DVD_ROM) {
		scsi_fail(cmd, SENSE_DISC_FORMAT);
	} else if (cmd->cdb[6]) { /* the second layer */
		refuse(cmd, 6);
	} else {
		gw_put_be16(b, (uint16_t)(formats[i].len + 2));
		if (format == 0x00)
			fill_physical(v, b + 4);
		scsi_in(cmd, b, 4u + formats[i].len);
	}
}

void
scsi_exec_mechanism_status(struct gw_cmd *cmd)
{
	uint8_t b[8] = {0};

	if (scsi_view_of(cmd)->medium == MEDIUM_EJECTED)
		b[1] = 0x10; /* door open */
	scsi_in(cmd, b, sizeof(b));
}
