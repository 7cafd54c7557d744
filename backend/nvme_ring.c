/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where the NVMe commands of a core go: into its own ring, whose entries are large enough, so that a
 * turn enters the kernel once for sockets and devices. What they need there is registered when the
 * first namespace comes and taken away with the last.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backend/nvme_priv.h"
#include "gateway/base/bug.h"
#include "gateway/base/log.h"

#define PAGES 4096 /* registered one by one: the first ones are handed out before the others */

/* By core and kind; each written by its core only. */
static struct nvme_ring *rings[GW_CORES_MAX][2];

static void
register_memory(struct nvme_ring *r)
{
	int rc = gw_fixed_add(&r->page, r->ring, r->core, NVME_PAGE_SHIFT, GW_URING_BUFFERS,
			      GW_URING_BUFFERS + PAGES);

	if (rc >= 0)
		rc = gw_fixed_add(&r->piece, r->ring, r->core, NVME_PIECE_SHIFT,
				  GW_URING_BUFFERS + PAGES, GW_URING_BUFFERS_MAX);
	if (rc < 0 && r->core->id == 0)
		gw_info("the buffers cannot be registered for NVMe, which costs some speed; raise "
			"the limit of locked memory (RLIMIT_MEMLOCK): %s",
			strerror(-rc));
}

static void
unregister_memory(struct nvme_ring *r)
{
	gw_fixed_del(&r->page);
	gw_fixed_del(&r->piece);
}

/* --- registered files --- */

int
nvme_ring_add_file(struct nvme_ring *r, int fd)
{
	for (int i = 0; i < GW_URING_FILES; i++) {
		if (r->file[i])
			continue;
		if (io_uring_register_files_update(r->ring, (unsigned)i, &fd, 1) != 1)
			return -1;
		r->file[i] = true;
		return i;
	}
	return -1;
}

void
nvme_ring_del_file(struct nvme_ring *r, int file)
{
	int none = -1;

	if (file < 0)
		return;
	io_uring_register_files_update(r->ring, (unsigned)file, &none, 1);
	r->file[file] = false;
}

/* --- life --- */

void
nvme_ring_free(struct nvme_ring *r)
{
	gw_hook_disarm(&r->hook);
	nvme_cmds_fini(r);
	if (nvme_ring_is_own(r))
		nvme_own_close(r);
	else
		unregister_memory(r);
	free(r);
}

/* Nobody uses it any more. From the loop: that may come to pass in a completion of its own. */
static void
retire(struct nvme_ring *r)
{
	if (*r->home == r)
		*r->home = NULL;
	if (nvme_ring_is_own(r))
		nvme_own_retire(r);
	else
		nvme_ring_free(r);
}

static void
kick(struct gw_hook *hook)
{
	struct nvme_ring *r = gw_container(hook, struct nvme_ring, hook);

	if (!r->users)
		retire(r);
	else if (nvme_ring_is_own(r))
		nvme_own_kick(r);
}

static int
ring_new(struct gw_core *core, bool polled, struct nvme_ring **home)
{
	struct nvme_ring *r = calloc(1, sizeof(*r));
	int rc = r ? nvme_cmds_init(r) : -ENOMEM;

	if (rc)
		goto out;
	r->core = core;
	r->home = home;
	r->polled = polled;
	gw_hook_init(&r->hook, kick);
	r->ring = polled ? NULL : gw_uring(core);
	if (!r->ring)
		rc = nvme_own_open(r);
	if (rc)
		goto out_cmds;
	register_memory(r);
	*home = r;
	return 0;

out_cmds:
	nvme_cmds_fini(r);
out:
	free(r);
	return rc;
}

int
nvme_ring_get(struct gw_core *core, bool polled, struct nvme_ring **ring)
{
	struct nvme_ring **home = &rings[core->id][polled];
	int rc = *home ? 0 : ring_new(core, polled, home);

	if (rc)
		return rc;
	(*home)->users++;
	*ring = *home;
	return 0;
}

void
nvme_ring_put(struct nvme_ring *r)
{
	BUG(!r->users);
	if (--r->users == 0)
		gw_at_kick(r->core, &r->hook);
}
