/* SPDX-License-Identifier: BSD-3-Clause */
/* SCSI Command PDUs (RFC 7143 11.3) and the life of a task. */
#include <string.h>

#include "iscsi/conn.h"
#include "iscsi/session.h"

#define HELD_PART 2 /* of what a connection may have: for commands that wait for others */

static struct iscsi_task **
hash_at(const struct iscsi_conn *c, uint32_t itt)
{
	return &c->sess->hash[(itt * 2654435761u >> 12) & c->sess->hash_mask];
}

struct iscsi_task *
iscsi_task_find(struct iscsi_conn *c, uint32_t itt)
{
	struct iscsi_task *t = *hash_at(c, itt);

	while (t && t->itt != itt)
		t = t->hash_next;
	return t;
}

static void
hash_del(struct iscsi_task *t)
{
	struct iscsi_task **p = hash_at(t->conn, t->itt);

	while (*p != t)
		p = &(*p)->hash_next;
	*p = t->hash_next;
}

void
iscsi_task_freed(struct iscsi_conn *c)
{
	bool waits = !gw_list_empty(&c->parked) || !gw_list_empty(&c->unasked) ||
		     c->rx.stop & ISCSI_STOP_MEM;

	if (waits && !c->dying)
		gw_at_kick(c->core, &c->rx_hook);
}

/* Its buffer is being received into. */
static bool
held(const struct iscsi_task *t)
{
	return t->conn->rx.task == t || t->moving;
}

static void
count_held(struct iscsi_task *t, int64_t bytes)
{
	t->conn->held += (uint64_t)bytes;
	t->conn->ic->held += (uint64_t)bytes;
}

void
iscsi_task_free_data(struct iscsi_task *t)
{
	/* Data may be on its way into the buffer: then the end of that frees it. */
	if (held(t))
		return;
	gw_cmd_give_back(&t->cmd);
	if (t->sg.n) {
		t->conn->mem -= t->sg.len;
		if (t->waits)
			count_held(t, -(int64_t)t->sg.len);
		gw_buf_put(t->conn->core, &t->sg);
		iscsi_task_freed(t->conn);
	}
	if (t->kept)
		t->conn->wire->unkeep(t);
	t->kept = NULL;
}

void
iscsi_task_settle(struct iscsi_task *t)
{
	struct iscsi_conn *c = t->conn;

	if (t->begun || t->running || t->awaiting || t->parked || t->answer || t->tx.queued ||
	    held(t))
		return;
	iscsi_task_answered(t);
	iscsi_task_free_data(t);
	if (!t->tagless)
		hash_del(t);
	if (t->immediate)
		c->nimm--;
	c->ntask--;
	gw_pool_put(&c->ic->tasks, t);
	iscsi_core_wake(c->ic);
	iscsi_conn_poke(c);
}

void
iscsi_task_answered(struct iscsi_task *t)
{
	t->told = true;
	if (!t->counted)
		return;
	t->counted = false;
	t->conn->win.max_cmdsn++;
}

void
iscsi_task_await(struct iscsi_task *t, bool on)
{
	if (t->awaiting == on)
		return;
	t->awaiting = on;
	if (on) {
		t->stamp = t->conn->core->now;
		gw_list_add_tail(&t->conn->awaiting, &t->node);
	} else {
		gw_list_del(&t->node);
	}
}

bool
iscsi_task_is_ghost(const struct iscsi_task *t)
{
	return t->awaiting && t->swallow && !t->answer && !t->tx.queued && !held(t);
}

void
iscsi_task_bury(struct iscsi_task *t)
{
	iscsi_task_await(t, false);
	iscsi_r2t_end(t);
	iscsi_task_settle(t);
}

bool
iscsi_task_bury_one(struct iscsi_conn *c)
{
	gw_list_each (t, &c->awaiting, struct iscsi_task, node) {
		if (!iscsi_task_is_ghost(t))
			continue;
		iscsi_task_bury(t);
		return true;
	}
	return false;
}

static void
park(struct iscsi_task *t)
{
	struct gw_list *at = t->conn->parked.next;

	if (t->parked)
		return;
	iscsi_task_await(t, false);
	t->parked = true;
	/* Who has memory waits for a slot alone, and goes before those who wait for memory. */
	if (t->sg.n) {
		while (at != &t->conn->parked && gw_container(at, struct iscsi_task, node)->sg.n)
			at = at->next;
	} else {
		at = &t->conn->parked;
	}
	gw_list_add_tail(at, &t->node);
}

/*
 * More than `max` with this one? A connection may always have one command's memory. Those that wait
 * for others share a part that never keeps these from theirs: of all connections what one may have.
 */
static bool
over(const struct iscsi_task *t, uint64_t max)
{
	const struct iscsi_conn *c = t->conn;
	uint64_t mem = c->mem - c->held;

	if (t->waits)
		return c->held + t->cmd.data_len > max ||
		       c->ic->held + t->cmd.data_len > c->ic->mem_max;
	return mem > 0 && mem + t->cmd.data_len > max;
}

static bool
get_buf(struct iscsi_task *t, uint64_t max)
{
	if (t->cmd.data_len == 0 || t->sg.n || t->kept)
		return true;
	if (over(t, max))
		return false;
	if (!gw_buf_get(t->conn->core, t->cmd.data_len, &t->sg)) {
		gw_buf_wait(t->conn->core, &t->conn->buf_waiter);
		iscsi_famine(t->conn->ic);
		return false;
	}
	t->conn->mem += t->sg.len;
	if (t->waits)
		count_held(t, t->sg.len);
	/* What the initiator does not send must not be somebody else's data. */
	if (t->cmd.dir == GW_DIR_OUT && t->want < t->cmd.data_len) {
		for (unsigned i = 0; i < t->sg.n; i++)
			memset(t->sg.iov[i].iov_base, 0, t->sg.iov[i].iov_len);
	}
	return true;
}

bool
iscsi_task_need_buf(struct iscsi_task *t)
{
	return get_buf(t, t->conn->ic->mem_max);
}

static bool
try_exec(struct iscsi_task *t)
{
	if (!scsi_lends(&t->cmd) && !iscsi_task_need_buf(t))
		return false;
	if (t->kept) {
		t->cmd.iov = &t->kept_iov;
		t->cmd.niov = 1;
	} else {
		t->cmd.iov = t->sg.n ? t->sg.iov : NULL;
		t->cmd.niov = t->sg.n;
	}
	t->cmd.out_len = t->want;
	t->begun = false;
	t->running = true;
	scsi_exec(&t->cmd);
	return true;
}

/* All sequences so far are in: the task has its data, or asks for the rest. */
static bool
try_go_on(struct iscsi_task *t)
{
	if (t->got < t->want) {
		if (!t->conn->wire->solicit(t))
			return false;
	} else if (!try_exec(t)) {
		return false;
	}
	return true;
}

void
iscsi_task_unpark(struct iscsi_conn *c)
{
	while (!gw_list_empty(&c->parked) && !c->dying) {
		struct iscsi_task *t = gw_list_first(&c->parked, struct iscsi_task, node);

		gw_list_del(&t->node);
		t->parked = false;
		if (try_go_on(t))
			continue;
		t->parked = true;
		gw_list_add_head(&c->parked, &t->node);
		break;
	}
	iscsi_r2t_go_on(c);
}

void
iscsi_task_advance(struct iscsi_task *t)
{
	struct iscsi_conn *c = t->conn;

	if (t->unsol || t->got < t->asked)
		return;
	if (t->swallow) {
		iscsi_task_await(t, false);
		iscsi_r2t_end(t);
		if (t->answer) {
			t->answer = false;
			iscsi_respond(&t->cmd);
		}
		return;
	}
	if (t->got >= t->want) {
		iscsi_task_await(t, false);
		iscsi_r2t_end(t);
	}
	if (t->waits) {
		iscsi_task_await(t, false);
		return;
	}
	/* First come, first served, but what they wait for may be the memory that this one has. */
	if ((!gw_list_empty(&c->parked) && !t->sg.n && !t->kept) || !try_go_on(t))
		park(t);
}

void
iscsi_turn(struct gw_cmd *cmd)
{
	struct iscsi_task *t = gw_container(cmd, struct iscsi_task, cmd);

	count_held(t, -(int64_t)t->sg.len);
	t->waits = false;
	/* In the middle of a PDU its end goes on; of a dying connection all commands are aborted.
	 */
	if (t->conn->rx.task != t && !t->conn->dying)
		iscsi_task_advance(t);
}

void
iscsi_task_moved(struct iscsi_task *t)
{
	t->got = t->asked;
	iscsi_task_advance(t);
	t->moving = false;
	/* Over already, and with nothing to send: what it would have freed was held until now. */
	if (!t->begun && !t->running && t->got >= t->want && t->send_len == 0)
		iscsi_task_free_data(t);
	iscsi_task_settle(t);
}

/*
 * 11.2.1.8: a tag is the initiator's again once it has the status, which may be long before our
 * send has ended: other answers follow in it.
 */
static bool
take_tag(struct iscsi_task *t)
{
	if (!t->told && !iscsi_task_is_ghost(t))
		return false;
	hash_del(t);
	t->tagless = true;
	iscsi_task_bury(t);
	return true;
}

/* --- the PDU ------------------------------------------------------------------------------------
 */

/* What 11.3 demands of the header; 0 or an enum iscsi_reject. */
static uint8_t
check(const struct iscsi_conn *c, const uint8_t *bhs)
{
	uint8_t flags = bhs[ISCSI_AT_FLAGS];
	uint32_t edtl = gw_be32(bhs + ISCSI_AT_EDTL), len = c->rx.len;
	bool w = flags & ISCSI_CMD_W, final = flags & ISCSI_FLAG_F;

	if (gw_be32(bhs + ISCSI_AT_ITT) == ISCSI_RESERVED_TAG)
		return ISCSI_REJECT_INVALID_FIELD;
	if ((flags & ISCSI_CMD_ATTR) > GW_ATTR_ACA)
		return ISCSI_REJECT_INVALID_FIELD;
	/* No command here moves data both ways. */
	if (w && (flags & ISCSI_CMD_R))
		return ISCSI_REJECT_INVALID_FIELD;
	/* 11.3.1: without W nothing follows; with InitialR2T (13.10) nothing may. */
	if (!final && (!w || c->params.initial_r2t))
		return ISCSI_REJECT_PROTOCOL;
	if (len == 0)
		return 0;
	/* 13.11, 13.14: immediate data only if agreed, at most FirstBurstLength, at most all of it.
	 */
	if (!w || !c->params.immediate_data || len > c->params.first_burst || len > edtl)
		return ISCSI_REJECT_PROTOCOL;
	return 0;
}

static void
fill(struct iscsi_conn *c, struct iscsi_task *t)
{
	const uint8_t *bhs = c->rx.head;
	uint8_t flags = bhs[ISCSI_AT_FLAGS];
	struct gw_cmd *cmd = &t->cmd;

	memset(t, 0, offsetof(struct iscsi_task, sg));
	t->sg.n = t->sg.len = 0;
	gw_list_init(&t->tx.node);
	gw_list_init(&t->node);
	t->conn = c;
	t->itt = gw_be32(bhs + ISCSI_AT_ITT);
	t->cmdsn = gw_be32(bhs + ISCSI_AT_CMDSN);
	t->immediate = iscsi_immediate(bhs);
	t->slot = -1;
	cmd->nexus = &c->sess->nexus;
	cmd->lun = gw_lun_decode(bhs + ISCSI_AT_LUN);
	cmd->want_dir = flags & ISCSI_CMD_R   ? GW_DIR_IN
			: flags & ISCSI_CMD_W ? GW_DIR_OUT
					      : GW_DIR_NONE;
	cmd->edtl = cmd->want_dir == GW_DIR_NONE ? 0 : gw_be32(bhs + ISCSI_AT_EDTL);
	cmd->attr = flags & ISCSI_CMD_ATTR;
	cmd->state = GW_CMD_FREE;
	cmd->turn = GW_GO;
	cmd->aborted = GW_ABORT_NONE;
	cmd->iov = NULL;
	cmd->niov = 0;
	/*
	 * A digest is computed here, and of data that must not change until it has gone. An RDMA
	 * device does not know memory that is lent.
	 */
	cmd->lend = c->wire->rdma ? 0 : c->ddig ? BE_LEND_CONST : BE_LEND;
	cmd->io.give_back = NULL;
	cmd->dir = GW_DIR_NONE;
	cmd->data_len = cmd->dma_align = cmd->out_len = cmd->in_len = cmd->moved = 0;
	cmd->status = SAM_GOOD;
	cmd->sense_len = 0;
}

/* The command is known to be answered without its data, which has to be received nevertheless. */
static void
refuse(struct iscsi_task *t)
{
	t->begun = false;
	t->swallow = true;
	t->answer = true;
	t->want = 0;
}

/* There is no memory for it. */
static void
give_up(struct iscsi_task *t)
{
	scsi_forget(&t->cmd);
	t->cmd.status = SAM_TASK_SET_FULL;
	t->cmd.sense_len = 0;
	refuse(t);
}

/* What those before them wait for may be the memory that these have. */
void
iscsi_task_yield(struct iscsi_conn *c)
{
	if (!c->held || c->dying)
		return;
	gw_list_each_safe (cmd, &c->sess->nexus.cmds, struct gw_cmd, on_nexus) {
		struct iscsi_task *t = gw_container(cmd, struct iscsi_task, cmd);

		if (!t->waits || !t->sg.n || held(t))
			continue;
		give_up(t);
		iscsi_task_free_data(t);
		iscsi_task_advance(t);
	}
}

static void
announce(struct iscsi_conn *c, struct iscsi_task *t)
{
	struct gw_cmd *cmd = &t->cmd;

	if (!t->swallow && cmd->dir == GW_DIR_OUT && cmd->want_dir == GW_DIR_OUT)
		t->want = GW_MIN(cmd->edtl, cmd->data_len);
	t->asked = c->rx.len;
	if (c->rx.head[ISCSI_AT_FLAGS] & ISCSI_FLAG_F)
		return;
	t->unsol = true;
	t->seq_end = GW_MIN(c->params.first_burst, cmd->edtl);
	t->asked = t->seq_end;
	iscsi_task_await(t, true);
}

/*
 * All that the command takes is in its PDU, and may stay where it is, unless that may be long: what
 * it lies in is needed to receive the data of those that it waits for.
 */
static bool
keep(struct iscsi_conn *c, struct iscsi_task *t)
{
	return c->rx.len > 0 && !t->unsol && !t->waits && c->rx.len == t->want &&
	       c->rx.len == t->cmd.data_len && c->wire->keep(c, t);
}

/*
 * Memory for data that comes with the command or unasked. With none to be had we stop reading,
 * unless that would lock out the data of this connection's own writes: then it may have twice as
 * much memory as others, and beyond that the command is refused. So is one that waits for others.
 */
static enum iscsi_rx
place_data(struct iscsi_conn *c, struct iscsi_task *t)
{
	struct iscsi_rxq *rx = &c->rx;
	bool others = t->waits || (t->unsol ? c->awaiting.next != c->awaiting.prev
					    : !gw_list_empty(&c->awaiting));
	uint64_t max = t->waits ? c->ic->mem_max / HELD_PART
		       : others ? 2 * c->ic->mem_max
				: c->ic->mem_max;

	if (t->want == 0 || (rx->len == 0 && !t->unsol))
		return ISCSI_RX_OK;
	if (!keep(c, t) && !get_buf(t, max)) {
		if (!others)
			return iscsi_rx_wait(c, over(t, c->ic->mem_max) ? ISCSI_STOP_MEM
									: ISCSI_STOP_BUF);
		give_up(t);
		return ISCSI_RX_OK;
	}
	iscsi_rx_to_task(c, t, 0);
	return ISCSI_RX_OK;
}

static enum iscsi_rx
start(struct iscsi_conn *c, struct iscsi_task *t)
{
	struct iscsi_task **bucket;

	bucket = hash_at(c, t->itt);
	t->hash_next = *bucket;
	*bucket = t;
	c->ntask++;
	c->rx.task = t;
	if (t->immediate) {
		c->nimm++;
	} else {
		t->counted = true;
		c->win.max_cmdsn--;
	}
	t->begun = true;
	if (!scsi_begin(&t->cmd))
		refuse(t);
	t->waits = t->cmd.turn != GW_GO;
	announce(c, t);
	return place_data(c, t);
}

enum iscsi_rx
iscsi_cmd_begin(struct iscsi_conn *c)
{
	struct iscsi_rxq *rx = &c->rx;
	struct iscsi_task *t = rx->task, *same;
	uint8_t reject = check(c, rx->head);
	enum iscsi_rx v;

	if (t)
		return t->begun ? place_data(c, t) : ISCSI_RX_OK;
	v = iscsi_ctl_ready(c);
	if (v != ISCSI_RX_OK)
		return v;
	if (c->ic->tasks.nfree == 0)
		return iscsi_rx_wait(c, ISCSI_STOP_POOL);
	v = iscsi_ffp_cmdsn(c);
	if (v != ISCSI_RX_OK || rx->ignore)
		return v;
	gw_stat_add(c->sess->nexus.stats.cmd_pdus, 1);
	same = reject ? NULL : iscsi_task_find(c, gw_be32(rx->head + ISCSI_AT_ITT));
	if (same && !take_tag(same))
		reject = ISCSI_REJECT_IN_PROGRESS;
	if (!reject && iscsi_immediate(rx->head) && c->nimm >= ISCSI_IMM_MAX)
		reject = ISCSI_REJECT_IMMEDIATE;
	t = reject ? NULL : gw_pool_get(&c->ic->tasks);
	if (t) {
		fill(c, t);
		if (!iscsi_pdu_cdb(rx->head, rx->head + ISCSI_BHS_LEN, t->cmd.cdb, GW_CDB_MAX,
				   &t->cmd.cdb_len)) {
			gw_pool_put(&c->ic->tasks, t);
			reject = ISCSI_REJECT_INVALID_FIELD;
		}
	}
	if (reject) {
		rx->reject = reject;
		return ISCSI_RX_OK;
	}
	return start(c, t);
}

enum iscsi_rx
iscsi_cmd_end(struct iscsi_conn *c)
{
	struct iscsi_task *t = c->rx.task;

	t->got = c->rx.len;
	iscsi_task_advance(t);
	return ISCSI_RX_OK;
}
