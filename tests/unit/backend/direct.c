/* SPDX-License-Identifier: BSD-3-Clause */
/* Files opened with O_DIRECT; skipped where the file system of /tmp has no direct I/O. */
#include "tests/unit/backend/shadow.h"
#include "tests/unit/base/suite.h"

#define MIB (1u << 20)

static struct tmpfile tmp;
static struct bench b;

static void
begin(off_t size)
{
	tmp_new(&tmp, "/tmp", size);
	bench_open(&b, "uring", KV(tmp.kv, "direct=1"));
}

static void
end(void)
{
	bench_close(&b);
	tmp_free(&tmp);
}

START_TEST(test_description)
{
	begin(2 * MIB + 100);
	ck_assert_uint_ge(b.dev->io_align, 512);
	ck_assert_uint_eq(b.dev->size, 2 * MIB);
	ck_assert_uint_ge(b.dev->phys_block, b.dev->io_align);
	ck_assert(b.dev->volatile_cache);
	ck_assert_int_eq(truncate(tmp.path, 3 * MIB - 1), 0);
	ck_assert_uint_eq(be_dev_poll_size(b.dev), 3 * MIB - b.dev->io_align);
	end();
}
END_TEST

START_TEST(test_aligned_against_a_copy)
{
	begin(2 * MIB);
	shadow_run(&b, 0, 2 * MIB, b.dev->io_align, 0, 1500);
	end();
}
END_TEST

START_TEST(test_misaligned_against_a_copy)
{
	begin(2 * MIB);
	shadow_run(&b, 0, 2 * MIB, b.dev->io_align, 64, 1500);
	end();
}
END_TEST

START_TEST(test_short_transfers_against_a_copy)
{
	begin(2 * MIB);
	b.s.short_max = 3 * b.dev->io_align;
	shadow_run(&b, 0, MIB, b.dev->io_align, 64, 200);
	shadow_run(&b, MIB, MIB, b.dev->io_align, 0, 200);
	end();
}
END_TEST

/* A transfer is copied only if its memory asks for it, and in pieces that leave the rest waiting.
 */
START_TEST(test_misaligned_memory_is_bounced)
{
	uint8_t *mem = aligned_alloc(4096, MIB + 4096);

	begin(2 * MIB);
	ck_assert_int_eq(do_io(&b.s, b.chan, BE_WRITE, 0, 0, mem, MIB), BE_OK);
	ck_assert_uint_eq(b.s.calls[STUB_WRITE], 1);
	ck_assert_int_eq(do_io(&b.s, b.chan, BE_WRITE, BE_FUA, 0, mem + 1, MIB), BE_OK);
	ck_assert_uint_eq(b.s.calls[STUB_WRITE], 1);
	ck_assert_uint_eq(b.s.calls[STUB_DSYNC], 8);
	/* An error gives the bounce buffer back. */
	for (unsigned i = 0; i < 10; i++) {
		b.s.fail[STUB_READ] = EIO;
		b.s.fail_count[STUB_READ] = 1;
		ck_assert_int_eq(do_io(&b.s, b.chan, BE_READ, 0, 0, mem + 1, MIB), BE_EMEDIUM);
	}
	ck_assert_int_eq(do_io(&b.s, b.chan, BE_READ, 0, 0, mem + 1, MIB), BE_OK);
	end();
	free(mem);
}
END_TEST

START_TEST(test_a_file_that_ends_within_a_block)
{
	uint8_t *mem = aligned_alloc(4096, 65536);

	begin(2 * MIB);
	ck_assert_int_eq(truncate(tmp.path, 5 * 4096 + 100), 0);
	ck_assert_int_eq(do_io(&b.s, b.chan, BE_READ, 0, 0, mem, 5 * 4096), BE_OK);
	ck_assert_int_eq(do_io(&b.s, b.chan, BE_READ, 0, 0, mem, 65536), BE_ERANGE);
	ck_assert_int_eq(do_io(&b.s, b.chan, BE_READ, 0, 5 * 4096, mem, 4096), BE_ERANGE);
	end();
	free(mem);
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = {
	    test_description,
	    test_aligned_against_a_copy,
	    test_misaligned_against_a_copy,
	    test_short_transfers_against_a_copy,
	    test_misaligned_memory_is_bounced,
	    test_a_file_that_ends_within_a_block,
	};
	int fd = open("/tmp", O_TMPFILE | O_RDWR | O_DIRECT, 0600);

	if (fd < 0) {
		puts("the file system of /tmp has no direct I/O");
		return 77;
	}
	close(fd);
	return suite_run("backend/direct", tests, GW_ARRAY_LEN(tests));
}
