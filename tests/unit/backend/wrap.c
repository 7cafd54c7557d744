/* SPDX-License-Identifier: BSD-3-Clause */
/* The border: well-formed I/O passes or is answered, malformed I/O and double completion abort. */
#include <signal.h>
#include <sys/wait.h>

#include "backend/backend_priv.h"
#include "tests/unit/backend/stub.h"
#include "tests/unit/base/suite.h"

static uint8_t buf[8192];

static struct iovec one = {buf, 512};
static struct iovec two[2] = {{buf, 512}, {buf + 512, 256}};

static void
never_done(struct be_io *io)
{
}

static struct be_io
good(void)
{
	return (struct be_io){
	    .op = BE_READ, .off = 512, .len = 512, .iov = &one, .niov = 1, .done = never_done};
}

static void
bad_op(struct be_chan *c)
{
	struct be_io io = good();
	io.op = BE_OP_MAX;
	be_submit(c, &io);
}

static void
bad_offset(struct be_chan *c)
{
	struct be_io io = good();
	io.off = 513;
	be_submit(c, &io);
}

static void
bad_length(struct be_chan *c)
{
	struct be_io io = good();
	io.iov = two;
	io.niov = 2;
	io.len = 768;
	be_submit(c, &io);
}

static void
no_length(struct be_chan *c)
{
	struct be_io io = good();
	io.len = 0;
	be_submit(c, &io);
}

static void
bad_sum(struct be_chan *c)
{
	struct be_io io = good();
	io.len = 1024;
	be_submit(c, &io);
}

static void
no_memory(struct be_chan *c)
{
	struct be_io io = good();
	io.niov = 0;
	be_submit(c, &io);
}

static void
bad_flags(struct be_chan *c)
{
	struct be_io io = good();
	io.flags = BE_FUA;
	be_submit(c, &io);
}

/* The null device does not know what is mapped. */
static void
no_extents(struct be_chan *c)
{
	struct be_io io = good();
	io.op = BE_EXTENT;
	be_submit(c, &io);
}

static void
no_done(struct be_chan *c)
{
	struct be_io io = good();
	io.done = NULL;
	be_submit(c, &io);
}

static void
foreign_core(struct be_chan *c)
{
	struct be_io io = good();
	stub_self = NULL;
	be_submit(c, &io);
}

static void
done_twice(struct be_chan *c)
{
	struct be_io io = good();
	be_submit(c, &io);
	while (stub_turn(stub_self))
		;
	be_done(&io, BE_OK);
}

static void
close_in_flight(struct be_chan *c)
{
	struct be_io io = good();
	be_submit(c, &io);
	be_chan_close(c);
}

static void
nothing_wrong(struct be_chan *c)
{
	struct be_io io = good();
	be_submit(c, &io);
	while (stub_turn(stub_self))
		;
}

/* The signal that ends a process that does this with a channel of a null device, 0 if none does. */
static int
ends_by(void (*fn)(struct be_chan *))
{
	static struct bench b; /* a core wants a cache line, which a stack under ASan has not */
	int status;
	pid_t pid;

	bench_open(&b, "null", KV("size=1m"));
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		signal(SIGABRT, SIG_DFL);
		fn(b.chan);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	bench_close(&b);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

START_TEST(test_our_own_mistakes_abort)
{
	void (*const mistakes[])(struct be_chan *) = {
	    bad_op,    bad_offset, bad_length,   no_length,  bad_sum,         no_memory,
	    bad_flags, no_done,    foreign_core, done_twice, close_in_flight,
	    no_extents,
	};

	ck_assert_int_eq(ends_by(nothing_wrong), 0);
	for (unsigned i = 0; i < GW_ARRAY_LEN(mistakes); i++)
		ck_assert_msg(ends_by(mistakes[i]) == SIGABRT, "mistake %u passed", i);
}
END_TEST

/* A backend that completes inside submit breaks the contract too. */
static void
hasty_submit(struct be_chan *chan, struct be_io *io)
{
	be_done(io, BE_OK);
}

static void
hasty(struct be_chan *c)
{
	struct be_ops ops = *c->dev->ops;
	struct be_io io = good();

	ops.submit = hasty_submit;
	c->dev->ops = &ops;
	be_submit(c, &io);
}

START_TEST(test_done_inside_submit_aborts)
{
	ck_assert_int_eq(ends_by(hasty), SIGABRT);
}
END_TEST

START_TEST(test_beyond_the_end_is_answered)
{
	static struct bench b;

	bench_open(&b, "mem", KV("size=64k"));
	ck_assert_int_eq(do_io(&b.s, b.chan, BE_READ, 0, 65536 - 512, buf, 512), BE_OK);
	ck_assert_int_eq(do_io(&b.s, b.chan, BE_READ, 0, 65536 - 512, buf, 1024), BE_ERANGE);
	ck_assert_int_eq(do_io(&b.s, b.chan, BE_WRITE, 0, 65536, buf, 512), BE_ERANGE);
	ck_assert_int_eq(do_io(&b.s, b.chan, BE_ZERO, 0, -(uint64_t)512, NULL, 1024), BE_ERANGE);
	ck_assert_int_eq(do_io(&b.s, b.chan, BE_FLUSH, 0, 1, NULL, 7), BE_OK);
	bench_close(&b);
}
END_TEST

START_TEST(test_read_only_is_answered)
{
	static struct bench b;

	bench_open(&b, "mem", KV("size=64k", "ro=1"));
	ck_assert(b.dev->ro);
	ck_assert_int_eq(do_io(&b.s, b.chan, BE_READ, 0, 0, buf, 512), BE_OK);
	ck_assert_int_eq(do_io(&b.s, b.chan, BE_WRITE, 0, 0, buf, 512), BE_EROFS);
	ck_assert_int_eq(do_io(&b.s, b.chan, BE_UNMAP, 0, 0, NULL, 512), BE_EROFS);
	ck_assert_int_eq(do_io(&b.s, b.chan, BE_ZERO, 0, 0, NULL, 512), BE_EROFS);
	ck_assert_int_eq(do_io(&b.s, b.chan, BE_EXTENT, 0, 0, NULL, 512), BE_OK);
	ck_assert_int_eq(do_io(&b.s, b.chan, BE_FLUSH, 0, 0, NULL, 0), BE_OK);
	bench_close(&b);
}
END_TEST

START_TEST(test_each_errno_has_its_status)
{
	ck_assert_int_eq(be_st_of_errno(0), BE_OK);
	ck_assert_int_eq(be_st_of_errno(EIO), BE_EMEDIUM);
	ck_assert_int_eq(be_st_of_errno(EILSEQ), BE_EMEDIUM);
	ck_assert_int_eq(be_st_of_errno(ENOSPC), BE_ENOSPC);
	ck_assert_int_eq(be_st_of_errno(EDQUOT), BE_ENOSPC);
	ck_assert_int_eq(be_st_of_errno(EROFS), BE_EROFS);
	ck_assert_int_eq(be_st_of_errno(EPERM), BE_EROFS);
	ck_assert_int_eq(be_st_of_errno(ENXIO), BE_EGONE);
	ck_assert_int_eq(be_st_of_errno(ENODEV), BE_EGONE);
	ck_assert_int_eq(be_st_of_errno(ENOMEDIUM), BE_EGONE);
	ck_assert_int_eq(be_st_of_errno(EOPNOTSUPP), BE_ENOTSUP);
	ck_assert_int_eq(be_st_of_errno(EAGAIN), BE_EBUSY);
	ck_assert_int_eq(be_st_of_errno(ENOMEM), BE_EBUSY);
}
END_TEST

SUITE("backend/wrap", test_our_own_mistakes_abort, test_done_inside_submit_aborts,
      test_beyond_the_end_is_answered, test_read_only_is_answered, test_each_errno_has_its_status)
