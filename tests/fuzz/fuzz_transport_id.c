/* SPDX-License-Identifier: BSD-3-Clause */
/* A list of TransportIDs; those that name a port are written again and read once more. */
#include <stdlib.h>
#include <string.h>

#include "gateway/base/bug.h"
#include "gateway/scsi/transport_id.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
again(const struct transport_id *id)
{
	uint8_t buf[TRANSPORT_ID_MAX];
	struct transport_id twice;
	size_t bad, n = transport_id_write(buf, id->initiator, id->isid);

	BUG(n > sizeof(buf) || n % 4);
	BUG(transport_id_read(buf, n, &twice, &bad) != n || !twice.port);
	BUG(strcmp(twice.initiator, id->initiator) != 0 || memcmp(twice.isid, id->isid, 6) != 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *list = malloc(size ? size : 1);
	struct transport_id id;
	size_t at = 0, n, bad;

	memcpy(list, data, size);
	while ((n = transport_id_read(list + at, size - at, &id, &bad))) {
		BUG(n < 24 || n > size - at || !id.initiator[0]);
		again(&id);
		at += n;
	}
	BUG(bad && bad >= size - at);
	free(list);
	return 0;
}
