/* SPDX-License-Identifier: BSD-3-Clause */
/* Names, options, and everything that can be wrong with a path: one sentence, and nothing changes.
 */
#include <sys/file.h>

#include "tests/unit/backend/stub.h"
#include "tests/unit/base/suite.h"

#define SIZE (1 << 20)

static char err[256];

/* Opening must fail with rc, in a sentence that contains what. */
static void
refused(const char *bstype, const char *const *kv, int rc, const char *what)
{
	struct be_dev *dev = NULL;

	err[0] = 0;
	ck_assert_int_eq(be_dev_open(bstype, kv, &dev, err, sizeof(err)), rc);
	ck_assert_ptr_null(dev);
	ck_assert_msg(strstr(err, what) != NULL, "\"%s\" does not say \"%s\"", err, what);
}

static struct be_dev *
opened(const char *const *kv)
{
	struct be_dev *dev = NULL;
	int rc = be_dev_open("uring", kv, &dev, err, sizeof(err));

	ck_assert_msg(rc == 0, "%s", err);
	return dev;
}

static off_t
size_of(const struct tmpfile *t)
{
	struct stat st;

	ck_assert_int_eq(stat(t->path, &st), 0);
	return st.st_size;
}

START_TEST(test_names)
{
	const char *const *n = be_names();
	unsigned count = 0;

	for (; n[count]; count++)
		ck_assert_ptr_nonnull(be_find(n[count]));
	ck_assert_uint_eq(count, 6);
	ck_assert_ptr_eq(be_find("rdwr"), be_find("uring"));
	ck_assert_ptr_eq(be_find("aio"), be_find("uring"));
	ck_assert_ptr_ne(be_find("mem"), be_find("null"));
	ck_assert_ptr_null(be_find("sheepdog"));
	ck_assert_ptr_null(be_find(""));
	refused("sheepdog", KV("size=1m"), -EINVAL, "unknown backing store type \"sheepdog\"");
}
END_TEST

START_TEST(test_options)
{
	refused("mem", KV("size=1m", "colour=red"), -EINVAL, "unknown option \"colour=red\"");
	refused("mem", KV("size"), -EINVAL, "unknown option \"size\"");
	refused("mem", KV("siz=1"), -EINVAL, "unknown option");
	refused("mem", KV("=1"), -EINVAL, "unknown option");
	refused("mem", KV("size=1m", "size=2m"), -EINVAL, "size= is given twice");
	refused("mem", KV("size=big"), -EINVAL, "size= must be");
	refused("mem", KV("size=0"), -EINVAL, "size= must be");
	refused("mem", KV("size=99999999t"), -EINVAL, "size= must be");
	refused("mem", KV("size=1m", "ro=yes"), -EINVAL, "ro= must be 0 or 1");
	refused("mem", KV("size=1m", "ro="), -EINVAL, "ro= must be 0 or 1");
	refused("mem", KV("size=1m", "direct=10"), -EINVAL, "direct= must be 0 or 1");
	refused("uring", KV("path=disk"), -EINVAL, "an absolute path");
	refused("uring", KV(), -EINVAL, "needs path=");
	refused("mem", KV(), -EINVAL, "needs size=");
	refused("mem", KV("size=1000"), -EINVAL, "a multiple of 512");
	refused("null", KV("size=1000"), -EINVAL, "a multiple of 512");
	refused("mem", KV("size=8000000t"), -ENOMEM, "no address space");
}
END_TEST

START_TEST(test_what_is_not_there_is_not_created)
{
	struct tmpfile t;
	char missing[128];

	tmp_new(&t, "/tmp", SIZE);
	snprintf(missing, sizeof(missing), "path=%s/none", t.dir);
	refused("uring", KV(missing, "size=1m"), -ENOENT, "/none: No such file");
	ck_assert_int_eq(access(missing + 5, F_OK), -1);
	tmp_free(&t);
}
END_TEST

START_TEST(test_what_is_no_disk_is_refused)
{
	struct tmpfile t;
	char fifo[128];

	tmp_new(&t, "/tmp", 0);
	refused("uring", KV("path=/tmp"), -EINVAL, "/tmp is neither");
	refused("uring", KV("path=/dev/null"), -EINVAL, "/dev/null is neither");
	refused("uring", KV(t.kv), -EINVAL, "is empty");
	snprintf(fifo, sizeof(fifo), "path=%s/fifo", t.dir);
	ck_assert_int_eq(mkfifo(fifo + 5, 0600), 0);
	refused("uring", KV(fifo), -EINVAL, "neither");
	unlink(fifo + 5);
	tmp_free(&t);
}
END_TEST

START_TEST(test_who_has_no_permission_is_named)
{
	bool root = geteuid() == 0;
	struct tmpfile t;

	tmp_new(&t, "/tmp", SIZE);
	ck_assert_int_eq(chmod(t.path, 0), 0);
	ck_assert_int_eq(chmod(t.dir, 0755), 0);
	ck_assert(!root || seteuid(65534) == 0);
	refused("uring", KV(t.kv), -EACCES, "Permission denied for the gateway's user ");
	refused("uring", KV(t.kv, "ro=1"), -EACCES, "Permission denied for the gateway's user ");
	ck_assert(!root || seteuid(0) == 0);
	/* Nor may it look into the folder: the kernel says so when it is asked for the type. */
	ck_assert_int_eq(chmod(t.dir, 0), 0);
	ck_assert(!root || seteuid(65534) == 0);
	refused("uring", KV(t.kv), -EACCES, "Permission denied for the gateway's user ");
	ck_assert(!root || seteuid(0) == 0);
	ck_assert_int_eq(chmod(t.dir, 0755), 0);
	tmp_free(&t);
}
END_TEST

START_TEST(test_size_grows_and_never_shrinks)
{
	struct tmpfile t;
	struct be_dev *dev;

	tmp_new(&t, "/tmp", SIZE);
	refused("uring", KV(t.kv, "size=1000k"), -EINVAL, "would cut");
	ck_assert_int_eq(size_of(&t), SIZE);
	refused("uring", KV(t.kv, "size=2m", "ro=1"), -EINVAL, "cannot grow");
	ck_assert_int_eq(size_of(&t), SIZE);
	dev = opened(KV(t.kv, "size=1m"));
	ck_assert_uint_eq(dev->size, SIZE);
	be_dev_close(dev);
	dev = opened(KV(t.kv, "size=3m"));
	ck_assert_uint_eq(dev->size, 3 * SIZE);
	ck_assert_int_eq(size_of(&t), 3 * SIZE);
	be_dev_close(dev);
	tmp_free(&t);
}
END_TEST

START_TEST(test_growth_is_seen)
{
	struct tmpfile t;
	struct be_dev *dev;

	tmp_new(&t, "/tmp", SIZE);
	dev = opened(KV(t.kv));
	ck_assert_uint_eq(be_dev_poll_size(dev), SIZE);
	ck_assert_int_eq(truncate(t.path, 2 * SIZE + 100), 0);
	ck_assert_uint_eq(be_dev_size(dev), SIZE);
	ck_assert_uint_eq(be_dev_poll_size(dev), 2 * SIZE + 100);
	ck_assert_uint_eq(be_dev_size(dev), 2 * SIZE + 100);
	/* Cut to nothing is gone, and the size that initiators know stays. */
	ck_assert_int_eq(truncate(t.path, 0), 0);
	ck_assert_uint_eq(be_dev_poll_size(dev), 0);
	ck_assert_uint_eq(be_dev_size(dev), 2 * SIZE + 100);
	be_dev_close(dev);
	tmp_free(&t);
}
END_TEST

START_TEST(test_resize)
{
	struct tmpfile t;
	struct be_dev *dev;

	tmp_new(&t, "/tmp", SIZE);
	dev = opened(KV(t.kv));
	ck_assert_int_eq(dev->ops->resize(dev, SIZE / 2, err, sizeof(err)), -EINVAL);
	ck_assert_int_eq(dev->ops->resize(dev, 4 * SIZE, err, sizeof(err)), 0);
	ck_assert_int_eq(size_of(&t), 4 * SIZE);
	ck_assert_uint_eq(be_dev_size(dev), SIZE);
	/* Taken back before it was used, it is as it was. */
	ck_assert_int_eq(dev->ops->resize(dev, SIZE, err, sizeof(err)), 0);
	ck_assert_int_eq(size_of(&t), SIZE);
	/* What others have added stays. */
	ck_assert_int_eq(truncate(t.path, 3 * SIZE), 0);
	ck_assert_int_eq(dev->ops->resize(dev, 2 * SIZE, err, sizeof(err)), -EINVAL);
	ck_assert_int_eq(size_of(&t), 3 * SIZE);
	ck_assert_int_eq(dev->ops->resize(dev, 4 * SIZE, err, sizeof(err)), 0);
	ck_assert_uint_eq(be_dev_poll_size(dev), 4 * SIZE);
	ck_assert_int_eq(dev->ops->resize(dev, 3 * SIZE, err, sizeof(err)), -EINVAL);
	be_dev_close(dev);
	dev = opened(KV(t.kv, "ro=1"));
	ck_assert_int_eq(dev->ops->resize(dev, 5 * SIZE, err, sizeof(err)), -EINVAL);
	ck_assert_int_eq(size_of(&t), 4 * SIZE);
	be_dev_close(dev);
	tmp_free(&t);
}
END_TEST

START_TEST(test_one_writer)
{
	struct tmpfile t;
	struct be_dev *dev, *dev2;
	char alias[128];

	tmp_new(&t, "/tmp", SIZE);
	snprintf(alias, sizeof(alias), "path=%s/alias", t.dir);
	ck_assert_int_eq(link(t.path, alias + 5), 0);
	dev = opened(KV(t.kv));
	refused("uring", KV(t.kv), -EBUSY, t.path);
	refused("uring", KV(t.kv, "ro=1"), -EBUSY, "another LUN");
	refused("uring", KV(alias), -EBUSY, "under the name");
	be_dev_close(dev);
	dev = opened(KV(alias, "ro=1"));
	dev2 = opened(KV(t.kv, "ro=1"));
	refused("uring", KV(t.kv), -EBUSY, "another LUN");
	be_dev_close(dev2);
	be_dev_close(dev);
	dev = opened(KV(t.kv));
	be_dev_close(dev);
	unlink(alias + 5);
	tmp_free(&t);
}
END_TEST

START_TEST(test_other_processes_are_kept_out)
{
	struct tmpfile t;
	struct be_dev *dev;
	int fd;

	tmp_new(&t, "/tmp", SIZE);
	fd = open(t.path, O_RDWR | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(flock(fd, LOCK_EX), 0);
	refused("uring", KV(t.kv), -EBUSY, "in use by another process");
	refused("uring", KV(t.kv, "ro=1"), -EBUSY, "in use by another process");
	ck_assert_int_eq(flock(fd, LOCK_SH), 0);
	refused("uring", KV(t.kv, "size=2m"), -EBUSY, "in use by another process");
	ck_assert_int_eq(size_of(&t), SIZE);
	dev = opened(KV(t.kv, "ro=1"));
	be_dev_close(dev);
	ck_assert_int_eq(flock(fd, LOCK_UN), 0);
	dev = opened(KV(t.kv));
	ck_assert_int_eq(flock(fd, LOCK_SH | LOCK_NB), -1);
	be_dev_close(dev);
	close(fd);
	tmp_free(&t);
}
END_TEST

START_TEST(test_description_of_a_file)
{
	struct tmpfile t;
	struct be_dev *dev;

	tmp_new(&t, "/tmp", SIZE + 5);
	dev = opened(KV(t.kv));
	ck_assert_uint_eq(dev->size, SIZE + 5);
	ck_assert_uint_eq(dev->io_align, 1);
	ck_assert_uint_eq(dev->dma_align, 1);
	ck_assert_uint_ge(dev->phys_block, 512);
	ck_assert(dev->volatile_cache);
	ck_assert(!dev->ro);
	be_dev_close(dev);
	dev = opened(KV(t.kv, "sync=1"));
	ck_assert(!dev->volatile_cache);
	be_dev_close(dev);
	dev = opened(KV(t.kv, "ro=1"));
	ck_assert(dev->ro);
	ck_assert_uint_eq(dev->unmap_align, 0);
	be_dev_close(dev);
	tmp_free(&t);
}
END_TEST

SUITE("backend/dev", test_names, test_options, test_what_is_not_there_is_not_created,
      test_what_is_no_disk_is_refused, test_who_has_no_permission_is_named,
      test_size_grows_and_never_shrinks, test_growth_is_seen, test_resize, test_one_writer,
      test_other_processes_are_kept_out, test_description_of_a_file)
