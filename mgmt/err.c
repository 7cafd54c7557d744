/* SPDX-License-Identifier: BSD-3-Clause */
#include "mgmt/err.h"

#include <stdarg.h>
#include <stdio.h>

int
mgmt_fail(struct mgmt_err *e, int tgt, const char *fmt, ...)
{
	va_list ap;

	e->tgt = tgt;
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	return -1;
}
