/* SPDX-License-Identifier: BSD-3-Clause */
/* How full a store is. */
#include "tests/unit/backend/stub.h"
#include "tests/unit/base/suite.h"

#define MIB (1u << 20)

static struct bench b; /* a core wants a cache line, which a stack under ASan has not */
static struct tmpfile tmp;
static uint8_t buf[MIB];

static void
run(enum be_op op, uint64_t off, uint64_t len)
{
	memset(buf, 0x77, sizeof(buf));
	ck_assert_int_eq(do_io(&b.s, b.chan, op, 0, off, op == BE_WRITE ? buf : NULL, len), BE_OK);
}

static struct be_space
space(void)
{
	struct be_space s = {0};

	ck_assert(b.dev->counts_space);
	ck_assert_int_eq(b.dev->ops->space(b.dev, &s), 0);
	ck_assert_uint_gt(s.total, 0);
	ck_assert_uint_le(s.avail, s.total);
	return s;
}

static void
mem_has(uint64_t used)
{
	struct be_space s = space();

	ck_assert_uint_eq(s.used, used);
	ck_assert_uint_eq(s.avail, 2 * MIB - used);
	ck_assert_uint_eq(s.total, 2 * MIB);
}

START_TEST(test_mem)
{
	bench_open(&b, "mem", KV("size=2m"));
	mem_has(0);
	run(BE_WRITE, 512, 512);
	mem_has(4096);
	/* Written twice, it is there once. */
	run(BE_WRITE, 0, 8192);
	mem_has(8192);
	run(BE_WRITE, MIB, MIB);
	mem_has(8192 + MIB);
	run(BE_UNMAP, 0, 512);
	mem_has(8192 + MIB);
	run(BE_UNMAP, 4096, 2 * MIB - 4096);
	mem_has(4096);
	run(BE_UNMAP, 0, 2 * MIB);
	run(BE_UNMAP, 0, 2 * MIB);
	mem_has(0);
	bench_close(&b);
}
END_TEST

START_TEST(test_file)
{
	tmp_new(&tmp, "/var/tmp", 2 * MIB);
	bench_open(&b, "uring", KV(tmp.kv));
	ck_assert_uint_eq(space().used, 0);
	run(BE_WRITE, MIB, MIB);
	run(BE_FLUSH, 0, 0);
	ck_assert_uint_ge(space().used, MIB);
	ck_assert_uint_lt(space().used, 2 * MIB);
	run(BE_UNMAP, 0, 2 * MIB);
	ck_assert_uint_lt(space().used, MIB);
	bench_close(&b);
	tmp_free(&tmp);
}
END_TEST

START_TEST(test_who_cannot_say)
{
	bench_open(&b, "null", KV("size=1m"));
	ck_assert(!b.dev->counts_space);
	bench_close(&b);
}
END_TEST

SUITE("backend/space", test_mem, test_file, test_who_cannot_say)
