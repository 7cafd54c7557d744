/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/bench/lean.h"

#include "gateway/base/num.h"

#define SUB_BITS 6

static unsigned
bucket_of(uint64_t ns)
{
	unsigned e, i;

	if (ns < LAT_SUB)
		return (unsigned)ns;
	e = 63 - (unsigned)__builtin_clzll(ns);
	i = (e - SUB_BITS + 1) * LAT_SUB + (unsigned)(ns >> (e - SUB_BITS) & (LAT_SUB - 1));
	return GW_MIN(i, (unsigned)LAT_BUCKETS - 1);
}

static uint64_t
bucket_start(unsigned i)
{
	return i < LAT_SUB ? i : (uint64_t)(LAT_SUB + i % LAT_SUB) << (i / LAT_SUB - 1);
}

void
lat_add(struct lat *l, uint64_t ns)
{
	l->count[bucket_of(ns)]++;
	l->n++;
	l->sum += ns;
	l->max = GW_MAX(l->max, ns);
}

void
lat_merge(struct lat *to, const struct lat *from)
{
	for (unsigned i = 0; i < LAT_BUCKETS; i++)
		to->count[i] += from->count[i];
	to->n += from->n;
	to->sum += from->sum;
	to->max = GW_MAX(to->max, from->max);
}

/* The middle of the bucket that holds quantile q. */
double
lat_quantile_us(const struct lat *l, double q)
{
	double rank = q * (double)l->n;
	uint64_t seen = 0;

	for (unsigned i = 0; i < LAT_BUCKETS; i++) {
		seen += l->count[i];
		if (l->count[i] && (double)seen >= rank)
			return (double)(bucket_start(i) + bucket_start(i + 1)) / 2000;
	}
	return 0;
}
