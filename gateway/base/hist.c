/* SPDX-License-Identifier: BSD-3-Clause */
#include "gateway/base/hist.h"

#include "gateway/base/num.h"

#define SUB_BITS 3
#define SUB      (1u << SUB_BITS)

/* Values below 8 have a bucket each; from there on the three bits below the leading one choose. */
static unsigned
bucket_of(uint64_t ns)
{
	unsigned e, i;

	if (ns < SUB)
		return (unsigned)ns;
	e = 63 - (unsigned)__builtin_clzll(ns);
	i = (e - SUB_BITS + 1) * SUB + (unsigned)(ns >> (e - SUB_BITS) & (SUB - 1));
	return GW_MIN(i, (unsigned)GW_HIST_BUCKETS - 1);
}

static uint64_t
bucket_end(unsigned i)
{
	if (i < SUB)
		return i;
	return ((uint64_t)(SUB + i % SUB + 1) << (i / SUB - 1)) - 1;
}

static uint64_t
count_at(const struct gw_hist *h, unsigned i)
{
	return atomic_load_explicit(&h->count[i], memory_order_relaxed);
}

static void
count_add(struct gw_hist *h, unsigned i, uint64_t n)
{
	atomic_store_explicit(&h->count[i], count_at(h, i) + n, memory_order_relaxed);
}

void
gw_hist_add(struct gw_hist *h, uint64_t ns)
{
	count_add(h, bucket_of(ns), 1);
}

void
gw_hist_merge(struct gw_hist *to, const struct gw_hist *from)
{
	for (unsigned i = 0; i < GW_HIST_BUCKETS; i++)
		count_add(to, i, count_at(from, i));
}

uint64_t
gw_hist_total(const struct gw_hist *h)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < GW_HIST_BUCKETS; i++)
		n += count_at(h, i);
	return n;
}

uint64_t
gw_hist_quantile(const struct gw_hist *h, double q)
{
	uint64_t total = gw_hist_total(h), seen = 0;
	double rank;
	unsigned last = 0;

	if (total == 0)
		return 0;
	rank = GW_MIN(GW_MAX(q, 0.0), 1.0) * (double)total;
	for (unsigned i = 0; i < GW_HIST_BUCKETS; i++) {
		if (count_at(h, i) == 0)
			continue;
		seen += count_at(h, i);
		last = i;
		if ((double)seen >= rank)
			break;
	}
	return bucket_end(last);
}
