/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads and writes in Full Feature Phase: sizes, negotiated values, and bytes in pieces of any
 * size. */
#include "tests/unit/iscsi/ini.h"

static uint8_t out[RIG_DISK], in[RIG_DISK];

static void
round_trip(struct ini *i, uint32_t len, uint32_t off, uint32_t seed)
{
	struct ini_result r;

	ini_fill(out, len, seed);
	ini_write(i, out, len, off, &r);
	ck_assert_uint_eq(r.status, SAM_GOOD);
	ck_assert_uint_eq(r.residual, 0);
	ck_assert(memcmp(rig.disk + off, out, len) == 0);
	memset(in, 0x55, len);
	ini_read(i, in, len, off, &r);
	ck_assert_uint_eq(r.status, SAM_GOOD);
	ck_assert_uint_eq(r.got, len);
	ck_assert(memcmp(in, out, len) == 0);
}

static const uint32_t size[] = {1, 3, 4, 511, 512, 4096, 8193, 65536, 65537, 200001, 1500001};

static void
matrix(uint32_t bits, uint32_t mrdsl, uint32_t burst, uint32_t r2ts)
{
	struct ini i;

	rig_init();
	rig.params.immediate_data = bits & 1;
	rig.params.initial_r2t = bits & 2;
	rig.params.header_digest = bits & 4;
	rig.params.data_digest = bits & 8;
	rig.dma_align = bits & 16 ? 512 : 1;
	rig.params.max_recv_dsl = rig.params.max_xmit_dsl = mrdsl;
	rig.params.max_burst = burst;
	rig.params.first_burst = GW_MIN(burst, 65536u);
	rig.params.max_outstanding_r2t = r2ts;
	ck_assert(ini_login(&i, 'a'));
	for (unsigned s = 0; s < GW_ARRAY_LEN(size) && size[s] < burst * 64; s++)
		round_trip(&i, size[s], s * 512, bits * 7 + s);
	rig_hangup(i.end);
	ck_assert(rig_clean());
	rig_fini();
}

START_TEST(every_combination)
{
	static const uint32_t mrdsl[] = {512, 8192, 262144}, burst[] = {512, 16384, 262144};

	for (unsigned m = 0; m < 3; m++) {
		for (unsigned b = 0; b < 3; b++)
			matrix((uint32_t)_i, mrdsl[m], burst[b], _i & 1 ? 1 : 4);
	}
}
END_TEST

/* The same conversation, cut after every n bytes both ways. */
START_TEST(split_anywhere)
{
	for (uint32_t bits = 0; bits < 16; bits++) {
		struct ini i;

		rig_init();
		rig.params.immediate_data = bits & 1;
		rig.params.initial_r2t = bits & 2;
		rig.params.header_digest = bits & 4;
		rig.params.data_digest = bits & 8;
		rig.params.max_burst = 4096;
		rig.params.first_burst = 2048;
		rig.params.max_recv_dsl = rig.params.max_xmit_dsl = 1000;
		rig.split = (uint32_t)_i;
		rig.send_max = (uint32_t)_i + 1;
		ck_assert(ini_login(&i, 'a'));
		round_trip(&i, 9001, 7, bits);
		round_trip(&i, 13, 0, bits);
		rig_hangup(i.end);
		ck_assert(rig_clean());
		rig_fini();
	}
}
END_TEST

/* Many commands in one receive leave in one send. */
START_TEST(batching)
{
	struct ini i;
	uint8_t bhs[ISCSI_BHS_LEN];
	uint32_t sends, itt = 0;
	struct ini_result r;

	rig_init();
	ck_assert(ini_login(&i, 'a'));
	sends = rig.sends;
	for (unsigned n = 0; n < 16; n++) {
		itt = ini_cmd(&i, bhs, 0x28, ISCSI_FLAG_F | ISCSI_CMD_R, 4096, n * 4096);
		ini_send(&i, bhs, NULL, 0);
	}
	rig_run();
	ck_assert_uint_eq(rig.sends, sends + 1);
	for (unsigned n = 0; n < 16; n++) {
		memset(&r, 0, sizeof(r));
		ini_read_finish(&i, itt - 15 + n, in, 4096, &r);
		ck_assert_uint_eq(r.got, 4096);
	}
	rig_hangup(i.end);
	ck_assert(rig_clean());
	rig_fini();
}
END_TEST

START_TEST(residuals_and_sense)
{
	struct ini i;
	struct ini_result r = {0};
	uint8_t bhs[ISCSI_BHS_LEN];
	uint32_t itt;

	rig_init();
	ck_assert(ini_login(&i, 'a'));
	/* The CDB has less than expected: underflow. */
	itt = ini_cmd(&i, bhs, 0x28, ISCSI_FLAG_F | ISCSI_CMD_R, 1000, 0);
	gw_put_be32(bhs + ISCSI_AT_EDTL, 3000);
	ini_send(&i, bhs, NULL, 0);
	ini_read_finish(&i, itt, in, 3000, &r);
	ck_assert_uint_eq(r.got, 1000);
	ck_assert_uint_eq(r.residual, 2000);
	ck_assert_uint_eq(r.flags & 6, ISCSI_RSP_U);
	/* ... and more: overflow. */
	memset(&r, 0, sizeof(r));
	itt = ini_cmd(&i, bhs, 0x28, ISCSI_FLAG_F | ISCSI_CMD_R, 1000, 0);
	gw_put_be32(bhs + ISCSI_AT_EDTL, 100);
	ini_send(&i, bhs, NULL, 0);
	ini_read_finish(&i, itt, in, 100, &r);
	ck_assert_uint_eq(r.got, 100);
	ck_assert_uint_eq(r.residual, 900);
	ck_assert_uint_eq(r.flags & 6, ISCSI_RSP_O);
	/* Refused with data on its way. */
	ini_fill(out, 2000, 1);
	itt = ini_cmd(&i, bhs, 0xff, ISCSI_FLAG_F | ISCSI_CMD_W, 2000, 0);
	ini_send(&i, bhs, out, 2000);
	memset(&r, 0, sizeof(r));
	ini_write_finish(&i, itt, out, 2000, 2000, &r);
	ck_assert_uint_eq(r.status, SAM_CHECK_CONDITION);
	ck_assert_uint_eq(r.sense_len, 18);
	ck_assert_uint_eq(r.sense[2], 5);
	/* ... unsolicited. */
	itt = ini_cmd(&i, bhs, 0xff, ISCSI_CMD_W, 2000, 0);
	ini_send(&i, bhs, out, 500);
	ini_data_out(&i, itt, ISCSI_RESERVED_TAG, out, 500, 1500);
	memset(&r, 0, sizeof(r));
	ini_write_finish(&i, itt, out, 2000, 2000, &r);
	ck_assert_uint_eq(r.status, SAM_CHECK_CONDITION);
	/* A write of less than the CDB says takes what comes. */
	itt = ini_cmd(&i, bhs, 0x2a, ISCSI_FLAG_F | ISCSI_CMD_W, 4096, 0);
	gw_put_be32(bhs + ISCSI_AT_EDTL, 512);
	ini_send(&i, bhs, out, 512);
	memset(&r, 0, sizeof(r));
	ini_write_finish(&i, itt, out, 512, 512, &r);
	ck_assert_uint_eq(r.residual, 4096 - 512);
	/* A command without data. */
	itt = ini_cmd(&i, bhs, 0x00, ISCSI_FLAG_F, 0, 0);
	ini_send(&i, bhs, NULL, 0);
	memset(&r, 0, sizeof(r));
	ini_write_finish(&i, itt, out, 0, 0, &r);
	ck_assert_uint_eq(r.status, SAM_GOOD);
	rig_hangup(i.end);
	ck_assert(rig_clean());
	rig_fini();
}
END_TEST

/* Little memory delays, never fails; what the wait was for comes back with the answers. */
START_TEST(few_buffers)
{
	struct ini i;
	struct ini_result r;
	uint8_t bhs[ISCSI_BHS_LEN];
	uint32_t itt = 0;

	rig_init();
	rig.chunks_low = true;
	ck_assert(ini_login(&i, 'a'));
	rig.buf_limit = 150000;
	for (unsigned n = 0; n < 8; n++) {
		itt = ini_cmd(&i, bhs, 0x28, ISCSI_FLAG_F | ISCSI_CMD_R, 100000, 0);
		ini_send(&i, bhs, NULL, 0);
	}
	for (unsigned n = 0; n < 8; n++) {
		memset(&r, 0, sizeof(r));
		ini_read_finish(&i, itt - 7 + n, in, 100000, &r);
		ck_assert_uint_eq(r.got, 100000);
	}
	for (unsigned n = 0; n < 5; n++)
		round_trip(&i, 140000, 0, n);
	rig_hangup(i.end);
	ck_assert(rig_clean());
	rig_fini();
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("iscsi/ffp");
	TCase *t = tcase_create("ffp");
	SRunner *r;
	int failed;

	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, every_combination, 0, 32);
	tcase_add_loop_test(t, split_anywhere, 1, 56);
	tcase_add_test(t, batching);
	tcase_add_test(t, residuals_and_sense);
	tcase_add_test(t, few_buffers);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
