/* SPDX-License-Identifier: BSD-3-Clause */
/* What of a medium is mapped. */
#include "tests/unit/backend/stub.h"
#include "tests/unit/base/suite.h"

#define MIB (1u << 20)
/*
 * Of many turns, and of few addresses: ThreadSanitizer leaves a program half a TiB of them at
 * times, as the kernel happens to lay it out.
 */
#define HUGE_MEM (320ull << 30)

static struct bench b; /* a core wants a cache line, which a stack under ASan has not */
static struct tmpfile tmp;
static uint8_t buf[MIB];

static void
run(enum be_op op, uint64_t off, uint64_t len)
{
	memset(buf, 0x77, sizeof(buf));
	ck_assert_int_eq(do_io(&b.s, b.chan, op, 0, off, op == BE_WRITE ? buf : NULL, len), BE_OK);
}

static struct be_io
extent(uint64_t off, uint64_t len)
{
	struct one_io one = {
	    .io = {.op = BE_EXTENT, .off = off, .len = len, .done = one_done}};

	be_submit(b.chan, &one.io);
	ck_assert_uint_eq(one.done, 0);
	while (stub_turn(&b.s))
		;
	ck_assert_uint_eq(one.done, 1);
	return one.io;
}

/* From off on: so many bytes, and whether they are mapped. */
static void
expect(uint64_t off, uint64_t len, bool mapped, uint64_t bytes)
{
	struct be_io io = extent(off, len);

	ck_assert_int_eq(io.st, BE_OK);
	ck_assert_int_eq(io.mapped, mapped);
	ck_assert_uint_eq(io.extent, bytes);
}

/* A medium of 4 MiB that nobody has written to, in blocks of at most 64 KiB. */
static void
follows_writes(void)
{
	expect(0, 4 * MIB, false, 4 * MIB);
	expect(512, 512, false, 512);
	run(BE_WRITE, MIB, 128 << 10);
	expect(0, 4 * MIB, false, MIB);
	expect(0, 512, false, 512);
	expect(MIB, 3 * MIB, true, 128 << 10);
	expect(MIB + 512, 3 * MIB - 512, true, (128 << 10) - 512);
	expect(MIB + 512, 1024, true, 1024);
	expect(MIB + (128 << 10), 2 * MIB, false, 2 * MIB);
	run(BE_WRITE, 4 * MIB - 512, 512);
	expect(4 * MIB - 512, 512, true, 512);
	run(BE_UNMAP, MIB, 64 << 10);
	expect(0, 4 * MIB, false, MIB + (64 << 10));
	expect(MIB + (64 << 10), MIB, true, 64 << 10);
	run(BE_UNMAP, 0, 4 * MIB);
	expect(0, 4 * MIB, false, 4 * MIB);
	/* Zeroes that were written are data. */
	memset(buf, 0, sizeof(buf));
	ck_assert_int_eq(do_io(&b.s, b.chan, BE_WRITE, 0, 2 * MIB, buf, MIB), BE_OK);
	expect(2 * MIB, 2 * MIB, true, MIB);
}

START_TEST(test_mem)
{
	bench_open(&b, "mem", KV("size=4m"));
	ck_assert(b.dev->extents);
	follows_writes();
	bench_close(&b);
}
END_TEST

/* However much it is, one turn looks at a bounded part of it; and the last page may be half one. */
START_TEST(test_mem_of_any_size)
{
	struct one_io one = {
	    .io = {.op = BE_EXTENT, .len = HUGE_MEM, .done = one_done}};
	unsigned turns = 0;

	bench_open(&b, "mem", KV("size=343597384192"));
	be_submit(b.chan, &one.io);
	while (stub_turn(&b.s))
		turns++;
	ck_assert_uint_gt(turns, 8);
	ck_assert(!one.io.mapped);
	ck_assert_uint_eq(one.io.extent, HUGE_MEM);
	run(BE_WRITE, HUGE_MEM, 512);
	expect(HUGE_MEM, 512, true, 512);
	expect(0, HUGE_MEM + 512, false, HUGE_MEM);
	bench_close(&b);
}
END_TEST

static void
file(const char *under)
{
	tmp_new(&tmp, under, 4 * MIB);
	bench_open(&b, "uring", KV(tmp.kv));
	ck_assert(b.dev->extents);
	follows_writes();
	bench_close(&b);
	tmp_free(&tmp);
}

START_TEST(test_file)
{
	file("/var/tmp");
}
END_TEST

START_TEST(test_file_on_tmpfs)
{
	file("/dev/shm");
}
END_TEST

START_TEST(test_file_that_was_cut)
{
	tmp_new(&tmp, "/var/tmp", 2 * MIB);
	bench_open(&b, "uring", KV(tmp.kv));
	run(BE_WRITE, 0, MIB);
	ck_assert_int_eq(truncate(tmp.path, 4096), 0);
	expect(0, 2 * MIB, true, 4096);
	expect(4096, MIB, false, MIB);
	b.s.fail[STUB_ASIDE] = EIO;
	b.s.fail_count[STUB_ASIDE] = 1;
	ck_assert_int_eq(extent(0, MIB).st, BE_EMEDIUM);
	bench_close(&b);
	tmp_free(&tmp);
}
END_TEST

START_TEST(test_who_cannot_say)
{
	bench_open(&b, "null", KV("size=1m"));
	ck_assert(!b.dev->extents);
	bench_close(&b);
}
END_TEST

SUITE("backend/extent", test_mem, test_mem_of_any_size, test_file, test_file_on_tmpfs,
      test_file_that_was_cut, test_who_cannot_say)
