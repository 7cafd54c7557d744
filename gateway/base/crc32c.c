/* SPDX-License-Identifier: BSD-3-Clause */
#include "gateway/base/crc32c.h"

#include <isa-l/crc.h>
#include <stdbool.h>
#include <string.h>

#if defined(__x86_64__)
/* Up to here, headers above all, the plain instruction is faster than wide registers. */
#define SHORT 128

__attribute__((target("sse4.2"))) static uint32_t
add_short(uint32_t crc, const uint8_t *p, size_t n)
{
	uint64_t v = crc, word;

	for (; n >= sizeof(word); n -= sizeof(word), p += sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		v = __builtin_ia32_crc32di(v, word);
	}
	for (; n > 0; n--)
		v = __builtin_ia32_crc32qi((uint32_t)v, *p++);
	return (uint32_t)v;
}

/*
 * ISA-L 2.30 returns with the upper halves of the vector registers in use, and until they are
 * cleared each SSE instruction waits for them: more than the digest of a block itself takes.
 */
__attribute__((target("avx"))) static void
clear_upper(void)
{
	__builtin_ia32_vzeroupper();
}

static bool
try_short(uint32_t *crc, const void *p, size_t n)
{
	if (n > SHORT || !__builtin_cpu_supports("sse4.2"))
		return false;
	*crc = add_short(*crc, p, n);
	return true;
}

static void
end_long(void)
{
	if (__builtin_cpu_supports("avx"))
		clear_upper();
}
#else
static bool
try_short(uint32_t *crc, const void *p, size_t n)
{
	return false;
}

static void
end_long(void)
{
}
#endif

/*
 * ISA-L's crc32_iscsi() neither inverts its seed nor its result, takes an int as length and a
 * pointer to what it does not change without const.
 */
uint32_t
gw_crc32c_add(uint32_t crc, const void *p, size_t n)
{
	const size_t most = 1u << 30;
	uintptr_t at = (uintptr_t)p;

	if (try_short(&crc, p, n))
		return crc;
	while (n > most) {
		crc = crc32_iscsi((unsigned char *)at, (int)most, crc);
		at += most;
		n -= most;
	}
	crc = crc32_iscsi((unsigned char *)at, (int)n, crc);
	end_long();
	return crc;
}
