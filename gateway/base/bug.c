/* SPDX-License-Identifier: BSD-3-Clause */
#include "gateway/base/bug.h"

#include <stdlib.h>

#include "gateway/base/log.h"

atomic_ulong gw_never_count;

void
gw_bug(const char *file, int line, const char *what)
{
	gw_err("%s:%d: internal error, stopping to keep data safe: %s", file, line, what);
	abort();
}

void
gw_never(const char *file, int line, const char *what, atomic_bool *said)
{
	atomic_fetch_add_explicit(&gw_never_count, 1, memory_order_relaxed);
	if (!atomic_exchange_explicit(said, true, memory_order_relaxed))
		gw_err("%s:%d: this should never happen (said once): %s", file, line, what);
}
