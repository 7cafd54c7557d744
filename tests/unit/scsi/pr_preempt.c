/* SPDX-License-Identifier: BSD-3-Clause */
/* Persistent reservations: PREEMPT and PREEMPT AND ABORT, and whom they wait for. */
#include "tests/unit/scsi/pr_bench.h"

START_TEST(preempt_registrations)
{
	pr_register(a, 1);
	pr_register(b, 2);
	pr_register(c, 2);
	ck_assert_uint_eq(pr_out(a, PR_OUT_PREEMPT, 0, 1, 0), SENSE_PARAM_FIELD);
	ck_assert_uint_eq(pr_out(a, PR_OUT_PREEMPT, 0, 1, 3), CONFLICT);
	ck_assert_uint_eq(pr_out(a, PR_OUT_PREEMPT, 0, 2, 2), CONFLICT);
	ck_assert_uint_eq(pr_out(a, PR_OUT_PREEMPT, 0, 1, 2), 0);
	ck_assert_uint_eq(pr_keys(a, NULL), 1);
	ck_assert_uint_eq(pr_reserved(a, NULL), 0);
	ck_assert_uint_eq(pr_tur(b), UA(0x2a05));
	ck_assert_uint_eq(pr_tur(c), UA(0x2a05));
	ck_assert_uint_eq(pr_tur(a) | pr_tur(b) | pr_tur(c), 0);
	/* Its own, where there is no reservation. */
	ck_assert_uint_eq(pr_out(a, PR_OUT_PREEMPT, 0, 1, 1), 0);
	ck_assert_uint_eq(pr_keys(a, NULL), 0);
	ck_assert_uint_eq(pr_tur(a), 0);
}
END_TEST

START_TEST(preempt_the_holder)
{
	for (unsigned i = 0; i < 4; i++) {
		uint8_t was = types[i];

		EACH_TYPE(t)
		{
			uint64_t key;

			pr_register(a, 1);
			pr_register(b, 2);
			pr_register(c, 3);
			pr_reserve(a, 1, was);
			ck_assert_uint_eq(pr_out(b, PR_OUT_PREEMPT, *t, 2, 1), 0);
			ck_assert_uint_eq(pr_reserved(c, &key), *t);
			ck_assert_uint_eq(key, pr_all_registrants(*t) ? 0 : 2);
			ck_assert_uint_eq(pr_keys(c, NULL), 2);
			ck_assert_uint_eq(pr_write(b), 0);
			ck_assert_uint_eq(pr_tur(a), UA(0x2a05));
			ck_assert_uint_eq(pr_tur(b), 0);
			ck_assert_uint_eq(pr_tur(c), *t != was ? UA(0x2a04) : 0);
			ck_assert_uint_eq(pr_write(a), CONFLICT);
			clean();
		}
	}
}
END_TEST

START_TEST(preempt_the_own_reservation)
{
	pr_register(a, 1);
	pr_register(b, 1);
	pr_register(c, 3);
	pr_reserve(a, 1, PR_WRITE);
	ck_assert_uint_eq(pr_out(a, PR_OUT_PREEMPT, PR_ACCESS_RO, 1, 1), 0);
	/* It stays registered; another with the same key does not. */
	ck_assert_uint_eq(pr_keys(a, NULL), 2);
	ck_assert_uint_eq(pr_reserved(a, NULL), PR_ACCESS_RO);
	ck_assert_uint_eq(pr_write(a), 0);
	ck_assert_uint_eq(pr_tur(b), UA(0x2a05));
	ck_assert_uint_eq(pr_tur(c), UA(0x2a04));
	ck_assert_uint_eq(pr_tur(a), 0);
}
END_TEST

START_TEST(preempt_all_registrants)
{
	pr_register(a, 1);
	pr_register(b, 2);
	pr_register(c, 3);
	pr_reserve(a, 1, PR_WRITE_AR);
	/* A key names registrations, not the reservation. */
	ck_assert_uint_eq(pr_out(a, PR_OUT_PREEMPT, PR_ACCESS, 1, 2), 0);
	ck_assert_uint_eq(pr_reserved(a, NULL), PR_WRITE_AR);
	ck_assert_uint_eq(pr_keys(a, NULL), 2);
	ck_assert_uint_eq(pr_tur(b), UA(0x2a05));
	ck_assert_uint_eq(pr_tur(c), 0);
	/* 0 names it, and with it everybody. */
	ck_assert_uint_eq(pr_out(c, PR_OUT_PREEMPT, PR_ACCESS, 3, 0), 0);
	ck_assert_uint_eq(pr_reserved(a, NULL), PR_ACCESS);
	ck_assert_uint_eq(pr_keys(a, NULL), 1);
	ck_assert_uint_eq(pr_tur(a), UA(0x2a05));
	ck_assert_uint_eq(pr_tur(b) | pr_tur(c), 0);
	ck_assert_uint_eq(pr_write(a), CONFLICT);
	ck_assert_uint_eq(pr_write(c), 0);
	/* The last registrant takes the reservation with it. */
	ck_assert_uint_eq(pr_out(c, PR_OUT_PREEMPT, PR_WRITE_AR, 3, 3), 0);
	ck_assert_uint_eq(pr_out(c, PR_OUT_PREEMPT, PR_WRITE, 3, 3), 0);
	ck_assert_uint_eq(pr_keys(a, NULL), 0);
	ck_assert_uint_eq(pr_reserved(a, NULL), 0);
}
END_TEST

/* A write of block 7 that the backend holds. */
static struct rig_cmd *
held_write(struct gw_nexus *n)
{
	static const uint8_t block[512] = {9};
	struct rig_cmd *w = rig_start(n, 1, "2a 00 00 00 00 07 00 00 01", GW_DIR_OUT, 512);

	BUG(w->refused);
	rig_exec(w, block, sizeof(block));
	return w;
}

START_TEST(preempt_and_abort_waits)
{
	struct rig_cmd *wa, *wb, *wc, *later, *p;
	uint8_t list[PR_PARAM_SIZE];

	pr_register(a, 1);
	pr_register(b, 2);
	pr_register(c, 3);
	pr_reserve(b, 2, PR_WRITE_RO);
	rig.hold = true;
	wa = held_write(a);
	wb = held_write(b);
	wc = held_write(c);
	/* Its data has not come. */
	later = rig_start(b, 1, "2a 00 00 00 00 07 00 00 01", GW_DIR_OUT, 512);
	pr_list(list, 1, 2, 0);
	p = pr_send(a, PR_OUT_PREEMPT_ABORT, PR_WRITE_RO, list, sizeof(list));
	rig_run();
	/* Everybody knows, but what the backend has may still reach the medium. */
	ck_assert_uint_eq(later->responses, 1);
	ck_assert_uint_eq(later->cmd.aborted, GW_ABORT_QUIET);
	ck_assert_uint_eq(p->responses, 0);
	ck_assert_uint_eq(wb->responses, 0);
	ck_assert_uint_eq(pr_tur(b), UA(0x2f00));
	ck_assert_uint_eq(pr_tur(b), UA(0x2a05));
	ck_assert_uint_eq(pr_write(b), CONFLICT);
	rig_io_one();
	rig_run();
	ck_assert_uint_eq(wa->responses, 1);
	ck_assert_uint_eq(rig_result(wa), 0);
	ck_assert_uint_eq(p->responses, 0);
	rig_io_one();
	rig_run();
	ck_assert_uint_eq(wb->responses, 1);
	ck_assert_uint_eq(wb->cmd.aborted, GW_ABORT_QUIET);
	ck_assert_uint_eq(p->responses, 1);
	ck_assert_uint_eq(rig_result(p), 0);
	/* The third one was nobody's enemy. */
	ck_assert_uint_eq(wc->responses, 0);
	rig.hold = false;
	rig_run();
	ck_assert_uint_eq(rig_result(wc), 0);
	ck_assert_uint_eq(pr_reserved(c, NULL), PR_WRITE_RO);
	ck_assert_uint_eq(pr_tur(a) | pr_tur(c), 0);
	rig_free(wa);
	rig_free(wb);
	rig_free(wc);
	rig_free(later);
	rig_free(p);
}
END_TEST

/* EXTENDED COPY that is sent to LUN 2, from there to LUN 1: 3000 blocks. */
static struct rig_cmd *
start_copy(struct gw_nexus *n)
{
	const struct scsi_lu_conf *dst = scsi_lu_conf(s.disk);
	uint8_t list[16 + 32 + 28] = {0, 3 << 3, 0, 32}, *cscd = list + 16, *seg = cscd + 32;
	struct rig_cmd *cmd;

	list[11] = 28;
	cscd[0] = 0xe4;
	cscd[4] = 1;
	cscd[5] = 3;
	cscd[7] = 16;
	memcpy(cscd + 8, dst->naa, 16);
	seg[0] = 2;
	seg[3] = 24;
	gw_put_be16(seg + 4, 0xffff);
	gw_put_be16(seg + 10, 3000);
	cmd =
	    rig_start(n, 2, "83 00 00 00 00 00 00 00 00 00 00 00 00 4c", GW_DIR_OUT, sizeof(list));
	BUG(cmd->refused);
	rig_exec(cmd, list, sizeof(list));
	rig_run();
	return cmd;
}

/* What a preempted one's copy is writing is waited for, although it was sent to another LU. */
START_TEST(preempt_and_abort_waits_for_copies)
{
	struct scsi_lu_conf conf = *scsi_lu_conf(s.cd);
	struct rig_cmd *cb, *cc, *p;
	uint8_t list[PR_PARAM_SIZE];

	conf.naa[15]++;
	ck_assert_int_eq(scsi_lu_update(s.cd, &conf), 0);
	memset(rig_mem(s.cd), 0x5a, 3000 * 512);
	for (unsigned i = 0; i < 3; i++)
		rig_calm((struct gw_nexus *[]){a, b, c}[i]);
	pr_register(a, 1);
	pr_register(b, 2);
	pr_register(c, 3);
	pr_reserve(a, 1, PR_WRITE_RO);
	rig.hold = true;
	cb = start_copy(b);
	cc = start_copy(c);
	rig_io_one();
	rig_io_one();
	pr_list(list, 1, 2, 0);
	p = pr_send(a, PR_OUT_PREEMPT_ABORT, PR_WRITE_RO, list, sizeof(list));
	rig_run();
	ck_assert_uint_eq(p->responses, 0);
	rig_io_one();
	rig_run();
	/* The one whose key is still there is not waited for. */
	ck_assert_uint_eq(p->responses, 1);
	ck_assert_uint_eq(rig_result(p), 0);
	ck_assert_uint_eq(cb->responses | cc->responses, 0);
	ck_assert_uint_eq(rig_mem(s.disk)[0], 0x5a);
	/* That piece was its last one. */
	while (!cb->responses)
		rig_io_one();
	ck_assert_uint_eq(rig_result(cb), SENSE(0xa, 0x0d01));
	rig.hold = false;
	rig_run();
	ck_assert_uint_eq(rig_result(cc), 0);
	rig_free(cb);
	rig_free(cc);
	rig_free(p);
}
END_TEST

/* One waits for another's write, and is preempted meanwhile: a command that waits is not waited
 * for. */
START_TEST(preempt_and_abort_in_a_row)
{
	uint8_t of_a[PR_PARAM_SIZE], of_b[PR_PARAM_SIZE];
	struct rig_cmd *pa, *pb, *w;

	pr_register(a, 1);
	pr_register(b, 2);
	pr_register(c, 3);
	pr_list(of_a, 1, 2, 0);
	pr_list(of_b, 2, 3, 0);
	rig.hold = true;
	w = held_write(c);
	pb = pr_send(b, PR_OUT_PREEMPT_ABORT, 0, of_b, sizeof(of_b));
	rig_run();
	pa = pr_send(a, PR_OUT_PREEMPT_ABORT, 0, of_a, sizeof(of_a));
	rig_run();
	ck_assert_uint_eq(pb->responses, 0);
	ck_assert_uint_eq(pa->responses, 1);
	ck_assert_uint_eq(rig_result(pa), 0);
	rig.hold = false;
	rig_run();
	ck_assert_uint_eq(pb->responses, 1);
	ck_assert_uint_eq(rig_result(pb), 0);
	ck_assert_uint_eq(w->cmd.aborted, GW_ABORT_QUIET);
	ck_assert_uint_eq(pr_keys(a, NULL), 1);
	rig_free(pa);
	rig_free(pb);
	rig_free(w);
}
END_TEST

/* Two that preempt each other at the same time: one of them is too late, and none waits for ever.
 */
START_TEST(preempt_and_abort_each_other)
{
	uint8_t of_a[PR_PARAM_SIZE], of_b[PR_PARAM_SIZE];
	struct rig_cmd *pa, *pb, *w;
	struct rig_tmf t;

	for (unsigned reset = 0; reset < 2; reset++) {
		pr_register(a, 1);
		pr_register(b, 2);
		pr_list(of_a, 1, 2, 0);
		pr_list(of_b, 2, 1, 0);
		rig.hold = true;
		w = held_write(b);
		pa = pr_send(a, PR_OUT_PREEMPT_ABORT, 0, of_a, sizeof(of_a));
		pb = pr_send(b, PR_OUT_PREEMPT_ABORT, 0, of_b, sizeof(of_b));
		rig_run();
		if (reset)
			rig_tmf(&t, c, 1, GW_TMF_LU_RESET, NULL);
		rig_run();
		rig.hold = false;
		rig_run();
		ck_assert_uint_eq(pa->responses, 1);
		ck_assert_uint_eq(pb->responses, 1);
		ck_assert_uint_eq(rig_result(pb), CONFLICT);
		if (reset)
			ck_assert_uint_eq(t.done, 1);
		ck_assert_uint_eq(pr_keys(c, NULL), 1);
		rig_free(pa);
		rig_free(pb);
		rig_free(w);
		clean();
	}
}
END_TEST

RIG_SUITE("scsi/pr_preempt", setup, teardown, preempt_registrations, preempt_the_holder,
	  preempt_the_own_reservation, preempt_all_registrants, preempt_and_abort_waits,
	  preempt_and_abort_waits_for_copies, preempt_and_abort_in_a_row,
	  preempt_and_abort_each_other)
