/* SPDX-License-Identifier: BSD-3-Clause */
/* What the loop asks of an engine. Private to core/. */
#ifndef GW_CORE_ENGINE_PRIV_H
#define GW_CORE_ENGINE_PRIV_H

#include "gateway/core/core_priv.h"
#include "gateway/core/engine.h"

#define GW_CHUNK_SIZE (64u << 10)

/* chunk.c: the receive chunks of one core. */
struct gw_chunks {
	struct gw_chunk *chunk; /* all, by id */
	uint8_t *memory;
	uint32_t total;
	uint32_t lent;        /* to whoever received into them */
	struct gw_list spare; /* last put back first */
};

int gw_chunks_init(struct gw_chunks *cs, struct gw_core *core, uint32_t total);
void gw_chunks_fini(struct gw_chunks *cs);
struct gw_chunks *gw_engine_chunks(struct gw_core *core);

/* Before the thread starts, on any thread. 0 or -errno with a sentence. */
int gw_engine_new(struct gw_core *core, uint32_t nchunks, char *err, unsigned err_size);
void gw_engine_free(struct gw_core *core);
/* On the loop's thread, first and last. 0 or -errno. */
int gw_engine_start(struct gw_core *core);
void gw_engine_stop(struct gw_core *core);
/* Submits what was prepared and sleeps until something is to be reaped, at most `ns`. */
void gw_engine_wait(struct gw_core *core, uint64_t ns);
/* True if an operation was prepared that often completes while it is being submitted. */
bool gw_engine_eager(const struct gw_core *core);
/* True if there is something to reap although the kernel knows nothing of it. */
bool gw_engine_ended(const struct gw_core *core);
void gw_engine_reap(struct gw_core *core);
/* A chunk has become spare. */
void gw_engine_chunk_back(struct gw_core *core);

#endif
