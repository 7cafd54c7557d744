/* SPDX-License-Identifier: BSD-3-Clause */
/* The whole table of iser/life.h, and where every sequence of its events leads. */
#include "iser/life.h"

#include <stdbool.h>
#include <string.h>

#include "tests/unit/base/suite.h"

#define DEPTH 5

static const enum iser_state states[] = {ISER_CONNECTING, ISER_LOGIN,    ISER_LIVE,
					 ISER_LEAVING,    ISER_DRAINING, ISER_GONE};

/* Next state and action of each pair, in words: what the row of a state says of each event. */
static const struct {
	const char *ev[ISER_EVENTS];
} want[ISER_STATES] = {
    /* established, admitted, lost; end, bye; late, drained */
    [ISER_CONNECTING] = {{"login", "live", "connecting end", "draining disconnect", "leaving wait",
			  "connecting", "connecting"}},
    [ISER_LOGIN] = {{"login", "live", "login end", "draining disconnect", "leaving wait", "login",
		     "login"}},
    [ISER_LIVE] = {{"live", "live", "live end", "draining disconnect", "leaving wait", "live",
		    "live"}},
    [ISER_LEAVING] = {{"leaving", "leaving", "draining disconnect", "leaving", "leaving",
		       "draining disconnect", "leaving"}},
    [ISER_DRAINING] = {{"draining", "draining", "draining", "draining", "draining", "draining",
			"gone release"}},
    [ISER_GONE] = {{"gone", "gone", "gone", "gone", "gone", "gone", "gone"}},
};

static const char *
text(struct iser_step s)
{
	static const char *const act[] = {"", " end", " wait", " disconnect", " release"};
	static char buf[64];

	strcpy(buf, iser_state_name(s.next));
	strcat(buf, act[s.act]);
	return buf;
}

START_TEST(test_every_pair)
{
	for (unsigned s = 0; s < ISER_STATES; s++) {
		for (unsigned e = 0; e < ISER_EVENTS; e++)
			ck_assert_msg(strcmp(text(iser_step(s, e)), want[s].ev[e]) == 0,
				      "state %u event %u: %s, not %s", s, e, text(iser_step(s, e)),
				      want[s].ev[e]);
	}
	ck_assert_str_eq(iser_state_name(ISER_STATES), "?");
}
END_TEST

/* Whatever happened: once condemned, and drained when it had left, it has gone; each act was done
 * once. */
static void
sequence(enum iser_state s, unsigned code)
{
	static const enum iser_event last[] = {ISER_EV_END, ISER_EV_LATE, ISER_EV_DRAINED};
	unsigned disconnects = 0, releases = 0;
	bool begun = s < ISER_DRAINING, gone = s == ISER_GONE;

	for (unsigned i = 0; i < DEPTH + 3; i++) {
		enum iser_event e = i < DEPTH ? code % ISER_EVENTS : last[i - DEPTH];
		struct iser_step step = iser_step(s, e);

		code /= ISER_EVENTS;
		disconnects += step.act == ISER_ACT_DISCONNECT;
		releases += step.act == ISER_ACT_RELEASE;
		/* Only those above end it, and they are told while they can. */
		ck_assert_int_eq(step.act == ISER_ACT_END, e == ISER_EV_LOST && s < ISER_LEAVING);
		ck_assert(step.next >= s);
		s = step.next;
	}
	ck_assert_int_eq(s, ISER_GONE);
	ck_assert_uint_eq(disconnects, begun);
	ck_assert_uint_eq(releases, !gone);
}

START_TEST(test_all_ends_in_gone)
{
	unsigned all = 1;

	for (unsigned i = 0; i < DEPTH; i++)
		all *= ISER_EVENTS;
	for (unsigned i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		for (unsigned code = 0; code < all; code++)
			sequence(states[i], code);
	}
}
END_TEST

SUITE("life", test_every_pair, test_all_ends_in_gone)
