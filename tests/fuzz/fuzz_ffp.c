/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Full Feature Phase as a byte stream against the connection code on a stub core. The first byte
 * chooses what was negotiated, the second the size of the pieces; then PDUs follow, each after one
 * byte: 'T' 1 s passes, 'R' held commands end, 'A' all commands are aborted from elsewhere,
 * anything else nothing. Their headers get the data length that fits what is left and the CmdSN
 * that is due unless bit 7 of that byte is set. At the end everything must be given back.
 */
#include "tests/unit/iscsi/rig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
negotiate(uint8_t bits)
{
	rig.params.immediate_data = bits & 1;
	rig.params.initial_r2t = bits & 2;
	rig.params.header_digest = bits & 4;
	rig.params.data_digest = bits & 8;
	rig.params.max_outstanding_r2t = bits & 16 ? 4 : 1;
	rig.params.max_burst = bits & 32 ? 1024 : 65536;
	rig.params.first_burst = 512;
	/* Never less than one command may need: a core's region is not either. */
	rig.buf_limit = bits & 64 ? GW_XFER_MAX : 64u << 20;
	rig.chunks_low = bits & 128;
	rig.params.max_recv_dsl = rig.params.max_xmit_dsl = 65536;
}

static void
abort_all(void)
{
	gw_list_each (n, &rig.nexuses, struct gw_nexus, node) {
		gw_list_each_safe (cmd, &n->cmds, struct gw_cmd, on_nexus)
			rig_abort(cmd, GW_ABORT_TAS);
	}
}

static void
event(uint8_t what)
{
	switch (what & 0x7f) {
	case 'T':
		rig_pass(1000);
		break;
	case 'R':
		rig_release();
		break;
	case 'A':
		abort_all();
		break;
	}
	rig_run();
}

/* One PDU from the input; how much of it was used. */
static size_t
feed(int end, const uint8_t *p, size_t n, uint32_t *cmdsn)
{
	uint8_t bhs[ISCSI_BHS_LEN] = {0};
	size_t head = GW_MIN(n - 1, (size_t)ISCSI_BHS_LEN), len;

	event(p[0]);
	memcpy(bhs, p + 1, head);
	p += 1 + head;
	n -= 1 + head;
	if (bhs[ISCSI_AT_OPCODE] & 0x80) {
		rig_put(end, bhs, sizeof(bhs));
		return 1 + head;
	}
	bhs[ISCSI_AT_AHSLEN] = 0;
	len = GW_MIN((size_t)(iscsi_dsl(bhs) & 0x3fff), n);
	gw_put_be32(bhs + ISCSI_AT_CMDSN, *cmdsn);
	if (!iscsi_immediate(bhs) && iscsi_opcode(bhs) != ISCSI_OP_DATA_OUT)
		(*cmdsn)++;
	/* Lengths of commands that are of interest are small. */
	if (iscsi_opcode(bhs) == ISCSI_OP_SCSI_CMD)
		bhs[ISCSI_AT_CDB + 2] = bhs[ISCSI_AT_CDB + 6] = bhs[ISCSI_AT_CDB + 7] = 0;
	rig_pdu(end, bhs, p, (uint32_t)len, rig.params.header_digest, rig.params.data_digest);
	return 1 + head + len;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint32_t cmdsn = 1;
	size_t at = 2;
	int end;

	if (size < 4)
		return 0;
	rig_init();
	negotiate(data[0]);
	end = rig_login('f');
	if (end < 0)
		abort();
	rig.split = data[1];
	while (at < size) {
		at += feed(end, data + at, size - at, &cmdsn);
		rig_run();
	}
	/* Who waits for a buffer does not read, and sees the end when commands or timers give one
	 * back. */
	rig_hangup(end);
	rig_release();
	rig_run();
	for (unsigned k = 0; k < 10 && rig.placed; k++) {
		rig_pass(15000);
		rig_release();
		rig_run();
	}
	if (!rig_clean())
		abort();
	rig_fini();
	return 0;
}
