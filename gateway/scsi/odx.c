/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * POPULATE TOKEN and WRITE USING TOKEN (SBC-4 5.10, 5.48; Windows calls them offloaded data
 * transfer). IMMED makes no difference: both end when all is done, and the amount of work is
 * bounded.
 */
#include "gateway/scsi/copy_priv.h"
#include "gateway/scsi/token_priv.h"

#define OFFSET_AT 8

/* POPULATE TOKEN. */

static void
populated(struct gw_core *on, struct gw_msg *msg)
{
	struct gw_cmd *cmd = gw_container(msg, struct gw_cmd, msg);

	cmd->luc = &cmd->lu->core[on->id];
	scsi_odx_populated(cmd);
	scsi_good(cmd);
}

static void
shown(struct scsi_change *ch)
{
	struct gw_cmd *cmd = scsi_change_cmd(ch);

	scsi_token_shown(gw_container(ch, struct scsi_token, ch));
	cmd->msg.fn = populated;
	gw_send(cmd->nexus->core, &cmd->msg);
}

static void
show_at_home(struct gw_cmd *cmd)
{
	scsi_token_show((struct scsi_token *)(uintptr_t)cmd->scratch[1], cmd, shown);
}

void
scsi_exec_populate_token(struct gw_cmd *cmd)
{
	struct scsi_token *t;
	struct odx_list list;

	if (!cmd->data_len) {
		scsi_good(cmd);
		return;
	}
	if (!scsi_odx_parse(cmd, &list)) {
		gw_cmd_complete(cmd);
		return;
	}
	if (scsi_odx_busy(cmd)) {
		scsi_fail(cmd, SENSE_IN_PROGRESS);
		return;
	}
	t = scsi_token_new(cmd, &list);
	if (!t) {
		cmd->status = SAM_BUSY;
		gw_cmd_complete(cmd);
		return;
	}
	scsi_odx_populates(cmd, t);
	cmd->scratch[1] = (uint64_t)(uintptr_t)t;
	scsi_home_begin(cmd, show_at_home);
}

/* WRITE USING TOKEN. */

static void
finish(struct scsi_copy *c)
{
	struct gw_cmd *cmd = c->cmd;
	struct scsi_token *t;

	if (!cmd->aborted)
		scsi_odx_written(c);
	if (!cmd->aborted && cmd->status == SAM_GOOD && c->odx.deletes && c->held) {
		t = scsi_token_find(c->held->view, cmd, TOKEN_AT);
		if (t)
			scsi_token_delete(t);
	}
	if (c->held)
		scsi_copy_release(c->held);
	scsi_copy_free(c);
	gw_cmd_complete(cmd);
}

/* What the token stands for, as it was; NULL with the sense set. */
static struct scsi_token *
valid_token(struct scsi_copy *c)
{
	struct scsi_token *t = scsi_token_find(c->held->view, c->cmd, TOKEN_AT);
	uint64_t now = c->cmd->nexus->core->now;
	uint32_t sense = t ? scsi_token_sense(t, now) : SENSE_TOKEN_UNKNOWN;

	if (!sense) {
		atomic_store_explicit(&t->used, now, memory_order_relaxed);
		return t;
	}
	scsi_check(c->cmd, sense);
	c->failed = COPY_DST;
	return NULL;
}

static bool
still_valid(struct scsi_copy *c)
{
	return valid_token(c) != NULL;
}

/* Where byte pos of a row of ranges is: the rest of that range. */
static struct token_range
cut(struct token_range r, uint64_t skip)
{
	return (struct token_range){r.off + skip, r.len - skip};
}

static struct token_range
token_place(const struct scsi_token *t, uint64_t pos)
{
	unsigned i = 0;

	for (; pos >= t->range[i].len; i++)
		pos -= t->range[i].len;
	return cut(t->range[i], pos);
}

static struct token_range
medium_place(const struct scsi_copy *c, uint64_t pos)
{
	struct token_range r = scsi_odx_range(c->cmd, &c->odx, 0);

	for (unsigned i = 1; pos >= r.len; i++) {
		pos -= r.len;
		r = scsi_odx_range(c->cmd, &c->odx, i);
	}
	return cut(r, pos);
}

/* The token may have had less than was asked for, which is told with how much that was. */
static void
all_moved(struct scsi_copy *c)
{
	struct gw_cmd *cmd = c->cmd;

	if (c->odx.is_short) {
		scsi_check_info(cmd, SENSE_COPY(COPY_UNDERRUN), c->moved >> c->odx.shift);
	} else {
		cmd->status = SAM_GOOD;
		cmd->moved = cmd->data_len;
	}
	finish(c);
}

static void
next_range(struct scsi_copy *c)
{
	struct token_range from, to;
	struct scsi_token *t;

	if (c->moved == c->odx.bytes) {
		all_moved(c);
		return;
	}
	to = medium_place(c, c->moved);
	c->side[COPY_DST].off = to.off;
	c->len = to.len;
	if (c->held) {
		t = valid_token(c);
		if (!t) {
			finish(c);
			return;
		}
		from = token_place(t, (c->odx.offset << t->shift) + c->moved);
		c->side[COPY_SRC].off = from.off;
		c->len = GW_MIN(c->len, from.len);
	}
	scsi_copy_range(c);
}

static void
ended(struct scsi_copy *c, bool ok)
{
	if (ok) {
		next_range(c);
		return;
	}
	/* What the LU that is read would have answered is not this LU's answer. */
	if (!c->cmd->aborted && c->failed == COPY_SRC && (c->moved || c->cmd->status != SAM_BUSY))
		scsi_check_copied(c->cmd, SENSE_COPY(COPY_DEVICE_FAILURE), 0, false);
	finish(c);
}

/* The LU of the token, which is one that this session sees; NULL with the sense set. */
static struct scsi_lu_core *
find_source(struct gw_cmd *cmd, struct odx_list *list)
{
	const struct gw_nexus *n = cmd->nexus;
	uint8_t shift = scsi_view_of(cmd)->shift;
	uint64_t at;

	for (uint32_t i = 0; i < n->nitl; i++) {
		struct scsi_lu_core *luc = &n->itl[i].lu->core[n->core->id];
		struct scsi_token *t = scsi_token_find(luc->view, cmd, TOKEN_AT);

		if (!t)
			continue;
		if (t->shift == shift && gw_shl_u64(list->offset, shift, &at) && at < t->bytes) {
			list->is_short = list->bytes > t->bytes - at;
			list->bytes = GW_MIN(list->bytes, t->bytes - at);
			return luc;
		}
		scsi_check_param(cmd, t->shift == shift ? OFFSET_AT : TOKEN_AT, 7);
		return NULL;
	}
	scsi_check(cmd, SENSE_TOKEN_UNKNOWN);
	return NULL;
}

/* False: the command has ended. source stays NULL for the token that stands for zeroes. */
static bool
check_list(struct gw_cmd *cmd, struct odx_list *list, struct scsi_lu_core **source)
{
	uint8_t type[4];

	if (!scsi_odx_parse(cmd, list)) {
		gw_cmd_complete(cmd);
		return false;
	}
	if (scsi_odx_busy(cmd)) {
		scsi_fail(cmd, SENSE_IN_PROGRESS);
		return false;
	}
	scsi_out_get(cmd, TOKEN_AT, type, sizeof(type));
	if (gw_be32(type) == TOKEN_TYPE_ZERO)
		return true;
	*source = find_source(cmd, list);
	if (!*source)
		gw_cmd_complete(cmd);
	return *source != NULL;
}

void
scsi_exec_write_token(struct gw_cmd *cmd)
{
	struct scsi_lu_core *source = NULL;
	struct odx_list list;
	struct scsi_copy *c;

	if (!cmd->data_len) {
		scsi_good(cmd);
		return;
	}
	if (!check_list(cmd, &list, &source))
		return;
	c = scsi_copy_new(cmd);
	if (!c) {
		cmd->status = SAM_BUSY;
		gw_cmd_complete(cmd);
		return;
	}
	c->list.usage = LIST_ID_NONE;
	c->odx = list;
	c->ended = ended;
	c->held = source;
	c->side[COPY_DST].luc = cmd->luc;
	c->side[COPY_DST].shift = c->side[COPY_SRC].shift = scsi_view_of(cmd)->shift;
	if (source) {
		scsi_copy_hold(source);
		c->side[COPY_SRC].luc = source;
		c->valid = still_valid;
	}
	next_range(c);
}
