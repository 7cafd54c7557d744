/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Strict reading of a JSON object into a struct by a table: every member is known, of its type,
 * within its range, and fits. What is missing keeps the value that the struct has.
 */
#ifndef GW_CONTROL_MEMBER_H
#define GW_CONTROL_MEMBER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/api/config.h"

enum member_kind {
	MEMBER_BOOL,     /* bool */
	MEMBER_UINT,     /* unsigned integer of 1, 2, 4 or 8 bytes */
	MEMBER_STR,      /* char[size] */
	MEMBER_STR_NULL, /* char[size]; null: empty */
	MEMBER_READ,     /* by read() */
	MEMBER_SKIP,     /* known, looked at elsewhere */
};

/* The object being read, for sentences. */
struct member_ctx {
	const char *key;
	struct gw_conf_err *err;
};

struct member {
	const char *name;
	enum member_kind kind;
	bool required;
	size_t off, size;
	int64_t min, max; /* MEMBER_UINT */
	bool (*read)(const struct member_ctx *ctx, const char *name, json_t *v, void *obj);
};

#define MEMBER_AT(type, field) .off = offsetof(type, field), .size = sizeof(((type *)0)->field)

/* False with ctx->err filled. */
bool member_read_all(const struct member_ctx *ctx, json_t *o, const struct member *table, size_t n,
		     void *obj);

/* An array of strings as an allocated list, at most max; false with err filled and nothing kept. */
bool member_strings(const struct member_ctx *ctx, const char *name, json_t *v, uint32_t max,
		    char ***list, uint32_t *n);

/* Fills err with "KEY: sentence"; returns false. */
bool member_fail(const struct member_ctx *ctx, int tgt_err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
