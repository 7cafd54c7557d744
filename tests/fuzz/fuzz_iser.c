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
	/* Of their exact sizes, so that a byte too far is seen. */
	size_t first = size < ISER_HEAD_LEN ? size : ISER_HEAD_LEN, more = size - first;
	uint8_t *p = calloc(1, first ? first : 1), *rest = calloc(1, more ? more : 1);
	uint8_t back[ISER_CM_LEN], reply[ISER_HEADER_LEN];
	volatile uint32_t all = 0;
	struct iser_send s;
	struct iser_cm cm;

	CHECK(p && rest);
	if (first)
		memcpy(p, data, first);
	if (more)
		memcpy(rest, data + first, more);
	if (!iser_send_parse(p, rest, (uint32_t)size, &s)) {
		if (s.hello) {
			all = iser_hello_reply_put(reply, &s, s.ird) + reply[0];
		} else {
			uint32_t ahs = iscsi_ahs_len(s.bhs);

			CHECK(s.bhs == p + ISER_HEADER_LEN && s.data == s.ahs + ahs);
			CHECK(ISER_HEAD_LEN + ahs + s.len <= size);
			all = sum(s.bhs, ISCSI_BHS_LEN) + sum(s.ahs, ahs) + sum(s.data, s.len);
		}
	}
	cm = iser_cm_parse(p, (uint32_t)first);
	iser_cm_put(back, cm);
	CHECK(first < ISER_CM_LEN || (p[0] & 0xc0) == back[0]);
	(void)all;
	free(p);
	free(rest);
	return 0;
}
