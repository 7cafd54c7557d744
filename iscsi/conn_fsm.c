/* SPDX-License-Identifier: BSD-3-Clause */
#include "iscsi/conn_fsm.h"

#define NONE  ISCSI_ACT_NONE
#define CLOSE ISCSI_ACT_CLOSE
#define FREE  ISCSI_ACT_FREE

static const struct iscsi_step step[ISCSI_CS_MAX][ISCSI_EV_MAX] =
    {
	[ISCSI_S1_FREE] =
	    {
		[ISCSI_EV_ACCEPTED] = {ISCSI_S3_XPT_UP, NONE, 3},
		[ISCSI_EV_CLEANED] = {ISCSI_S1_FREE, FREE, 0},
	    },
	[ISCSI_S3_XPT_UP] =
	    {
		[ISCSI_EV_LOGIN] = {ISCSI_S4_IN_LOGIN, NONE, 4},
		[ISCSI_EV_LOST] = {ISCSI_S1_FREE, CLOSE, 6},
	    },
	[ISCSI_S4_IN_LOGIN] =
	    {
		[ISCSI_EV_LOGIN] = {ISCSI_S4_IN_LOGIN, NONE, 0},
		[ISCSI_EV_LOGGED_IN] = {ISCSI_S5_LOGGED_IN, NONE, 5},
		[ISCSI_EV_REFUSED] = {ISCSI_S1_FREE, CLOSE, 7},
		[ISCSI_EV_LOST] = {ISCSI_S1_FREE, CLOSE, 7},
	    },
	[ISCSI_S5_LOGGED_IN] =
	    {
		[ISCSI_EV_LOGOUT] = {ISCSI_S6_IN_LOGOUT, NONE, 9},
		[ISCSI_EV_ASK_LOGOUT] = {ISCSI_S7_LOGOUT_REQUESTED, NONE, 11},
		[ISCSI_EV_LOST] = {ISCSI_S8_CLEANUP_WAIT, CLOSE, 15},
	    },
	[ISCSI_S6_IN_LOGOUT] =
	    {
		[ISCSI_EV_LOGOUT_SENT] = {ISCSI_S1_FREE, CLOSE, 13},
		[ISCSI_EV_ASK_LOGOUT] = {ISCSI_S6_IN_LOGOUT, NONE, 14},
		[ISCSI_EV_LOST] = {ISCSI_S8_CLEANUP_WAIT, CLOSE, 17},
	    },
	[ISCSI_S7_LOGOUT_REQUESTED] =
	    {
		[ISCSI_EV_LOGOUT] = {ISCSI_S6_IN_LOGOUT, NONE, 10},
		[ISCSI_EV_ASK_LOGOUT] = {ISCSI_S7_LOGOUT_REQUESTED, NONE, 12},
		[ISCSI_EV_LOST] = {ISCSI_S8_CLEANUP_WAIT, CLOSE, 16},
	    },
	[ISCSI_S8_CLEANUP_WAIT] =
	    {
		/* At ERL 0 the session ends with its connection: M1 of 8.2 at once. */
		[ISCSI_EV_CLEANED] = {ISCSI_S1_FREE, FREE, 0},
		[ISCSI_EV_LOST] = {ISCSI_S8_CLEANUP_WAIT, NONE, 0},
	    },
};

struct iscsi_step
iscsi_conn_step(enum iscsi_cs state, enum iscsi_ev ev)
{
	struct iscsi_step s = {ISCSI_S8_CLEANUP_WAIT, CLOSE, 0};

	if ((unsigned)state >= ISCSI_CS_MAX || (unsigned)ev >= ISCSI_EV_MAX)
		return s;
	/* An empty row entry reads as {S1, CLOSE, 0}: unknown, and closing is what it asks for. */
	return step[state][ev];
}

const char *
iscsi_cs_name(enum iscsi_cs state)
{
	static const char *const name[ISCSI_CS_MAX] = {
	    "FREE",      "XPT_UP",           "IN_LOGIN",     "LOGGED_IN",
	    "IN_LOGOUT", "LOGOUT_REQUESTED", "CLEANUP_WAIT",
	};

	return (unsigned)state < ISCSI_CS_MAX ? name[state] : "?";
}
