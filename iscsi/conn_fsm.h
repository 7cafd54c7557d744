/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The target side of the connection state diagram, RFC 7143 8.1, as a table of
 * (state, event) -> (next, action). A pair that is not in it closes the connection.
 */
#ifndef ISCSI_CONN_FSM_H
#define ISCSI_CONN_FSM_H

#include <stdint.h>

enum iscsi_cs { /* 8.1.1; the initiator's S2 does not exist here */
	ISCSI_S1_FREE,
	ISCSI_S3_XPT_UP,
	ISCSI_S4_IN_LOGIN,
	ISCSI_S5_LOGGED_IN,
	ISCSI_S6_IN_LOGOUT,
	ISCSI_S7_LOGOUT_REQUESTED,
	ISCSI_S8_CLEANUP_WAIT,
	ISCSI_CS_MAX
};

enum iscsi_ev {
	ISCSI_EV_ACCEPTED,    /* the transport connection is up */
	ISCSI_EV_LOGIN,       /* a Login Request has come */
	ISCSI_EV_LOGGED_IN,   /* the login has succeeded */
	ISCSI_EV_LOGOUT,      /* a Logout Request has come */
	ISCSI_EV_ASK_LOGOUT,  /* we want the initiator to log out */
	ISCSI_EV_LOGOUT_SENT, /* our Logout Response is on its way */
	ISCSI_EV_REFUSED,     /* the login has failed */
	ISCSI_EV_LOST,        /* transport failed, protocol error, timeout, closed from above */
	ISCSI_EV_CLEANED,     /* nothing of the connection is left */
	ISCSI_EV_MAX
};

enum iscsi_act {
	ISCSI_ACT_CLOSE,
	ISCSI_ACT_NONE,
	ISCSI_ACT_FREE
};

struct iscsi_step {
	uint8_t next; /* enum iscsi_cs */
	uint8_t act;  /* enum iscsi_act */
	uint8_t t;    /* number of the transition in 8.1.2; 0: not in the diagram */
};

struct iscsi_step iscsi_conn_step(enum iscsi_cs state, enum iscsi_ev ev);
const char *iscsi_cs_name(enum iscsi_cs state);

#endif
