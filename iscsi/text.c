/* SPDX-License-Identifier: BSD-3-Clause */
#include "iscsi/text.h"

#include <stdio.h>
#include <string.h>

#include "gateway/base/str.h"

void
iscsi_text_in_init(struct iscsi_text_in *in, char *buf, size_t len)
{
	buf[len] = '\0';
	in->at = buf;
	in->end = buf + len;
}

/* The standard-label of 6.1, and '#' for public extensions (X#, 13.22). */
static bool
key_char(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       (c && strchr(".-+@_#/:", c));
}

enum iscsi_text_next
iscsi_text_next(struct iscsi_text_in *in, const char **key, const char **value)
{
	char *p, *nul;

	while (in->at < in->end && *in->at == '\0')
		in->at++;
	if (in->at == in->end)
		return ISCSI_TEXT_END;
	for (p = in->at; key_char(*p); p++)
		;
	if (*p != '=' || p == in->at || p - in->at > ISCSI_TEXT_KEY_MAX)
		return ISCSI_TEXT_BAD;
	*p = '\0';
	*key = in->at;
	*value = p + 1;
	nul = memchr(p + 1, '\0', (size_t)(in->end - p));
	in->at = nul;
	return ISCSI_TEXT_PAIR;
}

void
iscsi_text_out_init(struct iscsi_text_out *out, char *buf, uint32_t size)
{
	out->buf = buf;
	out->size = size;
	out->len = 0;
	out->full = false;
}

/* Room for "key=" + n bytes of value + NUL; NULL, and full, if there is none. */
static char *
reserve(struct iscsi_text_out *out, const char *key, size_t n)
{
	size_t klen = strlen(key);
	char *p;

	if (klen + n + 2 > out->size - out->len) {
		out->full = true;
		return NULL;
	}
	p = out->buf + out->len;
	memcpy(p, key, klen);
	p[klen] = '=';
	p[klen + 1 + n] = '\0';
	out->len += (uint32_t)(klen + n + 2);
	return p + klen + 1;
}

void
iscsi_text_add(struct iscsi_text_out *out, const char *key, const char *value)
{
	size_t n = strlen(value);
	char *p = reserve(out, key, n);

	if (p)
		memcpy(p, value, n);
}

void
iscsi_text_add_u32(struct iscsi_text_out *out, const char *key, uint32_t value)
{
	char s[12];

	snprintf(s, sizeof(s), "%u", value);
	iscsi_text_add(out, key, s);
}

void
iscsi_text_add_bin(struct iscsi_text_out *out, const char *key, const uint8_t *bytes, size_t n)
{
	char *p = reserve(out, key, 2 + 2 * n);

	if (p) {
		memcpy(p, "0x", 2);
		gw_str_hex(p + 2, bytes, n);
	}
}

bool
iscsi_text_u32(const char *value, uint32_t min, uint32_t max, uint32_t *out)
{
	uint64_t v;

	if (!gw_str_u64(value, &v) || v < min || v > max)
		return false;
	*out = (uint32_t)v;
	return true;
}

bool
iscsi_text_bool(const char *value, bool *out)
{
	*out = strcmp(value, "Yes") == 0;
	return *out || strcmp(value, "No") == 0;
}

bool
iscsi_text_is_reply(const char *value)
{
	return strcmp(value, "Reject") == 0 || strcmp(value, "Irrelevant") == 0 ||
	       strcmp(value, "NotUnderstood") == 0;
}

bool
iscsi_text_item(const char **list, const char **item, size_t *n)
{
	const char *comma;

	if (!*list)
		return false;
	*item = *list;
	comma = strchr(*list, ',');
	*n = comma ? (size_t)(comma - *list) : strlen(*list);
	*list = comma ? comma + 1 : NULL;
	return true;
}

bool
iscsi_text_item_is(const char *item, size_t n, const char *word)
{
	return strlen(word) == n && memcmp(item, word, n) == 0;
}

static int
base64_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* RFC 4648 4: groups of four digits, the last padded; bits beyond the data must be zero. */
static int
base64(const char *s, size_t digits, uint8_t *out, size_t max)
{
	size_t pad = 0, n, at = 0;
	uint32_t acc = 0;

	if (digits % 4 != 0)
		return -1;
	while (pad < 2 && s[digits - 1 - pad] == '=')
		pad++;
	n = digits / 4 * 3 - pad;
	if (n > max)
		return -1;
	for (size_t i = 0; i < digits - pad; i++) {
		int d = base64_digit(s[i]);

		if (d < 0)
			return -1;
		acc = acc << 6 | (uint32_t)d;
		if (i % 4 != 0)
			out[at++] = (uint8_t)(acc >> (6 - i % 4 * 2));
	}
	return pad && (acc & ((1u << pad * 2) - 1)) ? -1 : (int)n;
}

int
iscsi_text_bin(const char *value, uint8_t *out, size_t max)
{
	size_t digits = strlen(value);

	if (digits < 4 || value[0] != '0')
		return -1;
	digits -= 2;
	switch (value[1]) {
	case 'x':
	case 'X':
		if (digits % 2 != 0 || digits / 2 > max ||
		    !gw_str_unhex(out, digits / 2, value + 2))
			return -1;
		return (int)(digits / 2);
	case 'b':
	case 'B':
		return base64(value + 2, digits, out, max);
	default:
		return -1;
	}
}
