/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The model's neighbours, reduced to what can be counted: backing stores, logical units, a
 * transport. Every call that may fail counts as a step; step `stub_fail_at` fails.
 */
#ifndef TESTS_UNIT_MODEL_STUBS_H
#define TESTS_UNIT_MODEL_STUBS_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/api/config.h"
#include "gateway/model/model_priv.h"
#include "gateway/scsi/pr_store.h"
#include "tests/unit/core/cores.h"

static unsigned stub_step, stub_fail_at;
static unsigned stub_devs, stub_lus, stub_aluas, stub_listeners, stub_resized, stub_updated;
static char stub_ports[80][40]; /* "host:port" that listen, over iSER "iser host:port" */
static bool stub_accepting[80];
static bool stub_no_rdma;       /* no device: nothing listens over iSER */
static struct be_dev *stub_dev[256];
static bool stub_missing; /* no backing store can be opened */
static _Atomic unsigned stub_closed, stub_retargeted;

static bool
stub_fails(void)
{
	return ++stub_step == stub_fail_at;
}

/* --- backing stores ------------------------------------------------------------------------------
 */

struct stub_store {
	char path[128], opts[128];
	uint64_t bytes;
};

static uint64_t
stub_size_now(struct be_dev *dev)
{
	return ((struct stub_store *)dev->priv)->bytes;
}

static int
stub_resize(struct be_dev *dev, uint64_t bytes, char *err, unsigned err_size)
{
	if (stub_fails()) {
		snprintf(err, err_size, "no space for it");
		return -ENOSPC;
	}
	((struct stub_store *)dev->priv)->bytes = bytes;
	return 0;
}

static const struct be_ops stub_ops = {
    .name = "stub", .size_now = stub_size_now, .resize = stub_resize};

static const char *
stub_kv(const char *const *kv, const char *name)
{
	for (; *kv; kv++) {
		if (strncmp(*kv, name, strlen(name)) == 0)
			return *kv + strlen(name);
	}
	return "";
}

int
be_dev_open(const char *bstype, const char *const *kv, struct be_dev **dev, char *err,
	    unsigned err_size)
{
	const char *path = stub_kv(kv, "path=");
	struct stub_store *s;
	unsigned at = 0;

	for (unsigned i = 0; i < GW_ARRAY_LEN(stub_dev); i++) {
		if (stub_dev[i] && !strcmp(((struct stub_store *)stub_dev[i]->priv)->path, path)) {
			snprintf(err, err_size, "%s is in use", path);
			return -EBUSY;
		}
	}
	if (strstr(path, "large") && *stub_kv(kv, "size=")) {
		snprintf(err, err_size, "the size would cut %s", path);
		return -EINVAL;
	}
	if (stub_missing || strstr(path, "missing") || stub_fails()) {
		snprintf(err, err_size, "%s cannot be opened", path);
		return -ENOENT;
	}
	while (stub_dev[at])
		at++;
	*dev = stub_dev[at] = calloc(1, sizeof(**dev));
	s = (*dev)->priv = calloc(1, sizeof(*s));
	snprintf(s->path, sizeof(s->path), "%s", path);
	snprintf(s->opts, sizeof(s->opts), "%s", stub_kv(kv, "direct="));
	s->bytes = strtoull(stub_kv(kv, "size="), NULL, 10);
	s->bytes = s->bytes ? s->bytes : 1 << 20;
	(*dev)->size = s->bytes;
	(*dev)->ops = &stub_ops;
	(*dev)->io_align = strstr(path, "4k") ? 4096 : 1;
	stub_devs++;
	return 0;
}

void
be_dev_close(struct be_dev *dev)
{
	unsigned at = 0;

	while (stub_dev[at] != dev)
		at++;
	stub_dev[at] = NULL;
	free(dev->priv);
	free(dev);
	stub_devs--;
}

uint64_t
be_dev_poll_size(struct be_dev *dev)
{
	uint64_t n = stub_size_now(dev);

	if (n)
		dev->size = n;
	return n;
}

/* --- logical units -------------------------------------------------------------------------------
 */

struct scsi_lu {
	struct scsi_lu_conf conf;
	struct be_dev *dev;
	uint64_t size;
};

int
scsi_lu_new(const struct scsi_lu_conf *conf, struct be_dev *dev, struct scsi_lu **lu)
{
	if (stub_fails())
		return -ENOMEM;
	*lu = calloc(1, sizeof(**lu));
	(*lu)->conf = *conf;
	(*lu)->dev = dev;
	(*lu)->size = dev ? dev->size : 0;
	stub_lus++;
	return 0;
}

struct scsi_alua {
	struct scsi_alua_set set[GW_GROUPS_MAX];
	unsigned n, calls;
};

struct scsi_alua *
scsi_alua_new(void)
{
	if (stub_fails())
		return NULL;
	stub_aluas++;
	return calloc(1, sizeof(struct scsi_alua));
}

void
scsi_alua_free(void *alua)
{
	stub_aluas -= alua != NULL;
	free(alua);
}

/* Keeps what it was told last. */
void
scsi_alua_set(struct scsi_alua *a, const struct scsi_alua_set *set, unsigned n)
{
	memcpy(a->set, set, n * sizeof(*set));
	a->n = n;
	a->calls++;
}

void
scsi_lu_look_at_space(struct scsi_lu *lu)
{
}

int
scsi_lu_update(struct scsi_lu *lu, const struct scsi_lu_conf *conf)
{
	lu->conf = *conf;
	stub_updated++;
	return 0;
}

int
scsi_lu_set_dev(struct scsi_lu *lu, struct be_dev *dev)
{
	if (lu->dev)
		be_dev_close(lu->dev);
	lu->dev = dev;
	lu->size = dev ? dev->size : 0;
	return 0;
}

void
scsi_lu_swap_dev(struct scsi_lu *lu)
{
	scsi_lu_set_dev(lu, NULL);
}

void
scsi_lu_free(struct scsi_lu *lu)
{
	if (lu->dev)
		be_dev_close(lu->dev);
	free(lu);
	stub_lus--;
}

void
scsi_lus_free(struct scsi_lu *const *lus, size_t n)
{
	for (size_t i = 0; i < n; i++)
		scsi_lu_free(lus[i]);
}

static unsigned stub_forgotten, stub_forgotten_last; /* NAAs; the last byte of one */

void
pr_store_forget(const uint8_t naa[16])
{
	stub_forgotten++;
	stub_forgotten_last = naa[15];
}

static const char *stub_trouble; /* of all logical units */

const char *
scsi_lu_trouble(const struct scsi_lu *lu)
{
	return stub_trouble;
}

void
scsi_lu_tick(struct scsi_lu *lu)
{
}

void
scsi_lu_resize(struct scsi_lu *lu, uint64_t bytes)
{
	lu->size = bytes;
	stub_resized++;
}

struct be_dev *
scsi_lu_dev(const struct scsi_lu *lu)
{
	return lu->dev;
}

/* --- nexuses and their transport --- */

static struct gw_list stub_nexuses[GW_CORES_MAX];

struct gw_list *
gw_nexus_list(struct gw_core *core)
{
	if (!stub_nexuses[core->id].next)
		gw_list_init(&stub_nexuses[core->id]);
	return &stub_nexuses[core->id];
}

int
scsi_nexus_retarget(struct gw_nexus *n, const struct gw_target *t)
{
	stub_retargeted++;
	n->nitl = t->nlun;
	return 0;
}

/* The session ends at once when stub_linger is false, else the test ends it. */
static _Atomic bool stub_linger;

static void
stub_close(struct gw_nexus *n, enum gw_why why)
{
	stub_closed++;
	n->closing = true;
	if (!stub_linger)
		gw_list_del(&n->node);
}

static void
stub_port(const struct gw_portal *p, char *out)
{
	snprintf(out, 40, "%s%.20s:%u", p->xport == m_xport(GW_TRANSPORT_ISER) ? "iser " : "",
		 p->host, p->port);
}

static int
stub_listen(struct gw_portal *p, char *err, unsigned err_size)
{
	char name[40];
	unsigned at = 0;

	stub_port(p, name);
	if (*name == 'i' && stub_no_rdma) {
		snprintf(err, err_size, "this host has no RDMA device");
		return -ENODEV;
	}
	for (unsigned i = 0; i < GW_ARRAY_LEN(stub_ports); i++) {
		if (stub_ports[i][0] && (*stub_ports[i] == 'i') == (*name == 'i') &&
		    atoi(strrchr(stub_ports[i], ':') + 1) == p->port) {
			snprintf(err, err_size, "port %u is in use", p->port);
			return -EADDRINUSE;
		}
	}
	if (stub_fails() || strcmp(p->host, "192.0.2.99") == 0) {
		snprintf(err, err_size, "%s is not an address of this host", p->host);
		return -EADDRNOTAVAIL;
	}
	while (stub_ports[at][0])
		at++;
	memcpy(stub_ports[at], name, sizeof(name));
	stub_accepting[at] = false;
	stub_listeners++;
	return 0;
}

/* Whoever is let in finds what the portal came with. */
static void
stub_accept(struct gw_portal *p)
{
	const struct gw_model *m = gw_core_at(0)->slot[GW_SLOT_MODEL];
	bool known = false;
	char name[40];

	for (uint32_t i = 0; i < m->nportal; i++)
		known |= m->portal[i] == p;
	ck_assert(known);
	stub_port(p, name);
	for (unsigned i = 0; i < GW_ARRAY_LEN(stub_ports); i++) {
		if (strcmp(stub_ports[i], name) == 0) {
			ck_assert(!stub_accepting[i]);
			stub_accepting[i] = true;
		}
	}
}

static void
stub_unlisten(struct gw_portal *p)
{
	char name[40];

	stub_port(p, name);
	for (unsigned i = 0; i < GW_ARRAY_LEN(stub_ports); i++) {
		if (strcmp(stub_ports[i], name) == 0) {
			stub_ports[i][0] = '\0';
			stub_listeners--;
		}
	}
}

static const struct gw_xport_ops stub_xport = {
    .name = "stub",
    .listen = stub_listen,
    .accept = stub_accept,
    .unlisten = stub_unlisten,
    .close = stub_close,
};

static const struct gw_xport_ops stub_iser = {
    .name = "iser",
    .listen = stub_listen,
    .accept = stub_accept,
    .unlisten = stub_unlisten,
    .close = stub_close,
};

/* --- configurations --- */

static inline struct gw_conf_target
stub_target(uint32_t tid, const char *iqn)
{
	struct gw_conf_target t = {
	    .tid = tid,
	    .ready = true,
	    .params = {.max_recv_dsl = 262144,
		       .max_xmit_dsl = 262144,
		       .first_burst = 65536,
		       .max_burst = 262144,
		       .max_outstanding_r2t = 1,
		       .queue_depth = 128,
		       .header_digest = 3,
		       .data_digest = 3},
	};

	snprintf(t.iqn, sizeof(t.iqn), "%s", iqn);
	return t;
}

/* kv lives as long as the caller wants it. */
static inline struct gw_conf_lun
stub_lun(uint32_t tid, uint64_t lun, char **kv)
{
	struct gw_conf_lun l = {.tid = tid, .lun = lun, .kv = kv};

	snprintf(l.bstype, sizeof(l.bstype), "uring");
	l.scsi.block_size = 512;
	l.scsi.lbppbe = 0xff;
	l.scsi.naa[0] = 0x60;
	l.scsi.naa[14] = (uint8_t)tid;
	l.scsi.naa[15] = (uint8_t)lun;
	l.scsi.online = true;
	return l;
}

static inline void
stub_start(unsigned ncores)
{
	cores_start(ncores, 4 << 20, 0);
	gw_conf_xports(&stub_xport, &stub_iser);
	ck_assert_int_eq(gw_conf_init(), 0);
}

static inline void
stub_stop(void)
{
	gw_conf_fini();
	ck_assert_uint_eq(stub_devs, 0);
	ck_assert_uint_eq(stub_lus, 0);
	ck_assert_uint_eq(stub_aluas, 0);
	ck_assert_uint_eq(stub_listeners, 0);
	gw_cores_fini();
	stub_step = stub_fail_at = 0;
}

#endif
