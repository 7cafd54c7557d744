/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory of a backend that leaves by the socket from where it lies, without a copy before. Who
 * sends it may take its time, and the LUN may end meanwhile: the mapping stays until all is given
 * back, so that its addresses never become somebody else's data.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "backend/backend_priv.h"
#include "gateway/base/bug.h"

struct be_map *
be_map_new(int fd, uint64_t len, int prot, int flags)
{
	struct be_map *m = malloc(sizeof(*m));
	void *p;

	if (!m)
		return NULL;
	p = mmap(NULL, len, prot, flags, fd, 0);
	if (p == MAP_FAILED) {
		free(m);
		return NULL;
	}
	m->base = p;
	m->len = len;
	atomic_init(&m->refs, 1);
	return m;
}

void
be_map_put(struct be_map *m)
{
	if (!m || atomic_fetch_sub_explicit(&m->refs, 1, memory_order_acq_rel) > 1)
		return;
	munmap(m->base, m->len);
	free(m);
}

struct be_lender *
be_lender_new(struct be_map *map)
{
	struct be_lender *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->map = map;
	if (map)
		atomic_fetch_add_explicit(&map->refs, 1, memory_order_relaxed);
	return l;
}

static void
settle(struct be_lender *l)
{
	if (!l->closed || l->lent)
		return;
	be_map_put(l->map);
	free(l);
}

void
be_lender_close(struct be_lender *l)
{
	if (!l)
		return;
	l->closed = true;
	settle(l);
}

static void
give_back(struct be_io *io)
{
	struct be_lender *l = io->lender;

	io->give_back = NULL;
	if (io->st != BE_OK && l->unreadable && !l->closed)
		l->unreadable(l->dev, io);
	BUG(!l->lent);
	l->lent--;
	settle(l);
}

void
be_lend(struct be_lender *l, struct be_io *io, void *p)
{
	l->lent++;
	io->lender = l;
	io->lent = (struct iovec){p, io->len};
	io->give_back = give_back;
	io->moved = io->len;
}
