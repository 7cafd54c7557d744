/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * PERSISTENT RESERVE IN (SPC-4 6.15), from what this core knows. ADDITIONAL LENGTH says all there
 * is, whatever fits the allocation length.
 */
#include "gateway/scsi/pr_priv.h"
#include "gateway/scsi/transport_id.h"

#define HEAD 8

/* PRGENERATION and ADDITIONAL LENGTH, then the end. */
static void
answer(struct gw_cmd *cmd, uint64_t added)
{
	uint8_t b[HEAD];

	gw_put_be32(b, scsi_view_of(cmd)->pr_generation);
	gw_put_be32(b + 4, (uint32_t)added);
	scsi_in_put(cmd, 0, b, GW_MIN(sizeof(b), (size_t)cmd->data_len));
	scsi_in_done(cmd, HEAD + added);
}

/* Puts what fits at off behind the head. */
static void
put(struct gw_cmd *cmd, uint64_t off, const void *b, size_t n)
{
	off += HEAD;
	if (off < cmd->data_len)
		scsi_in_put(cmd, off, b, GW_MIN((uint64_t)n, cmd->data_len - off));
}

void
scsi_exec_pr_read_keys(struct gw_cmd *cmd)
{
	const struct scsi_pr_saved *pr = scsi_view_of(cmd)->pr;
	uint32_t n = pr ? pr->nreg : 0;
	uint8_t b[8];

	for (uint32_t i = 0; i < n; i++) {
		gw_put_be64(b, pr->reg[i].key);
		put(cmd, 8ull * i, b, sizeof(b));
	}
	answer(cmd, 8ull * n);
}

void
scsi_exec_pr_read_reservation(struct gw_cmd *cmd)
{
	const struct scsi_pr_saved *pr = scsi_view_of(cmd)->pr;
	uint8_t b[16] = {0};

	if (!pr || !pr->type) {
		answer(cmd, 0);
		return;
	}
	/* All registrants hold it: there is no one key. */
	for (uint32_t i = 0; i < pr->nreg; i++)
		if (pr->reg[i].holder)
			gw_put_be64(b, pr->reg[i].key);
	b[13] = pr->type;
	put(cmd, 0, b, sizeof(b));
	answer(cmd, sizeof(b));
}

void
scsi_exec_pr_capabilities(struct gw_cmd *cmd)
{
	const struct scsi_view *v = scsi_view_of(cmd);
	uint8_t b[8] = {0, sizeof(b)};

	b[2] = 0x1c;                   /* CRH, SIP_C, ATP_C */
	b[2] |= pr_can_save(v);        /* PTPL_C */
	b[3] = 0x80;                   /* TMV */
	b[3] |= v->pr && v->pr->aptpl; /* PTPL_A */
	b[4] = 0xea;                   /* WR_EX_AR, EX_AC_RO, WR_EX_RO, EX_AC, WR_EX */
	b[5] = 0x01;                   /* EX_AC_AR */
	scsi_in(cmd, b, sizeof(b));
}

void
scsi_exec_pr_full_status(struct gw_cmd *cmd)
{
	const struct scsi_pr_saved *pr = scsi_view_of(cmd)->pr;
	uint64_t off = 0;

	for (uint32_t i = 0; pr && i < pr->nreg; i++) {
		const struct scsi_pr_reg *r = &pr->reg[i];
		uint8_t b[24 + TRANSPORT_ID_MAX] = {0};
		size_t n = transport_id_write(b + 24, r->initiator, r->isid);

		gw_put_be64(b, r->key);
		b[12] = (uint8_t)(r->all_tg_pt << 1 | pr_holds(pr, r));
		b[13] = pr_holds(pr, r) ? pr->type : 0;
		gw_put_be16(b + 18, r->tpgt);
		gw_put_be32(b + 20, (uint32_t)n);
		put(cmd, off, b, 24 + n);
		off += 24 + n;
	}
	answer(cmd, off);
}
