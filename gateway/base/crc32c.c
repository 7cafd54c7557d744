/* SPDX-License-Identifier: BSD-3-Clause */
#include "gateway/base/crc32c.h"

#include <isa-l/crc.h>

/*
 * ISA-L's crc32_iscsi() neither inverts its seed nor its result, takes an int as length and a
 * pointer to what it does not change without const.
 */
uint32_t
gw_crc32c_add(uint32_t crc, const void *p, size_t n)
{
	const size_t most = 1u << 30;
	uintptr_t at = (uintptr_t)p;

	while (n > most) {
		crc = crc32_iscsi((unsigned char *)at, (int)most, crc);
		at += most;
		n -= most;
	}
	return n ? crc32_iscsi((unsigned char *)at, (int)n, crc) : crc;
}
