/* SPDX-License-Identifier: BSD-3-Clause */
#include "gateway/control/member.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/base/str.h"

enum {
	TGT_INVALID = 17,
	TGT_UNKNOWN_PARAM = 23
};

bool
member_fail(const struct member_ctx *ctx, int tgt_err, const char *fmt, ...)
{
	int n = snprintf(ctx->err->text, sizeof(ctx->err->text), "%s: ", ctx->key);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(ctx->err->text + n, sizeof(ctx->err->text) - (size_t)n, fmt, ap);
	va_end(ap);
	ctx->err->tgt_err = tgt_err;
	snprintf(ctx->err->key, sizeof(ctx->err->key), "%s", ctx->key);
	return false;
}

static bool
read_uint(const struct member_ctx *ctx, const struct member *m, json_t *v, void *at)
{
	int64_t i = json_integer_value(v);

	if (!json_is_integer(v))
		return member_fail(ctx, TGT_INVALID, "%s is not an integer", m->name);
	if (i < m->min || i > m->max)
		return member_fail(ctx, TGT_INVALID,
				   "%s=%" PRId64 " is not within %" PRId64 "..%" PRId64, m->name, i,
				   m->min, m->max);
	switch (m->size) {
	case 1:
		*(uint8_t *)at = (uint8_t)i;
		break;
	case 2:
		*(uint16_t *)at = (uint16_t)i;
		break;
	case 4:
		*(uint32_t *)at = (uint32_t)i;
		break;
	default:
		*(uint64_t *)at = (uint64_t)i;
		break;
	}
	return true;
}

static bool
read_one(const struct member_ctx *ctx, const struct member *m, json_t *v, void *obj)
{
	void *at = (char *)obj + m->off;

	switch (m->kind) {
	case MEMBER_BOOL:
		if (!json_is_boolean(v))
			return member_fail(ctx, TGT_INVALID, "%s is neither true nor false",
					   m->name);
		*(bool *)at = json_is_true(v);
		return true;
	case MEMBER_UINT:
		return read_uint(ctx, m, v, at);
	case MEMBER_STR_NULL:
		if (json_is_null(v)) {
			*(char *)at = '\0';
			return true;
		}
		__attribute__((fallthrough));
	case MEMBER_STR:
		if (!json_is_string(v))
			return member_fail(ctx, TGT_INVALID, "%s is not a string", m->name);
		if (!gw_str_copy(at, m->size, json_string_value(v)))
			return member_fail(ctx, TGT_INVALID, "%s is longer than %zu bytes", m->name,
					   m->size - 1);
		return true;
	case MEMBER_READ:
		return m->read(ctx, m->name, v, obj);
	case MEMBER_SKIP:
		break;
	}
	return true;
}

bool
member_read_all(const struct member_ctx *ctx, json_t *o, const struct member *table, size_t n,
		void *obj)
{
	const char *name;
	json_t *v;

	if (!json_is_object(o))
		return member_fail(ctx, TGT_INVALID, "it is not a JSON object");
	json_object_foreach (o, name, v) {
		const struct member *m = NULL;

		for (size_t i = 0; i < n && !m; i++) {
			if (strcmp(table[i].name, name) == 0)
				m = &table[i];
		}
		if (!m)
			return member_fail(ctx, TGT_UNKNOWN_PARAM, "unknown member \"%.64s\"",
					   name);
		if (!read_one(ctx, m, v, obj))
			return false;
	}
	for (size_t i = 0; i < n; i++) {
		if (table[i].required && !json_object_get(o, table[i].name))
			return member_fail(ctx, TGT_INVALID, "%s is missing", table[i].name);
	}
	return true;
}

bool
member_strings(const struct member_ctx *ctx, const char *name, json_t *v, uint32_t max,
	       char ***list, uint32_t *n)
{
	size_t count = json_array_size(v);
	char **s;

	if (!json_is_array(v))
		return member_fail(ctx, TGT_INVALID, "%s is not an array", name);
	if (count > max)
		return member_fail(ctx, TGT_INVALID, "%s has more than %" PRIu32 " entries", name,
				   max);
	s = calloc(count + 1, sizeof(*s));
	for (size_t i = 0; s && i < count; i++) {
		const char *text = json_string_value(json_array_get(v, i));

		s[i] = text ? strdup(text) : NULL;
		if (s[i])
			continue;
		while (i-- > 0)
			free(s[i]);
		free(s);
		return text ? member_fail(ctx, 2, "out of memory")
			    : member_fail(ctx, TGT_INVALID, "%s has an entry that is not a string",
					  name);
	}
	*list = s;
	*n = s ? (uint32_t)count : 0;
	return s || member_fail(ctx, 2, "out of memory");
}
