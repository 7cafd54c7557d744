/* SPDX-License-Identifier: BSD-3-Clause */
/* Buffered files: every byte, every failure, and what reaches the device. */
#include "tests/unit/backend/shadow.h"
#include "tests/unit/base/suite.h"

#define MIB (1u << 20)

static void
against_a_copy(const char *under, uint32_t align, unsigned skew, size_t short_max, unsigned count)
{
	struct tmpfile t;
	static struct bench b; /* a core wants a cache line, which a stack under ASan has not */

	tmp_new(&t, under, 2 * MIB);
	bench_open(&b, "uring", KV(t.kv));
	b.s.short_max = short_max;
	shadow_run(&b, 0, 2 * MIB, align, skew, count);
	bench_close(&b);
	tmp_free(&t);
}

START_TEST(test_against_a_copy)
{
	against_a_copy("/tmp", 512, 64, 0, 3000);
}
END_TEST

/* tmpfs can punch holes and has no FALLOC_FL_ZERO_RANGE. */
START_TEST(test_on_tmpfs_against_a_copy)
{
	against_a_copy("/dev/shm", 4096, 0, 0, 3000);
}
END_TEST

START_TEST(test_short_transfers_against_a_copy)
{
	against_a_copy("/tmp", 1, 64, 7001, 800);
}
END_TEST

static uint8_t buf[2 * MIB];

static struct tmpfile tmp;
static struct bench b;

static void
begin(const char *option)
{
	tmp_new(&tmp, "/tmp", 2 * MIB);
	bench_open(&b, "uring", option ? KV(tmp.kv, option) : KV(tmp.kv));
}

static void
end(void)
{
	bench_close(&b);
	tmp_free(&tmp);
}

static enum be_st
io(enum be_op op, uint8_t flags, uint64_t off, uint64_t len)
{
	return do_io(&b.s, b.chan, op, flags, off, op == BE_READ || op == BE_WRITE ? buf : NULL,
		     len);
}

static void
inject(enum stub_kind kind, int e, unsigned count)
{
	b.s.fail[kind] = e;
	b.s.fail_count[kind] = count;
}

START_TEST(test_interruptions_are_ridden_out)
{
	begin(NULL);
	inject(STUB_READ, EINTR, 3);
	ck_assert_int_eq(io(BE_READ, 0, 0, 4096), BE_OK);
	inject(STUB_WRITE, EAGAIN, 3);
	ck_assert_int_eq(io(BE_WRITE, 0, 0, 4096), BE_OK);
	inject(STUB_SYNC, EINTR, 3);
	ck_assert_int_eq(io(BE_FLUSH, 0, 0, 0), BE_OK);
	inject(STUB_PUNCH, EINTR, 3);
	ck_assert_int_eq(io(BE_UNMAP, 0, 0, 4096), BE_OK);
	/* But not forever. */
	inject(STUB_READ, EAGAIN, 1000);
	ck_assert_int_eq(io(BE_READ, 0, 0, 4096), BE_EBUSY);
	ck_assert_uint_gt(b.s.fail_count[STUB_READ], 900);
	end();
}
END_TEST

START_TEST(test_errors_are_told_apart)
{
	begin(NULL);
	inject(STUB_READ, EIO, 1);
	ck_assert_int_eq(io(BE_READ, 0, 0, 4096), BE_EMEDIUM);
	inject(STUB_WRITE, ENOSPC, 1);
	ck_assert_int_eq(io(BE_WRITE, 0, 0, 4096), BE_ENOSPC);
	inject(STUB_WRITE, EROFS, 1);
	ck_assert_int_eq(io(BE_WRITE, 0, 0, 4096), BE_EROFS);
	inject(STUB_WRITE, ENODEV, 1);
	ck_assert_int_eq(io(BE_WRITE, 0, 0, 4096), BE_EGONE);
	inject(STUB_ZERO_RANGE, ENOSPC, 1);
	ck_assert_int_eq(io(BE_ZERO, 0, 0, 4096), BE_ENOSPC);
	inject(STUB_PUNCH, EIO, 1);
	ck_assert_int_eq(io(BE_UNMAP, 0, 0, 4096), BE_EMEDIUM);
	/* None of them is a failed flush. */
	ck_assert_int_eq(io(BE_FLUSH, 0, 0, 0), BE_OK);
	ck_assert_int_eq(io(BE_WRITE, BE_FUA, 0, 4096), BE_OK);
	end();
}
END_TEST

START_TEST(test_an_error_in_the_middle)
{
	begin(NULL);
	b.s.short_max = 1000;
	ck_assert_int_eq(io(BE_WRITE, 0, 0, 4000), BE_OK);
	ck_assert_uint_eq(b.s.calls[STUB_WRITE], 4);
	inject(STUB_READ, EIO, 1);
	ck_assert_int_eq(io(BE_READ, 0, 0, 4000), BE_EMEDIUM);
	/* The file ends sooner than it did: no progress, which must not go round forever. */
	b.s.short_max = 0;
	ck_assert_int_eq(truncate(tmp.path, 1000), 0);
	ck_assert_int_eq(io(BE_READ, 0, 0, 1000), BE_OK);
	ck_assert_int_eq(io(BE_READ, 0, 0, 4096), BE_ERANGE);
	ck_assert_int_eq(io(BE_READ, 0, 8192, 4096), BE_ERANGE);
	end();
}
END_TEST

START_TEST(test_the_remembered_size_guards)
{
	begin(NULL);
	ck_assert_int_eq(truncate(tmp.path, 4096), 0);
	ck_assert_uint_eq(be_dev_poll_size(b.dev), 4096);
	ck_assert_int_eq(io(BE_WRITE, 0, 4096, 512), BE_ERANGE);
	ck_assert_int_eq(io(BE_READ, 0, 0, 8192), BE_ERANGE);
	ck_assert_uint_eq(b.s.calls[STUB_WRITE] + b.s.calls[STUB_READ], 0);
	ck_assert_int_eq(io(BE_WRITE, 0, 0, 4096), BE_OK);
	ck_assert_int_eq(truncate(tmp.path, MIB), 0);
	ck_assert_int_eq(io(BE_READ, 0, 4096, 512), BE_ERANGE);
	ck_assert_uint_eq(be_dev_poll_size(b.dev), MIB);
	ck_assert_int_eq(io(BE_READ, 0, 4096, 512), BE_OK);
	end();
}
END_TEST

START_TEST(test_flush_and_fua_reach_the_device)
{
	begin(NULL);
	ck_assert_int_eq(io(BE_WRITE, 0, 0, 4096), BE_OK);
	ck_assert_uint_eq(b.s.calls[STUB_DSYNC] + b.s.calls[STUB_SYNC], 0);
	ck_assert_int_eq(io(BE_WRITE, BE_FUA, 0, 4096), BE_OK);
	ck_assert_uint_eq(b.s.calls[STUB_DSYNC], 1);
	ck_assert_uint_eq(b.s.calls[STUB_WRITE], 1);
	ck_assert_int_eq(io(BE_FLUSH, 0, 0, 0), BE_OK);
	ck_assert_uint_eq(b.s.calls[STUB_SYNC], 1);
	ck_assert_int_eq(io(BE_ZERO, BE_FUA, 0, 4096), BE_OK);
	ck_assert_uint_eq(b.s.calls[STUB_SYNC], 2);
	ck_assert_int_eq(io(BE_ZERO, BE_MAY_UNMAP, 0, 4096), BE_OK);
	ck_assert_uint_eq(b.s.calls[STUB_SYNC], 2);
	/* Each part of a durable write that is continued is durable. */
	b.s.short_max = 1024;
	ck_assert_int_eq(io(BE_WRITE, BE_FUA, 0, 4096), BE_OK);
	ck_assert_uint_eq(b.s.calls[STUB_DSYNC], 5);
	ck_assert_uint_eq(b.s.calls[STUB_WRITE], 1);
	end();
}
END_TEST

START_TEST(test_sync_makes_everything_durable)
{
	begin("sync=1");
	ck_assert_int_eq(io(BE_WRITE, 0, 0, 4096), BE_OK);
	ck_assert_uint_eq(b.s.calls[STUB_DSYNC], 1);
	ck_assert_uint_eq(b.s.calls[STUB_WRITE], 0);
	ck_assert_int_eq(io(BE_ZERO, 0, 0, 4096), BE_OK);
	ck_assert_uint_eq(b.s.calls[STUB_SYNC], 1);
	inject(STUB_SYNC, EIO, 1);
	ck_assert_int_eq(io(BE_FLUSH, 0, 0, 0), BE_EMEDIUM);
	ck_assert_int_eq(io(BE_WRITE, 0, 0, 4096), BE_EMEDIUM);
	end();
}
END_TEST

START_TEST(test_a_failed_flush_stays_failed)
{
	begin(NULL);
	inject(STUB_SYNC, EIO, 1);
	ck_assert_int_eq(io(BE_FLUSH, 0, 0, 0), BE_EMEDIUM);
	ck_assert_int_eq(io(BE_FLUSH, 0, 0, 0), BE_EMEDIUM);
	ck_assert_int_eq(io(BE_WRITE, BE_FUA, 0, 4096), BE_EMEDIUM);
	ck_assert_int_eq(io(BE_ZERO, BE_FUA, 0, 4096), BE_EMEDIUM);
	ck_assert_uint_eq(b.s.calls[STUB_SYNC], 1);
	ck_assert_uint_eq(b.s.calls[STUB_DSYNC], 0);
	/* Who does not ask for durability is served. */
	ck_assert_int_eq(io(BE_WRITE, 0, 0, 4096), BE_OK);
	ck_assert_int_eq(io(BE_READ, 0, 0, 4096), BE_OK);
	/* All channels know, a new opening does not. */
	be_chan_close(b.chan);
	ck_assert_int_eq(be_chan_open(b.dev, &b.s.core, &b.chan), 0);
	ck_assert_int_eq(io(BE_FLUSH, 0, 0, 0), BE_EMEDIUM);
	bench_close(&b);
	bench_open(&b, "uring", KV(tmp.kv));
	ck_assert_int_eq(io(BE_FLUSH, 0, 0, 0), BE_OK);
	end();
}
END_TEST

/* The kernel reports a loss to one caller: a flush that ran beside it may not claim success. */
START_TEST(test_a_loss_spoils_the_flush_beside_it)
{
	struct one_io a = {0}, c = {0};

	begin(NULL);
	a.io = c.io = (struct be_io){.op = BE_FLUSH, .done = one_done};
	inject(STUB_SYNC, EIO, 1);
	be_submit(b.chan, &a.io);
	be_submit(b.chan, &c.io);
	while (stub_turn(&b.s))
		;
	ck_assert_uint_eq(b.s.calls[STUB_SYNC], 2);
	ck_assert_int_eq(a.io.st, BE_EMEDIUM);
	ck_assert_int_eq(c.io.st, BE_EMEDIUM);
	end();
}
END_TEST

START_TEST(test_why_a_durable_write_failed)
{
	begin(NULL);
	/* The write itself: no space, and none without durability either. */
	inject(STUB_DSYNC, ENOSPC, 1);
	inject(STUB_WRITE, ENOSPC, 1);
	ck_assert_int_eq(io(BE_WRITE, BE_FUA, 0, 4096), BE_ENOSPC);
	ck_assert_uint_eq(b.s.fail_count[STUB_WRITE], 0);
	ck_assert_int_eq(io(BE_FLUSH, 0, 0, 0), BE_OK);
	/* The cache: the write alone works, so what failed was to make it durable. */
	inject(STUB_DSYNC, EIO, 1);
	ck_assert_int_eq(io(BE_WRITE, BE_FUA, 0, 4096), BE_EMEDIUM);
	ck_assert_int_eq(io(BE_FLUSH, 0, 0, 0), BE_EMEDIUM);
	ck_assert_int_eq(io(BE_WRITE, BE_FUA, 0, 4096), BE_EMEDIUM);
	end();
}
END_TEST

static blkcnt_t
blocks(void)
{
	struct stat st;

	ck_assert_int_eq(io(BE_FLUSH, 0, 0, 0), BE_OK);
	ck_assert_int_eq(stat(tmp.path, &st), 0);
	return st.st_blocks;
}

/* Fills the disk, has [off, off + len) cleared, and looks at every byte. */
static void
clear(enum be_op op, uint8_t flags, uint64_t off, uint64_t len)
{
	uint64_t wrong = 0;

	memset(buf, 0x99, sizeof(buf));
	ck_assert_int_eq(io(BE_WRITE, 0, 0, sizeof(buf)), BE_OK);
	ck_assert_int_eq(io(op, flags, off, len), BE_OK);
	memset(buf, 0x11, sizeof(buf));
	ck_assert_int_eq(io(BE_READ, 0, 0, sizeof(buf)), BE_OK);
	for (uint64_t i = 0; i < sizeof(buf); i++)
		wrong += buf[i] != (i >= off && i - off < len ? 0 : 0x99);
	ck_assert_uint_eq(wrong, 0);
}

START_TEST(test_unmap_frees_and_clears_its_edges)
{
	blkcnt_t full;

	begin(NULL);
	ck_assert_uint_gt(b.dev->unmap_align, 0);
	ck_assert(b.dev->unmap_zeroes);
	clear(BE_UNMAP, 0, MIB, 512);
	full = blocks();
	ck_assert_int_ge(full, 2 * MIB / 512);
	clear(BE_UNMAP, 0, 512, MIB + 1024);
	ck_assert_int_le(blocks(), full - (MIB - 8192) / 512);
	clear(BE_ZERO, BE_MAY_UNMAP, 512, MIB + 1024);
	ck_assert_int_le(blocks(), full - (MIB - 8192) / 512);
	ck_assert_uint_eq(b.s.calls[STUB_PUNCH], 3);
	/* What may not be unmapped keeps its space. */
	clear(BE_ZERO, 0, 512, MIB + 1024);
	ck_assert_int_ge(blocks(), 2 * MIB / 512);
	end();
}
END_TEST

START_TEST(test_zeroes_without_the_file_systems_help)
{
	begin(NULL);
	inject(STUB_PUNCH, EOPNOTSUPP, 1);
	inject(STUB_ZERO_RANGE, EOPNOTSUPP, 1);
	clear(BE_UNMAP, 0, 512, MIB + 70000);
	ck_assert_uint_eq(b.s.calls[STUB_PUNCH], 1);
	ck_assert_uint_eq(b.s.calls[STUB_ZERO_RANGE], 1);
	ck_assert_uint_ge(b.s.calls[STUB_WRITE], 3);
	/* It is remembered; pieces are short or interrupted as with any write. */
	b.s.short_max = 50000;
	inject(STUB_WRITE, EINTR, 2);
	clear(BE_ZERO, BE_FUA, 4096, MIB);
	ck_assert_uint_eq(b.s.calls[STUB_PUNCH], 1);
	ck_assert_uint_eq(b.s.calls[STUB_ZERO_RANGE], 1);
	ck_assert_uint_eq(b.s.calls[STUB_SYNC], 1);
	end();
}
END_TEST

START_TEST(test_zeroes_are_written_in_bounded_pieces)
{
	begin(NULL);
	inject(STUB_ZERO_RANGE, EOPNOTSUPP, 1);
	ck_assert_int_eq(io(BE_ZERO, 0, 0, 2 * MIB), BE_OK);
	ck_assert_uint_ge(b.s.calls[STUB_WRITE], 2);
	ck_assert_uint_le(b.s.largest, MIB);
	end();
}
END_TEST

SUITE("backend/file", test_against_a_copy, test_on_tmpfs_against_a_copy,
      test_short_transfers_against_a_copy, test_interruptions_are_ridden_out,
      test_errors_are_told_apart, test_an_error_in_the_middle, test_the_remembered_size_guards,
      test_flush_and_fua_reach_the_device, test_sync_makes_everything_durable,
      test_a_failed_flush_stays_failed, test_a_loss_spoils_the_flush_beside_it,
      test_why_a_durable_write_failed, test_unmap_frees_and_clears_its_edges,
      test_zeroes_without_the_file_systems_help, test_zeroes_are_written_in_bounded_pieces)
