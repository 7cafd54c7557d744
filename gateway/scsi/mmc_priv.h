/* SPDX-License-Identifier: BSD-3-Clause */
/* CD/DVD drives (MMC-6): an image is one session with one data track, on the disc that it fits. */
#ifndef GW_SCSI_MMC_PRIV_H
#define GW_SCSI_MMC_PRIV_H

#include "gateway/scsi/scsi_priv.h"

/* Blocks of the largest CD, 80 minutes; what is larger is a DVD. */
#define MMC_CD_BLOCKS (80u * 60 * 75)
/* ADR 1, CONTROL: data track, uninterrupted (MMC-6 6.25.3.2). */
#define MMC_DATA_TRACK 0x14
#define MMC_LEAD_OUT   0xaa

enum mmc_profile {
	MMC_NO_DISC = 0x0000,
	MMC_CD_ROM = 0x0008,
	MMC_DVD_ROM = 0x0010
};

static inline enum mmc_profile
mmc_profile_of(const struct scsi_view *v)
{
	if (v->medium != MEDIUM_READY)
		return MMC_NO_DISC;
	return v->nblk > MMC_CD_BLOCKS ? MMC_DVD_ROM : MMC_CD_ROM;
}

/* Minute, second and frame of that block, at most FFh 59 74 (MMC-6 4.2.3). */
void mmc_msf(uint64_t lba, uint8_t msf[3]);
/* The 4-byte field of an address in either form. */
void mmc_address(uint64_t lba, bool msf, uint8_t b[4]);

#endif
