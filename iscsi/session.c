/* SPDX-License-Identifier: BSD-3-Clause */
#include "iscsi/session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "gateway/base/bug.h"
#include "gateway/base/log.h"
#include "gateway/base/str.h"

#define BUCKETS 4096
#define TSIHS   65536

/* Core 0's; made before the threads start. */
static struct {
	struct iscsi_session *bucket[BUCKETS];
	struct iscsi_session **by_tsih;
	uint16_t last_tsih;
	_Atomic uint32_t count;
} reg;

/* Sessions whose memory is not yet given back. */
static _Atomic uint32_t living;

uint32_t
iscsi_sessions_living(void)
{
	return atomic_load(&living);
}

int
iscsi_registry_init(void)
{
	reg.by_tsih = calloc(TSIHS, sizeof(*reg.by_tsih));
	reg.last_tsih = 0;
	return reg.by_tsih ? 0 : -ENOMEM;
}

void
iscsi_registry_fini(void)
{
	free(reg.by_tsih);
	reg.by_tsih = NULL;
}

uint32_t
iscsi_registry_count(void)
{
	return atomic_load(&reg.count);
}

static uint32_t
key_hash(const struct iscsi_session_key *k)
{
	uint32_t h = 2166136261u;

	for (const char *p = k->initiator; *p; p++)
		h = (h ^ (uint8_t)*p) * 16777619u;
	for (unsigned i = 0; i < sizeof(k->isid); i++)
		h = (h ^ k->isid[i]) * 16777619u;
	h = (h ^ k->tid) * 16777619u;
	h ^= h >> 15;
	return h % BUCKETS;
}

static bool
key_equal(const struct iscsi_session_key *a, const struct iscsi_session_key *b)
{
	return a->tid == b->tid && a->tpgt == b->tpgt &&
	       memcmp(a->isid, b->isid, sizeof(a->isid)) == 0 &&
	       strcasecmp(a->initiator, b->initiator) == 0;
}

static struct iscsi_session *
reg_find(const struct iscsi_session_key *k)
{
	struct iscsi_session *s = reg.bucket[key_hash(k)];

	while (s && !key_equal(&s->key, k))
		s = s->next;
	return s;
}

static uint16_t
tsih_new(void)
{
	for (unsigned i = 0; i < TSIHS; i++) {
		reg.last_tsih++;
		if (reg.last_tsih != 0 && !reg.by_tsih[reg.last_tsih])
			return reg.last_tsih;
	}
	return 0;
}

static void
session_free(struct iscsi_session *s)
{
	struct iscsi_core *ic = s->core->slot[GW_SLOT_ISCSI];

	iscsi_text_fini(&s->text);
	free(s->hash);
	gw_pool_put(&ic->sess_mem, s);
	gw_pool_trim(&ic->sess_mem);
	atomic_fetch_sub(&living, 1);
}

/* --- answers, on the home core ------------------------------------------------------------------
 */

static void
claim_answered(struct gw_core *on, struct gw_msg *msg)
{
	struct iscsi_session *s = gw_container(msg, struct iscsi_session, msg);

	(void)on;
	s->claiming = false;
	s->registered = s->status == ISCSI_LOGIN_OK;
	if (s->conn)
		iscsi_login_claimed(s->conn, s->status, s->tsih);
	else
		iscsi_session_end(s);
}

static void
release_answered(struct gw_core *on, struct gw_msg *msg)
{
	(void)on;
	session_free(gw_container(msg, struct iscsi_session, msg));
}

static void
kick_arrived(struct gw_core *on, struct gw_msg *msg)
{
	struct iscsi_session *s = gw_container(msg, struct iscsi_session, kick);

	(void)on;
	if (s->conn)
		iscsi_conn_end(s->conn, "a new login took its place");
}

/* --- core 0 -------------------------------------------------------------------------------------
 */

static void
reg_answer(struct iscsi_session *s, enum iscsi_login_status st)
{
	s->status = (uint16_t)st;
	s->msg.fn = claim_answered;
	gw_send(s->core, &s->msg);
}

static void
reg_enter(struct iscsi_session *s, uint16_t tsih)
{
	uint32_t h = key_hash(&s->key);

	if (tsih == 0)
		tsih = tsih_new();
	if (tsih == 0) {
		reg_answer(s, ISCSI_LOGIN_NO_RESOURCES);
		return;
	}
	s->tsih = tsih;
	s->next = reg.bucket[h];
	reg.bucket[h] = s;
	reg.by_tsih[tsih] = s;
	atomic_fetch_add(&reg.count, 1);
	reg_answer(s, ISCSI_LOGIN_OK);
}

static void
reg_kick(struct iscsi_session *old)
{
	if (old->kicked)
		return;
	old->kicked = true;
	old->kick.fn = kick_arrived;
	gw_send(old->core, &old->kick);
}

/*
 * 6.3.1: which session is meant. 6.3.5: a new session with the name of a living one replaces it. A
 * login that names a living session by its TSIH: with the same CID it reinstates the connection
 * (6.3.4), which at ERL 0 ends all tasks just as well; another CID would be a second connection.
 */
static void
reg_claim(struct gw_core *on, struct gw_msg *msg)
{
	struct iscsi_session *s = gw_container(msg, struct iscsi_session, msg);
	struct iscsi_session *old = reg_find(&s->key);

	(void)on;
	if (s->asked_tsih != 0) {
		if (!old || old->tsih != s->asked_tsih) {
			reg_answer(s, ISCSI_LOGIN_NO_SESSION);
			return;
		}
		if (old->cid != s->cid) {
			reg_answer(s, ISCSI_LOGIN_TOO_MANY_CONNS);
			return;
		}
	}
	if (!old) {
		reg_enter(s, 0);
		return;
	}
	gw_list_add_tail(&old->waiting, &s->wait_node);
	reg_kick(old);
}

static void
reg_unlink(struct iscsi_session *s)
{
	struct iscsi_session **p = &reg.bucket[key_hash(&s->key)];

	while (*p && *p != s)
		p = &(*p)->next;
	BUG(!*p);
	*p = s->next;
	reg.by_tsih[s->tsih] = NULL;
	atomic_fetch_sub(&reg.count, 1);
}

/* A session with this TSIH, or with one of its own, follows: who meant the old one comes too late. */
static void
refuse_late(struct iscsi_session *s, uint16_t tsih)
{
	gw_list_each_safe (w, &s->waiting, struct iscsi_session, wait_node) {
		if (w->asked_tsih == 0 || w->asked_tsih == tsih)
			continue;
		gw_list_del(&w->wait_node);
		reg_answer(w, ISCSI_LOGIN_NO_SESSION);
	}
}

static void
reg_release(struct gw_core *on, struct gw_msg *msg)
{
	struct iscsi_session *s = gw_container(msg, struct iscsi_session, msg);
	struct iscsi_session *heir = gw_list_first(&s->waiting, struct iscsi_session, wait_node);

	(void)on;
	reg_unlink(s);
	if (heir) {
		gw_list_del(&heir->wait_node);
		refuse_late(s, heir->asked_tsih);
		gw_list_splice_tail(&heir->waiting, &s->waiting);
		reg_enter(heir, heir->asked_tsih);
		if (!gw_list_empty(&heir->waiting))
			reg_kick(heir);
	}
	s->msg.fn = release_answered;
	gw_send(s->core, &s->msg);
}

/* --- home core ----------------------------------------------------------------------------------
 */

static uint32_t
hash_size(uint32_t depth)
{
	uint32_t n = 16;

	while (n < depth)
		n *= 2;
	return n;
}

struct iscsi_session *
iscsi_session_new(struct iscsi_conn *c, const struct iscsi_login *l, uint32_t depth)
{
	struct iscsi_session *s = iscsi_core_get(&c->ic->sess_mem);

	if (!s)
		return NULL;
	memset(s, 0, sizeof(*s));
	s->hash_mask = hash_size(depth) - 1;
	s->hash = calloc(s->hash_mask + 1, sizeof(*s->hash));
	if (!s->hash) {
		gw_pool_put(&c->ic->sess_mem, s);
		return NULL;
	}
	atomic_fetch_add(&living, 1);
	s->conn = c;
	s->core = c->core;
	s->discovery = l->discovery;
	s->asked_tsih = l->tsih;
	s->cid = l->cid;
	iscsi_text_init(&s->text);
	gw_list_init(&s->waiting);
	gw_list_init(&s->wait_node);
	gw_str_copy(s->key.initiator, sizeof(s->key.initiator), l->initiator);
	memcpy(s->key.isid, l->isid, sizeof(s->key.isid));
	if (l->target) {
		s->key.tid = l->target->tid;
		s->key.tpgt = l->env.tpgt;
	}
	return s;
}

void
iscsi_session_claim(struct iscsi_session *s)
{
	s->claiming = true;
	s->msg.fn = reg_claim;
	gw_send(gw_core_at(0), &s->msg);
}

void
iscsi_session_end(struct iscsi_session *s)
{
	s->conn = NULL;
	if (s->claiming)
		return;
	if (!s->registered) {
		session_free(s);
		return;
	}
	s->msg.fn = reg_release;
	gw_send(gw_core_at(0), &s->msg);
}

const struct iscsi_params *
iscsi_session_params(const struct gw_nexus *n)
{
	const struct iscsi_session *s =
	    (const void *)((const char *)n - offsetof(struct iscsi_session, nexus));

	return s->conn ? &s->conn->params : NULL;
}
