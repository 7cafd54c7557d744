/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Parameter lists of copy commands, from two nexuses to two small LUs whose names are known. Input,
 * repeated: 1 byte (bit 0: nexus, bit 1: LUN 2, bit 2: aborted after some I/O, bit 3: not waited
 * for, bits 4-7: how much I/O), 1 byte that chooses the command (bit 7: the list
 * gets the token that was made last), 2 bytes n and n bytes of parameter
 * list.
 */
#include "tests/unit/scsi/rig.h"

#define HEAD     4
#define COMMANDS 8
#define BLOCKS   96

#define TOKEN 512

static struct rig_cmd *under_way[COMMANDS];
static uint8_t token[TOKEN];

static void
open_units(struct bench *s)
{
	bench_open(s);
	for (unsigned i = 1; i < 3; i++) {
		struct scsi_lu *lu = s->rt.lun[i].lu;
		struct scsi_lu_conf conf = *scsi_lu_conf(lu);

		conf.naa[15] = (uint8_t)i;
		BUG(scsi_lu_update(lu, &conf));
		BUG(scsi_lu_set_dev(lu, rig_dev_new(BLOCKS * 512, true)));
	}
	rig_calm(s->a);
	rig_calm(s->b);
}

static void
check(struct rig_cmd *c)
{
	BUG(!c->refused && c->responses != 1);
	BUG(c->cmd.sense_len > GW_SENSE_MAX || c->cmd.in_len > c->cmd.data_len);
	if (c->cmd.in_len == 36 + 2 + TOKEN)
		memcpy(token, c->buf + 38, TOKEN);
	BUG((c->cmd.status == SAM_CHECK_CONDITION) != (c->cmd.sense_len > 0));
	rig_free(c);
}

static void
settle(void)
{
	rig.hold = false;
	rig_run();
	for (unsigned i = 0; i < COMMANDS; i++) {
		if (under_way[i])
			check(under_way[i]);
		under_way[i] = NULL;
	}
}

static struct rig_cmd *
begin(struct gw_nexus *n, uint64_t lun, uint8_t which, const uint8_t *data, unsigned len)
{
	static const uint8_t ops[][2] = {{0x83, 0},    {0x84, 0},    {0x84, 4},   {0x84, 3},
					 {0x83, 0x10}, {0x83, 0x11}, {0x84, 0x07}};
	const uint8_t *op = ops[(which & 0x7f) % GW_ARRAY_LEN(ops)];
	uint8_t cdb[GW_CDB_MAX] = {op[0], op[1]};
	struct rig_cmd *c;

	static uint8_t list[UINT16_MAX];

	memcpy(list, data, len);
	if ((which & 0x80) && len >= 16 + TOKEN)
		memcpy(list + 16, token, TOKEN);
	cdb[2] = op[0] == 0x84 && op[1] != 7 && len ? data[0] : 0;
	gw_put_be32(cdb + 10, op[0] == 0x84 ? 1024 : len);
	c = rig_begin_raw(n, lun, cdb, 16, op[0] == 0x84 ? GW_DIR_IN : GW_DIR_OUT,
			  op[0] == 0x84 ? 1024 : len);
	if (!c->refused)
		rig_exec(c, list, len);
	return c;
}

static void
command(struct bench *s, unsigned i, const uint8_t *head, const uint8_t *data, unsigned len)
{
	struct gw_nexus *n = head[0] & 1 ? s->b : s->a;
	uint64_t lun = head[0] & 2 ? 2 : 1;
	struct rig_tmf t;

	rig.hold = true;
	under_way[i] = begin(n, lun, head[1], data, len);
	rig_run();
	for (unsigned k = head[0] >> 4; k > 0; k--)
		rig_io_one();
	if ((head[0] & 4) && !under_way[i]->refused && !under_way[i]->responses) {
		rig_tmf(&t, n, lun, GW_TMF_ABORT_TASK, &under_way[i]->cmd);
		settle();
		BUG(t.done != 1);
	}
	if (!(head[0] & 8))
		settle();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bench s;

	open_units(&s);
	for (unsigned i = 0; size >= HEAD && i < COMMANDS; i++) {
		unsigned n = GW_MIN((size_t)gw_be16(data + 2), size - HEAD);

		command(&s, i, data, data + HEAD, n);
		data += HEAD + n;
		size -= HEAD + n;
	}
	settle();
	for (unsigned i = 0; i < RIG_CORES; i++) {
		BUG(s.disk->core[i].inflight || s.cd->core[i].inflight);
	}
	bench_close(&s);
	return 0;
}
