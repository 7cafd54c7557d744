/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A core and an engine for unit tests: system calls are made when the test takes a turn, in an
 * order that the seed chooses, and the test can have them fail, transfer little, or be watched.
 */
#ifndef TESTS_UNIT_BACKEND_STUB_H
#define TESTS_UNIT_BACKEND_STUB_H

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "gateway/api/backend.h"
#include "gateway/base/num.h"
#include "gateway/core/buf.h"
#include "gateway/core/engine.h"
#include "gateway/core/fixed.h"
#include "gateway/core/timer.h"

enum stub_kind {
	STUB_READ,
	STUB_WRITE,
	STUB_DSYNC, /* a write with RWF_DSYNC */
	STUB_SYNC,
	STUB_PUNCH,
	STUB_ZERO_RANGE,
	STUB_ASIDE,
	STUB_KINDS
};

struct stub_call {
	struct gw_op *op;
	enum stub_kind kind;
	int fd;
	const struct iovec *iov;
	unsigned niov;
	int mode;
	uint64_t off, len;
};

struct stub {
	struct gw_core core;
	struct stub_call pending[256];
	unsigned npending;
	uint64_t rng;
	unsigned calls[STUB_KINDS];
	int fail[STUB_KINDS]; /* errno of the next fail_count[] calls of a kind */
	unsigned fail_count[STUB_KINDS];
	size_t short_max;            /* most bytes of one transfer; 0: no limit */
	size_t largest;              /* bytes of the largest transfer asked for */
	unsigned failed[STUB_KINDS]; /* calls that the kernel itself has failed */
};

static _Thread_local struct stub *stub_self;

static inline uint64_t
stub_random(struct stub *s)
{
	s->rng ^= s->rng << 13;
	s->rng ^= s->rng >> 7;
	s->rng ^= s->rng << 17;
	return s->rng;
}

static inline void
stub_init(struct stub *s, uint64_t seed)
{
	memset(s, 0, sizeof(*s));
	gw_list_init(&s->core.kick);
	gw_list_init(&s->core.flush);
	s->rng = seed * 0x9e3779b97f4a7c15ull | 1;
	stub_self = s;
}

struct gw_core *
gw_core_self(void)
{
	return stub_self ? &stub_self->core : NULL;
}

/* Cores that a device is made for; a test that plays another than the first sets core.id. */
unsigned
gw_ncores(void)
{
	return 2;
}

void
gw_at_kick(struct gw_core *core, struct gw_hook *h)
{
	if (h->armed)
		return;
	h->armed = true;
	gw_list_add_tail(&core->kick, &h->node);
}

void
gw_hook_disarm(struct gw_hook *h)
{
	gw_list_del(&h->node);
	h->armed = false;
}

static inline void
stub_add(struct gw_core *core, struct stub_call call)
{
	struct stub *s = gw_container(core, struct stub, core);

	ck_assert_uint_lt(s->npending, GW_ARRAY_LEN(s->pending));
	ck_assert(!call.op->busy);
	call.op->busy = true;
	s->calls[call.kind]++;
	s->pending[s->npending++] = call;
}

void
gw_readv(struct gw_core *core, struct gw_op *op, int fd, const struct iovec *iov, unsigned niov,
	 uint64_t off)
{
	stub_add(core, (struct stub_call){op, STUB_READ, fd, iov, niov, 0, off, 0});
}

void
gw_writev(struct gw_core *core, struct gw_op *op, int fd, const struct iovec *iov, unsigned niov,
	  uint64_t off, int rwf)
{
	enum stub_kind kind = rwf & RWF_DSYNC ? STUB_DSYNC : STUB_WRITE;

	stub_add(core, (struct stub_call){op, kind, fd, iov, niov, rwf, off, 0});
}

void
gw_fdatasync(struct gw_core *core, struct gw_op *op, int fd)
{
	stub_add(core, (struct stub_call){op, STUB_SYNC, fd, NULL, 0, 0, 0, 0});
}

void
gw_fallocate(struct gw_core *core, struct gw_op *op, int fd, int mode, uint64_t off, uint64_t len)
{
	enum stub_kind kind = mode & FALLOC_FL_PUNCH_HOLE ? STUB_PUNCH : STUB_ZERO_RANGE;

	stub_add(core, (struct stub_call){op, kind, fd, NULL, 0, mode, off, len});
}

void
gw_forget_fd(struct gw_core *core, int fd)
{
}

/* What only NVMe commands ask of a core: no test without a device comes there. */

void
gw_poll(struct gw_core *core, struct gw_op *op, int fd, unsigned events)
{
	abort();
}

void
gw_cancel(struct gw_core *core, struct gw_op *op)
{
	abort();
}

void
gw_timer_init(struct gw_timer *t, void (*fire)(struct gw_timer *))
{
	abort();
}

void
gw_timer_start(struct gw_core *core, struct gw_timer *t, uint32_t ms)
{
	abort();
}

void
gw_timer_stop(struct gw_timer *t)
{
	abort();
}

int
gw_fixed_add(struct gw_fixed *f, struct io_uring *ring, struct gw_core *core, unsigned shift,
	     unsigned first, unsigned end)
{
	abort();
}

void
gw_fixed_del(struct gw_fixed *f)
{
	abort();
}

struct io_uring *
gw_uring(struct gw_core *core)
{
	abort();
}

int
gw_uring_setup(struct io_uring *ring, unsigned sq, unsigned cq, unsigned more,
	       struct io_uring_params *p)
{
	abort();
}

struct io_uring_sqe *
gw_uring_sqe(struct gw_core *core, struct gw_op *op)
{
	abort();
}

void
gw_aside(struct gw_core *core, struct gw_op *op, int (*fn)(struct gw_op *op))
{
	op->at.fn = fn;
	stub_add(core, (struct stub_call){op, STUB_ASIDE, -1, NULL, 0, 0, 0, 0});
}

static inline ssize_t
stub_transfer(struct stub *s, const struct stub_call *c)
{
	struct iovec iov[64];
	size_t left = s->short_max ? s->short_max : SIZE_MAX, sum = 0;
	unsigned n;

	ck_assert_uint_le(c->niov, GW_ARRAY_LEN(iov));
	for (n = 0; n < c->niov && left; n++) {
		iov[n] = c->iov[n];
		iov[n].iov_len = GW_MIN(iov[n].iov_len, left);
		left -= iov[n].iov_len;
	}
	for (unsigned i = 0; i < c->niov; i++)
		sum += c->iov[i].iov_len;
	s->largest = GW_MAX(s->largest, sum);
	if (c->kind == STUB_READ)
		return preadv(c->fd, iov, (int)n, (off_t)c->off);
	return pwritev2(c->fd, iov, (int)n, (off_t)c->off, c->mode);
}

static inline int
stub_call(struct stub *s, const struct stub_call *c)
{
	ssize_t res;

	if (s->fail_count[c->kind]) {
		s->fail_count[c->kind]--;
		return -s->fail[c->kind];
	}
	if (c->kind == STUB_ASIDE)
		return c->op->at.fn(c->op);
	if (c->kind == STUB_SYNC)
		res = fdatasync(c->fd);
	else if (c->kind == STUB_PUNCH || c->kind == STUB_ZERO_RANGE)
		res = fallocate(c->fd, c->mode, (off_t)c->off, (off_t)c->len);
	else
		res = stub_transfer(s, c);
	s->failed[c->kind] += res < 0;
	return res < 0 ? -errno : (int)res;
}

/* Runs armed hooks once. */
static inline void
stub_kick(struct stub *s)
{
	struct gw_list due;

	gw_list_init(&due);
	gw_list_splice_tail(&due, &s->core.kick);
	while (!gw_list_empty(&due)) {
		struct gw_hook *h = gw_list_first(&due, struct gw_hook, node);

		gw_list_del(&h->node);
		h->armed = false;
		h->fn(h);
	}
}

/* The i-th call under way ends with res, and is not made. */
static inline void
stub_complete(struct stub *s, unsigned i, int res)
{
	struct stub_call c = s->pending[i];

	ck_assert_uint_lt(i, s->npending);
	s->npending--;
	memmove(s->pending + i, s->pending + i + 1, (s->npending - i) * sizeof(c));
	c.op->busy = false;
	c.op->done(c.op, res);
	stub_kick(s);
}

/* One completion, if there is any, and one round of hooks. False if there was nothing to do. */
static inline bool
stub_turn(struct stub *s)
{
	bool busy = s->npending || !gw_list_empty(&s->core.kick);

	if (s->npending) {
		unsigned i = (unsigned)(stub_random(s) % s->npending);
		struct stub_call c = s->pending[i];
		int res = stub_call(s, &c);

		s->pending[i] = s->pending[--s->npending];
		c.op->busy = false;
		c.op->done(c.op, res);
	}
	stub_kick(s);
	return busy;
}

/* --- one I/O at a time --- */

struct one_io {
	struct be_io io;
	unsigned done;
};

static inline void
one_done(struct be_io *io)
{
	gw_container(io, struct one_io, io)->done++;
}

static inline enum be_st
do_iov(struct stub *s, struct be_chan *chan, enum be_op op, uint8_t flags, uint64_t off,
       const struct iovec *iov, unsigned niov, uint64_t len)
{
	struct one_io one;

	memset(&one, 0xa5, sizeof(one));
	one.done = 0;
	one.io.op = op;
	one.io.flags = flags;
	one.io.off = off;
	one.io.len = len;
	one.io.iov = iov;
	one.io.niov = (uint16_t)niov;
	one.io.done = one_done;
	be_submit(chan, &one.io);
	ck_assert_uint_eq(one.done, 0);
	while (stub_turn(s))
		;
	ck_assert_uint_eq(one.done, 1);
	ck_assert_uint_eq(chan->inflight, 0);
	return one.io.st;
}

static inline enum be_st
do_io(struct stub *s, struct be_chan *chan, enum be_op op, uint8_t flags, uint64_t off, void *buf,
      uint64_t len)
{
	struct iovec v = {buf, len};

	return do_iov(s, chan, op, flags, off, buf ? &v : NULL, buf ? 1 : 0, len);
}

/* --- devices --- */

struct bench {
	struct stub s;
	struct be_dev *dev;
	struct be_chan *chan;
	char err[256];
};

#define KV(...) ((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

static inline void
bench_open(struct bench *b, const char *bstype, const char *const *kv)
{
	int rc;

	stub_init(&b->s, 7);
	b->err[0] = 0;
	rc = be_dev_open(bstype, kv, &b->dev, b->err, sizeof(b->err));
	ck_assert_msg(rc == 0, "%s", b->err);
	ck_assert_int_eq(be_chan_open(b->dev, &b->s.core, &b->chan), 0);
}

static inline void
bench_close(struct bench *b)
{
	ck_assert_uint_eq(b->s.npending, 0);
	be_chan_close(b->chan);
	be_dev_close(b->dev);
	stub_self = NULL;
}

/* --- files --- */

struct tmpfile {
	char dir[64], path[96], kv[128];
};

/* A file of that size in a directory of its own below `under`. */
static inline void
tmp_new(struct tmpfile *t, const char *under, off_t size)
{
	int fd;

	snprintf(t->dir, sizeof(t->dir), "%s/lgt-be.XXXXXX", under);
	ck_assert_ptr_nonnull(mkdtemp(t->dir));
	snprintf(t->path, sizeof(t->path), "%s/disk", t->dir);
	snprintf(t->kv, sizeof(t->kv), "path=%s", t->path);
	fd = open(t->path, O_RDWR | O_CREAT | O_EXCL, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, size), 0);
	close(fd);
}

static inline void
tmp_free(struct tmpfile *t)
{
	unlink(t->path);
	ck_assert_int_eq(rmdir(t->dir), 0);
}

#endif
