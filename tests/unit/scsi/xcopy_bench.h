/* SPDX-License-Identifier: BSD-3-Clause */
/* The bench of the tests of EXTENDED COPY(LID1): two LUs, two cores, and a parameter list. */
#ifndef TESTS_UNIT_SCSI_XCOPY_BENCH_H
#define TESTS_UNIT_SCSI_XCOPY_BENCH_H

#include "gateway/scsi/copy_priv.h"
#include "tests/unit/scsi/rig.h"

static struct bench s;

static void
setup(void)
{
	bench_open(&s);
	bench_name_lus(&s);
	rig_calm(s.a);
	rig_calm(s.b);
}

static void
teardown(void)
{
	bench_close(&s);
}

/* A parameter list. */

#define XCOPY(len) "83 00 00 00 00 00 00 00 00 00 00 00 0" #len

static struct {
	uint8_t b[16384];
	unsigned len;
} list;

static void
list_begin(uint8_t id, uint8_t usage)
{
	memset(&list, 0, sizeof(list));
	list.b[0] = id;
	list.b[1] = (uint8_t)(usage << 3);
	list.len = XCOPY_HEADER;
}

static uint8_t *
list_cscd_naa(uint8_t last)
{
	uint8_t *d = list.b + list.len;

	d[0] = XCOPY_IDENT;
	d[4] = 1;
	d[5] = 3;
	d[7] = 16;
	memset(d + 8, 0x11, 16);
	d[8] = 0x60;
	d[23] = last;
	gw_put_be32(d + 28, 512);
	list.len += XCOPY_CSCD_LEN;
	gw_put_be16(list.b + 2, (uint16_t)(gw_be16(list.b + 2) + XCOPY_CSCD_LEN));
	return d;
}

static uint8_t *
list_segment(uint16_t src, uint16_t dst, uint16_t n, uint64_t from, uint64_t to)
{
	uint8_t *d = list.b + list.len;

	d[0] = XCOPY_B2B;
	gw_put_be16(d + 2, 24);
	gw_put_be16(d + 4, src);
	gw_put_be16(d + 6, dst);
	gw_put_be16(d + 10, n);
	gw_put_be64(d + 12, from);
	gw_put_be64(d + 20, to);
	list.len += 28;
	gw_put_be32(list.b + 8, gw_be32(list.b + 8) + 28);
	return d;
}

/* Both LUs and one segment. */
static void
list_simple(uint16_t src, uint16_t dst, uint16_t n, uint64_t from, uint64_t to)
{
	list_begin(7, LIST_ID_HOLD);
	list_cscd_naa(1);
	list_cscd_naa(2);
	list_segment(src, dst, n, from, to);
}

static struct rig_cmd *
start_len(struct gw_nexus *n, uint64_t lun, uint32_t cdb_len, uint32_t edtl)
{
	uint8_t cdb[GW_CDB_MAX] = {0x83};
	struct rig_cmd *c;

	gw_put_be32(cdb + 10, cdb_len);
	c = rig_begin_raw(n, lun, cdb, 16, GW_DIR_OUT, edtl);
	if (!c->refused)
		rig_exec(c, list.b, sizeof(list.b));
	return c;
}

static struct rig_cmd *
start(struct gw_nexus *n, uint64_t lun)
{
	return start_len(n, lun, list.len, list.len);
}

static uint32_t
end(struct rig_cmd *c)
{
	uint32_t r;

	rig_run();
	BUG(c->responses + c->refused != 1);
	r = rig_result(c);
	rig_free(c);
	return r;
}

static uint32_t
copy(struct gw_nexus *n, uint64_t lun)
{
	return end(start(n, lun));
}

#endif
