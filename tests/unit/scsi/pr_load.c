/* SPDX-License-Identifier: BSD-3-Clause */
/* Reservations that are there before the first command, and those that cannot be read. */
#include <errno.h>

#include "tests/unit/scsi/rig.h"

#define TUR        "00"
#define READ       "28 00 00000000 00 0001 00"
#define WRITE      "2a 00 00000000 00 0001 00"
#define CONFLICT   SAM_RESERVATION_CONFLICT
#define MANUAL     0x20403u
#define NEW_MEDIUM 0x62800u

static struct rig_target rt;
static struct gw_nexus *a, *b;

static struct scsi_pr_saved *
stored(uint8_t type, uint32_t nreg)
{
	struct scsi_pr_saved *s = calloc(1, sizeof(*s) + nreg * sizeof(s->reg[0]));
	struct scsi_lu_conf conf = rig_conf(1);

	memcpy(s->naa, conf.naa, sizeof(s->naa));
	s->type = type;
	s->aptpl = true;
	s->nreg = nreg;
	for (uint32_t i = 0; i < nreg; i++) {
		strcpy(s->reg[i].initiator, "iqn.2026-01.example:host");
		s->reg[i].isid[5] = (uint8_t)(nreg - i); /* not in order */
		s->reg[i].tpgt = 1;
		s->reg[i].key = i + 1;
		s->reg[i].holder = i + 1 == nreg;
	}
	return s;
}

/* A target whose LUs find that. */
static void
start(struct scsi_pr_saved *s, int error)
{
	rig_init();
	rig_pr.saved = s;
	rig_pr.load_error = error;
	rig_target(&rt);
}

static struct gw_nexus *
login(unsigned core, uint8_t isid)
{
	struct gw_nexus *n = calloc(1, sizeof(*n));

	n->core = &rig.core[core];
	n->xport = &rig_xport;
	n->target = &rt.t;
	n->tpgt = 1;
	n->closed = rig_closed;
	n->isid[5] = isid;
	strcpy(n->initiator, "iqn.2026-01.example:host");
	BUG(scsi_nexus_open(n));
	rig_calm(n);
	return n;
}

static void
setup(void)
{
}

static void
end(void)
{
	rig_nexus_close(a);
	rig_nexus_close(b);
	rig_target_free(&rt);
	scsi_fini();
	free(rig_pr.saved);
	rig_pr.saved = NULL;
}

static uint32_t
try_write(struct gw_nexus *n)
{
	return rig_try(n, 1, WRITE, GW_DIR_OUT, 512, NULL);
}

START_TEST(there_from_the_start)
{
	start(stored(5, 3), 0);
	ck_assert_uint_eq(rig_pr.loads, 2); /* the controller has none */
	ck_assert_ptr_null(scsi_lu_trouble(rt.lun[1].lu));
	a = login(0, 1);
	b = login(1, 9);
	ck_assert_uint_eq(try_write(a), SAM_GOOD);
	ck_assert_uint_eq(try_write(b), CONFLICT);
	ck_assert_uint_eq(rig_in(b, 1, READ), SAM_GOOD);
	end();
}
END_TEST

START_TEST(each_registrant_is_found)
{
	start(stored(6, 200), 0);
	b = login(1, 201);
	for (unsigned i = 1; i <= 200; i++) {
		a = login(i % 2, (uint8_t)i);
		ck_assert_uint_eq(rig_in(a, 1, READ), SAM_GOOD);
		rig_nexus_close(a);
	}
	a = login(0, 202);
	ck_assert_uint_eq(rig_in(a, 1, READ), CONFLICT);
	ck_assert_uint_eq(rig_in(b, 1, READ), CONFLICT);
	end();
}
END_TEST

START_TEST(unreadable)
{
	struct scsi_lu *lu;

	start(stored(5, 3), -EIO);
	lu = rt.lun[1].lu;
	ck_assert_ptr_nonnull(scsi_lu_trouble(lu));
	ck_assert_ptr_null(scsi_lu_trouble(rt.lun[0].lu));
	a = login(0, 1);
	b = login(1, 9);
	for (unsigned i = 0; i < 3; i++) {
		/* Not even a registrant. */
		ck_assert_uint_eq(rig_none(a, 1, TUR), MANUAL);
		ck_assert_uint_eq(try_write(a), MANUAL);
		ck_assert_uint_eq(rig_in(b, 1, READ), MANUAL);
		ck_assert_uint_eq(rig_in(b, 1, "12 00 00 00ff 00"), SAM_GOOD);
		scsi_lu_tick(lu);
	}
	rig_pr.load_error = 0;
	scsi_lu_tick(lu);
	ck_assert_ptr_null(scsi_lu_trouble(lu));
	ck_assert_uint_eq(rig_none(a, 1, TUR), NEW_MEDIUM);
	ck_assert_uint_eq(rig_none(b, 1, TUR), NEW_MEDIUM);
	ck_assert_uint_eq(try_write(a), SAM_GOOD);
	ck_assert_uint_eq(try_write(b), CONFLICT);
	end();
}
END_TEST

/* The administrator has removed the file: nobody is registered. */
START_TEST(given_up)
{
	struct scsi_lu *lu;
	unsigned loads;

	start(NULL, -EBADMSG);
	lu = rt.lun[1].lu;
	a = login(0, 1);
	b = login(1, 9);
	ck_assert_uint_eq(try_write(b), MANUAL);
	rig_pr.load_error = 0;
	scsi_lu_tick(lu);
	rig_calm(a);
	rig_calm(b);
	ck_assert_uint_eq(try_write(a), SAM_GOOD);
	ck_assert_uint_eq(try_write(b), SAM_GOOD);
	loads = rig_pr.loads;
	scsi_lu_tick(lu);
	ck_assert_uint_eq(rig_pr.loads, loads);
	end();
}
END_TEST

/* New settings and another device do not let anybody in. */
START_TEST(stays_shut)
{
	struct scsi_lu_conf conf = rig_conf(1);
	struct scsi_lu *lu;

	start(NULL, -EIO);
	lu = rt.lun[1].lu;
	a = login(0, 1);
	b = login(1, 9);
	conf.serial[0] = 'x';
	ck_assert_int_eq(scsi_lu_update(lu, &conf), 0);
	ck_assert_int_eq(scsi_lu_set_dev(lu, rig_dev_new(RIG_BLOCKS * 512, true)), 0);
	scsi_lu_resize(lu, RIG_BLOCKS * 256);
	rig_calm(a);
	ck_assert_uint_eq(try_write(a), MANUAL);
	ck_assert_ptr_nonnull(scsi_lu_trouble(lu));
	end();
}
END_TEST

START_TEST(twice_the_same_nexus)
{
	struct scsi_pr_saved *s = stored(5, 3);

	s->reg[0] = s->reg[1];
	start(s, 0);
	ck_assert_ptr_nonnull(scsi_lu_trouble(rt.lun[1].lu));
	a = login(0, 1);
	b = login(1, 9);
	ck_assert_uint_eq(try_write(a), MANUAL);
	end();
}
END_TEST

/* The reservations are the LU's, whatever its name; what lay under the new one is not. */
START_TEST(another_naa)
{
	struct scsi_lu_conf conf = rig_conf(1);
	struct scsi_lu *lu;

	start(stored(5, 3), 0);
	lu = rt.lun[1].lu;
	a = login(0, 1);
	b = login(1, 9);
	conf.readonly = false;
	strcpy(conf.serial, "other");
	ck_assert_int_eq(scsi_lu_update(lu, &conf), 0);
	ck_assert_uint_eq(rig_pr.saves, 0);
	conf.naa[15] = 0x77;
	ck_assert_int_eq(scsi_lu_update(lu, &conf), 0);
	ck_assert_uint_eq(rig_pr.saves, 1);
	ck_assert_mem_eq(rig_pr.saved->naa, conf.naa, 16);
	ck_assert_uint_eq(rig_pr.saved->nreg, 3);
	rig_calm(a);
	rig_calm(b);
	ck_assert_uint_eq(try_write(a), SAM_GOOD);
	ck_assert_uint_eq(try_write(b), CONFLICT);
	/* A disk that fails changes nothing about who may. */
	rig_pr.error = -EIO;
	conf.naa[15] = 0x78;
	ck_assert_int_eq(scsi_lu_update(lu, &conf), 0);
	rig_calm(a);
	rig_calm(b);
	ck_assert_uint_eq(try_write(a), SAM_GOOD);
	ck_assert_uint_eq(try_write(b), CONFLICT);
	end();
}
END_TEST

START_TEST(another_naa_without_registrations)
{
	struct scsi_lu_conf conf = rig_conf(1);

	start(NULL, 0);
	a = login(0, 1);
	b = login(1, 9);
	conf.naa[15] = 0x77;
	rig_pr.saved = stored(5, 3);
	rig_pr.saved->naa[15] = 0x77;
	ck_assert_int_eq(scsi_lu_update(rt.lun[1].lu, &conf), 0);
	ck_assert_ptr_null(rig_pr.saved);
	rig_calm(b);
	ck_assert_uint_eq(try_write(b), SAM_GOOD);
	end();
}
END_TEST

RIG_SUITE("pr_load", setup, setup, there_from_the_start, each_registrant_is_found, unreadable,
	  given_up, stays_shut, twice_the_same_nexus, another_naa,
	  another_naa_without_registrations)
