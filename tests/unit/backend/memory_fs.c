/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Files of file systems that are memory: the core moves the data itself, the engine is not asked,
 * and errors are those of any file. ramfs, hugetlbfs and a small tmpfs need the right to mount.
 */
#include <sched.h>
#include <sys/mount.h>

#include "tests/unit/backend/shadow.h"
#include "tests/unit/base/suite.h"

#define MIB (1u << 20)

static struct tmpfile tmp;
static struct bench b;
static uint8_t buf[2 * MIB];
static char dir[32];
static bool may_mount;

static bool
mount_new(const char *type, const char *options)
{
	if (!may_mount)
		return false;
	snprintf(dir, sizeof(dir), "/tmp/lgt-be-fs.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	if (!mount("lgt-test", dir, type, 0, options))
		return true;
	rmdir(dir);
	return false;
}

static void
mount_free(void)
{
	ck_assert_int_eq(umount(dir), 0);
	rmdir(dir);
}

static void
begin(const char *under, const char *option)
{
	tmp_new(&tmp, under, 2 * MIB);
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

static unsigned
transfers(void)
{
	return b.s.calls[STUB_READ] + b.s.calls[STUB_WRITE] + b.s.calls[STUB_DSYNC];
}

START_TEST(test_against_a_copy)
{
	begin("/dev/shm", NULL);
	shadow_run(&b, 0, 2 * MIB, 512, 64, 3000);
	/* Zeroes that must keep their space are what tmpfs cannot make by itself. */
	ck_assert_uint_eq(b.s.calls[STUB_READ] + b.s.calls[STUB_DSYNC], 0);
	end();
}
END_TEST

/* O_DIRECT means nothing to memory: no alignment, no bounce buffers. */
START_TEST(test_direct_and_sync)
{
	int fd = open("/dev/shm", O_TMPFILE | O_RDWR | O_DIRECT, 0600);

	begin("/dev/shm", fd < 0 ? "sync=1" : "direct=1");
	ck_assert_uint_eq(b.dev->io_align, 1);
	shadow_run(&b, 0, 2 * MIB, 512, 64, 500);
	ck_assert_uint_eq(b.s.calls[STUB_READ] + b.s.calls[STUB_DSYNC], 0);
	end();
	if (fd >= 0)
		close(fd);
}
END_TEST

START_TEST(test_flushes_go_their_way)
{
	begin("/dev/shm", NULL);
	ck_assert_int_eq(io(BE_WRITE, BE_FUA, 0, 4096), BE_OK);
	ck_assert_int_eq(io(BE_FLUSH, 0, 0, 0), BE_OK);
	ck_assert_uint_eq(transfers(), 0);
	ck_assert_uint_eq(b.s.calls[STUB_SYNC], 1);
	b.s.fail[STUB_SYNC] = EIO;
	b.s.fail_count[STUB_SYNC] = 1;
	ck_assert_int_eq(io(BE_FLUSH, 0, 0, 0), BE_EMEDIUM);
	ck_assert_int_eq(io(BE_WRITE, BE_FUA, 0, 4096), BE_EMEDIUM);
	ck_assert_int_eq(io(BE_WRITE, 0, 0, 4096), BE_OK);
	ck_assert_int_eq(io(BE_READ, 0, 0, 4096), BE_OK);
	end();
}
END_TEST

START_TEST(test_a_file_that_was_cut)
{
	struct stat st;

	begin("/dev/shm", NULL);
	ck_assert_int_eq(truncate(tmp.path, MIB + 100), 0);
	ck_assert_int_eq(io(BE_READ, 0, 0, MIB), BE_OK);
	ck_assert_int_eq(io(BE_READ, 0, MIB, 4096), BE_ERANGE);
	ck_assert_int_eq(io(BE_READ, 0, MIB - 4096, 64 << 10), BE_ERANGE);
	ck_assert_int_eq(io(BE_READ, 0, MIB + 4096, 4096), BE_ERANGE);
	/* What was never written is read without taking memory. */
	ck_assert_int_eq(stat(tmp.path, &st), 0);
	ck_assert_int_eq(st.st_blocks, 0);
	end();
}
END_TEST

START_TEST(test_no_space)
{
	if (!mount_new("tmpfs", "size=1m"))
		return;
	begin(dir, NULL);
	ck_assert_int_eq(io(BE_WRITE, 0, 0, 2 * MIB), BE_ENOSPC);
	ck_assert_int_eq(io(BE_WRITE, BE_FUA, MIB + 8192, 4096), BE_ENOSPC);
	ck_assert_int_eq(io(BE_FLUSH, 0, 0, 0), BE_OK);
	/* Space that is given back can be used. */
	ck_assert_int_eq(io(BE_UNMAP, 0, 0, 64 << 10), BE_OK);
	ck_assert_int_eq(io(BE_WRITE, BE_FUA, MIB + 8192, 4096), BE_OK);
	ck_assert_int_eq(io(BE_READ, 0, 0, 2 * MIB), BE_OK);
	ck_assert_uint_eq(transfers(), 0);
	end();
	mount_free();
}
END_TEST

START_TEST(test_ramfs)
{
	if (!mount_new("ramfs", NULL))
		return;
	begin(dir, NULL);
	ck_assert_uint_eq(b.dev->unmap_align, 0);
	ck_assert_int_eq(io(BE_WRITE, 0, 0, 2 * MIB), BE_OK);
	ck_assert_int_eq(io(BE_READ, 0, 512, MIB), BE_OK);
	ck_assert_uint_eq(transfers(), 0);
	/* It has no fallocate(2). */
	ck_assert_int_eq(io(BE_ZERO, BE_MAY_UNMAP, 0, MIB), BE_OK);
	ck_assert_int_eq(io(BE_READ, 0, MIB - 4096, 4096), BE_OK);
	ck_assert(!buf[0] && !memcmp(buf, buf + 1, 4095));
	end();
	mount_free();
}
END_TEST

/* Its files have no write(2). */
START_TEST(test_hugetlbfs_is_refused)
{
	struct be_dev *dev;
	char err[256] = "";

	if (!mount_new("hugetlbfs", NULL))
		return;
	tmp_new(&tmp, dir, 2 * MIB);
	ck_assert_int_eq(be_dev_open("uring", KV(tmp.kv), &dev, err, sizeof(err)), -EINVAL);
	ck_assert_msg(strstr(err, "only maps files") != NULL, "%s", err);
	tmp_free(&tmp);
	mount_free();
}
END_TEST

/* However much is submitted, one run of the hook is short; and a small batch is one run. */
START_TEST(test_work_is_done_in_bounded_runs)
{
	static struct one_io many[128];
	struct iovec small = {buf, 4096}, large = {buf, 256 << 10};
	unsigned runs;

	begin("/dev/shm", NULL);
	for (unsigned size = 0; size < 2; size++) {
		const struct iovec *v = size ? &large : &small;

		memset(many, 0, sizeof(many));
		for (unsigned i = 0; i < GW_ARRAY_LEN(many); i++) {
			many[i].io = (struct be_io){.op = BE_WRITE,
						    .len = v->iov_len,
						    .iov = v,
						    .niov = 1,
						    .done = one_done};
			be_submit(b.chan, &many[i].io);
		}
		for (runs = 0; stub_turn(&b.s); runs++)
			;
		for (unsigned i = 0; i < GW_ARRAY_LEN(many); i++)
			ck_assert(many[i].done == 1 && many[i].io.st == BE_OK);
		if (size)
			ck_assert_uint_ge(runs, 16);
		else
			ck_assert_uint_eq(runs, 1);
	}
	end();
}
END_TEST

static blkcnt_t
blocks(void)
{
	struct stat st;

	ck_assert_int_eq(stat(tmp.path, &st), 0);
	return st.st_blocks;
}

/* READ that may be lent. */
static struct one_io *
borrow(uint64_t off, uint64_t len)
{
	static struct one_io one;
	struct iovec v = {buf, len};

	one = (struct one_io){.io = {.op = BE_READ,
				     .flags = BE_LEND,
				     .off = off,
				     .len = len,
				     .iov = &v,
				     .niov = 1,
				     .done = one_done}};
	be_submit(b.chan, &one.io);
	while (stub_turn(&b.s))
		;
	ck_assert(one.done == 1 && one.io.st == BE_OK);
	return &one;
}

/* The data is compared by the kernel, as a socket would take it. */
static bool
is_lent(uint64_t off, uint64_t len, int byte)
{
	bool lends = be_lends(b.chan, off, len, BE_LEND);
	struct one_io *one;
	int fd[2];

	memset(buf, 0x5a, len);
	one = borrow(off, len);
	ck_assert_int_eq(lends, one->io.give_back != NULL);
	if (!one->io.give_back) {
		ck_assert_int_eq(buf[0], byte);
		return false;
	}
	ck_assert_int_eq(buf[0], 0x5a);
	ck_assert_uint_eq(one->io.lent.iov_len, len);
	ck_assert_int_eq(pipe(fd), 0);
	ck_assert_int_eq(write(fd[1], one->io.lent.iov_base, 1), 1);
	ck_assert_int_eq(read(fd[0], buf, 1), 1);
	ck_assert_int_eq(buf[0], byte);
	close(fd[0]);
	close(fd[1]);
	one->io.give_back(&one->io);
	ck_assert(!one->io.give_back);
	return true;
}

/* A hole is not lent, because reading it there would fill it. */
START_TEST(test_what_is_whole_is_lent)
{
	begin("/dev/shm", NULL);
	ck_assert(!is_lent(0, 4096, 0));
	memset(buf, 0x77, MIB);
	ck_assert_int_eq(io(BE_WRITE, 0, 0, MIB), BE_OK);
	ck_assert(is_lent(0, MIB, 0x77));
	ck_assert(is_lent(512, 4096, 0x77));
	ck_assert(!is_lent(MIB - 4096, 8192, 0x77));
	ck_assert(!is_lent(MIB, MIB, 0));
	ck_assert_int_eq(blocks(), MIB / 512);
	/* What is punched out is forgotten, in its chunk and nowhere else. */
	ck_assert_int_eq(io(BE_UNMAP, 0, 128 << 10, 4096), BE_OK);
	ck_assert(!is_lent(128 << 10, 4096, 0));
	ck_assert(is_lent(64 << 10, 64 << 10, 0x77));
	ck_assert_int_eq(blocks(), (MIB - 4096) / 512);
	end();
}
END_TEST

/* Beyond the mapping that was made when it was opened, a file is read. */
START_TEST(test_a_file_that_has_grown_is_read_there)
{
	begin("/dev/shm", NULL);
	ck_assert_int_eq(truncate(tmp.path, 4 * MIB), 0);
	ck_assert_uint_eq(be_dev_poll_size(b.dev), 4 * MIB);
	memset(buf, 0x66, MIB);
	ck_assert_int_eq(io(BE_WRITE, 0, 2 * MIB, MIB), BE_OK);
	ck_assert(!is_lent(2 * MIB, 4096, 0x66));
	end();
}
END_TEST

/* Copies from and to the mapping of a file that somebody cuts go on as system calls. */
START_TEST(test_a_mapped_file_that_was_cut)
{
	begin("/dev/shm", NULL);
	memset(buf, 0x77, MIB);
	ck_assert_int_eq(io(BE_WRITE, 0, 0, MIB), BE_OK);
	memset(buf, 0x33, 8192);
	ck_assert_int_eq(io(BE_WRITE, 0, 4096, 8192), BE_OK);
	ck_assert_int_eq(io(BE_READ, 0, 0, 64 << 10), BE_OK);
	ck_assert(buf[4095] == 0x77 && buf[4096] == 0x33);
	ck_assert(buf[12287] == 0x33 && buf[12288] == 0x77);
	ck_assert_int_eq(io(BE_READ, 0, 0, MIB), BE_OK);
	ck_assert_int_eq(truncate(tmp.path, 64 << 10), 0);
	/* One fault for each chunk that was there. */
	for (uint64_t off = 128 << 10; off < MIB; off += 64 << 10)
		ck_assert_int_eq(io(BE_READ, 0, off, 4096), BE_ERANGE);
	ck_assert_int_eq(io(BE_READ, 0, 60 << 10, 8192), BE_ERANGE);
	memset(buf, 0x22, 8192);
	ck_assert_int_eq(io(BE_WRITE, 0, 60 << 10, 8192), BE_OK);
	ck_assert_int_eq(io(BE_READ, 0, 60 << 10, 8192), BE_OK);
	ck_assert(buf[0] == 0x22 && buf[8191] == 0x22);
	ck_assert_int_eq(io(BE_READ, 0, 70 << 10, 4096), BE_ERANGE);
	end();
}
END_TEST

/* Space that another one has taken out of the file, and that is not to be had any more. */
START_TEST(test_no_space_in_a_mapping)
{
	int fd, other;

	if (!mount_new("tmpfs", "size=2m"))
		return;
	begin(dir, NULL);
	memset(buf, 0x77, MIB);
	ck_assert_int_eq(io(BE_WRITE, 0, 0, MIB), BE_OK);
	ck_assert_int_eq(io(BE_READ, 0, 0, MIB), BE_OK);
	fd = open(tmp.path, O_RDWR);
	ck_assert_int_eq(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, MIB), 0);
	other = open(dir, O_TMPFILE | O_RDWR, 0600);
	ck_assert_int_eq(posix_fallocate(other, 0, 2 * MIB - 8192), 0);
	ck_assert_int_eq(io(BE_WRITE, 0, 0, MIB), BE_ENOSPC);
	close(other);
	ck_assert_int_eq(io(BE_WRITE, 0, 0, MIB), BE_OK);
	close(fd);
	end();
	mount_free();
}
END_TEST

/* Between the question and the read another core may punch a hole: then zeroes are lent. */
START_TEST(test_what_was_promised_is_lent)
{
	static struct one_io one;

	begin("/dev/shm", NULL);
	memset(buf, 0x44, MIB);
	ck_assert_int_eq(io(BE_WRITE, 0, 0, MIB), BE_OK);
	ck_assert(be_lends(b.chan, 64 << 10, 4096, BE_LEND));
	ck_assert_int_eq(io(BE_UNMAP, 0, 64 << 10, 64 << 10), BE_OK);
	one = (struct one_io){.io = {.op = BE_READ,
				     .flags = BE_LEND,
				     .off = 64 << 10,
				     .len = 4096,
				     .done = one_done}};
	be_submit(b.chan, &one.io);
	while (stub_turn(&b.s))
		;
	ck_assert(one.done == 1 && one.io.st == BE_OK);
	ck_assert_ptr_nonnull(one.io.give_back);
	ck_assert_int_eq(*(const uint8_t *)one.io.lent.iov_base, 0);
	one.io.give_back(&one.io);
	end();
}
END_TEST

/* What could not be read where it lies is read by a system call the next time. */
START_TEST(test_what_was_lent_in_vain)
{
	struct one_io *one;

	begin("/dev/shm", NULL);
	memset(buf, 0x44, MIB);
	ck_assert_int_eq(io(BE_WRITE, 0, 0, MIB), BE_OK);
	ck_assert(is_lent(64 << 10, 4096, 0x44));
	ck_assert_int_eq(truncate(tmp.path, 4096), 0);
	one = borrow(64 << 10, 4096);
	ck_assert_ptr_nonnull(one->io.give_back);
	one->io.st = BE_EMEDIUM;
	one->io.give_back(&one->io);
	ck_assert_int_eq(io(BE_READ, BE_LEND, 64 << 10, 4096), BE_ERANGE);
	end();
}
END_TEST

/* Who sends the data may take longer than the LUN lives, and somebody may cut the file meanwhile.
 */
START_TEST(test_what_is_lent_outlives_the_device)
{
	struct one_io *one;
	int null = open("/dev/shm", O_TMPFILE | O_RDWR, 0600);

	begin("/dev/shm", NULL);
	memset(buf, 0x44, MIB);
	ck_assert_int_eq(io(BE_WRITE, 0, 0, MIB), BE_OK);
	one = borrow(0, 4096);
	ck_assert_ptr_nonnull(one->io.give_back);
	bench_close(&b);
	ck_assert_int_eq(pwrite(null, one->io.lent.iov_base, 4096, 0), 4096);
	ck_assert_int_eq(truncate(tmp.path, 0), 0);
	ck_assert_int_eq(pwrite(null, one->io.lent.iov_base, 4096, 0), -1);
	ck_assert_int_eq(errno, EFAULT);
	one->io.give_back(&one->io);
	close(null);
	tmp_free(&tmp);
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = {
	    test_against_a_copy,
	    test_direct_and_sync,
	    test_flushes_go_their_way,
	    test_a_file_that_was_cut,
	    test_no_space,
	    test_ramfs,
	    test_hugetlbfs_is_refused,
	    test_work_is_done_in_bounded_runs,
	    test_what_is_whole_is_lent,
	    test_a_file_that_has_grown_is_read_there,
	    test_a_mapped_file_that_was_cut,
	    test_no_space_in_a_mapping,
	    test_what_was_promised_is_lent,
	    test_what_was_lent_in_vain,
	    test_what_is_lent_outlives_the_device,
	};

	may_mount = !unshare(CLONE_NEWNS) && !mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
	return suite_run("backend/memory_fs", tests, GW_ARRAY_LEN(tests));
}
