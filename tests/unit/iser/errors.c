/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Completions with each error, of each kind of work request: that one connection ends, with one
 * line in the log that says why. In a program of its own, as lines are counted by how many came of
 * late.
 */
#include "tests/unit/base/suite.h"
#include "tests/unit/iser/ini.h"

static FILE *caught;
static int stderr_fd;

static void
catch_log(void)
{
	fflush(stderr);
	caught = tmpfile();
	ck_assert_ptr_nonnull(caught);
	stderr_fd = dup(STDERR_FILENO);
	ck_assert_int_ge(dup2(fileno(caught), STDERR_FILENO), 0);
	gw_log_level_set(GW_LOG_INFO);
}

/* How many lines there were; the last is in buf. */
static unsigned
end_catch(char *buf, int size)
{
	unsigned n = 0;

	gw_log_level_set(GW_LOG_ERR);
	dup2(stderr_fd, STDERR_FILENO);
	close(stderr_fd);
	rewind(caught);
	for (buf[0] = 0; fgets(buf, size, caught); n++)
		;
	fclose(caught);
	return n;
}

/* The device fails one work request of one of two connections; LOC_LEN: a RECV. */
static void
fails(enum ibv_wr_opcode op, enum ibv_wc_status st, const char *why)
{
	struct vi i, other;
	struct vb_mem *m;
	char line[1024];
	unsigned n;

	vb_init();
	vb_listen();
	vi_login(&i, 'a');
	vi_login(&other, 'b');
	vi_settle();
	catch_log();
	vb.fail_op = (int)op;
	vb.fail_st = st;
	if (st == IBV_WC_LOC_LEN_ERR)
		vb_put(i.p, rig.disk, ISER_HEAD_LEN + ISER_DATA + 1);
	else if (op == IBV_WR_RDMA_READ)
		(void)vi_write(&i, vi_mem(&i, 1, 50000, true), 100, 0, false);
	else
		(void)vi_read(&i, vi_mem(&i, 1, 50000, false), 0, false);
	(void)vi_read(&i, vi_mem(&i, 2, 512, false), 0, true);
	vi_settle();
	n = end_catch(line, sizeof(line));
	ck_assert(vb.fail_op == -1 || st == IBV_WC_LOC_LEN_ERR);
	vb.fail_op = -1;
	ck_assert_ptr_null(i.p->id);
	ck_assert_msg(n == 1 && strstr(line, why), "%u lines, the last: %s", n, line);
	ck_assert_ptr_nonnull(strstr(line, "connection closed"));
	m = vi_mem(&other, 1, 5000, false);
	vi_good(&other, vi_read(&other, m, 0, false));
	vi_leave(&other);
	ck_assert(vb_clean());
	ck_assert(vb_fini());
}

/* No more than 20 ends in all: of more, the log would not say each. */
START_TEST(test_sends)
{
	fails(IBV_WR_SEND_WITH_INV, IBV_WC_RNR_RETRY_EXC_ERR, "it does not receive our answers");
	fails(IBV_WR_SEND_WITH_INV, IBV_WC_REM_INV_REQ_ERR, "refused an RDMA operation");
	fails(IBV_WR_SEND_WITH_INV, IBV_WC_WR_FLUSH_ERR, "broke");
}
END_TEST

START_TEST(test_rdma_writes)
{
	fails(IBV_WR_RDMA_WRITE, IBV_WC_REM_ACCESS_ERR, "refused an RDMA operation");
	fails(IBV_WR_RDMA_WRITE, IBV_WC_RETRY_EXC_ERR, "it does not answer");
	fails(IBV_WR_RDMA_WRITE, IBV_WC_FATAL_ERR, "an RDMA operation failed");
}
END_TEST

START_TEST(test_rdma_reads)
{
	fails(IBV_WR_RDMA_READ, IBV_WC_REM_ACCESS_ERR, "refused an RDMA operation");
	fails(IBV_WR_RDMA_READ, IBV_WC_RESP_TIMEOUT_ERR, "it does not answer");
	fails(IBV_WR_RDMA_READ, IBV_WC_LOC_QP_OP_ERR, "an RDMA operation failed");
}
END_TEST

START_TEST(test_recvs)
{
	fails(IBV_WR_SEND_WITH_INV, IBV_WC_LOC_LEN_ERR, "a message longer than agreed");
}
END_TEST

SUITE("iser/errors", test_sends, test_rdma_writes, test_rdma_reads, test_recvs)
