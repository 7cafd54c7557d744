/* SPDX-License-Identifier: BSD-3-Clause */
/* The bench of the tests of persistent reservations: three initiator ports at one LU. */
#ifndef TESTS_UNIT_SCSI_PR_BENCH_H
#define TESTS_UNIT_SCSI_PR_BENCH_H

#include "tests/unit/scsi/pr.h"

/* Three initiator ports: a and c on core 0, b on core 1. The LU's home is core 0. */
static struct bench s;
static struct gw_nexus *a, *b, *c;

static void
setup(void)
{
	bench_open(&s);
	a = pr_nexus(0, &s.rt.t, "a", 1);
	b = pr_nexus(1, &s.rt.t, "b", 1);
	c = pr_nexus(0, &s.rt.t, "c", 1);
}

static void
teardown(void)
{
	rig_nexus_close(a);
	rig_nexus_close(b);
	rig_nexus_close(c);
	bench_close(&s);
}

RIG_UNUSED static const uint8_t types[] = {PR_WRITE,     PR_ACCESS,   PR_WRITE_RO,
				PR_ACCESS_RO, PR_WRITE_AR, PR_ACCESS_AR};
#define EACH_TYPE(t) for (const uint8_t *t = types; t < types + GW_ARRAY_LEN(types); t++)

/* Everybody forgets; nobody has a unit attention. */
RIG_UNUSED static void
clean(void)
{
	rig_calm(a);
	pr_register(a, 99);
	ck_assert_uint_eq(pr_out(a, PR_OUT_CLEAR, 0, 99, 0), 0);
	rig_calm(b);
	rig_calm(c);
}

#endif
