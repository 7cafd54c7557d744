/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The SCSI layer on a bench: two simulated cores in one thread, whose messages, tours and hooks run
 * when rig_run() is called, a stub backend in memory that can hold its I/O back or fail it, and a
 * stub transport. Nothing here depends on time.
 */
#ifndef TESTS_UNIT_SCSI_RIG_H
#define TESTS_UNIT_SCSI_RIG_H

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "gateway/api/cmd.h"
#include "gateway/api/scsi_dev.h"
#include "gateway/base/bug.h"
#include "gateway/base/bytes.h"
#include "gateway/core/timer.h"
#include "gateway/scsi/pr_store.h"
#include "gateway/scsi/scsi_priv.h"

#define RIG_CORES  2
#define RIG_BLOCKS 65536ull
#define RIG_LARGE  (1ull << 20) /* bytes: a medium that is mapped */
#define RIG_UNUSED __attribute__((unused))

/* Cores. */

static struct {
	struct gw_core core[RIG_CORES];
	struct gw_core_stats stats[RIG_CORES];
	struct gw_msg *head[RIG_CORES], **tail[RIG_CORES];
	struct gw_core *self;
	struct gw_list pending; /* be_io.node */
	struct gw_list timers;
	bool hold; /* the backend keeps its I/O */
	uint8_t attr; /* enum gw_attr of the commands that begin */
	uint8_t fail[BE_OP_MAX], celsius;
	unsigned submitted[BE_OP_MAX], chans, dev_closes;
	uint8_t last_flags;
	uint64_t largest;
	/* The devices' own sanitize. */
	unsigned sanitizes;
	enum be_sanitize sanitize_kind;
	enum be_sanitize_state sanitize_state;
	uint16_t sanitize_progress;
	int sanitize_rc;
	/* What devices know that are made while it is not 0. */
	struct be_space space;
} rig;

unsigned
gw_ncores(void)
{
	return RIG_CORES;
}

struct gw_core *
gw_core_at(unsigned id)
{
	return &rig.core[id];
}

struct gw_core *
gw_core_self(void)
{
	return rig.self;
}

void
gw_send(struct gw_core *to, struct gw_msg *msg)
{
	msg->next = NULL;
	*rig.tail[to->id] = msg;
	rig.tail[to->id] = &msg->next;
}

void
gw_at_kick(struct gw_core *core, struct gw_hook *h)
{
	if (h->armed)
		return;
	h->armed = true;
	gw_list_add_tail(&core->kick, &h->node);
}

void
gw_hook_disarm(struct gw_hook *h)
{
	gw_list_del(&h->node);
	h->armed = false;
}

void
gw_timer_init(struct gw_timer *t, void (*fire)(struct gw_timer *))
{
	gw_list_init(&t->node);
	t->fire = fire;
	t->running = false;
}

void
gw_timer_start(struct gw_core *core, struct gw_timer *t, uint32_t ms)
{
	BUG(rig.self != core || !ms);
	gw_timer_stop(t);
	t->due = core->id;
	t->running = true;
	gw_list_add_tail(&rig.timers, &t->node);
}

void
gw_timer_stop(struct gw_timer *t)
{
	if (t->running)
		gw_list_del(&t->node);
	t->running = false;
}

static void
rig_tour_end(struct gw_core *on, struct gw_msg *msg)
{
	struct gw_tour *t = gw_container(msg, struct gw_tour, msg);

	t->done(t);
}

static void
rig_tour_visit(struct gw_core *on, struct gw_msg *msg)
{
	struct gw_tour *t = gw_container(msg, struct gw_tour, msg);

	t->visit(on, t);
}

void
gw_tour_next(struct gw_tour *t)
{
	if (++t->at < RIG_CORES) {
		t->msg.fn = rig_tour_visit;
		gw_send(&rig.core[t->at], &t->msg);
	} else if (t->home) {
		t->msg.fn = rig_tour_end;
		gw_send(t->home, &t->msg);
	}
}

void
gw_tour_start(struct gw_tour *t, void (*visit)(struct gw_core *, struct gw_tour *),
	      void (*done)(struct gw_tour *))
{
	BUG(!rig.self);
	t->home = rig.self;
	t->at = 0;
	t->visit = visit;
	t->done = done;
	t->msg.fn = rig_tour_visit;
	gw_send(&rig.core[0], &t->msg);
}

static bool
rig_turn(struct gw_core *core)
{
	struct gw_msg *msg = rig.head[core->id];
	struct gw_hook *h;

	rig.self = core;
	if (msg) {
		rig.head[core->id] = msg->next;
		if (!msg->next)
			rig.tail[core->id] = &rig.head[core->id];
		msg->fn(core, msg);
	} else if ((h = gw_list_first(&core->kick, struct gw_hook, node))) {
		gw_hook_disarm(h);
		h->fn(h);
	} else {
		rig.self = NULL;
		return false;
	}
	rig.self = NULL;
	return true;
}

/* Completes the oldest I/O that the backend holds; false if there is none. */
static bool rig_io_one(void);

/* Runs everything until nothing is left to do (but what the backend holds). */
static void
rig_run(void)
{
	bool more = true;

	while (more) {
		more = false;
		for (unsigned i = 0; i < RIG_CORES; i++)
			while (rig_turn(&rig.core[i]))
				more = true;
		while (!rig.hold && rig_io_one())
			more = true;
	}
}

/* All timers that run now fire, once. */
RIG_UNUSED static void
rig_tick(void)
{
	struct gw_list due;
	struct gw_timer *t;

	gw_list_init(&due);
	gw_list_splice_tail(&due, &rig.timers);
	while ((t = gw_list_first(&due, struct gw_timer, node))) {
		gw_list_del(&t->node);
		t->running = false;
		rig.self = &rig.core[t->due];
		t->fire(t);
		rig.self = NULL;
	}
	rig_run();
}

/* Who waits for the cores meanwhile lets time pass. */
void
gw_tour_sync(struct gw_tour *t, void (*visit)(struct gw_core *, struct gw_tour *))
{
	BUG(rig.self);
	t->home = NULL;
	t->at = 0;
	t->visit = visit;
	t->msg.fn = rig_tour_visit;
	gw_send(&rig.core[0], &t->msg);
	rig_run();
	for (unsigned i = 0; i < 100 && t->at < RIG_CORES; i++)
		rig_tick();
	BUG(t->at < RIG_CORES);
}

void
gw_run_sync(struct gw_core *on, void (*fn)(struct gw_core *, void *), void *arg)
{
	rig_run();
	rig.self = on;
	fn(on, arg);
	rig.self = NULL;
}

/* The store of reservations: what was saved last, whichever LU it is of. */

static struct {
	struct scsi_pr_saved *saved; /* NULL: nothing */
	struct pr_save *held;        /* with hold: waits for rig_pr_finish() */
	bool hold;
	int error;      /* of the next saves */
	int load_error; /* of the next loads */
	unsigned saves, loads;
} rig_pr;

static void
rig_pr_answer(struct gw_core *on, struct gw_msg *msg)
{
	struct pr_save *s = gw_container(msg, struct pr_save, msg);

	BUG(on != s->core);
	s->done(s);
}

static struct scsi_pr_saved *
rig_pr_copy(const struct scsi_pr_saved *s)
{
	size_t size = sizeof(*s) + s->nreg * sizeof(s->reg[0]);

	return memcpy(malloc(size), s, size);
}

static void
rig_pr_finish(struct pr_save *s)
{
	BUG(!pr_text_ok(s->what));
	rig_pr.held = NULL;
	s->error = rig_pr.error;
	if (!s->error) {
		free(rig_pr.saved);
		rig_pr.saved = s->what->aptpl && s->what->nreg ? rig_pr_copy(s->what) : NULL;
	}
	s->msg.fn = rig_pr_answer;
	gw_send(s->core, &s->msg);
}

void
pr_store_save(struct pr_save *s)
{
	BUG(rig.self != s->core || rig_pr.held);
	rig_pr.saves++;
	rig_pr.held = s;
	if (!rig_pr.hold)
		rig_pr_finish(s);
}

int
pr_store_load(const uint8_t naa[16], struct scsi_pr_saved **out, char *err, unsigned err_size)
{
	*out = NULL;
	rig_pr.loads++;
	if (rig_pr.load_error) {
		snprintf(err, err_size, "the store fails");
		return rig_pr.load_error;
	}
	if (rig_pr.saved && memcmp(rig_pr.saved->naa, naa, 16) == 0)
		*out = rig_pr_copy(rig_pr.saved);
	return 0;
}

/* Backend. */

struct rig_dev {
	struct be_dev dev;
	uint8_t *mem;
	uint64_t bytes;
};

int
be_chan_open(struct be_dev *dev, struct gw_core *core, struct be_chan **chan)
{
	*chan = calloc(1, sizeof(**chan));
	(*chan)->dev = dev;
	(*chan)->core = core;
	rig.chans++;
	return 0;
}

void
be_chan_close(struct be_chan *chan)
{
	BUG(chan->inflight);
	rig.chans--;
	free(chan);
}

void
be_dev_close(struct be_dev *dev)
{
	struct rig_dev *d = (struct rig_dev *)dev;

	rig.dev_closes++;
	if (d->mem && d->bytes >= RIG_LARGE)
		munmap(d->mem, d->bytes);
	else
		free(d->mem);
	free(d);
}

bool
be_lends(struct be_chan *chan, uint64_t off, uint64_t len, uint8_t flags)
{
	return false;
}

void
be_submit(struct be_chan *chan, struct be_io *io)
{
	uint64_t sum = 0;

	BUG(!gw_range_ok(io->off, io->len, chan->dev->size));
	BUG(io->off % chan->dev->io_align || io->len % chan->dev->io_align);
	for (unsigned i = 0; i < io->niov; i++)
		sum += io->iov[i].iov_len;
	BUG((io->op == BE_READ || io->op == BE_WRITE) && (sum != io->len || !sum));
	io->chan = chan;
	chan->inflight++;
	if (io->flags & BE_ATOMIC) {
		const struct be_dev *dev = chan->dev;

		BUG(io->op != BE_WRITE || io->len > dev->atomic_max);
		BUG(io->off % dev->atomic_align || io->len % dev->atomic_gran);
		BUG(dev->atomic_boundary && io->off / dev->atomic_boundary !=
						(io->off + io->len - 1) / dev->atomic_boundary);
	}
	rig.submitted[io->op]++;
	rig.last_flags = io->flags;
	rig.largest = GW_MAX(rig.largest, io->len);
	gw_list_add_tail(&rig.pending, &io->node);
}

/* A whole medium costs as much as a block. */
static void
rig_zero(uint8_t *at, uint64_t n)
{
	if (n < RIG_LARGE || ((uintptr_t)at | n) % 4096 || madvise(at, n, MADV_DONTNEED) != 0)
		memset(at, 0, n);
}

#define RIG_PAGE 4096

static bool
rig_mapped(const struct be_io *io, uint64_t off)
{
	const struct rig_dev *d = (const struct rig_dev *)io->chan->dev;
	uint64_t from = off / RIG_PAGE * RIG_PAGE, to = GW_MIN(from + RIG_PAGE, d->dev.size);
	const uint8_t *at = d->mem + from;

	return d->mem && (*at || memcmp(at, at + 1, to - from - 1) != 0);
}

/* Pages are mapped that are not all zeroes. */
static void
rig_extent(struct be_io *io)
{
	uint64_t end = io->off + io->len, at = io->off;

	io->mapped = rig_mapped(io, at);
	while (at < end && rig_mapped(io, at) == io->mapped)
		at = ((const struct rig_dev *)io->chan->dev)->mem
			 ? GW_MIN(end, (at / RIG_PAGE + 1) * RIG_PAGE)
			 : end;
	io->extent = at - io->off;
}

static void
rig_move(struct be_io *io)
{
	struct rig_dev *d = (struct rig_dev *)io->chan->dev;
	uint8_t *at = d->mem ? d->mem + io->off : NULL;

	if (io->op == BE_EXTENT) {
		rig_extent(io);
		return;
	}
	if (io->op == BE_TEMPERATURE) {
		io->celsius = rig.celsius;
		return;
	}
	if (io->op == BE_ZERO || io->op == BE_UNMAP) {
		if (at)
			rig_zero(at, io->len);
		return;
	}
	for (unsigned i = 0; i < io->niov; i++) {
		if (!at) {
			if (io->op == BE_READ)
				memset(io->iov[i].iov_base, 0, io->iov[i].iov_len);
			continue;
		}
		if (io->op == BE_READ)
			memcpy(io->iov[i].iov_base, at, io->iov[i].iov_len);
		else
			memcpy(at, io->iov[i].iov_base, io->iov[i].iov_len);
		at += io->iov[i].iov_len;
	}
}

static bool
rig_io_one(void)
{
	struct be_io *io = gw_list_first(&rig.pending, struct be_io, node);

	if (!io)
		return false;
	gw_list_del(&io->node);
	io->st = rig.fail[io->op];
	if (io->st == BE_OK)
		rig_move(io);
	io->chan->inflight--;
	rig.self = io->chan->core;
	io->chan = NULL;
	io->done(io);
	rig.self = NULL;
	return true;
}

static int
rig_sanitize(struct be_dev *dev, enum be_sanitize kind)
{
	rig.sanitizes++;
	rig.sanitize_kind = kind;
	return rig.sanitize_rc;
}

static int
rig_sanitize_state(struct be_dev *dev, enum be_sanitize_state *state, uint16_t *progress)
{
	*state = rig.sanitize_state;
	*progress = rig.sanitize_progress;
	return 0;
}

static int
rig_space_now(struct be_dev *dev, struct be_space *out)
{
	*out = rig.space;
	return rig.space.total ? 0 : -EIO;
}

static const struct be_ops rig_ops = {.name = "rig",
				      .sanitize = rig_sanitize,
				      .sanitize_state = rig_sanitize_state,
				      .space = rig_space_now};

/* blocks * 512 bytes; without memory (huge sizes) reads give zeroes. */
RIG_UNUSED static struct be_dev *
rig_dev_new(uint64_t bytes, bool with_memory)
{
	struct rig_dev *d = calloc(1, sizeof(*d));

	d->dev.size = bytes;
	d->dev.io_align = 1;
	d->dev.dma_align = 1;
	d->dev.phys_block = 4096;
	d->dev.unmap_align = 4096;
	d->dev.unmap_zeroes = true;
	d->dev.volatile_cache = true;
	d->dev.ops = &rig_ops;
	d->dev.extents = true;
	d->dev.counts_space = rig.space.total > 0;
	d->dev.atomic_max = 65536;
	d->dev.atomic_align = d->dev.atomic_gran = 1;
	d->dev.sanitize_kinds = 1u << BE_SANITIZE_CRYPTO | 1u << BE_SANITIZE_EXIT;
	d->bytes = bytes;
	if (with_memory && bytes < RIG_LARGE)
		d->mem = calloc(1, bytes);
	else if (with_memory)
		d->mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			      0);
	BUG(d->mem == MAP_FAILED);
	return &d->dev;
}

RIG_UNUSED static uint8_t *
rig_mem(struct scsi_lu *lu)
{
	return ((struct rig_dev *)scsi_lu_dev(lu))->mem;
}

/* Transport. */

struct rig_cmd {
	struct gw_cmd cmd;
	struct iovec iov[2];
	uint8_t *buf;
	unsigned responses;
	bool refused; /* by scsi_begin() */
	bool ready;   /* its data is there, but not its turn */
	unsigned turns;
};

static unsigned rig_closes;

static void
rig_respond(struct gw_cmd *cmd)
{
	struct rig_cmd *c = gw_container(cmd, struct rig_cmd, cmd);

	BUG(rig.self != cmd->nexus->core);
	c->responses++;
}

static void
rig_close(struct gw_nexus *n, enum gw_why why)
{
	rig_closes++;
}

/* Its turn has come: executes it if all else is there. */
static void
rig_turned(struct gw_cmd *cmd)
{
	struct rig_cmd *c = gw_container(cmd, struct rig_cmd, cmd);

	BUG(rig.self != cmd->nexus->core || cmd->turn != GW_GO || c->responses);
	c->turns++;
	if (c->ready)
		scsi_exec(cmd);
}

static const struct gw_xport_ops rig_xport = {
    .name = "rig", .respond = rig_respond, .turn = rig_turned, .close = rig_close};

static unsigned rig_closed_count;

static void
rig_closed(struct gw_nexus *n)
{
	rig_closed_count++;
}

RIG_UNUSED static struct gw_nexus *
rig_nexus(unsigned core, const struct gw_target *t)
{
	struct gw_nexus *n = calloc(1, sizeof(*n));

	n->core = &rig.core[core];
	n->xport = &rig_xport;
	n->target = t;
	n->tpgt = 1;
	n->closed = rig_closed;
	strcpy(n->initiator, "iqn.2026-01.example:host");
	n->isid[5] = (uint8_t)core;
	BUG(scsi_nexus_open(n));
	return n;
}

RIG_UNUSED static void
rig_nexus_close(struct gw_nexus *n)
{
	unsigned was = rig_closed_count;

	rig.self = n->core;
	scsi_nexus_close(n);
	rig.self = NULL;
	rig_run();
	rig_tick();
	BUG(rig_closed_count != was + 1);
	free(n);
}

static unsigned
rig_cdb_len(uint8_t opcode)
{
	static const uint8_t len[8] = {6, 10, 10, 16, 16, 12, 16, 16};

	return len[opcode >> 5];
}

/* Begins a command with its CDB in hex and data-out of edtl bytes; data in or out goes to buf. */
RIG_UNUSED static struct rig_cmd *
rig_begin_raw(struct gw_nexus *n, uint64_t lun, const uint8_t *cdb, unsigned cdb_len, uint8_t dir,
	      uint32_t edtl)
{
	struct rig_cmd *c = calloc(1, sizeof(*c));

	c->cmd.nexus = n;
	c->cmd.lun = lun;
	c->cmd.attr = rig.attr;
	c->cmd.edtl = edtl;
	c->cmd.want_dir = edtl ? dir : GW_DIR_NONE;
	c->cmd.cdb_len = (uint8_t)cdb_len;
	memcpy(c->cmd.cdb, cdb, cdb_len);
	rig.self = n->core;
	c->refused = !scsi_begin(&c->cmd);
	rig.self = NULL;
	return c;
}

/* Gives the buffer (two pieces, so that borders show) and executes, now or when its turn has come. */
RIG_UNUSED static void
rig_exec(struct rig_cmd *c, const void *out, uint32_t out_size)
{
	uint32_t n = c->cmd.data_len, cut = n > 700 ? 600 : n / 2;

	if (n) {
		c->buf = malloc(n);
		memset(c->buf, 0xee, n);
		c->iov[0] = (struct iovec){c->buf, cut};
		c->iov[1] = (struct iovec){c->buf + cut, n - cut};
		c->cmd.iov = cut ? c->iov : c->iov + 1;
		c->cmd.niov = cut ? 2 : 1;
	}
	if (c->cmd.dir == GW_DIR_OUT) {
		c->cmd.out_len = GW_MIN(c->cmd.edtl, n);
		if (out && c->buf)
			memcpy(c->buf, out, GW_MIN(c->cmd.out_len, out_size));
	}
	c->ready = c->cmd.turn != GW_GO;
	if (c->ready)
		return;
	rig.self = c->cmd.nexus->core;
	scsi_exec(&c->cmd);
	rig.self = NULL;
}

RIG_UNUSED static void
rig_free(struct rig_cmd *c)
{
	free(c->buf);
	free(c);
}

static unsigned
rig_unhex(const char *hex, uint8_t *out)
{
	unsigned n = 0, v;

	while (*hex) {
		if (*hex == ' ') {
			hex++;
			continue;
		}
		BUG(sscanf(hex, "%2x", &v) != 1);
		out[n++] = (uint8_t)v;
		hex += 2;
	}
	return n;
}

/* Begin only: the CDB as hex, cut or padded to the opcode's length. */
RIG_UNUSED static struct rig_cmd *
rig_start(struct gw_nexus *n, uint64_t lun, const char *hex, uint8_t dir, uint32_t edtl)
{
	uint8_t cdb[GW_CDB_MAX] = {0};

	rig_unhex(hex, cdb);
	return rig_begin_raw(n, lun, cdb, GW_MAX(rig_cdb_len(cdb[0]), 16u), dir, edtl);
}

/* A whole command; the caller frees it. */
RIG_UNUSED static struct rig_cmd *
rig_do(struct gw_nexus *n, uint64_t lun, const char *hex, uint8_t dir, uint32_t edtl,
       const void *out)
{
	struct rig_cmd *c = rig_start(n, lun, hex, dir, edtl);

	if (c->refused)
		return c;
	rig_exec(c, out, edtl);
	rig_run();
	BUG(c->responses != 1);
	return c;
}

/* Status and sense as one number: status, or 0xKAAQQ for CHECK CONDITION (fixed or descriptor). */
RIG_UNUSED static uint32_t
rig_result(const struct rig_cmd *c)
{
	const uint8_t *s = c->cmd.sense;

	if (c->cmd.status != SAM_CHECK_CONDITION)
		return c->cmd.status;
	if ((s[0] & 0x7e) == 0x72)
		return SENSE(s[1] & 0xf, gw_be16(s + 2));
	return SENSE(s[2] & 0xf, gw_be16(s + 12));
}

/* Runs it and gives the result only. */
RIG_UNUSED static uint32_t
rig_try(struct gw_nexus *n, uint64_t lun, const char *hex, uint8_t dir, uint32_t edtl,
	const void *out)
{
	struct rig_cmd *c = rig_do(n, lun, hex, dir, edtl, out);
	uint32_t r = rig_result(c);

	rig_free(c);
	return r;
}

RIG_UNUSED static uint32_t
rig_none(struct gw_nexus *n, uint64_t lun, const char *hex)
{
	return rig_try(n, lun, hex, GW_DIR_NONE, 0, NULL);
}

RIG_UNUSED static uint32_t
rig_in(struct gw_nexus *n, uint64_t lun, const char *hex)
{
	return rig_try(n, lun, hex, GW_DIR_IN, 65536, NULL);
}

/* Task management. */

struct rig_tmf {
	struct gw_tmf tmf;
	unsigned done;
};

static void
rig_tmf_done(struct gw_tmf *tmf)
{
	gw_container(tmf, struct rig_tmf, tmf)->done++;
}

RIG_UNUSED static void
rig_tmf(struct rig_tmf *t, struct gw_nexus *n, uint64_t lun, uint8_t fn, struct gw_cmd *task)
{
	memset(t, 0, sizeof(*t));
	t->tmf.nexus = n;
	t->tmf.lun = lun;
	t->tmf.fn = fn;
	t->tmf.task = task;
	t->tmf.done = rig_tmf_done;
	rig.self = n->core;
	scsi_tmf(&t->tmf);
	rig.self = NULL;
}

/* A target. */

#define RIG_IQN "iqn.2026-01.example.lichgate:t1"

RIG_UNUSED static struct scsi_lu_conf
rig_conf(uint64_t lun)
{
	struct scsi_lu_conf c = {.kind = SCSI_KIND_DISK,
				 .tid = 1,
				 .lun = lun,
				 .block_size = 512,
				 .lbppbe = 0xff,
				 .scsi_id = "LICH 00010001",
				 .serial = "beaf11",
				 .vendor = "LICHGATE",
				 .product = "VIRTUAL-DISK",
				 .rev = "0001",
				 .online = true,
				 .thin = true,
				 .write_cache = true};

	memset(c.naa, 0x11, 16);
	c.naa[0] = 0x60;
	return c;
}

/* A CD/DVD drive. */
RIG_UNUSED static struct scsi_lu_conf
rig_rom_conf(uint64_t lun)
{
	struct scsi_lu_conf c = rig_conf(lun);

	c.kind = SCSI_KIND_CD;
	c.block_size = SCSI_CD_BLOCK;
	c.removable = c.readonly = true;
	c.thin = c.write_cache = false;
	strcpy(c.product, "VIRTUAL-CDROM");
	return c;
}

/* LUN 0 is the controller, LUN 1 a disk (home core 0), LUN 2 a removable disk (home core 1). */
struct rig_target {
	struct gw_target t;
	struct gw_lun lun[4];
};

/* Portal group 1; tests may add others. */
static uint16_t rig_groups[GW_GROUPS_MAX];
static struct gw_model rig_model = {.group = rig_groups};
static struct scsi_alua *rig_alua;

RIG_UNUSED static void
rig_init(void)
{
	memset(&rig, 0, sizeof(rig));
	free(rig_pr.saved);
	memset(&rig_pr, 0, sizeof(rig_pr));
	gw_list_init(&rig.pending);
	gw_list_init(&rig.timers);
	rig_model.ngroup = 1;
	rig_groups[0] = 1;
	scsi_alua_free(rig_alua);
	rig_alua = scsi_alua_new();
	for (unsigned i = 0; i < RIG_CORES; i++) {
		rig.core[i].id = i;
		rig.core[i].slot[GW_SLOT_MODEL] = &rig_model;
		rig.core[i].stats = &rig.stats[i];
		gw_list_init(&rig.core[i].kick);
		gw_list_init(&rig.core[i].flush);
		rig.tail[i] = &rig.head[i];
	}
	BUG(scsi_init());
}

/* Names only: patterns are the model's. */
const struct gw_lunset *
gw_lunset_of(const struct gw_target *t, const char *initiator)
{
	for (uint32_t i = 0; i < t->nmap; i++)
		if (strcmp(t->map[i].who, initiator) == 0)
			return &t->map[i];
	return NULL;
}

RIG_UNUSED static void
rig_target(struct rig_target *rt)
{
	struct scsi_lu_conf conf = rig_conf(0);

	memset(rt, 0, sizeof(*rt));
	rt->t.tid = 1;
	strcpy(rt->t.iqn, RIG_IQN);
	rt->t.alua = rig_alua;
	rt->t.lun = rt->lun;
	rt->t.nlun = 3;
	conf.kind = SCSI_KIND_CONTROLLER;
	strcpy(conf.product, "CONTROLLER");
	BUG(scsi_lu_new(&conf, NULL, &rt->lun[0].lu));
	for (uint64_t i = 1; i < 3; i++) {
		conf = rig_conf(i);
		conf.removable = i == 2;
		rt->lun[i].lun = i;
		BUG(scsi_lu_new(&conf, rig_dev_new(RIG_BLOCKS * 512, true), &rt->lun[i].lu));
	}
}

/* Adds a drive with an image as LUN 3 (home core 0). */
RIG_UNUSED static struct scsi_lu *
rig_target_rom(struct rig_target *rt)
{
	struct scsi_lu_conf conf = rig_rom_conf(3);

	rt->lun[3].lun = 3;
	rt->t.nlun = 4;
	BUG(scsi_lu_new(&conf, rig_dev_new(RIG_BLOCKS * 512, true), &rt->lun[3].lu));
	return rt->lun[3].lu;
}

RIG_UNUSED static void
rig_target_free(struct rig_target *rt)
{
	for (unsigned i = 0; i < rt->t.nlun; i++)
		scsi_lu_free(rt->lun[i].lu);
	BUG(rig.chans);
}

/* Takes the power-on unit attentions of all LUNs away. */
RIG_UNUSED static void
rig_calm(struct gw_nexus *n)
{
	for (uint32_t i = 0; i < n->nitl; i++)
		n->itl[i].ua = 0;
}

/* The usual bench: a target and a nexus on each core. */
struct bench {
	struct rig_target rt;
	struct gw_nexus *a, *b;          /* cores 0 and 1 */
	struct scsi_lu *disk, *cd, *rom; /* rom: bench_open_rom() only */
};

RIG_UNUSED static void
bench_enter(struct bench *b)
{
	b->disk = b->rt.lun[1].lu;
	b->cd = b->rt.lun[2].lu;
	b->a = rig_nexus(0, &b->rt.t);
	b->b = rig_nexus(1, &b->rt.t);
	rig_calm(b->a);
	rig_calm(b->b);
}

RIG_UNUSED static void
bench_open(struct bench *b)
{
	rig_init();
	rig_target(&b->rt);
	b->rom = NULL;
	bench_enter(b);
}

/* With a CD/DVD drive as LUN 3. */
RIG_UNUSED static void
bench_open_rom(struct bench *b)
{
	rig_init();
	rig_target(&b->rt);
	b->rom = rig_target_rom(&b->rt);
	bench_enter(b);
}

RIG_UNUSED static void
bench_close(struct bench *b)
{
	if (b->a)
		rig_nexus_close(b->a);
	if (b->b)
		rig_nexus_close(b->b);
	rig_target_free(&b->rt);
	scsi_fini();
}

/* Copies find LUs by name: the two of the bench have different ones, which end in 1 and 2. */
RIG_UNUSED static void
bench_name_lus(struct bench *b)
{
	for (unsigned i = 1; i < 3; i++) {
		struct scsi_lu_conf conf = *scsi_lu_conf(b->rt.lun[i].lu);

		conf.naa[15] = (uint8_t)i;
		BUG(scsi_lu_update(b->rt.lun[i].lu, &conf));
	}
}

/* A program of tests. */

RIG_UNUSED static int
rig_suite(const char *name, void (*setup)(void), void (*teardown)(void), const TTest *const *tests,
	  unsigned n)
{
	Suite *suite = suite_create(name);
	TCase *cases = tcase_create(name);
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(cases, setup, teardown);
	for (unsigned i = 0; i < n; i++)
		tcase_add_test(cases, tests[i]);
	tcase_set_timeout(cases, 0);
	suite_add_tcase(suite, cases);
	runner = srunner_create(suite);
	srunner_set_fork_status(runner, CK_NOFORK);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#define RIG_SUITE(name, setup, teardown, ...)                                                     \
	int main(void)                                                                            \
	{                                                                                         \
		const TTest *const tests[] = {__VA_ARGS__};                                       \
		return rig_suite(name, setup, teardown, tests, sizeof(tests) / sizeof(tests[0])); \
	}

#endif
