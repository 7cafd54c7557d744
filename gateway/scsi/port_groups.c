/* SPDX-License-Identifier: BSD-3-Clause */
/* REPORT TARGET PORT GROUPS and SET TARGET PORT GROUPS (SPC-4 6.37, 6.45). */
#include <stdlib.h>

#include "gateway/scsi/alua_priv.h"

#define EXTENDED   0x20 /* PARAMETER DATA FORMAT: with the extended header */
#define SUPPORTED  0x4f /* O_SUP, U_SUP, S_SUP, AN_SUP, AO_SUP; no transition lasts */
#define DESCRIPTOR 12   /* of a group with its one port */

static void
put_group(const struct gw_cmd *cmd, uint16_t tag, uint8_t b[DESCRIPTOR])
{
	struct scsi_alua_group g = scsi_alua_group(cmd->nexus->target->alua, tag);

	memset(b, 0, DESCRIPTOR);
	b[0] = (uint8_t)((g.preferred ? 0x80 : 0) | g.state);
	b[1] = SUPPORTED;
	gw_put_be16(b + 2, tag);
	b[5] = g.code;
	b[7] = 1;
	gw_put_be16(b + 10, tag);
}

void
scsi_exec_report_port_groups(struct gw_cmd *cmd)
{
	uint16_t tag[SCSI_PORTS_MAX];
	unsigned n = scsi_ports(cmd->nexus, tag), at = cmd->cdb[1] & EXTENDED ? 8 : 4;
	uint8_t b[8 + SCSI_PORTS_MAX * DESCRIPTOR] = {0};

	_Static_assert(sizeof(b) <= SCSI_PORT_GROUPS_MAX, "the table knows the largest answer");
	if (at == 8)
		b[4] = 0x10; /* FORMAT TYPE */
	for (unsigned i = 0; i < n; i++, at += DESCRIPTOR)
		put_group(cmd, tag[i], b + at);
	gw_put_be32(b, at - 4);
	scsi_in(cmd, b, at);
}

/* SET TARGET PORT GROUPS. */

static bool
is_port(const struct gw_cmd *cmd, uint16_t wanted)
{
	uint16_t tag[SCSI_PORTS_MAX];
	unsigned n = scsi_ports(cmd->nexus, tag);

	for (unsigned i = 0; i < n; i++) {
		if (tag[i] == wanted)
			return true;
	}
	return false;
}

/* The descriptor at that offset of the parameter list; false: sense is set. */
static bool
read_group(struct gw_cmd *cmd, unsigned off, struct scsi_alua_set *s)
{
	uint8_t d[4];

	if (!scsi_out_get(cmd, off, d, sizeof(d)))
		return scsi_check(cmd, SENSE_PARAM_LENGTH);
	*s = (struct scsi_alua_set){.tpgt = gw_be16(d + 2), .state = d[0]};
	if (d[0] & 0xf0 || d[0] > SCSI_ACCESS_UNAVAILABLE)
		scsi_check_param(cmd, off, d[0] & 0xf0 ? 7 : 3);
	else if (!is_port(cmd, s->tpgt))
		scsi_check_param(cmd, off + 2, 7);
	else
		return true;
	return false;
}

static struct scsi_alua_change *
change_of(struct gw_msg *msg)
{
	return (void *)(uintptr_t)gw_container(msg, struct gw_cmd, msg)->scratch[0];
}

static void
come_back(struct gw_core *on, struct gw_msg *msg)
{
	struct scsi_alua_change *ch = change_of(msg);

	scsi_alua_log(ch);
	free(ch);
	gw_cmd_complete(gw_container(msg, struct gw_cmd, msg));
}

static void
shown(struct gw_tour *t)
{
	struct gw_cmd *cmd = gw_container(t, struct scsi_alua_change, tour)->cmd;

	cmd->msg.fn = come_back;
	gw_send(cmd->nexus->core, &cmd->msg);
}

/* The group is the administrator's: for initiators it has no other state than that. */
static void
refuse(struct gw_core *on, struct gw_msg *msg)
{
	struct gw_cmd *cmd = gw_container(msg, struct gw_cmd, msg);

	free(change_of(msg));
	scsi_check_param(cmd, (unsigned)cmd->scratch[1], 3);
	gw_cmd_complete(cmd);
}

/* On core 0, which alone writes the states. */
static void
arrive(struct gw_core *on, struct gw_msg *msg)
{
	struct scsi_alua_change *ch = change_of(msg);
	int at = scsi_alua_forbidden(ch);

	if (at >= 0) {
		ch->cmd->scratch[1] = 4 + 4 * (uint64_t)at;
		msg->fn = refuse;
		gw_send(ch->cmd->nexus->core, msg);
		return;
	}
	if (scsi_alua_put(ch))
		gw_tour_start(&ch->tour, scsi_alua_show, shown);
	else
		shown(&ch->tour);
}

/* All descriptors are looked at before one of them counts. */
static bool
read_list(struct gw_cmd *cmd, struct scsi_alua_change *ch)
{
	for (unsigned off = 4; off < cmd->data_len; off += 4) {
		if (!read_group(cmd, off, &ch->set[ch->n]))
			return false;
		ch->n++;
	}
	return true;
}

bool
scsi_set_port_groups_prep(struct gw_cmd *cmd)
{
	if (cmd->data_len % 4 == 0 && cmd->data_len <= 4 + 4 * SCSI_PORTS_MAX)
		return true;
	return scsi_check(cmd, SENSE_PARAM_LENGTH);
}

void
scsi_exec_set_port_groups(struct gw_cmd *cmd)
{
	struct scsi_alua_change *ch;

	/* An empty list changes nothing. */
	if (cmd->data_len <= 4) {
		scsi_good(cmd);
		return;
	}
	ch = calloc(1, sizeof(*ch));
	if (!ch) {
		cmd->status = SAM_BUSY;
		gw_cmd_complete(cmd);
		return;
	}
	ch->cmd = cmd;
	ch->alua = cmd->nexus->target->alua;
	if (!read_list(cmd, ch)) {
		free(ch);
		gw_cmd_complete(cmd);
		return;
	}
	cmd->moved = cmd->data_len;
	cmd->scratch[0] = (uint64_t)(uintptr_t)ch;
	cmd->msg.fn = arrive;
	gw_send(gw_core_at(0), &cmd->msg);
}
