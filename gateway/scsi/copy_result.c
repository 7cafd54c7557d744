/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * RECEIVE COPY RESULTS for EXTENDED COPY(LID1): STATUS, OPERATING PARAMETERS and FAILED SEGMENT
 * DETAILS (SPC-4 6.27, 6.29, 6.30). A core remembers the last copies of its nexuses that had a list
 * identifier to be asked by.
 */
#include "gateway/scsi/copy_priv.h"

/* COPY MANAGER STATUS. */
enum {
	COPY_RUNS,
	COPY_ENDED_WELL,
	COPY_ENDED_BADLY
};

struct scsi_copy *
scsi_copy_find(const struct gw_cmd *cmd, uint8_t list_id)
{
	gw_list_each (c, &scsi_copy_core_of(cmd)->active, struct scsi_copy, active)
		if (c->cmd->nexus == cmd->nexus && c->cmd->lu == cmd->lu &&
		    c->list.usage != LIST_ID_NONE && c->list.list_id == list_id)
			return c;
	return NULL;
}

static struct copy_result *
find(const struct gw_cmd *cmd, uint8_t list_id)
{
	struct scsi_copy_core *cc = scsi_copy_core_of(cmd);

	for (unsigned i = 0; i < COPY_RESULTS; i++) {
		struct copy_result *r = &cc->result[i];

		if (r->nexus == cmd->nexus->id && r->lu == cmd->lu->id && r->list_id == list_id)
			return r;
	}
	return NULL;
}

void
scsi_copy_forget(struct gw_cmd *cmd, uint8_t list_id)
{
	struct copy_result *r = find(cmd, list_id);

	if (r)
		r->nexus = 0;
}

/* The one before it with that list identifier was forgotten when it began. */
void
scsi_copy_remember(const struct scsi_copy *c)
{
	struct scsi_copy_core *cc = scsi_copy_core_of(c->cmd);
	struct copy_result *r = &cc->result[cc->next_result];
	const struct gw_cmd *cmd = c->cmd;

	if (c->list.usage != LIST_ID_HOLD)
		return;
	cc->next_result = (cc->next_result + 1) % COPY_RESULTS;
	*r = (struct copy_result){.nexus = cmd->nexus->id,
				  .lu = cmd->lu->id,
				  .list_id = c->list.list_id,
				  .status = cmd->status,
				  .details = cmd->status == SAM_CHECK_CONDITION,
				  .segs = (uint16_t)c->seg,
				  .bytes = (uint32_t)scsi_copy_in_order(c)};
	if (r->details) {
		r->sense_len = cmd->sense_len;
		memcpy(r->sense, cmd->sense, cmd->sense_len);
	}
}

void
scsi_exec_copy_status(struct gw_cmd *cmd)
{
	const struct scsi_copy *c = scsi_copy_find(cmd, cmd->cdb[2]);
	const struct copy_result *r = find(cmd, cmd->cdb[2]);
	uint8_t b[12] = {0};

	if (!c && !r) {
		scsi_check_cdb(cmd, 2, 7);
		gw_cmd_complete(cmd);
		return;
	}
	gw_put_be32(b, sizeof(b) - 4);
	if (c)
		b[4] = COPY_RUNS;
	else
		b[4] = r->status == SAM_GOOD ? COPY_ENDED_WELL : COPY_ENDED_BADLY;
	gw_put_be16(b + 5, c ? (uint16_t)c->seg : r->segs);
	/* TRANSFER COUNT UNITS 0: bytes. */
	gw_put_be32(b + 8, c ? (uint32_t)scsi_copy_in_order(c) : r->bytes);
	scsi_in(cmd, b, sizeof(b));
}

void
scsi_exec_copy_failed(struct gw_cmd *cmd)
{
	struct copy_result *r = find(cmd, cmd->cdb[2]);
	uint8_t b[60 + GW_SENSE_MAX] = {0};
	unsigned n = 4;

	if (r && r->details) {
		n = 60 + r->sense_len;
		gw_put_be32(b, n - 4);
		b[56] = r->status;
		gw_put_be16(b + 58, r->sense_len);
		memcpy(b + 60, r->sense, r->sense_len);
		/* They are kept until they were fetched whole, or nobody wants them. */
		if (!cmd->data_len || cmd->data_len >= n)
			r->details = false;
	}
	scsi_in(cmd, b, n);
}

void
scsi_exec_copy_params(struct gw_cmd *cmd)
{
	static const uint8_t types[] = {XCOPY_B2B, XCOPY_B2B_OFF, XCOPY_IDENT};
	uint8_t b[44 + sizeof(types)] = {0};

	gw_put_be32(b, sizeof(b) - 4);
	b[4] = 1; /* SNLID: LIST ID USAGE 11b is known */
	gw_put_be16(b + 8, XCOPY_CSCDS);
	gw_put_be16(b + 10, XCOPY_SEGS);
	gw_put_be32(b + 12, XCOPY_LIST_MAX);
	gw_put_be32(b + 16, XCOPY_SEG_MAX);
	gw_put_be16(b + 34, COPY_JOBS);
	b[36] = COPY_JOBS;
	b[37] = scsi_view_of(cmd)->shift;
	b[43] = sizeof(types);
	memcpy(b + 44, types, sizeof(types));
	scsi_in(cmd, b, sizeof(b));
}
