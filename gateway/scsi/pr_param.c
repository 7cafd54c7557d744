/* SPDX-License-Identifier: BSD-3-Clause */
/* The parameter lists of PERSISTENT RESERVE OUT (SPC-4 6.16.3, 6.16.4), and their lengths. */
#include <stdlib.h>

#include "gateway/scsi/pr_priv.h"
#include "gateway/scsi/transport_id.h"

#define APTPL     0x01
#define ALL_TG_PT 0x04
#define SPEC_I_PT 0x08

#define MOVE_APTPL 0x01
#define MOVE_UNREG 0x02

static bool
registers(uint8_t sa)
{
	return sa == PR_OUT_REGISTER || sa == PR_OUT_REGISTER_IGNORE;
}

bool
scsi_pr_out_prep(struct gw_cmd *cmd)
{
	uint8_t sa = cmd->op->sa;
	bool longer = sa == PR_OUT_REGISTER || sa == PR_OUT_MOVE;

	if (cmd->data_len == PR_PARAM_SIZE && sa != PR_OUT_MOVE)
		return true;
	if (longer && cmd->data_len > PR_PARAM_SIZE && cmd->data_len <= PR_PARAM_MAX)
		return true;
	return scsi_check(cmd, SENSE_PARAM_LENGTH);
}

static bool
bad_field(struct gw_cmd *cmd, size_t byte, int bit)
{
	return scsi_check_param(cmd, (unsigned)GW_MIN(byte, (size_t)UINT16_MAX), bit);
}

/* An initiator's name alone names no port, and here ports register. */
static bool
read_ports(struct gw_cmd *cmd, struct pr_request *req, const uint8_t *list, size_t size, size_t at)
{
	while (at < size) {
		struct pr_port *p = &req->port[req->nport];
		struct transport_id id;
		size_t bad, n = transport_id_read(list + at, size - at, &id, &bad);

		if (!n)
			return bad_field(cmd, at + bad, -1);
		if (!id.port)
			return bad_field(cmd, at, 7);
		memcpy(p->initiator, id.initiator, sizeof(p->initiator));
		memcpy(p->isid, id.isid, sizeof(p->isid));
		req->nport++;
		at += n;
	}
	return true;
}

/* The list from byte `at` on is all TransportIDs; the shortest has 24 bytes. */
static bool
read_list(struct gw_cmd *cmd, struct pr_request *req, size_t at)
{
	size_t size = cmd->data_len;
	uint8_t *list = malloc(size);
	bool ok = false;

	req->port = calloc(size / PR_PARAM_SIZE + 1, sizeof(*req->port));
	if (!list || !req->port)
		cmd->status = SAM_BUSY;
	else if (!scsi_out_get(cmd, 0, list, size))
		scsi_check(cmd, SENSE_PARAM_LENGTH);
	else
		ok = read_ports(cmd, req, list, size, at);
	free(list);
	return ok;
}

static bool
decode_register(struct gw_cmd *cmd, struct pr_request *req, const uint8_t *b)
{
	uint8_t length[4];

	if (registers(req->sa)) {
		req->all_tg_pt = b[20] & ALL_TG_PT;
		req->aptpl = b[20] & APTPL;
	}
	if (!(b[20] & SPEC_I_PT))
		return cmd->data_len == PR_PARAM_SIZE || scsi_check(cmd, SENSE_PARAM_LENGTH);
	if (req->sa != PR_OUT_REGISTER)
		return bad_field(cmd, 20, 3);
	req->spec_i_pt = true;
	if (!scsi_out_get(cmd, PR_PARAM_SIZE, length, 4) ||
	    gw_be32(length) != cmd->data_len - PR_PARAM_SIZE - 4)
		return scsi_check(cmd, SENSE_PARAM_LENGTH);
	return read_list(cmd, req, PR_PARAM_SIZE + 4);
}

static bool
decode_move(struct gw_cmd *cmd, struct pr_request *req, const uint8_t *b)
{
	req->aptpl = b[17] & MOVE_APTPL;
	req->unreg = b[17] & MOVE_UNREG;
	req->move_to = gw_be16(b + 18);
	if (gw_be32(b + 20) != cmd->data_len - PR_PARAM_SIZE)
		return scsi_check(cmd, SENSE_PARAM_LENGTH);
	if (!read_list(cmd, req, PR_PARAM_SIZE))
		return false;
	return req->nport == 1 || bad_field(cmd, 20, 7);
}

/* Nothing survives without a name to find it by. */
static bool
check_aptpl(struct gw_cmd *cmd, const struct pr_request *req)
{
	if (!req->aptpl || pr_can_save(scsi_view_of(cmd)))
		return true;
	return bad_field(cmd, req->sa == PR_OUT_MOVE ? 17 : 20, 0);
}

bool
pr_decode(struct gw_cmd *cmd, struct pr_request *req)
{
	uint8_t b[PR_PARAM_SIZE];

	req->nexus = cmd->nexus;
	req->sa = cmd->op->sa;
	req->scope = cmd->cdb[2] >> 4;
	req->type = cmd->cdb[2] & 0x0f;
	if (cmd->out_len < cmd->data_len || !scsi_out_get(cmd, 0, b, sizeof(b)))
		return scsi_check(cmd, SENSE_PARAM_LENGTH);
	req->key = gw_be64(b);
	req->sa_key = gw_be64(b + 8);
	if (!(req->sa == PR_OUT_MOVE ? decode_move(cmd, req, b) : decode_register(cmd, req, b)))
		return false;
	return check_aptpl(cmd, req);
}
