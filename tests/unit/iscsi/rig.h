/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A core, an engine and a SCSI layer made of stubs, for tests of the connection code: no threads,
 * no sockets, no clock. Bytes that an initiator sends are put into a queue and handed out in pieces
 * of any size; what is sent back is collected. Each buffer and chunk is memory of its own, of
 * exactly the length asked for, so that AddressSanitizer sees every step beyond.
 *
 * Stub commands: CDB byte 0 is READ (0x28), WRITE (0x2a) or NONE (0x00), 0xff fails in
 * scsi_begin(); bytes 2-5 the length, 6-9 the offset in `rig.disk`; byte 1: 1 holds the command
 * until rig_release(), with 2 its turn comes then.
 */
#ifndef TESTS_UNIT_ISCSI_RIG_H
#define TESTS_UNIT_ISCSI_RIG_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/base/crc32c.h"
#include "gateway/base/log.h"
#include "gateway/core/usage.h"
#include "iscsi/conn.h"
#include "iscsi/session.h"
#include "iscsi/core.h"
#include "iscsi/tcp_conn.h"
#include "iscsi/tcp_xport.h"

#pragma GCC diagnostic ignored "-Wunused-function"

#define RIG_FDS  32
#define RIG_FD0  1000 /* far from real descriptors; close() of them fails harmlessly */
#define RIG_DISK (4u << 20)
#define RIG_HELD 256
#define RIG_SEGS 4096
#define RIG_POLLS 16

struct rig_end {
	uint8_t *in;
	size_t in_len, in_at, in_cap;
	uint8_t *out;
	size_t out_len, out_at, out_cap;
	struct gw_op *rx, *tx;
	uint8_t *rx_buf;
	uint32_t rx_len;
	const struct msghdr *msg;
	bool rx_cancel, tx_cancel, eof, tx_stuck, used;
};

static struct {
	struct gw_core core;
	struct gw_core_stats stats;
	struct rig_end end[RIG_FDS];
	struct gw_model model;
	struct gw_target target;
	struct gw_target *targets[1];
	struct iscsi_params params;
	uint32_t split;    /* most bytes of one receive; 0: as many as wanted */
	uint32_t send_max; /* most bytes of one send; 0: all */
	uint64_t buf_limit, buf_used, buf_total;
	bool buf_back; /* something was put since the waiters were woken */
	uint32_t chunks;
	bool chunks_low;
	struct gw_list buf_waiters, timers, msgs_done;
	struct gw_msg *msg_head, **msg_tail;
	uint32_t dma_align;
	uint8_t disk[RIG_DISK];
	struct gw_cmd *held[RIG_HELD];
	unsigned nheld;
	uint32_t live; /* commands between begin and respond or forget */
	uint32_t begun, execs, forgotten;
	struct gw_list nexuses;
	uint64_t ms;
	char isid;
	uint16_t tsih_asked, cid;
	uint32_t placed;
	struct gw_tmf *slow_tmf;
	bool tmf_slow;
	uint32_t sends;
} rig;

/* For a wire that brings its own stubs: memory of buffers, descriptors that can be waited for. */
static struct {
	struct {
		const uint8_t *p;
		uint32_t n;
	} seg[RIG_SEGS];
	unsigned nseg;
	void (*buf_gone)(const uint8_t *p, uint32_t n); /* before it is freed */
	struct {
		struct gw_op *op;
		int fd;
		bool cancel;
	} poll[RIG_POLLS];
	bool (*readable)(int fd);
	uint32_t round;		/* memory is a multiple of that plus one */
	bool (*turn)(void); /* what else happens in one; false: nothing */
} rig_ext;

/* --- core ----------------------------------------------------------------------------------------
 */

unsigned
gw_ncores(void)
{
	return 1;
}

struct gw_core *
gw_core_at(unsigned id)
{
	(void)id;
	return &rig.core;
}

struct gw_core *
gw_core_self(void)
{
	return &rig.core;
}

struct gw_core *
gw_place(void)
{
	rig.placed++;
	return &rig.core;
}

void
gw_unplace(struct gw_core *core)
{
	(void)core;
	rig.placed--;
}

static bool rig_polls(void);

void
gw_run_sync(struct gw_core *on, void (*fn)(struct gw_core *, void *), void *arg)
{
	(void)rig_polls();
	fn(on, arg);
}

/* There is one core. */
void
gw_tour_start(struct gw_tour *t, void (*visit)(struct gw_core *, struct gw_tour *),
	      void (*done)(struct gw_tour *))
{
	t->done = done;
	visit(&rig.core, t);
}

void
gw_tour_next(struct gw_tour *t)
{
	t->done(t);
}

static void
rig_arm(struct gw_list *l, struct gw_hook *h)
{
	if (h->armed)
		return;
	h->armed = true;
	gw_list_add_tail(l, &h->node);
}

void
gw_at_kick(struct gw_core *core, struct gw_hook *h)
{
	rig_arm(&core->kick, h);
}

void
gw_at_flush(struct gw_core *core, struct gw_hook *h)
{
	rig_arm(&core->flush, h);
}

void
gw_hook_disarm(struct gw_hook *h)
{
	if (h->armed)
		gw_list_del(&h->node);
	h->armed = false;
}

void
gw_send(struct gw_core *to, struct gw_msg *msg)
{
	(void)to;
	msg->next = NULL;
	*rig.msg_tail = msg;
	rig.msg_tail = &msg->next;
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
	(void)core;
	gw_timer_stop(t);
	t->due = rig.ms + ms;
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

/* --- buffers and chunks --- */

static void
rig_seg_add(const uint8_t *p, uint32_t n)
{
	if (rig_ext.nseg == RIG_SEGS)
		abort();
	rig_ext.seg[rig_ext.nseg].p = p;
	rig_ext.seg[rig_ext.nseg++].n = n;
}

static void
rig_seg_del(const uint8_t *p)
{
	unsigned i = 0;

	while (rig_ext.seg[i].p != p)
		i++;
	if (rig_ext.buf_gone)
		rig_ext.buf_gone(p, rig_ext.seg[i].n);
	rig_ext.seg[i] = rig_ext.seg[--rig_ext.nseg];
}

bool
gw_buf_get(struct gw_core *core, uint32_t len, struct gw_sg *sg)
{
	uint32_t left = len;

	(void)core;
	if (len == 0 || len > GW_XFER_MAX)
		abort();
	if (rig.buf_used + len > rig.buf_limit)
		return false;
	sg->n = 0;
	sg->len = len;
	while (left > 0) {
		uint32_t n = GW_MIN(left, GW_SEG_MAX);
		uint32_t size = (n + rig_ext.round) & ~rig_ext.round;

		sg->iov[sg->n].iov_base = malloc(size);
		memset(sg->iov[sg->n].iov_base, 0xee, size);
		rig_seg_add(sg->iov[sg->n].iov_base, size);
		sg->iov[sg->n++].iov_len = n;
		left -= n;
	}
	rig.buf_used += len;
	return true;
}

void
gw_buf_put(struct gw_core *core, struct gw_sg *sg)
{
	(void)core;
	if (sg->n == 0)
		return;
	for (unsigned i = 0; i < sg->n; i++) {
		rig_seg_del(sg->iov[i].iov_base);
		free(sg->iov[i].iov_base);
	}
	rig.buf_used -= sg->len;
	rig.buf_back = true;
	sg->n = 0;
	sg->len = 0;
}

void *
gw_local_alloc(int node, size_t size)
{
	return calloc(1, size);
}

void
gw_local_free(void *p, size_t size)
{
	free(p);
}

void
gw_usage_add(const char *name, gw_usage_fn *fn)
{
}

uint64_t
gw_buf_total(const struct gw_core *core)
{
	(void)core;
	return rig.buf_total;
}

void
gw_buf_wait(struct gw_core *core, struct gw_waiter *w)
{
	(void)core;
	if (w->waiting)
		return;
	w->waiting = true;
	gw_list_add_tail(&rig.buf_waiters, &w->node);
}

void
gw_buf_unwait(struct gw_waiter *w)
{
	if (w->waiting)
		gw_list_del(&w->node);
	w->waiting = false;
}

void
gw_chunk_put(struct gw_chunk *c)
{
	if (--c->refs > 0)
		return;
	rig.chunks--;
	free(c->data);
	free(c);
}

bool
gw_chunks_low(struct gw_core *core)
{
	(void)core;
	return rig.chunks_low;
}

/* --- engine --- */

static struct rig_end *
rig_end(int fd)
{
	return &rig.end[fd - RIG_FD0];
}

void
gw_recv_chunk(struct gw_core *core, struct gw_op *op, int fd, uint32_t max)
{
	struct rig_end *e = rig_end(fd);

	(void)core;
	if (e->rx)
		abort();
	e->rx = op;
	e->rx_buf = NULL;
	e->rx_len = max ? max : 65536;
	op->chunk = NULL;
}

void
gw_recv(struct gw_core *core, struct gw_op *op, int fd, void *buf, uint32_t len)
{
	struct rig_end *e = rig_end(fd);

	(void)core;
	if (e->rx || len == 0)
		abort();
	e->rx = op;
	e->rx_buf = buf;
	e->rx_len = len;
	op->chunk = NULL;
}

void
gw_sendmsg(struct gw_core *core, struct gw_op *op, int fd, const struct msghdr *msg)
{
	struct rig_end *e = rig_end(fd);

	(void)core;
	if (e->tx)
		abort();
	rig.sends++;
	e->tx = op;
	e->msg = msg;
}

void
gw_accept(struct gw_core *core, struct gw_op *op, int fd)
{
	(void)core;
	(void)op;
	(void)fd;
}

void
gw_cancel(struct gw_core *core, struct gw_op *op)
{
	(void)core;
	for (unsigned i = 0; i < RIG_FDS; i++) {
		if (rig.end[i].rx == op)
			rig.end[i].rx_cancel = true;
		if (rig.end[i].tx == op)
			rig.end[i].tx_cancel = true;
	}
	for (unsigned i = 0; i < RIG_POLLS; i++) {
		if (rig_ext.poll[i].op == op)
			rig_ext.poll[i].cancel = true;
	}
}

void
gw_poll(struct gw_core *core, struct gw_op *op, int fd, unsigned events)
{
	unsigned i = 0;

	(void)core;
	(void)events;
	while (i < RIG_POLLS && rig_ext.poll[i].op)
		i++;
	if (i == RIG_POLLS)
		abort();
	rig_ext.poll[i].op = op;
	rig_ext.poll[i].fd = fd;
	rig_ext.poll[i].cancel = false;
}

/* Who waits for a descriptor hears of it, or that it was cancelled. */
static bool
rig_polls(void)
{
	bool any = false;

	for (unsigned i = 0; i < RIG_POLLS; i++) {
		struct gw_op *op = rig_ext.poll[i].op;
		bool cancel = rig_ext.poll[i].cancel;

		if (!op || (!cancel && !(rig_ext.readable && rig_ext.readable(rig_ext.poll[i].fd))))
			continue;
		rig_ext.poll[i].op = NULL;
		op->done(op, cancel ? -ECANCELED : 1);
		any = true;
	}
	return any;
}

void
gw_forget_fd(struct gw_core *core, int fd)
{
	(void)core;
	(void)fd;
}

/* --- model, login, text --- */

const struct gw_target *
gw_target_by_tid(const struct gw_model *m, uint32_t tid)
{
	(void)m;
	return tid == rig.target.tid ? &rig.target : NULL;
}

bool
gw_acl_admits(const struct gw_target *t, const char *initiator, const struct sockaddr *peer)
{
	(void)t;
	(void)initiator;
	(void)peer;
	return true;
}

void
iscsi_login_init(struct iscsi_login *l, const struct iscsi_login_env *env)
{
	memset(l, 0, sizeof(*l));
	l->env = *env;
}

void
iscsi_login_fini(struct iscsi_login *l)
{
	(void)l;
}

/* Grants at once; ISID byte 5 and TSIH are taken from the header. */
enum iscsi_login_next
iscsi_login_rx(struct iscsi_login *l, const uint8_t bhs[ISCSI_BHS_LEN], const uint8_t *data,
	       uint32_t len)
{
	if (len > 0 && data[0] == 'R') {
		memset(l->bhs, 0, sizeof(l->bhs));
		l->bhs[0] = ISCSI_OP_LOGIN_RSP;
		l->bhs[ISCSI_AT_LOGIN_STATUS] = 2;
		strcpy(l->why, "the test wants it");
		return ISCSI_LOGIN_REFUSE;
	}
	strcpy(l->initiator, "iqn.2026-01.org.example:initiator");
	memcpy(l->isid, bhs + ISCSI_AT_ISID, 6);
	l->tsih = gw_be16(bhs + ISCSI_AT_TSIH);
	l->cid = gw_be16(bhs + ISCSI_AT_CID);
	l->cmd_sn = gw_be32(bhs + ISCSI_AT_CMDSN);
	l->stat_sn = 1;
	l->params = rig.params;
	l->discovery = len > 0 && data[0] == 'D';
	if (!l->discovery) {
		l->target = &rig.target;
		strcpy(l->target_name, rig.target.iqn);
	}
	return ISCSI_LOGIN_GRANT;
}

enum iscsi_login_next
iscsi_login_granted(struct iscsi_login *l, enum iscsi_login_status status, uint16_t tsih,
		    uint32_t max_cmd_sn)
{
	memset(l->bhs, 0, sizeof(l->bhs));
	l->bhs[0] = ISCSI_OP_LOGIN_RSP;
	gw_put_be16(l->bhs + ISCSI_AT_TSIH, tsih);
	gw_put_be16(l->bhs + ISCSI_AT_LOGIN_STATUS, (uint16_t)status);
	gw_put_be32(l->bhs + ISCSI_AT_STATSN, l->stat_sn++);
	gw_put_be32(l->bhs + ISCSI_AT_EXPCMDSN, l->cmd_sn);
	gw_put_be32(l->bhs + ISCSI_AT_MAXCMDSN, max_cmd_sn);
	return status == ISCSI_LOGIN_OK ? ISCSI_LOGIN_MORE : ISCSI_LOGIN_REFUSE;
}

void
iscsi_text_init(struct iscsi_text *t)
{
	memset(t, 0, sizeof(*t));
}

void
iscsi_text_fini(struct iscsi_text *t)
{
	(void)t;
}

bool
iscsi_text_rx(struct iscsi_text *t, const struct iscsi_text_env *env,
	      const uint8_t bhs[ISCSI_BHS_LEN], const uint8_t *data, uint32_t len,
	      uint8_t bhs_out[ISCSI_BHS_LEN], char *out, uint32_t out_max, uint32_t *out_len,
	      enum iscsi_reject *reject)
{
	(void)t;
	(void)env;
	if (len > 0 && data[0] == 'X') {
		*reject = ISCSI_REJECT_PROTOCOL;
		return false;
	}
	memset(bhs_out, 0, ISCSI_BHS_LEN);
	bhs_out[0] = ISCSI_OP_TEXT_RSP;
	bhs_out[1] = ISCSI_FLAG_F;
	memcpy(bhs_out + ISCSI_AT_ITT, bhs + ISCSI_AT_ITT, 4);
	*out_len = GW_MIN(len, out_max);
	memcpy(out, data, *out_len);
	return true;
}

/* --- SCSI --- */

uint64_t
gw_lun_decode(const uint8_t lun[8])
{
	return lun[1];
}

void
gw_lun_encode(uint64_t n, uint8_t lun[8])
{
	memset(lun, 0, 8);
	lun[1] = (uint8_t)n;
}

static void
rig_check(struct gw_cmd *cmd)
{
	cmd->status = SAM_CHECK_CONDITION;
	cmd->sense_len = 18;
	memset(cmd->sense, 0, sizeof(cmd->sense));
	cmd->sense[0] = 0x70;
	cmd->sense[2] = 5;
	cmd->in_len = cmd->moved = 0;
}

static void
rig_leave(struct gw_cmd *cmd)
{
	gw_list_del(&cmd->on_nexus);
	cmd->state = GW_CMD_FREE;
	rig.live--;
}

bool
scsi_begin(struct gw_cmd *cmd)
{
	uint32_t len = gw_be32(cmd->cdb + 2), off = gw_be32(cmd->cdb + 6);

	rig.begun++;
	if (cmd->nexus->closing)
		abort();
	cmd->dir = cmd->cdb[0] == 0x28 ? GW_DIR_IN : cmd->cdb[0] == 0x2a ? GW_DIR_OUT : GW_DIR_NONE;
	cmd->data_len = cmd->dir ? len : 0;
	cmd->dma_align = rig.dma_align;
	cmd->lba = off;
	if (cmd->cdb[0] == 0xff || (uint64_t)off + cmd->data_len > RIG_DISK) {
		rig_check(cmd);
		return false;
	}
	rig.live++;
	cmd->state = GW_CMD_NEW;
	cmd->turn = cmd->cdb[1] & 2 ? GW_WAITS : GW_GO;
	gw_list_add_tail(&cmd->nexus->cmds, &cmd->on_nexus);
	return true;
}

static void
rig_move(struct gw_cmd *cmd)
{
	uint8_t *at = rig.disk + cmd->lba;
	uint32_t left = cmd->dir == GW_DIR_IN ? cmd->data_len : cmd->out_len;

	for (unsigned i = 0; i < cmd->niov && left > 0; i++) {
		uint32_t n = GW_MIN(left, (uint32_t)cmd->iov[i].iov_len);

		if (cmd->dir == GW_DIR_IN)
			memcpy(cmd->iov[i].iov_base, at, n);
		else
			memcpy(at, cmd->iov[i].iov_base, n);
		at += n;
		left -= n;
	}
	if (left > 0)
		abort();
	cmd->in_len = cmd->dir == GW_DIR_IN ? cmd->data_len : 0;
	cmd->moved = cmd->data_len;
}

static void
rig_finish(struct gw_cmd *cmd)
{
	if (!cmd->aborted)
		rig_move(cmd);
	rig_leave(cmd);
	cmd->nexus->xport->respond(cmd);
}

bool
scsi_lends(const struct gw_cmd *cmd)
{
	return false;
}

void
scsi_exec(struct gw_cmd *cmd)
{
	if (cmd->state != GW_CMD_NEW || cmd->turn != GW_GO)
		abort();
	rig.execs++;
	cmd->state = GW_CMD_EXEC;
	if (cmd->cdb[1] == 1 && rig.nheld < RIG_HELD) {
		rig.held[rig.nheld++] = cmd;
		return;
	}
	rig_finish(cmd);
}

void
scsi_forget(struct gw_cmd *cmd)
{
	if (cmd->state != GW_CMD_NEW)
		abort();
	rig.forgotten++;
	rig_leave(cmd);
}

static void
rig_turns(void)
{
	gw_list_each (n, &rig.nexuses, struct gw_nexus, node) {
		gw_list_each_safe (cmd, &n->cmds, struct gw_cmd, on_nexus) {
			if (cmd->turn == GW_GO)
				continue;
			cmd->turn = GW_GO;
			n->xport->turn(cmd);
		}
	}
}

static void
rig_release(void)
{
	struct gw_cmd *held[RIG_HELD];
	unsigned n;

	rig_turns();
	n = rig.nheld;
	memcpy(held, rig.held, sizeof(held));
	rig.nheld = 0;
	for (unsigned i = 0; i < n; i++)
		rig_finish(held[i]);
}

static void
rig_abort(struct gw_cmd *cmd, enum gw_abort how)
{
	cmd->aborted = how;
	for (unsigned i = 0; i < rig.nheld; i++) {
		if (rig.held[i] == cmd)
			rig.held[i] = rig.held[--rig.nheld];
	}
	rig_finish(cmd);
}

void
scsi_tmf(struct gw_tmf *tmf)
{
	tmf->rsp = GW_TMF_COMPLETE;
	if (tmf->fn == GW_TMF_ABORT_TASK)
		rig_abort(tmf->task, GW_ABORT_QUIET);
	if (tmf->fn == GW_TMF_LU_RESET) {
		gw_list_each_safe (cmd, &tmf->nexus->cmds, struct gw_cmd, on_nexus)
			rig_abort(cmd, GW_ABORT_TAS);
	}
	if (rig.tmf_slow)
		rig.slow_tmf = tmf;
	else
		tmf->done(tmf);
}

int
scsi_nexus_open(struct gw_nexus *n)
{
	gw_list_init(&n->cmds);
	gw_list_add_tail(&rig.nexuses, &n->node);
	return 0;
}

static void
rig_close(struct gw_hook *h)
{
	struct gw_nexus *n = gw_container(h, struct gw_nexus, close_hook);

	gw_list_each_safe (cmd, &n->cmds, struct gw_cmd, on_nexus)
		rig_abort(cmd, GW_ABORT_QUIET);
	if (rig.slow_tmf) {
		struct gw_tmf *tmf = rig.slow_tmf;

		rig.slow_tmf = NULL;
		tmf->done(tmf);
	}
	gw_list_del(&n->node);
	n->closed(n);
}

void
scsi_nexus_close(struct gw_nexus *n)
{
	if (n->closing)
		abort();
	n->closing = true;
	gw_hook_init(&n->close_hook, rig_close);
	gw_at_kick(n->core, &n->close_hook);
}

/* --- the loop --- */

static void
rig_grow(uint8_t **p, size_t *cap, size_t need)
{
	if (need <= *cap)
		return;
	*cap = need * 2;
	*p = realloc(*p, *cap);
}

static bool
rig_deliver(struct rig_end *e)
{
	struct gw_op *op = e->rx;
	uint32_t n = (uint32_t)GW_MIN(e->in_len - e->in_at, (size_t)e->rx_len);

	if (!op || (n == 0 && !e->eof && !e->rx_cancel))
		return false;
	e->rx = NULL;
	if (e->rx_cancel || n == 0) {
		int res = e->rx_cancel ? -ECANCELED : 0;

		e->rx_cancel = false;
		op->done(op, res);
		return true;
	}
	if (rig.split)
		n = GW_MIN(n, rig.split);
	if (e->rx_buf) {
		memcpy(e->rx_buf, e->in + e->in_at, n);
	} else {
		struct gw_chunk *c = calloc(1, sizeof(*c));

		c->data = malloc(n);
		memcpy(c->data, e->in + e->in_at, n);
		c->size = n;
		c->refs = 1;
		c->core = &rig.core;
		op->chunk = c;
		rig.chunks++;
	}
	e->in_at += n;
	op->done(op, (int)n);
	return true;
}

static bool
rig_take(struct rig_end *e)
{
	struct gw_op *op = e->tx;
	size_t n = 0;

	if (!op || (e->tx_stuck && !e->tx_cancel))
		return false;
	e->tx = NULL;
	if (e->tx_cancel) {
		e->tx_cancel = false;
		op->done(op, -ECANCELED);
		return true;
	}
	for (size_t i = 0; i < e->msg->msg_iovlen; i++) {
		const struct iovec *v = &e->msg->msg_iov[i];
		size_t m = v->iov_len;

		if (rig.send_max)
			m = GW_MIN(m, rig.send_max - n);
		rig_grow(&e->out, &e->out_cap, e->out_len + m);
		memcpy(e->out + e->out_len, v->iov_base, m);
		e->out_len += m;
		n += m;
	}
	op->done(op, (int)n);
	return true;
}

static bool
rig_hooks(struct gw_list *l)
{
	struct gw_list run;
	bool any = false;

	gw_list_init(&run);
	gw_list_splice_tail(&run, l);
	while (!gw_list_empty(&run)) {
		struct gw_hook *h = gw_list_first(&run, struct gw_hook, node);

		gw_list_del(&h->node);
		h->armed = false;
		h->fn(h);
		any = true;
	}
	return any;
}

/* One turn; false if there was nothing to do. */
static bool
rig_turn(void)
{
	bool any = false;

	for (unsigned i = 0; i < RIG_FDS; i++) {
		any |= rig_deliver(&rig.end[i]);
		any |= rig_take(&rig.end[i]);
	}
	any |= rig_polls();
	while (rig.msg_head) {
		struct gw_msg *m = rig.msg_head;

		rig.msg_head = m->next;
		if (!rig.msg_head)
			rig.msg_tail = &rig.msg_head;
		m->fn(&rig.core, m);
		any = true;
	}
	if (rig.buf_back) {
		struct gw_list woken;

		rig.buf_back = false;
		gw_list_init(&woken);
		gw_list_splice_tail(&woken, &rig.buf_waiters);
		while (!gw_list_empty(&woken)) {
			struct gw_waiter *w = gw_list_first(&woken, struct gw_waiter, node);

			gw_buf_unwait(w);
			w->wake(w);
		}
		any = true;
	}
	any |= rig_hooks(&rig.core.kick);
	any |= rig_hooks(&rig.core.flush);
	if (rig_ext.turn)
		any |= rig_ext.turn();
	return any;
}

static void
rig_run(void)
{
	unsigned turns = 0;

	while (rig_turn()) {
		if (++turns > 5000000)
			abort(); /* it spins */
	}
}

/* Lets time pass, firing timers in order. */
static void
rig_pass(uint64_t ms)
{
	uint64_t until = rig.ms + ms;

	for (;;) {
		struct gw_timer *first = NULL;

		gw_list_each (t, &rig.timers, struct gw_timer, node) {
			if (t->due <= until && (!first || t->due < first->due))
				first = t;
		}
		if (!first)
			break;
		rig.ms = GW_MAX(rig.ms, first->due);
		rig.core.now = GW_MAX(rig.core.now, rig.ms * 1000000ull);
		gw_timer_stop(first);
		first->fire(first);
		rig_run();
	}
	rig.ms = until;
	rig.core.now = GW_MAX(rig.core.now, rig.ms * 1000000ull);
}

static void
rig_init(void)
{
	memset(&rig, 0, offsetof(__typeof__(rig), disk));
	memset(&rig_ext, 0, sizeof(rig_ext));
	rig.nheld = rig.live = rig.begun = rig.execs = rig.forgotten = 0;
	rig.ms = 1000;
	rig.core.now = rig.ms * 1000000ull;
	rig.sends = 0;
	rig.tmf_slow = false;
	rig.slow_tmf = NULL;
	rig.core.stats = &rig.stats;
	gw_list_init(&rig.core.kick);
	gw_list_init(&rig.core.flush);
	gw_list_init(&rig.buf_waiters);
	gw_list_init(&rig.timers);
	gw_list_init(&rig.nexuses);
	rig.msg_tail = &rig.msg_head;
	rig.buf_limit = rig.buf_total = 64u << 20;
	rig.target.tid = 1;
	rig.target.ready = true;
	strcpy(rig.target.iqn, "iqn.2026-01.org.example:disk");
	rig.target.params.queue_depth = 16;
	rig.target.params.nop_interval = 15;
	rig.target.params.nop_count = 3;
	rig.targets[0] = &rig.target;
	rig.model.ready = true;
	rig.model.ntarget = 1;
	rig.model.target = rig.targets;
	rig.model.login_timeout_ms = 15000;
	rig.core.slot[GW_SLOT_MODEL] = &rig.model;
	rig.params = (struct iscsi_params){
	    .max_recv_dsl = 262144,
	    .max_xmit_dsl = 262144,
	    .max_burst = 262144,
	    .first_burst = 65536,
	    .max_outstanding_r2t = 1,
	    .immediate_data = true,
	    .time2wait = 2,
	    .protocol_level = 1,
	};
	gw_log_level_set(GW_LOG_ERR);
	if (iscsi_init())
		abort();
}

/* All pools are whole again, nothing is held; call when all connections have gone. */
static bool
rig_clean(void)
{
	struct iscsi_core *ic = rig.core.slot[GW_SLOT_ISCSI];
	bool ok = rig.buf_used == 0 && rig.chunks == 0 && ic->held == 0 && rig.live == 0 &&
		  ic->nconn == 0 && ic->nsess == 0 && ic->tasks.nfree == ic->tasks.total &&
		  ic->ctls.nfree == ic->ctls.total && ic->batches.nfree == ic->batches.total &&
		  ic->logins.nfree == ic->logins.total && rig.placed == 0 &&
		  iscsi_registry_count() == 0 && gw_list_empty(&rig.timers) &&
		  gw_list_empty(&rig.buf_waiters) && gw_list_empty(&ic->waiters);

	if (!ok)
		fprintf(stderr,
			"rig: buf=%llu chunks=%u live=%u conns=%u sess=%u tasks=%u/%u ctls=%u/%u "
			"batches=%u/%u logins=%u/%u placed=%u reg=%u timers=%d waiters=%d\n",
			(unsigned long long)rig.buf_used, rig.chunks, rig.live, ic->nconn,
			ic->nsess, ic->tasks.nfree, ic->tasks.total, ic->ctls.nfree, ic->ctls.total,
			ic->batches.nfree, ic->batches.total, ic->logins.nfree, ic->logins.total,
			rig.placed, iscsi_registry_count(), !gw_list_empty(&rig.timers),
			!gw_list_empty(&rig.buf_waiters));
	return ok;
}

static void
rig_fini(void)
{
	for (unsigned i = 0; i < RIG_FDS; i++) {
		free(rig.end[i].in);
		free(rig.end[i].out);
	}
	iscsi_fini();
}

/* --- the initiator's end --- */

/* A new connection; the number of its end. */
static int
rig_connect(void)
{
	struct sockaddr_storage none = {.ss_family = AF_UNIX};
	int i = 0;
	struct iscsi_conn *c;

	while (i < RIG_FDS && rig.end[i].used)
		i++;
	if (i == RIG_FDS)
		abort();
	free(rig.end[i].in);
	free(rig.end[i].out);
	memset(&rig.end[i], 0, sizeof(rig.end[i]));
	rig.end[i].used = true;
	c = tcp_conn_new(gw_place(), RIG_FD0 + i, &none, &none);
	iscsi_conn_start(c);
	return i;
}

static void
rig_put(int end, const void *p, size_t n)
{
	struct rig_end *e = &rig.end[end];

	rig_grow(&e->in, &e->in_cap, e->in_len + n);
	memcpy(e->in + e->in_len, p, n);
	e->in_len += n;
}

/* A PDU with its length, padding and digests. */
static void
rig_pdu(int end, uint8_t *bhs, const void *data, uint32_t len, bool hdig, bool ddig)
{
	static const uint8_t zero[4];
	uint32_t crc;

	gw_put_be24(bhs + ISCSI_AT_DSL, len);
	rig_put(end, bhs, ISCSI_BHS_LEN);
	crc = gw_crc32c(bhs, ISCSI_BHS_LEN);
	if (hdig)
		rig_put(end, &crc, 4);
	if (len == 0)
		return;
	rig_put(end, data, len);
	rig_put(end, zero, iscsi_pad(len));
	crc = gw_crc32c_add(gw_crc32c_add(GW_CRC32C_INIT, data, len), zero, iscsi_pad(len));
	crc = gw_crc32c_end(crc);
	if (ddig)
		rig_put(end, &crc, 4);
}

/* The next PDU that came back: its header, its data; false if there is none. Checks digests. */
static bool
rig_get(int end, const uint8_t **bhs, const uint8_t **data, uint32_t *len, bool hdig, bool ddig)
{
	struct rig_end *e = &rig.end[end];
	const uint8_t *p = e->out + e->out_at;
	size_t have = e->out_len - e->out_at, need;
	uint32_t crc;

	if (have < ISCSI_BHS_LEN)
		return false;
	*bhs = p;
	*len = iscsi_dsl(p);
	need = ISCSI_BHS_LEN + (hdig ? 4 : 0) + *len + iscsi_pad(*len) + (ddig && *len ? 4 : 0);
	if (have < need)
		return false;
	*data = p + ISCSI_BHS_LEN + (hdig ? 4 : 0);
	memcpy(&crc, p + ISCSI_BHS_LEN, 4);
	if (hdig && crc != gw_crc32c(p, ISCSI_BHS_LEN))
		abort();
	if (ddig && *len) {
		memcpy(&crc, p + need - 4, 4);
		if (crc != gw_crc32c(*data, *len + iscsi_pad(*len)))
			abort();
	}
	e->out_at += need;
	return true;
}

static void
rig_login_pdu(int end, char isid, uint16_t tsih, uint16_t cid, const char *text)
{
	uint8_t bhs[ISCSI_BHS_LEN] = {ISCSI_OP_LOGIN_REQ | ISCSI_OP_IMMEDIATE, 0x87};

	bhs[ISCSI_AT_ISID + 5] = (uint8_t)isid;
	gw_put_be16(bhs + ISCSI_AT_TSIH, tsih);
	gw_put_be16(bhs + ISCSI_AT_CID, cid);
	gw_put_be32(bhs + ISCSI_AT_CMDSN, 1);
	rig_pdu(end, bhs, text, (uint32_t)strlen(text), false, false);
}

/* A logged-in connection, or -1. */
static int
rig_login(char isid)
{
	int end = rig_connect();
	const uint8_t *bhs, *data;
	uint32_t len;

	rig_login_pdu(end, isid, 0, 1, "");
	rig_run();
	if (!rig_get(end, &bhs, &data, &len, false, false) || bhs[0] != ISCSI_OP_LOGIN_RSP ||
	    gw_be16(bhs + ISCSI_AT_LOGIN_STATUS) != 0)
		return -1;
	return end;
}

/* The peer goes away. */
static void
rig_hangup(int end)
{
	rig.end[end].eof = true;
	rig_run();
	rig.end[end].used = false;
}

#endif
