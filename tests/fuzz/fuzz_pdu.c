/* SPDX-License-Identifier: BSD-3-Clause */
/* CDB and additional header segments: first byte the number of words, then the segments. */
#include <stdlib.h>
#include <string.h>

#include "iscsi/pdu.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t bhs[ISCSI_BHS_LEN] = {0}, cdb[32], len = 0;
	uint8_t *ahs;

	if (size < 1 || size - 1 < data[0] * 4u)
		return 0;
	bhs[ISCSI_AT_AHSLEN] = data[0];
	ahs = malloc(data[0] * 4u + 1);
	memcpy(ahs, data + 1, data[0] * 4u);
	ahs = realloc(ahs, data[0] ? data[0] * 4u : 1);
	if (iscsi_pdu_cdb(bhs, ahs, cdb, sizeof(cdb), &len) && (len < 16 || len > sizeof(cdb)))
		abort();
	free(ahs);
	return 0;
}
