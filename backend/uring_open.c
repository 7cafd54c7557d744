/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Opening a file or block device: what it is, what it can do, and whether it is ours to use.
 * Nothing is changed before everything is known to be right, and nothing is ever created.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/uring_priv.h"
#include "gateway/base/num.h"

#define FILE_PIECE  (1ull << 30)  /* a file system frees or marks extents */
#define BLOCK_PIECE (64ull << 20) /* a disk may have to write them */
#define RAM_PIECE   (1ull << 20)  /* a core's own write waits for it: uring_ram.c */
#define ALIGN_MAX   (64u << 10)

struct opening {
	struct be_dev *dev;
	struct uring_dev *ud;
	struct be_opts o;
	struct stat st;
	int flags; /* that open(2) works with, O_EXCL left out */
	char *err;
	unsigned err_size;
};

#define refuse(p, rc, ...) be_refuse((p)->err, (p)->err_size, rc, __VA_ARGS__)

static bool
is_pow2(uint64_t v)
{
	return v && !(v & (v - 1));
}

static int
open_failed(struct opening *p, int e)
{
	const char *path = p->o.path;
	char why[160];

	if (e == EBUSY)
		return refuse(p, -e, "%s is in use: mounted, or part of another device", path);
	if (e == EINVAL && p->o.direct)
		return refuse(
		    p, -e, "%s cannot be opened with direct=1: its file system has no direct I/O",
		    path);
	if ((e == EROFS || e == EACCES || e == EPERM) && !p->o.ro)
		return refuse(p, -e, "cannot open %s for writing (readonly=1 would only read): %s",
			      path, be_open_reason(e, why, sizeof(why)));
	return refuse(p, -e, "cannot open %s: %s", path, be_open_reason(e, why, sizeof(why)));
}

/* Type first: opening a FIFO or a tape would have effects. */
static int
open_path(struct opening *p)
{
	int excl = 0, e, rc;
	char why[160];

	if (!p->o.path)
		return refuse(p, -EINVAL, "a file or block device needs path=");
	if (stat(p->o.path, &p->st)) {
		e = errno;
		return refuse(p, -e, "cannot open %s: %s", p->o.path,
			      be_open_reason(e, why, sizeof(why)));
	}
	if (!S_ISREG(p->st.st_mode) && !S_ISBLK(p->st.st_mode))
		return refuse(p, -EINVAL, "%s is neither a regular file nor a block device",
			      p->o.path);
	rc = be_claim_check(&p->st, p->o.ro, p->o.path, p->err, p->err_size);
	if (rc)
		return rc;
	p->ud->block = S_ISBLK(p->st.st_mode);
	p->flags = (p->o.ro ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOCTTY;
	if (p->o.direct)
		p->flags |= O_DIRECT;
	/* Without O_CREAT it asks for a block device that nobody else has claimed (open(2)). */
	if (p->ud->block && !p->o.ro)
		excl = O_EXCL;
	p->ud->fd = open(p->o.path, p->flags | excl);
	return p->ud->fd < 0 ? open_failed(p, errno) : 0;
}

/* The disk below: of the device itself, or of the file system. */
static dev_t
disk_of(const struct opening *p)
{
	return p->ud->block ? p->st.st_rdev : p->st.st_dev;
}

static uint32_t
queue_size(const struct opening *p, const char *name, uint32_t otherwise)
{
	uint64_t v;

	return uring_queue_u64(disk_of(p), name, &v) && is_pow2(v) && v >= 512 && v <= ALIGN_MAX
		   ? (uint32_t)v
		   : otherwise;
}

static void
direct_alignment(struct opening *p)
{
	p->dev->io_align = queue_size(p, "logical_block_size", 4096);
	p->dev->dma_align = p->dev->io_align;
#ifdef STATX_DIOALIGN
	struct statx x;

	if (!statx(p->ud->fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &x) &&
	    x.stx_mask & STATX_DIOALIGN && is_pow2(x.stx_dio_offset_align) &&
	    is_pow2(x.stx_dio_mem_align)) {
		p->dev->io_align = GW_MAX(x.stx_dio_offset_align, 512u);
		p->dev->dma_align = x.stx_dio_mem_align;
	}
#endif
}

/* Reads the first block, as every later read will be done: says whether that can work at all. */
static int
try_read(struct opening *p)
{
	void *mem =
	    mmap(NULL, ALIGN_MAX, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ssize_t n;
	int e;

	if (mem == MAP_FAILED)
		return refuse(p, -ENOMEM, "no memory to open %s", p->o.path);
	n = pread(p->ud->fd, mem, p->dev->io_align, 0);
	e = errno;
	munmap(mem, ALIGN_MAX);
	if (n < 0)
		return refuse(p, -e, "cannot read %s%s: %s", p->o.path,
			      p->o.direct ? " with direct=1" : "", strerror(e));
	return 0;
}

/*
 * Nothing is written, but is it possible? A file of hugetlbfs can only be mapped. A backing store
 * that cannot flush would make every promise of durability a lie.
 */
static int
try_write(struct opening *p)
{
	int e;

	if (!p->o.ro && pwrite(p->ud->fd, "", 0, 0) < 0) {
		e = errno;
		return refuse(p, -e, "%s cannot be written: %s%s", p->o.path, strerror(e),
			      e == EINVAL  ? " (its file system only maps files)"
			      : e == EPERM ? " (readonly=1 would only read)"
					   : "");
	}
	if (!p->o.ro && fdatasync(p->ud->fd))
		return refuse(p, -errno, "%s cannot be flushed: %s", p->o.path, strerror(errno));
	return 0;
}

static void
describe(struct opening *p)
{
	struct be_dev *dev = p->dev;
	uint64_t v;
	char cache[32];
	bool through = uring_queue_text(disk_of(p), "write_cache", cache, sizeof(cache)) &&
		       !strcmp(cache, "write through");

	p->ud->range_align = p->ud->block ? queue_size(p, "logical_block_size", 512) : 1;
	/* The page cache reads what a write leaves of a larger block. */
	dev->io_align = p->ud->block ? 512 : 1;
	dev->dma_align = 1;
	if (p->ud->direct)
		direct_alignment(p);
	if (p->ud->block)
		dev->phys_block = queue_size(p, "physical_block_size", p->ud->range_align);
	else
		dev->phys_block = is_pow2((uint64_t)p->st.st_blksize) && p->st.st_blksize >= 512
				      ? (uint32_t)GW_MIN(p->st.st_blksize, 4096)
				      : 4096;
	dev->phys_block = GW_MAX(dev->phys_block, dev->io_align);
	dev->rotational = uring_queue_u64(disk_of(p), "rotational", &v) && v;
	/* The page cache is volatile, and so is what a file system knows of a file's extents. */
	dev->volatile_cache = !p->o.sync && !(p->ud->block && p->o.direct && through);
	dev->ro = p->o.ro;
}

/*
 * Only a device with an offloaded "write zeroes" can punch holes (block/fops.c of Linux refuses the
 * others); of a plain discard nobody can say what is read afterwards.
 */
static void
describe_unmap(struct opening *p)
{
	struct be_dev *dev = p->dev;
	uint64_t v;
	bool can;

	if (p->o.ro)
		return;
	if (p->ud->block)
		can = uring_queue_u64(p->st.st_rdev, "write_zeroes_max_bytes", &v) && v;
	else
		/* Beyond the end there is nothing to lose. */
		can = !fallocate(p->ud->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				 (off_t)gw_round_up((uint64_t)p->st.st_size, ALIGN_MAX) + ALIGN_MAX,
				 ALIGN_MAX);
	if (!can)
		return;
	dev->unmap_align = dev->phys_block;
	if (p->ud->block && uring_queue_u64(p->st.st_rdev, "discard_granularity", &v) &&
	    is_pow2(v) && v <= UINT32_MAX)
		dev->unmap_align = GW_MAX((uint32_t)v, p->ud->range_align);
	dev->unmap_zeroes = true;
}

/* Last of all, because it changes the file. */
static int
settle_size(struct opening *p)
{
	uint64_t have = p->ud->block ? uring_block_size(p->ud->fd) : (uint64_t)p->st.st_size;
	uint64_t want = p->o.size ? p->o.size : have;

	if (want < have)
		return refuse(p, -EINVAL, "size=%llu would cut %s, which has %llu bytes",
			      (unsigned long long)want, p->o.path, (unsigned long long)have);
	if (want > have && (p->ud->block || p->o.ro))
		return refuse(p, -EINVAL, "%s cannot grow to size=%llu: it %s, and has %llu bytes",
			      p->o.path, (unsigned long long)want,
			      p->ud->block ? "is a block device" : "is opened with readonly=1",
			      (unsigned long long)have);
	if (want < p->dev->io_align)
		return refuse(p, -EINVAL, "%s is empty%s", p->o.path,
			      p->ud->block ? "" : ": give it a size with size=");
	if (want > have && ftruncate(p->ud->fd, (off_t)want))
		return refuse(p, -errno, "cannot grow %s to %llu bytes: %s", p->o.path,
			      (unsigned long long)want, strerror(errno));
	p->dev->size = want & ~(uint64_t)(p->dev->io_align - 1);
	return 0;
}

static int
inspect(struct opening *p)
{
	struct be_space space;
	struct stat now;
	int rc;

	if (fstat(p->ud->fd, &now) || now.st_dev != p->st.st_dev || now.st_ino != p->st.st_ino ||
	    now.st_rdev != p->st.st_rdev)
		return refuse(p, -EAGAIN, "%s was replaced while it was opened", p->o.path);
	p->st = now;
	/* To memory all transfers are direct, and none need be aligned. */
	p->ud->ram = !p->ud->block && uring_ram_fs(p->ud->fd);
	if (p->ud->ram) {
		p->ud->direct = false;
		p->ud->range_piece = RAM_PIECE;
	}
	describe(p);
	if (p->dev->io_align > ALIGN_MAX || p->dev->dma_align > 4096)
		return refuse(p, -EINVAL,
			      "%s wants direct I/O in blocks of %u bytes, which is too much",
			      p->o.path, p->dev->io_align);
	rc = try_read(p);
	if (!rc)
		rc = try_write(p);
	if (rc)
		return rc;
	describe_unmap(p);
	p->dev->extents = uring_extents(p->ud);
	p->dev->priv = p->ud;
	p->dev->counts_space = uring_space(p->dev, &space) == 0;
	/* Who writes nothing has nothing to sync, and memory has nowhere to write it back to. */
	if (!p->o.ro && !p->ud->ram)
		rc = uring_sync_open(p->ud, p->flags, p->err, p->err_size);
	if (rc)
		return rc;
	rc = settle_size(p);
	if (!rc && p->ud->ram)
		uring_map_init(p->ud, p->dev->size, p->o.ro);
	return rc;
}

int
uring_open(struct be_dev *dev, const char *const *kv, char *err, unsigned err_size)
{
	struct opening p = {.dev = dev, .err = err, .err_size = err_size};
	int rc = be_opts_parse(kv, &p.o, err, err_size);

	if (rc)
		return rc;
	p.ud = calloc(1, sizeof(*p.ud));
	if (!p.ud)
		return refuse(&p, -ENOMEM, "no memory for a backing store");
	rc = open_path(&p);
	if (rc)
		goto out_free;
	rc = -ENOMEM;
	p.ud->path = strdup(p.o.path);
	if (!p.ud->path) {
		refuse(&p, rc, "no memory for a backing store");
		goto out_close;
	}
	p.ud->direct = p.o.direct;
	p.ud->sync = p.o.sync;
	p.ud->range_piece = p.ud->block ? BLOCK_PIECE : FILE_PIECE;
	rc = be_claim(&p.ud->claim, p.ud->fd, &p.st, p.o.ro, p.ud->path, err, err_size);
	if (rc)
		goto out_path;
	rc = inspect(&p);
	if (rc)
		goto out_claim;
	return 0;

out_claim:
	uring_sync_close(p.ud);
	be_unclaim(&p.ud->claim);
out_path:
	free(p.ud->path);
out_close:
	close(p.ud->fd);
out_free:
	free(p.ud);
	return rc;
}

void
uring_close(struct be_dev *dev)
{
	struct uring_dev *ud = dev->priv;

	be_unclaim(&ud->claim);
	uring_map_fini(ud);
	uring_sync_close(ud);
	close(ud->fd);
	free(ud->path);
	free(ud);
}

/* As it is, not rounded; 0 if it cannot be known any more. */
static uint64_t
size_bytes(const struct uring_dev *ud)
{
	struct stat st;

	if (ud->block)
		return uring_block_size(ud->fd);
	return fstat(ud->fd, &st) ? 0 : (uint64_t)st.st_size;
}

uint64_t
uring_size_now(struct be_dev *dev)
{
	return size_bytes(dev->priv) & ~(uint64_t)(dev->io_align - 1);
}

/*
 * Takes back what it gave, before anybody has used it, and nothing else: a file that has grown by
 * other hands keeps its length.
 */
int
uring_resize(struct be_dev *dev, uint64_t bytes, char *err, unsigned err_size)
{
	struct uring_dev *ud = dev->priv;
	uint64_t have = size_bytes(ud);

	if (bytes == have)
		return 0;
	if (ud->block || dev->ro)
		return be_refuse(err, err_size, -EINVAL, "the size of %s cannot be set: it is %s",
				 ud->path, ud->block ? "a block device" : "opened with readonly=1");
	if (bytes < be_dev_size(dev) || (bytes < have && have != ud->grown_to) || bytes > INT64_MAX)
		return be_refuse(err, err_size, -EINVAL,
				 "size=%llu does not fit %s, which has %llu bytes",
				 (unsigned long long)bytes, ud->path, (unsigned long long)have);
	if (ftruncate(ud->fd, (off_t)bytes))
		return be_refuse(err, err_size, -errno, "cannot make %s %llu bytes long: %s",
				 ud->path, (unsigned long long)bytes, strerror(errno));
	ud->grown_to = bytes > have ? bytes : 0;
	return 0;
}
