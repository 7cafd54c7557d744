/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "gateway/base/pool.h"
#include "tests/unit/base/suite.h"

START_TEST(test_all_objects_once)
{
	struct gw_pool p;
	char *o[10];

	ck_assert_int_eq(gw_pool_init(&p, 100, 10), 0);
	ck_assert_uint_eq(p.size, 128);
	for (int i = 0; i < 10; i++) {
		o[i] = gw_pool_get(&p);
		ck_assert_ptr_nonnull(o[i]);
		ck_assert_uint_eq((uintptr_t)o[i] % 64, 0);
		memset(o[i], i, 128);
	}
	ck_assert_ptr_null(gw_pool_get(&p));
	ck_assert_uint_eq(p.nfree, 0);
	for (int i = 0; i < 10; i++) {
		for (int k = 0; k < 128; k++)
			ck_assert_int_eq(o[i][k], i);
		gw_pool_put(&p, o[i]);
	}
	ck_assert_uint_eq(p.nfree, 10);
	gw_pool_fini(&p);
}
END_TEST

START_TEST(test_last_in_first_out)
{
	struct gw_pool p;
	void *a, *b;

	ck_assert_int_eq(gw_pool_init(&p, 64, 2), 0);
	a = gw_pool_get(&p);
	b = gw_pool_get(&p);
	gw_pool_put(&p, b);
	gw_pool_put(&p, a);
	ck_assert_ptr_eq(gw_pool_get(&p), a);
	gw_pool_put(&p, a);
	gw_pool_fini(&p);
}
END_TEST

START_TEST(test_grow)
{
	struct gw_pool p;

	ck_assert_int_eq(gw_pool_init(&p, 8, 0), 0);
	ck_assert_ptr_null(gw_pool_get(&p));
	ck_assert_int_eq(gw_pool_grow(&p, 3), 0);
	ck_assert_int_eq(gw_pool_grow(&p, 4), 0);
	ck_assert_uint_eq(p.total, 7);
	ck_assert_uint_eq(p.nfree, 7);
	ck_assert_int_eq(gw_pool_grow(&p, UINT32_MAX), -ENOMEM);
	ck_assert_uint_eq(p.total, 7);
	gw_pool_fini(&p);
	ck_assert_int_eq(gw_pool_init(&p, SIZE_MAX - 1, 1), -ENOMEM);
	ck_assert_int_eq(gw_pool_init(&p, SIZE_MAX / 2, 4), -ENOMEM);
}
END_TEST

/* Pages of the range that have memory behind them. */
static size_t
resident(const void *p, size_t len)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), n = 0;
	uintptr_t from = (uintptr_t)p / page * page, to = (uintptr_t)p + len;
	unsigned char in[4096];

	to = (to + page - 1) / page * page;
	ck_assert_uint_le((to - from) / page, sizeof(in));
	ck_assert_int_eq(mincore((void *)from, to - from, in), 0);
	for (size_t i = 0; i < (to - from) / page; i++)
		n += in[i] & 1;
	return n;
}

START_TEST(test_untouched_until_used)
{
	struct gw_pool p;
	char *first, *o;

	/* Large enough to be a mapping of its own. */
	ck_assert_int_eq(gw_pool_init(&p, 4096, 1024), 0);
	first = o = gw_pool_get(&p);
	for (int i = 0; i < 2000; i++) {
		memset(o, i, 4096);
		gw_pool_put(&p, o);
		ck_assert_ptr_eq(gw_pool_get(&p), o);
	}
	ck_assert_uint_eq(p.nfree, 1023);
	ck_assert_uint_le(resident(first, 1024 * 4096), 8);
	gw_pool_put(&p, o);
	gw_pool_fini(&p);
}
END_TEST

START_TEST(test_trim)
{
	struct gw_pool p;
	void *o[12];

	ck_assert_int_eq(gw_pool_init(&p, 64, 2), 0);
	ck_assert_int_eq(gw_pool_grow(&p, 10), 0);
	for (int i = 0; i < 12; i++)
		ck_assert_ptr_nonnull(o[i] = gw_pool_get(&p));
	ck_assert_ptr_null(gw_pool_get(&p));
	gw_pool_put(&p, o[3]);
	gw_pool_trim(&p);
	ck_assert_uint_eq(p.total, 12);
	for (int i = 0; i < 12; i++) {
		if (i != 3)
			gw_pool_put(&p, o[i]);
	}
	gw_pool_trim(&p);
	ck_assert_uint_eq(p.total, 2);
	ck_assert_uint_eq(p.nfree, 2);
	ck_assert_int_eq(gw_pool_grow(&p, 1), 0);
	for (int i = 0; i < 3; i++)
		ck_assert_ptr_nonnull(o[i] = gw_pool_get(&p));
	ck_assert_ptr_null(gw_pool_get(&p));
	for (int i = 0; i < 3; i++)
		gw_pool_put(&p, o[i]);
	gw_pool_fini(&p);
}
END_TEST

SUITE("pool", test_all_objects_once, test_last_in_first_out, test_grow, test_untouched_until_used,
      test_trim)
