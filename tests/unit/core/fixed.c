/* SPDX-License-Identifier: BSD-3-Clause */
/* A core's buffers, registered with its ring: which entry holds what. */
#include "gateway/core/fixed.h"

#include <liburing.h>

#include "gateway/core/buf.h"
#include "gateway/core/engine.h"
#include "tests/unit/base/suite.h"
#include "tests/unit/core/cores.h"

#define SHIFT 18
#define PIECE (1u << SHIFT)

START_TEST(test_index)
{
	struct gw_fixed f = {
	    .shift = SHIFT, .base = 0x10000000, .len = 2 * PIECE + 4096, .first = 16};

	ck_assert_int_eq(gw_fixed_index(&f, 0x10000000, 1), 16);
	ck_assert_int_eq(gw_fixed_index(&f, 0x10000000, PIECE), 16);
	ck_assert_int_eq(gw_fixed_index(&f, 0x10000000, PIECE + 1), -1);
	ck_assert_int_eq(gw_fixed_index(&f, 0x10000000 + PIECE - 1, 2), -1);
	ck_assert_int_eq(gw_fixed_index(&f, 0x10000000 + PIECE, PIECE), 17);
	ck_assert_int_eq(gw_fixed_index(&f, 0x10000000 + 2 * PIECE, 4096), 18);
	ck_assert_int_eq(gw_fixed_index(&f, 0x10000000 + 2 * PIECE, 4097), -1);
	ck_assert_int_eq(gw_fixed_index(&f, 0x10000000 - 1, 1), -1);
	ck_assert_int_eq(gw_fixed_index(&f, 0x10000000, 0), -1);
	ck_assert_int_eq(gw_fixed_index(&f, 0x10000000, UINT64_MAX), -1);
	ck_assert_int_eq(gw_fixed_index(&f, 0, 1), -1);
}
END_TEST

START_TEST(test_nothing_registered)
{
	struct gw_fixed f = {0};

	ck_assert_int_eq(gw_fixed_index(&f, 0, 1), -1);
	ck_assert_int_eq(gw_fixed_index(&f, 4096, 4096), -1);
}
END_TEST

static void
in_a_ring(struct gw_core *core, void *arg)
{
	struct gw_fixed f;
	uint8_t *base;
	uint64_t len;

	gw_buf_region(core, &base, &len);
	ck_assert_int_eq(gw_fixed_add(&f, gw_uring(core), core, SHIFT, GW_URING_BUFFERS,
				      GW_URING_BUFFERS + 3),
			 0);
	ck_assert_uint_eq(f.len, 3 * PIECE);
	ck_assert_int_eq(gw_fixed_index(&f, (uintptr_t)base + 2 * PIECE, PIECE),
			 GW_URING_BUFFERS + 2);
	ck_assert_int_eq(gw_fixed_index(&f, (uintptr_t)base + 3 * PIECE, 1), -1);
	gw_fixed_del(&f);
	ck_assert_int_eq(gw_fixed_index(&f, (uintptr_t)base, 1), -1);
}

START_TEST(test_in_the_ring_of_a_core)
{
	cores_engine = "uring";
	cores_start(1, 16u << 20, 8);
	gw_run_sync(gw_core_at(0), in_a_ring, NULL);
	gw_cores_fini();
}
END_TEST

SUITE("fixed", test_index, test_nothing_registered, test_in_the_ring_of_a_core)
