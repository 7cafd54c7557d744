/* SPDX-License-Identifier: BSD-3-Clause */
/* SANITIZE (SBC-4 5.30, 4.11): what there is, the parameter list, and which one may begin when. */
#include "gateway/scsi/sanitize_priv.h"

#define CDB_IMMED 0x80
#define CDB_AUSE  0x20

#define SA_OVERWRITE    0x01
#define SA_BLOCK_ERASE  0x02
#define SA_CRYPTO_ERASE 0x03
#define SA_EXIT         0x1f

#define LIST_HEADER 4
#define LIST_INVERT 0x80
#define LIST_TEST   0x60
#define LIST_COUNT  0x1f

/* What there is. */

static bool
dev_can(const struct be_dev *dev, enum be_sanitize kind)
{
	return dev && dev->sanitize_kinds & 1u << kind;
}

void
scsi_sanitize_derive(struct scsi_view *v)
{
	v->erase = v->lbpme || dev_can(v->dev, BE_SANITIZE_BLOCK);
	v->crypto = dev_can(v->dev, BE_SANITIZE_CRYPTO);
}

/*
 * A device that may come back, or whose successor takes over its data, is not sanitized: an
 * operation that it interrupts has failed.
 */
void
scsi_sanitize_no_dev(struct scsi_view *v, bool for_good)
{
	v->sanitize = for_good || !v->sanitize ? SANITIZE_NONE : SANITIZE_FAILED;
}

/* The command. */

bool
scsi_sanitize_prep(struct gw_cmd *cmd)
{
	const struct scsi_view *v = scsi_view_of(cmd);
	uint32_t len = cmd->data_len, block = 1u << v->shift;

	if (scsi_sanitize_runs(v))
		return scsi_check_medium(cmd);
	if (cmd->op->sa == SA_OVERWRITE ? len > LIST_HEADER && len <= LIST_HEADER + block : !len)
		return true;
	return scsi_check_cdb(cmd, 7, 7);
}

/* The parameter list of OVERWRITE; false: sense is set. */
static bool
list_ok(struct gw_cmd *cmd)
{
	uint32_t block = 1u << scsi_view_of(cmd)->shift, len;
	uint8_t h[LIST_HEADER];

	if (cmd->out_len < cmd->data_len || !scsi_out_get(cmd, 0, h, sizeof(h)))
		return scsi_check(cmd, SENSE_PARAM_LENGTH);
	len = gw_be16(h + 2);
	if (h[0] & LIST_TEST) /* vendor specific, all but 0 */
		scsi_check_param(cmd, 0, 6);
	else if (!(h[0] & LIST_COUNT))
		scsi_check_param(cmd, 0, 4);
	else if (h[1])
		scsi_check_param_bits(cmd, 1, h[1]);
	else if (!len || len > block)
		scsi_check_param(cmd, 2, 7);
	else if (LIST_HEADER + len > cmd->data_len)
		scsi_check(cmd, SENSE_PARAM_LENGTH);
	else
		return true;
	return false;
}

void
scsi_exec_sanitize(struct gw_cmd *cmd)
{
	if (cmd->op->sa != SA_OVERWRITE || list_ok(cmd))
		scsi_sanitize_go(cmd);
	else
		gw_cmd_complete(cmd);
}

void
scsi_exec_exit_failure(struct gw_cmd *cmd)
{
	scsi_sanitize_go(cmd);
}

/* The operation. */

static void
take_list(struct scsi_sanitize *op, const struct gw_cmd *cmd)
{
	uint8_t h[LIST_HEADER];

	if (!scsi_out_get(cmd, 0, h, sizeof(h)))
		return;
	op->passes = h[0] & LIST_COUNT;
	op->invert = h[0] & LIST_INVERT;
	op->pattern_len = (uint16_t)GW_MIN((size_t)gw_be16(h + 2), sizeof(op->pattern));
	scsi_out_get(cmd, LIST_HEADER, op->pattern, op->pattern_len);
}

/* The device's own overwriting is one pass of zeroes. */
static bool
is_plain_zero(const struct scsi_sanitize *op)
{
	for (unsigned i = 0; i < op->pattern_len; i++)
		if (op->pattern[i])
			return false;
	return op->passes == 1;
}

static void
choose(struct scsi_sanitize *op, uint8_t sa)
{
	switch (sa) {
	case SA_OVERWRITE:
		op->kind = BE_SANITIZE_OVERWRITE;
		op->by_dev = is_plain_zero(op) && dev_can(op->dev, op->kind);
		break;
	case SA_BLOCK_ERASE:
		op->kind = BE_SANITIZE_BLOCK;
		op->by_dev = dev_can(op->dev, op->kind);
		op->by_zero = true;
		break;
	case SA_CRYPTO_ERASE:
		op->kind = BE_SANITIZE_CRYPTO;
		op->by_dev = dev_can(op->dev, op->kind);
		break;
	default:
		op->kind = BE_SANITIZE_EXIT;
		op->by_dev = op->lu->dev_failed && dev_can(op->dev, op->kind);
		op->exit = true;
	}
}

/* SBC-4 4.11.4, 5.30.1: of a failed operation in the restricted mode there is but one way out. */
static bool
may_begin(struct gw_cmd *cmd, const struct scsi_view *v)
{
	bool failed = v->medium == MEDIUM_UNSANITIZED || v->medium == MEDIUM_UNFORMATTED;

	if (!failed && !scsi_check_view(cmd, v))
		return false;
	if (v->medium == MEDIUM_UNSANITIZED && !v->ause && (cmd->cdb[1] & CDB_AUSE))
		return scsi_check_cdb(cmd, 1, 5);
	/* The device is another than when the CDB was checked. */
	if (cmd->op->sa == SA_CRYPTO_ERASE && !v->crypto)
		return scsi_check_cdb(cmd, 1, 4);
	return true;
}

static bool
may_exit(struct gw_cmd *cmd, const struct scsi_view *v)
{
	if (scsi_sanitize_runs(v))
		return scsi_check_view(cmd, v);
	if (v->sanitize != SANITIZE_FAILED || v->format) {
		cmd->status = SAM_GOOD;
		return false;
	}
	if (!v->ause)
		scsi_check_cdb(cmd, 1, 4);
	return v->ause;
}

bool
scsi_sanitize_prepare(struct scsi_sanitize *op, const struct scsi_view *v)
{
	struct gw_cmd *cmd = op->cmd;

	if (cmd->op->sa == SA_OVERWRITE)
		take_list(op, cmd);
	choose(op, cmd->op->sa);
	op->immed = !op->exit && (cmd->cdb[1] & CDB_IMMED);
	op->ause = op->exit ? v->ause : cmd->cdb[1] & CDB_AUSE;
	op->unmap = true;
	return op->exit ? may_exit(cmd, v) : may_begin(cmd, v);
}
