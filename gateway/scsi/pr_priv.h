/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Persistent reservations (SPC-4 5.12). What is registered with an LU, and who holds it, is one
 * constant struct scsi_pr_saved in its view, ascending by I_T nexus; none is there while nobody is
 * registered. PERSISTENT RESERVE OUT makes another one and a change of the view shows it; the old
 * one is freed after the tour. A registration is an I_T nexus by names, so it outlives sessions;
 * where there is a session, its struct scsi_itl keeps the role for the check of each command.
 */
#ifndef GW_SCSI_PR_PRIV_H
#define GW_SCSI_PR_PRIV_H

#include "gateway/scsi/pr_store.h"
#include "gateway/scsi/scsi_priv.h"

enum pr_type { /* SPC-4 6.15.3.4 */
	PR_NONE = 0,
	PR_WRITE = 1,
	PR_ACCESS = 3,
	PR_WRITE_RO = 5, /* registrants only */
	PR_ACCESS_RO = 6,
	PR_WRITE_AR = 7, /* all registrants: each of them holds it */
	PR_ACCESS_AR = 8,
};

static inline bool
pr_type_known(uint8_t type)
{
	return type == PR_WRITE || type == PR_ACCESS ||
	       (type >= PR_WRITE_RO && type <= PR_ACCESS_AR);
}

static inline bool
pr_all_registrants(uint8_t type)
{
	return type == PR_WRITE_AR || type == PR_ACCESS_AR;
}

/* Registrants only, all registrants: the end of the reservation concerns all of them. */
static inline bool
pr_shared(uint8_t type)
{
	return type >= PR_WRITE_RO;
}

/* The order of registrations: negative, 0 or positive as a stands to b. */
int pr_cmp(const struct scsi_pr_reg *a, const struct scsi_pr_reg *b);
/* Where that I_T nexus is or would be; *found says which. pr may be NULL. */
uint32_t pr_index(const struct scsi_pr_saved *pr, const char *initiator, const uint8_t isid[6],
		  uint16_t tpgt, bool *found);
/* The nexus's registration, NULL if it has none. */
const struct scsi_pr_reg *pr_find(const struct scsi_pr_saved *pr, const struct gw_nexus *n);
/* True if the LU has a name that its registrations can be saved under. */
bool pr_can_save(const struct scsi_view *v);
/* True if the registration holds the reservation. */
bool pr_holds(const struct scsi_pr_saved *pr, const struct scsi_pr_reg *r);

/* PERSISTENT RESERVE OUT. */

enum pr_sa { /* SPC-4 6.16.2 */
	PR_OUT_REGISTER,
	PR_OUT_RESERVE,
	PR_OUT_RELEASE,
	PR_OUT_CLEAR,
	PR_OUT_PREEMPT,
	PR_OUT_PREEMPT_ABORT,
	PR_OUT_REGISTER_IGNORE,
	PR_OUT_MOVE,
};

/* Bytes of a parameter list: without TransportIDs, and at most. */
#define PR_PARAM_SIZE 24
#define PR_PARAM_MAX  (256u << 10)
/* Target ports of one target at most: portal groups, and one that a nexus is left in. */
#define PR_PORTS_MAX (GW_GROUPS_MAX + 1)

struct pr_port {
	char initiator[GW_NAME_MAX + 1];
	uint8_t isid[6];
};

/* One command, decoded. */
struct pr_request {
	const struct gw_nexus *nexus;
	uint8_t sa; /* enum pr_sa */
	uint8_t scope, type;
	bool spec_i_pt, all_tg_pt, aptpl, unreg;
	uint64_t key, sa_key;
	uint16_t move_to; /* REGISTER AND MOVE: relative target port */
	uint32_t nport;   /* initiator ports that TransportIDs name */
	struct pr_port *port;
	uint16_t ntpgt; /* the target's ports, the nexus's own first */
	uint16_t tpgt[PR_PORTS_MAX];
};

/*
 * Decodes CDB and parameter list. False: sense or status is set. Own core; the caller frees
 * req->port.
 */
bool pr_decode(struct gw_cmd *cmd, struct pr_request *req);

/* What a request makes of the registrations. */
struct pr_outcome {
	uint8_t status; /* SAM_CHECK_CONDITION: with sense */
	uint32_t sense;
	int param; /* the byte of the parameter list it is about, or -1 */
	int cdb;   /* of the CDB, or -1 */
	bool changed;
	bool counted;                  /* PRGENERATION goes up */
	struct scsi_pr_saved *set;     /* if it changed: all of them now, NULL for none */
	struct scsi_pr_saved *removed; /* PREEMPT AND ABORT: those whose commands end */
	uint32_t ua_lost, ua_kept;
};

/* Constant input, result in memory of its own that the caller frees. */
void pr_apply(const struct scsi_pr_saved *now, const struct pr_request *req,
	      struct pr_outcome *out);

#endif
