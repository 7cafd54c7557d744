/* SPDX-License-Identifier: BSD-3-Clause */
/* What an initiator sends over RDMA: a message, or private data with a request to connect. */
#include <stdlib.h>
#include <string.h>

#include "iscsi/pdu.h"
#include "iser/proto.h"

#define CHECK(c)                 \
	do {                     \
		if (!(c))        \
			abort(); \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint32_t
sum(const uint8_t *p, size_t n)
{
	uint32_t v = 0;

	while (n--)
		v += *p++;
	return v;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* Of its exact size, so that a byte too far is seen. */
	uint8_t *p = calloc(1, size ? size : 1), back[ISER_CM_LEN];
	volatile uint32_t all = 0;
	struct iser_send s;
	struct iser_cm cm;

	CHECK(p);
	if (size)
		memcpy(p, data, size);
	if (!iser_send_parse(p, (uint32_t)size, &s)) {
		uint32_t head = ISCSI_BHS_LEN + iscsi_ahs_len(s.bhs);

		CHECK(s.bhs == p + ISER_HEADER_LEN && s.data == s.bhs + head);
		CHECK(ISER_HEADER_LEN + head + s.len <= size);
		all = sum(s.bhs, head) + sum(s.data, s.len);
	}
	cm = iser_cm_parse(p, (uint32_t)size);
	iser_cm_put(back, cm);
	CHECK(size < ISER_CM_LEN || (p[0] & 0xc0) == back[0]);
	(void)all;
	free(p);
	return 0;
}
