/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who may see what. The configuration is immutable: a change makes a new struct gw_model that shares
 * all targets that did not change, and a tour hands it to each core (gateway/model/publish.c). What a
 * core reads, never changes under it; the old one is freed by the control thread when all have
 * switched. So a pointer to a target may be kept across turns in gw_nexus.target only, which the
 * publishing tour updates; whoever else waits (a login) looks its target up again by name.
 */
#ifndef GW_API_MODEL_H
#define GW_API_MODEL_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "gateway/api/cmd.h"
#include "gateway/api/xport.h"
#include "gateway/core/core.h"

#define GW_NAME_MAX   223 /* bytes of an iSCSI name (RFC 7143 4.2.7.1) */
#define GW_SECRET_MAX 255
#define GW_LUN_MAX    16383 /* largest LUN number: flat space addressing */
#define GW_GROUPS_MAX 32    /* portal groups */

struct scsi_lu;
struct scsi_itl;
struct scsi_leave;
struct scsi_alua;

struct gw_account {
	char name[GW_SECRET_MAX + 1];
	char secret[GW_SECRET_MAX + 1];
};

/* An access rule. An initiator is admitted if any rule matches; with no rule nobody is (tgt). */
struct gw_acl {
	enum { GW_ACL_ALL, GW_ACL_ADDR, GW_ACL_NAME } kind;
	uint8_t family;	    /* AF_INET or AF_INET6 */
	uint8_t prefix;	    /* bits */
	uint8_t addr[16];
	char name[GW_NAME_MAX + 1]; /* iSCSI name; '*' and '?' match as in a shell */
};

/* What a target wants of the negotiation (RFC 7143 13); mgmtd checked the ranges, we check again. */
struct gw_target_params {
	uint32_t max_recv_dsl, max_xmit_dsl, first_burst, max_burst, max_outstanding_r2t;
	uint32_t default_time2wait, default_time2retain;
	uint32_t queue_depth; /* commands a session may have outstanding (MaxQueueCmd): 1 .. 1024 */
	uint32_t nop_interval, nop_count; /* s and number of unanswered NOP-Ins; interval 0: off */
	bool initial_r2t, immediate_data;
	uint8_t header_digest, data_digest; /* bit 0: None allowed, bit 1: CRC32C allowed */
};

struct gw_lun {
	uint64_t lun;
	struct scsi_lu *lu;
	bool ro; /* for those that see it here */
};

/* What initiators of some name see of a target: other numbers, fewer LUNs, read-only ones. */
struct gw_lunset {
	char who[GW_NAME_MAX + 1]; /* as in gw_acl */
	bool all, ro;		   /* lun is the target's own list; all of it read-only */
	uint32_t nlun;
	struct gw_lun *lun;	      /* as in gw_target */
	const struct gw_lun **by_lu; /* unless all: into lun, ascending by the LU's address */
};

struct gw_target {
	uint32_t tid;
	bool ready;    /* state=ready; offline targets refuse logins */
	char iqn[GW_NAME_MAX + 1];
	char alias[GW_SECRET_MAX + 1];
	struct gw_target_params params;
	uint32_t nlun, nacl, nin;
	struct gw_lun *lun;		 /* ascending by number; LUN 0 is always there (controller or disk) */
	uint32_t nmap;
	struct gw_lunset *map;		 /* for those that do not see lun; exact names first */
	struct gw_acl *acl;
	const struct gw_account **in;	 /* incoming CHAP accounts; none: no authentication asked */
	const struct gw_account *out;	 /* outgoing (mutual CHAP); NULL: none */
	atomic_uint sessions;		 /* informative */
	struct scsi_alua *alua; /* access states of its port groups; the same in all snapshots */
	uint64_t uid;	 /* the same in all snapshots of one target; a later target of that tid has another */
	uint32_t *seen;	 /* publish.c: the last tour that met a nexus with this snapshot */
};

struct gw_portal {
	char host[64];	 /* numeric address, "::" for all of both families */
	uint16_t port, tpgt; /* tag of its portal group: for SCSI a target port of each target */
	const struct gw_xport_ops *xport;
	void *priv;	 /* the transport's listener; NULL while not listening */
	char advertise[80]; /* "addr:port" for SendTargets instead of the bound one; empty: bound */
};

enum gw_chap { GW_CHAP_MD5 = 5, GW_CHAP_SHA1 = 6, GW_CHAP_SHA256 = 7, GW_CHAP_SHA3_256 = 8 };

struct gw_model {
	uint64_t generation;
	bool ready; /* system state; offline: no logins */
	uint32_t ntarget, nportal, ndisc_in;
	struct gw_target **target; /* ascending by tid */
	uint32_t *by_name;	   /* indices into target, ordered by iqn */
	struct gw_portal **portal;
	uint32_t ngroup;
	uint16_t *group; /* portal group tags, ascending: the target ports of every target */
	const struct gw_account **disc_in; /* accounts for discovery sessions */
	const struct gw_account *disc_out;
	uint32_t chap_mask;	   /* bit n: algorithm n is allowed */
	uint32_t login_timeout_ms;
};

/* Own core: the configuration as this core knows it; never NULL. */
static inline const struct gw_model *
gw_model_of(const struct gw_core *core)
{
	return core->slot[GW_SLOT_MODEL];
}

/* The target of that iSCSI name (compared in lower case, RFC 3722), NULL if none. */
const struct gw_target *gw_target_by_name(const struct gw_model *m, const char *iqn);
const struct gw_target *gw_target_by_tid(const struct gw_model *m, uint32_t tid);

/* The map that holds for that initiator, NULL if it sees all of t->lun. */
const struct gw_lunset *gw_lunset_of(const struct gw_target *t, const char *initiator);

/* True if a rule of the target admits that initiator from that address. */
bool gw_acl_admits(const struct gw_target *t, const char *initiator, const struct sockaddr *peer);
/* Parses "ALL", "192.0.2.1", "192.0.2.0/24", "[2001:db8::]/32"; false on anything else. */
bool gw_acl_parse_addr(struct gw_acl *acl, const char *text);

/* --- I_T nexus --- */

struct gw_nexus_stats {
	_Atomic uint64_t rd_cmds, rd_bytes, wr_cmds, wr_bytes, errors;
	_Atomic uint64_t rx_bytes, tx_bytes, cmd_pdus, rsp_pdus, dataout_pdus, datain_pdus;
};

/*
 * An initiator port at a target port: what SCSI keeps state for. Embedded in the transport's session.
 * Home: the connection's core.
 */
struct gw_nexus {
	/* Filled by the transport before scsi_nexus_open(). */
	struct gw_core *core;
	const struct gw_xport_ops *xport;
	const struct gw_target *target; /* the core's current snapshot of it */
	char initiator[GW_NAME_MAX + 1];
	char alias[GW_SECRET_MAX + 1];
	uint8_t isid[6];
	uint16_t tsih, cid, tpgt; /* of the portal that it logged in through */
	char peer[80]; /* "192.0.2.1:51234", "[2001:db8::1]:51234" */
	void (*closed)(struct gw_nexus *n);

	/* The SCSI layer's. */
	uint64_t id;		/* unique since the process started */
	struct gw_list node;	/* list of the core's nexuses */
	struct gw_list cmds;	/* gw_cmd.on_nexus, oldest first */
	const struct gw_lunset *set; /* of target; NULL: all of target->lun */
	struct scsi_itl *itl;	/* per LUN that it sees, ascending by number */
	uint32_t nitl;
	uint8_t access; /* enum scsi_access of its port group */
	bool closing;
	uint32_t tagged;	/* ORDERED and HEAD OF QUEUE commands, for which others may wait */
	struct gw_list turns;	/* gw_cmd.on_set: those whose turn has come, with turn_hook */
	struct gw_hook turn_hook;
	uint32_t tmfs;		/* task management functions under way */
	struct scsi_leave *leave; /* what scsi_nexus_close() needs, allocated at open */
	struct gw_hook close_hook;
	struct gw_tour tour;
	struct gw_nexus_stats stats;
};

/*
 * Own core, at the end of login: allocates the per-LUN state, puts the nexus on its core's list, raises
 * the power-on unit attentions. 0 or -ENOMEM.
 */
int scsi_nexus_open(struct gw_nexus *n);
/*
 * Own core: aborts all commands, waits for those in a backend, drops reservations that belong to the
 * nexus (RESERVE(6/10), SPC-2), then calls n->closed(n). No scsi_begin() after it.
 */
void scsi_nexus_close(struct gw_nexus *n);

/* The list of this core's nexuses (gw_nexus.node); own core. */
struct gw_list *gw_nexus_list(struct gw_core *core);

#endif
