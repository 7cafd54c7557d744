/* SPDX-License-Identifier: BSD-3-Clause */
#include "mgmt/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool
text_room(struct mgmt_text *t, size_t more)
{
	size_t cap = t->cap ? t->cap : 512;
	char *s;

	while (cap - t->len <= more)
		cap *= 2;
	if (cap == t->cap)
		return true;
	s = realloc(t->s, cap);
	if (!s) {
		t->failed = true;
		return false;
	}
	t->s = s;
	t->cap = cap;
	return true;
}

void
mgmt_text_addf(struct mgmt_text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (t->failed)
		return;
	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0 || !text_room(t, (size_t)n))
		return;
	va_start(ap, fmt);
	vsnprintf(t->s + t->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	t->len += (size_t)n;
}

void
mgmt_text_free(struct mgmt_text *t)
{
	free(t->s);
	memset(t, 0, sizeof(*t));
}
