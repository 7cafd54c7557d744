/* SPDX-License-Identifier: BSD-3-Clause */
/* A string that grows while an answer is put together. */
#ifndef MGMT_TEXT_H
#define MGMT_TEXT_H

#include <stdbool.h>
#include <stddef.h>

struct mgmt_text {
	char *s; /* NUL-terminated; NULL while nothing was added */
	size_t len, cap;
	bool failed; /* memory ran out: the text is cut and must not be used */
};

void mgmt_text_addf(struct mgmt_text *t, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void mgmt_text_free(struct mgmt_text *t);

#endif
