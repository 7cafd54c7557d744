/* SPDX-License-Identifier: BSD-3-Clause */
/* Persistent reservations: who registers, who holds, who is told, what stays. */
#include "tests/unit/scsi/pr_bench.h"

/* REGISTER and those that read. */

START_TEST(register_wants_the_key)
{
	uint32_t gen;

	ck_assert_uint_eq(pr_out(a, PR_OUT_REGISTER, 0, 5, 6), CONFLICT);
	ck_assert_uint_eq(pr_out(a, PR_OUT_REGISTER, 0, 0, 0), 0);
	ck_assert_uint_eq(pr_keys(b, &gen), 0);
	ck_assert_uint_eq(gen, 0);
	ck_assert_uint_eq(pr_out(a, PR_OUT_REGISTER, 0, 0, 5), 0);
	ck_assert_uint_eq(pr_keys(b, &gen), 1);
	ck_assert_uint_eq(gen, 1);
	ck_assert_uint_eq(pr_out(a, PR_OUT_REGISTER, 0, 0, 6), CONFLICT);
	ck_assert_uint_eq(pr_out(a, PR_OUT_REGISTER, 0, 6, 0), CONFLICT);
	ck_assert_uint_eq(pr_out(a, PR_OUT_REGISTER, 0, 5, 6), 0);
	ck_assert_uint_eq(pr_out(a, PR_OUT_REGISTER_IGNORE, 0, 77, 7), 0);
	ck_assert_uint_eq(pr_keys(b, &gen), 1);
	ck_assert_uint_eq(gen, 3);
	ck_assert_uint_eq(pr_out(a, PR_OUT_REGISTER, 0, 7, 0), 0);
	ck_assert_uint_eq(pr_keys(b, &gen), 0);
	ck_assert_uint_eq(gen, 4);
	ck_assert_uint_eq(pr_out(a, PR_OUT_REGISTER_IGNORE, 0, 1, 0), 0);
	/* RESERVE and RELEASE do not count, nor does what is refused. */
	pr_register(a, 7);
	pr_reserve(a, 7, PR_WRITE);
	ck_assert_uint_eq(pr_out(a, PR_OUT_RELEASE, PR_WRITE, 7, 0), 0);
	ck_assert_uint_eq(pr_out(b, PR_OUT_CLEAR, 0, 7, 0), CONFLICT);
	ck_assert_uint_eq(pr_keys(b, &gen), 1);
	ck_assert_uint_eq(gen, 5);
	/* None of them was told anything. */
	ck_assert_uint_eq(pr_tur(a) | pr_tur(b) | pr_tur(c), 0);
}
END_TEST

START_TEST(answers_are_cut_not_shortened)
{
	static const uint16_t sizes[] = {0, 3, 4, 8, 9, 15, 16, 24, 31, 32, 33, 4096, 65535};

	pr_register(a, 0x0102030405060708);
	pr_register(b, 2);
	pr_register(c, 3);
	pr_reserve(b, 2, PR_WRITE_RO);
	for (uint8_t sa = 0; sa < 4; sa++) {
		struct rig_cmd *whole = pr_in(c, sa, 4096);
		uint32_t len = whole->cmd.in_len;

		if (sa != 2)
			ck_assert_uint_eq(gw_be32(whole->buf + 4), len - 8);
		for (unsigned i = 0; i < GW_ARRAY_LEN(sizes); i++) {
			struct rig_cmd *r = pr_in(c, sa, sizes[i]);

			ck_assert_uint_eq(r->cmd.in_len, GW_MIN(len, (uint32_t)sizes[i]));
			if (r->cmd.in_len)
				ck_assert_mem_eq(r->buf, whole->buf, r->cmd.in_len);
			rig_free(r);
		}
		rig_free(whole);
	}
}
END_TEST

START_TEST(read_keys_and_reservation)
{
	uint64_t key;
	struct rig_cmd *r;

	ck_assert_uint_eq(pr_reserved(c, &key), 0);
	pr_register(a, 0x0102030405060708);
	pr_register(b, 2);
	r = pr_in(c, 0, 256);
	ck_assert_uint_eq(r->cmd.in_len, 24);
	ck_assert_uint_eq(gw_be32(r->buf), 2);
	ck_assert_uint_eq(gw_be32(r->buf + 4), 16);
	ck_assert_uint_eq(gw_be64(r->buf + 8), 0x0102030405060708);
	ck_assert_uint_eq(gw_be64(r->buf + 16), 2);
	rig_free(r);
	EACH_TYPE(t)
	{
		pr_reserve(b, 2, *t);
		ck_assert_uint_eq(pr_reserved(c, &key), *t);
		ck_assert_uint_eq(key, pr_all_registrants(*t) ? 0 : 2);
		ck_assert_uint_eq(pr_out(b, PR_OUT_RELEASE, *t, 2, 0), 0);
		rig_calm(a);
	}
}
END_TEST

START_TEST(capabilities)
{
	static const uint8_t want[] = {0, 8, 0x1d, 0x80, 0xea, 0x01, 0, 0};
	struct rig_cmd *r = pr_in(a, 2, 256);

	ck_assert_uint_eq(r->cmd.in_len, 8);
	ck_assert_mem_eq(r->buf, want, 8);
	rig_free(r);
}
END_TEST

START_TEST(full_status)
{
	static const char name[] = "iqn.2026-01.example:b,i,0x400000000062";
	struct gw_nexus *b2 = pr_nexus(0, &s.rt.t, "b", 2);
	struct rig_cmd *r;
	const uint8_t *d;
	uint32_t len;

	pr_register(b, 7);
	pr_register(b2, 8);
	pr_reserve(b2, 8, PR_ACCESS);
	r = pr_in(a, 3, 4096);
	d = r->buf + 8;
	ck_assert_uint_eq(gw_be64(d), 7);
	ck_assert_uint_eq(d[12], 0);
	ck_assert_uint_eq(gw_be16(d + 18), 1);
	len = gw_be32(d + 20);
	ck_assert_uint_eq(d[24], 0x45);
	ck_assert_uint_eq(gw_be16(d + 26), len - 4);
	ck_assert_str_eq((const char *)d + 28, name);
	ck_assert_uint_eq(len % 4, 0);
	d += 24 + len;
	ck_assert_uint_eq(gw_be64(d), 8);
	ck_assert_uint_eq(d[12], 1);
	ck_assert_uint_eq(d[13], PR_ACCESS);
	ck_assert_uint_eq(gw_be16(d + 18), 2);
	ck_assert_uint_eq(r->cmd.in_len, 8 + 2 * (24 + len));
	rig_free(r);
	/* All registrants: each is a holder. */
	ck_assert_uint_eq(pr_out(b2, PR_OUT_RELEASE, PR_ACCESS, 8, 0), 0);
	pr_reserve(b2, 8, PR_ACCESS_AR);
	r = pr_in(a, 3, 4096);
	ck_assert_uint_eq(r->buf[8 + 12], 1);
	ck_assert_uint_eq(r->buf[8 + 13], PR_ACCESS_AR);
	rig_free(r);
	rig_nexus_close(b2);
}
END_TEST

/* RESERVE, RELEASE, unregistering, CLEAR. */

START_TEST(reserve_rules)
{
	EACH_TYPE(t)
	{
		uint8_t other = *t == PR_WRITE ? PR_ACCESS : PR_WRITE;

		ck_assert_uint_eq(pr_out(a, PR_OUT_RESERVE, *t, 0, 0), CONFLICT);
		pr_register(a, 1);
		pr_register(b, 2);
		ck_assert_uint_eq(pr_out(a, PR_OUT_RESERVE, *t, 2, 0), CONFLICT);
		pr_reserve(a, 1, *t);
		pr_reserve(a, 1, *t);
		ck_assert_uint_eq(pr_out(a, PR_OUT_RESERVE, other, 1, 0), CONFLICT);
		/* Of all registrants each is the holder. */
		ck_assert_uint_eq(pr_out(b, PR_OUT_RESERVE, *t, 2, 0),
				  pr_all_registrants(*t) ? 0 : CONFLICT);
		ck_assert_uint_eq(pr_out(b, PR_OUT_RESERVE, other, 2, 0), CONFLICT);
		clean();
	}
}
END_TEST

START_TEST(scope_and_type_are_checked)
{
	pr_register(a, 1);
	ck_assert_uint_eq(pr_out(a, PR_OUT_RESERVE, 0x10 | PR_WRITE, 1, 0), SENSE_CDB_FIELD);
	for (uint8_t t = 0; t < 16; t++) {
		uint32_t want = pr_type_known(t) ? 0 : SENSE_CDB_FIELD;

		ck_assert_uint_eq(pr_out(a, PR_OUT_RESERVE, t, 1, 0), want);
		pr_out(a, PR_OUT_RELEASE, t, 1, 0);
	}
	pr_reserve(a, 1, PR_WRITE);
	ck_assert_uint_eq(pr_out(a, PR_OUT_RELEASE, PR_ACCESS, 1, 0), SENSE_BAD_RELEASE);
	ck_assert_uint_eq(pr_out(a, PR_OUT_RELEASE, 0x20 | PR_WRITE, 1, 0), SENSE_BAD_RELEASE);
	ck_assert_uint_eq(pr_reserved(b, NULL), PR_WRITE);
	/* PREEMPT of the own reservation with a type that does not exist changes nothing. */
	ck_assert_uint_eq(pr_out(a, PR_OUT_PREEMPT, 2, 1, 1), SENSE_CDB_FIELD);
	ck_assert_uint_eq(pr_out(a, PR_OUT_PREEMPT_ABORT, 2, 1, 1), SENSE_CDB_FIELD);
	ck_assert_uint_eq(pr_reserved(b, NULL), PR_WRITE);
	ck_assert_uint_eq(pr_out(a, PR_OUT_RELEASE, PR_WRITE, 1, 0), 0);
	ck_assert_uint_eq(pr_out(a, PR_OUT_RELEASE, PR_WRITE, 1, 0), 0);
}
END_TEST

/* Registrants hear of the end of a reservation that was for all of them (5.12.11.2). */
START_TEST(release_tells_registrants)
{
	EACH_TYPE(t)
	{
		pr_register(a, 1);
		pr_register(b, 2);
		pr_reserve(a, 1, *t);
		if (!pr_all_registrants(*t)) {
			ck_assert_uint_eq(pr_out(b, PR_OUT_RELEASE, *t, 2, 0), 0);
			ck_assert_uint_eq(pr_reserved(c, NULL), *t);
		}
		ck_assert_uint_eq(pr_out(c, PR_OUT_RELEASE, *t, 0, 0), CONFLICT);
		ck_assert_uint_eq(pr_out(a, PR_OUT_RELEASE, *t, 1, 0), 0);
		ck_assert_uint_eq(pr_reserved(c, NULL), 0);
		ck_assert_uint_eq(pr_keys(c, NULL), 2);
		ck_assert_uint_eq(pr_tur(a), 0);
		ck_assert_uint_eq(pr_tur(b), *t >= PR_WRITE_RO ? UA(0x2a04) : 0);
		ck_assert_uint_eq(pr_tur(c), 0);
		clean();
	}
}
END_TEST

START_TEST(holder_unregisters)
{
	EACH_TYPE(t)
	{
		bool stays = pr_all_registrants(*t);

		pr_register(a, 1);
		pr_register(b, 2);
		pr_reserve(a, 1, *t);
		ck_assert_uint_eq(pr_out(a, PR_OUT_REGISTER, 0, 1, 0), 0);
		ck_assert_uint_eq(pr_reserved(c, NULL), stays ? *t : 0);
		ck_assert_uint_eq(pr_tur(b), pr_shared(*t) && !stays ? UA(0x2a04) : 0);
		ck_assert_uint_eq(pr_out(b, PR_OUT_REGISTER, 0, 2, 0), 0);
		ck_assert_uint_eq(pr_reserved(c, NULL), 0);
		ck_assert_uint_eq(pr_write(c), 0);
		clean();
	}
}
END_TEST

START_TEST(holder_changes_its_key)
{
	uint64_t key;

	pr_register(a, 1);
	pr_reserve(a, 1, PR_ACCESS);
	ck_assert_uint_eq(pr_out(a, PR_OUT_REGISTER, 0, 1, 11), 0);
	ck_assert_uint_eq(pr_reserved(b, &key), PR_ACCESS);
	ck_assert_uint_eq(key, 11);
	ck_assert_uint_eq(pr_write(a), 0);
	ck_assert_uint_eq(pr_write(b), CONFLICT);
}
END_TEST

START_TEST(clear_tells_registrants)
{
	pr_register(a, 1);
	pr_register(b, 2);
	pr_reserve(a, 1, PR_ACCESS);
	ck_assert_uint_eq(pr_out(c, PR_OUT_CLEAR, 0, 1, 0), CONFLICT);
	ck_assert_uint_eq(pr_out(b, PR_OUT_CLEAR, 0, 1, 0), CONFLICT);
	ck_assert_uint_eq(pr_out(b, PR_OUT_CLEAR, 0, 2, 0), 0);
	ck_assert_uint_eq(pr_tur(a), UA(0x2a03));
	ck_assert_uint_eq(pr_tur(a) | pr_tur(b) | pr_tur(c), 0);
	ck_assert_uint_eq(pr_keys(c, NULL), 0);
	ck_assert_uint_eq(pr_reserved(c, NULL), 0);
}
END_TEST

/* What belongs to whom, and for how long. */

START_TEST(outlives_the_session)
{
	struct gw_nexus *other;

	pr_register(a, 1);
	pr_reserve(a, 1, PR_ACCESS);
	rig_nexus_close(a);
	ck_assert_uint_eq(pr_reserved(b, NULL), PR_ACCESS);
	ck_assert_uint_eq(pr_read(b), CONFLICT);
	/* On another core: the same I_T nexus. */
	a = pr_nexus(1, &s.rt.t, "a", 1);
	ck_assert_uint_eq(pr_write(a), 0);
	/* Neither through another target port nor as another initiator port. */
	other = pr_nexus(1, &s.rt.t, "a", 2);
	ck_assert_uint_eq(pr_write(other), CONFLICT);
	rig_nexus_close(other);
	other = pr_nexus(0, &s.rt.t, "ab", 1);
	ck_assert_uint_eq(pr_write(other), CONFLICT);
	rig_nexus_close(other);
	ck_assert_uint_eq(pr_out(a, PR_OUT_RELEASE, PR_ACCESS, 1, 0), 0);
	ck_assert_uint_eq(pr_write(b), 0);
}
END_TEST

START_TEST(outlives_resets_and_new_lists)
{
	struct gw_target next = s.rt.t;
	struct rig_tmf t;

	pr_register(a, 1);
	pr_reserve(a, 1, PR_WRITE);
	rig_tmf(&t, b, 1, GW_TMF_LU_RESET, NULL);
	rig_run();
	rig_tmf(&t, b, 1, GW_TMF_TARGET_WARM_RESET, NULL);
	rig_run();
	rig_calm(a);
	rig_calm(b);
	ck_assert_uint_eq(pr_write(b), CONFLICT);
	rig.self = a->core;
	ck_assert_int_eq(scsi_nexus_retarget(a, &next), 0);
	rig.self = b->core;
	ck_assert_int_eq(scsi_nexus_retarget(b, &next), 0);
	rig.self = NULL;
	ck_assert_uint_eq(pr_write(a), 0);
	ck_assert_uint_eq(pr_write(b), CONFLICT);
	rig.self = a->core;
	ck_assert_int_eq(scsi_nexus_retarget(a, &s.rt.t), 0);
	rig.self = b->core;
	ck_assert_int_eq(scsi_nexus_retarget(b, &s.rt.t), 0);
	rig.self = NULL;
}
END_TEST

/* SPC-2's reservations and these keep each other out, the holder's own commands included. */
START_TEST(beside_reserve_and_release)
{
	ck_assert_uint_eq(rig_none(a, 1, "16"), 0);
	ck_assert_uint_eq(pr_out(a, PR_OUT_REGISTER, 0, 0, 1), CONFLICT);
	ck_assert_uint_eq(pr_out(b, PR_OUT_REGISTER, 0, 0, 1), CONFLICT);
	ck_assert_uint_eq(rig_in(a, 1, "5e 00 00 00 00 00 00 00 08"), CONFLICT);
	ck_assert_uint_eq(rig_none(a, 1, "17"), 0);
	pr_register(a, 1);
	pr_register(b, 2);
	ck_assert_uint_eq(rig_none(a, 1, "16"), CONFLICT);
	ck_assert_uint_eq(rig_none(a, 1, "17"), CONFLICT);
	ck_assert_uint_eq(rig_none(c, 1, "56"), CONFLICT);
	EACH_TYPE(t)
	{
		uint32_t registrant = pr_shared(*t) ? 0 : CONFLICT;

		pr_reserve(a, 1, *t);
		ck_assert_uint_eq(rig_none(a, 1, "16"), 0);
		ck_assert_uint_eq(rig_none(b, 1, "56"), registrant);
		ck_assert_uint_eq(rig_none(c, 1, "16"), CONFLICT);
		ck_assert_uint_eq(rig_none(a, 1, "57"), 0);
		ck_assert_uint_eq(rig_none(b, 1, "17"), registrant);
		ck_assert_uint_eq(rig_none(c, 1, "17"), CONFLICT);
		ck_assert_uint_eq(pr_reserved(c, NULL), *t);
		ck_assert_uint_eq(pr_out(a, PR_OUT_RELEASE, *t, 1, 0), 0);
		rig_calm(b);
	}
	ck_assert_uint_eq(scsi_view_of(&(struct gw_cmd){.luc = &s.disk->core[0]})->holder, 0);
}
END_TEST

RIG_SUITE("scsi/pr", setup, teardown, register_wants_the_key, answers_are_cut_not_shortened,
	  read_keys_and_reservation, capabilities, full_status, reserve_rules,
	  scope_and_type_are_checked, release_tells_registrants, holder_unregisters,
	  holder_changes_its_key, clear_tells_registrants, outlives_the_session,
	  outlives_resets_and_new_lists, beside_reserve_and_release)
