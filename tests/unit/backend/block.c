/* SPDX-License-Identifier: BSD-3-Clause */
/* Block devices (a loop device) and a full file system (a small tmpfs); skipped without the right
 * to make them. The mount vanishes with the process, and so does the loop device. */
#include <linux/loop.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>

#include "tests/unit/backend/shadow.h"
#include "tests/unit/base/suite.h"

#define MIB (1u << 20)

static struct bench b;

struct loop {
	struct tmpfile file;
	char path[32], kv[48];
	int fd;
};

static bool
loop_on(struct loop *l, const char *under, off_t size, uint32_t block)
{
	struct loop_config conf = {.block_size = block, .info = {.lo_flags = LO_FLAGS_AUTOCLEAR}};
	int ctl = open("/dev/loop-control", O_RDWR | O_CLOEXEC), n = -1;

	tmp_new(&l->file, under, size);
	l->fd = -1;
	conf.fd = (uint32_t)open(l->file.path, O_RDWR | O_CLOEXEC);
	/* Another process may take the free one that we were told of. */
	for (unsigned tries = 0; tries < 20 && l->fd < 0 && ctl >= 0; tries++) {
		n = ioctl(ctl, LOOP_CTL_GET_FREE);
		snprintf(l->path, sizeof(l->path), "/dev/loop%d", n);
		l->fd = open(l->path, O_RDWR | O_CLOEXEC);
		if (l->fd >= 0 && ioctl(l->fd, LOOP_CONFIGURE, &conf)) {
			close(l->fd);
			l->fd = -1;
		}
	}
	snprintf(l->kv, sizeof(l->kv), "path=%s", l->path);
	close((int)conf.fd);
	if (ctl >= 0)
		close(ctl);
	if (l->fd < 0)
		tmp_free(&l->file);
	return l->fd >= 0;
}

static bool
loop_new(struct loop *l, off_t size)
{
	return loop_on(l, "/tmp", size, 512);
}

static void
loop_free(struct loop *l)
{
	close(l->fd);
	tmp_free(&l->file);
}

static struct loop loop;

START_TEST(test_description)
{
	ck_assert(loop_new(&loop, 4 * MIB));
	bench_open(&b, "uring", KV(loop.kv));
	ck_assert_uint_eq(b.dev->size, 4 * MIB);
	ck_assert_uint_eq(b.dev->io_align, 512);
	ck_assert_uint_ge(b.dev->phys_block, 512);
	ck_assert(b.dev->volatile_cache);
	bench_close(&b);
	bench_open(&b, "uring", KV(loop.kv, "direct=1", "sync=1"));
	ck_assert(!b.dev->volatile_cache);
	ck_assert_uint_ge(b.dev->dma_align, 1);
	bench_close(&b);
	loop_free(&loop);
}
END_TEST

START_TEST(test_against_a_copy)
{
	ck_assert(loop_new(&loop, 4 * MIB));
	bench_open(&b, "uring", KV(loop.kv));
	shadow_run(&b, 0, 2 * MIB, 512, 64, 800);
	bench_close(&b);
	bench_open(&b, "uring", KV(loop.kv, "direct=1"));
	shadow_run(&b, 2 * MIB, MIB, 512, 64, 800);
	shadow_run(&b, 3 * MIB, MIB, 512, 0, 800);
	bench_close(&b);
	loop_free(&loop);
}
END_TEST

/* Blocks of 4096 bytes: the page cache serves smaller ones, and direct I/O says what it needs. */
START_TEST(test_large_blocks)
{
	ck_assert(loop_on(&loop, "/tmp", 4 * MIB, 4096));
	bench_open(&b, "uring", KV(loop.kv));
	ck_assert_uint_eq(b.dev->io_align, 512);
	ck_assert_uint_eq(b.dev->phys_block, 4096);
	shadow_run(&b, 0, 2 * MIB, 512, 64, 1500);
	bench_close(&b);
	bench_open(&b, "uring", KV(loop.kv, "direct=1"));
	ck_assert_uint_eq(b.dev->io_align, 4096);
	shadow_run(&b, 2 * MIB, 2 * MIB, 4096, 64, 800);
	bench_close(&b);
	loop_free(&loop);
}
END_TEST

/* Only the edges are written, once each. */
START_TEST(test_edges_of_a_range)
{
	static uint8_t buf[64 << 10];
	unsigned wrong = 0;

	ck_assert(loop_on(&loop, "/tmp", 4 * MIB, 4096));
	bench_open(&b, "uring", KV(loop.kv));
	if (!b.dev->unmap_align)
		puts("this loop device cannot unmap");
	memset(buf, 0x42, sizeof(buf));
	ck_assert_int_eq(do_io(&b.s, b.chan, BE_WRITE, 0, 0, buf, sizeof(buf)), BE_OK);
	ck_assert_int_eq(do_io(&b.s, b.chan, BE_ZERO, BE_MAY_UNMAP, 3584, NULL, 20480), BE_OK);
	ck_assert_int_eq(do_io(&b.s, b.chan, BE_ZERO, BE_FUA, 32768 + 512, NULL, 1024), BE_OK);
	ck_assert_uint_eq(b.s.calls[STUB_WRITE], b.s.calls[STUB_PUNCH] ? 4 : 5);
	ck_assert_int_eq(do_io(&b.s, b.chan, BE_READ, 0, 0, buf, sizeof(buf)), BE_OK);
	for (unsigned i = 0; i < sizeof(buf); i++)
		wrong += buf[i] !=
			 ((i >= 3584 && i < 3584 + 20480) || (i >= 32768 + 512 && i < 32768 + 1536)
			      ? 0
			      : 0x42);
	ck_assert_uint_eq(wrong, 0);
	bench_close(&b);
	loop_free(&loop);
}
END_TEST

static void
refused(const char *const *kv, int rc, const char *what)
{
	struct be_dev *dev;
	char err[256] = "";

	ck_assert_int_eq(be_dev_open("uring", kv, &dev, err, sizeof(err)), rc);
	ck_assert_msg(strstr(err, what) != NULL, "\"%s\" does not say \"%s\"", err, what);
}

START_TEST(test_exclusive)
{
	int fd;

	ck_assert(loop_new(&loop, 4 * MIB));
	fd = open(loop.path, O_RDWR | O_EXCL | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	refused(KV(loop.kv), -EBUSY, "is in use: mounted, or part of another device");
	close(fd);
	bench_open(&b, "uring", KV(loop.kv));
	refused(KV(loop.kv), -EBUSY, "another LUN");
	ck_assert_int_eq(open(loop.path, O_RDWR | O_EXCL | O_CLOEXEC), -1);
	bench_close(&b);
	refused(KV(loop.kv, "size=8m"), -EINVAL, "is a block device");
	refused(KV(loop.kv, "size=1m"), -EINVAL, "would cut");
	loop_free(&loop);
}
END_TEST

START_TEST(test_its_end)
{
	static uint8_t buf[8192];

	ck_assert(loop_new(&loop, 4 * MIB));
	bench_open(&b, "uring", KV(loop.kv));
	ck_assert_int_eq(do_io(&b.s, b.chan, BE_WRITE, BE_FUA, 4 * MIB - 512, buf, 512), BE_OK);
	ck_assert_int_eq(do_io(&b.s, b.chan, BE_WRITE, 0, 4 * MIB - 512, buf, 1024), BE_ERANGE);
	/* It shrinks, and nobody has looked since. */
	ck_assert_int_eq(truncate(loop.file.path, MIB), 0);
	ck_assert_int_eq(ioctl(loop.fd, LOOP_SET_CAPACITY, 0), 0);
	ck_assert_int_eq(do_io(&b.s, b.chan, BE_READ, 0, 2 * MIB, buf, 512), BE_ERANGE);
	ck_assert_int_eq(do_io(&b.s, b.chan, BE_WRITE, 0, 2 * MIB, buf, 512), BE_ERANGE);
	ck_assert_int_eq(do_io(&b.s, b.chan, BE_READ, 0, MIB - 512, buf, 1024), BE_ERANGE);
	ck_assert_int_eq(do_io(&b.s, b.chan, BE_READ, 0, MIB - 512, buf, 512), BE_OK);
	ck_assert_uint_eq(be_dev_poll_size(b.dev), MIB);
	ck_assert_int_eq(truncate(loop.file.path, 8 * MIB), 0);
	ck_assert_int_eq(ioctl(loop.fd, LOOP_SET_CAPACITY, 0), 0);
	ck_assert_uint_eq(be_dev_poll_size(b.dev), 8 * MIB);
	bench_close(&b);
	loop_free(&loop);
}
END_TEST

START_TEST(test_unmap_reads_zeroes)
{
	static uint8_t buf[MIB];
	unsigned wrong = 0;

	ck_assert(loop_new(&loop, 4 * MIB));
	bench_open(&b, "uring", KV(loop.kv));
	memset(buf, 0x42, sizeof(buf));
	ck_assert_int_eq(do_io(&b.s, b.chan, BE_WRITE, 0, 0, buf, MIB), BE_OK);
	if (b.dev->unmap_align) {
		struct stat before, after;

		ck_assert(b.dev->unmap_zeroes);
		ck_assert_int_eq(do_io(&b.s, b.chan, BE_FLUSH, 0, 0, NULL, 0), BE_OK);
		ck_assert_int_eq(stat(loop.file.path, &before), 0);
		ck_assert_int_eq(do_io(&b.s, b.chan, BE_UNMAP, 0, 512, NULL, MIB - 1024), BE_OK);
		ck_assert_int_eq(stat(loop.file.path, &after), 0);
		ck_assert_int_lt(after.st_blocks, before.st_blocks - 1500);
	} else {
		ck_assert_int_eq(do_io(&b.s, b.chan, BE_UNMAP, 0, 512, NULL, MIB - 1024),
				 BE_ENOTSUP);
		ck_assert_int_eq(do_io(&b.s, b.chan, BE_ZERO, BE_MAY_UNMAP, 512, NULL, MIB - 1024),
				 BE_OK);
	}
	ck_assert_int_eq(do_io(&b.s, b.chan, BE_READ, 0, 0, buf, MIB), BE_OK);
	for (unsigned i = 0; i < MIB; i++)
		wrong += buf[i] != (i >= 512 && i < MIB - 512 ? 0 : 0x42);
	ck_assert_uint_eq(wrong, 0);
	bench_close(&b);
	loop_free(&loop);
}
END_TEST

START_TEST(test_no_space)
{
	static uint8_t buf[256 << 10];
	struct tmpfile t;
	unsigned ok = 0, full = 0;
	char dir[] = "/tmp/lgt-be-full.XXXXXX";

	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(mount("lgt-test", dir, "tmpfs", 0, "size=1m"), 0);
	tmp_new(&t, dir, 8 * MIB);
	bench_open(&b, "uring", KV(t.kv));
	for (unsigned i = 0; i < 32; i++) {
		enum be_st st = do_io(&b.s, b.chan, BE_WRITE, i % 2 ? BE_FUA : 0, i * sizeof(buf),
				      buf, sizeof(buf));

		ck_assert(st == BE_OK || st == BE_ENOSPC);
		*(st == BE_OK ? &ok : &full) += 1;
	}
	ck_assert_uint_ge(ok, 2);
	ck_assert_uint_ge(full, 28);
	/* Space that is given back can be used, and flushes still count. */
	ck_assert_int_eq(do_io(&b.s, b.chan, BE_FLUSH, 0, 0, NULL, 0), BE_OK);
	ck_assert_int_eq(do_io(&b.s, b.chan, BE_UNMAP, 0, 0, NULL, MIB), BE_OK);
	ck_assert_int_eq(do_io(&b.s, b.chan, BE_WRITE, BE_FUA, 7 * MIB, buf, sizeof(buf)), BE_OK);
	bench_close(&b);
	tmp_free(&t);
	ck_assert_int_eq(umount(dir), 0);
	rmdir(dir);
}
END_TEST

/*
 * The page cache takes what the disk below has no room for. The kernel tells each core of it,
 * though both ask at one time.
 */
START_TEST(test_a_lost_write_is_told_to_each_core)
{
	static struct stub other;
	static uint8_t buf[MIB];
	struct be_chan *chan;
	struct one_io one[2] = {0};
	char dir[] = "/tmp/lgt-be-full.XXXXXX";

	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(mount("lgt-test", dir, "tmpfs", 0, "size=1m"), 0);
	ck_assert(loop_on(&loop, dir, 8 * MIB, 512));
	bench_open(&b, "uring", KV(loop.kv));
	for (unsigned i = 0; i < 4; i++)
		ck_assert_int_eq(do_io(&b.s, b.chan, BE_WRITE, 0, i * MIB, buf, MIB), BE_OK);
	stub_init(&other, 3);
	other.core.id = 1;
	ck_assert_int_eq(be_chan_open(b.dev, &other.core, &chan), 0);
	one[0].io = one[1].io = (struct be_io){.op = BE_FLUSH, .done = one_done};
	be_submit(chan, &one[1].io);
	stub_self = &b.s;
	be_submit(b.chan, &one[0].io);
	while (stub_turn(&b.s))
		;
	stub_self = &other;
	while (stub_turn(&other))
		;
	ck_assert_uint_eq(b.s.failed[STUB_SYNC], 1);
	ck_assert_uint_eq(other.failed[STUB_SYNC], 1);
	for (unsigned i = 0; i < 2; i++)
		ck_assert(one[i].done == 1 && one[i].io.st != BE_OK);
	be_chan_close(chan);
	stub_self = &b.s;
	ck_assert_int_eq(do_io(&b.s, b.chan, BE_FLUSH, 0, 0, NULL, 0), BE_EMEDIUM);
	bench_close(&b);
	loop_free(&loop);
	ck_assert_int_eq(umount(dir), 0);
	rmdir(dir);
}
END_TEST

static bool
loop_there(void)
{
	int ctl = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	int n = ctl < 0 ? -1 : ioctl(ctl, LOOP_CTL_GET_FREE);
	char path[32];

	if (ctl >= 0)
		close(ctl);
	snprintf(path, sizeof(path), "/dev/loop%d", n);
	return n >= 0 && access(path, R_OK | W_OK) == 0;
}

int
main(void)
{
	const TTest *const tests[] = {
	    test_description,  test_against_a_copy,     test_exclusive,
	    test_its_end,      test_unmap_reads_zeroes, test_no_space,
	    test_large_blocks, test_edges_of_a_range,   test_a_lost_write_is_told_to_each_core,
	};

	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("lgt-test", "/mnt", "tmpfs", 0, NULL)) {
		puts("no right to mount a file system");
		return 77;
	}
	if (!loop_there()) {
		puts("no loop devices");
		return 77;
	}
	return suite_run("backend/block", tests, GW_ARRAY_LEN(tests));
}
