/* SPDX-License-Identifier: BSD-3-Clause */
/* NVMe namespaces by passthrough: channels. */
#include <errno.h>
#include <stdlib.h>

#include "backend/nvme_priv.h"

static void
nvme_submit(struct be_chan *chan, struct be_io *io)
{
	nvme_io_start(io);
}

static int
rings_get(struct gw_core *core, const struct nvme_dev *nd, struct nvme_chan *c)
{
	int rc = nvme_ring_get(core, nd->polled, &c->ring);

	if (rc)
		return rc;
	c->file = c->bare_file = nvme_ring_add_file(c->ring, nd->fd);
	c->bare = c->ring;
	if (!nd->polled)
		return 0;
	rc = nvme_ring_get(core, false, &c->bare);
	if (rc) {
		nvme_ring_del_file(c->ring, c->file);
		nvme_ring_put(c->ring);
		return rc;
	}
	c->bare_file = nvme_ring_add_file(c->bare, nd->fd);
	return 0;
}

static void
rings_put(struct nvme_chan *c)
{
	if (c->bare != c->ring) {
		nvme_ring_del_file(c->bare, c->bare_file);
		nvme_ring_put(c->bare);
	}
	nvme_ring_del_file(c->ring, c->file);
	nvme_ring_put(c->ring);
}

static int
nvme_chan_open(struct be_dev *dev, struct gw_core *core, struct be_chan **chan)
{
	const struct nvme_dev *nd = dev->priv;
	struct nvme_chan *c = calloc(1, sizeof(*c));
	int rc;

	if (!c)
		return -ENOMEM;
	rc = rings_get(core, nd, c);
	if (rc) {
		free(c);
		return rc;
	}
	gw_list_init(&c->unmaps);
	gw_hook_init(&c->hook, nvme_dsm_kick);
	*chan = &c->chan;
	return 0;
}

static void
nvme_chan_close(struct be_chan *chan)
{
	struct nvme_chan *c = nvme_chan(chan);

	gw_hook_disarm(&c->hook);
	rings_put(c);
	free(c);
}

const struct be_ops be_nvme_ops = {
    .name = "nvme",
    .open = nvme_open,
    .close = nvme_close,
    .chan_open = nvme_chan_open,
    .chan_close = nvme_chan_close,
    .submit = nvme_submit,
    .size_now = nvme_size_now,
    .sanitize = nvme_sanitize,
    .sanitize_state = nvme_sanitize_state,
};
