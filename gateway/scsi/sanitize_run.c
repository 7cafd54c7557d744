/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A sanitize operation at work. New commands are refused already; a tour counts those under way,
 * and is repeated until there are none. Then each pass writes, or zeroes, all of the medium with a
 * few pieces in flight, and flushes. A timer looks now and then for what nobody tells: a command
 * that was aborted, a backend that was busy, the device's own progress.
 */
#include "gateway/scsi/sanitize_priv.h"

#define TICK_MS 10

static struct scsi_lu_core *
home_of(const struct scsi_sanitize *op)
{
	return &op->lu->core[op->lu->home->id];
}

/* The LU ends, or has no device, or another: whoever did that has set its state. */
static bool
is_stopped(const struct scsi_sanitize *op)
{
	const struct scsi_view *v = op->lu->view;

	return v->last || v->dev != op->dev || v->sanitize != SANITIZE_RUNS;
}

static uint64_t
size_of(const struct scsi_sanitize *op)
{
	const struct scsi_view *v = op->lu->view;

	return v->nblk << v->shift;
}

static void
end(struct scsi_sanitize *op, bool ok)
{
	op->ok = ok;
	op->phase = PHASE_END;
	gw_timer_stop(&op->timer);
	if (op->by_dev)
		scsi_sanitize_dev_forget(op);
	scsi_sanitize_end(op);
}

/* Passes. */

static void
tell_progress(struct scsi_sanitize *op)
{
	uint64_t part = GW_MIN(op->done / ((size_of(op) >> 16) + 1), (uint64_t)0xffff);

	atomic_store_explicit(&op->lu->progress,
			      (uint32_t)(((uint64_t)op->pass * 0x10000 + part) / op->passes),
			      memory_order_relaxed);
}

/* The last pass leaves the pattern as it was given (SBC-4 5.30.2.2). */
static void
fill_memory(struct scsi_sanitize *op)
{
	uint8_t flip = op->invert && (op->passes - 1 - op->pass) % 2 ? 0xff : 0;
	uint32_t block = 1u << op->lu->view->shift;

	for (uint32_t i = 0; i < block; i++)
		op->mem[i] = op->pattern[i % op->pattern_len] ^ flip;
	for (uint32_t n = block; n < SANITIZE_MEM; n *= 2)
		memcpy(op->mem + n, op->mem, n);
}

static void advance(struct scsi_sanitize *op);

static void
piece_done(struct be_io *io)
{
	struct scsi_sanitize_piece *p = gw_container(io, struct scsi_sanitize_piece, io);
	struct scsi_sanitize *op = p->op;

	op->inflight--;
	if (io->st == BE_EBUSY) {
		p->again = true;
	} else {
		p->busy = false;
		op->done += io->len;
	}
	if (io->st == BE_ENOTSUP && io->op == BE_ZERO) {
		op->by_zero = false;
		op->at = op->done = 0;
	} else if (io->st != BE_OK && io->st != BE_EBUSY) {
		op->failed = true;
		op->no_space |= io->st == BE_ENOSPC;
	}
	tell_progress(op);
	advance(op);
}

static void
piece_submit(struct scsi_sanitize *op, struct scsi_sanitize_piece *p)
{
	p->busy = true;
	p->again = false;
	op->inflight++;
	be_submit(home_of(op)->chan, &p->io);
}

static void
piece_start(struct scsi_sanitize *op, struct scsi_sanitize_piece *p, uint8_t be_op, uint64_t len)
{
	p->op = op;
	p->iov = (struct iovec){op->mem, len};
	p->io = (struct be_io){.op = be_op,
			       .flags = be_op == BE_ZERO && op->unmap ? BE_MAY_UNMAP : 0,
			       .off = be_op == BE_FLUSH ? 0 : op->at,
			       .len = len,
			       .iov = be_op == BE_WRITE ? &p->iov : NULL,
			       .niov = be_op == BE_WRITE,
			       .done = piece_done};
	op->at += len;
	piece_submit(op, p);
}

/* Zeroing is one at a time: a file system does no more at once anyway. */
static void
submit_pieces(struct scsi_sanitize *op)
{
	uint64_t step = op->by_zero ? SCSI_RANGE_STEP : SANITIZE_MEM, size = size_of(op);
	unsigned depth = op->by_zero ? 1 : SANITIZE_DEPTH;

	for (unsigned i = 0; i < depth && op->at < size; i++)
		if (!op->piece[i].busy)
			piece_start(op, &op->piece[i], op->by_zero ? BE_ZERO : BE_WRITE,
				    GW_MIN(step, size - op->at));
}

static bool
any_again(const struct scsi_sanitize *op)
{
	for (unsigned i = 0; i < SANITIZE_DEPTH; i++)
		if (op->piece[i].again)
			return true;
	return false;
}

static void
begin_pass(struct scsi_sanitize *op)
{
	op->phase = PHASE_PASS;
	op->at = op->done = 0;
	fill_memory(op);
}

/* True if there is more to submit. */
static bool
next_phase(struct scsi_sanitize *op)
{
	if (op->phase == PHASE_PASS) {
		op->phase = PHASE_FLUSH;
		piece_start(op, &op->piece[0], BE_FLUSH, 0);
		return false;
	}
	if (++op->pass == op->passes) {
		end(op, true);
		return false;
	}
	begin_pass(op);
	return true;
}

static void
advance(struct scsi_sanitize *op)
{
	bool stop = op->failed || is_stopped(op);

	do {
		if (!stop && op->phase == PHASE_PASS)
			submit_pieces(op);
		if (op->inflight)
			return;
		if (stop) {
			end(op, false);
			return;
		}
	} while (!any_again(op) && next_phase(op));
}

static void
try_again(struct scsi_sanitize *op)
{
	bool any = false;

	for (unsigned i = 0; i < SANITIZE_DEPTH; i++) {
		if (!op->piece[i].again || op->failed || is_stopped(op))
			continue;
		piece_submit(op, &op->piece[i]);
		any = true;
	}
	if (!any)
		advance(op);
}

/* Before. */

static void
begin_work(struct scsi_sanitize *op)
{
	if (op->by_dev) {
		op->phase = PHASE_DEV;
		scsi_sanitize_dev_start(op);
	} else if (scsi_chan_open(home_of(op), op->dev)) {
		begin_pass(op);
		advance(op);
	} else {
		end(op, false);
	}
}

static void
counted(struct gw_tour *t)
{
	struct scsi_sanitize *op = gw_container(t, struct scsi_sanitize, tour);

	op->touring = false;
	if (is_stopped(op))
		end(op, false);
	else if (!op->busy)
		begin_work(op);
}

/* What a core has under way only gets less; one that takes a turn counts where it came from. */
static void
count_visit(struct gw_core *on, struct gw_tour *t)
{
	struct scsi_sanitize *op = gw_container(t, struct scsi_sanitize, tour);
	const struct scsi_lu_core *luc = &op->lu->core[on->id];

	op->busy += atomic_load_explicit(&luc->inflight, memory_order_relaxed) - luc->sanitizes;
	gw_tour_next(t);
}

static void
count_busy(struct scsi_sanitize *op)
{
	op->busy = 0;
	op->touring = true;
	gw_tour_start(&op->tour, count_visit, counted);
}

/* Task management marks the command on its own core, and waits for it. */
static void
let_aborted_go(struct scsi_sanitize *op)
{
	struct gw_cmd *cmd = op->cmd;

	if (!cmd || !scsi_is_aborted(cmd))
		return;
	op->cmd = NULL;
	scsi_sanitize_give_back(cmd);
}

static void
tick(struct gw_timer *timer)
{
	struct scsi_sanitize *op = gw_container(timer, struct scsi_sanitize, timer);

	gw_timer_start(op->lu->home, timer, TICK_MS);
	let_aborted_go(op);
	if (op->phase == PHASE_DRAIN) {
		if (!op->touring)
			count_busy(op);
	} else if (op->phase == PHASE_DEV) {
		if (is_stopped(op))
			end(op, false);
		else if (scsi_sanitize_dev_ended(op))
			end(op, op->ok);
	} else if (!op->inflight || any_again(op)) {
		try_again(op);
	}
}

void
scsi_sanitize_run(struct scsi_sanitize *op)
{
	gw_timer_init(&op->timer, tick);
	gw_timer_start(op->lu->home, &op->timer, TICK_MS);
	count_busy(op);
}
