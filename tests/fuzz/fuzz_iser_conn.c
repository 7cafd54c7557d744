/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A logged-in connection over RDMA, on the stub of a device. The first two bytes choose what was
 * negotiated and what the device can; then messages follow, each after a byte for what happens
 * before it, one for its iSER header and one for its length. Headers get the data length that fits,
 * the CmdSN that is due and memory that they may advertise, unless bit 7 of the first byte is set.
 * The stub aborts when a work request breaks a rule; at the end everything must be given back.
 */
#include "tests/unit/iser/verbs.h"

#define STAG 0x10u
#define BASE 0x1000u
#define MEM  65536u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
negotiate(uint8_t bits, uint8_t device)
{
	rig.params.immediate_data = bits & 1;
	rig.params.iser_hello = bits & 2;
	rig.params.first_burst = bits & 4 ? 512 : ISCSI_LOGIN_DSL;
	rig.params.max_recv_dsl = bits & 8 ? 512 : ISCSI_LOGIN_DSL;
	rig.target.params.queue_depth = bits & 16 ? 2 : 16;
	/* Never less than one command may need: a core's region is not either. */
	if (bits & 64)
		rig.buf_limit = GW_XFER_MAX + (1u << 20);
	rig.dma_align = bits & 128 ? 512 : 1;
	vb.attr.max_sge = device & 1 ? 2 : 32;
	vb.attr.max_sge_rd = device & 2 ? 1 : 32;
	vb.attr.max_qp_wr = device & 4 ? 48 : 16384;
	vb.attr.max_cqe = 1024;
	vb.late = device & 8;
	vb.slow = device & 16;
}

static struct vb_peer *
login(uint8_t private_data)
{
	uint8_t m[ISER_HEAD_LEN] = {0x10}, *bhs = m + ISER_HEADER_LEN, said[4] = {private_data};
	struct vb_peer *p = vb_connect_as(4, said, sizeof(said));
	struct vb_msg *rsp;

	bhs[0] = ISCSI_OP_LOGIN_REQ | ISCSI_OP_IMMEDIATE;
	bhs[1] = 0x87;
	bhs[ISCSI_AT_ISID + 5] = 'f';
	gw_put_be16(bhs + ISCSI_AT_CID, 1);
	gw_put_be32(bhs + ISCSI_AT_CMDSN, 1);
	vb_put(p, m, sizeof(m));
	rig_run();
	rsp = vb_get(p);
	if (!rsp || gw_be16(rsp->data + ISER_HEADER_LEN + ISCSI_AT_LOGIN_STATUS))
		abort();
	free(rsp);
	vb_mem(p, STAG, BASE, MEM, true);
	vb_mem(p, STAG + 1, BASE, MEM, false);
	return p;
}

static void
event(struct vb_peer *p, uint8_t what)
{
	static const enum ibv_wc_status st[] = {IBV_WC_REM_ACCESS_ERR, IBV_WC_RETRY_EXC_ERR,
						IBV_WC_FATAL_ERR, IBV_WC_WR_FLUSH_ERR};

	switch (what & 0x7f) {
	case 'T':
		rig_pass(1000);
		break;
	case 'R':
		rig_release();
		break;
	case 'H':
		vb.hold_reads = !vb.hold_reads;
		break;
	case 'S':
		vb.hold_sends = !vb.hold_sends;
		break;
	case 'D':
		vb_hangup(p);
		break;
	case 'B':
		if (p->qp)
			vb_break(p->qp);
		break;
	case 'G':
		if (p->id && p->accepted)
			vb_event(p->id, RDMA_CM_EVENT_DEVICE_REMOVAL, NULL);
		break;
	case 'N':
		vb.never_flush = true;
		break;
	case 'L':
		vb.flush_late = true;
		break;
	case 'P':
		vb_fail("ibv_post_send", 1);
		break;
	case 'Q':
		vb_fail("ibv_post_recv", 1);
		break;
	case 'W':
		vb.fail_op = IBV_WR_RDMA_WRITE;
		vb.fail_st = st[p->done % 4];
		break;
	case 'E':
		vb.fail_op = IBV_WR_RDMA_READ;
		vb.fail_st = st[p->done % 4];
		break;
	case 'I': /* the memory can be used again */
		vb_mem(p, STAG, BASE, MEM, true);
		vb_mem(p, STAG + 1, BASE, MEM, false);
		break;
	}
}

/* One message from the input; how much of it was used. */
static size_t
feed(struct vb_peer *p, const uint8_t *in, size_t n, uint32_t *cmdsn)
{
	uint8_t m[ISER_HEAD_LEN + ISER_DATA + 64] = {0}, *bhs = m + ISER_HEADER_LEN;
	size_t head = GW_MIN(n - 3, (size_t)ISCSI_BHS_LEN), len;
	uint32_t total;

	event(p, in[0]);
	m[0] = in[1];
	len = GW_MIN((size_t)in[2] * 33, n - 3 - head);
	memcpy(bhs, in + 3, head);
	memcpy(bhs + ISCSI_BHS_LEN, in + 3 + head, len);
	total = ISER_HEAD_LEN + (uint32_t)len;
	if (in[0] & 0x80) {
		/* As it is, cut anywhere. */
		memcpy(m + 1, bhs, ISER_HEADER_LEN - 1);
		total = GW_MIN(total, (uint32_t)in[2] * 8);
	} else {
		gw_put_be32(m + 4, STAG);
		gw_put_be64(m + 8, BASE);
		gw_put_be32(m + 16, STAG + 1);
		gw_put_be64(m + 20, BASE);
		bhs[ISCSI_AT_AHSLEN] = 0;
		gw_put_be24(bhs + ISCSI_AT_DSL, (uint32_t)len);
		gw_put_be32(bhs + ISCSI_AT_CMDSN, *cmdsn);
		if (!iscsi_immediate(bhs) && iscsi_opcode(bhs) != ISCSI_OP_DATA_OUT)
			(*cmdsn)++;
		/* Lengths of commands that are of interest are small, but for some. */
		if (iscsi_opcode(bhs) == ISCSI_OP_SCSI_CMD) {
			bhs[ISCSI_AT_CDB + 2] = bhs[ISCSI_AT_CDB + 6] = 0;
			bhs[ISCSI_AT_CDB + 3] &= 0x3f;
			bhs[ISCSI_AT_CDB + 7] = 0;
		}
	}
	vb_put(p, m, total);
	return 3 + head + len;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint32_t cmdsn = 1;
	size_t at = 2;
	struct vb_peer *p;

	if (size < 6)
		return 0;
	vb_init();
	negotiate(data[0], data[1]);
	vb_listen();
	p = login(data[1] & 32 ? 0xc0 : 0x80);
	while (size - at > 3) {
		at += feed(p, data + at, size - at, &cmdsn);
		rig_run();
	}
	vb.hold_reads = vb.hold_sends = false;
	vb.fail = NULL;
	vb_hangup(p);
	for (unsigned k = 0; k < 10 && (k < 2 || rig.placed); k++) {
		rig_run();
		rig_release();
		rig_pass(k ? 15000 : 5);
	}
	if (p->id || !vb_clean() || !vb_fini())
		abort();
	return 0;
}
