/* SPDX-License-Identifier: BSD-3-Clause */
/* Flushes and durable writes beside each other: who may say that all is well, and when. */
#include "tests/unit/backend/stub.h"
#include "tests/unit/base/suite.h"

static struct tmpfile tmp;
static struct bench b;
static struct one_io one[8];
static uint8_t buf[4096];
static struct iovec v = {buf, sizeof(buf)};

static void
begin(void)
{
	tmp_new(&tmp, "/tmp", 1 << 20);
	bench_open(&b, "uring", KV(tmp.kv));
}

static void
end(void)
{
	bench_close(&b);
	tmp_free(&tmp);
}

static void
flush(unsigned i)
{
	one[i] = (struct one_io){.io = {.op = BE_FLUSH, .done = one_done}};
	be_submit(b.chan, &one[i].io);
}

static void
durable_write(unsigned i)
{
	one[i] = (struct one_io){.io = {.op = BE_WRITE,
					.flags = BE_FUA,
					.len = sizeof(buf),
					.iov = &v,
					.niov = 1,
					.done = one_done}};
	be_submit(b.chan, &one[i].io);
}

static void
is(unsigned i, enum be_st st)
{
	ck_assert_uint_eq(one[i].done, 1);
	ck_assert_int_eq(one[i].io.st, st);
}

static void
waits(unsigned i)
{
	ck_assert_uint_eq(one[i].done, 0);
}

/* The second hears of the loss; the first has returned before, and knows nothing. */
START_TEST(test_a_success_waits_for_who_ran_beside_it)
{
	begin();
	flush(0);
	flush(1);
	stub_complete(&b.s, 0, 0);
	waits(0);
	stub_complete(&b.s, 0, -EIO);
	is(0, BE_EMEDIUM);
	is(1, BE_EMEDIUM);
	end();
}
END_TEST

START_TEST(test_nobody_waits_for_who_came_later)
{
	begin();
	flush(0);
	stub_complete(&b.s, 0, 0);
	is(0, BE_OK);
	flush(0);
	flush(1);
	stub_complete(&b.s, 0, 0);
	waits(0);
	flush(2);
	stub_complete(&b.s, 0, 0);
	is(0, BE_OK);
	waits(1);
	flush(3);
	stub_complete(&b.s, 1, 0);
	waits(3);
	waits(1);
	stub_complete(&b.s, 0, 0);
	is(1, BE_OK);
	is(2, BE_OK);
	is(3, BE_OK);
	end();
}
END_TEST

/* Its error may be its own, or that of all: until that is known, nobody may claim anything. */
START_TEST(test_a_durable_write_is_a_sync)
{
	begin();
	durable_write(0);
	flush(1);
	stub_complete(&b.s, 1, 0);
	waits(1);
	stub_complete(&b.s, 0, -ENOSPC);
	waits(1);
	ck_assert_uint_eq(b.s.calls[STUB_WRITE], 1);
	stub_complete(&b.s, 0, -ENOSPC);
	is(0, BE_ENOSPC);
	is(1, BE_OK);
	durable_write(0);
	flush(1);
	stub_complete(&b.s, 1, 0);
	stub_complete(&b.s, 0, -EIO);
	waits(1);
	stub_complete(&b.s, 0, sizeof(buf));
	is(0, BE_EMEDIUM);
	is(1, BE_EMEDIUM);
	end();
}
END_TEST

START_TEST(test_a_durable_write_waits)
{
	begin();
	durable_write(0);
	durable_write(1);
	flush(2);
	stub_complete(&b.s, 0, sizeof(buf));
	stub_complete(&b.s, 0, sizeof(buf));
	waits(0);
	waits(1);
	/* It is lost for whom it waits, and for nobody who asks for no durability. */
	ck_assert_int_eq(do_io(&b.s, b.chan, BE_FLUSH, 0, 0, NULL, 0), BE_OK);
	is(0, BE_OK);
	is(1, BE_OK);
	is(2, BE_OK);
	durable_write(0);
	flush(1);
	stub_complete(&b.s, 0, sizeof(buf));
	stub_complete(&b.s, 0, -EIO);
	is(0, BE_EMEDIUM);
	is(1, BE_EMEDIUM);
	end();
}
END_TEST

START_TEST(test_an_interruption_is_no_end)
{
	begin();
	flush(0);
	flush(1);
	stub_complete(&b.s, 0, 0);
	stub_complete(&b.s, 0, -EINTR);
	waits(0);
	ck_assert_uint_eq(b.s.npending, 1);
	stub_complete(&b.s, 0, 0);
	is(0, BE_OK);
	is(1, BE_OK);
	end();
}
END_TEST

/* Each core has an open file of its own, and waits for its own syncs only. */
START_TEST(test_cores_hear_for_themselves)
{
	static struct stub other;
	struct one_io far = {.io = {.op = BE_FLUSH, .done = one_done}};
	struct be_chan *chan;
	struct stat st[2];

	begin();
	stub_init(&other, 3);
	other.core.id = 1;
	ck_assert_int_eq(be_chan_open(b.dev, &other.core, &chan), 0);
	be_submit(chan, &far.io);
	stub_self = &b.s;
	flush(0);
	ck_assert_int_ne(b.s.pending[0].fd, other.pending[0].fd);
	ck_assert_int_eq(fstat(b.s.pending[0].fd, &st[0]), 0);
	ck_assert_int_eq(fstat(other.pending[0].fd, &st[1]), 0);
	ck_assert(st[0].st_ino == st[1].st_ino && st[0].st_dev == st[1].st_dev);
	stub_complete(&b.s, 0, 0);
	is(0, BE_OK);
	/* A loss that one core has heard of is one for all. */
	stub_self = &other;
	stub_complete(&other, 0, -EIO);
	ck_assert_int_eq(far.io.st, BE_EMEDIUM);
	be_chan_close(chan);
	stub_self = &b.s;
	flush(0);
	ck_assert_uint_eq(b.s.npending, 0);
	stub_kick(&b.s);
	is(0, BE_EMEDIUM);
	end();
}
END_TEST

static unsigned closing;

static void
close_after_last(struct be_io *io)
{
	if (++closing == 2)
		be_chan_close(b.chan);
}

START_TEST(test_the_last_one_may_close_the_channel)
{
	for (int e = 0; e >= -EIO; e -= EIO) {
		begin();
		closing = 0;
		flush(0);
		flush(1);
		one[0].io.done = one[1].io.done = close_after_last;
		stub_complete(&b.s, 0, 0);
		stub_complete(&b.s, 0, e);
		ck_assert_uint_eq(closing, 2);
		be_dev_close(b.dev);
		stub_self = NULL;
		tmp_free(&tmp);
	}
}
END_TEST

SUITE("backend/sync", test_a_success_waits_for_who_ran_beside_it,
      test_nobody_waits_for_who_came_later, test_a_durable_write_is_a_sync,
      test_a_durable_write_waits, test_an_interruption_is_no_end, test_cores_hear_for_themselves,
      test_the_last_one_may_close_the_channel)
