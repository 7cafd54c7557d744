/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The backends on real cores and the real engine: each core keeps random I/Os going on a slice of
 * one device and compares with a copy; every I/O is done exactly once, on its core.
 */
#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gateway/api/backend.h"
#include "gateway/base/num.h"
#include "gateway/core/buf.h"
#include "tests/unit/core/cores.h"

#define CORES    3
#define DEPTH    16
#define IO_MAX   (128u << 10)
#define SLICE    (1u << 20)
#define PER_CORE 1000
#define ALIGN    4096u

struct worker;

struct slot {
	struct be_io io;
	struct worker *w;
	struct gw_sg sg; /* every other slot: the core's buffers, else memory at an odd address */
	struct iovec odd;
	bool busy;
};

struct worker {
	struct be_dev *dev;
	struct be_chan *chan;
	uint64_t base, rng;
	uint8_t *copy, *odd;
	unsigned left, busy, bad;
	struct slot slots[DEPTH];
	sem_t finished;
};

static struct worker workers[CORES];

static uint64_t
next_random(struct worker *w)
{
	w->rng ^= w->rng << 13;
	w->rng ^= w->rng >> 7;
	w->rng ^= w->rng << 17;
	return w->rng;
}

static bool
overlaps(const struct worker *w, uint64_t off, uint64_t len)
{
	for (unsigned i = 0; i < DEPTH; i++) {
		const struct be_io *io = &w->slots[i].io;

		if (w->slots[i].busy && io->op != BE_FLUSH && off < io->off + io->len &&
		    io->off < off + len)
			return true;
	}
	return false;
}

/* Applies fn to the pieces of an I/O's memory, each with its place in the copy. */
static void
each_piece(const struct slot *s, void (*fn)(struct worker *, uint8_t *mem, uint8_t *copy, size_t n))
{
	uint8_t *copy = s->w->copy + (s->io.off - s->w->base);

	for (unsigned i = 0; i < s->io.niov; i++) {
		fn(s->w, s->io.iov[i].iov_base, copy, s->io.iov[i].iov_len);
		copy += s->io.iov[i].iov_len;
	}
}

static void
fill(struct worker *w, uint8_t *mem, uint8_t *copy, size_t n)
{
	memset(mem, (int)(next_random(w) & 0xff), n);
}

static void
keep(struct worker *w, uint8_t *mem, uint8_t *copy, size_t n)
{
	memcpy(copy, mem, n);
}

static void
compare(struct worker *w, uint8_t *mem, uint8_t *copy, size_t n)
{
	w->bad += memcmp(mem, copy, n) != 0;
}

static void io_done(struct be_io *io);

static bool
start(struct slot *s)
{
	static const uint8_t mix[] = {BE_READ,  BE_READ,  BE_READ, BE_WRITE,
				      BE_WRITE, BE_WRITE, BE_ZERO, BE_UNMAP};
	struct worker *w = s->w;
	uint64_t r = next_random(w);
	uint8_t op = r % 64 == 63 ? BE_FLUSH : mix[r % 8];
	uint64_t len = (1 + next_random(w) % (IO_MAX / ALIGN)) * ALIGN;
	uint64_t off = w->base + next_random(w) % ((SLICE - len) / ALIGN + 1) * ALIGN;

	if (!w->left || overlaps(w, off, len))
		return false;
	s->io = (struct be_io){.op = op, .off = off, .len = len, .done = io_done};
	if (op == BE_WRITE && r >> 60 == 0)
		s->io.flags = BE_FUA;
	if (op == BE_READ || op == BE_WRITE) {
		if ((s - w->slots) % 2 && gw_buf_get(w->chan->core, (uint32_t)len, &s->sg)) {
			s->io.iov = s->sg.iov;
			s->io.niov = s->sg.n;
		} else {
			s->odd.iov_len = len;
			s->io.iov = &s->odd;
			s->io.niov = 1;
		}
	}
	if (op == BE_WRITE)
		each_piece(s, fill);
	s->busy = true;
	w->busy++;
	w->left--;
	be_submit(w->chan, &s->io);
	return true;
}

static void
io_done(struct be_io *io)
{
	struct slot *s = gw_container(io, struct slot, io);
	struct worker *w = s->w;

	w->bad += !s->busy || io->st != BE_OK || gw_core_self() != w->chan->core;
	if (io->op == BE_READ)
		each_piece(s, compare);
	else if (io->op == BE_WRITE)
		each_piece(s, keep);
	else if (io->op != BE_FLUSH)
		memset(w->copy + (io->off - w->base), 0, io->len);
	gw_buf_put(w->chan->core, &s->sg);
	s->busy = false;
	w->busy--;
	for (unsigned i = 0; i < DEPTH; i++)
		if (!w->slots[i].busy)
			start(&w->slots[i]);
	if (w->busy)
		return;
	/* Nothing overlaps nothing: only the end of the count leaves all slots idle. */
	w->bad += w->left != 0;
	be_chan_close(w->chan);
	sem_post(&w->finished);
}

static void
work(struct gw_core *core, void *arg)
{
	struct worker *w = arg;

	if (be_chan_open(w->dev, core, &w->chan)) {
		w->bad++;
		sem_post(&w->finished);
		return;
	}
	for (unsigned i = 0; i < DEPTH; i++)
		start(&w->slots[i]);
}

static void
worker_init(struct worker *w, unsigned id, struct be_dev *dev)
{
	memset(w, 0, sizeof(*w));
	w->dev = dev;
	w->base = (uint64_t)id * SLICE;
	w->rng = 0x9e3779b97f4a7c15ull * (id + 1);
	w->left = PER_CORE;
	w->copy = calloc(1, SLICE);
	w->odd = malloc(DEPTH * (IO_MAX + 1) + 1);
	ck_assert(w->copy && w->odd);
	for (unsigned i = 0; i < DEPTH; i++) {
		w->slots[i].w = w;
		w->slots[i].odd.iov_base = w->odd + 1 + i * (IO_MAX + 1);
	}
	sem_init(&w->finished, 0, 0);
}

static void
run(const char *bstype, const char *const *kv)
{
	struct be_dev *dev;
	char err[256] = "";
	unsigned bad = 0;

	cores_start(CORES, 0, 0);
	ck_assert_msg(be_dev_open(bstype, kv, &dev, err, sizeof(err)) == 0, "%s", err);
	for (unsigned i = 0; i < CORES; i++)
		worker_init(&workers[i], i, dev);
	for (unsigned i = 0; i < CORES; i++)
		gw_run_sync(gw_core_at(i), work, &workers[i]);
	for (unsigned i = 0; i < CORES; i++) {
		sem_wait_whole(&workers[i].finished);
		bad += workers[i].bad;
		free(workers[i].copy);
		free(workers[i].odd);
	}
	gw_cores_fini();
	be_dev_close(dev);
	ck_assert_uint_eq(bad, 0);
}

START_TEST(test_mem)
{
	run("mem", (const char *const[]){"size=3m", NULL});
}
END_TEST

static void
run_file(const char *option)
{
	char path[] = "/tmp/lgt-be-cores.XXXXXX", kv[64];
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, CORES * SLICE), 0);
	close(fd);
	snprintf(kv, sizeof(kv), "path=%s", path);
	run("uring", (const char *const[]){kv, option, NULL});
	unlink(path);
}

START_TEST(test_file)
{
	run_file(NULL);
}
END_TEST

START_TEST(test_file_sync)
{
	run_file("sync=1");
}
END_TEST

START_TEST(test_file_direct)
{
	int fd = open("/tmp", O_TMPFILE | O_RDWR | O_DIRECT, 0600);

	/* direct.c says so where /tmp has no direct I/O. */
	if (fd < 0)
		return;
	close(fd);
	run_file("direct=1");
}
END_TEST

CORES_SUITE("backend/cores", test_mem, test_file, test_file_sync, test_file_direct)
