/* SPDX-License-Identifier: BSD-3-Clause */
#include "iscsi/pdu.h"

#include <string.h>

#define CDB_IN_BHS   16
#define AHS_EXT_CDB  1
#define AHS_HEAD_LEN 3 /* AHSLength and AHSType; AHSLength counts what follows them, 11.2.2.1 */

bool
iscsi_pdu_cdb(const uint8_t *bhs, const uint8_t *ahs, uint8_t *cdb, uint32_t max, uint8_t *len)
{
	uint32_t left = iscsi_ahs_len(bhs);

	memcpy(cdb, bhs + ISCSI_AT_CDB, CDB_IN_BHS);
	memset(cdb + CDB_IN_BHS, 0, max - CDB_IN_BHS);
	*len = CDB_IN_BHS;
	while (left > 0) {
		uint32_t n, whole;

		if (left < 4)
			return false;
		n = gw_be16(ahs);
		whole = AHS_HEAD_LEN + n;
		whole += iscsi_pad(whole);
		if (n == 0 || whole > left)
			return false;
		if ((ahs[2] & 0x3f) == AHS_EXT_CDB) {
			/* The first byte after the type is reserved, 11.2.2.3. */
			uint32_t extra = n - 1;

			if (*len != CDB_IN_BHS || extra > max - CDB_IN_BHS)
				return false;
			memcpy(cdb + CDB_IN_BHS, ahs + 4, extra);
			*len = (uint8_t)(CDB_IN_BHS + extra);
		}
		ahs += whole;
		left -= whole;
	}
	return true;
}
