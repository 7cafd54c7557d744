/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory for commands that need some beside their data: VERIFY and COMPARE AND WRITE read the
 * medium into it, WRITE SAME repeats its block in it. A few pieces a core, of their own and not
 * from the I/O buffers, so that commands that hold buffers never wait for buffers. Who finds none
 * waits in a queue.
 */
#include <errno.h>
#include <stdlib.h>

#include "gateway/scsi/scsi_priv.h"

#define WORKS 8

typedef void run_fn(struct gw_cmd *cmd);

static void
give(struct scsi_core *sc, struct gw_cmd *cmd)
{
	cmd->work = gw_list_first(&sc->works, struct scsi_work, node);
	gw_list_del(&cmd->work->node);
}

/* While a command waits, scratch[3] keeps what it runs. */
bool
scsi_work_get(struct gw_cmd *cmd, void (*run)(struct gw_cmd *cmd))
{
	struct scsi_core *sc = scsi_core_of(scsi_luc_core(cmd->luc));

	if (!gw_list_empty(&sc->works) && gw_list_empty(&sc->work_waits)) {
		give(sc, cmd);
		return true;
	}
	cmd->scratch[3] = (uint64_t)(uintptr_t)run;
	gw_list_add_tail(&sc->work_waits, &cmd->io.node);
	return false;
}

/* From the loop, not from scsi_work_put(): a chain of commands that fail at once must not recurse.
 */
static void
serve(struct gw_hook *hook)
{
	struct scsi_core *sc = gw_container(hook, struct scsi_core, work_hook);
	struct gw_cmd *cmd;

	while (!gw_list_empty(&sc->works) &&
	       (cmd = gw_list_first(&sc->work_waits, struct gw_cmd, io.node))) {
		gw_list_del(&cmd->io.node);
		give(sc, cmd);
		((run_fn *)(uintptr_t)cmd->scratch[3])(cmd);
	}
}

void
scsi_work_put(struct gw_cmd *cmd)
{
	struct scsi_core *sc;

	if (!cmd->work)
		return;
	sc = scsi_core_of(scsi_luc_core(cmd->luc));
	gw_list_add_head(&sc->works, &cmd->work->node);
	cmd->work = NULL;
	if (!gw_list_empty(&sc->work_waits))
		gw_at_kick(sc->core, &sc->work_hook);
}

int
scsi_works_init(struct scsi_core *sc)
{
	gw_list_init(&sc->works);
	gw_list_init(&sc->work_waits);
	gw_hook_init(&sc->work_hook, serve);
	for (unsigned i = 0; i < WORKS; i++) {
		struct scsi_work *w = calloc(1, sizeof(*w));

		if (!w)
			return -ENOMEM;
		w->mem = aligned_alloc(4096, SCSI_WORK_SIZE);
		if (!w->mem) {
			free(w);
			return -ENOMEM;
		}
		gw_list_add_tail(&sc->works, &w->node);
	}
	return 0;
}

void
scsi_works_fini(struct scsi_core *sc)
{
	struct scsi_work *w;

	while ((w = gw_list_first(&sc->works, struct scsi_work, node))) {
		gw_list_del(&w->node);
		free(w->mem);
		free(w);
	}
}
