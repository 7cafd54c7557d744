/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * GET LBA STATUS (SBC-4 5.6): which blocks are mapped. The backend is asked piece by piece, and
 * neighbours that are alike become one descriptor; how often it is asked for one command is
 * bounded, and what is left the initiator asks for with the next (it looks at where the
 * descriptors end). A block is deallocated if all of it is.
 */
#include "gateway/scsi/scsi_priv.h"

#define HEADER    8
#define DESC      16
#define LOOKS_MAX 1024

#define MAPPED      0 /* or unknown: the only other thing to say */
#define DEALLOCATED 1

/* In the command's scratch. */
struct walk {
	uint64_t from, at; /* blocks that are alike; `at` is the next to ask about */
	uint32_t ndesc;    /* written */
	uint16_t looks;
	bool mapped;
};
_Static_assert(sizeof(struct walk) <= sizeof(((struct gw_cmd *)0)->scratch), "no room");

static struct walk *
walk_of(struct gw_cmd *cmd)
{
	return (void *)cmd->scratch;
}

bool
scsi_lba_status_prep(struct gw_cmd *cmd)
{
	if (cmd->lba < scsi_view_of(cmd)->nblk)
		return true;
	return scsi_check(cmd, SENSE_LBA_RANGE);
}

/* Even one that is cut counts: there is always one. */
static uint32_t
room(const struct gw_cmd *cmd)
{
	return cmd->data_len <= HEADER + DESC ? 1 : (cmd->data_len - HEADER + DESC - 1) / DESC;
}

/* Writes down what is alike; false if there is no room for more. */
static bool
close_run(struct gw_cmd *cmd)
{
	struct walk *w = walk_of(cmd);

	for (; w->from < w->at && w->ndesc < room(cmd); w->ndesc++) {
		uint32_t n = (uint32_t)GW_MIN(w->at - w->from, (uint64_t)UINT32_MAX);
		uint8_t d[DESC] = {0};

		gw_put_be64(d, w->from);
		gw_put_be32(d + 8, n);
		d[12] = w->mapped ? MAPPED : DEALLOCATED;
		scsi_in_put(cmd, HEADER + (uint64_t)w->ndesc * DESC, d, DESC);
		w->from += n;
	}
	return w->ndesc < room(cmd);
}

static void
end(struct gw_cmd *cmd)
{
	uint32_t n = walk_of(cmd)->ndesc * DESC;
	uint8_t h[HEADER] = {0};

	gw_put_be32(h, HEADER - 4 + n);
	scsi_in_put(cmd, 0, h, HEADER);
	scsi_in_done(cmd, HEADER + n);
}

static void look(struct gw_cmd *cmd);

static void
looked(struct be_io *io)
{
	struct gw_cmd *cmd = scsi_cmd_of_io(io);
	struct walk *w = walk_of(cmd);
	uint64_t block = 1ull << cmd->blk_shift, n;
	bool mapped;

	if (scsi_io_failed(cmd))
		return;
	n = (io->extent + (io->mapped ? block - 1 : 0)) >> cmd->blk_shift;
	mapped = io->mapped || !n;
	if (w->at > w->from && mapped != w->mapped && !close_run(cmd)) {
		end(cmd);
		return;
	}
	w->mapped = mapped;
	w->at += n ? n : 1;
	look(cmd);
}

static void
look(struct gw_cmd *cmd)
{
	struct walk *w = walk_of(cmd);
	uint64_t nblk = scsi_view_of(cmd)->nblk;

	if (w->at < nblk && w->looks++ < LOOKS_MAX) {
		scsi_io(cmd, BE_EXTENT, 0, w->at << cmd->blk_shift,
			(nblk - w->at) << cmd->blk_shift, NULL, 0, looked);
		return;
	}
	close_run(cmd);
	end(cmd);
}

void
scsi_exec_lba_status(struct gw_cmd *cmd)
{
	const struct scsi_view *v = scsi_view_of(cmd);
	struct walk *w = walk_of(cmd);

	if (!scsi_lba_status_prep(cmd)) {
		gw_cmd_complete(cmd);
		return;
	}
	*w = (struct walk){.from = cmd->lba, .at = cmd->lba};
	if (!cmd->data_len) {
		scsi_in_done(cmd, 0);
		return;
	}
	/* Without logical block provisioning everything is mapped (SBC-4 5.6.2). */
	if (!v->lbpme || !v->dev->extents) {
		w->at = v->nblk;
		w->mapped = true;
	}
	look(cmd);
}
