/* SPDX-License-Identifier: BSD-3-Clause */
/* CRC32C as iSCSI digests use it (RFC 7143 13.1), computed by ISA-L. */
#ifndef GW_BASE_CRC32C_H
#define GW_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

struct iovec;

#define GW_CRC32C_INIT 0xffffffffu

/* Running value over more bytes; start with GW_CRC32C_INIT. */
uint32_t gw_crc32c_add(uint32_t crc, const void *p, size_t n);

/* Final value as it goes on the wire: store it with a little-endian memcpy of the result. */
static inline uint32_t
gw_crc32c_end(uint32_t crc)
{
	return ~crc;
}

/* Digest of one buffer. */
static inline uint32_t
gw_crc32c(const void *p, size_t n)
{
	return gw_crc32c_end(gw_crc32c_add(GW_CRC32C_INIT, p, n));
}

#endif
