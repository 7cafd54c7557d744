/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Latency histogram: 8 buckets per power of two, 0 to 2^40 ns, 12 % wide at most. One writer (its
 * core), any reader: counts are relaxed atomics in memory that only its core writes.
 */
#ifndef GW_BASE_HIST_H
#define GW_BASE_HIST_H

#include <stdatomic.h>
#include <stdint.h>

#define GW_HIST_BUCKETS (41 * 8)

struct gw_hist {
	_Atomic uint64_t count[GW_HIST_BUCKETS];
};

void gw_hist_add(struct gw_hist *h, uint64_t ns);
/* Adds the counts of `from` to `to` (a private copy of the reader). */
void gw_hist_merge(struct gw_hist *to, const struct gw_hist *from);
uint64_t gw_hist_total(const struct gw_hist *h);
/* Upper bound in ns of the bucket that holds quantile q (0..1); 0 if empty. */
uint64_t gw_hist_quantile(const struct gw_hist *h, double q);

#endif
