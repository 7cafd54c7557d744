/* SPDX-License-Identifier: BSD-3-Clause */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/base/str.h"
#include "gateway/model/model_priv.h"

/* --- order -------------------------------------------------------------------------------------
 */

static int
order(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int
account_cmp(const void *a, const void *b)
{
	return strcmp(((const struct m_account *)a)->a.name, ((const struct m_account *)b)->a.name);
}

static bool
is_iser(const struct gw_portal *p)
{
	return p->xport == m_xport(GW_TRANSPORT_ISER);
}

static int
portal_cmp(const void *a, const void *b)
{
	const struct m_portal *x = a, *y = b;
	int c = strcmp(x->p.host, y->p.host);

	if (!c)
		c = order(x->p.port, y->p.port);
	return c ? c : order(is_iser(&x->p), is_iser(&y->p));
}

static int
target_cmp(const void *a, const void *b)
{
	return order(((const struct m_target *)a)->conf.tid,
		     ((const struct m_target *)b)->conf.tid);
}

static int
iqn_cmp(const void *a, const void *b)
{
	return strcmp(((const struct m_target *)a)->conf.iqn,
		      ((const struct m_target *)b)->conf.iqn);
}

static int
lun_cmp(const void *a, const void *b)
{
	const struct m_lun *x = a, *y = b;
	int c = order(x->conf.tid, y->conf.tid);

	return c ? c : order(x->conf.lun, y->conf.lun);
}

static int
naa_cmp(const void *a, const void *b)
{
	return memcmp(((const struct m_lun *)a)->conf.scsi.naa,
		      ((const struct m_lun *)b)->conf.scsi.naa,
		      sizeof(((const struct m_lun *)a)->conf.scsi.naa));
}

int
conf_state_init(struct conf_state *st)
{
	memset(st, 0, sizeof(*st));
	st->account.cmp = account_cmp;
	st->portal.cmp = portal_cmp;
	st->target.cmp = target_cmp;
	st->iqn.cmp = iqn_cmp;
	st->lun.cmp = lun_cmp;
	st->naa.cmp = naa_cmp;
	st->sys = m_system_new(NULL);
	return st->sys ? 0 : -1;
}

bool
conf_state_copy(struct conf_state *to, const struct conf_state *from, bool contents,
		const struct gw_conf_change *chg)
{
	memset(to, 0, sizeof(*to));
	to->sys = from->sys;
	return gw_index_copy(&to->account, &from->account, contents, chg->naccount) &&
	       gw_index_copy(&to->portal, &from->portal, contents, chg->nportal) &&
	       gw_index_copy(&to->target, &from->target, contents, chg->ntarget) &&
	       gw_index_copy(&to->iqn, &from->iqn, contents, chg->ntarget) &&
	       gw_index_copy(&to->lun, &from->lun, contents, chg->nlun) &&
	       gw_index_copy(&to->naa, &from->naa, contents, chg->nlun);
}

void
conf_state_fini(struct conf_state *st)
{
	gw_index_fini(&st->account);
	gw_index_fini(&st->portal);
	gw_index_fini(&st->target);
	gw_index_fini(&st->iqn);
	gw_index_fini(&st->lun);
	gw_index_fini(&st->naa);
}

/* --- lists of strings ---------------------------------------------------------------------------
 */

static void
strings_free(char **s, uint32_t n)
{
	for (uint32_t i = 0; s && i < n; i++)
		free(s[i]);
	free(s);
}

/* A NULL-terminated copy; NULL: no memory. */
static char **
strings_copy(char *const *s, uint32_t n)
{
	char **c = calloc(n + 1, sizeof(*c));

	for (uint32_t i = 0; c && i < n; i++) {
		c[i] = strdup(s[i]);
		if (!c[i]) {
			strings_free(c, i);
			return NULL;
		}
	}
	return c;
}

static bool
strings_equal(char *const *a, uint32_t na, char *const *b, uint32_t nb)
{
	if (na != nb)
		return false;
	for (uint32_t i = 0; i < na; i++) {
		if (strcmp(a[i], b[i]) != 0)
			return false;
	}
	return true;
}

static uint32_t
kv_count(char *const *kv)
{
	uint32_t n = 0;

	while (kv && kv[n])
		n++;
	return n;
}

const char *
m_kv(char *const *kv, const char *name)
{
	size_t n = strlen(name);

	for (; kv && *kv; kv++) {
		if (strncmp(*kv, name, n) == 0 && (*kv)[n] == '=')
			return *kv + n + 1;
	}
	return NULL;
}

/* --- copies -------------------------------------------------------------------------------------
 */

struct m_account *
m_account_new(const struct gw_account *a)
{
	struct m_account *m = calloc(1, sizeof(*m));

	if (m)
		m->a = *a;
	return m;
}

/* One spelling for each address, so that "::0" and "::" are one portal. */
static void
host_normal(char *dst, size_t size, const char *host)
{
	int af = strchr(host, ':') ? AF_INET6 : AF_INET;
	uint8_t addr[16];

	if (inet_pton(af, host, addr) != 1 || !inet_ntop(af, addr, dst, (socklen_t)size))
		gw_str_copy(dst, size, host);
}

struct m_portal *
m_portal_new(const struct gw_conf_portal *p)
{
	struct m_portal *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	host_normal(m->p.host, sizeof(m->p.host), p->host);
	m->p.port = p->port;
	m->p.tpgt = p->tpgt;
	m->p.xport = m_xport(p->transport);
	gw_str_copy(m->p.advertise, sizeof(m->p.advertise), p->advertise);
	return m;
}

struct m_target *
m_target_new(const struct gw_conf_target *t)
{
	struct m_target *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->conf = *t;
	gw_name_normal(m->conf.iqn, t->iqn);
	m->conf.in = strings_copy(t->in, t->nin);
	m->conf.acl = calloc(t->nacl ? t->nacl : 1, sizeof(*t->acl));
	if (!m_maps_copy(&m->conf) || !m->conf.in || !m->conf.acl) {
		m_target_free(m);
		return NULL;
	}
	for (uint32_t i = 0; i < t->nacl; i++) {
		m->conf.acl[i] = t->acl[i];
		gw_name_normal(m->conf.acl[i].name, t->acl[i].name);
	}
	return m;
}

struct m_lun *
m_lun_new(const struct gw_conf_lun *l)
{
	struct m_lun *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->conf = *l;
	m->conf.scsi.tid = l->tid;
	m->conf.scsi.lun = l->lun;
	m->conf.scsi.gone = false;
	m->conf.kv = strings_copy(l->kv, kv_count(l->kv));
	if (!m->conf.kv) {
		free(m);
		return NULL;
	}
	return m;
}

struct gw_conf_system *
m_system_new(const struct gw_conf_system *s)
{
	struct gw_conf_system *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	if (s) {
		*m = *s;
	} else {
		m->ready = true;
		m->chap_mask = 1u << GW_CHAP_MD5 | 1u << GW_CHAP_SHA1 | 1u << GW_CHAP_SHA256 |
			       1u << GW_CHAP_SHA3_256;
		m->login_timeout_ms = 15000;
	}
	m->disc_in = strings_copy(s ? s->disc_in : NULL, m->ndisc_in);
	if (!m->disc_in) {
		free(m);
		return NULL;
	}
	return m;
}

void
m_account_free(void *a)
{
	if (a)
		explicit_bzero(a, sizeof(struct m_account));
	free(a);
}

void
m_portal_free(void *p)
{
	free(p);
}

void
m_target_free(void *t)
{
	struct m_target *m = t;

	if (!m)
		return;
	strings_free(m->conf.in, m->conf.nin);
	free(m->conf.acl);
	m_maps_free(&m->conf);
	free(m);
}

void
m_lun_free(void *l)
{
	struct m_lun *m = l;

	if (!m)
		return;
	strings_free(m->conf.kv, kv_count(m->conf.kv));
	free(m);
}

void
m_system_free(void *s)
{
	struct gw_conf_system *m = s;

	if (!m)
		return;
	strings_free(m->disc_in, m->ndisc_in);
	free(m);
}

/* --- comparison ---------------------------------------------------------------------------------
 */

bool
m_portal_equal(const struct m_portal *a, const struct m_portal *b)
{
	return portal_cmp(a, b) == 0 && a->p.tpgt == b->p.tpgt &&
	       strcmp(a->p.advertise, b->p.advertise) == 0;
}

static bool
params_equal(const struct gw_target_params *a, const struct gw_target_params *b)
{
	return a->max_recv_dsl == b->max_recv_dsl && a->max_xmit_dsl == b->max_xmit_dsl &&
	       a->first_burst == b->first_burst && a->max_burst == b->max_burst &&
	       a->max_outstanding_r2t == b->max_outstanding_r2t &&
	       a->default_time2wait == b->default_time2wait &&
	       a->default_time2retain == b->default_time2retain &&
	       a->queue_depth == b->queue_depth && a->nop_interval == b->nop_interval &&
	       a->nop_count == b->nop_count && a->initial_r2t == b->initial_r2t &&
	       a->immediate_data == b->immediate_data && a->header_digest == b->header_digest &&
	       a->data_digest == b->data_digest;
}

static bool
acl_equal(const struct gw_acl *a, const struct gw_acl *b)
{
	return a->kind == b->kind && a->family == b->family && a->prefix == b->prefix &&
	       memcmp(a->addr, b->addr, sizeof(a->addr)) == 0 && strcmp(a->name, b->name) == 0;
}

bool
m_alua_equal(const struct gw_conf_target *a, const struct gw_conf_target *b)
{
	if (a->nalua != b->nalua)
		return false;
	for (uint32_t i = 0; i < a->nalua; i++) {
		const struct scsi_alua_set *x = &a->alua[i], *y = &b->alua[i];

		if (x->tpgt != y->tpgt || x->state != y->state || x->preferred != y->preferred)
			return false;
	}
	return true;
}

bool
m_target_equal(const struct gw_conf_target *a, const struct gw_conf_target *b)
{
	if (a->tid != b->tid || strcmp(a->iqn, b->iqn) != 0 || strcmp(a->alias, b->alias) != 0 ||
	    a->ready != b->ready || !params_equal(&a->params, &b->params) || a->nacl != b->nacl ||
	    !strings_equal(a->in, a->nin, b->in, b->nin) || strcmp(a->out, b->out) != 0 ||
	    !m_maps_equal(a, b) || !m_alua_equal(a, b))
		return false;
	for (uint32_t i = 0; i < a->nacl; i++) {
		if (!acl_equal(&a->acl[i], &b->acl[i]))
			return false;
	}
	return true;
}

bool
m_lun_store_equal(const struct gw_conf_lun *a, const struct gw_conf_lun *b, bool but_size)
{
	char *const *x = a->kv, *const *y = b->kv;

	if (strcmp(a->bstype, b->bstype) != 0)
		return false;
	for (;; x++, y++) {
		while (but_size && *x && strncmp(*x, "size=", 5) == 0)
			x++;
		while (but_size && *y && strncmp(*y, "size=", 5) == 0)
			y++;
		if (!*x || !*y)
			return *x == *y;
		if (strcmp(*x, *y) != 0)
			return false;
	}
}

bool
m_lun_scsi_equal(const struct scsi_lu_conf *a, const struct scsi_lu_conf *b)
{
	return a->kind == b->kind && a->block_size == b->block_size && a->lbppbe == b->lbppbe &&
	       a->lowest_aligned == b->lowest_aligned &&
	       memcmp(a->naa, b->naa, sizeof(a->naa)) == 0 && strcmp(a->scsi_id, b->scsi_id) == 0 &&
	       strcmp(a->serial, b->serial) == 0 && strcmp(a->vendor, b->vendor) == 0 &&
	       strcmp(a->product, b->product) == 0 && strcmp(a->rev, b->rev) == 0 &&
	       a->removable == b->removable && a->readonly == b->readonly &&
	       a->online == b->online && a->thin == b->thin &&
	       a->thin_threshold == b->thin_threshold &&
	       a->descriptor_sense == b->descriptor_sense && a->swp == b->swp &&
	       a->write_cache == b->write_cache && a->rotation_rate == b->rotation_rate &&
	       a->opt_xfer_gran == b->opt_xfer_gran && a->opt_xfer_len == b->opt_xfer_len;
}

bool
m_lun_equal(const struct gw_conf_lun *a, const struct gw_conf_lun *b)
{
	return m_lun_store_equal(a, b, false) && m_lun_scsi_equal(&a->scsi, &b->scsi);
}

void
m_portal_key(const struct gw_portal *p, char *out, unsigned size)
{
	bool v6 = strchr(p->host, ':') != NULL;

	snprintf(out, size, "portal:%s%s%s:%u%s", v6 ? "[" : "", p->host, v6 ? "]" : "", p->port,
		 is_iser(p) ? "/iser" : "");
}
