/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * RECEIVE ROD TOKEN INFORMATION (SPC-4 6.32): what became of a POPULATE TOKEN or WRITE USING TOKEN,
 * and the token. A core remembers the last ones of its nexuses.
 */
#include "gateway/scsi/copy_priv.h"
#include "gateway/scsi/token_priv.h"

#define HEADER     32
#define DESCRIPTOR (2 + TOKEN_LEN)

/* ESTIMATED STATUS UPDATE DELAY. */
#define DELAY_ENDED   0xfffffffe
#define DELAY_UNKNOWN 0xffffffff

/* COPY OPERATION STATUS. */
enum {
	ODX_ENDED_WELL = 0x01,
	ODX_ENDED_BADLY = 0x02,
	ODX_ENDED_EARLY = 0x03, /* TRANSFER COUNT tells how far it came */
	ODX_RUNS = 0x11         /* in the foreground */
};

#define UNIT_BLOCKS 0xf1

static uint32_t
list_id(const struct gw_cmd *cmd)
{
	return gw_be32(cmd->cdb + (cmd->cdb[0] == 0x83 ? 6 : 2));
}

static struct odx_result *
find(const struct gw_cmd *cmd)
{
	struct scsi_copy_core *cc = scsi_copy_core_of(cmd);

	for (unsigned i = 0; i < ODX_RESULTS; i++) {
		struct odx_result *r = &cc->odx[i];

		if (r->nexus == cmd->nexus->id && r->lu == cmd->lu->id &&
		    r->list_id == list_id(cmd))
			return r;
	}
	return NULL;
}

static const struct scsi_copy *
find_running(const struct gw_cmd *cmd)
{
	gw_list_each (c, &scsi_copy_core_of(cmd)->active, struct scsi_copy, active)
		if (c->odx.nrange && c->cmd->nexus == cmd->nexus && c->cmd->lu == cmd->lu &&
		    list_id(c->cmd) == list_id(cmd))
			return c;
	return NULL;
}

bool
scsi_odx_busy(const struct gw_cmd *cmd)
{
	const struct odx_result *r = find(cmd);

	return (r && r->runs) || find_running(cmd);
}

/* The one before it with that list identifier is forgotten; else the oldest makes room. */
static struct odx_result *
fresh(const struct gw_cmd *cmd)
{
	struct scsi_copy_core *cc = scsi_copy_core_of(cmd);
	struct odx_result *r = find(cmd);

	if (!r) {
		r = &cc->odx[cc->next_odx];
		cc->next_odx = (cc->next_odx + 1) % ODX_RESULTS;
	}
	memset(r, 0, sizeof(*r));
	r->nexus = cmd->nexus->id;
	r->lu = cmd->lu->id;
	r->list_id = list_id(cmd);
	r->sa = cmd->op->sa;
	return r;
}

void
scsi_odx_populates(const struct gw_cmd *cmd, const struct scsi_token *t)
{
	struct odx_result *r = fresh(cmd);

	r->runs = r->has_token = true;
	r->blocks = t->bytes >> t->shift;
	memcpy(r->token, t->key, TOKEN_LEN);
}

void
scsi_odx_populated(const struct gw_cmd *cmd)
{
	struct odx_result *r = find(cmd);

	if (r)
		r->runs = false;
}

void
scsi_odx_written(const struct scsi_copy *c)
{
	struct odx_result *r = fresh(c->cmd);

	r->status = c->cmd->status;
	r->blocks = scsi_copy_in_order(c) >> c->side[COPY_DST].shift;
	if (r->status == SAM_CHECK_CONDITION) {
		r->sense_len = c->cmd->sense_len;
		memcpy(r->sense, c->cmd->sense, r->sense_len);
	}
}

static uint8_t
status_of(const struct odx_result *r)
{
	if (r->runs)
		return ODX_RUNS;
	if (r->status == SAM_GOOD)
		return ODX_ENDED_WELL;
	return r->blocks ? ODX_ENDED_EARLY : ODX_ENDED_BADLY;
}

void
scsi_exec_token_info(struct gw_cmd *cmd)
{
	uint8_t b[HEADER + GW_SENSE_MAX + 4 + DESCRIPTOR] = {0};
	const struct scsi_copy *c = find_running(cmd);
	const struct odx_result *r = find(cmd);
	unsigned n = HEADER;

	if (!c && !r) {
		scsi_check_cdb(cmd, 2, 7);
		gw_cmd_complete(cmd);
		return;
	}
	b[4] = c ? c->cmd->op->sa : r->sa;
	b[5] = c ? ODX_RUNS : status_of(r);
	b[15] = UNIT_BLOCKS;
	gw_put_be32(b + 8, DELAY_UNKNOWN);
	gw_put_be64(b + 16, c ? scsi_copy_in_order(c) >> c->side[COPY_DST].shift : r->blocks);
	/* SEGMENTS PROCESSED stays 0: tokens have no segments. */
	if (!c && !r->runs) {
		gw_put_be32(b + 8, DELAY_ENDED);
		b[12] = r->status;
		b[13] = (uint8_t)gw_round_up(r->sense_len, 4);
		b[14] = r->sense_len;
		memcpy(b + n, r->sense, r->sense_len);
		n += b[13];
	}
	if (!c && !r->runs && r->has_token) {
		gw_put_be32(b + n, DESCRIPTOR);
		memcpy(b + n + 6, r->token, TOKEN_LEN);
		n += DESCRIPTOR;
	}
	n += 4;
	gw_put_be32(b, n - 4);
	scsi_in(cmd, b, n);
}
