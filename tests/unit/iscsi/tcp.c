/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The transport on two real cores and real sockets, with the real login and a SCSI layer of stubs:
 * listening, placing, reading and writing, one session replacing another across cores, shutdown.
 */
#include <arpa/inet.h>
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/base/log.h"
#include "iscsi/pdu.h"
#include "iscsi/core.h"
#include "iscsi/tcp_xport.h"

#define IQN     "iqn.2026-01.org.example:disk"
#define CLIENTS 6
#define ROUNDS  40
#define SIZE    40000

static struct gw_target target = {.tid = 1, .ready = true, .iqn = IQN};
static struct gw_model model = {.ready = true, .login_timeout_ms = 5000};
static struct gw_portal portal = {.host = "127.0.0.1", .tpgt = 5};

const struct gw_target *
gw_target_by_name(const struct gw_model *m, const char *iqn)
{
	(void)m;
	return strcmp(iqn, IQN) == 0 ? &target : NULL;
}

const struct gw_target *
gw_target_by_tid(const struct gw_model *m, uint32_t tid)
{
	(void)m;
	return tid == 1 ? &target : NULL;
}

bool
gw_acl_admits(const struct gw_target *t, const char *initiator, const struct sockaddr *peer)
{
	(void)t;
	(void)initiator;
	(void)peer;
	return true;
}

uint64_t
gw_lun_decode(const uint8_t lun[8])
{
	return lun[1];
}

void
gw_lun_encode(uint64_t n, uint8_t lun[8])
{
	memset(lun, 0, 8);
	lun[1] = (uint8_t)n;
}

bool
scsi_begin(struct gw_cmd *cmd)
{
	cmd->dir = cmd->cdb[0] == 0x28 ? GW_DIR_IN : GW_DIR_OUT;
	cmd->data_len = gw_be32(cmd->cdb + 2) % (GW_SEG_MAX + 1);
	return true;
}

bool
scsi_lends(const struct gw_cmd *cmd)
{
	return false;
}

/* Reads give back the fill byte of the CDB; writes must be full of it. */
void
scsi_exec(struct gw_cmd *cmd)
{
	for (unsigned i = 0; i < cmd->niov; i++) {
		uint8_t *p = cmd->iov[i].iov_base;

		if (cmd->dir == GW_DIR_IN)
			memset(p, cmd->cdb[1], cmd->iov[i].iov_len);
		else if (p[0] != cmd->cdb[1] || p[cmd->iov[i].iov_len - 1] != cmd->cdb[1])
			cmd->status = SAM_BUSY;
	}
	cmd->in_len = cmd->dir == GW_DIR_IN ? cmd->data_len : 0;
	cmd->moved = cmd->data_len;
	cmd->nexus->xport->respond(cmd);
}

void
scsi_forget(struct gw_cmd *cmd)
{
	(void)cmd;
}

void
scsi_tmf(struct gw_tmf *tmf)
{
	tmf->done(tmf);
}

int
scsi_nexus_open(struct gw_nexus *n)
{
	return n->tpgt == portal.tpgt ? 0 : -1;
}

static void
closed(struct gw_hook *h)
{
	struct gw_nexus *n = gw_container(h, struct gw_nexus, close_hook);

	n->closed(n);
}

void
scsi_nexus_close(struct gw_nexus *n)
{
	gw_hook_init(&n->close_hook, closed);
	gw_at_kick(n->core, &n->close_hook);
}

/* --- the clients' side ---------------------------------------------------------------------------
 */

static int
dial(void)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(portal.port)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (connect(fd, (struct sockaddr *)&in, sizeof(in))) {
		close(fd);
		return -1;
	}
	return fd;
}

static bool
put(int fd, const void *p, size_t n)
{
	while (n > 0) {
		ssize_t m = send(fd, p, n, MSG_NOSIGNAL);

		if (m <= 0)
			return false;
		p = (const char *)p + m;
		n -= (size_t)m;
	}
	return true;
}

static bool
get(int fd, uint8_t *bhs, uint8_t *data, size_t max)
{
	size_t len;

	if (recv(fd, bhs, ISCSI_BHS_LEN, MSG_WAITALL) != ISCSI_BHS_LEN)
		return false;
	len = iscsi_dsl(bhs) + iscsi_pad(iscsi_dsl(bhs));
	if (len > max)
		return false;
	return len == 0 || recv(fd, data, len, MSG_WAITALL) == (ssize_t)len;
}

/* Logs in as initiator n; a descriptor, or -1. */
static int
login(int n)
{
	uint8_t bhs[ISCSI_BHS_LEN] = {ISCSI_OP_LOGIN_REQ | ISCSI_OP_IMMEDIATE, 0x87}, data[8192];
	char text[512] = {0};
	int len = 0, fd = dial();

	if (fd < 0)
		return -1;
	len += snprintf(text + len, sizeof(text) - len, "InitiatorName=iqn.2026-01.org.example:i%d",
			n) +
	       1;
	len += snprintf(text + len, sizeof(text) - len, "TargetName=%s", IQN) + 1;
	len += snprintf(text + len, sizeof(text) - len, "SessionType=Normal") + 1;
	len += snprintf(text + len, sizeof(text) - len, "InitialR2T=Yes") + 1;
	len += snprintf(text + len, sizeof(text) - len, "ImmediateData=No") + 1;
	gw_put_be24(bhs + ISCSI_AT_DSL, (uint32_t)len);
	gw_put_be32(bhs + ISCSI_AT_CMDSN, 1);
	gw_put_be32(bhs + ISCSI_AT_ITT, 1);
	if (put(fd, bhs, sizeof(bhs)) && put(fd, text, (size_t)len + iscsi_pad((uint32_t)len)) &&
	    get(fd, bhs, data, sizeof(data)) && bhs[0] == ISCSI_OP_LOGIN_RSP &&
	    gw_be16(bhs + ISCSI_AT_LOGIN_STATUS) == 0 && bhs[1] == 0x87)
		return fd;
	close(fd);
	return -1;
}

static void
command(uint8_t *bhs, uint8_t op, uint8_t flags, uint32_t sn, uint8_t fill)
{
	memset(bhs, 0, ISCSI_BHS_LEN);
	bhs[0] = ISCSI_OP_SCSI_CMD;
	bhs[1] = flags;
	gw_put_be32(bhs + ISCSI_AT_ITT, sn);
	gw_put_be32(bhs + ISCSI_AT_EDTL, SIZE);
	gw_put_be32(bhs + ISCSI_AT_CMDSN, sn);
	bhs[ISCSI_AT_CDB] = op;
	bhs[ISCSI_AT_CDB + 1] = fill;
	gw_put_be32(bhs + ISCSI_AT_CDB + 2, SIZE);
}

static bool
write_once(int fd, uint32_t sn, uint8_t fill, uint8_t *data)
{
	uint8_t bhs[ISCSI_BHS_LEN], out[ISCSI_BHS_LEN] = {ISCSI_OP_DATA_OUT, ISCSI_FLAG_F};

	command(bhs, 0x2a, 0xa1, sn, fill);
	memset(data, fill, SIZE);
	if (!put(fd, bhs, sizeof(bhs)) || !get(fd, bhs, data, SIZE) || bhs[0] != ISCSI_OP_R2T)
		return false;
	memcpy(out + ISCSI_AT_ITT, bhs + ISCSI_AT_ITT, 8);
	gw_put_be24(out + ISCSI_AT_DSL, SIZE);
	return put(fd, out, sizeof(out)) && put(fd, data, SIZE) && get(fd, bhs, data, SIZE) &&
	       bhs[0] == ISCSI_OP_SCSI_RSP && bhs[3] == SAM_GOOD;
}

static bool
read_once(int fd, uint32_t sn, uint8_t fill, uint8_t *data)
{
	uint8_t bhs[ISCSI_BHS_LEN];
	uint32_t got = 0;

	command(bhs, 0x28, 0xc1, sn, fill);
	if (!put(fd, bhs, sizeof(bhs)))
		return false;
	do {
		if (!get(fd, bhs, data + got, SIZE - got) || bhs[0] != ISCSI_OP_DATA_IN)
			return false;
		got += iscsi_dsl(bhs);
	} while (!(bhs[1] & ISCSI_DATAIN_S));
	return got == SIZE && data[0] == fill && data[SIZE - 1] == fill;
}

static void *
client(void *arg)
{
	int n = (int)(intptr_t)arg;
	uint8_t *data = malloc(SIZE);
	intptr_t good = 0;
	int fd = login(n);

	for (uint32_t k = 0; fd >= 0 && k < ROUNDS; k++) {
		if (write_once(fd, 1 + 2 * k, (uint8_t)(n + k), data) &&
		    read_once(fd, 2 + 2 * k, (uint8_t)(n + k), data))
			good++;
	}
	if (fd >= 0)
		close(fd);
	free(data);
	return (void *)good;
}

static const char *engine; /* of the tests that run now */

static void
on_uring(void)
{
	engine = "uring";
}

static void
on_epoll(void)
{
	engine = "epoll";
}

static void
start(void)
{
	struct gw_core_conf conf = {.cores = "0,0", .engine = engine};
	char err[256] = "";
	struct sockaddr_in in = {.sin_family = AF_INET};
	socklen_t len = sizeof(in);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&in, &len), 0);
	portal.port = ntohs(in.sin_port);
	close(fd);
	gw_log_level_set(GW_LOG_ERR);
	target.params = (struct gw_target_params){.max_recv_dsl = 262144,
						  .max_xmit_dsl = 262144,
						  .first_burst = 65536,
						  .max_burst = 262144,
						  .max_outstanding_r2t = 1,
						  .queue_depth = 32,
						  .nop_interval = 15,
						  .nop_count = 3,
						  .immediate_data = true,
						  .header_digest = 3,
						  .data_digest = 3};
	ck_assert_msg(gw_cores_init(&conf, err, sizeof(err)) == 0, "%s", err);
	ck_assert_int_eq(iscsi_init(), 0);
	for (unsigned i = 0; i < gw_ncores(); i++)
		gw_core_at(i)->slot[GW_SLOT_MODEL] = &model;
	ck_assert_int_eq(gw_cores_start(), 0);
	ck_assert_msg(tcp_listen(&portal, err, sizeof(err)) == 0, "%s", err);
	tcp_accept(&portal);
}

static void
stop(void)
{
	tcp_unlisten(&portal);
	ck_assert(iscsi_stop(10000));
	for (unsigned i = 0; i < gw_ncores(); i++)
		ck_assert_uint_eq(gw_buf_used(gw_core_at(i)), 0);
	iscsi_fini();
	gw_cores_fini();
}

START_TEST(many_sessions)
{
	pthread_t t[CLIENTS];
	void *good;

	start();
	for (intptr_t n = 0; n < CLIENTS; n++)
		ck_assert_int_eq(pthread_create(&t[n], NULL, client, (void *)n), 0);
	for (int n = 0; n < CLIENTS; n++) {
		pthread_join(t[n], &good);
		ck_assert_int_eq((int)(intptr_t)good, ROUNDS);
	}
	stop();
}
END_TEST

/* The same initiator again and again: each login ends the one before, on whatever core it lives. */
START_TEST(reinstated_across_cores)
{
	uint8_t data[64];
	int fd, old = -1;

	start();
	for (int k = 0; k < 30; k++) {
		fd = login(77);
		ck_assert_int_ge(fd, 0);
		if (old >= 0) {
			ck_assert_int_le(recv(old, data, sizeof(data), 0), 0);
			close(old);
		}
		old = fd;
	}
	stop();
	close(old);
}
END_TEST

START_TEST(port_in_use)
{
	struct gw_portal second;
	char err[256] = "";

	start();
	second = portal;
	second.priv = NULL;
	ck_assert_int_lt(tcp_listen(&second, err, sizeof(err)), 0);
	ck_assert_ptr_nonnull(strstr(err, "in use"));
	strcpy(second.host, "no-such-host");
	ck_assert_int_lt(tcp_listen(&second, err, sizeof(err)), 0);
	ck_assert_ptr_nonnull(strstr(err, "not a numeric"));
	stop();
}
END_TEST

static void
nothing(struct gw_core *core, void *arg)
{
	(void)core;
	(void)arg;
}

/* Until the model is there nobody is let in; then whoever waited is. */
START_TEST(early_callers_wait)
{
	char err[256];
	int early, fd;

	start();
	tcp_unlisten(&portal);
	ck_assert_msg(tcp_listen(&portal, err, sizeof(err)) == 0, "%s", err);
	early = dial();
	ck_assert_int_ge(early, 0);
	for (unsigned turn = 0; turn < 100; turn++) {
		for (unsigned i = 0; i < gw_ncores(); i++) {
			gw_run_sync(gw_core_at(i), nothing, NULL);
			ck_assert_uint_eq(atomic_load(&gw_core_at(i)->load), 0);
		}
	}
	tcp_accept(&portal);
	fd = login(1);
	ck_assert_int_ge(fd, 0);
	close(early);
	close(fd);
	stop();
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("iscsi/tcp");
	SRunner *r;
	int failed;

	for (int i = 0; i < 2; i++) {
		TCase *t = tcase_create(i ? "epoll" : "uring");

		tcase_set_timeout(t, 120);
		tcase_add_checked_fixture(t, i ? on_epoll : on_uring, NULL);
		tcase_add_test(t, many_sessions);
		tcase_add_test(t, reinstated_across_cores);
		tcase_add_test(t, port_in_use);
		tcase_add_test(t, early_callers_wait);
		suite_add_tcase(s, t);
	}
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
