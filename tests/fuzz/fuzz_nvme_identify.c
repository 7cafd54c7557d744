/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Identify pages of a hostile device: records of four bytes, each sets one byte of one page (page,
 * place in two bytes, value), on top of a namespace that would be accepted.
 */
#include <stdlib.h>
#include <string.h>

#include "backend/nvme_identify.h"

#define CHECK(c)                 \
	do {                     \
		if (!(c))        \
			abort(); \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
is_pow2(uint64_t v)
{
	return v && !(v & (v - 1));
}

static void
check(const struct nvme_identity *id)
{
	uint64_t block = 1ull << id->shift;

	CHECK(id->shift >= 9 && id->shift <= 16);
	CHECK(id->nblk && id->nblk <= (uint64_t)INT64_MAX >> id->shift);
	CHECK(id->xfer_max >= block);
	CHECK(is_pow2(id->phys_block) && id->phys_block >= block);
	CHECK(is_pow2(id->unmap_align) && id->unmap_align >= block);
	CHECK(id->zero_max >= 1 && id->zero_max <= 65536);
	CHECK(id->dsm_ranges >= 1 && id->dsm_ranges <= NVME_DSM_RANGES);
	CHECK(id->dsm_range_max && id->dsm_max);
	CHECK(id->atomic_max % block == 0 && id->atomic_boundary % block == 0);
	CHECK(!id->atomic_boundary || id->atomic_max <= id->atomic_boundary);
	CHECK(!id->zero_deallocates || id->zero);
	CHECK(id->sanitize_kinds < 1u << BE_SANITIZE_MAX);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *page[3];
	struct nvme_identity id;
	char err[256] = "";
	uint16_t progress;

	for (unsigned i = 0; i < 3; i++) {
		page[i] = calloc(1, NVME_IDENTIFY_SIZE);
		CHECK(page[i]);
	}
	page[1][2] = 1;
	page[1][130] = 9;
	for (; size >= 4; data += 4, size -= 4)
		page[data[0] % 3][(data[1] << 8 | data[2]) % NVME_IDENTIFY_SIZE] = data[3];
	if (nvme_identity_parse(page[0], page[1], page[0][0] & 1 ? NULL : page[2], "x", &id, err,
				sizeof(err)) == 0)
		check(&id);
	else
		CHECK(err[0]);
	nvme_list_is_only(page[0], 1);
	CHECK(nvme_sanitize_log(page[0], &progress) <= BE_SANITIZE_FAILED);
	for (unsigned i = 0; i < 3; i++)
		free(page[i]);
	return 0;
}
