/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "gateway/base/hist.h"
#include "tests/unit/base/suite.h"

static struct gw_hist h, other;

START_TEST(test_empty)
{
	memset(&h, 0, sizeof(h));
	ck_assert_uint_eq(gw_hist_total(&h), 0);
	ck_assert_uint_eq(gw_hist_quantile(&h, 0.5), 0);
}
END_TEST

/* Each value's bucket ends at or above it, by an eighth at most. */
START_TEST(test_bounds)
{
	for (uint64_t v = 0; v < 1ull << 40; v = v < 5000 ? v + 1 : v + v / 7) {
		uint64_t end;

		memset(&h, 0, sizeof(h));
		gw_hist_add(&h, v);
		end = gw_hist_quantile(&h, 1);
		ck_assert_uint_ge(end, v);
		ck_assert_uint_le(end - v, v / 8);
	}
}
END_TEST

START_TEST(test_huge_values_stay_inside)
{
	memset(&h, 0, sizeof(h));
	gw_hist_add(&h, UINT64_MAX);
	ck_assert_uint_eq(gw_hist_total(&h), 1);
	ck_assert_uint_ge(gw_hist_quantile(&h, 0.5), 1ull << 40);
}
END_TEST

START_TEST(test_quantiles)
{
	memset(&h, 0, sizeof(h));
	for (unsigned i = 0; i < 99; i++)
		gw_hist_add(&h, 5);
	gw_hist_add(&h, 7);
	ck_assert_uint_eq(gw_hist_quantile(&h, 0), 5);
	ck_assert_uint_eq(gw_hist_quantile(&h, 0.5), 5);
	ck_assert_uint_eq(gw_hist_quantile(&h, 0.99), 5);
	ck_assert_uint_eq(gw_hist_quantile(&h, 0.999), 7);
	ck_assert_uint_eq(gw_hist_quantile(&h, 1), 7);
}
END_TEST

START_TEST(test_merge)
{
	memset(&h, 0, sizeof(h));
	memset(&other, 0, sizeof(other));
	gw_hist_add(&h, 3);
	gw_hist_add(&other, 3);
	gw_hist_add(&other, 1000);
	gw_hist_merge(&h, &other);
	ck_assert_uint_eq(gw_hist_total(&h), 3);
	ck_assert_uint_eq(gw_hist_total(&other), 2);
	ck_assert_uint_eq(gw_hist_quantile(&h, 0.6), 3);
}
END_TEST

SUITE("hist", test_empty, test_bounds, test_huge_values_stay_inside, test_quantiles, test_merge)
