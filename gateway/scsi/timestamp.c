/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * REPORT and SET TIMESTAMP (SPC-4 5.2, 6.37, 6.46): milliseconds since 1970. An LU tells the host's
 * time until an initiator sets another, which then counts on by itself, whatever becomes of the
 * host's, until the process ends.
 */
#include <time.h>

#include "gateway/scsi/scsi_priv.h"

#define ORIGIN_SET   2 /* by SET TIMESTAMP */
#define ORIGIN_OTHER 3 /* by another method */
#define LIST         12
#define AT           4
#define BITS         48

static int64_t
counted_ms(const struct gw_core *core)
{
	return (int64_t)(core->now / 1000000);
}

static int64_t
host_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void
scsi_exec_report_timestamp(struct gw_cmd *cmd)
{
	const struct scsi_view *v = scsi_view_of(cmd);
	uint8_t b[LIST] = {0, LIST - 2, v->clock_set ? ORIGIN_SET : ORIGIN_OTHER};
	uint64_t ms =
	    (uint64_t)(v->clock_set ? v->clock + counted_ms(cmd->nexus->core) : host_ms());

	gw_put_be16(b + AT, (uint16_t)(ms >> 32));
	gw_put_be32(b + AT + 2, (uint32_t)ms);
	scsi_in(cmd, b, sizeof(b));
}

bool
scsi_set_timestamp_prep(struct gw_cmd *cmd)
{
	if (cmd->data_len <= LIST)
		return true;
	return scsi_check_cdb(cmd, cmd->op->len_at, 7);
}

/* scratch[1]: the new time. */
static bool
edit(struct scsi_change *ch, struct scsi_view *next)
{
	struct gw_cmd *cmd = scsi_change_cmd(ch);

	next->clock = (int64_t)cmd->scratch[1] - counted_ms(ch->lu->home);
	next->clock_set = true;
	ch->ua = 1u << UA_TIMESTAMP;
	ch->but = cmd->nexus->id;
	cmd->moved = cmd->data_len;
	return true;
}

static void
set_at_home(struct gw_cmd *cmd)
{
	scsi_home_change(cmd, edit);
}

void
scsi_exec_set_timestamp(struct gw_cmd *cmd)
{
	uint8_t b[LIST];

	/* A PARAMETER LIST LENGTH of 0 is not an error. */
	if (!cmd->data_len) {
		scsi_good(cmd);
		return;
	}
	if (!scsi_out_get(cmd, 0, b, sizeof(b))) {
		scsi_fail(cmd, SENSE_PARAM_LENGTH);
		return;
	}
	for (unsigned i = 0; i < LIST; i++) {
		if (!b[i] || (i >= AT && i < AT + BITS / 8))
			continue;
		scsi_check_param_bits(cmd, i, b[i]);
		gw_cmd_complete(cmd);
		return;
	}
	cmd->scratch[1] = (uint64_t)gw_be16(b + AT) << 32 | gw_be32(b + AT + 2);
	scsi_home_begin(cmd, set_at_home);
}
