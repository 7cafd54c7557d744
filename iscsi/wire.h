/* SPDX-License-Identifier: BSD-3-Clause */
/* What carries the PDUs of a connection, to those who make and handle them. Own core. */
#ifndef ISCSI_WIRE_H
#define ISCSI_WIRE_H

#include <stdbool.h>
#include <stdint.h>

struct gw_xport_ops;
struct iscsi_conn;
struct iscsi_task;

/*
 * Memory of the initiator that a command moves data to or from, as it advertised it over RDMA: `stag`
 * names it, `at` is where its first byte lies, as the initiator counts; of a write, the first that is
 * not unsolicited. None of it can be trusted: the RDMA device of the initiator checks each access, and
 * the connection ends when one was wrong.
 */
struct iscsi_remote {
	bool valid;
	uint32_t stag;
	uint64_t at;
};

struct iscsi_wire {
	const struct gw_xport_ops *xport;
	bool rdma; /* iSER (RFC 7145): data moves by RDMA, and through registered memory alone */

	/* Begins to receive. */
	void (*start)(struct iscsi_conn *c);
	/* What it stopped at may be possible by now, or there is more to do: receives on. */
	void (*go_on)(struct iscsi_conn *c);
	/* At the end of a turn: sends what it can of txq; iscsi_tx_sent() for each entry. */
	void (*send)(struct iscsi_conn *c);
	/*
	 * The data segment of a command, all that the command takes, may lie where the device can have
	 * it: then the task keeps it there, as t->kept, until unkeep(). Else false.
	 */
	bool (*keep)(struct iscsi_conn *c, struct iscsi_task *t);
	void (*unkeep)(struct iscsi_task *t);
	/*
	 * Fetches what of a write's data has not come by itself: asks for it, or reads it from the
	 * initiator's memory; then or in its turn. Ends in iscsi_task_advance(). False: no memory now.
	 */
	bool (*solicit)(struct iscsi_task *t);

	/*
	 * A login succeeds: readies the connection for so many commands at once, or fewer if memory is
	 * short. False: for none. NULL: nothing to ready.
	 */
	bool (*admit)(struct iscsi_conn *c, uint32_t *depth);

	/*
	 * Condemned: operations end early, and iscsi_conn_poke() says when one has. bye: the peer has
	 * its Logout Response, and may well be about to leave by itself.
	 */
	void (*stop)(struct iscsi_conn *c, bool bye);
	bool (*busy)(struct iscsi_conn *c);
	/* Not busy any more: gives back what receives and sends; iscsi_tx_drop() for what was taken. */
	void (*close)(struct iscsi_conn *c);
	/* The connection's own memory. */
	void (*free)(struct iscsi_conn *c);
};

#endif
