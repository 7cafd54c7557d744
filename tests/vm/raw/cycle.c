/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>

#include "tests/vm/raw/raw.h"

#define ANSWER_MS 60000
#define BLOCKS    8
#define LEFT      10 /* every that many cycles a session is left without a logout */

/* What was written is read. */
static bool
write_and_read(struct raw_conn *c, uint32_t n)
{
	struct raw_mem mem = {0};
	struct raw_msg m;
	bool good = raw_mem_new(c, &mem, BLOCKS * RAW_BLOCK, RAW_BOTH_WAYS);

	if (good) {
		mem.p[0] = (uint8_t)n;
		m = raw_io(c, true, 0, BLOCKS);
		m.out = raw_name_of(&mem);
		good = raw_run(c, &m, ANSWER_MS) == 0;
	}
	if (good) {
		mem.p[0] = (uint8_t)~n;
		m = raw_io(c, false, 0, BLOCKS);
		m.in = raw_name_of(&mem);
		good = raw_run(c, &m, ANSWER_MS) == 0 && mem.p[0] == (uint8_t)n;
	}
	raw_mem_free(&mem);
	return good;
}

static bool
logout(struct raw_conn *c)
{
	struct raw_msg m = raw_plain(c, RAW_LOGOUT, RAW_F);

	return raw_msg_send(c, &m) && raw_wait_itt(c, m.itt, ANSWER_MS) &&
	       c->pdu.opcode == RAW_LOGOUT_RSP && c->pdu.response == 0;
}

static bool
one_cycle(const struct raw_where *w, uint32_t n)
{
	struct raw_conn *c = raw_attach(w, "");
	struct raw_msg m;
	bool good;

	if (!c)
		return false;
	/* The attention that each new session is told of. */
	m = raw_plain(c, RAW_COMMAND, RAW_F);
	raw_run(c, &m, ANSWER_MS);
	good = write_and_read(c, n);
	if (good && n % LEFT)
		good = logout(c);
	if (n % (2 * LEFT))
		raw_close(c);
	else
		raw_drop(c);
	return good;
}

int
raw_cycles(const struct raw_where *w, uint32_t count)
{
	uint64_t began = raw_now_ms();

	for (uint32_t n = 0; n < count; n++) {
		if (!one_cycle(w, n)) {
			printf("cycles: error: the cycle after %u went wrong\n", n);
			return 1;
		}
	}
	printf("cycles: %u ms=%llu\n", count, (unsigned long long)(raw_now_ms() - began));
	return 0;
}
