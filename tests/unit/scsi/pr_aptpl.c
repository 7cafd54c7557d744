/* SPDX-License-Identifier: BSD-3-Clause */
/* Persistent reservations that outlive a loss of power: saved before seen, loaded before used. */
#include <errno.h>

#include "tests/unit/scsi/pr_bench.h"

static uint32_t
register_aptpl(struct gw_nexus *n, uint64_t key, uint8_t flags)
{
	uint8_t list[PR_PARAM_SIZE];

	pr_list(list, 0, key, flags);
	return pr_out_list(n, PR_OUT_REGISTER_IGNORE, 0, list, sizeof(list));
}

START_TEST(saved_before_it_is_seen)
{
	uint8_t list[PR_PARAM_SIZE];
	struct rig_cmd *r;

	ck_assert_uint_eq(register_aptpl(b, 2, 0), 0);
	ck_assert_uint_eq(rig_pr.saves, 0);
	rig_pr.hold = true;
	pr_list(list, 0, 1, APTPL);
	r = pr_send(a, PR_OUT_REGISTER, 0, list, sizeof(list));
	rig_run();
	ck_assert_uint_eq(r->responses, 0);
	ck_assert_uint_eq(pr_keys(b, NULL), 1);
	ck_assert_ptr_nonnull(rig_pr.held);
	rig_pr_finish(rig_pr.held);
	rig_run();
	ck_assert_uint_eq(rig_result(r), 0);
	ck_assert_uint_eq(pr_keys(b, NULL), 2);
	ck_assert_uint_eq(rig_pr.saved->nreg, 2);
	ck_assert(rig_pr.saved->aptpl);
	rig_free(r);
	rig_pr.hold = false;
	/* From now on each change, until one says that it need not be. */
	pr_reserve(b, 2, PR_ACCESS_RO);
	ck_assert_uint_eq(rig_pr.saved->type, PR_ACCESS_RO);
	ck_assert_uint_eq(pr_out(a, PR_OUT_PREEMPT, PR_WRITE, 1, 2), 0);
	ck_assert_uint_eq(rig_pr.saved->type, PR_WRITE);
	ck_assert_uint_eq(rig_pr.saved->nreg, 1);
	ck_assert_uint_eq(rig_pr.saves, 3);
	ck_assert_uint_eq(register_aptpl(a, 1, 0), 0);
	ck_assert_ptr_null(rig_pr.saved);
	ck_assert_uint_eq(register_aptpl(a, 1, APTPL), 0);
	ck_assert_ptr_nonnull(rig_pr.saved);
	ck_assert_uint_eq(pr_out(a, PR_OUT_CLEAR, 0, 1, 0), 0);
	ck_assert_ptr_null(rig_pr.saved);
}
END_TEST

START_TEST(what_cannot_be_saved_is_not_done)
{
	struct scsi_lu_conf conf = rig_conf(1);
	uint32_t gen;

	ck_assert_uint_eq(register_aptpl(a, 1, APTPL), 0);
	pr_reserve(a, 1, PR_WRITE);
	rig_pr.error = -ENOSPC;
	ck_assert_uint_eq(pr_out(a, PR_OUT_RELEASE, PR_WRITE, 1, 0), SENSE_TARGET_FAILURE);
	ck_assert_uint_eq(register_aptpl(b, 2, APTPL), SENSE_TARGET_FAILURE);
	ck_assert_uint_eq(pr_out(a, PR_OUT_PREEMPT_ABORT, PR_ACCESS, 1, 1), SENSE_TARGET_FAILURE);
	ck_assert_uint_eq(pr_reserved(b, NULL), PR_WRITE);
	ck_assert_uint_eq(pr_keys(b, &gen), 1);
	ck_assert_uint_eq(gen, 1);
	ck_assert_uint_eq(pr_write(b), CONFLICT);
	rig_pr.error = 0;
	ck_assert_uint_eq(pr_out(a, PR_OUT_CLEAR, 0, 1, 0), 0);
	/* Without a name to save it under. */
	memset(conf.naa, 0, sizeof(conf.naa));
	ck_assert_int_eq(scsi_lu_update(s.disk, &conf), 0);
	rig_calm(a);
	ck_assert_uint_eq(register_aptpl(a, 1, APTPL), SENSE_PARAM_FIELD);
	ck_assert_uint_eq(register_aptpl(a, 1, 0), 0);
}
END_TEST

static struct scsi_lu *
new_lu(struct gw_target *t, struct gw_lun *lun)
{
	struct scsi_lu_conf conf = rig_conf(1);

	*lun = (struct gw_lun){.lun = 1};
	BUG(scsi_lu_new(&conf, rig_dev_new(RIG_BLOCKS * 512, true), &lun->lu));
	*t = s.rt.t;
	t->lun = lun;
	t->nlun = 1;
	return lun->lu;
}

START_TEST(loaded_before_anyone_comes)
{
	struct gw_target t;
	struct gw_lun lun;
	struct gw_nexus *a2, *b2;
	struct scsi_lu *lu;

	ck_assert_uint_eq(register_aptpl(b, 2, APTPL), 0);
	ck_assert_uint_eq(register_aptpl(a, 1, APTPL), 0);
	pr_reserve(a, 1, PR_ACCESS);
	lu = new_lu(&t, &lun);
	a2 = pr_nexus(0, &t, "a", 1);
	b2 = pr_nexus(1, &t, "b", 1);
	ck_assert_uint_eq(pr_write(b2), CONFLICT);
	ck_assert_uint_eq(pr_write(a2), 0);
	ck_assert_uint_eq(pr_reserved(b2, NULL), PR_ACCESS);
	ck_assert_uint_eq(pr_out(b2, PR_OUT_PREEMPT, PR_WRITE, 2, 1), 0);
	ck_assert_uint_eq(pr_tur(a2), UA(0x2a05));
	rig_nexus_close(a2);
	rig_nexus_close(b2);
	scsi_lu_free(lu);
}
END_TEST

START_TEST(nobody_is_served_unfenced)
{
	struct gw_target t;
	struct gw_lun lun;
	struct gw_nexus *a2;
	struct scsi_lu *lu;

	rig_pr.load_error = -EIO;
	lu = new_lu(&t, &lun);
	a2 = pr_nexus(0, &t, "a", 1);
	ck_assert_uint_ne(pr_write(a2), 0);
	ck_assert_uint_ne(pr_read(a2), 0);
	ck_assert_uint_ne(pr_tur(a2), 0);
	ck_assert_uint_ne(register_aptpl(a2, 1, APTPL), 0);
	ck_assert_uint_ne(rig_in(a2, 1, "5e 00 00 00 00 00 00 00 08"), 0);
	ck_assert_uint_eq(rig_in(a2, 1, "12 00 00 00 ff"), 0);
	rig_nexus_close(a2);
	scsi_lu_free(lu);
}
END_TEST

/* The initiator gives up while the disk is slow: what has begun ends, and the answer is dropped. */
START_TEST(aborted_while_it_is_saved)
{
	uint8_t list[PR_PARAM_SIZE];
	struct rig_cmd *r, *next;
	struct rig_tmf t;

	rig_pr.hold = true;
	pr_list(list, 0, 1, APTPL);
	r = pr_send(a, PR_OUT_REGISTER, 0, list, sizeof(list));
	next = pr_send(b, PR_OUT_REGISTER, 0, list, sizeof(list));
	rig_run();
	rig_tmf(&t, a, 1, GW_TMF_ABORT_TASK, &r->cmd);
	rig_run();
	ck_assert_uint_eq(t.done, 0);
	rig_pr.hold = false;
	rig_pr_finish(rig_pr.held);
	rig_run();
	ck_assert_uint_eq(t.done, 1);
	ck_assert_uint_eq(r->cmd.aborted, GW_ABORT_QUIET);
	ck_assert_uint_eq(rig_result(next), 0);
	ck_assert_uint_eq(pr_keys(c, NULL), 2);
	ck_assert_uint_eq(rig_pr.saved->nreg, 2);
	rig_free(r);
	rig_free(next);
}
END_TEST

RIG_SUITE("scsi/pr_aptpl", setup, teardown, saved_before_it_is_seen,
	  what_cannot_be_saved_is_not_done, loaded_before_anyone_comes, nobody_is_served_unfenced,
	  aborted_while_it_is_saved)
