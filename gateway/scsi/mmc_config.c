/* SPDX-License-Identifier: BSD-3-Clause */
/* GET CONFIGURATION (MMC-6 6.6): the profiles and features of the drive, in ascending order. */
#include "gateway/scsi/mmc_priv.h"

#define CONFIG_MAX 256

enum {
	RT_ALL,
	RT_CURRENT,
	RT_ONE
};

/* When a feature is current (MMC-6 5.2). */
enum current {
	ALWAYS, /* and persistent */
	DISC,
	CD,
	DVD
};

struct feature {
	uint16_t code;
	uint8_t version, len, current;
	void (*fill)(const struct scsi_view *v, uint8_t *b); /* the len bytes after the header */
};

static void
fill_profiles(const struct scsi_view *v, uint8_t *b)
{
	gw_put_be16(b, MMC_DVD_ROM);
	b[2] = mmc_profile_of(v) == MMC_DVD_ROM;
	gw_put_be16(b + 4, MMC_CD_ROM);
	b[6] = mmc_profile_of(v) == MMC_CD_ROM;
}

static void
fill_core(const struct scsi_view *v, uint8_t *b)
{
	gw_put_be32(b, 1); /* physical interface: of the SCSI family */
	b[4] = 0x01;       /* DBE: device busy events */
}

static void
fill_removable(const struct scsi_view *v, uint8_t *b)
{
	b[0] = 0x20 | 0x10 | 0x08 | 0x01; /* a tray; LOAD, EJECT, LOCK */
}

static void
fill_random_readable(const struct scsi_view *v, uint8_t *b)
{
	gw_put_be32(b, SCSI_CD_BLOCK);
	gw_put_be16(b + 4, mmc_profile_of(v) == MMC_DVD_ROM ? 16 : 1);
	b[6] = 0x01; /* PP: has the mode page for error recovery */
}

static void
fill_serial(const struct scsi_view *v, uint8_t *b)
{
	memset(b, ' ', sizeof(v->conf.serial) - 1);
	memcpy(b, v->conf.serial, strnlen(v->conf.serial, sizeof(v->conf.serial) - 1));
}

static const struct feature features[] = {
    {0x0000, 0, 8, ALWAYS, fill_profiles},
    {0x0001, 2, 8, ALWAYS, fill_core},
    {0x0002, 0, 4, ALWAYS, NULL}, /* morphing */
    {0x0003, 2, 4, ALWAYS, fill_removable},
    {0x0010, 0, 8, DISC, fill_random_readable},
    {0x001e, 2, 4, CD, NULL},     /* CD read: no C2 pointers, no CD-TEXT */
    {0x001f, 0, 0, DVD, NULL},    /* DVD read */
    {0x0100, 0, 0, ALWAYS, NULL}, /* power management */
    {0x0105, 0, 0, ALWAYS, NULL}, /* timeout */
    {0x0108, 0, sizeof(((struct scsi_lu_conf *)NULL)->serial) - 1, ALWAYS, fill_serial},
};

static bool
is_current(const struct feature *f, enum mmc_profile profile)
{
	switch ((enum current)f->current) {
	case ALWAYS:
		return true;
	case DISC:
		return profile != MMC_NO_DISC;
	case CD:
		return profile == MMC_CD_ROM;
	case DVD:
		return profile == MMC_DVD_ROM;
	}
	return false;
}

static bool
wanted(const struct gw_cmd *cmd, const struct feature *f, bool current)
{
	uint16_t start = gw_be16(cmd->cdb + 2);

	switch (cmd->cdb[1] & 3) {
	case RT_ALL:
		return f->code >= start;
	case RT_CURRENT:
		return f->code >= start && current;
	default:
		return f->code == start;
	}
}

void
scsi_exec_get_configuration(struct gw_cmd *cmd)
{
	const struct scsi_view *v = scsi_view_of(cmd);
	enum mmc_profile profile = mmc_profile_of(v);
	uint8_t b[CONFIG_MAX] = {0}, *end = b + 8;

	if ((cmd->cdb[1] & 3) > RT_ONE) {
		scsi_check_cdb(cmd, 1, 1);
		gw_cmd_complete(cmd);
		return;
	}
	for (unsigned i = 0; i < GW_ARRAY_LEN(features); i++) {
		const struct feature *f = &features[i];
		bool current = is_current(f, profile);

		if (!wanted(cmd, f, current))
			continue;
		gw_put_be16(end, f->code);
		end[2] = (uint8_t)(f->version << 2 | (f->current == ALWAYS ? 2 : 0) | current);
		end[3] = f->len;
		if (f->fill)
			f->fill(v, end + 4);
		end += 4 + f->len;
	}
	gw_put_be32(b, (uint32_t)(end - b - 4));
	gw_put_be16(b + 6, profile);
	scsi_in(cmd, b, (size_t)(end - b));
}
