/* SPDX-License-Identifier: BSD-3-Clause */
/* Persistent reservations on the rig: nexuses of several initiator ports, and their commands. */
#ifndef TESTS_UNIT_SCSI_PR_H
#define TESTS_UNIT_SCSI_PR_H

#include "gateway/scsi/pr_priv.h"
#include "tests/unit/scsi/rig.h"

#define CONFLICT ((uint32_t)SAM_RESERVATION_CONFLICT)
#define UA(ascq) SENSE(6, ascq)

#define APTPL     0x01
#define ALL_TG_PT 0x04
#define SPEC_I_PT 0x08

/* An initiator port "iqn.2026-01.example:WHO" with an ISID of its own, calm. */
RIG_UNUSED static struct gw_nexus *
pr_nexus(unsigned core, const struct gw_target *t, const char *who, uint16_t tpgt)
{
	struct gw_nexus *n = calloc(1, sizeof(*n));

	n->core = &rig.core[core];
	n->xport = &rig_xport;
	n->target = t;
	n->tpgt = tpgt;
	n->closed = rig_closed;
	snprintf(n->initiator, sizeof(n->initiator), "iqn.2026-01.example:%s", who);
	n->isid[0] = 0x40;
	n->isid[5] = (uint8_t)who[0];
	BUG(scsi_nexus_open(n));
	rig_calm(n);
	return n;
}

/* The parameter list without TransportIDs. */
RIG_UNUSED static void
pr_list(uint8_t b[PR_PARAM_SIZE], uint64_t key, uint64_t sa_key, uint8_t flags)
{
	memset(b, 0, PR_PARAM_SIZE);
	gw_put_be64(b, key);
	gw_put_be64(b + 8, sa_key);
	b[20] = flags;
}

/* Given to the SCSI layer; the caller runs the rig. */
RIG_UNUSED static struct rig_cmd *
pr_send(struct gw_nexus *n, uint8_t sa, uint8_t type, const uint8_t *list, uint32_t size)
{
	uint8_t cdb[16] = {0x5f, sa, type};
	struct rig_cmd *c;

	gw_put_be32(cdb + 5, size);
	c = rig_begin_raw(n, 1, cdb, sizeof(cdb), GW_DIR_OUT, size);
	if (!c->refused)
		rig_exec(c, list, size);
	return c;
}

RIG_UNUSED static uint32_t
pr_out_list(struct gw_nexus *n, uint8_t sa, uint8_t type, const uint8_t *list, uint32_t size)
{
	struct rig_cmd *c = pr_send(n, sa, type, list, size);
	uint32_t r;

	rig_run();
	r = rig_result(c);
	BUG(!c->refused && c->responses != 1);
	BUG(r == 0 && c->cmd.moved != size);
	rig_free(c);
	return r;
}

RIG_UNUSED static uint32_t
pr_out(struct gw_nexus *n, uint8_t sa, uint8_t type, uint64_t key, uint64_t sa_key)
{
	uint8_t b[PR_PARAM_SIZE];

	pr_list(b, key, sa_key, 0);
	return pr_out_list(n, sa, type, b, sizeof(b));
}

/* Registers, whatever was there. */
RIG_UNUSED static void
pr_register(struct gw_nexus *n, uint64_t key)
{
	BUG(pr_out(n, PR_OUT_REGISTER_IGNORE, 0, 0, key));
}

RIG_UNUSED static void
pr_reserve(struct gw_nexus *n, uint64_t key, uint8_t type)
{
	BUG(pr_out(n, PR_OUT_RESERVE, type, key, 0));
}

/* PERSISTENT RESERVE IN with that allocation length, past unit attentions; freed by the caller. */
RIG_UNUSED static struct rig_cmd *
pr_in(struct gw_nexus *n, uint8_t sa, uint16_t size)
{
	struct scsi_itl *itl = scsi_itl_find(n, 1);
	uint32_t ua = itl->ua;
	struct rig_cmd *c;
	char hex[64];

	snprintf(hex, sizeof(hex), "5e%02x0000000000%04x00", sa, size);
	itl->ua = 0;
	c = rig_do(n, 1, hex, GW_DIR_IN, size, NULL);
	itl->ua = ua;
	BUG(c->cmd.status != SAM_GOOD);
	return c;
}

/* What READ KEYS says: how many, and PRGENERATION. */
RIG_UNUSED static unsigned
pr_keys(struct gw_nexus *n, uint32_t *generation)
{
	struct rig_cmd *c = pr_in(n, 0, 8);
	unsigned keys = gw_be32(c->buf + 4) / 8;

	if (generation)
		*generation = gw_be32(c->buf);
	rig_free(c);
	return keys;
}

/* The type of the reservation, 0 for none; *key is that of READ RESERVATION. */
RIG_UNUSED static uint8_t
pr_reserved(struct gw_nexus *n, uint64_t *key)
{
	struct rig_cmd *c = pr_in(n, 1, 24);
	uint32_t len = gw_be32(c->buf + 4);
	uint8_t type = len ? c->buf[21] : 0;

	BUG(len != 0 && len != 16);
	if (key)
		*key = len ? gw_be64(c->buf + 8) : 0;
	rig_free(c);
	return type;
}

/* TEST UNIT READY: takes the next unit attention. */
RIG_UNUSED static uint32_t
pr_tur(struct gw_nexus *n)
{
	return rig_none(n, 1, "00");
}

RIG_UNUSED static uint32_t
pr_write(struct gw_nexus *n)
{
	static const uint8_t block[512] = {1};

	return rig_try(n, 1, "2a 00 00 00 00 07 00 00 01", GW_DIR_OUT, 512, block);
}

RIG_UNUSED static uint32_t
pr_read(struct gw_nexus *n)
{
	return rig_try(n, 1, "28 00 00 00 00 07 00 00 01", GW_DIR_IN, 512, NULL);
}

#endif
