/* SPDX-License-Identifier: BSD-3-Clause */
/* Files by all ways to the medium: cached or not, O_DIRECT, more at once than any queue holds. */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/unit/core/call.h"

#define MANY  1500
#define BLOCK 4096u
#define SIZE  ((uint64_t)MANY * BLOCK)

static struct call *call;
static uint8_t *memory; /* a block of each operation */
static struct iovec *iov;
static int file;
static unsigned left;
static sem_t all_done;

static void
disk_open(int flags)
{
	char path[] = "/var/tmp/lichgate-disk-XXXXXX";

	file = mkstemp(path);
	ck_assert_int_ge(file, 0);
	ck_assert_int_eq(ftruncate(file, SIZE), 0);
	close(file);
	file = open(path, O_RDWR | O_CLOEXEC | flags);
	unlink(path);
	call = calloc(MANY, sizeof(*call));
	iov = calloc(MANY, sizeof(*iov));
	memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert(call && iov && memory != MAP_FAILED);
	sem_init(&all_done, 0, 0);
	cores_start(1, 1, 4);
}

static void
forget(struct gw_core *core, void *arg)
{
	gw_forget_fd(core, file);
}

static void
disk_close(void)
{
	gw_run_sync(gw_core_at(0), forget, NULL);
	gw_cores_fini();
	close(file);
	munmap(memory, SIZE);
	free(call);
	free(iov);
}

static void
one_done(struct gw_op *op, int res)
{
	struct call *c = gw_container(op, struct call, op);

	c->res = res;
	c->times++;
	if (--left == 0)
		sem_post(&all_done);
}

struct order {
	bool write;
	int every; /* of so many, one with RWF_DSYNC; 0: none */
};

static void
start_all(struct gw_core *core, void *arg)
{
	const struct order *o = arg;

	left = MANY;
	for (unsigned i = 0; i < MANY; i++) {
		memset(&call[i], 0, sizeof(call[i]));
		call[i].op.done = one_done;
		iov[i] = (struct iovec){memory + (uint64_t)i * BLOCK, BLOCK};
		if (!o->write)
			gw_readv(core, &call[i].op, file, &iov[i], 1, (uint64_t)i * BLOCK);
		else
			gw_writev(core, &call[i].op, file, &iov[i], 1, (uint64_t)i * BLOCK,
				  o->every && i % (unsigned)o->every == 0 ? RWF_DSYNC : 0);
	}
}

static void
all(struct order o)
{
	gw_run_sync(gw_core_at(0), start_all, &o);
	sem_wait_whole(&all_done);
	for (unsigned i = 0; i < MANY; i++) {
		ck_assert_int_eq(call[i].res, BLOCK);
		ck_assert_uint_eq(call[i].times, 1);
	}
}

static void
sync_one(struct gw_core *core, void *arg)
{
	gw_fdatasync(core, &call[0].op, *(int *)arg);
}

static int
flush(int fd)
{
	call_init(&call[0]);
	gw_run_sync(gw_core_at(0), sync_one, &fd);
	return call_wait(&call[0]);
}

static uint32_t
pattern(unsigned i, unsigned k)
{
	return i * 2654435761u + k;
}

static void
there_and_back(int every)
{
	uint32_t *word = (uint32_t *)(void *)memory;
	unsigned wrong = 0;

	for (unsigned i = 0; i < SIZE / 4; i++)
		word[i] = pattern(i / (BLOCK / 4), i % (BLOCK / 4));
	all((struct order){true, every});
	ck_assert_int_eq(flush(file), 0);
	memset(memory, 0, SIZE);
	ck_assert_int_eq(posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED), 0);
	for (unsigned round = 0; round < 2; round++) {
		all((struct order){false, 0});
		for (unsigned i = 0; i < SIZE / 4; i++)
			wrong += word[i] != pattern(i / (BLOCK / 4), i % (BLOCK / 4));
	}
	ck_assert_uint_eq(wrong, 0);
}

START_TEST(test_through_the_cache)
{
	disk_open(0);
	there_and_back(300);
	disk_close();
}
END_TEST

START_TEST(test_around_the_cache)
{
	disk_open(O_DIRECT);
	if (file >= 0) /* else the file system has no direct I/O */
		there_and_back(300);
	disk_close();
}
END_TEST

static void
write_crooked(struct gw_core *core, void *arg)
{
	iov[0] = (struct iovec){memory + 1, BLOCK - 3};
	gw_writev(core, &call[0].op, file, iov, 1, 0, 0);
}

START_TEST(test_direct_errors_come_back)
{
	disk_open(O_DIRECT);
	if (file >= 0) {
		call_init(&call[0]);
		gw_run_sync(gw_core_at(0), write_crooked, NULL);
		ck_assert_int_eq(call_wait(&call[0]), -EINVAL);
	}
	disk_close();
}
END_TEST

/* --- does a flush flush --- */

struct range {
	uint64_t off, len;
};

struct cached {
	uint64_t cache, dirty, writeback, evicted, recently;
};

/* Pages of the file that are not on the medium yet; 0 also where the kernel cannot tell. */
static uint64_t
unwritten(void)
{
	struct range r = {0, SIZE};
	struct cached c = {0};

	if (syscall(451 /* cachestat, Linux 6.5 */, file, &r, &c, 0) < 0)
		return 0;
	return c.dirty + c.writeback;
}

static void
write_block(struct gw_core *core, void *arg)
{
	iov[0] = (struct iovec){memory, BLOCK};
	gw_writev(core, &call[0].op, file, iov, 1, 0, *(int *)arg);
}

START_TEST(test_a_flush_flushes)
{
	disk_open(0);
	for (unsigned i = 0; i < 5; i++) {
		memory[0] = (uint8_t)i;
		call_init(&call[0]);
		gw_run_sync(gw_core_at(0), write_block, &(int){0});
		ck_assert_int_eq(call_wait(&call[0]), BLOCK);
		ck_assert_int_eq(flush(file), 0);
		ck_assert_uint_eq(unwritten(), 0);
		call_init(&call[0]);
		gw_run_sync(gw_core_at(0), write_block, &(int){RWF_DSYNC});
		ck_assert_int_eq(call_wait(&call[0]), BLOCK);
		ck_assert_uint_eq(unwritten(), 0);
	}
	disk_close();
}
END_TEST

START_TEST(test_flush_of_what_cannot)
{
	int fds[2];

	disk_open(0);
	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(flush(fds[1]), -EINVAL);
	ck_assert_int_eq(flush(-1), -EBADF);
	close(fds[0]);
	close(fds[1]);
	disk_close();
}
END_TEST

static void
read_at_end(struct gw_core *core, void *arg)
{
	iov[0] = (struct iovec){memory, 2 * BLOCK};
	gw_readv(core, &call[0].op, file, iov, 1, SIZE - *(uint64_t *)arg);
}

START_TEST(test_end_of_file)
{
	uint64_t rest[] = {BLOCK, 100, 0};

	disk_open(0);
	for (unsigned i = 0; i < 3; i++) {
		call_init(&call[0]);
		gw_run_sync(gw_core_at(0), read_at_end, &rest[i]);
		ck_assert_int_eq(call_wait(&call[0]), (int)rest[i]);
	}
	disk_close();
}
END_TEST

CORES_SUITE("disk", test_through_the_cache, test_around_the_cache, test_direct_errors_come_back,
	    test_a_flush_flushes, test_flush_of_what_cannot, test_end_of_file)
