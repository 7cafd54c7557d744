/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Assertions in two grades.
 *
 * BUG(c)   our own mistake, and going on would corrupt data: say where, abort. Nothing that a peer
 *          or an administrator sends may reach it.
 * NEVER(c) a peer should not be able to cause this, but if one does, the caller takes a safe branch:
 *          `if (NEVER(x)) return conn_die(...);`. It is logged once per place and counted.
 */
#ifndef GW_BASE_BUG_H
#define GW_BASE_BUG_H

#include <stdatomic.h>
#include <stdbool.h>

#define GW_UNLIKELY(c) __builtin_expect(!!(c), 0)

/* Logs "file:line: what" and aborts. Any thread. */
_Noreturn void gw_bug(const char *file, int line, const char *what);

/* Logs one line and counts. Any thread. */
void gw_never(const char *file, int line, const char *what, atomic_bool *said);

/* How many NEVER() conditions have been true since start; a counter for the statistics. */
extern atomic_ulong gw_never_count;

#define BUG(c)                                                                                     \
	do {                                                                                       \
		if (GW_UNLIKELY(c))                                                                \
			gw_bug(__FILE__, __LINE__, #c);                                            \
	} while (0)

#define NEVER(c)                                                                                   \
	({                                                                                         \
		static atomic_bool said_;                                                          \
		bool hit_ = GW_UNLIKELY(c);                                                        \
		if (hit_)                                                                          \
			gw_never(__FILE__, __LINE__, #c, &said_);                                  \
		hit_;                                                                              \
	})

#endif
