/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A sequence of commands from two nexuses on two cores against LUs in memory. Input, repeated:
 * 1 byte (bit 0: nexus, bits 1-2: LUN, bit 3: want_dir, bit 4: the data never comes, but on LUN 0
 * it is for the REPORT LUNS well-known LU, bit 5: a task management function instead, bits 6-7:
 * EDTL 0, what the CDB says, half of it, twice it), 16 bytes of CDB, 1 byte n and n bytes of
 * data-out.
 */
#include "tests/unit/scsi/rig.h"

#define HEAD     18
#define COMMANDS 32

/* What the device does itself takes the control thread to begin, to look, and a tick to notice. */
static void
settle(struct bench *s)
{
	rig_run();
	for (unsigned i = 0; i < 2; i++) {
		scsi_lu_tick(s->disk);
		scsi_lu_tick(s->cd);
		scsi_lu_tick(s->rom);
	}
	rig.space.avail ^= 60 << 20;
	scsi_lu_look_at_space(s->disk);
	rig_tick();
}

static void
tmf(struct gw_nexus *n, uint64_t lun, uint8_t fn)
{
	struct rig_tmf t;

	if (fn == GW_TMF_ABORT_TASK || fn == GW_TMF_QUERY_TASK)
		return;
	rig_tmf(&t, n, lun, fn, NULL);
	rig_run();
	BUG(t.done != 1);
}

static void
forget(struct rig_cmd *c)
{
	rig.self = c->cmd.nexus->core;
	scsi_forget(&c->cmd);
	rig.self = NULL;
}

/* What must hold of every answer. */
static void
check(const struct rig_cmd *c)
{
	BUG(c->cmd.in_len > c->cmd.data_len || (c->cmd.in_len && c->cmd.dir != GW_DIR_IN));
	BUG(c->cmd.sense_len > GW_SENSE_MAX);
	BUG((c->cmd.status == SAM_CHECK_CONDITION) != (c->cmd.sense_len > 0));
	BUG(!c->refused && c->responses != 1);
}

static void
command(struct bench *s, struct gw_nexus *n, uint8_t flags, const uint8_t *cdb, const uint8_t *data,
	unsigned len)
{
	static const uint8_t times[] = {0, 2, 1, 4};
	static uint8_t out[GW_XFER_MAX];
	bool wlun = !(flags >> 1 & 3) && (flags & 0x10);
	uint64_t lun = wlun ? GW_LUN_REPORT : (flags >> 1 & 3);
	uint8_t dir = flags & 8 ? GW_DIR_OUT : GW_DIR_IN;
	struct rig_cmd *c = rig_begin_raw(n, lun, cdb, 16, dir, 0);
	uint32_t full = c->cmd.data_len;

	if (!c->refused)
		forget(c);
	rig_free(c);
	c = rig_begin_raw(n, lun, cdb, 16, dir, full / 2 * times[flags >> 6]);
	if (!c->refused && (flags & 0x10) && !wlun) {
		forget(c);
	} else if (!c->refused) {
		memcpy(out, data, len);
		/* Of up to 31 passes over the medium the first tells enough. */
		if (cdb[0] == 0x48)
			out[0] &= 0xe1;
		rig_exec(c, out, sizeof(out));
		settle(s);
		check(c);
	} else {
		check(c);
	}
	rig_free(c);
}

/* With a drive, and disks that know how full their pool is. */
static void
open_bench(struct bench *s)
{
	struct scsi_lu_conf conf;

	rig_init();
	rig.space = (struct be_space){.used = 1 << 20, .avail = 8 << 20, .total = 64 << 20};
	rig_target(&s->rt);
	s->rom = rig_target_rom(&s->rt);
	bench_enter(s);
	conf = *scsi_lu_conf(s->disk);
	conf.thin_threshold = 80;
	BUG(scsi_lu_update(s->disk, &conf));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct scsi_alua_set held = {.tpgt = 2, .state = SCSI_ACCESS_STANDBY};
	struct bench s;

	open_bench(&s);
	rig.sanitize_state = BE_SANITIZED;
	/* Group 2 is the administrator's, and at nobody's port. */
	rig_model.ngroup = 2;
	rig_groups[1] = 2;
	scsi_alua_set(rig_alua, &held, 1);
	for (unsigned i = 0; size >= HEAD && i < COMMANDS; i++) {
		unsigned n = GW_MIN((size_t)data[17], size - HEAD);
		struct gw_nexus *nexus = data[0] & 1 ? s.b : s.a;

		if (data[0] & 0x20)
			tmf(nexus, data[0] >> 1 & 3, data[1]);
		else
			command(&s, nexus, data[0], data + 1, data + HEAD, n);
		data += HEAD + n;
		size -= HEAD + n;
	}
	bench_close(&s);
	return 0;
}
