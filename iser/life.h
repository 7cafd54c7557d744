/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The life of an RDMA connection, as a table of (state, event) -> (next, action). It lies under the
 * connection states of RFC 7143 (iscsi/conn_fsm.h): those say what the peer may send, this what the
 * device has of the connection.
 */
#ifndef ISER_LIFE_H
#define ISER_LIFE_H

#include <stdint.h>

enum iser_state {
	ISER_CONNECTING, /* accepted by us; the connection manager has not said that it stands */
	ISER_LOGIN,      /* it stands; a few RECVs are posted */
	ISER_LIVE,       /* logged in: RECVs are posted for all credits */
	ISER_LEAVING,    /* logged out: the peer may disconnect first, so that it sees no failure */
	ISER_DRAINING,   /* disconnected: work requests that are out come back flushed */
	ISER_GONE,       /* none is out: QP and memory are given back */
	ISER_STATES
};

enum iser_event {
	ISER_EV_ESTABLISHED, /* may come after the first message of the initiator */
	ISER_EV_ADMITTED,    /* the login has succeeded */
	ISER_EV_LOST,        /* disconnected by the peer, rejected, in error, or its device has gone */
	ISER_EV_END,         /* condemned by those above */
	ISER_EV_BYE,         /* ... after its last word was sent */
	ISER_EV_LATE,        /* the peer has had its time to leave */
	ISER_EV_DRAINED,     /* no work request is out, or the device has had its time */
	ISER_EVENTS
};

enum iser_act {
	ISER_ACT_NONE,
	ISER_ACT_END,        /* tell those above */
	ISER_ACT_WAIT,       /* for the peer to leave */
	ISER_ACT_DISCONNECT, /* bring all work requests back */
	ISER_ACT_RELEASE
};

struct iser_step {
	uint8_t next; /* enum iser_state */
	uint8_t act;  /* enum iser_act */
};

struct iser_step iser_step(enum iser_state state, enum iser_event ev);
const char *iser_state_name(enum iser_state state);

#endif
