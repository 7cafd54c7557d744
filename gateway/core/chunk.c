/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <sys/mman.h>

#include "gateway/base/bug.h"
#include "gateway/base/poison.h"
#include "gateway/core/engine_priv.h"

int
gw_chunks_init(struct gw_chunks *cs, struct gw_core *core, uint32_t total)
{
	gw_list_init(&cs->spare);
	cs->total = total;
	cs->lent = 0;
	cs->chunk = gw_local_alloc(core->node, total * sizeof(*cs->chunk));
	if (!cs->chunk)
		return -ENOMEM;
	cs->memory = mmap(NULL, (size_t)total * GW_CHUNK_SIZE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (cs->memory == MAP_FAILED) {
		gw_local_free(cs->chunk, total * sizeof(*cs->chunk));
		cs->chunk = NULL;
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < total; i++) {
		struct gw_chunk *c = &cs->chunk[i];

		c->data = cs->memory + (size_t)i * GW_CHUNK_SIZE;
		c->size = GW_CHUNK_SIZE;
		c->core = core;
		c->id = (uint16_t)i;
		gw_list_add_tail(&cs->spare, &c->node);
	}
	gw_poison(cs->memory, (size_t)total * GW_CHUNK_SIZE);
	return 0;
}

void
gw_chunks_fini(struct gw_chunks *cs)
{
	if (!cs->chunk)
		return;
	gw_unpoison(cs->memory, (size_t)cs->total * GW_CHUNK_SIZE);
	munmap(cs->memory, (size_t)cs->total * GW_CHUNK_SIZE);
	gw_local_free(cs->chunk, cs->total * sizeof(*cs->chunk));
	cs->chunk = NULL;
}

void
gw_chunk_put(struct gw_chunk *c)
{
	struct gw_chunks *cs = gw_engine_chunks(c->core);

	BUG(c->refs == 0 || gw_core_self() != c->core);
	if (--c->refs > 0)
		return;
	gw_poison(c->data, c->size);
	cs->lent--;
	gw_list_add_head(&cs->spare, &c->node);
	c->core->eng->ops->chunk_back(c->core);
}

bool
gw_chunks_low(struct gw_core *core)
{
	const struct gw_chunks *cs = gw_engine_chunks(core);

	return cs->total - cs->lent < cs->total / 8 + 1;
}

struct gw_usage
gw_chunks_usage(struct gw_core *core)
{
	const struct gw_chunks *cs = gw_engine_chunks(core);

	return (struct gw_usage){cs->lent, cs->total};
}
