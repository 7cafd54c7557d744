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

struct mode_page {
	uint8_t code, subpage;
	uint8_t len; /* of the page without its two bytes of header */
	bool disk_only;
	void (*fill)(const struct scsi_view *v, enum mode_pc pc, uint8_t *b);
	/* Takes over the changeable parameters; b as in fill. NULL: none. */
	void (*apply)(struct scsi_view *v, const uint8_t *b);
};

extern const struct mode_page scsi_mode_pages[];
extern const unsigned scsi_nmode_pages;

/* The page with its header, len + 2 bytes into b (MODE_PAGE_MAX). */
unsigned scsi_mode_page(const struct mode_page *p, const struct scsi_view *v, enum mode_pc pc,
			uint8_t *b);
bool scsi_mode_has(const struct mode_page *p, const struct scsi_view *v);

#endif
