/* SPDX-License-Identifier: BSD-3-Clause */
/* Thousands of random I/Os on one channel, many at once, compared with a copy in memory. */
#ifndef TESTS_UNIT_BACKEND_SHADOW_H
#define TESTS_UNIT_BACKEND_SHADOW_H

#include "tests/unit/backend/stub.h"

#define SHADOW_DEPTH 32
#define SHADOW_MAX   (192u << 10) /* bytes of one I/O */

struct shadow {
	struct bench *b;
	uint8_t *copy;	/* of the slice [base, base + size) */
	uint64_t base, size;
	uint32_t align; /* of offsets and lengths */
	unsigned skew;	/* most bytes by which memory is misaligned */
	unsigned left, inflight, failed;
	struct shadow_io {
		struct be_io io;
		struct shadow *sh;
		bool busy;
		struct iovec iov[5];
		uint8_t *mem, *buf;
	} ios[SHADOW_DEPTH];
};

static void shadow_done(struct be_io *io);

static inline bool
shadow_overlaps(struct shadow *sh, uint64_t off, uint64_t len)
{
	for (unsigned i = 0; i < SHADOW_DEPTH; i++) {
		struct be_io *io = &sh->ios[i].io;

		if (sh->ios[i].busy && io->op != BE_FLUSH && off < io->off + io->len &&
		    io->off < off + len)
			return true;
	}
	return false;
}

/* Cuts the buffer into pieces of random length, with gaps of nothing between them. */
static inline void
shadow_cut(struct shadow *sh, struct shadow_io *x)
{
	struct stub *s = &sh->b->s;
	uint64_t at = 0;
	unsigned n = 0;

	while (at < x->io.len) {
		uint64_t piece = x->io.len - at;

		if (n < GW_ARRAY_LEN(x->iov) - 1 && stub_random(s) % 2) {
			piece = stub_random(s) % piece;
			if (!sh->skew)
				piece &= ~(uint64_t)4095;
		}
		x->iov[n++] = (struct iovec){x->buf + at, piece};
		at += piece;
		if (n == GW_ARRAY_LEN(x->iov) - 1 && at < x->io.len) {
			x->iov[n++] = (struct iovec){x->buf + at, x->io.len - at};
			break;
		}
	}
	x->io.iov = x->iov;
	x->io.niov = (uint16_t)n;
}

static inline bool
shadow_submit(struct shadow *sh, struct shadow_io *x)
{
	static const enum be_op mix[] = {BE_READ, BE_READ,  BE_READ, BE_WRITE, BE_WRITE,
					 BE_WRITE, BE_UNMAP, BE_ZERO, BE_FLUSH, BE_EXTENT};
	struct stub *s = &sh->b->s;
	enum be_op op = mix[stub_random(s) % GW_ARRAY_LEN(mix)];
	uint64_t len = (1 + stub_random(s) % (SHADOW_MAX / sh->align)) * sh->align;
	uint64_t off = sh->base + stub_random(s) % ((sh->size - len) / sh->align + 1) * sh->align;

	if (op == BE_EXTENT && !sh->b->dev->extents)
		op = BE_READ;
	if (stub_random(s) % 3 == 0)
		len = sh->align;
	if (op != BE_FLUSH && shadow_overlaps(sh, off, len))
		return false;
	memset(&x->io, 0x5a, sizeof(x->io));
	x->io.op = op;
	x->io.flags = 0;
	if ((op == BE_WRITE || op == BE_ZERO) && stub_random(s) % 16 == 0)
		x->io.flags |= BE_FUA;
	if (op == BE_ZERO && stub_random(s) % 2)
		x->io.flags |= BE_MAY_UNMAP;
	x->io.off = off;
	x->io.len = len;
	x->io.done = shadow_done;
	x->buf = x->mem + (sh->skew ? stub_random(s) % sh->skew : 0);
	if (op == BE_READ)
		memset(x->buf, 0xee, len);
	for (uint64_t i = 0; op == BE_WRITE && i < len; i++)
		x->buf[i] = (uint8_t)(off / 512 + i + sh->left);
	shadow_cut(sh, x);
	x->busy = true;
	sh->inflight++;
	sh->left--;
	be_submit(sh->b->chan, &x->io);
	return true;
}

/* What is said not to be mapped holds nothing. */
static void
shadow_extent(struct shadow *sh, const struct be_io *io, const uint8_t *copy)
{
	if (io->mapped)
		return;
	for (uint64_t i = 0; i < io->extent; i++)
		sh->failed += copy[i] != 0;
}

static void
shadow_done(struct be_io *io)
{
	struct shadow_io *x = gw_container(io, struct shadow_io, io);
	struct shadow *sh = x->sh;
	uint8_t *copy = sh->copy + (io->off - sh->base);

	ck_assert(x->busy);
	ck_assert_int_eq(io->st, BE_OK);
	if (io->op == BE_READ && memcmp(copy, x->buf, io->len))
		sh->failed++;
	else if (io->op == BE_EXTENT)
		shadow_extent(sh, io, copy);
	else if (io->op == BE_WRITE)
		memcpy(copy, x->buf, io->len);
	else if (io->op == BE_ZERO || io->op == BE_UNMAP)
		memset(copy, 0, io->len);
	x->busy = false;
	sh->inflight--;
	/* From inside done(), as the SCSI layer does. */
	if (sh->left && stub_random(&sh->b->s) % 2)
		shadow_submit(sh, x);
}

/* count I/Os on the slice, which reads as zeroes before; align is a multiple of the device's. */
static inline void
shadow_run(struct bench *b, uint64_t base, uint64_t size, uint32_t align, unsigned skew,
	   unsigned count)
{
	struct shadow *sh = calloc(1, sizeof(*sh));

	ck_assert_ptr_nonnull(sh);
	*sh = (struct shadow){
	    .b = b, .base = base, .size = size, .align = align, .skew = skew, .left = count};
	sh->copy = calloc(1, size);
	ck_assert_ptr_nonnull(sh->copy);
	for (unsigned i = 0; i < SHADOW_DEPTH; i++) {
		sh->ios[i].sh = sh;
		sh->ios[i].mem = aligned_alloc(4096, SHADOW_MAX + 4096);
		ck_assert_ptr_nonnull(sh->ios[i].mem);
	}
	while (sh->left || sh->inflight) {
		struct shadow_io *x = &sh->ios[stub_random(&b->s) % SHADOW_DEPTH];

		if (sh->left && !x->busy)
			shadow_submit(sh, x);
		stub_turn(&b->s);
	}
	ck_assert_uint_eq(sh->failed, 0);
	ck_assert_uint_eq(b->chan->inflight, 0);
	for (unsigned i = 0; i < SHADOW_DEPTH; i++)
		free(sh->ios[i].mem);
	free(sh->copy);
	free(sh);
}

#endif
