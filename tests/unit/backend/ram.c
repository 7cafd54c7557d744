/* SPDX-License-Identifier: BSD-3-Clause */
/* The RAM disk and the null device. */
#include <pthread.h>

#include "tests/unit/backend/shadow.h"
#include "tests/unit/base/suite.h"

#define MIB (1u << 20)

START_TEST(test_mem_against_a_copy)
{
	static struct bench b; /* a core wants a cache line, which a stack under ASan has not */

	bench_open(&b, "mem", KV("size=2m"));
	ck_assert(!b.dev->volatile_cache);
	ck_assert(b.dev->unmap_zeroes);
	shadow_run(&b, 0, 2 * MIB, 512, 64, 5000);
	ck_assert_uint_eq(b.s.calls[STUB_READ] + b.s.calls[STUB_WRITE], 0);
	bench_close(&b);
}
END_TEST

START_TEST(test_mem_unmap_to_the_byte)
{
	static struct bench b;
	uint8_t *buf = malloc(MIB);
	unsigned wrong = 0;

	bench_open(&b, "mem", KV("size=1m"));
	memset(buf, 0x77, MIB);
	ck_assert_int_eq(do_io(&b.s, b.chan, BE_WRITE, BE_FUA, 0, buf, MIB), BE_OK);
	ck_assert_int_eq(do_io(&b.s, b.chan, BE_UNMAP, 0, 3584, NULL, 512 * 100), BE_OK);
	ck_assert_int_eq(do_io(&b.s, b.chan, BE_UNMAP, 0, 512 * 1000, NULL, 512), BE_OK);
	ck_assert_int_eq(do_io(&b.s, b.chan, BE_READ, 0, 0, buf, MIB), BE_OK);
	for (unsigned i = 0; i < MIB; i++) {
		bool zero = (i >= 3584 && i < 3584 + 51200) || (i >= 512000 && i < 512512);

		wrong += buf[i] != (zero ? 0 : 0x77);
	}
	ck_assert_uint_eq(wrong, 0);
	bench_close(&b);
	free(buf);
}
END_TEST

/* However much is submitted, one turn does a bounded part of it. */
START_TEST(test_mem_turns_are_bounded)
{
	static struct bench b;
	struct one_io ios[8] = {0};
	uint8_t *buf = malloc(4 * MIB);
	struct iovec v = {buf, 4 * MIB};
	unsigned turns = 0, done = 0;

	bench_open(&b, "mem", KV("size=4m"));
	for (unsigned i = 0; i < 8; i++) {
		ios[i].io = (struct be_io){
		    .op = BE_READ, .len = 4 * MIB, .iov = &v, .niov = 1, .done = one_done};
		be_submit(b.chan, &ios[i].io);
	}
	while (stub_turn(&b.s))
		turns++;
	for (unsigned i = 0; i < 8; i++)
		done += ios[i].done;
	ck_assert_uint_eq(done, 8);
	ck_assert_uint_ge(turns, 16);
	bench_close(&b);
	free(buf);
}
END_TEST

/* The memory itself is lent, also to who gives it back when the disk has gone. */
static void
lent(const char *bstype, int byte)
{
	static struct bench b;
	static struct one_io one[2];
	static uint8_t buf[4096];
	struct iovec v = {buf, sizeof(buf)};

	bench_open(&b, bstype, KV("size=1m"));
	memset(buf, byte, sizeof(buf));
	ck_assert_int_eq(do_io(&b.s, b.chan, BE_WRITE, 0, 8192, buf, sizeof(buf)), BE_OK);
	memset(buf, 0x11, sizeof(buf));
	/* Certain beforehand, so it needs no buffer. */
	ck_assert(be_lends(b.chan, 8192, sizeof(buf), BE_LEND));
	ck_assert(!be_lends(b.chan, 8192, sizeof(buf), 0));
	ck_assert_int_eq(be_lends(b.chan, 8192, sizeof(buf), BE_LEND_CONST), !byte);
	for (unsigned i = 0; i < 2; i++) {
		one[i] = (struct one_io){.io = {.op = BE_READ,
						.flags = BE_LEND,
						.off = 8192,
						.len = sizeof(buf),
						.iov = i ? NULL : &v,
						.niov = !i,
						.done = one_done}};
		be_submit(b.chan, &one[i].io);
	}
	while (stub_turn(&b.s))
		;
	for (unsigned i = 0; i < 2; i++) {
		const uint8_t *p = one[i].io.lent.iov_base;

		ck_assert(one[i].done == 1 && one[i].io.st == BE_OK);
		ck_assert_ptr_nonnull(one[i].io.give_back);
		ck_assert_uint_eq(one[i].io.lent.iov_len, sizeof(buf));
		ck_assert(p[0] == byte && !memcmp(p, p + 1, sizeof(buf) - 1));
		ck_assert_int_eq(buf[i], 0x11);
		if (i == 0)
			bench_close(&b);
	}
	for (unsigned i = 0; i < 2; i++)
		one[i].io.give_back(&one[i].io);
}

START_TEST(test_mem_is_lent)
{
	lent("mem", 0x77);
}
END_TEST

START_TEST(test_null_is_lent)
{
	lent("null", 0);
}
END_TEST

START_TEST(test_null)
{
	static struct bench b;
	uint8_t buf[5000];
	struct iovec v[2] = {{buf, 100}, {buf + 100, 4096 + 512 - 100}};

	bench_open(&b, "null", KV("size=1t", "path=/dev/null", "direct=1", "sync=0"));
	ck_assert_uint_eq(be_dev_poll_size(b.dev), 1ull << 40);
	memset(buf, 0x55, sizeof(buf));
	ck_assert_int_eq(do_io(&b.s, b.chan, BE_WRITE, BE_FUA, 512, buf, 4608), BE_OK);
	ck_assert_uint_eq(buf[0], 0x55);
	ck_assert_int_eq(do_iov(&b.s, b.chan, BE_READ, 0, 512, v, 2, 4608), BE_OK);
	for (unsigned i = 0; i < sizeof(buf); i++)
		ck_assert_uint_eq(buf[i], i < 4608 ? 0 : 0x55);
	ck_assert_int_eq(do_io(&b.s, b.chan, BE_UNMAP, 0, 0, NULL, 1ull << 40), BE_OK);
	ck_assert_int_eq(do_io(&b.s, b.chan, BE_ZERO, BE_MAY_UNMAP, 0, NULL, 1ull << 40), BE_OK);
	ck_assert_int_eq(do_io(&b.s, b.chan, BE_FLUSH, 0, 0, NULL, 0), BE_OK);
	bench_close(&b);
}
END_TEST

#define THREADS 4

struct worker {
	struct be_dev *dev;
	unsigned id;
	pthread_t thread;
};

/* Each thread checks a slice of its own, and all write one block in common. */
static void *
work(void *arg)
{
	struct worker *w = arg;
	static _Thread_local struct bench b;
	uint8_t buf[4096];

	b.dev = w->dev;
	stub_init(&b.s, 100 + w->id);
	ck_assert_int_eq(be_chan_open(w->dev, &b.s.core, &b.chan), 0);
	shadow_run(&b, MIB + w->id * MIB, MIB, 512, 64, 600);
	memset(buf, (int)w->id, sizeof(buf));
	for (unsigned i = 0; i < 200; i++)
		ck_assert_int_eq(do_io(&b.s, b.chan, i % 8 == 7 ? BE_UNMAP : BE_WRITE, 0, 0,
				       i % 8 == 7 ? NULL : buf, 4096),
				 BE_OK);
	be_chan_close(b.chan);
	return NULL;
}

START_TEST(test_mem_from_several_cores)
{
	struct worker w[THREADS];
	char err[100];

	ck_assert_int_eq(be_dev_open("mem", KV("size=5m"), &w[0].dev, err, sizeof(err)), 0);
	for (unsigned i = 0; i < THREADS; i++) {
		w[i].dev = w[0].dev;
		w[i].id = i;
		ck_assert_int_eq(pthread_create(&w[i].thread, NULL, work, &w[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_join(w[i].thread, NULL), 0);
	be_dev_close(w[0].dev);
}
END_TEST

SUITE("backend/ram", test_mem_against_a_copy, test_mem_unmap_to_the_byte,
      test_mem_turns_are_bounded, test_mem_is_lent, test_null_is_lent, test_null,
      test_mem_from_several_cores)
