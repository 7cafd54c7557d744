/* SPDX-License-Identifier: BSD-3-Clause */
/* What carries the PDUs of a connection, to those who make and handle them. Own core. */
#ifndef ISCSI_WIRE_H
#define ISCSI_WIRE_H

#include <stdbool.h>

struct gw_xport_ops;
struct iscsi_conn;
struct iscsi_task;

struct iscsi_wire {
	const struct gw_xport_ops *xport;

	/* Begins to receive. */
	void (*start)(struct iscsi_conn *c);
	/* What it stopped at may be possible by now, or there is more to do: receives on. */
	void (*go_on)(struct iscsi_conn *c);
	/* At the end of a turn: sends what it can of txq; iscsi_tx_sent() for each entry. */
	void (*send)(struct iscsi_conn *c);
	/*
	 * The data segment of a command, all that the command takes, may lie where the device can have
	 * it: then the task keeps it there. Else false.
	 */
	bool (*keep)(struct iscsi_conn *c, struct iscsi_task *t);

	/* Condemned: operations end early, and iscsi_conn_poke() says when one has. */
	void (*stop)(struct iscsi_conn *c);
	bool (*busy)(struct iscsi_conn *c);
	/* Not busy any more: gives back what receives and sends; iscsi_tx_drop() for what was taken. */
	void (*close)(struct iscsi_conn *c);
	/* The connection's own memory. */
	void (*free)(struct iscsi_conn *c);
};

#endif
