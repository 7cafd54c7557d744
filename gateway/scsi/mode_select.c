/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * MODE SELECT (SPC-4 6.11, 6.12). The list is parsed on the LU's home core against the newest mode
 * parameters; all of it is checked before any of it takes effect.
 */
#include "gateway/scsi/mode_priv.h"

#define CDB_PF 0x10

/* How far the list has been read. */
struct list {
	struct gw_cmd *cmd;
	unsigned at, len;
};

static const struct mode_page *
page_of(const struct scsi_view *v, uint8_t code, uint8_t subpage)
{
	for (unsigned i = 0; i < scsi_nmode_pages; i++) {
		const struct mode_page *p = &scsi_mode_pages[i];

		if (p->code == code && p->subpage == subpage && scsi_mode_has(p, v))
			return p;
	}
	return NULL;
}

/* The block descriptor may repeat what is, or name no number of blocks. */
static bool
take_block_descriptor(struct list *l, const struct scsi_view *v, unsigned bd, bool lon)
{
	uint64_t nblk, all;
	uint32_t size;
	uint8_t b[16];

	if (!scsi_out_get(l->cmd, l->at, b, bd))
		return scsi_check(l->cmd, SENSE_PARAM_LENGTH);
	nblk = lon ? gw_be64(b) : gw_be32(b);
	all = lon ? UINT64_MAX : UINT32_MAX;
	size = lon ? gw_be32(b + 12) : gw_be24(b + 5);
	if (nblk && nblk != all && nblk != v->nblk)
		return scsi_check_param(l->cmd, l->at, -1);
	if (size != 1u << v->shift)
		return scsi_check_param(l->cmd, l->at + (lon ? 12 : 5), -1);
	l->at += bd;
	return true;
}

static bool
take_header(struct list *l, const struct scsi_view *v)
{
	bool ten = l->cmd->op->cdb_len == 10, lon = false;
	unsigned header = ten ? 8 : 4, bd;
	uint8_t b[8];

	if (!scsi_out_get(l->cmd, 0, b, header))
		return scsi_check(l->cmd, SENSE_PARAM_LENGTH);
	bd = ten ? gw_be16(b + 6) : b[3];
	if (ten)
		lon = b[4] & 1;
	l->at = header;
	if (!bd)
		return true;
	if (bd != (lon ? 16 : 8))
		return scsi_check_param(l->cmd, ten ? 6 : 3, -1);
	return take_block_descriptor(l, v, bd, lon);
}

/* Only changeable bits may differ from what is current. */
static bool
check_page(struct list *l, const struct mode_page *p, const struct scsi_view *v, const uint8_t *b)
{
	uint8_t now[MODE_PAGE_MAX], mask[MODE_PAGE_MAX];

	scsi_mode_page(p, v, MODE_CURRENT, now);
	scsi_mode_page(p, v, MODE_CHANGEABLE, mask);
	for (unsigned i = scsi_mode_header(p), n = i + p->len; i < n; i++) {
		unsigned wrong = (b[i] ^ now[i]) & ~(unsigned)mask[i] & 0xff;

		if (wrong)
			return scsi_check_param_bits(l->cmd, l->at + i, wrong);
	}
	return true;
}

/* The page that its header names and that is all there; NULL with the status set. */
static const struct mode_page *
find_page(struct list *l, const struct scsi_view *v)
{
	unsigned left = l->len - l->at, header, len;
	const struct mode_page *p;
	uint8_t b[4];

	if (left < 2 || !scsi_out_get(l->cmd, l->at, b, 2))
		goto out_short;
	header = b[0] & MODE_SPF ? 4 : 2;
	if (left < header || !scsi_out_get(l->cmd, l->at, b, header))
		goto out_short;
	p = page_of(v, b[0] & 0x3f, header == 4 ? b[1] : 0);
	if (!p || scsi_mode_header(p) != header) {
		scsi_check_param(l->cmd, l->at, 5);
		return NULL;
	}
	len = header == 4 ? gw_be16(b + 2) : b[1];
	if (len != p->len) {
		scsi_check_param(l->cmd, l->at + header / 2, 7);
		return NULL;
	}
	if (left >= header + len)
		return p;
out_short:
	scsi_check(l->cmd, SENSE_PARAM_LENGTH);
	return NULL;
}

static bool
take_page(struct list *l, struct scsi_view *v)
{
	const struct mode_page *p = find_page(l, v);
	uint8_t b[MODE_PAGE_MAX];
	unsigned len;

	if (!p)
		return false;
	len = scsi_mode_header(p) + p->len;
	if (!scsi_out_get(l->cmd, l->at, b, len))
		return scsi_check(l->cmd, SENSE_PARAM_LENGTH);
	if (!check_page(l, p, v, b))
		return false;
	if (p->apply)
		p->apply(v, b);
	l->at += len;
	return true;
}

static bool
edit(struct scsi_change *ch, struct scsi_view *next)
{
	struct gw_cmd *cmd = scsi_change_cmd(ch);
	const struct scsi_view *was = ch->lu->view;
	struct list l = {.cmd = cmd, .len = cmd->out_len};

	if (!take_header(&l, next))
		return false;
	while (l.at < l.len)
		if (!take_page(&l, next))
			return false;
	cmd->moved = cmd->data_len;
	ch->ua = 1u << UA_MODE;
	ch->but = cmd->nexus->id;
	return was->wce != next->wce || was->d_sense != next->d_sense || was->swp != next->swp ||
	       was->lbpere != next->lbpere;
}

static void
select_at_home(struct gw_cmd *cmd)
{
	scsi_home_change(cmd, edit);
}

void
scsi_exec_mode_select(struct gw_cmd *cmd)
{
	/* SP is not in the usage mask: nothing can be saved. */
	if (!cmd->data_len) {
		scsi_good(cmd);
	} else if (!(cmd->cdb[1] & CDB_PF)) { /* vendor-specific pages: there are none */
		scsi_check_cdb(cmd, 1, 4);
		gw_cmd_complete(cmd);
	} else if (cmd->out_len < cmd->data_len) {
		scsi_fail(cmd, SENSE_PARAM_LENGTH);
	} else {
		scsi_home_begin(cmd, select_at_home);
	}
}
