/* SPDX-License-Identifier: BSD-3-Clause */
/* Arithmetic that cannot wrap unnoticed. All sums over LBAs and wire lengths go through these. */
#ifndef GW_BASE_NUM_H
#define GW_BASE_NUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GW_MIN(a, b)                                                                               \
	({                                                                                         \
		__typeof__(a) mina_ = (a);                                                         \
		__typeof__(b) minb_ = (b);                                                         \
		mina_ < minb_ ? mina_ : minb_;                                                     \
	})
#define GW_MAX(a, b)                                                                               \
	({                                                                                         \
		__typeof__(a) maxa_ = (a);                                                         \
		__typeof__(b) maxb_ = (b);                                                         \
		maxa_ > maxb_ ? maxa_ : maxb_;                                                     \
	})
#define GW_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* *sum = a + b; false if it does not fit. */
static inline bool
gw_add_u64(uint64_t a, uint64_t b, uint64_t *sum)
{
	return !__builtin_add_overflow(a, b, sum);
}

/* *out = v << shift; false if bits would be lost. shift < 64. */
static inline bool
gw_shl_u64(uint64_t v, unsigned shift, uint64_t *out)
{
	*out = v << shift;
	return *out >> shift == v;
}

/* True if [start, start + count) lies within [0, limit). An empty range at limit is inside (SBC-4). */
static inline bool
gw_range_ok(uint64_t start, uint64_t count, uint64_t limit)
{
	return count <= limit && start <= limit - count;
}

/* v rounded up to a multiple of the power of two `to`; the caller knows that it fits. */
static inline uint64_t
gw_round_up(uint64_t v, uint64_t to)
{
	return (v + to - 1) & ~(to - 1);
}

/* Serial number arithmetic, RFC 1982 as used by RFC 7143 4.2.2.1: a < b in 32 bits. */
static inline bool
gw_sn_lt(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

#endif
