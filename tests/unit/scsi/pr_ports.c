/* SPDX-License-Identifier: BSD-3-Clause */
/* Persistent reservations: ports that are not the command's own, and how many there may be. */
#include "gateway/scsi/transport_id.h"
#include "tests/unit/scsi/pr_bench.h"

/* The TransportID of pr_nexus(who). */
static size_t
put_id(uint8_t *p, const char *who)
{
	uint8_t isid[6] = {0x40, 0, 0, 0, 0, (uint8_t)who[0]};
	char name[64];

	snprintf(name, sizeof(name), "iqn.2026-01.example:%s", who);
	return transport_id_write(p, name, isid);
}

static uint32_t
move(struct gw_nexus *n, uint64_t key, uint64_t sa_key, uint8_t flags, uint16_t port,
     const char *who)
{
	uint8_t list[512] = {0};
	size_t len = put_id(list + PR_PARAM_SIZE, who);

	gw_put_be64(list, key);
	gw_put_be64(list + 8, sa_key);
	list[17] = flags;
	gw_put_be16(list + 18, port);
	gw_put_be32(list + 20, (uint32_t)len);
	return pr_out_list(n, PR_OUT_MOVE, 0, list, (uint32_t)(PR_PARAM_SIZE + len));
}

START_TEST(register_and_move)
{
	uint64_t key;

	ck_assert_uint_eq(move(a, 0, 5, 0, 1, "b"), CONFLICT);
	pr_register(a, 1);
	ck_assert_uint_eq(move(a, 1, 5, 0, 1, "b"), SENSE_CDB_FIELD);
	pr_reserve(a, 1, PR_WRITE_AR);
	ck_assert_uint_eq(move(a, 1, 5, 0, 1, "b"), CONFLICT);
	ck_assert_uint_eq(pr_out(a, PR_OUT_RELEASE, PR_WRITE_AR, 1, 0), 0);
	pr_reserve(a, 1, PR_WRITE);
	pr_register(c, 3);
	ck_assert_uint_eq(move(c, 3, 5, 0, 1, "b"), CONFLICT);
	ck_assert_uint_eq(move(a, 2, 5, 0, 1, "b"), CONFLICT);
	ck_assert_uint_eq(move(a, 1, 0, 0, 1, "b"), SENSE_PARAM_FIELD);
	ck_assert_uint_eq(move(a, 1, 5, 0, 9, "b"), SENSE_PARAM_FIELD);
	ck_assert_uint_eq(move(a, 1, 5, 0, 1, "a"), SENSE_PARAM_FIELD);
	ck_assert_uint_eq(pr_write(b), CONFLICT);
	ck_assert_uint_eq(move(a, 1, 5, 0, 1, "b"), 0);
	ck_assert_uint_eq(pr_reserved(c, &key), PR_WRITE);
	ck_assert_uint_eq(key, 5);
	ck_assert_uint_eq(pr_keys(c, NULL), 3);
	ck_assert_uint_eq(pr_write(b), 0);
	ck_assert_uint_eq(pr_write(a), CONFLICT);
	/* Back, with the registration. */
	ck_assert_uint_eq(move(b, 5, 6, 2, 1, "a"), 0);
	ck_assert_uint_eq(pr_keys(c, NULL), 2);
	ck_assert_uint_eq(pr_reserved(c, &key), PR_WRITE);
	ck_assert_uint_eq(key, 6);
	ck_assert_uint_eq(pr_write(a), 0);
	ck_assert_uint_eq(pr_write(b), CONFLICT);
	ck_assert_uint_eq(pr_tur(a) | pr_tur(b) | pr_tur(c), 0);
}
END_TEST

START_TEST(registers_others)
{
	uint8_t list[1024] = {0};
	uint32_t at = 28;

	pr_list(list, 0, 5, SPEC_I_PT);
	at += (uint32_t)put_id(list + at, "b");
	at += (uint32_t)put_id(list + at, "zz");
	gw_put_be32(list + 24, at - 28);
	/* One that has another key: nobody is registered. */
	pr_register(b, 9);
	ck_assert_uint_eq(pr_out_list(a, PR_OUT_REGISTER, 0, list, at), CONFLICT);
	ck_assert_uint_eq(pr_keys(c, NULL), 1);
	ck_assert_uint_eq(pr_out(b, PR_OUT_REGISTER, 0, 9, 0), 0);
	ck_assert_uint_eq(pr_out_list(a, PR_OUT_REGISTER_IGNORE, 0, list, at), SENSE_PARAM_LENGTH);
	ck_assert_uint_eq(pr_out_list(a, PR_OUT_REGISTER, 0, list, at), 0);
	ck_assert_uint_eq(pr_keys(c, NULL), 3);
	pr_reserve(b, 5, PR_WRITE_RO);
	ck_assert_uint_eq(pr_write(a), 0);
	ck_assert_uint_eq(pr_write(c), CONFLICT);
	/* Not from one that is registered. */
	list[7] = 5;
	ck_assert_uint_eq(pr_out_list(a, PR_OUT_REGISTER, 0, list, at), SENSE_PARAM_FIELD);
}
END_TEST

START_TEST(lists_that_are_wrong)
{
	uint8_t list[1024] = {0};
	uint32_t at = 28;

	for (uint8_t sa = 0; sa < 7; sa++) {
		pr_list(list, 0, 5, 0);
		ck_assert_uint_eq(pr_out_list(a, sa, 1, list, 23), SENSE_PARAM_LENGTH);
		ck_assert_uint_eq(pr_out_list(a, sa, 1, list, 25), SENSE_PARAM_LENGTH);
		ck_assert_uint_eq(pr_out_list(a, sa, 1, list, 0), SENSE_PARAM_LENGTH);
	}
	ck_assert_uint_eq(pr_out_list(a, PR_OUT_MOVE, 1, list, 24), SENSE_PARAM_LENGTH);
	ck_assert_uint_eq(pr_out(a, 8, 1, 0, 0), SENSE_CDB_FIELD);
	list[20] = SPEC_I_PT;
	at += (uint32_t)put_id(list + at, "b");
	at += (uint32_t)put_id(list + at, "zz");
	for (uint32_t len = 0; len < at - 28 + 4; len++) {
		if (len == at - 28)
			continue;
		gw_put_be32(list + 24, len);
		ck_assert_uint_eq(pr_out_list(a, PR_OUT_REGISTER, 0, list, at), SENSE_PARAM_LENGTH);
	}
	for (uint32_t cut = 24; cut < at; cut++) {
		uint32_t r;

		if (cut >= 28)
			gw_put_be32(list + 24, cut - 28);
		r = pr_out_list(a, PR_OUT_REGISTER, 0, list, cut);
		if (cut == 28 || r == 0) {
			/* No TransportIDs, or the first of the two alone. */
			ck_assert_uint_eq(r, 0);
			ck_assert_uint_eq(pr_keys(c, NULL), cut == 28 ? 1 : 2);
			clean();
			continue;
		}
		ck_assert(r == SENSE_PARAM_LENGTH || r == SENSE_PARAM_FIELD);
		ck_assert_uint_eq(pr_keys(c, NULL), 0);
	}
	/* Less data than announced. */
	pr_list(list, 0, 5, 0);
	ck_assert_uint_eq(rig_try(a, 1, "5f 00 00 00 00 00 00 00 18", GW_DIR_OUT, 16, list),
			  SENSE_PARAM_LENGTH);
	ck_assert_uint_eq(pr_keys(c, NULL), 0);
}
END_TEST

START_TEST(all_target_ports)
{
	uint16_t groups[] = {1, 2};
	struct gw_model model = {.ngroup = 2, .group = groups};
	struct gw_nexus *a2 = pr_nexus(1, &s.rt.t, "a", 2);
	uint8_t list[PR_PARAM_SIZE];
	struct rig_cmd *r;

	rig.core[0].slot[GW_SLOT_MODEL] = rig.core[1].slot[GW_SLOT_MODEL] = &model;
	pr_list(list, 0, 5, ALL_TG_PT);
	ck_assert_uint_eq(pr_out_list(a, PR_OUT_REGISTER, 0, list, 24), 0);
	ck_assert_uint_eq(pr_keys(c, NULL), 2);
	r = pr_in(c, 3, 4096);
	ck_assert_uint_eq(r->buf[8 + 12], 2);
	rig_free(r);
	pr_reserve(a2, 5, PR_WRITE_RO);
	ck_assert_uint_eq(pr_write(a), 0);
	/* Each is a registration of its own. */
	ck_assert_uint_eq(pr_out(a, PR_OUT_REGISTER, 0, 5, 6), 0);
	pr_list(list, 5, 7, ALL_TG_PT);
	ck_assert_uint_eq(pr_out_list(a2, PR_OUT_REGISTER, 0, list, 24), CONFLICT);
	ck_assert_uint_eq(pr_out_list(a2, PR_OUT_REGISTER_IGNORE, 0, list, 24), 0);
	pr_list(list, 7, 0, ALL_TG_PT);
	ck_assert_uint_eq(pr_out_list(a, PR_OUT_REGISTER, 0, list, 24), 0);
	ck_assert_uint_eq(pr_keys(c, NULL), 0);
	ck_assert_uint_eq(pr_reserved(c, NULL), 0);
	rig.core[0].slot[GW_SLOT_MODEL] = rig.core[1].slot[GW_SLOT_MODEL] = &rig_model;
	rig_nexus_close(a2);
}
END_TEST

START_TEST(thousands)
{
	enum {
		N = 3000,
		EACH = 50
	};
	static uint8_t list[28 + EACH * TRANSPORT_ID_MAX];
	struct rig_cmd *r;
	uint32_t len;

	for (unsigned k = 0; k < N / EACH; k++) {
		char me[16];
		struct gw_nexus *n;

		snprintf(me, sizeof(me), "n%04u", k);
		n = pr_nexus(k & 1, &s.rt.t, me, 1);
		memset(list, 0, sizeof(list));
		pr_list(list, 0, k + 1, SPEC_I_PT);
		len = 28;
		for (unsigned i = 1; i < EACH; i++) {
			char who[16];

			snprintf(who, sizeof(who), "p%04u", (i * 7919 + k) % 65536);
			len += (uint32_t)put_id(list + len, who);
		}
		gw_put_be32(list + 24, len - 28);
		ck_assert_uint_eq(pr_out_list(n, PR_OUT_REGISTER, 0, list, len), 0);
		rig_nexus_close(n);
	}
	ck_assert_uint_eq(pr_keys(a, NULL), N);
	r = pr_in(a, 0, 65535);
	ck_assert_uint_eq(r->cmd.in_len, 8 + 8 * N);
	rig_free(r);
	r = pr_in(a, 3, 65535);
	ck_assert_uint_eq(r->cmd.in_len, 65535);
	ck_assert_uint_eq(gw_be32(r->buf + 4), N * 72);
	rig_free(r);
	for (uint32_t i = 1; i < s.disk->view->pr->nreg; i++)
		ck_assert_int_lt(pr_cmp(&s.disk->view->pr->reg[i - 1], &s.disk->view->pr->reg[i]),
				 0);
	/* One key of fifty. */
	pr_register(a, 77777);
	ck_assert_uint_eq(pr_out(a, PR_OUT_PREEMPT_ABORT, 0, 77777, 3), 0);
	ck_assert_uint_eq(pr_keys(a, NULL), N + 1 - EACH);
}
END_TEST

START_TEST(there_is_an_end)
{
	struct scsi_pr_saved *pr = calloc(1, sizeof(*pr) + PR_STORE_REGS_MAX * sizeof(pr->reg[0]));
	struct pr_request req = {.nexus = a, .sa = PR_OUT_REGISTER, .sa_key = 1, .ntpgt = 1};
	struct pr_outcome out;

	req.tpgt[0] = 1;
	for (pr->nreg = 0; pr->nreg < PR_STORE_REGS_MAX; pr->nreg++) {
		struct scsi_pr_reg *r = &pr->reg[pr->nreg];

		snprintf(r->initiator, sizeof(r->initiator), "iqn.x%05u", pr->nreg);
		r->key = 5;
	}
	pr_apply(pr, &req, &out);
	ck_assert_uint_eq(out.status, SAM_CHECK_CONDITION);
	ck_assert_uint_eq(out.sense, SENSE(5, 0x5504));
	ck_assert(!out.changed && !out.set);
	pr->nreg--;
	pr_apply(pr, &req, &out);
	ck_assert_uint_eq(out.status, SAM_GOOD);
	ck_assert_uint_eq(out.set->nreg, PR_STORE_REGS_MAX);
	free(out.set);
	free(pr);
}
END_TEST

RIG_SUITE("scsi/pr_ports", setup, teardown, register_and_move, registers_others,
	  lists_that_are_wrong, all_target_ports, thousands, there_is_an_end)
