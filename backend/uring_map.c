/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Files in memory are mapped, and read and written in the mapping: which parts of the file are all
 * there.
 *
 * Reading a hole through a mapping would fill it with memory, and a thin LUN would grow by being
 * read; filling it by a write may find no space. So only what mincore(2) has found whole is used,
 * chunk by chunk, and what is punched out is forgotten. A chunk found whole stays known, so the
 * steady state asks nobody. Should somebody else punch a hole into the file, reading it costs memory
 * and is right all the same.
 */
#include <sys/mman.h>

#include "backend/uring_priv.h"
#include "gateway/base/num.h"

#define CHUNK_SHIFT 16
#define CHUNK       (1ull << CHUNK_SHIFT)
#define PAGES_MAX   (CHUNK / 4096)

void
uring_map_init(struct uring_dev *ud, uint64_t size, bool ro)
{
	uint64_t chunks = size >> CHUNK_SHIFT;
	void *p;

	/* What does not fill a chunk, or is added later, is read. */
	if (!chunks)
		return;
	ud->map = be_map_new(ud->fd, chunks << CHUNK_SHIFT, ro ? PROT_READ : PROT_READ | PROT_WRITE,
			     MAP_SHARED);
	if (!ud->map)
		return;
	be_guard_init();
	ud->writable = !ro;
	p = mmap(NULL, chunks, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		 -1, 0);
	if (p == MAP_FAILED) {
		be_map_put(ud->map);
		ud->map = NULL;
		return;
	}
	ud->whole = p;
	ud->chunks = chunks;
}

void
uring_map_fini(struct uring_dev *ud)
{
	if (!ud->map)
		return;
	munmap((void *)(uintptr_t)ud->whole, ud->chunks);
	be_map_put(ud->map);
}

static bool
is_whole(struct uring_dev *ud, uint64_t chunk)
{
	unsigned char there[PAGES_MAX];
	unsigned char all = 1;

	if (atomic_load_explicit(&ud->whole[chunk], memory_order_relaxed))
		return true;
	if (mincore(ud->map->base + (chunk << CHUNK_SHIFT), CHUNK, there))
		return false;
	for (unsigned i = 0; i < PAGES_MAX; i++)
		all &= there[i];
	if (!(all & 1))
		return false;
	/* Page faults are cheaper together; if this does not work, they come one by one. */
	(void)madvise(ud->map->base + (chunk << CHUNK_SHIFT), CHUNK,
		      ud->writable ? MADV_POPULATE_WRITE : MADV_POPULATE_READ);
	atomic_store_explicit(&ud->whole[chunk], 1, memory_order_relaxed);
	return true;
}

void *
uring_map_at(struct uring_dev *ud, uint64_t off, uint64_t len)
{
	if (!ud->map || !gw_range_ok(off, len, ud->map->len))
		return NULL;
	for (uint64_t c = off >> CHUNK_SHIFT; c <= (off + len - 1) >> CHUNK_SHIFT; c++)
		if (!is_whole(ud, c))
			return NULL;
	return ud->map->base + off;
}

void
uring_map_forget(struct uring_dev *ud, uint64_t off, uint64_t len)
{
	if (!ud->map || !len)
		return;
	for (uint64_t c = off >> CHUNK_SHIFT; c < ud->chunks && c <= (off + len - 1) >> CHUNK_SHIFT;
	     c++)
		atomic_store_explicit(&ud->whole[c], 0, memory_order_relaxed);
}
