/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The control thread's own copy of the configuration, from which the models of the cores are built.
 * The objects do not change but for the fields marked "now"; a change makes new objects, a new
 * struct conf_state that points to them, and a list of what differs (struct plan).
 */
#ifndef GW_MODEL_PRIV_H
#define GW_MODEL_PRIV_H

#include "gateway/api/config.h"
#include "gateway/api/model.h"
#include "gateway/api/scsi_dev.h"
#include "gateway/base/list.h"
#include "gateway/model/index.h"

#define CONF_KEY_MAX 320

struct m_account {
	struct gw_account a; /* first: the snapshots point to it */
};

struct m_portal {
	struct gw_portal p;  /* first */
	bool listening;      /* now */
	char trouble[256];   /* now: why it does not listen */
	struct gw_list node; /* retired ones */
};

struct m_target {
	struct gw_conf_target conf;
	uint64_t uid;
	struct scsi_lu *ctl;    /* LUN 0 of those that see no disk there */
	struct scsi_alua *alua; /* of all versions of it, as ctl */
	struct gw_target *snap; /* now: what the cores see */
	uint32_t pos;           /* now: place in the model being built */
};

struct m_lun {
	struct gw_conf_lun conf;
	struct scsi_lu *lu; /* a later version of the same LUN has the same */
	char trouble[512];  /* now: why the backing store is not open; empty: all is well */
};

struct conf_state {
	struct gw_index account, portal, target, iqn, lun, naa;
	struct gw_conf_system *sys;
};

/* One object that differs: old NULL means new, new NULL means deleted. */
struct plan_op {
	enum {
		OP_ACCOUNT,
		OP_PORTAL,
		OP_TARGET,
		OP_LUN
	} kind;
	void *old, *new;
	/* stage.c */
	struct be_dev *dev; /* opened, not yet the LU's */
	uint64_t size_was;  /* resized in place: bytes before; 0: not */
	bool taken;         /* old's device or listener was taken down to make way */
	bool staged;        /* new is listening, or has its LU */
	bool reopen;        /* new needs a device of its own */
	bool resize;        /* only size= differs */
	bool busy;          /* its store is held by something that this change takes away */
};

/* A target that the cores must see anew. */
struct plan_touch {
	struct m_target *target;
	struct gw_target *snap;
};

struct plan {
	const struct gw_conf_change *chg;
	struct gw_conf_err *err;
	struct conf_state next;
	struct gw_conf_system *sys; /* new one, NULL: the current one stays */
	struct plan_op *op;
	uint32_t nop, op_room;
	struct plan_touch *touch;
	uint32_t ntouch, touch_room;
};

/* Things that go when no nexus refers to the old snapshots any more. */
struct grave {
	struct gw_list node;
	struct gw_target **snap;
	uint32_t nsnap;
	struct {
		void (*bury)(void *);
		void *body;
	} * item;
	struct scsi_lu **lu;
	uint32_t nlu, nitem, room;
};

/* The current configuration; apply.c. Control thread only. */
struct conf {
	struct conf_state state;
	struct gw_model *model;
	const struct gw_xport_ops *xport[2]; /* by enum gw_transport */
	uint64_t uids;
	uint32_t ndegraded;     /* LUNs and portals in trouble */
	struct gw_list graves;  /* publish.c */
	struct gw_list retired; /* portals: a connection may still name its own in a log line */
	uint32_t tick, size_at, epoch;
	bool ending; /* what goes now is not deleted: gw_conf_fini() */
};
extern struct conf gw_conf_now;

static inline const struct gw_xport_ops *
m_xport(enum gw_transport t)
{
	return gw_conf_now.xport[t];
}

/* --- lookup.c: a name in lower case; false if it is too long. */
bool gw_name_normal(char out[GW_NAME_MAX + 1], const char *name);

/* --- acl.c: '*' and '?' as in a shell; both in lower case. */
bool gw_name_matches(const char *pattern, const char *name);

/* --- maps.c: LUN maps of a target, and what the cores see of them. */
/* Replaces the maps by a copy of them. False: no memory; what is there may be freed. */
bool m_maps_copy(struct gw_conf_target *t);
void m_maps_free(struct gw_conf_target *t);
bool m_maps_equal(const struct gw_conf_target *a, const struct gw_conf_target *b);
/* In a snapshot that has all else. False: no memory. */
bool m_maps_build(struct gw_target *t, const struct m_target *m);
void m_maps_unbuild(struct gw_target *t);

/* --- objects.c: copies of what a change brings, and their comparison. NULL: no memory. */
int conf_state_init(struct conf_state *st);
bool conf_state_copy(struct conf_state *to, const struct conf_state *from, bool contents,
		     const struct gw_conf_change *chg);
void conf_state_fini(struct conf_state *st); /* the indices, not the objects */

struct m_account *m_account_new(const struct gw_account *a);
struct m_portal *m_portal_new(const struct gw_conf_portal *p);
struct m_target *m_target_new(const struct gw_conf_target *t);
struct m_lun *m_lun_new(const struct gw_conf_lun *l);
struct gw_conf_system *m_system_new(const struct gw_conf_system *s); /* NULL: the default */
void m_account_free(void *a);
void m_portal_free(void *p);
void m_target_free(void *t); /* neither snap nor ctl */
void m_lun_free(void *l);    /* not its LU */
void m_system_free(void *s);

bool m_portal_equal(const struct m_portal *a, const struct m_portal *b);
bool m_target_equal(const struct gw_conf_target *a, const struct gw_conf_target *b);
bool m_alua_equal(const struct gw_conf_target *a, const struct gw_conf_target *b);
bool m_lun_equal(const struct gw_conf_lun *a, const struct gw_conf_lun *b);
bool m_lun_scsi_equal(const struct scsi_lu_conf *a, const struct scsi_lu_conf *b);
/* The same backing store with the same options; but_size: leaving out size=. */
bool m_lun_store_equal(const struct gw_conf_lun *a, const struct gw_conf_lun *b, bool but_size);
/* The value of "name=" in kv, NULL if it is not there. */
const char *m_kv(char *const *kv, const char *name);

void m_portal_key(const struct gw_portal *p, char *out, unsigned size);

/* --- check.c, check_maps.c: ranges and names of one object. 0 or -1 with err filled. */
/* What tgt allows in a name, and bytes beyond ASCII (RFC 3722); also: ASCII but letters and digits. */
bool check_name(const char *s, const char *also);
int check_account(const struct gw_account *a, struct gw_conf_err *err);
int check_portal(const struct gw_conf_portal *p, struct gw_conf_err *err);
int check_target(const struct gw_conf_target *t, struct gw_conf_err *err);
int check_maps(const struct gw_conf_target *t, const char *key, struct gw_conf_err *err);
int check_lun(const struct gw_conf_lun *l, struct gw_conf_err *err);
int check_system(const struct gw_conf_system *s, struct gw_conf_err *err);
/* Fills err; always -1. */
int conf_fail(struct gw_conf_err *err, int tgt_err, const char *key, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* --- plan.c: what a change means. 0 or -1 with err filled; fini in both cases. */
int plan_make(struct plan *p, const struct gw_conf_change *chg, struct gw_conf_err *err);
/* Frees the plan and, unless it was carried out, the new objects. */
void plan_fini(struct plan *p, bool done);

/* --- stage.c: all that can fail, with the way back. */
int stage_all(struct plan *p);
/* One that is not new may be larger than its size= says. why is filled unless 0 is returned. */
int lun_store_open(const struct m_lun *l, bool is_new, struct be_dev **dev, char *why,
		   unsigned size);
void stage_undo(struct plan *p);

/* --- build.c: what the cores see. */
int build_snaps(struct plan *p);
struct gw_model *build_model(const struct plan *p, uint64_t generation);
void build_snap_free(void *snap);
void build_model_free(void *model);

/* --- publish.c */
/* Gives every core that model. */
void publish(struct gw_model *m);
struct grave *grave_new(uint32_t items, uint32_t snaps);
void grave_free(struct grave *g); /* it alone */
void grave_put(struct grave *g, void (*bury)(void *), void *body);
void grave_put_lu(struct grave *g, struct scsi_lu *lu);
/* Buries at once what nobody refers to, waits up to ms for the rest; what remains waits for a
 * sweep. */
void grave_dig(struct grave *g, uint32_t ms);
void grave_sweep(void);

/* --- sessions.c: nexuses of all cores. */
uint32_t sessions_of(uint32_t tid);

/* --- tick.c: notes or clears trouble and keeps count. NULL or "" clears. */
void lun_trouble(struct m_lun *l, const char *why);
void portal_trouble(struct m_portal *p, const char *why);

#endif
