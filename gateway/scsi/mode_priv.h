/* SPDX-License-Identifier: BSD-3-Clause */
/* Mode pages, shared by MODE SENSE and MODE SELECT. */
#ifndef GW_SCSI_MODE_PRIV_H
#define GW_SCSI_MODE_PRIV_H

#include "gateway/scsi/scsi_priv.h"

enum mode_pc {
	MODE_CURRENT,
	MODE_CHANGEABLE,
	MODE_DEFAULT,
	MODE_SAVED
};

#define MODE_PAGE_MAX 32
#define MODE_SPF      0x40 /* byte 0: a subpage */

struct mode_page {
	uint8_t code, subpage;
	uint8_t len; /* of the page without its header of two bytes, of a subpage four */
	uint8_t kinds; /* 1 << enum scsi_kind; 0: all have it */
	void (*fill)(const struct scsi_view *v, enum mode_pc pc, uint8_t *b);
	/* Takes over the changeable parameters; b as in fill. NULL: none. */
	void (*apply)(struct scsi_view *v, const uint8_t *b);
	bool lbp; /* only where thresholds of thin provisioning are supported */
};

extern const struct mode_page scsi_mode_pages[];
extern const unsigned scsi_nmode_pages;

static inline unsigned
scsi_mode_header(const struct mode_page *p)
{
	return p->subpage ? 4 : 2;
}

/* The page with its header into b (MODE_PAGE_MAX); its bytes. */
unsigned scsi_mode_page(const struct mode_page *p, const struct scsi_view *v, enum mode_pc pc,
			uint8_t *b);
bool scsi_mode_has(const struct mode_page *p, const struct scsi_view *v);

#endif
