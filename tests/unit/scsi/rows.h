/* SPDX-License-Identifier: BSD-3-Clause */
/* For tests that walk the table of commands: an LU of each kind, and what an answer says. */
#ifndef TESTS_UNIT_SCSI_ROWS_H
#define TESTS_UNIT_SCSI_ROWS_H

#include "tests/unit/scsi/rig.h"

#define ROWS_BLOCKS 192ull /* small: the whole medium is compared often */
#define ROWS_BYTES  (ROWS_BLOCKS * 512)
#define ROWS_FILL   0xa5

/* LUN n is kinds[n]. The last two have all that a disk can have. */
enum {
	LUN_CTL,
	LUN_PLAIN,
	LUN_THIN,
	LUN_REMOVABLE,
	LUN_ATOMIC,
	LUN_CRYPTO,
	LUN_ROM,
	LUN_ALL,
	LUN_ALL_DESC,
	LUN_MAX
};

/* LUNs up to here are told apart in opcodes.txt, by these letters. */
#define ROWS_KINDS   LUN_ALL
#define ROWS_LETTERS "cdtraeo"

struct rows {
	struct gw_target t;
	struct gw_lun lun[LUN_MAX];
	struct gw_nexus *n;
};

RIG_UNUSED static struct be_dev *
rows_dev(unsigned kind)
{
	struct be_dev *dev = rig_dev_new(ROWS_BYTES, true);

	if (kind != LUN_ATOMIC && kind < LUN_ALL)
		dev->atomic_max = 0;
	if (kind != LUN_CRYPTO && kind < LUN_ALL)
		dev->sanitize_kinds = 0;
	return dev;
}

RIG_UNUSED static struct scsi_lu_conf
rows_conf(unsigned kind)
{
	struct scsi_lu_conf conf = rig_conf(kind);

	if (kind == LUN_ROM)
		return rig_rom_conf(kind);
	conf.kind = kind == LUN_CTL ? SCSI_KIND_CONTROLLER : SCSI_KIND_DISK;
	conf.thin = kind == LUN_THIN || kind >= LUN_ALL;
	conf.removable = kind == LUN_REMOVABLE || kind >= LUN_ALL;
	conf.descriptor_sense = kind == LUN_ALL_DESC;
	return conf;
}

RIG_UNUSED static void
rows_open(struct rows *r)
{
	rig_init();
	memset(r, 0, sizeof(*r));
	r->t.tid = 1;
	strcpy(r->t.iqn, RIG_IQN);
	r->t.alua = rig_alua;
	r->t.lun = r->lun;
	r->t.nlun = LUN_MAX;
	for (unsigned i = 0; i < LUN_MAX; i++) {
		struct scsi_lu_conf conf = rows_conf(i);
		struct be_dev *dev = i == LUN_CTL ? NULL : rows_dev(i);

		if (dev)
			memset(((struct rig_dev *)dev)->mem, ROWS_FILL, ROWS_BYTES);
		r->lun[i].lun = i;
		BUG(scsi_lu_new(&conf, dev, &r->lun[i].lu));
	}
	r->n = rig_nexus(1, &r->t);
	rig_calm(r->n);
}

RIG_UNUSED static void
rows_close(struct rows *r)
{
	rig_nexus_close(r->n);
	for (unsigned i = 0; i < LUN_MAX; i++)
		scsi_lu_free(r->lun[i].lu);
	BUG(rig.chans);
	scsi_fini();
}

RIG_UNUSED static const struct scsi_view *
rows_view(const struct rows *r, unsigned lun)
{
	return r->lun[lun].lu->view;
}

RIG_UNUSED static uint64_t
rows_blocks(unsigned lun)
{
	return lun == LUN_ROM ? ROWS_BYTES / SCSI_CD_BLOCK : ROWS_BLOCKS;
}

/* A LUN that has the command, the one that has most of them if it can be. */
RIG_UNUSED static unsigned
rows_lun(const struct rows *r, const struct scsi_op *op)
{
	for (unsigned i = LUN_ALL + 1; i-- > 0;)
		if (scsi_op_has(op, rows_view(r, i)))
			return i;
	ck_abort_msg("%s: no LUN of rows.h has it: add one that does", op->name);
}

/* Whether it has all the bytes that it began with. */
RIG_UNUSED static bool
rows_untouched(const struct rows *r, unsigned lun)
{
	const uint8_t *mem = lun == LUN_CTL ? NULL : rig_mem(r->lun[lun].lu);

	for (unsigned i = 0; mem && i < ROWS_BYTES; i++)
		if (mem[i] != ROWS_FILL)
			return false;
	return true;
}

/* I/O that changes the medium, so far. */
RIG_UNUSED static unsigned
rows_changes(void)
{
	return rig.submitted[BE_WRITE] + rig.submitted[BE_ZERO] + rig.submitted[BE_UNMAP] +
	       rig.sanitizes;
}

/* SA set, everything else zero. */
RIG_UNUSED static void
rows_cdb(const struct scsi_op *op, uint8_t *cdb)
{
	memset(cdb, 0, GW_CDB_MAX);
	cdb[0] = op->opcode;
	if (op->flags & OP_SA)
		cdb[1] = op->sa;
}

/* v in that field, as much of it as the row has bits for. */
RIG_UNUSED static void
rows_put(uint8_t *cdb, const struct scsi_op *op, unsigned at, unsigned size, uint64_t v)
{
	for (unsigned i = at + size; i-- > at; v >>= 8)
		cdb[i] = (uint8_t)((cdb[i] & ~op->usage[i]) | (v & op->usage[i]));
}

RIG_UNUSED static uint64_t
rows_get(const uint8_t *cdb, const struct scsi_op *op, unsigned at, unsigned size)
{
	uint64_t v = 0;

	for (unsigned i = at; i < at + size; i++)
		v = v << 8 | (cdb[i] & op->usage[i]);
	return v;
}

RIG_UNUSED static struct rig_cmd *
rows_begin(struct rows *r, unsigned lun, const uint8_t *cdb, uint8_t dir, uint32_t edtl)
{
	return rig_begin_raw(r->n, lun, cdb, 16, dir, edtl);
}

/* What the device does itself is noticed by the control thread, then by a timer. */
RIG_UNUSED static void
rows_settle(struct rows *r, struct rig_cmd *c)
{
	rig_run();
	rig.sanitize_state = BE_SANITIZED;
	for (unsigned i = 0; i < 10 && !c->responses; i++) {
		for (unsigned k = 0; k < LUN_MAX; k++)
			scsi_lu_tick(r->lun[k].lu);
		rig_tick();
	}
	BUG(c->responses != 1);
}

/* The whole command, with all the data-out that it wants: zeroes, or `out`. */
RIG_UNUSED static struct rig_cmd *
rows_do(struct rows *r, unsigned lun, const uint8_t *cdb, const void *out, uint32_t out_len)
{
	struct rig_cmd *c = rows_begin(r, lun, cdb, GW_DIR_NONE, 0);
	uint32_t len = c->cmd.data_len;
	uint8_t dir = c->cmd.dir;
	uint8_t *data;

	if (c->refused)
		return c;
	rig.self = r->n->core;
	scsi_forget(&c->cmd);
	rig.self = NULL;
	rig_free(c);
	data = calloc(1, len + 1);
	if (out)
		memcpy(data, out, GW_MIN(out_len, len));
	c = rows_begin(r, lun, cdb, dir, len);
	if (!c->refused) {
		rig_exec(c, data, len);
		rows_settle(r, c);
	}
	free(data);
	return c;
}

/* The field pointer to the CDB; bit -1: names the byte alone. False if there is none. */
RIG_UNUSED static bool
rows_pointer(const struct rig_cmd *c, unsigned *byte, int *bit)
{
	const uint8_t *s = c->cmd.sense, *p = NULL;

	if (rig_result(c) != SENSE_CDB_FIELD)
		return false;
	if ((s[0] & 0x7e) != 0x72)
		p = s + 15;
	for (unsigned i = 8; !p && i + 2 <= 8u + s[7]; i += 2u + s[i + 1])
		if (s[i] == 2)
			p = s + i + 4;
	if (!p || (p[0] & 0xc0) != 0xc0)
		return false;
	*bit = p[0] & 8 ? p[0] & 7 : -1;
	*byte = gw_be16(p + 1);
	return true;
}

#endif
