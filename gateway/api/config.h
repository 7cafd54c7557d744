/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The wanted configuration as control/ hands it to the model: what changed (docs/control-protocol.md).
 * Plain data, no pointers into live objects. Control thread only.
 */
#ifndef GW_API_CONFIG_H
#define GW_API_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "gateway/api/model.h"
#include "gateway/api/scsi_dev.h"

/* RDMA has ports of its own: portals over TCP and over iSER may have the same address and port. */
enum gw_transport { GW_TRANSPORT_TCP, GW_TRANSPORT_ISER };

struct gw_conf_portal {
	char host[64];
	uint16_t port, tpgt;
	enum gw_transport transport;
	char advertise[80];
};

struct gw_conf_system {
	bool ready;
	uint32_t chap_mask;
	uint32_t login_timeout_ms;
	char **disc_in; /* account names */
	uint32_t ndisc_in;
	char disc_out[GW_SECRET_MAX + 1]; /* empty: none */
};

#define GW_MAPS_MAX	   1024	 /* LUN maps of a target */
#define GW_MAP_ENTRIES_MAX 16384 /* of all maps of a target */

/* A LUN under the number that an initiator knows it by. */
struct gw_conf_map_lun {
	uint64_t own, lun;
	bool ro;
};

/* What the initiators of that name see of a target instead of all of it. */
struct gw_conf_map {
	char name[GW_NAME_MAX + 1]; /* as in gw_acl */
	bool all, ro;		    /* all LUNs by their own numbers, writable or not; else: */
	struct gw_conf_map_lun *lun;
	uint32_t nlun;
};

struct gw_conf_target {
	uint32_t tid;
	char iqn[GW_NAME_MAX + 1];
	char alias[GW_SECRET_MAX + 1];
	bool ready;
	struct gw_target_params params;
	struct gw_acl *acl;
	uint32_t nacl;
	struct gw_conf_map *map; /* each name once */
	uint32_t nmap;
	char **in; /* account names */
	uint32_t nin;
	char out[GW_SECRET_MAX + 1];
	struct scsi_alua_set alua[GW_GROUPS_MAX]; /* states that the administrator has set */
	uint32_t nalua;
};

struct gw_conf_lun {
	uint32_t tid;
	uint64_t lun;
	char bstype[32];
	char **kv; /* NULL-terminated, for be_dev_open(); changes of it reopen the device */
	struct scsi_lu_conf scsi;
};

/* Keys of objects to delete. */
struct gw_conf_key {
	enum { GW_KEY_PORTAL, GW_KEY_TARGET, GW_KEY_LUN, GW_KEY_ACCOUNT } kind;
	uint32_t tid;
	uint64_t lun;
	char name[GW_SECRET_MAX + 1]; /* portal "ADDR:PORT" or "ADDR:PORT/iser", account */
};

struct gw_conf_change {
	bool full;  /* everything not named in it goes away */
	bool force; /* a target may go although it has sessions */
	struct gw_conf_system *system; /* NULL: unchanged */
	struct gw_conf_portal *portal;
	struct gw_account *account;
	struct gw_conf_target *target;
	struct gw_conf_lun *lun;
	struct gw_conf_key *del;
	uint32_t nportal, naccount, ntarget, nlun, ndel;
};

/* Why a change was refused; numbers of tgtadm's errors (docs/control-protocol.md). */
struct gw_conf_err {
	int tgt_err;
	char key[320];	  /* the object that is at fault */
	char text[512];	  /* one sentence */
};

/*
 * Applies the change: all of it or nothing. In a full change a LUN whose backing store cannot be
 * opened does not fail it: the LUN is there without medium (2/0400), is tried again every few
 * seconds, and is reported by gw_conf_each_degraded(); likewise a portal that cannot listen. 0 or -1
 * with err filled.
 */
int gw_conf_apply(const struct gw_conf_change *chg, struct gw_conf_err *err);

/* Would gw_conf_apply() accept it? Opens no backing store and changes nothing. 0 or -1 with err filled. */
int gw_conf_check(const struct gw_conf_change *chg, struct gw_conf_err *err);

/* Counts the changes since start; 0: nothing configured yet. */
uint64_t gw_conf_generation(void);

/* Called about once a second: sizes of backing stores, LUNs that wait for theirs. */
void gw_conf_tick(void);

/* Why a LUN has no backing store now, NULL if it has. Valid until the next apply or tick. */
const char *gw_conf_lun_trouble(uint32_t tid, uint64_t lun);

/*
 * Walks what is configured and does not work now: LUNs without their backing store, portals whose
 * address is not to be had. `key` as in docs/control-protocol.md.
 */
void gw_conf_each_degraded(void (*fn)(const char *key, const char *reason, void *arg), void *arg);

/* Walks all LUNs of the current configuration in order. */
void gw_conf_each_lun(void (*fn)(const struct gw_conf_lun *lun, struct scsi_lu *lu, void *arg),
		      void *arg);

/*
 * The transports that portals may use; called by main.c once. Without iser (NULL) a portal over it
 * is one that cannot listen.
 */
void gw_conf_xports(const struct gw_xport_ops *tcp, const struct gw_xport_ops *iser);

/*
 * Start and end of the model; the first gives every core an empty configuration and comes after
 * gw_cores_init() and before gw_cores_start(). The last takes down listeners and LUs: no sessions are
 * left, the cores still run.
 */
int gw_conf_init(void);
void gw_conf_fini(void);

/*
 * The end of service: portals stop accepting, initiators are asked to log out and have ask_ms for it,
 * the sessions that are left then are closed and have close_ms to end. True if none is left.
 */
bool gw_conf_drain(uint32_t ask_ms, uint32_t close_ms);

#endif
