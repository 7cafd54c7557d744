/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A RAM disk: one anonymous mapping that every core copies from and to. Memory is taken by the
 * kernel when it is first written and given back by UNMAP.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "backend/backend_priv.h"
#include "gateway/base/bug.h"
#include "gateway/base/num.h"

#define MEM_ALIGN 512u
/* Giving a page back costs about as much as copying an eighth of it. */
#define UNMAP_PIECE(budget) ((budget)*8)

#define MAP_WORD 64u /* pages that one word of the map is for */

struct mem_dev {
	struct be_map *map;
	uint8_t *base; /* of the mapping, and its bytes */
	uint64_t size;
	size_t page;
	/*
	 * A bit for each page that was written and not given back since. It is set after the page
	 * was written and cleared before it is given back: so what is not set has no data, except
	 * of a WRITE that is not done yet.
	 */
	_Atomic uint64_t *mapped;
	_Atomic uint64_t used; /* bits that are set */
};

struct mem_chan {
	struct be_chan chan;
	struct be_queue queue;
	struct be_lender *lender;
};

/*
 * Two initiators may write one block at a time: which bytes win is undefined, as on any disk, and
 * no lock shall decide it. ThreadSanitizer would rightly call that a race of ordinary copies, so
 * its build makes every access to the medium an atomic one.
 */
#if defined(__SANITIZE_THREAD__)
#define MEM_ATOMIC 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define MEM_ATOMIC 1
#endif
#endif

#ifdef MEM_ATOMIC
static void
medium_read(void *to, const uint8_t *medium, size_t n)
{
	for (size_t i = 0; i < n; i++)
		((uint8_t *)to)[i] = __atomic_load_n(medium + i, __ATOMIC_RELAXED);
}

static void
medium_write(uint8_t *medium, const void *from, size_t n)
{
	for (size_t i = 0; i < n; i++)
		__atomic_store_n(medium + i, ((const uint8_t *)from)[i], __ATOMIC_RELAXED);
}

static void
medium_zero(uint8_t *medium, size_t n)
{
	for (size_t i = 0; i < n; i++)
		__atomic_store_n(medium + i, 0, __ATOMIC_RELAXED);
}
#else
static void
medium_read(void *to, const uint8_t *medium, size_t n)
{
	memcpy(to, medium, n);
}

static void
medium_write(uint8_t *medium, const void *from, size_t n)
{
	be_stream(medium, from, n);
}

static void
medium_zero(uint8_t *medium, size_t n)
{
	memset(medium, 0, n);
}
#endif

/* Bits from..to-1 of word w. */
static uint64_t
map_bits(uint64_t w, uint64_t from, uint64_t to)
{
	uint64_t lo = GW_MAX(from, w * MAP_WORD), hi = GW_MIN(to, (w + 1) * MAP_WORD);

	return (hi - lo == MAP_WORD ? UINT64_MAX : (1ull << (hi - lo)) - 1) << lo % MAP_WORD;
}

static uint64_t
bit_count(uint64_t bits)
{
	return (unsigned)__builtin_popcountll(bits);
}

static void
map_set(struct mem_dev *m, uint64_t off, uint64_t len)
{
	uint64_t from = off / m->page, to = (off + len - 1) / m->page + 1;

	for (uint64_t w = from / MAP_WORD; w * MAP_WORD < to; w++) {
		uint64_t bits = map_bits(w, from, to), was;

		/* Mostly they are set already: then the cache line stays shared. */
		if ((atomic_load_explicit(&m->mapped[w], memory_order_relaxed) & bits) == bits)
			continue;
		was = atomic_fetch_or_explicit(&m->mapped[w], bits, memory_order_seq_cst);
		atomic_fetch_add_explicit(&m->used, bit_count(bits & ~was), memory_order_relaxed);
	}
}

/* Whole pages. */
static void
map_clear(struct mem_dev *m, uint64_t off, uint64_t len)
{
	uint64_t from = off / m->page, to = (off + len) / m->page;

	for (uint64_t w = from / MAP_WORD; w * MAP_WORD < to; w++) {
		uint64_t bits = map_bits(w, from, to), was;

		if (!atomic_load_explicit(&m->mapped[w], memory_order_relaxed))
			continue;
		was = atomic_fetch_and_explicit(&m->mapped[w], ~bits, memory_order_seq_cst);
		atomic_fetch_sub_explicit(&m->used, bit_count(bits & was), memory_order_relaxed);
	}
}

/* How many pages from `page` on, before end, are like that: what one word knows of them. */
static uint64_t
map_run(const struct mem_dev *m, uint64_t page, uint64_t end, bool mapped)
{
	uint64_t w = page / MAP_WORD, word, other;

	word = atomic_load_explicit(&m->mapped[w], memory_order_seq_cst);
	other = (mapped ? ~word : word) & map_bits(w, page, end);
	if (other)
		return w * MAP_WORD + (unsigned)__builtin_ctzll(other) - page;
	return GW_MIN(end, (w + 1) * MAP_WORD) - page;
}

/* The cursor counts the pages that are known to be alike. */
static uint64_t
extent_step(const struct mem_dev *m, struct be_io *io, uint64_t budget)
{
	uint64_t first = io->off / m->page, end = (io->off + io->len - 1) / m->page + 1;
	struct be_cursor *cur = be_queue_cursor(io);
	uint64_t cost = 0, n;

	if (!cur->off) {
		io->mapped = map_run(m, first, first + 1, true) > 0;
		cur->off = 1;
	}
	while (first + cur->off < end) {
		n = map_run(m, first + cur->off, end, io->mapped);
		if (!n)
			break;
		cur->off += n;
		cost += sizeof(*m->mapped);
		if (cost >= budget)
			return cost;
	}
	io->extent = GW_MIN(io->len, (first + cur->off) * m->page - io->off);
	io->moved = io->len;
	return cost;
}

static uint64_t
copy_step(struct mem_dev *m, struct be_io *io, uint64_t budget)
{
	struct be_cursor *cur = be_queue_cursor(io);
	uint64_t cost = 0;

	while (cost < budget && io->moved < io->len) {
		struct iovec v = be_cursor_piece(io, cur, budget - cost);
		uint8_t *medium = m->base + io->off + io->moved;

		if (io->op == BE_READ)
			medium_read(v.iov_base, medium, v.iov_len);
		else
			medium_write(medium, v.iov_base, v.iov_len);
		if (io->op == BE_WRITE)
			map_set(m, io->off + io->moved, v.iov_len);
		cur->off += v.iov_len;
		io->moved += v.iov_len;
		cost += v.iov_len;
	}
	return cost;
}

/* UNMAP and ZERO are one: whole pages go back to the kernel and read as zeroes, edges are cleared.
 */
static uint64_t
zero_step(struct mem_dev *m, struct be_io *io, uint64_t budget)
{
	uint64_t from = io->off + io->moved;
	uint64_t len = GW_MIN(io->len - io->moved, UNMAP_PIECE(budget));
	uint64_t first = gw_round_up(from, m->page), last = (from + len) & ~(uint64_t)(m->page - 1);

	if (first >= last) {
		len = GW_MIN(len, budget);
		medium_zero(m->base + from, len);
		io->moved += len;
		return len;
	}
	if (first > from) {
		io->moved += first - from;
		medium_zero(m->base + from, first - from);
		return first - from;
	}
	map_clear(m, first, last - first);
	if (madvise(m->base + first, last - first, MADV_DONTNEED)) {
		/* Locked memory cannot be given back. */
		last = first + GW_MIN(last - first, budget);
		medium_zero(m->base + first, last - first);
		map_set(m, first, last - first);
	}
	io->moved += last - first;
	return (last - first) / 8;
}

static uint64_t
step(struct be_io *io, uint64_t budget)
{
	struct mem_dev *m = io->chan->dev->priv;

	if (io->flags & BE_LEND && !io->moved && io->op == BE_READ) {
		be_lend(gw_container(io->chan, struct mem_chan, chan)->lender, io,
			m->base + io->off);
		return 0;
	}
	if (io->op == BE_EXTENT)
		return extent_step(m, io, budget);
	if (io->op == BE_READ || io->op == BE_WRITE)
		return copy_step(m, io, budget);
	return zero_step(m, io, budget);
}

static bool
mem_lends(struct be_chan *chan, uint64_t off, uint64_t len, uint8_t flags)
{
	return flags & BE_LEND;
}

static void
mem_submit(struct be_chan *chan, struct be_io *io)
{
	be_queue_add(&gw_container(chan, struct mem_chan, chan)->queue, io);
}

static int
mem_chan_open(struct be_dev *dev, struct gw_core *core, struct be_chan **chan)
{
	struct mem_chan *c = calloc(1, sizeof(*c));
	struct mem_dev *m = dev->priv;

	if (!c)
		return -ENOMEM;
	c->lender = be_lender_new(m->map);
	if (!c->lender) {
		free(c);
		return -ENOMEM;
	}
	be_queue_init(&c->queue, core, step);
	*chan = &c->chan;
	return 0;
}

static void
mem_chan_close(struct be_chan *chan)
{
	struct mem_chan *c = gw_container(chan, struct mem_chan, chan);

	be_queue_fini(&c->queue);
	be_lender_close(c->lender);
	free(c);
}

static void
mem_free(struct mem_dev *m)
{
	be_map_put(m->map);
	free(m->mapped);
	free(m);
}

static struct mem_dev *
mem_new(uint64_t size)
{
	struct mem_dev *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->page = (size_t)sysconf(_SC_PAGESIZE);
	m->size = size;
	/* What has no place in the address space needs no bits. */
	m->map = be_map_new(-1, size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE);
	if (m->map)
		m->mapped = calloc(size / m->page / MAP_WORD + 1, sizeof(*m->mapped));
	if (m->mapped) {
		m->base = m->map->base;
		return m;
	}
	mem_free(m);
	return NULL;
}

static int
mem_open(struct be_dev *dev, const char *const *kv, char *err, unsigned err_size)
{
	struct be_opts o;
	struct mem_dev *m;
	int rc = be_opts_parse(kv, &o, err, err_size);

	if (rc)
		return rc;
	if (!o.size || o.size % MEM_ALIGN)
		return be_refuse(err, err_size, -EINVAL,
				 "a RAM disk needs size=, a multiple of %u bytes", MEM_ALIGN);
	m = mem_new(o.size);
	if (!m)
		return be_refuse(err, err_size, -ENOMEM,
				 "no address space for a RAM disk of %llu bytes: %s",
				 (unsigned long long)o.size, strerror(ENOMEM));
	dev->size = o.size;
	dev->io_align = MEM_ALIGN;
	dev->dma_align = 1;
	dev->phys_block = (uint32_t)m->page;
	dev->unmap_align = (uint32_t)m->page;
	dev->unmap_zeroes = true;
	dev->extents = true;
	dev->counts_space = true;
	dev->ro = o.ro;
	/* Nothing survives the process, so there is nothing that a flush could save: WCE is off. */
	dev->volatile_cache = false;
	dev->priv = m;
	return 0;
}

static void
mem_close(struct be_dev *dev)
{
	mem_free(dev->priv);
}

static uint64_t
mem_size_now(struct be_dev *dev)
{
	struct mem_dev *m = dev->priv;

	return m->size;
}

/* Its pool is itself: how much memory the machine has left for it nobody knows. */
static int
mem_space(struct be_dev *dev, struct be_space *out)
{
	struct mem_dev *m = dev->priv;

	out->used = atomic_load_explicit(&m->used, memory_order_relaxed) * m->page;
	out->used = GW_MIN(out->used, m->size);
	out->avail = m->size - out->used;
	out->total = m->size;
	return 0;
}

const struct be_ops be_mem_ops = {
    .name = "mem",
    .open = mem_open,
    .close = mem_close,
    .chan_open = mem_chan_open,
    .chan_close = mem_chan_close,
    .submit = mem_submit,
    .lends = mem_lends,
    .size_now = mem_size_now,
    .space = mem_space,
};
