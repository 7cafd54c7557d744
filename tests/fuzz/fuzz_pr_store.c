/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A file of persistent reservations: as it is, and with the right sum of its bytes at the end,
 * which nobody would hit by chance.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/base/bug.h"
#include "gateway/base/crc32c.h"
#include "gateway/scsi/pr_store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was read is what would be written. */
static void
read_one(const char *text, size_t size)
{
	struct scsi_pr_saved *s;
	char *again;

	if (pr_text_read(text, size, &s) != 0) {
		BUG(s);
		return;
	}
	BUG(!pr_text_ok(s));
	again = malloc(pr_text_max(s->nreg));
	BUG(pr_text_write(s, again) != size || memcmp(again, text, size) != 0);
	free(again);
	free(s);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;

	if (size > 65536)
		return 0;
	text = malloc(size + 14);
	memcpy(text, data, size);
	read_one(text, size);
	snprintf(text + size, 14, "crc %08x\n", gw_crc32c(text, size));
	read_one(text, size + 13);
	free(text);
	return 0;
}
