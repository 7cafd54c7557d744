/* SPDX-License-Identifier: BSD-3-Clause */
/* Headers with additional segments, and the table of connection states. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/base/num.h"
#include "iscsi/conn_fsm.h"
#include "iscsi/pdu.h"

START_TEST(plain_cdb)
{
	uint8_t bhs[ISCSI_BHS_LEN] = {0}, cdb[32], len;

	memset(bhs + ISCSI_AT_CDB, 7, 16);
	memset(cdb, 0xff, sizeof(cdb));
	ck_assert(iscsi_pdu_cdb(bhs, NULL, cdb, sizeof(cdb), &len));
	ck_assert_uint_eq(len, 16);
	ck_assert_uint_eq(cdb[15], 7);
	ck_assert_uint_eq(cdb[16], 0);
	ck_assert_uint_eq(cdb[31], 0);
}
END_TEST

struct ahs_case {
	uint8_t words;
	uint8_t ahs[24];
	bool ok;
	uint8_t len;
};

static const struct ahs_case ahs_case[] = {
    {5, {0, 17, 1, 0, 1, 2, 3}, true, 32},   /* 16 more bytes */
    {2, {0, 5, 1, 0, 1, 2, 3, 4}, true, 20}, /* 4 more */
    {2, {0, 5, 2, 0, 0, 0, 0, 9}, true, 16}, /* bidirectional read length: skipped */
    {6, {0, 18, 1, 0}, false, 0},            /* 17 more: too long */
    {1, {0, 0, 1, 0}, false, 0},             /* no length */
    {1, {0, 5, 1, 0}, false, 0},             /* beyond the end */
    {2, {0xff, 0xff, 1, 0}, false, 0},
    {4, {0, 5, 1, 0, 1, 2, 3, 4, 0, 5, 1, 0, 1, 2, 3, 4}, false, 0}, /* twice */
    {4, {0, 5, 2, 0, 1, 2, 3, 4, 0, 5, 1, 0, 1, 2, 3, 4}, true, 20},
};

START_TEST(extended_cdb)
{
	const struct ahs_case *k = &ahs_case[_i];
	uint8_t bhs[ISCSI_BHS_LEN] = {0}, cdb[32], len;
	uint8_t *ahs = malloc(k->words * 4u);

	memcpy(ahs, k->ahs, k->words * 4u);
	bhs[ISCSI_AT_AHSLEN] = k->words;
	ck_assert_int_eq(iscsi_pdu_cdb(bhs, ahs, cdb, sizeof(cdb), &len), k->ok);
	if (k->ok)
		ck_assert_uint_eq(len, k->len);
	free(ahs);
}
END_TEST

/* 8.1: whatever is not in the diagram closes the connection, and nothing leads out of S1 but a new
 * one. */
START_TEST(state_table)
{
	for (int s = 0; s < ISCSI_CS_MAX; s++) {
		for (int e = 0; e < ISCSI_EV_MAX; e++) {
			struct iscsi_step st = iscsi_conn_step(s, e);

			ck_assert_int_lt(st.next, ISCSI_CS_MAX);
			if (st.act == ISCSI_ACT_CLOSE)
				ck_assert(st.next == ISCSI_S1_FREE ||
					  st.next == ISCSI_S8_CLEANUP_WAIT);
		}
		if (s != ISCSI_S1_FREE && s != ISCSI_S8_CLEANUP_WAIT)
			ck_assert_int_eq(iscsi_conn_step(s, ISCSI_EV_LOST).act, ISCSI_ACT_CLOSE);
	}
	ck_assert_int_eq(iscsi_conn_step(99, 0).act, ISCSI_ACT_CLOSE);
	ck_assert_int_eq(iscsi_conn_step(0, 99).act, ISCSI_ACT_CLOSE);
	ck_assert_int_eq(iscsi_conn_step(ISCSI_S3_XPT_UP, ISCSI_EV_LOGIN).t, 4);
	ck_assert_int_eq(iscsi_conn_step(ISCSI_S5_LOGGED_IN, ISCSI_EV_LOGIN).t, 0);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("iscsi/pdu");
	TCase *t = tcase_create("pdu");
	SRunner *r;
	int failed;

	tcase_add_test(t, plain_cdb);
	tcase_add_loop_test(t, extended_cdb, 0, (int)GW_ARRAY_LEN(ahs_case));
	tcase_add_test(t, state_table);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
