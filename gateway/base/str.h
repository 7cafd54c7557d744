/* SPDX-License-Identifier: BSD-3-Clause */
/* Bounded strings and strict numbers. */
#ifndef GW_BASE_STR_H
#define GW_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Copies s into dst of `size` bytes with a NUL; false (and dst empty) if it does not fit. */
bool gw_str_copy(char *dst, size_t size, const char *s);

/* Copies s left-aligned into n bytes padded with spaces (SPC-4 4.4.1); cuts what is longer. */
void gw_str_pad(void *dst, size_t n, const char *s);

/* Whole string as unsigned decimal, or hexadecimal after 0x; false on anything else or overflow. */
bool gw_str_u64(const char *s, uint64_t *out);

/* As gw_str_u64 with a suffix k, m, g or t (powers of 1024, either case), for sizes in bytes. */
bool gw_str_size(const char *s, uint64_t *out);

/* 2 * n hex digits of p into dst (which has 2 * n + 1 bytes). */
void gw_str_hex(char *dst, const void *p, size_t n);

/* Reads exactly 2 * n hex digits, either case; false on anything else. */
bool gw_str_unhex(void *dst, size_t n, const char *s);

#endif
