/* SPDX-License-Identifier: BSD-3-Clause */
/* Tokens: POPULATE TOKEN, WRITE USING TOKEN, and everything that makes a token void. */
#include "gateway/scsi/copy_priv.h"
#include "tests/unit/scsi/rig.h"

static struct bench s;

static void
setup(void)
{
	bench_open(&s);
	for (uint64_t i = 0; i < RIG_BLOCKS * 512; i++)
		rig_mem(s.disk)[i] = (uint8_t)(i * 7 + i / 512);
	for (unsigned i = 0; i < RIG_CORES; i++)
		rig.core[i].now = 1000000000;
}

static void
teardown(void)
{
	if (s.disk)
		bench_close(&s);
}

struct range {
	uint64_t lba;
	uint32_t n;
};

static uint8_t list[4096];
static unsigned list_len;
static uint8_t token[TOKEN_LEN];

static void
put_ranges(unsigned head, const struct range *r, unsigned n)
{
	gw_put_be16(list, (uint16_t)(head + n * 16 - 2));
	gw_put_be16(list + head - 2, (uint16_t)(n * 16));
	for (unsigned i = 0; i < n; i++) {
		gw_put_be64(list + head + i * 16, r[i].lba);
		gw_put_be32(list + head + i * 16 + 8, r[i].n);
	}
	list_len = head + n * 16;
}

static void
list_populate(const struct range *r, unsigned n)
{
	memset(list, 0, sizeof(list));
	put_ranges(16, r, n);
}

static void
list_write(uint64_t offset, const struct range *r, unsigned n)
{
	memset(list, 0, sizeof(list));
	gw_put_be64(list + 8, offset);
	memcpy(list + 16, token, TOKEN_LEN);
	put_ranges(536, r, n);
}

static struct rig_cmd *
start_len(struct gw_nexus *n, uint64_t lun, uint8_t sa, uint32_t id, uint32_t len)
{
	uint8_t cdb[GW_CDB_MAX] = {0x83, sa};
	struct rig_cmd *c;

	gw_put_be32(cdb + 6, id);
	gw_put_be32(cdb + 10, len);
	c = rig_begin_raw(n, lun, cdb, 16, GW_DIR_OUT, len);
	if (!c->refused)
		rig_exec(c, list, sizeof(list));
	return c;
}

static struct rig_cmd *
start(struct gw_nexus *n, uint64_t lun, uint8_t sa, uint32_t id)
{
	return start_len(n, lun, sa, id, list_len);
}

static uint32_t
end(struct rig_cmd *c)
{
	uint32_t r;

	rig_run();
	BUG(c->responses + c->refused != 1);
	r = rig_result(c);
	rig_free(c);
	return r;
}

/* RECEIVE ROD TOKEN INFORMATION. */
static struct rig_cmd *
info(struct gw_nexus *n, uint64_t lun, uint32_t id)
{
	uint8_t cdb[GW_CDB_MAX] = {0x84, 0x07};
	struct rig_cmd *c;

	gw_put_be32(cdb + 2, id);
	gw_put_be32(cdb + 10, 1024);
	c = rig_begin_raw(n, lun, cdb, 16, GW_DIR_IN, 1024);
	rig_exec(c, NULL, 0);
	rig_run();
	return c;
}

static void
take_token(struct gw_nexus *n, uint64_t lun, uint32_t id)
{
	struct rig_cmd *c = info(n, lun, id);

	ck_assert_uint_eq(rig_result(c), 0);
	ck_assert_uint_eq(gw_be32(c->buf) + 4, c->cmd.in_len);
	ck_assert_uint_eq(c->buf[4], 0x10);
	ck_assert_uint_eq(c->buf[5], 1);
	ck_assert_uint_eq(gw_be32(c->buf + 32), 514);
	ck_assert_uint_eq(c->cmd.in_len, 32 + 4 + 514);
	memcpy(token, c->buf + 38, TOKEN_LEN);
	rig_free(c);
}

static void
populate(const struct range *r, unsigned n)
{
	rig_calm(s.a);
	rig_calm(s.b);
	list_populate(r, n);
	ck_assert_uint_eq(end(start(s.a, 1, 0x10, 5)), 0);
	take_token(s.a, 1, 5);
}

#define POPULATE(...)                                 \
	populate((const struct range[]){__VA_ARGS__}, \
		 sizeof((const struct range[]){__VA_ARGS__}) / sizeof(struct range))

static uint32_t
write_one(struct gw_nexus *n, uint64_t lun, uint64_t offset, uint64_t lba, uint32_t count)
{
	list_write(offset, &(struct range){lba, count}, 1);
	return end(start(n, lun, 0x11, 6));
}

static const uint8_t *
at(struct scsi_lu *lu, uint64_t lba)
{
	return rig_mem(lu) + lba * 512;
}

static void
expect_idle(void)
{
	for (unsigned i = 0; i < RIG_CORES; i++) {
		ck_assert(gw_list_empty(&scsi_core_of(&rig.core[i])->copy->active));
		ck_assert_uint_eq(s.disk->core[i].inflight + s.cd->core[i].inflight, 0);
	}
}

START_TEST(ranges_to_ranges)
{
	struct rig_cmd *c;

	/* 10 + 3000 + 5 blocks, to 2000 + 1000 of them from the eighth on; on the other core. */
	POPULATE({100, 10}, {5000, 3000}, {20, 5});
	ck_assert_uint_eq(gw_be32(token), TOKEN_TYPE_PIT_VULN);
	ck_assert_uint_eq(gw_be64(token + 56), 3015 * 512);
	list_write(7, (const struct range[]){{9000, 2000}, {50, 1008}}, 2);
	ck_assert_uint_eq(end(start(s.b, 2, 0x11, 9)), 0);
	ck_assert_mem_eq(at(s.cd, 9000), at(s.disk, 107), 3 * 512);
	ck_assert_mem_eq(at(s.cd, 9003), at(s.disk, 5000), 1997 * 512);
	ck_assert_mem_eq(at(s.cd, 50), at(s.disk, 6997), 1003 * 512);
	ck_assert_mem_eq(at(s.cd, 1053), at(s.disk, 20), 5 * 512);
	ck_assert_uint_eq(at(s.cd, 9000)[-1] | at(s.cd, 11000)[0] | at(s.cd, 1058)[0], 0);
	c = info(s.b, 2, 9);
	ck_assert_uint_eq(c->buf[4], 0x11);
	ck_assert_uint_eq(c->buf[5], 1);
	ck_assert_uint_eq(c->buf[15], 0xf1);
	ck_assert_uint_eq(gw_be64(c->buf + 16), 3008);
	ck_assert_uint_eq(gw_be16(c->buf + 24), 0);
	ck_assert_uint_eq(gw_be32(c->buf + 8), 0xfffffffe);
	ck_assert_uint_eq(gw_be32(c->buf + 32), 0);
	ck_assert_uint_eq(c->cmd.in_len, 36);
	rig_free(c);
	/* Again, within the LU, and from the other nexus. */
	ck_assert_uint_eq(write_one(s.b, 1, 10, 60000, 3000), 0);
	ck_assert_mem_eq(at(s.disk, 60000), at(s.disk, 5000), 3000 * 512);
	/* Beyond what it stands for. */
	ck_assert_uint_eq(write_one(s.b, 2, 3015, 0, 1), SENSE_PARAM_FIELD);
	ck_assert_uint_eq(write_one(s.b, 2, UINT64_MAX, 0, 1), SENSE_PARAM_FIELD);
	ck_assert_uint_eq(write_one(s.b, 2, 1ull << 55, 0, 1), SENSE_PARAM_FIELD);
	ck_assert_uint_eq(write_one(s.b, 2, 3014, 0, 1), 0);
	/* Nothing at all is no mistake. */
	ck_assert_uint_eq(write_one(s.b, 2, 0, 0, 0), 0);
	/* Nobody asked for anything by that identifier, at that LU, from there. */
	c = info(s.b, 2, 10);
	ck_assert_uint_eq(rig_result(c), SENSE_CDB_FIELD);
	rig_free(c);
	c = info(s.b, 1, 5);
	ck_assert_uint_eq(rig_result(c), SENSE_CDB_FIELD);
	rig_free(c);
	expect_idle();
}
END_TEST

/* More is asked for than the token has: it is written, and told how much that was. */
START_TEST(less_than_asked_for)
{
	struct rig_cmd *c;

	POPULATE({100, 10}, {5000, 3000});
	list_write(2000, (const struct range[]){{9000, 1000}, {50, 1000}}, 2);
	c = start(s.b, 2, 0x11, 9);
	rig_run();
	ck_assert_uint_eq(rig_result(c), SENSE_COPY(COPY_UNDERRUN));
	ck_assert_uint_eq(c->cmd.sense[0] & 0x80, 0x80);
	ck_assert_uint_eq(gw_be32(c->cmd.sense + 3), 1010);
	rig_free(c);
	ck_assert_mem_eq(at(s.cd, 9000), at(s.disk, 6990), 1000 * 512);
	ck_assert_mem_eq(at(s.cd, 50), at(s.disk, 7990), 10 * 512);
	for (unsigned i = 0; i < 990 * 512; i++)
		ck_assert_uint_eq(at(s.cd, 60)[i], 0);
	c = info(s.b, 2, 9);
	ck_assert_uint_eq(c->buf[5], 3);
	ck_assert_uint_eq(c->buf[12], SAM_CHECK_CONDITION);
	ck_assert_uint_eq(gw_be64(c->buf + 16), 1010);
	rig_free(c);
	expect_idle();
}
END_TEST

/* What was copied from the end of a range does not count before all of it was. */
START_TEST(backwards)
{
	struct rig_cmd *c;

	POPULATE({100, 3000});
	list_write(0, &(struct range){1000, 3000}, 1);
	c = start(s.a, 1, 0x11, 9);
	rig_run();
	ck_assert_uint_eq(rig_result(c), SENSE_TOKEN_REVOKED);
	rig_free(c);
	c = info(s.a, 1, 9);
	ck_assert_uint_eq(c->buf[5], 2);
	ck_assert_uint_eq(gw_be64(c->buf + 16), 0);
	rig_free(c);
}
END_TEST

/* DEL_TKN: when all went well it is gone, as if it had never been once the LU has tidied up. */
START_TEST(deleted)
{
	POPULATE({100, 10});
	rig.fail[BE_WRITE] = BE_EBUSY;
	list_write(0, &(struct range){0, 10}, 1);
	list[2] = 0x02;
	ck_assert_uint_eq(end(start(s.b, 2, 0x11, 6)), SAM_BUSY);
	rig.fail[BE_WRITE] = BE_OK;
	ck_assert_uint_eq(end(start(s.b, 2, 0x11, 6)), 0);
	ck_assert_uint_eq(end(start(s.b, 2, 0x11, 6)), SENSE_TOKEN_DELETED);
	ck_assert_uint_eq(write_one(s.a, 2, 0, 0, 10), SENSE_TOKEN_DELETED);
	scsi_lu_tick(s.disk);
	ck_assert_uint_eq(s.disk->view->ntoken, 0);
	ck_assert_uint_eq(write_one(s.a, 2, 0, 0, 10), SENSE_TOKEN_UNKNOWN);
	expect_idle();
}
END_TEST

static void
token_of_zeroes(void)
{
	memset(token, 0, sizeof(token));
	gw_put_be32(token, TOKEN_TYPE_ZERO);
	gw_put_be16(token + 6, TOKEN_LEN - 8);
}

START_TEST(zeroes)
{
	token_of_zeroes();
	ck_assert_uint_eq(write_one(s.a, 1, 0, 100, 3000), 0);
	for (unsigned i = 0; i < 3000 * 512; i++)
		ck_assert_uint_eq(at(s.disk, 100)[i], 0);
	ck_assert_uint_eq(at(s.disk, 99)[511], (uint8_t)((100 * 512 - 1) * 7 + 99));
	ck_assert_uint_eq(rig.submitted[BE_READ], 0);
	expect_idle();
}
END_TEST

/* Every single byte of a token counts. */
START_TEST(guessed_tokens)
{
	POPULATE({100, 10});
	for (unsigned i = 0; i < TOKEN_LEN; i++) {
		token[i] ^= 0x10;
		ck_assert_uint_eq(write_one(s.a, 2, 0, 0, 1),
				  i == 6 || i == 7 ? SENSE_TOKEN_LENGTH : SENSE_TOKEN_UNKNOWN);
		token[i] ^= 0x10;
	}
	ck_assert_uint_eq(rig.submitted[BE_WRITE], 0);
	ck_assert_uint_eq(write_one(s.a, 2, 0, 0, 1), 0);
}
END_TEST

START_TEST(only_who_sees_the_unit)
{
	struct rig_target other;
	struct gw_nexus *n;

	rig_target(&other);
	other.t.tid = 2;
	n = rig_nexus(1, &other.t);
	rig_calm(n);
	POPULATE({100, 10});
	ck_assert_uint_eq(write_one(n, 1, 0, 0, 1), SENSE_TOKEN_UNKNOWN);
	ck_assert_uint_eq(rig.submitted[BE_WRITE], 0);
	rig_nexus_close(n);
	for (unsigned i = 0; i < 3; i++)
		scsi_lu_free(other.lun[i].lu);
}
END_TEST

/* What revokes it, and what does not. */
START_TEST(writes_revoke)
{
	static const struct {
		const char *cdb;
		bool revokes;
	} writes[] = {{"2a 00 00 00 00 63 00 00 01", false},
		      {"2a 00 00 00 00 64 00 00 01", true},
		      {"2a 00 00 00 00 6d 00 00 01", true},
		      {"2a 00 00 00 00 6e 00 00 01", false},
		      {"2a 00 00 00 00 00 00 00 65", true},
		      {"41 00 00 00 00 6d 00 00 09", true},
		      {"93 01 00 00 00 00 00 00 00 69 00 00 00 01", true},
		      {"89 00 00 00 00 00 00 00 00 66 00 00 00 01", true},
		      {"8b 00 00 00 00 00 00 00 00 66 00 00 00 01", true},
		      {"2e 00 00 00 00 66 00 00 01", true},
		      {"9c 00 00 00 00 00 00 00 00 66 00 00 00 01", true},
		      {"28 00 00 00 00 64 00 00 01", false}};
	uint8_t out[128 * 512] = {0};

	for (unsigned i = 0; i < GW_ARRAY_LEN(writes); i++) {
		struct rig_cmd *c;
		uint32_t len;

		POPULATE({100, 10});
		c = rig_start(s.b, 1, writes[i].cdb, GW_DIR_OUT, 0);
		len = c->cmd.data_len;
		if (!c->refused) {
			rig.self = s.b->core;
			scsi_forget(&c->cmd);
			rig.self = NULL;
		}
		rig_free(c);
		if (writes[i].cdb[0] == '8' && writes[i].cdb[1] == '9') {
			len = 1024;
			memcpy(out, at(s.disk, 0x66), 512);
		}
		ck_assert_uint_eq(rig_try(s.b, 1, writes[i].cdb,
					  writes[i].cdb[1] == '8' && writes[i].cdb[0] == '2'
					      ? GW_DIR_IN
					      : GW_DIR_OUT,
					  len, out),
				  0);
		ck_assert_uint_eq(write_one(s.a, 2, 0, 0, 10),
				  writes[i].revokes ? SENSE_TOKEN_REVOKED : 0);
	}
	/* UNMAP, and a copy to it. */
	POPULATE({100, 10});
	memset(out, 0, 24);
	gw_put_be16(out, 22);
	gw_put_be16(out + 2, 16);
	gw_put_be64(out + 8, 96);
	gw_put_be32(out + 16, 8);
	ck_assert_uint_eq(rig_try(s.b, 1, "42 00 00 00 00 00 00 00 18", GW_DIR_OUT, 24, out), 0);
	ck_assert_uint_eq(write_one(s.a, 2, 0, 0, 10), SENSE_TOKEN_REVOKED);
	POPULATE({100, 10});
	ck_assert_uint_eq(write_one(s.b, 1, 0, 101, 1), 0);
	ck_assert_uint_eq(write_one(s.a, 2, 0, 0, 10), SENSE_TOKEN_REVOKED);
	/* Its own data, written in pieces: what is left is not what it was. */
	POPULATE({100, 3000});
	ck_assert_uint_eq(write_one(s.b, 1, 0, 101, 3000), SENSE_TOKEN_REVOKED);
	expect_idle();
}
END_TEST

/* A token for what w, which the backend keeps, is writing to: it is void when both have ended. */
static void
made_void_by(struct rig_cmd *w)
{
	struct rig_cmd *c;

	list_populate(&(struct range){100, 10}, 1);
	c = start(s.a, 1, 0x10, 5);
	rig_run();
	rig.hold = false;
	ck_assert_uint_eq(end(c), 0);
	ck_assert_uint_eq(end(w), 0);
	take_token(s.a, 1, 5);
	ck_assert_uint_eq(write_one(s.a, 2, 0, 0, 10), SENSE_TOKEN_REVOKED);
}

/* A write was under way when the token was made, on the other core or at home. */
START_TEST(writes_under_way_revoke)
{
	static uint8_t out[1024];

	for (unsigned i = 0; i < 2; i++) {
		struct rig_cmd *w;

		rig.hold = true;
		if (i == 0)
			w = rig_start(s.b, 1, "2a 00 00 00 00 66 00 00 01", GW_DIR_OUT, 512);
		else
			w = rig_start(s.b, 1, "8b 00 00 00 00 00 00 00 00 66 00 00 00 01",
				      GW_DIR_OUT, 512);
		rig_exec(w, out, 512);
		rig_run();
		made_void_by(w);
	}
}
END_TEST

/* The source changes while its data is read: that data is not written. */
START_TEST(write_between_read_and_write)
{
	uint8_t out[512] = {0};
	struct rig_cmd *c, *w, *q;

	POPULATE({100, 3000});
	rig.hold = true;
	list_write(0, &(struct range){0, 3000}, 1);
	c = start(s.a, 2, 0x11, 6);
	rig_run();
	rig_io_one();
	rig_io_one();
	ck_assert_uint_eq(rig.submitted[BE_READ], 2);
	q = info(s.a, 2, 6);
	ck_assert_uint_eq(q->buf[5], 0x11);
	ck_assert_uint_eq(gw_be64(q->buf + 16), 1024);
	rig_free(q);
	ck_assert_uint_eq(end(start(s.a, 2, 0x11, 6)), SENSE_IN_PROGRESS);
	w = rig_start(s.b, 1, "2a 00 00 00 08 00 00 00 01", GW_DIR_OUT, 512);
	rig_exec(w, out, 512);
	rig.hold = false;
	ck_assert_uint_eq(end(c), SENSE_TOKEN_REVOKED);
	ck_assert_uint_eq(end(w), 0);
	ck_assert_mem_eq(at(s.cd, 0), at(s.disk, 100), 1024 * 512);
	for (unsigned i = 0; i < 1000 * 512; i++)
		ck_assert_uint_eq(at(s.cd, 1024)[i], 0);
	q = info(s.a, 2, 6);
	ck_assert_uint_eq(q->buf[5], 3);
	ck_assert_uint_eq(q->buf[12], SAM_CHECK_CONDITION);
	ck_assert_uint_eq(gw_be64(q->buf + 16), 1024);
	ck_assert_uint_eq(q->buf[13], 20);
	ck_assert_uint_eq(q->cmd.in_len, 32 + 20 + 4);
	ck_assert_uint_eq(q->buf[14], 18);
	ck_assert_uint_eq(gw_be16(q->buf + 32 + 12), 0x2306);
	rig_free(q);
	expect_idle();
}
END_TEST

START_TEST(time_passes)
{
	POPULATE({100, 10});
	/* Each use begins the time anew. */
	for (unsigned i = 0; i < 3; i++) {
		for (unsigned k = 0; k < RIG_CORES; k++)
			rig.core[k].now += 29 * 1000000000ull;
		ck_assert_uint_eq(write_one(s.b, 2, 0, 0, 10), 0);
		scsi_lu_tick(s.disk);
		ck_assert_uint_eq(s.disk->view->ntoken, 1);
	}
	for (unsigned k = 0; k < RIG_CORES; k++)
		rig.core[k].now += 31 * 1000000000ull;
	ck_assert_uint_eq(write_one(s.b, 2, 0, 0, 10), SENSE_TOKEN_EXPIRED);
	scsi_lu_tick(s.disk);
	ck_assert_uint_eq(s.disk->view->ntoken, 0);
	ck_assert_uint_eq(write_one(s.b, 2, 0, 0, 10), SENSE_TOKEN_UNKNOWN);
	/* As long as the initiator wants, but not for ever. */
	list_populate(&(struct range){0, 1}, 1);
	gw_put_be32(list + 4, TOKEN_LONGEST + 1);
	ck_assert_uint_eq(end(start(s.a, 1, 0x10, 5)), SENSE_PARAM_FIELD);
	gw_put_be32(list + 4, TOKEN_LONGEST);
	ck_assert_uint_eq(end(start(s.a, 1, 0x10, 5)), 0);
	take_token(s.a, 1, 5);
	for (unsigned k = 0; k < RIG_CORES; k++)
		rig.core[k].now += 599 * 1000000000ull;
	ck_assert_uint_eq(write_one(s.b, 2, 0, 0, 1), 0);
}
END_TEST

START_TEST(the_oldest_makes_room)
{
	uint8_t first[TOKEN_LEN];

	POPULATE({100, 10});
	memcpy(first, token, sizeof(first));
	for (unsigned i = 0; i < SCSI_TOKENS; i++) {
		for (unsigned k = 0; k < RIG_CORES; k++)
			rig.core[k].now += 1000000;
		POPULATE({200 + i, 1});
		ck_assert_uint_eq(write_one(s.b, 2, 0, 0, 1), 0);
	}
	ck_assert_uint_eq(s.disk->view->ntoken, SCSI_TOKENS);
	memcpy(token, first, sizeof(first));
	ck_assert_uint_eq(write_one(s.b, 2, 0, 0, 1), SENSE_TOKEN_UNKNOWN);
}
END_TEST

START_TEST(truncated_and_hostile)
{
	static const struct range many[TOKEN_RANGES + 1] = {{0, 1}};
	unsigned full;

	POPULATE({100, 10});
	list_populate((const struct range[]){{0, 1}, {5, 1}}, 2);
	full = list_len;
	for (unsigned n = 1; n < full; n++)
		ck_assert_uint_eq(end(start_len(s.a, 1, 0x10, 1, n)), SENSE_PARAM_LENGTH);
	ck_assert_uint_eq(end(start_len(s.a, 1, 0x10, 1, 0)), 0);
	list_write(0, &(struct range){0, 1}, 1);
	full = list_len;
	for (unsigned n = 1; n < full; n++)
		ck_assert_uint_eq(end(start_len(s.a, 1, 0x11, 1, n)), SENSE_PARAM_LENGTH);
	ck_assert_uint_eq(end(start_len(s.a, 1, 0x11, 1, 0)), 0);
	ck_assert_uint_eq(end(start_len(s.a, 1, 0x11, 1, UINT32_MAX)), SENSE_PARAM_LENGTH);
	for (unsigned sa = 0x10; sa < 0x12; sa++) {
		static const struct {
			struct range r[2];
			uint32_t sense;
		} bad[] = {{{{65536, 1}, {0, 0}}, SENSE_LBA_RANGE},
			   {{{0, 1}, {65535, 2}}, SENSE_LBA_RANGE},
			   {{{1ull << 55, 1}, {0, 1}}, SENSE_LBA_RANGE},
			   {{{UINT64_MAX, UINT32_MAX}, {0, 1}}, SENSE_LBA_RANGE},
			   {{{0, 10}, {9, 1}}, SENSE_PARAM_FIELD},
			   {{{9, 1}, {0, 10}}, SENSE_PARAM_FIELD},
			   {{{0, 0}, {1, 0}}, 0}};

		for (unsigned i = 0; i < GW_ARRAY_LEN(bad); i++) {
			if (sa == 0x10)
				list_populate(bad[i].r, 2);
			else
				list_write(0, bad[i].r, 2);
			ck_assert_uint_eq(end(start(s.a, 1, (uint8_t)sa, 1)), bad[i].sense);
		}
		if (sa == 0x10)
			list_populate(many, TOKEN_RANGES + 1);
		else
			list_write(0, many, TOKEN_RANGES + 1);
		ck_assert_uint_eq(end(start(s.a, 1, (uint8_t)sa, 1)), SENSE_MANY_SEGMENTS);
	}
	/* Its own length, less than what it says of its ranges, or than one of them. */
	list_write(0, (const struct range[]){{0, 1}, {5, 1}}, 2);
	gw_put_be16(list, 534 + 31);
	ck_assert_uint_eq(end(start(s.a, 1, 0x11, 1)), SENSE_PARAM_FIELD);
	list_populate(&(struct range){0, 1}, 1);
	gw_put_be16(list, 29);
	gw_put_be16(list + 14, 0);
	ck_assert_uint_eq(end(start(s.a, 1, 0x10, 1)), SENSE_PARAM_FIELD);
	/* A kind of token that there is not. */
	list_populate(&(struct range){0, 1}, 1);
	list[2] = 0x02;
	gw_put_be32(list + 8, 0x00010000);
	ck_assert_uint_eq(end(start(s.a, 1, 0x10, 1)), SENSE_PARAM_FIELD);
	gw_put_be32(list + 8, TOKEN_TYPE_PIT_VULN);
	ck_assert_uint_eq(end(start(s.a, 1, 0x10, 1)), 0);
	ck_assert_uint_eq(rig.submitted[BE_WRITE], 0);
	expect_idle();
}
END_TEST

START_TEST(errors_of_either_end)
{
	struct rig_cmd *c;

	POPULATE({100, 10});
	rig.fail[BE_READ] = BE_EMEDIUM;
	list_write(0, &(struct range){0, 10}, 1);
	c = start(s.a, 2, 0x11, 6);
	rig_run();
	ck_assert_uint_eq(rig_result(c), SENSE_COPY(COPY_DEVICE_FAILURE));
	ck_assert_uint_eq(c->cmd.sense[8], 18);
	rig_free(c);
	rig.fail[BE_READ] = BE_OK;
	rig.fail[BE_WRITE] = BE_ENOSPC;
	ck_assert_uint_eq(write_one(s.a, 2, 0, 0, 10), SENSE_NO_SPACE);
	rig.fail[BE_WRITE] = BE_EBUSY;
	ck_assert_uint_eq(write_one(s.a, 2, 0, 0, 10), SAM_BUSY);
	rig.fail[BE_WRITE] = BE_OK;
	/* The source is somebody else's now. */
	ck_assert_uint_eq(rig_none(s.b, 1, "16 00"), 0);
	ck_assert_uint_eq(write_one(s.a, 2, 0, 0, 10), SENSE_COPY(COPY_DEVICE_FAILURE));
	ck_assert_uint_eq(write_one(s.b, 2, 0, 0, 10), 0);
	expect_idle();
}
END_TEST

START_TEST(aborted)
{
	struct rig_cmd *c;
	struct rig_tmf t;

	POPULATE({100, 3000});
	for (unsigned ios = 0; ios < 4; ios++) {
		rig.hold = true;
		list_write(0, &(struct range){0, 3000}, 1);
		c = start(s.b, 2, 0x11, 6);
		rig_run();
		for (unsigned i = 0; i < ios; i++)
			rig_io_one();
		rig_tmf(&t, s.b, 2, GW_TMF_ABORT_TASK, &c->cmd);
		rig_run();
		ck_assert_uint_eq(t.done, 0);
		rig_io_one();
		rig_run();
		ck_assert_uint_eq(t.done + c->responses, 2);
		ck_assert(gw_list_empty(&rig.pending));
		rig_free(c);
		rig.hold = false;
		expect_idle();
	}
}
END_TEST

/* Another device, no device, sanitized, ejected: the data is not what it was. */
START_TEST(medium_goes)
{
	struct scsi_lu_conf conf = *scsi_lu_conf(s.disk);

	POPULATE({100, 10});
	scsi_lu_swap_dev(s.disk);
	ck_assert_uint_eq(write_one(s.a, 2, 0, 0, 10), SENSE_TOKEN_REVOKED);
	ck_assert_int_eq(scsi_lu_set_dev(s.disk, rig_dev_new(RIG_BLOCKS * 512, true)), 0);
	ck_assert_uint_eq(write_one(s.a, 2, 0, 0, 10), SENSE_TOKEN_REVOKED);
	POPULATE({100, 10});
	conf.online = false;
	ck_assert_int_eq(scsi_lu_update(s.disk, &conf), 0);
	conf.online = true;
	ck_assert_int_eq(scsi_lu_update(s.disk, &conf), 0);
	rig_calm(s.a);
	rig_calm(s.b);
	ck_assert_uint_eq(write_one(s.a, 2, 0, 0, 10), SENSE_TOKEN_REVOKED);
	POPULATE({100, 10});
	ck_assert_uint_eq(rig_none(s.b, 1, "48 82"), 0);
	for (unsigned i = 0; i < 10; i++)
		rig_tick();
	rig_calm(s.a);
	ck_assert_uint_eq(write_one(s.a, 2, 0, 0, 10), SENSE_TOKEN_REVOKED);
	/* Blocks of another size count differently. */
	POPULATE({100, 8});
	conf.block_size = 4096;
	ck_assert_int_eq(scsi_lu_update(s.disk, &conf), 0);
	rig_calm(s.a);
	rig_calm(s.b);
	ck_assert_uint_ne(write_one(s.a, 2, 0, 0, 8), 0);
}
END_TEST

/* The ranges mean what they meant when they were checked, whatever a block is later. */
START_TEST(blocks_change_under_way)
{
	struct scsi_lu_conf conf = *scsi_lu_conf(s.disk);
	struct rig_cmd *c;

	conf.block_size = 4096;
	ck_assert_int_eq(scsi_lu_update(s.disk, &conf), 0);
	rig_calm(s.a);
	token_of_zeroes();
	rig.hold = true;
	list_write(0, (const struct range[]){{100, 10}, {200, 10}}, 2);
	c = start(s.a, 1, 0x11, 6);
	rig_run();
	conf.block_size = 512;
	ck_assert_int_eq(scsi_lu_update(s.disk, &conf), 0);
	rig.hold = false;
	rig_io_one();
	ck_assert_uint_eq(end(c), SENSE_LBA_RANGE);
	expect_idle();
}
END_TEST

/* The LU of the token is deleted in the middle; its tokens go with it. */
START_TEST(unit_goes)
{
	struct gw_target rest = s.rt.t;
	struct gw_lun luns[2] = {s.rt.lun[0], s.rt.lun[2]};
	struct rig_cmd *c;

	POPULATE({100, 3000});
	rig.hold = true;
	list_write(0, &(struct range){0, 3000}, 1);
	c = start(s.b, 2, 0x11, 6);
	rig_run();
	rig_io_one();
	rest.lun = luns;
	rest.nlun = 2;
	for (unsigned i = 0; i < 2; i++) {
		struct gw_nexus *n = i ? s.b : s.a;

		rig.self = n->core;
		ck_assert_int_eq(scsi_nexus_retarget(n, &rest), 0);
		rig.self = NULL;
	}
	rig.hold = false;
	scsi_lu_free(s.disk);
	ck_assert_uint_eq(c->responses, 1);
	rig_free(c);
	rig_calm(s.b);
	ck_assert_uint_eq(write_one(s.b, 2, 0, 0, 10), SENSE_TOKEN_UNKNOWN);
	rig_nexus_close(s.a);
	rig_nexus_close(s.b);
	s.a = s.b = NULL;
	s.rt.lun[1] = s.rt.lun[2];
	s.rt.t.nlun = 2;
}
END_TEST

/* A descriptor of VPD page 8Fh begins with these bytes, from its length on. */
static void
expect_desc(const uint8_t *page, uint16_t type, const char *hex)
{
	const uint8_t *d = page + 4;
	uint8_t want[128];
	unsigned n = rig_unhex(hex, want);

	while (gw_be16(d) != type && d < page + gw_be16(page + 2))
		d += 4 + gw_be16(d + 2);
	ck_assert_uint_eq(gw_be16(d), type);
	ck_assert_mem_eq(d + 2, want, n);
	if (type == 0x0108)
		ck_assert_mem_eq(d + 72, ((uint8_t[]){0xff, 0xff, 0, 1, 2, 0, 0, 0}), 8);
}

START_TEST(limits_are_told)
{
	struct rig_cmd *c = rig_do(s.a, 1, "12 01 8f 02 00", GW_DIR_IN, 512, NULL);
	const uint8_t *d = c->buf + 4;

	ck_assert_uint_eq(gw_be16(d), 0);
	ck_assert_uint_eq(gw_be16(d + 2), 32);
	ck_assert_uint_eq(gw_be16(d + 10), TOKEN_RANGES);
	ck_assert_uint_eq(gw_be32(d + 12), TOKEN_LONGEST);
	ck_assert_uint_eq(gw_be32(d + 16), TOKEN_TIMEOUT);
	ck_assert_uint_eq(gw_be64(d + 20), TOKEN_BYTES / 512);
	ck_assert_uint_eq(gw_be64(d + 28), TOKEN_OPTIMAL / 512);
	/* CSCD IDs, ROD token features, supported ROD types. */
	expect_desc(c->buf, 0x000c, "0008 0004 f800 ffff 0000");
	expect_desc(c->buf, 0x0106,
		    "005c 00000000 00000000 00000000 00000000 00000258 00000258 00000000 00000000"
		    "00000000 00000000 0000 0030 00 00 002c 0000 0000 0000000010000000"
		    "0000000004000000 0000000010000000 0000000004000000 0000000000000000");
	expect_desc(c->buf, 0x0108, "0084 0000 0080 00800001 03");
	rig_free(c);
}
END_TEST

/* The control thread's tick, which buries tokens, while the backend has a write. */
static void
tick_beside_io(void)
{
	struct gw_list keep;

	gw_list_init(&keep);
	gw_list_splice_tail(&keep, &rig.pending);
	rig.hold = false;
	scsi_lu_tick(s.disk);
	gw_list_splice_tail(&rig.pending, &keep);
	rig.hold = true;
}

/* A token may be made where another one lay: it is void by what is written to it all the same. */
START_TEST(a_place_is_used_again)
{
	static uint8_t out[512];
	struct rig_cmd *w;

	POPULATE({100, 10});
	ck_assert_uint_eq(write_one(s.b, 1, 0, 101, 1), 0);
	rig.hold = true;
	w = rig_start(s.b, 1, "2a 00 00 00 00 66 00 00 01", GW_DIR_OUT, 512);
	rig_exec(w, out, 512);
	tick_beside_io();
	/* Or a new one with the old address would not be new to anybody. */
	ck_assert_uint_eq(s.disk->view->ntoken, 0);
	ck_assert_ptr_null(s.disk->view->token[0]);
	made_void_by(w);
}
END_TEST

RIG_SUITE("scsi/odx", setup, teardown, ranges_to_ranges, less_than_asked_for, backwards, deleted,
	  zeroes, guessed_tokens, only_who_sees_the_unit, writes_revoke, writes_under_way_revoke,
	  a_place_is_used_again,
	  write_between_read_and_write, time_passes, the_oldest_makes_room, truncated_and_hostile,
	  errors_of_either_end, aborted, medium_goes, blocks_change_under_way, unit_goes,
	  limits_are_told)
