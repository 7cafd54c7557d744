/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tells AddressSanitizer that memory of ours, which free() never sees, may not be touched now. Costs
 * nothing in other builds. p and n are multiples of 8.
 */
#ifndef GW_BASE_POISON_H
#define GW_BASE_POISON_H

#include <stddef.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define GW_HAS_ASAN 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define GW_HAS_ASAN 1
#endif

#ifdef GW_HAS_ASAN
#include <sanitizer/asan_interface.h>
#endif

static inline void
gw_poison(const void *p, size_t n)
{
#ifdef GW_HAS_ASAN
	__asan_poison_memory_region(p, n);
#endif
}

static inline void
gw_unpoison(const void *p, size_t n)
{
#ifdef GW_HAS_ASAN
	__asan_unpoison_memory_region(p, n);
#endif
}

#endif
