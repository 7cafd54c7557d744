/* SPDX-License-Identifier: BSD-3-Clause */
/* Asymmetric logical unit access: between its state (alua.c) and its commands (port_groups.c). */
#ifndef GW_SCSI_ALUA_PRIV_H
#define GW_SCSI_ALUA_PRIV_H

#include "gateway/scsi/scsi_priv.h"

/* A target port group as REPORT TARGET PORT GROUPS tells it (SPC-4 6.37). */
struct scsi_alua_group {
	uint8_t state; /* enum scsi_access */
	bool preferred;
	bool held;    /* it is the administrator's: no initiator changes it */
	uint8_t code; /* who changed it: 0 nobody, 1 an initiator, 2 the administrator */
};

/* Any core. */
struct scsi_alua_group scsi_alua_group(struct scsi_alua *a, uint16_t tag);

/* A change on its way round the cores. */
struct scsi_alua_change {
	struct gw_tour tour;
	struct scsi_alua *alua;
	struct gw_cmd *cmd; /* SET TARGET PORT GROUPS; NULL: the administrator's */
	bool changed;
	unsigned n;
	struct scsi_alua_set set[SCSI_PORTS_MAX];
	bool differs[SCSI_PORTS_MAX]; /* which of them have made a difference */
};

/* Core 0: the first one of a SET TARGET PORT GROUPS that the administrator forbids; -1: none. */
int scsi_alua_forbidden(const struct scsi_alua_change *ch);
/* Core 0: writes the new states; true if there is something to show. */
bool scsi_alua_put(struct scsi_alua_change *ch);
/* The visit that brings them to the nexuses of a core, with 2A/06. */
void scsi_alua_show(struct gw_core *on, struct gw_tour *t);
/* Own core of the command: a line for each state that it has changed. */
void scsi_alua_log(const struct scsi_alua_change *ch);

#endif
