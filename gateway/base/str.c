/* SPDX-License-Identifier: BSD-3-Clause */
#include "gateway/base/str.h"

#include <string.h>

#include "gateway/base/num.h"

bool
gw_str_copy(char *dst, size_t size, const char *s)
{
	size_t n = strnlen(s, size);

	if (size == 0)
		return false;
	if (n == size) {
		dst[0] = '\0';
		return false;
	}
	memcpy(dst, s, n + 1);
	return true;
}

void
gw_str_pad(void *dst, size_t n, const char *s)
{
	size_t len = strnlen(s, n);

	memcpy(dst, s, len);
	memset((char *)dst + len, ' ', n - len);
}

/* Value of a digit in bases up to 16, or 16 for what is none. Not isxdigit(): no locale. */
static unsigned
digit(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned)(c - '0');
	if (c >= 'a' && c <= 'f')
		return (unsigned)(c - 'a') + 10;
	if (c >= 'A' && c <= 'F')
		return (unsigned)(c - 'A') + 10;
	return 16;
}

/* Reads digits up to the first character that is none; NULL without any digit or on overflow. */
static const char *
read_u64(const char *s, uint64_t *out)
{
	unsigned base = 10;
	uint64_t v = 0;
	const char *p;

	if (s[0] == '0' && (s[1] == 'x' || s[1] == 'X')) {
		base = 16;
		s += 2;
	}
	for (p = s; digit(*p) < base; p++) {
		if (__builtin_mul_overflow(v, base, &v) || !gw_add_u64(v, digit(*p), &v))
			return NULL;
	}
	*out = v;
	return p == s ? NULL : p;
}

bool
gw_str_u64(const char *s, uint64_t *out)
{
	uint64_t v;
	const char *end = read_u64(s, &v);

	if (!end || *end)
		return false;
	*out = v;
	return true;
}

bool
gw_str_size(const char *s, uint64_t *out)
{
	static const char suffixes[] = "kmgt";
	uint64_t v;
	const char *end = read_u64(s, &v), *suffix;

	if (!end)
		return false;
	if (*end) {
		suffix = strchr(suffixes, *end | 0x20);
		if (!suffix || !*suffix || end[1] ||
		    !gw_shl_u64(v, 10 * (unsigned)(suffix - suffixes + 1), &v))
			return false;
	}
	*out = v;
	return true;
}

void
gw_str_hex(char *dst, const void *p, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *b = p;

	for (size_t i = 0; i < n; i++) {
		*dst++ = digits[b[i] >> 4];
		*dst++ = digits[b[i] & 15];
	}
	*dst = '\0';
}

bool
gw_str_unhex(void *dst, size_t n, const char *s)
{
	uint8_t *b = dst;

	if (strnlen(s, 2 * n + 1) != 2 * n)
		return false;
	for (size_t i = 0; i < n; i++) {
		unsigned hi = digit(s[2 * i]), lo = digit(s[2 * i + 1]);

		if (hi > 15 || lo > 15)
			return false;
		b[i] = (uint8_t)(hi << 4 | lo);
	}
	return true;
}
