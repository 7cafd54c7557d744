/* SPDX-License-Identifier: BSD-3-Clause */
/* O_DIRECT with memory that the device cannot reach: piece by piece through a buffer that it can.
 */
#include <errno.h>
#include <sys/mman.h>

#include "backend/uring_priv.h"
#include "gateway/base/bug.h"

int
uring_bounces_init(struct uring_bounces *b)
{
	gw_list_init(&b->waiting);
	b->mem = mmap(NULL, URING_BOUNCES * URING_BOUNCE_SIZE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (b->mem == MAP_FAILED)
		return -errno;
	for (unsigned i = 0; i < URING_BOUNCES; i++)
		b->at[i].mem = b->mem + i * URING_BOUNCE_SIZE;
	return 0;
}

void
uring_bounces_fini(struct uring_bounces *b)
{
	BUG(!gw_list_empty(&b->waiting));
	munmap(b->mem, URING_BOUNCES * URING_BOUNCE_SIZE);
}

bool
uring_is_aligned(const struct be_io *io)
{
	const struct be_dev *dev = io->chan->dev;
	uintptr_t base = 0, len = 0;

	for (unsigned i = 0; i < io->niov; i++) {
		base |= (uintptr_t)io->iov[i].iov_base;
		len |= io->iov[i].iov_len;
	}
	return !(base & (dev->dma_align - 1)) && !(len & (dev->io_align - 1));
}

static struct uring_bounces *
bounces(struct be_io *io)
{
	return &gw_container(io->chan, struct uring_chan, chan)->bounces;
}

bool
uring_bounce_get(struct be_io *io)
{
	struct uring_bounces *b = bounces(io);

	for (unsigned i = 0; i < URING_BOUNCES; i++) {
		if (b->at[i].used)
			continue;
		b->at[i].used = true;
		uring_io(io)->bounce = &b->at[i];
		return true;
	}
	gw_list_add_tail(&b->waiting, &io->node);
	return false;
}

void
uring_bounce_put(struct be_io *io)
{
	struct uring_bounces *b = bounces(io);
	struct uring_bounce *mine = uring_io(io)->bounce;
	struct be_io *next;

	if (!mine)
		return;
	uring_io(io)->bounce = NULL;
	next = gw_list_first(&b->waiting, struct be_io, node);
	if (!next) {
		mine->used = false;
		return;
	}
	gw_list_del(&next->node);
	uring_io(next)->bounce = mine;
	uring_rw_go(next);
}
