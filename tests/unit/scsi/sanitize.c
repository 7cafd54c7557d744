/* SPDX-License-Identifier: BSD-3-Clause */
/* SANITIZE: what it leaves, what others see meanwhile, and what may come between. */
#include "tests/unit/scsi/rig.h"

#define MEDIUM_SIZE (RIG_BLOCKS * 512)

#define BLOCK_ERASE       "48 02"
#define BLOCK_ERASE_IMMED "48 82"
#define CRYPTO_ERASE      "48 03"
#define CRYPTO_IMMED_AUSE "48 a3"
#define EXIT_FAILURE_MODE "48 1f"
#define TEST_UNIT_READY   "00"
#define READ_0            "28 00 00 00 00 00 00 00 01 00"
#define WRITE_0           "2a 00 00 00 00 00 00 00 01 00"

static struct bench s;
static uint8_t list[4 + 4096];

static void
setup(void)
{
	bench_open(&s);
	memset(rig_mem(s.disk), 0xd5, MEDIUM_SIZE);
}

static void
teardown(void)
{
	bench_close(&s);
}

/* The parameter list in `list`; its length. */
static uint32_t
make_list(uint8_t head, const void *pattern, uint16_t len)
{
	list[0] = head;
	list[1] = 0;
	gw_put_be16(list + 2, len);
	memcpy(list + 4, pattern, len);
	return 4u + len;
}

/* An OVERWRITE with these bits in byte 1; given to the SCSI layer. */
static struct rig_cmd *
overwrite_start(struct gw_nexus *n, uint8_t bits, uint8_t head, const char *pattern)
{
	uint32_t len = make_list(head, pattern, (uint16_t)strlen(pattern));
	struct rig_cmd *c;
	char cdb[64];

	snprintf(cdb, sizeof(cdb), "48 %02x 00 00 00 00 00 %04x 00", 1u | bits, len);
	c = rig_start(n, 1, cdb, GW_DIR_OUT, len);
	if (!c->refused)
		rig_exec(c, list, len);
	return c;
}

static uint32_t
overwrite(struct gw_nexus *n, uint8_t bits, uint8_t head, const char *pattern)
{
	struct rig_cmd *c = overwrite_start(n, bits, head, pattern);
	uint32_t r;

	rig_run();
	r = rig_result(c);
	ck_assert(c->refused || c->responses == 1);
	rig_free(c);
	return r;
}

/* The same when it begins only: the backend holds all it gets. */
static struct rig_cmd *
overwrite_held(uint8_t bits)
{
	struct rig_cmd *c;

	rig.hold = true;
	c = overwrite_start(s.a, bits, 1, "x");
	rig_run();
	ck_assert(!gw_list_empty(&rig.pending));
	return c;
}

static void
let_go(void)
{
	rig.hold = false;
	rig_run();
	rig_tick();
}

/* Every block holds the pattern, repeated from its first byte. */
static void
check_medium(const char *pattern, uint8_t flip)
{
	const uint8_t *mem = rig_mem(s.disk);
	size_t len = strlen(pattern);
	uint8_t block[512];
	uint64_t at;

	for (unsigned i = 0; i < 512; i++)
		block[i] = (uint8_t)pattern[i % len] ^ flip;
	for (at = 0; at < MEDIUM_SIZE && !memcmp(mem + at, block, 512); at += 512)
		;
	ck_assert_uint_eq(at, MEDIUM_SIZE);
}

static bool
is_all(uint8_t byte)
{
	const uint8_t *mem = rig_mem(s.disk);

	return mem[0] == byte && !memcmp(mem, mem + 1, MEDIUM_SIZE - 1);
}

/* What REQUEST SENSE tells; *progress is 0 if it tells none. */
static uint32_t
request_sense(struct gw_nexus *n, uint16_t *progress)
{
	struct rig_cmd *c = rig_do(n, 1, "03 00 00 00 fc 00", GW_DIR_IN, 252, NULL);
	uint32_t r = SENSE(c->buf[2] & 0xf, gw_be16(c->buf + 12));

	ck_assert_uint_eq(rig_result(c), 0);
	*progress = c->buf[15] & 0x80 ? gw_be16(c->buf + 16) : 0;
	rig_free(c);
	return r;
}

START_TEST(overwrite_leaves_the_pattern)
{
	char block[513];

	ck_assert_uint_eq(overwrite(s.b, 0, 1, "abc"), 0);
	check_medium("abc", 0);
	ck_assert_uint_eq(rig.submitted[BE_FLUSH], 1);
	ck_assert_uint_eq(rig.submitted[BE_ZERO], 0);
	memset(block, 'q', 512);
	block[511] = 'r';
	block[512] = 0;
	ck_assert_uint_eq(overwrite(s.b, 0x20, 1, block), 0);
	check_medium(block, 0);
	ck_assert_uint_eq(rig_in(s.b, 1, READ_0), 0);
}
END_TEST

START_TEST(every_pass_is_flushed_and_the_last_stays)
{
	ck_assert_uint_eq(overwrite(s.a, 0, 3, "ab"), 0);
	check_medium("ab", 0);
	ck_assert_uint_eq(rig.submitted[BE_FLUSH], 3);
	ck_assert_uint_eq(rig.submitted[BE_WRITE], 3 * MEDIUM_SIZE / (256 << 10));
	for (uint8_t count = 1; count < 4; count++) {
		ck_assert_uint_eq(overwrite(s.a, 0, 0x80 | count, "ab"), 0);
		check_medium("ab", 0);
	}
}
END_TEST

START_TEST(inverted_between_passes)
{
	struct rig_cmd *c;

	/* Two passes: the first one is the inverse. */
	rig.hold = true;
	c = overwrite_start(s.a, 0, 0x82, "ab");
	rig_run();
	while (rig.submitted[BE_FLUSH] == 0) {
		rig_io_one();
		rig_run();
	}
	check_medium("ab", 0xff);
	let_go();
	check_medium("ab", 0);
	ck_assert_uint_eq(c->responses, 1);
	rig_free(c);
}
END_TEST

START_TEST(wrong_parameters)
{
	static const struct {
		uint8_t head, reserved;
		uint16_t len;
		int byte; /* of the list; -1: the list is too short */
	} wrong[] = {{0, 0, 512, 0}, {0x21, 0, 512, 0}, {0x41, 0, 512, 0}, {1, 4, 512, 1},
		     {1, 0, 0, 2},   {1, 0, 513, 2},    {1, 0, 512, -1}};
	struct rig_cmd *c;
	char cdb[64];

	for (unsigned i = 0; i < GW_ARRAY_LEN(wrong); i++) {
		uint32_t len = wrong[i].byte < 0 ? 4 + 511 : 4 + 512;

		list[0] = wrong[i].head;
		list[1] = wrong[i].reserved;
		gw_put_be16(list + 2, wrong[i].len);
		snprintf(cdb, sizeof(cdb), "48 01 00 00 00 00 00 %04x 00", len);
		c = rig_do(s.a, 1, cdb, GW_DIR_OUT, len, list);
		if (wrong[i].byte < 0) {
			ck_assert_uint_eq(rig_result(c), SENSE_PARAM_LENGTH);
		} else {
			ck_assert_uint_eq(rig_result(c), SENSE_PARAM_FIELD);
			ck_assert_uint_eq(gw_be16(c->cmd.sense + 16), wrong[i].byte);
		}
		rig_free(c);
	}
	/* PARAMETER LIST LENGTH itself. */
	for (uint32_t len = 0; len < 1000; len += len == 4 ? 513 : 1) {
		if (len > 4 && len < 517)
			continue;
		snprintf(cdb, sizeof(cdb), "48 01 00 00 00 00 00 %04x 00", len);
		c = rig_do(s.a, 1, cdb, GW_DIR_OUT, len, list);
		ck_assert_uint_eq(rig_result(c), SENSE_CDB_FIELD);
		ck_assert_uint_eq(gw_be16(c->cmd.sense + 16), 7);
		rig_free(c);
	}
	ck_assert_uint_eq(rig_none(s.a, 1, "48 02 00 00 00 00 00 00 08 00"), SENSE_CDB_FIELD);
	ck_assert_uint_eq(rig_none(s.a, 1, "48 1f 00 00 00 00 00 00 08 00"), SENSE_CDB_FIELD);
	/* ZNR, and service actions that are not there. */
	ck_assert_uint_eq(rig_none(s.a, 1, "48 42"), SENSE_CDB_FIELD);
	for (unsigned sa = 0; sa < 32; sa++) {
		snprintf(cdb, sizeof(cdb), "48 %02x", sa);
		if (sa == 0 || (sa > 3 && sa < 31))
			ck_assert_uint_eq(rig_none(s.a, 1, cdb), SENSE_CDB_FIELD);
	}
	/* Less data than the list is long. */
	list[0] = 1;
	c = rig_do(s.a, 1, "48 01 00 00 00 00 00 02 04 00", GW_DIR_OUT, 100, list);
	ck_assert_uint_eq(rig_result(c), SENSE_PARAM_LENGTH);
	rig_free(c);
	ck_assert(is_all(0xd5));
	ck_assert_uint_eq(rig_none(s.a, 1, TEST_UNIT_READY), 0);
}
END_TEST

START_TEST(block_erase_deallocates)
{
	struct scsi_lu_conf conf = rig_conf(1);
	struct rig_cmd *c;

	ck_assert_uint_eq(rig_none(s.b, 1, BLOCK_ERASE), 0);
	ck_assert(is_all(0));
	ck_assert_uint_eq(rig.submitted[BE_ZERO], 1);
	ck_assert_uint_eq(rig.submitted[BE_FLUSH], 1);
	ck_assert_uint_eq(rig.submitted[BE_WRITE], 0);
	c = rig_do(s.a, 1, "12 01 b1 00 ff", GW_DIR_IN, 255, NULL);
	ck_assert_uint_eq(c->buf[7], 0x50); /* WABEREQ, WACEREQ: reads are good */
	rig_free(c);
	/* Only where blocks can be deallocated. */
	conf.thin = false;
	ck_assert_int_eq(scsi_lu_update(s.disk, &conf), 0);
	rig_calm(s.a);
	ck_assert_uint_eq(rig_none(s.a, 1, BLOCK_ERASE), SENSE_CDB_FIELD);
	c = rig_do(s.a, 1, "12 01 b1 00 ff", GW_DIR_IN, 255, NULL);
	ck_assert_uint_eq(c->buf[7], 0x10);
	rig_free(c);
}
END_TEST

START_TEST(block_erase_writes_where_it_must)
{
	rig.fail[BE_ZERO] = BE_ENOTSUP;
	ck_assert_uint_eq(rig_none(s.a, 1, BLOCK_ERASE), 0);
	ck_assert(is_all(0));
	ck_assert_uint_eq(rig.submitted[BE_ZERO], 1);
	ck_assert_uint_eq(rig.submitted[BE_WRITE], MEDIUM_SIZE / (256 << 10));
}
END_TEST

START_TEST(others_are_kept_out)
{
	static const char *const out[] = {TEST_UNIT_READY,
					  READ_0,
					  WRITE_0,
					  "1b 00 00 00 01 00",
					  "1a 00 3f 00 ff 00",
					  "35",
					  "25",
					  "56",
					  BLOCK_ERASE,
					  CRYPTO_ERASE,
					  EXIT_FAILURE_MODE};
	struct rig_cmd *held = overwrite_held(0), *c;
	struct gw_nexus *each[] = {s.a, s.b};
	uint16_t progress;

	for (unsigned i = 0; i < GW_ARRAY_LEN(out); i++) {
		c = rig_start(each[i % 2], 1, out[i], GW_DIR_NONE, 0);
		if (!c->refused) {
			rig_exec(c, NULL, 0);
			rig_run();
		}
		ck_assert_msg(rig_result(c) == SENSE_SANITIZING, "%s", out[i]);
		ck_assert_uint_eq(c->cmd.sense[15], 0x80);
		rig_free(c);
	}
	ck_assert_uint_eq(rig_in(s.b, 1, "12 00 00 00 60 00"), 0);
	ck_assert_uint_eq(rig_in(s.b, 1, "a0 00 00 00 00 00 00 00 01 00 00 00"), 0);
	ck_assert_uint_eq(rig_in(s.b, 1, "a3 0c 00 00 00 00 00 00 ff ff"), 0);
	ck_assert_uint_eq(request_sense(s.b, &progress), SENSE_SANITIZING);
	ck_assert_uint_eq(rig_none(s.b, 2, TEST_UNIT_READY), 0);
	ck_assert_uint_eq(held->responses, 0);
	let_go();
	ck_assert_uint_eq(rig_result(held), 0);
	ck_assert_uint_eq(held->responses, 1);
	rig_free(held);
	/* The others learn that all is different now. */
	ck_assert_uint_eq(rig_none(s.a, 1, TEST_UNIT_READY), 0);
	ck_assert_uint_eq(rig_none(s.b, 1, TEST_UNIT_READY), SENSE(6, 0x2800));
	ck_assert_uint_eq(rig_none(s.b, 1, TEST_UNIT_READY), 0);
}
END_TEST

START_TEST(data_on_its_way_comes_too_late)
{
	uint8_t block[512] = {1};
	struct rig_cmd *w = rig_start(s.b, 1, WRITE_0, GW_DIR_OUT, 512), *held;

	ck_assert(!w->refused);
	held = overwrite_held(0);
	rig_exec(w, block, 512);
	rig_run();
	ck_assert_uint_eq(rig_result(w), SENSE_SANITIZING);
	rig_free(w);
	let_go();
	rig_free(held);
	check_medium("x", 0);
}
END_TEST

START_TEST(progress_is_told)
{
	struct rig_cmd *held = overwrite_held(0x80), *c;
	uint16_t was = 0, now;

	/* IMMED: the answer is there, the work is not done. */
	ck_assert_uint_eq(held->responses, 1);
	ck_assert_uint_eq(rig_result(held), 0);
	rig_free(held);
	while (rig.submitted[BE_FLUSH] == 0) {
		rig_io_one();
		rig_run();
		ck_assert_uint_eq(request_sense(s.b, &now), SENSE_SANITIZING);
		ck_assert_uint_gt(now, was);
		was = now;
	}
	ck_assert_uint_gt(was, 0xff00);
	c = rig_do(s.a, 1, "03 01 00 00 fc 00", GW_DIR_IN, 252, NULL);
	ck_assert_uint_eq(c->buf[0], 0x72);
	ck_assert_uint_eq(gw_be16(c->buf + 2), 0x041b);
	ck_assert_uint_eq(c->buf[8], 2);
	ck_assert_uint_eq(c->buf[12], 0x80);
	ck_assert_uint_eq(gw_be16(c->buf + 13), was);
	rig_free(c);
	let_go();
	ck_assert_uint_eq(rig_none(s.a, 1, TEST_UNIT_READY), 0);
	request_sense(s.a, &now);
	ck_assert_uint_eq(now, 0);
}
END_TEST

START_TEST(commands_under_way_come_first)
{
	uint8_t block[512] = {0x77};
	struct rig_cmd *w, *same, *c;
	unsigned writes;

	rig.hold = true;
	w = rig_start(s.b, 1, WRITE_0, GW_DIR_OUT, 512);
	rig_exec(w, block, 512);
	/* A WRITE SAME in pieces: the next one is refused. */
	same = rig_start(s.a, 1, "41 00 00 00 00 01 00 ff ff 00", GW_DIR_OUT, 512);
	rig_exec(same, block, 512);
	rig_run();
	writes = rig.submitted[BE_WRITE];
	c = overwrite_start(s.a, 0, 1, "x");
	rig_run();
	rig_tick();
	ck_assert_uint_eq(rig.submitted[BE_WRITE], writes);
	rig_io_one();
	rig_run();
	rig_tick();
	ck_assert_uint_eq(rig_result(w), 0);
	ck_assert_uint_eq(rig.submitted[BE_WRITE], writes);
	rig_io_one();
	rig_run();
	ck_assert_uint_eq(same->responses, 1);
	ck_assert_uint_eq(rig_result(same), SENSE_SANITIZING);
	ck_assert_uint_eq(rig.submitted[BE_WRITE], writes);
	rig_tick();
	ck_assert_uint_gt(rig.submitted[BE_WRITE], writes);
	let_go();
	ck_assert_uint_eq(rig_result(c), 0);
	check_medium("x", 0);
	rig_free(w);
	rig_free(same);
	rig_free(c);
}
END_TEST

START_TEST(failure_in_the_restricted_mode)
{
	uint16_t progress;

	rig.fail[BE_WRITE] = BE_EMEDIUM;
	ck_assert_uint_eq(overwrite(s.a, 0, 1, "x"), SENSE_UNSANITIZED);
	rig.fail[BE_WRITE] = BE_OK;
	ck_assert_uint_eq(rig_in(s.b, 1, READ_0), SENSE_UNSANITIZED);
	ck_assert_uint_eq(rig_in(s.b, 1, "1a 00 3f 00 ff 00"), SENSE_UNSANITIZED);
	ck_assert_uint_eq(rig_in(s.b, 1, "12 00 00 00 60 00"), 0);
	ck_assert_uint_eq(request_sense(s.b, &progress), SENSE_UNSANITIZED);
	ck_assert_uint_eq(progress, 0);
	/* There is no other way out than one that succeeds. */
	ck_assert_uint_eq(rig_none(s.b, 1, EXIT_FAILURE_MODE), SENSE_CDB_FIELD);
	ck_assert_uint_eq(overwrite(s.a, 0x20, 1, "y"), SENSE_CDB_FIELD);
	ck_assert_uint_eq(rig_none(s.b, 1, TEST_UNIT_READY), SENSE_UNSANITIZED);
	ck_assert_uint_eq(rig_none(s.a, 1, BLOCK_ERASE), 0);
	ck_assert_uint_eq(rig_none(s.a, 1, TEST_UNIT_READY), 0);
	ck_assert_uint_eq(rig_none(s.b, 1, TEST_UNIT_READY), SENSE(6, 0x2800));
	ck_assert(is_all(0));
}
END_TEST

START_TEST(failure_that_may_be_left)
{
	rig.fail[BE_FLUSH] = BE_EMEDIUM;
	ck_assert_uint_eq(overwrite(s.a, 0x20, 1, "x"), SENSE_UNSANITIZED);
	rig.fail[BE_FLUSH] = BE_OK;
	ck_assert_uint_eq(rig_none(s.b, 1, TEST_UNIT_READY), SENSE_UNSANITIZED);
	ck_assert_uint_eq(rig_none(s.b, 1, EXIT_FAILURE_MODE), 0);
	ck_assert_uint_eq(rig_none(s.b, 1, TEST_UNIT_READY), 0);
	ck_assert_uint_eq(rig_none(s.a, 1, TEST_UNIT_READY), SENSE(6, 0x2800));
	ck_assert_uint_eq(rig_none(s.a, 1, TEST_UNIT_READY), 0);
	/* Nothing to leave. */
	ck_assert_uint_eq(rig_none(s.b, 1, EXIT_FAILURE_MODE), 0);
	ck_assert_uint_eq(rig_none(s.a, 1, TEST_UNIT_READY), 0);
	/* A failure is a failure after a reset as well, and after another one. */
	rig.fail[BE_WRITE] = BE_EMEDIUM;
	ck_assert_uint_eq(overwrite(s.a, 0x20, 1, "x"), SENSE_UNSANITIZED);
	ck_assert_uint_eq(overwrite(s.a, 0, 1, "x"), SENSE_UNSANITIZED);
	ck_assert_uint_eq(rig_none(s.b, 1, EXIT_FAILURE_MODE), SENSE_CDB_FIELD);
}
END_TEST

START_TEST(a_busy_backend_is_asked_again)
{
	struct rig_cmd *c;

	rig.fail[BE_WRITE] = rig.fail[BE_FLUSH] = BE_EBUSY;
	c = overwrite_start(s.b, 0, 1, "x");
	rig_run();
	rig_tick();
	ck_assert_uint_eq(c->responses, 0);
	rig.fail[BE_WRITE] = BE_OK;
	rig_tick();
	rig_tick();
	ck_assert_uint_eq(c->responses, 0);
	rig.fail[BE_FLUSH] = BE_OK;
	rig_tick();
	ck_assert_uint_eq(rig_result(c), 0);
	ck_assert_uint_eq(c->responses, 1);
	check_medium("x", 0);
	rig_free(c);
}
END_TEST

START_TEST(task_management_does_not_stop_it)
{
	static const uint8_t fn[] = {GW_TMF_ABORT_TASK, GW_TMF_ABORT_TASK_SET,
				     GW_TMF_CLEAR_TASK_SET, GW_TMF_LU_RESET,
				     GW_TMF_TARGET_WARM_RESET};

	for (unsigned i = 0; i < GW_ARRAY_LEN(fn); i++) {
		struct rig_cmd *held = overwrite_held(0);
		struct rig_tmf t;

		rig_tmf(&t, s.a, 1, fn[i], &held->cmd);
		rig_run();
		rig_tick();
		ck_assert_uint_eq(t.done, 1);
		ck_assert_uint_eq(t.tmf.rsp, GW_TMF_COMPLETE);
		ck_assert_uint_eq(held->responses, 1);
		ck_assert_uint_ne(held->cmd.aborted, 0);
		rig_calm(s.a);
		rig_calm(s.b);
		ck_assert_uint_eq(rig_none(s.b, 1, TEST_UNIT_READY), SENSE_SANITIZING);
		let_go();
		ck_assert_uint_eq(rig_none(s.a, 1, TEST_UNIT_READY), 0);
		check_medium("x", 0);
		memset(rig_mem(s.disk), 0xd5, MEDIUM_SIZE);
		rig_free(held);
		rig_calm(s.b);
	}
}
END_TEST

START_TEST(who_asked_may_leave)
{
	struct rig_cmd *held = overwrite_held(0);

	rig_nexus_close(s.a);
	s.a = NULL;
	ck_assert_uint_eq(held->responses, 1);
	rig_free(held);
	ck_assert_uint_eq(rig_none(s.b, 1, TEST_UNIT_READY), SENSE_SANITIZING);
	let_go();
	ck_assert_uint_eq(rig_none(s.b, 1, TEST_UNIT_READY), SENSE(6, 0x2800));
	check_medium("x", 0);
}
END_TEST

START_TEST(aborted_before_it_began)
{
	struct rig_tmf t;
	struct rig_cmd *c;

	c = overwrite_start(s.b, 0, 1, "x");
	rig_tmf(&t, s.b, 1, GW_TMF_ABORT_TASK, &c->cmd);
	rig_run();
	ck_assert_uint_eq(t.done, 1);
	ck_assert_uint_eq(c->responses, 1);
	ck_assert_uint_eq(rig_none(s.b, 1, TEST_UNIT_READY), 0);
	ck_assert(is_all(0xd5));
	rig_free(c);
}
END_TEST

/* Ends LUN 1 as if it were deleted, with a new one in its place for the teardown. */
static void
delete_disk(void)
{
	struct scsi_lu_conf conf = rig_conf(1);
	struct scsi_lu *lu;

	BUG(scsi_lu_new(&conf, rig_dev_new(MEDIUM_SIZE, true), &lu));
	s.rt.lun[1].lu = lu;
	rig.self = s.a->core;
	BUG(scsi_nexus_retarget(s.a, &s.rt.t));
	rig.self = s.b->core;
	BUG(scsi_nexus_retarget(s.b, &s.rt.t));
	rig.self = NULL;
	rig.hold = false;
	scsi_lu_free(s.disk);
	s.disk = lu;
	rig_calm(s.a);
	rig_calm(s.b);
}

START_TEST(the_lu_ends_meanwhile)
{
	struct rig_cmd *held = overwrite_held(0);

	delete_disk();
	ck_assert_uint_eq(held->responses, 1);
	ck_assert_uint_eq(held->cmd.status, SAM_TASK_ABORTED);
	rig_free(held);
	ck_assert_uint_eq(rig_none(s.b, 1, TEST_UNIT_READY), 0);
	ck_assert(gw_list_empty(&rig.timers));
	ck_assert_uint_lt(rig.submitted[BE_WRITE], 16);
	/* When nobody waits for it, too. */
	rig_free(overwrite_held(0x80));
	delete_disk();
	ck_assert(gw_list_empty(&rig.timers));
	ck_assert_uint_lt(rig.submitted[BE_WRITE], 32);
}
END_TEST

START_TEST(the_lu_ends_while_it_waits)
{
	uint8_t block[512] = {1};
	struct rig_cmd *w, *c;

	rig.hold = true;
	w = rig_start(s.b, 1, WRITE_0, GW_DIR_OUT, 512);
	rig_exec(w, block, 512);
	rig_run();
	c = overwrite_start(s.a, 0, 1, "x");
	rig_run();
	delete_disk();
	ck_assert_uint_eq(c->responses, 1);
	ck_assert_uint_eq(w->responses, 1);
	ck_assert_uint_eq(rig.submitted[BE_WRITE], 1);
	rig_free(c);
	rig_free(w);
}
END_TEST

START_TEST(another_device_meanwhile)
{
	struct scsi_lu_conf conf = rig_conf(1);
	struct rig_cmd *held = overwrite_held(0x20);

	/* The store is opened anew: half of it is sanitized. */
	rig.hold = false;
	ck_assert_int_eq(scsi_lu_set_dev(s.disk, rig_dev_new(MEDIUM_SIZE, true)), 0);
	ck_assert_uint_eq(held->responses, 1);
	ck_assert_uint_eq(rig_result(held), SENSE_UNSANITIZED);
	rig_free(held);
	rig_calm(s.b);
	ck_assert_uint_eq(rig_none(s.b, 1, TEST_UNIT_READY), SENSE_UNSANITIZED);
	ck_assert_uint_eq(rig_none(s.b, 1, EXIT_FAILURE_MODE), 0);
	rig_calm(s.a);
	/* It is gone, and comes back. */
	held = overwrite_held(0x20);
	rig.hold = false;
	ck_assert_int_eq(scsi_lu_set_dev(s.disk, NULL), 0);
	conf.gone = true;
	ck_assert_int_eq(scsi_lu_update(s.disk, &conf), 0);
	ck_assert_uint_eq(rig_none(s.a, 1, TEST_UNIT_READY), SENSE_NOT_READY);
	ck_assert_int_eq(scsi_lu_set_dev(s.disk, rig_dev_new(MEDIUM_SIZE, true)), 0);
	rig_calm(s.a);
	ck_assert_uint_eq(rig_none(s.a, 1, TEST_UNIT_READY), SENSE_UNSANITIZED);
	rig_free(held);
	/* It was taken away for good: the next one is another medium. */
	ck_assert_int_eq(scsi_lu_set_dev(s.disk, NULL), 0);
	conf.gone = false;
	ck_assert_int_eq(scsi_lu_update(s.disk, &conf), 0);
	ck_assert_uint_eq(rig_none(s.a, 1, TEST_UNIT_READY), SENSE_NO_MEDIUM);
	ck_assert_int_eq(scsi_lu_set_dev(s.disk, rig_dev_new(MEDIUM_SIZE, true)), 0);
	rig_calm(s.a);
	ck_assert_uint_eq(rig_none(s.a, 1, TEST_UNIT_READY), 0);
}
END_TEST

START_TEST(another_size_meanwhile)
{
	struct rig_cmd *held = overwrite_held(0);

	scsi_lu_resize(s.disk, MEDIUM_SIZE / 2);
	let_go();
	ck_assert_uint_eq(rig_result(held), 0);
	rig_free(held);
	ck_assert_uint_eq(rig_mem(s.disk)[MEDIUM_SIZE / 2 - 1], 'x');
	ck_assert_uint_eq(rig_mem(s.disk)[MEDIUM_SIZE / 2], 0xd5);
	ck_assert_uint_eq(rig_none(s.a, 1, TEST_UNIT_READY), SENSE(6, 0x2800));
	ck_assert_uint_eq(rig_none(s.a, 1, TEST_UNIT_READY), SENSE(6, 0x2a09));
}
END_TEST

START_TEST(who_may_not)
{
	struct scsi_lu_conf conf = rig_conf(1);

	ck_assert_uint_eq(rig_none(s.b, 1, "16"), 0);
	ck_assert_uint_eq(rig_none(s.a, 1, BLOCK_ERASE), SAM_RESERVATION_CONFLICT);
	ck_assert_uint_eq(rig_none(s.b, 1, "17"), 0);
	conf.readonly = true;
	ck_assert_int_eq(scsi_lu_update(s.disk, &conf), 0);
	rig_calm(s.a);
	ck_assert_uint_eq(rig_none(s.a, 1, BLOCK_ERASE), SENSE_WRITE_PROTECTED);
	conf.online = false;
	conf.readonly = false;
	ck_assert_int_eq(scsi_lu_update(s.disk, &conf), 0);
	rig_calm(s.a);
	ck_assert_uint_eq(rig_none(s.a, 1, BLOCK_ERASE), SENSE_MANUAL);
	ck_assert(is_all(0xd5));
}
END_TEST

START_TEST(the_device_does_it)
{
	struct rig_cmd *c = rig_start(s.b, 1, CRYPTO_ERASE, GW_DIR_NONE, 0);
	uint16_t progress;

	rig_exec(c, NULL, 0);
	rig_run();
	rig_tick();
	ck_assert_uint_eq(rig.sanitizes, 0);
	rig.sanitize_state = BE_SANITIZE_RUNS;
	rig.sanitize_progress = 4711;
	scsi_lu_tick(s.disk);
	ck_assert_uint_eq(rig.sanitizes, 1);
	ck_assert_uint_eq(rig.sanitize_kind, BE_SANITIZE_CRYPTO);
	scsi_lu_tick(s.disk);
	rig_tick();
	ck_assert_uint_eq(request_sense(s.a, &progress), SENSE_SANITIZING);
	ck_assert_uint_eq(progress, 4711);
	ck_assert_uint_eq(c->responses, 0);
	rig.sanitize_state = BE_SANITIZED;
	scsi_lu_tick(s.disk);
	rig_tick();
	ck_assert_uint_eq(c->responses, 1);
	ck_assert_uint_eq(rig_result(c), 0);
	rig_free(c);
	ck_assert_uint_eq(rig.sanitizes, 1);
	ck_assert_uint_eq(rig.submitted[BE_WRITE] + rig.submitted[BE_ZERO], 0);
	ck_assert_uint_eq(rig_none(s.b, 1, TEST_UNIT_READY), 0);
	scsi_lu_tick(s.disk);
	ck_assert_uint_eq(rig.sanitizes, 1);
}
END_TEST

START_TEST(the_device_fails)
{
	struct rig_cmd *c;

	/* It does not even begin. */
	rig.sanitize_rc = -16;
	ck_assert_uint_eq(rig_none(s.b, 1, CRYPTO_IMMED_AUSE), 0);
	scsi_lu_tick(s.disk);
	rig_tick();
	ck_assert_uint_eq(rig_none(s.b, 1, TEST_UNIT_READY), SENSE_UNSANITIZED);
	/* It fails later; to leave takes the device, too. */
	rig.sanitize_rc = 0;
	ck_assert_uint_eq(rig_none(s.b, 1, CRYPTO_IMMED_AUSE), 0);
	scsi_lu_tick(s.disk);
	rig.sanitize_state = BE_SANITIZE_FAILED;
	scsi_lu_tick(s.disk);
	rig_tick();
	ck_assert_uint_eq(rig_none(s.b, 1, TEST_UNIT_READY), SENSE_UNSANITIZED);
	c = rig_start(s.b, 1, EXIT_FAILURE_MODE, GW_DIR_NONE, 0);
	rig_exec(c, NULL, 0);
	rig_run();
	ck_assert_uint_eq(c->responses, 0);
	scsi_lu_tick(s.disk);
	rig_tick();
	ck_assert_uint_eq(c->responses, 1);
	ck_assert_uint_eq(rig_result(c), 0);
	ck_assert_uint_eq(rig.sanitize_kind, BE_SANITIZE_EXIT);
	ck_assert_uint_eq(rig_none(s.b, 1, TEST_UNIT_READY), 0);
	rig_free(c);
}
END_TEST

/* Gives LUN 1 a device that can do it all. */
static void
able_device(void)
{
	struct be_dev *dev = rig_dev_new(MEDIUM_SIZE, true);

	dev->sanitize_kinds = (1u << BE_SANITIZE_MAX) - 1;
	ck_assert_int_eq(scsi_lu_set_dev(s.disk, dev), 0);
	rig_calm(s.a);
	rig.sanitize_state = BE_SANITIZED;
}

START_TEST(the_device_does_what_it_can)
{
	struct rig_cmd *c;

	able_device();
	ck_assert_uint_eq(rig_none(s.a, 1, BLOCK_ERASE_IMMED), 0);
	for (unsigned i = 0; i < 2; i++)
		scsi_lu_tick(s.disk);
	rig_tick();
	ck_assert_uint_eq(rig.sanitizes, 1);
	ck_assert_uint_eq(rig.sanitize_kind, BE_SANITIZE_BLOCK);
	/* One pass of zeroes is the device's, every other pattern is ours. */
	make_list(1, "\0\0\0\0", 4);
	c = rig_do(s.a, 1, "48 81 00 00 00 00 00 00 08 00", GW_DIR_OUT, 8, list);
	rig_free(c);
	for (unsigned i = 0; i < 2; i++)
		scsi_lu_tick(s.disk);
	rig_tick();
	ck_assert_uint_eq(rig.sanitizes, 2);
	ck_assert_uint_eq(rig.sanitize_kind, BE_SANITIZE_OVERWRITE);
	ck_assert_uint_eq(rig.submitted[BE_WRITE] + rig.submitted[BE_ZERO], 0);
	ck_assert_uint_eq(rig_none(s.a, 1, TEST_UNIT_READY), 0);
	ck_assert_uint_eq(overwrite(s.a, 0, 1, "x"), 0);
	ck_assert_uint_eq(rig.sanitizes, 2);
	check_medium("x", 0);
}
END_TEST

START_TEST(the_lu_ends_while_the_device_works)
{
	struct rig_cmd *c = rig_start(s.b, 1, CRYPTO_ERASE, GW_DIR_NONE, 0);

	rig_exec(c, NULL, 0);
	rig_run();
	rig.sanitize_state = BE_SANITIZE_RUNS;
	scsi_lu_tick(s.disk);
	delete_disk();
	ck_assert_uint_eq(c->responses, 1);
	ck_assert(gw_list_empty(&rig.timers));
	rig_free(c);
}
END_TEST

RIG_SUITE("scsi/sanitize", setup, teardown, overwrite_leaves_the_pattern,
	  every_pass_is_flushed_and_the_last_stays, inverted_between_passes, wrong_parameters,
	  block_erase_deallocates, block_erase_writes_where_it_must, others_are_kept_out,
	  data_on_its_way_comes_too_late, progress_is_told, commands_under_way_come_first,
	  failure_in_the_restricted_mode, failure_that_may_be_left, a_busy_backend_is_asked_again,
	  task_management_does_not_stop_it, who_asked_may_leave, aborted_before_it_began,
	  the_lu_ends_meanwhile, the_lu_ends_while_it_waits, another_device_meanwhile,
	  another_size_meanwhile, who_may_not, the_device_does_it, the_device_fails,
	  the_device_does_what_it_can, the_lu_ends_while_the_device_works)
