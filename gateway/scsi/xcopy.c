/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * EXTENDED COPY(LID1) (SPC-4 6.4). Its CSCDs are LUs of the target that the session is logged in
 * to, and no others. Segments are processed one after the other; the first that fails ends the
 * command, and the sense data says which.
 */
#include "gateway/scsi/copy_priv.h"

#define ID_SELF 0xffff /* the LU that the command is for (SPC-4 6.4.6.1) */

bool
scsi_xcopy_prep(struct gw_cmd *cmd)
{
	if (cmd->data_len <= 2 * (XCOPY_HEADER + XCOPY_LIST_MAX))
		return true;
	return scsi_check(cmd, SENSE_PARAM_LENGTH);
}

static void
finish(struct scsi_copy *c)
{
	struct gw_cmd *cmd = c->cmd;

	if (!cmd->aborted)
		scsi_copy_remember(c);
	for (unsigned i = 0; i < c->list.ncscd; i++)
		if (c->cscd[i])
			scsi_copy_release(c->cscd[i]);
	scsi_copy_free(c);
	gw_cmd_complete(cmd);
}

/* The status is that of an LU: it becomes the copy manager's, unless nothing has happened yet. */
static void
fail_by_unit(struct scsi_copy *c)
{
	if (!c->cmd->aborted && (c->moved || c->cmd->status != SAM_BUSY))
		scsi_check_copied(c->cmd, SENSE_COPY(COPY_DEVICE_FAILURE), (uint16_t)c->seg,
				  c->failed == COPY_DST);
	finish(c);
}

/* The segment descriptor is at fault; byte of it, or 0. */
static bool
bad_segment(struct scsi_copy *c, uint16_t ascq, unsigned byte)
{
	scsi_check_segment(c->cmd, SENSE_COPY(ascq), (uint16_t)c->seg, byte);
	return false;
}

/* Looking up. */

struct lookup {
	struct xcopy_cscd d[XCOPY_CSCDS];
	bool twice[XCOPY_CSCDS];
};

static void
compare(struct scsi_copy *c, struct lookup *l, struct scsi_lu *lu)
{
	struct scsi_lu_core *luc = &lu->core[c->cmd->nexus->core->id];
	const struct scsi_lu_conf *conf = &luc->view->conf;

	if (conf->kind != SCSI_KIND_DISK)
		return;
	for (unsigned i = 0; i < c->list.ncscd; i++) {
		if (!l->d[i].named || memcmp(conf->naa, l->d[i].naa, sizeof(conf->naa)) != 0)
			continue;
		/* A name that two LUs bear names neither: which of them was meant? */
		l->twice[i] |= c->cscd[i] != NULL;
		c->cscd[i] = luc;
	}
}

/* False: a descriptor contradicts its LU. */
static bool
find_units(struct scsi_copy *c)
{
	const struct gw_nexus *n = c->cmd->nexus;
	struct lookup l = {.twice = {false}};

	for (unsigned i = 0; i < c->list.ncscd; i++)
		scsi_xcopy_cscd(c->cmd, i, &l.d[i]);
	for (uint32_t i = 0; i < n->nitl; i++)
		compare(c, &l, n->itl[i].lu);
	for (unsigned i = 0; i < c->list.ncscd; i++) {
		if (l.twice[i])
			c->cscd[i] = NULL;
		if (c->cscd[i])
			scsi_copy_hold(c->cscd[i]);
	}
	for (unsigned i = 0; i < c->list.ncscd; i++) {
		if (!c->cscd[i] || !l.d[i].blk_len ||
		    l.d[i].blk_len == c->cscd[i]->view->conf.block_size)
			continue;
		return scsi_check_param(c->cmd, XCOPY_HEADER + i * XCOPY_CSCD_LEN + 29, 7);
	}
	return true;
}

/* One end of the segment; false: the sense is set. */
static bool
find_side(struct scsi_copy *c, const struct xcopy_seg *s, unsigned which)
{
	struct copy_side *side = &c->side[which];
	unsigned id = s->id[which];
	struct xcopy_cscd d;

	side->luc = c->cmd->luc;
	if (id != ID_SELF) {
		if (id >= c->list.ncscd)
			return bad_segment(c, COPY_UNREACHABLE_ID, 4 + 2 * which);
		scsi_xcopy_cscd(c->cmd, id, &d);
		if (d.type != 0)
			return bad_segment(c, COPY_WRONG_TYPE, 4 + 2 * which);
		if (!c->cscd[id])
			return bad_segment(c, COPY_NOT_REACHABLE, 4 + 2 * which);
		side->luc = c->cscd[id];
	}
	side->shift = side->luc->view->shift;
	return true;
}

/* Bytes of the segment, which are whole blocks at both ends. */
static bool
measure(struct scsi_copy *c, const struct xcopy_seg *s)
{
	uint8_t shift = GW_MAX(c->side[COPY_SRC].shift, c->side[COPY_DST].shift);
	bool bytes = s->type == XCOPY_B2B_OFF;
	unsigned count_at = bytes ? 8 : 10;

	if (bytes && (s->byte[COPY_SRC] || s->byte[COPY_DST]))
		return bad_segment(c, COPY_GRANULARITY, s->byte[COPY_SRC] ? 28 : 30);
	c->len =
	    bytes ? s->count : (uint64_t)s->count << c->side[s->dc ? COPY_DST : COPY_SRC].shift;
	if (c->len & ((1ull << shift) - 1))
		return bad_segment(c, bytes ? COPY_GRANULARITY : COPY_INEXACT, count_at);
	return c->len <= XCOPY_SEG_MAX || bad_segment(c, COPY_GRANULARITY, count_at);
}

static bool
check_range(struct scsi_copy *c, const struct xcopy_seg *s, unsigned which)
{
	struct copy_side *side = &c->side[which];

	if (!scsi_medium_sense(side->luc->view) &&
	    !gw_range_ok(s->lba[which], c->len >> side->shift, side->luc->view->nblk))
		return bad_segment(c, COPY_NO_MORE, 12 + 8 * which);
	return gw_shl_u64(s->lba[which], side->shift, &side->off) ||
	       bad_segment(c, COPY_NO_MORE, 12 + 8 * which);
}

static void
next_segment(struct scsi_copy *c)
{
	struct xcopy_seg s;

	for (; c->seg < c->list.nseg; c->seg++) {
		c->seg_at = scsi_xcopy_segment(c->cmd, c->seg_at, &s);
		if (!find_side(c, &s, COPY_SRC) || !find_side(c, &s, COPY_DST) || !measure(c, &s) ||
		    !check_range(c, &s, COPY_SRC) || !check_range(c, &s, COPY_DST)) {
			finish(c);
			return;
		}
		if (c->len) {
			scsi_copy_range(c);
			return;
		}
	}
	c->cmd->status = SAM_GOOD;
	c->cmd->moved = c->cmd->data_len;
	finish(c);
}

static void
ended(struct scsi_copy *c, bool ok)
{
	if (!ok) {
		fail_by_unit(c);
		return;
	}
	c->seg++;
	next_segment(c);
}

void
scsi_exec_xcopy(struct gw_cmd *cmd)
{
	struct xcopy_list list;
	struct scsi_copy *c;

	if (!cmd->data_len) {
		scsi_good(cmd);
		return;
	}
	if (!scsi_xcopy_parse(cmd, &list)) {
		gw_cmd_complete(cmd);
		return;
	}
	if (list.usage != LIST_ID_NONE && scsi_copy_find(cmd, list.list_id)) {
		scsi_fail(cmd, SENSE_IN_PROGRESS);
		return;
	}
	c = scsi_copy_new(cmd);
	if (!c) {
		cmd->status = SAM_BUSY;
		gw_cmd_complete(cmd);
		return;
	}
	c->list = list;
	c->seg_at = list.segs_at;
	c->ended = ended;
	if (list.usage != LIST_ID_NONE)
		scsi_copy_forget(cmd, list.list_id);
	if (find_units(c))
		next_segment(c);
	else
		finish(c);
}
