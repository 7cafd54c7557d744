/* SPDX-License-Identifier: BSD-3-Clause */
/* What a transport (TCP, iSER, the unit tests' stub) gives to the layers above. */
#ifndef GW_API_XPORT_H
#define GW_API_XPORT_H

#include "gateway/api/cmd.h"

struct gw_counter;
struct gw_nexus;
struct gw_portal;

/* Why a session is closed from above: goes into the log line. */
enum gw_why {
	GW_WHY_ADMIN,		/* "connection delete", target deleted with force */
	GW_WHY_TARGET_GONE,
	GW_WHY_REINSTATED,	/* a new login with the same initiator, ISID and target (RFC 7143 6.3.5) */
	GW_WHY_COLD_RESET,
	GW_WHY_ACL,		/* the rules no longer admit it */
	GW_WHY_SHUTDOWN,
};

struct gw_xport_ops {
	const char *name; /* "tcp", "iser" */

	/*
	 * The command is complete; send its response (and data-in) and release
	 * it. With cmd->aborted == GW_ABORT_QUIET nothing is sent. Never calls back into the SCSI layer
	 * for the same command. The nexus's core.
	 */
	void (*respond)(struct gw_cmd *cmd);

	/*
	 * The nexus's core, from the loop: the command, whose cmd->turn was not GW_GO, may go on as if
	 * scsi_begin() had just returned.
	 */
	void (*turn)(struct gw_cmd *cmd);

	/*
	 * Control thread. 0 or -errno with a sentence in err; afterwards the port is the portal's, and
	 * whoever connects waits or is sent away unheard until accept().
	 */
	int (*listen)(struct gw_portal *portal, char *err, unsigned err_size);
	/*
	 * Control thread, once after listen(): connections are taken. The cores have the model that the
	 * portal came with by then: "target not found" would be an end to an initiator, not a reason to
	 * try again (RFC 7143 11.13.5).
	 */
	void (*accept)(struct gw_portal *portal);
	/* Control thread; returns when no accept can happen any more. Connections stay. */
	void (*unlisten)(struct gw_portal *portal);

	/* The nexus's core: ends session and connection; nexus->closed() comes later, never from here. */
	void (*close)(struct gw_nexus *nexus, enum gw_why why);

	/* The nexus's core, on shutdown: asks the initiator to log out (RFC 7143 11.9, event 1). */
	void (*ask_logout)(struct gw_nexus *nexus);

	/*
	 * The nexus's core, for reports; optional. Writes what was negotiated as "Key=Value\n" lines with
	 * a NUL into buf, as many whole lines as fit. No allocation.
	 */
	void (*params)(const struct gw_nexus *nexus, char *buf, unsigned size);

	/*
	 * The nexus's core, for reports; optional. What the transport counts of this session beside
	 * nexus->stats, GW_COUNTERS_MAX at most; how many there are.
	 */
	unsigned (*counters)(struct gw_nexus *nexus, struct gw_counter *out);
};

#endif
