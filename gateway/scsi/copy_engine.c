/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How the copy manager moves bytes. A piece is read into a buffer and written from it; then the
 * buffer goes to the copy that has waited longest, so that many copies go on side by side whatever
 * their size. Before each read and each write the LU is looked at as a command of its own would:
 * an LU that goes, a device that makes way, a reservation, write protection stop the copy there.
 */
#include <errno.h>
#include <stdlib.h>

#include "gateway/core/stats.h"
#include "gateway/scsi/copy_priv.h"

static void serve(struct gw_hook *hook);

int
scsi_copy_init(struct scsi_core *sc)
{
	struct scsi_copy_core *cc = calloc(1, sizeof(*cc));

	sc->copy = cc;
	if (!cc)
		return -ENOMEM;
	cc->core = sc->core;
	gw_list_init(&cc->jobs);
	gw_list_init(&cc->active);
	gw_list_init(&cc->bufs);
	gw_list_init(&cc->waits);
	gw_hook_init(&cc->hook, serve);
	for (unsigned i = 0; i < COPY_JOBS; i++)
		gw_list_add_tail(&cc->jobs, &cc->job[i].node);
	/* Memory that nobody touches before the first copy. */
	for (unsigned i = 0; i < COPY_BUFS; i++) {
		cc->buf[i].mem = aligned_alloc(4096, COPY_PIECE);
		if (!cc->buf[i].mem)
			return -ENOMEM;
		gw_list_add_tail(&cc->bufs, &cc->buf[i].node);
	}
	return 0;
}

void
scsi_copy_fini(struct scsi_core *sc)
{
	for (unsigned i = 0; sc->copy && i < COPY_BUFS; i++)
		free(sc->copy->buf[i].mem);
	free(sc->copy);
	sc->copy = NULL;
}

struct scsi_copy *
scsi_copy_new(struct gw_cmd *cmd)
{
	struct scsi_copy_core *cc = scsi_copy_core_of(cmd);
	struct scsi_copy *c = gw_list_first(&cc->jobs, struct scsi_copy, node);

	if (!c)
		return NULL;
	gw_list_del(&c->node);
	memset(c, 0, sizeof(*c));
	gw_list_init(&c->node);
	gw_list_add_tail(&cc->active, &c->active);
	c->cmd = cmd;
	return c;
}

void
scsi_copy_free(struct scsi_copy *c)
{
	BUG(c->buf);
	gw_list_del(&c->active);
	gw_list_add_head(&scsi_copy_core_of(c->cmd)->jobs, &c->node);
}

/* It counts as a command of that LU: whoever waits for the LU's commands waits for it. */
void
scsi_copy_hold(struct scsi_lu_core *luc)
{
	gw_stat_add(luc->inflight, 1);
}

void
scsi_copy_release(struct scsi_lu_core *luc)
{
	gw_stat_add(luc->inflight, (uint32_t)-1);
	scsi_lu_left(luc);
}

/* Buffers. */

static bool
take_buf(struct scsi_copy_core *cc, struct scsi_copy *c)
{
	c->buf = gw_list_first(&cc->bufs, struct copy_buf, node);
	if (!c->buf)
		return false;
	gw_list_del(&c->buf->node);
	return true;
}

static void
put_buf(struct scsi_copy *c)
{
	struct scsi_copy_core *cc = scsi_copy_core_of(c->cmd);

	if (!c->buf)
		return;
	gw_list_add_head(&cc->bufs, &c->buf->node);
	c->buf = NULL;
	if (!gw_list_empty(&cc->waits))
		gw_at_kick(cc->core, &cc->hook);
}

static void step(struct scsi_copy *c);

/* From the loop, so that copies that end at once do not call each other. */
static void
serve(struct gw_hook *hook)
{
	struct scsi_copy_core *cc = gw_container(hook, struct scsi_copy_core, hook);
	struct scsi_copy *c;

	while ((c = gw_list_first(&cc->waits, struct scsi_copy, node)) && take_buf(cc, c)) {
		gw_list_del(&c->node);
		step(c);
	}
}

/* Pieces. */

static void
end(struct scsi_copy *c, bool ok)
{
	put_buf(c);
	c->ended(c, ok);
}

static bool
refuse(struct scsi_copy *c, unsigned which, uint8_t status)
{
	c->failed = (uint8_t)which;
	c->cmd->status = status;
	c->cmd->sense_len = 0;
	return false;
}

/* What an LU that this session may see no more answers; write protection is the session's, too. */
static uint32_t
side_sense(const struct scsi_copy *c, unsigned which, uint64_t off, uint64_t n)
{
	const struct copy_side *s = &c->side[which];
	const struct scsi_itl *itl = scsi_itl_of(c->cmd->nexus, s->luc->lu);
	const struct scsi_view *v = s->luc->view;
	uint32_t sense = itl ? scsi_medium_sense(v) : SENSE_LUN_UNSUPPORTED;

	if (sense)
		return sense;
	if (which == COPY_DST && (v->conf.readonly || itl->ro))
		return SENSE_WRITE_PROTECTED;
	if (which == COPY_DST && v->swp)
		return SENSE_SW_PROTECTED;
	if (v->shift != s->shift || !gw_range_ok(off, n, v->nblk << v->shift))
		return SENSE_LBA_RANGE;
	return 0;
}

static bool
check_side(struct scsi_copy *c, unsigned which, uint64_t off, uint64_t n)
{
	const struct copy_side *s = &c->side[which];
	const struct scsi_view *v = s->luc->view;
	uint32_t sense;

	if (v->medium == MEDIUM_SWAP)
		return refuse(c, which, SAM_BUSY);
	if (!scsi_reservation_allows(c->cmd->nexus, v, which == COPY_DST ? RES_WRITE : RES_READ))
		return refuse(c, which, SAM_RESERVATION_CONFLICT);
	sense = side_sense(c, which, off, n);
	if (sense) {
		scsi_check(c->cmd, sense);
		c->failed = (uint8_t)which;
		return false;
	}
	return scsi_chan_open(s->luc, v->dev) || refuse(c, which, SAM_BUSY);
}

/* The piece's place in the range. */
static uint64_t
place(const struct scsi_copy *c, uint64_t n)
{
	return c->backwards ? c->len - c->done - n : c->done;
}

static bool
submit(struct scsi_copy *c, unsigned which, uint64_t n, void (*done)(struct be_io *io))
{
	const struct copy_side *s = &c->side[which];
	uint64_t off = s->off + place(c, n);
	bool fua = which == COPY_DST && !s->luc->view->wce;

	if (!check_side(c, which, off, n))
		return false;
	if (which == COPY_DST) {
		scsi_tokens_written(s->luc, off, n);
		scsi_copy_writes(c);
	}
	c->iov = (struct iovec){c->buf->mem, n};
	c->io = (struct be_io){.op = which == COPY_DST ? BE_WRITE : BE_READ,
			       .flags = fua ? BE_FUA : 0,
			       .off = off,
			       .len = n,
			       .iov = &c->iov,
			       .niov = 1,
			       .done = done};
	be_submit(s->luc->chan, &c->io);
	return true;
}

/* True if the copy goes on. */
static bool
went_well(struct scsi_copy *c, unsigned which)
{
	const struct be_io *io = &c->io;

	if (io->st != BE_OK) {
		c->failed = (uint8_t)which;
		c->cmd->sense_len = 0;
		scsi_check_be(c->cmd, io->op, io->st, io->off >> c->side[which].shift);
	}
	return io->st == BE_OK && !c->cmd->aborted;
}

static void
write_done(struct be_io *io)
{
	struct scsi_copy *c = gw_container(io, struct scsi_copy, io);

	scsi_copy_wrote(c);
	if (io->st == BE_OK) {
		c->done += io->len;
		c->moved += io->len;
		if (c->side[COPY_SRC].luc)
			gw_stat_add(c->side[COPY_SRC].luc->rd_bytes, io->len);
		gw_stat_add(c->side[COPY_DST].luc->wr_bytes, io->len);
	}
	if (!went_well(c, COPY_DST)) {
		end(c, false);
		return;
	}
	if (!gw_list_empty(&scsi_copy_core_of(c->cmd)->waits))
		put_buf(c);
	step(c);
}

static void
read_done(struct be_io *io)
{
	struct scsi_copy *c = gw_container(io, struct scsi_copy, io);

	if (!went_well(c, COPY_SRC) || (c->valid && !c->valid(c)) ||
	    !submit(c, COPY_DST, io->len, write_done))
		end(c, false);
}

/* True if the piece is under way. */
static bool
begin_piece(struct scsi_copy *c, uint64_t n)
{
	if (c->side[COPY_SRC].luc)
		return submit(c, COPY_SRC, n, read_done);
	memset(c->buf->mem, 0, n);
	return submit(c, COPY_DST, n, write_done);
}

static void
step(struct scsi_copy *c)
{
	struct scsi_copy_core *cc = scsi_copy_core_of(c->cmd);
	uint64_t n = GW_MIN(c->len - c->done, (uint64_t)COPY_PIECE);

	if (!n || c->cmd->aborted) {
		end(c, !n && !c->cmd->aborted);
	} else if (!c->buf && (!gw_list_empty(&cc->waits) || !take_buf(cc, c))) {
		gw_list_add_tail(&cc->waits, &c->node);
	} else if (!begin_piece(c, n)) {
		end(c, false);
	}
}

/* Two places of one LU may overlap: what is still to be read must not be written over. */
static bool
is_backwards(const struct scsi_copy *c)
{
	const struct copy_side *s = &c->side[COPY_SRC], *d = &c->side[COPY_DST];

	return s->luc == d->luc && d->off > s->off && d->off - s->off < c->len;
}

void
scsi_copy_range(struct scsi_copy *c)
{
	c->done = 0;
	c->backwards = is_backwards(c);
	step(c);
}
