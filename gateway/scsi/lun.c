/* SPDX-License-Identifier: BSD-3-Clause */
/* The 8-byte LUN of the wire and the number that it stands for (SAM-5 4.7). */
#include "gateway/scsi/scsi_priv.h"

uint64_t
gw_lun_decode(const uint8_t lun[8])
{
	uint64_t v = gw_be64(lun);

	if (v == GW_LUN_REPORT)
		return GW_LUN_REPORT;
	if (v & 0xffffffffffffull)
		return GW_LUN_BAD; /* more than one level */
	switch (lun[0] >> 6) {
	case 0: /* peripheral device addressing, bus 0 only */
		return lun[0] ? GW_LUN_BAD : lun[1];
	case 1: /* flat space addressing */
		return (uint64_t)(lun[0] & 0x3f) << 8 | lun[1];
	default:
		return GW_LUN_BAD;
	}
}

void
gw_lun_encode(uint64_t n, uint8_t lun[8])
{
	if (n == GW_LUN_REPORT)
		gw_put_be64(lun, n);
	else if (n < 256)
		gw_put_be64(lun, n << 48);
	else
		gw_put_be64(lun, (0x4000 | (n & 0x3fff)) << 48);
}
