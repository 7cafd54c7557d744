/* SPDX-License-Identifier: BSD-3-Clause */
/* A well-behaved session that notices what others do to it. */
#include "tests/vm/raw/raw.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#define SLOTS       64 /* places on the disk, each written whole in pieces */
#define SLOT_BLOCKS 128
#define SLOT_BYTES  (SLOT_BLOCKS * RAW_BLOCK)
#define ANSWER_MS   60000
#define SAY_MS      1000

struct steady {
	struct raw_conn *c;
	struct raw_mem mem;
	uint32_t lba;
	uint64_t seed[SLOTS]; /* of what was written there; 0: nothing */
	uint64_t rand, done, worst, said;
};

static volatile sig_atomic_t over;

static void
on_term(int sig)
{
	(void)sig;
	over = 1;
}

static uint64_t
next(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

/* What stands at byte `at` of a slot, 8 bytes at a time. */
static uint64_t
word(uint64_t seed, uint32_t at)
{
	return (seed + at) * 0x9e3779b97f4a7c15ull ^ seed >> 7;
}

static bool
right(const uint8_t *p, uint64_t seed, uint32_t at, uint32_t len)
{
	for (uint32_t i = 0; i < len; i += 8) {
		uint64_t v = word(seed, at + i);

		if (memcmp(p + i, &v, 8))
			return false;
	}
	return true;
}

static bool
one_io(struct steady *s, bool write, uint32_t block, uint32_t n)
{
	struct raw_msg m = raw_io(s->c, write, s->lba + block, n);
	uint64_t began = raw_now_ms(), took;
	int status;

	if (write && n * RAW_BLOCK <= 8192 && s->rand & 1) {
		m.data = s->mem.p;
		m.len = n * RAW_BLOCK;
	}
	/* All that the data segment has not brought is behind the Write STag (RFC 7145 7.3.1). */
	if (write && m.len < m.w20)
		m.out = raw_name_of(&s->mem);
	if (!write)
		m.in = raw_name_of(&s->mem);
	status = raw_run(s->c, &m, ANSWER_MS);
	took = raw_now_ms() - began;
	if (took > s->worst)
		s->worst = took;
	if (status)
		printf(
		    "steady: error: %s block=%u blocks=%u status=%d ended=%d failed=%d ms=%llu\n",
		    write ? "write" : "read", block, n, status, s->c->ended, s->c->failed,
		    (unsigned long long)took);
	return status == 0;
}

/* Reads a slot, or writes it anew and reads it back, in pieces of one size. */
static bool
one_turn(struct steady *s)
{
	static const uint32_t sizes[] = {1, 8, 16, 128};
	uint32_t slot = (uint32_t)(next(&s->rand) % SLOTS), n = sizes[next(&s->rand) % 4];
	uint32_t at = (uint32_t)(next(&s->rand) % (SLOT_BLOCKS / n)) * n,
		 first = slot * SLOT_BLOCKS;
	uint64_t fresh = next(&s->rand);

	if (s->seed[slot] && (!one_io(s, false, first + at, n) ||
			      !right(s->mem.p, s->seed[slot], at * RAW_BLOCK, n * RAW_BLOCK))) {
		printf("steady: error: slot=%u does not hold what was written\n", slot);
		return false;
	}
	if (n == 1)
		n = 16;
	for (at = 0; at < SLOT_BLOCKS; at += n) {
		for (uint32_t i = 0; i < n * RAW_BLOCK; i += 8) {
			uint64_t v = word(fresh, at * RAW_BLOCK + i);

			memcpy(s->mem.p + i, &v, 8);
		}
		if (!one_io(s, true, first + at, n))
			return false;
	}
	s->seed[slot] = fresh;
	memset(s->mem.p, 0, SLOT_BYTES);
	if (!one_io(s, false, first, SLOT_BLOCKS))
		return false;
	if (!right(s->mem.p, fresh, 0, SLOT_BYTES)) {
		printf("steady: error: slot=%u reads back otherwise\n", slot);
		return false;
	}
	s->done++;
	return true;
}

static void
say(struct steady *s)
{
	printf("steady: turns=%llu worst_ms=%llu\n", (unsigned long long)s->done,
	       (unsigned long long)s->worst);
	fflush(stdout);
}

int
raw_steady(const struct raw_where *w, uint32_t lba)
{
	struct steady s = {.lba = lba, .rand = 0x1234567};
	struct sigaction sa = {.sa_handler = on_term};
	bool well;

	s.c = raw_attach(w, "");
	if (!s.c)
		return 1;
	sigaction(SIGTERM, &sa, NULL);
	well = raw_mem_new(s.c, &s.mem, SLOT_BYTES, RAW_BOTH_WAYS);
	while (well && !over) {
		well = one_turn(&s);
		if (raw_now_ms() - s.said >= SAY_MS) {
			s.said = raw_now_ms();
			say(&s);
		}
	}
	say(&s);
	raw_mem_free(&s.mem);
	raw_close(s.c);
	printf("steady: %s\n", well ? "done" : "failed");
	return !well;
}
