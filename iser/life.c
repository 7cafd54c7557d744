/* SPDX-License-Identifier: BSD-3-Clause */
#include "iser/life.h"

/*
 * What is left out stays in its state and does nothing: events of the connection manager and those of
 * the connection cross each other.
 */
static const struct row {
	uint8_t state, ev;
	struct iser_step step;
} table[] = {
    {ISER_CONNECTING, ISER_EV_ESTABLISHED, {ISER_LOGIN, ISER_ACT_NONE}},
    {ISER_CONNECTING, ISER_EV_ADMITTED, {ISER_LIVE, ISER_ACT_NONE}},
    {ISER_CONNECTING, ISER_EV_LOST, {ISER_CONNECTING, ISER_ACT_END}},
    {ISER_CONNECTING, ISER_EV_END, {ISER_DRAINING, ISER_ACT_DISCONNECT}},
    {ISER_CONNECTING, ISER_EV_BYE, {ISER_LEAVING, ISER_ACT_WAIT}},

    {ISER_LOGIN, ISER_EV_ADMITTED, {ISER_LIVE, ISER_ACT_NONE}},
    {ISER_LOGIN, ISER_EV_LOST, {ISER_LOGIN, ISER_ACT_END}},
    {ISER_LOGIN, ISER_EV_END, {ISER_DRAINING, ISER_ACT_DISCONNECT}},
    {ISER_LOGIN, ISER_EV_BYE, {ISER_LEAVING, ISER_ACT_WAIT}},

    {ISER_LIVE, ISER_EV_LOST, {ISER_LIVE, ISER_ACT_END}},
    {ISER_LIVE, ISER_EV_END, {ISER_DRAINING, ISER_ACT_DISCONNECT}},
    {ISER_LIVE, ISER_EV_BYE, {ISER_LEAVING, ISER_ACT_WAIT}},

    {ISER_LEAVING, ISER_EV_LOST, {ISER_DRAINING, ISER_ACT_DISCONNECT}},
    {ISER_LEAVING, ISER_EV_LATE, {ISER_DRAINING, ISER_ACT_DISCONNECT}},

    {ISER_DRAINING, ISER_EV_DRAINED, {ISER_GONE, ISER_ACT_RELEASE}},
};

struct iser_step
iser_step(enum iser_state state, enum iser_event ev)
{
	for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (table[i].state == state && table[i].ev == ev)
			return table[i].step;
	}
	return (struct iser_step){(uint8_t)state, ISER_ACT_NONE};
}

const char *
iser_state_name(enum iser_state state)
{
	static const char *const name[ISER_STATES] = {"connecting", "login", "live",
						      "leaving",    "draining", "gone"};

	return state < ISER_STATES ? name[state] : "?";
}
