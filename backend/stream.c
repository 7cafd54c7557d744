/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Copies to a medium that is memory, past the cache: a store into it would first fetch the line that
 * it overwrites, and then drive out the buffers that are used again at once. 256 KiB take well under
 * half of the time.
 */
#include <string.h>

#include "backend/backend_priv.h"

#if defined(__SSE2__)
#include <emmintrin.h>

#define LINE 64u
/* Less is as fast by the cache. */
#define STREAM_MIN 2048u

static void
stream_line(uint8_t *to, const uint8_t *from)
{
	for (unsigned at = 0; at < LINE; at += 16)
		_mm_stream_si128((void *)(to + at), _mm_loadu_si128((const void *)(from + at)));
}

void
be_stream(void *to, const void *from, size_t n)
{
	const uint8_t *src = from;
	uint8_t *dst = to;

	if (n < STREAM_MIN || (uintptr_t)to % LINE) {
		memcpy(to, from, n);
		return;
	}
	for (; n >= LINE; n -= LINE, dst += LINE, src += LINE)
		stream_line(dst, src);
	memcpy(dst, src, n);
	/* Such stores may overtake those that tell other cores of them. */
	_mm_sfence();
}
#else
void
be_stream(void *to, const void *from, size_t n)
{
	memcpy(to, from, n);
}
#endif
