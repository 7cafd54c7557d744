/* SPDX-License-Identifier: BSD-3-Clause */
#include "iscsi/nego.h"

#include <stdio.h>
#include <string.h>

#include "gateway/base/num.h"
#include "gateway/base/str.h"

#define ANSWER_MAX 64

enum {
	DIGEST_NONE = 1,
	DIGEST_CRC32C = 2
};

static uint32_t *
num_at(struct iscsi_params *p, enum iscsi_key k)
{
	return (uint32_t *)(void *)((uint8_t *)p + iscsi_keys[k].off);
}

static bool *
bool_at(struct iscsi_params *p, enum iscsi_key k)
{
	return (bool *)((uint8_t *)p + iscsi_keys[k].off);
}

/* A wish within the range of its key, whatever the configuration says. */
static uint32_t
clamp(enum iscsi_key k, uint32_t v)
{
	return GW_MAX(iscsi_keys[k].min, GW_MIN(iscsi_keys[k].max, v));
}

static void
want_target(struct iscsi_nego *n, const struct gw_target_params *want)
{
	struct iscsi_params *m = &n->mine;

	m->max_burst = clamp(ISCSI_KEY_MAX_BURST, want->max_burst);
	m->first_burst = clamp(ISCSI_KEY_FIRST_BURST, want->first_burst);
	m->max_outstanding_r2t = clamp(ISCSI_KEY_MAX_OUTSTANDING_R2T, want->max_outstanding_r2t);
	m->time2wait = clamp(ISCSI_KEY_TIME2WAIT, want->default_time2wait);
	m->time2retain = clamp(ISCSI_KEY_TIME2RETAIN, want->default_time2retain);
	m->initial_r2t = want->initial_r2t;
	m->immediate_data = want->immediate_data;
	m->max_recv_dsl =
	    GW_MIN(m->max_recv_dsl, clamp(ISCSI_KEY_MAX_RECV_DSL, want->max_recv_dsl));
	n->max_xmit_dsl = clamp(ISCSI_KEY_MAX_RECV_DSL, want->max_xmit_dsl);
	if (want->header_digest & (DIGEST_NONE | DIGEST_CRC32C))
		n->digests[0] = want->header_digest;
	if (want->data_digest & (DIGEST_NONE | DIGEST_CRC32C))
		n->digests[1] = want->data_digest;
}

void
iscsi_nego_init(struct iscsi_nego *n, const struct gw_target_params *want, uint32_t max_recv_dsl,
		bool iser, bool leading, struct iscsi_params *active)
{
	memset(n, 0, sizeof(*n));
	iscsi_params_default(active);
	n->discovery = !want;
	n->iser = iser;
	n->leading = leading;
	n->max_xmit_dsl = ISCSI_DSL_MAX;
	n->digests[0] = n->digests[1] = DIGEST_NONE | DIGEST_CRC32C;
	/* MaxConnections 1, ErrorRecoveryLevel 0, data in order: the defaults are what we want. */
	n->mine = *active;
	n->mine.max_recv_dsl = clamp(ISCSI_KEY_MAX_RECV_DSL, max_recv_dsl);
	n->mine.target_recv_dsl = n->mine.initiator_recv_dsl = n->mine.max_recv_dsl;
	if (want)
		want_target(n, want);
	if (iser) {
		/* CRC of the wire is the fabric's business there: RFC 7145 6.1. */
		n->digests[0] = n->digests[1] = DIGEST_NONE;
		/* What is announced for TCP alone may be more than one RDMA message holds. */
		n->max_xmit_dsl = GW_MIN(n->max_xmit_dsl, n->mine.max_recv_dsl);
		/* Data that is not asked for comes through the RECV ring, and is copied from there. */
		n->mine.initial_r2t = true;
		n->mine.max_unexpected_pdus = ISCSI_UNEXPECTED_PDUS;
	}
	n->mine.rdma_extensions = iser;
}

bool
iscsi_nego_max_xmit(const char *value, uint32_t limit, struct iscsi_params *active)
{
	const struct iscsi_key_def *def = &iscsi_keys[ISCSI_KEY_MAX_RECV_DSL];
	uint32_t his;

	if (!iscsi_text_u32(value, def->min, def->max, &his))
		return false;
	active->max_xmit_dsl = GW_MIN(his, limit);
	return true;
}

/* Each kind: false if the value is illegal; else *active, and in answer (ANSWER_MAX bytes) the
 * text. */

static bool
merge_num(struct iscsi_nego *n, enum iscsi_key k, const char *value, struct iscsi_params *active,
	  char *answer)
{
	const struct iscsi_key_def *def = &iscsi_keys[k];
	uint32_t his, mine = *num_at(&n->mine, k);

	if (!iscsi_text_u32(value, def->min, def->max, &his))
		return false;
	/* FirstBurstLength must not exceed MaxBurstLength, 13.14. */
	if (k == ISCSI_KEY_FIRST_BURST)
		mine = GW_MIN(mine, active->max_burst);
	his = def->kind == ISCSI_KIND_MINIMUM ? GW_MIN(his, mine) : GW_MAX(his, mine);
	*num_at(active, k) = his;
	snprintf(answer, ANSWER_MAX, "%u", his);
	return true;
}

static bool
merge_bool(struct iscsi_nego *n, enum iscsi_key k, const char *value, struct iscsi_params *active,
	   char *answer)
{
	bool his, mine = *bool_at(&n->mine, k);

	if (!iscsi_text_bool(value, &his))
		return false;
	his = iscsi_keys[k].kind == ISCSI_KIND_AND ? his && mine : his || mine;
	*bool_at(active, k) = his;
	gw_str_copy(answer, ANSWER_MAX, his ? "Yes" : "No");
	return true;
}

/* Words of a list key that we support now, as bits; the text of a bit is words[bit]. */
static uint8_t
list_words(const struct iscsi_nego *n, enum iscsi_key k, const char *const **words)
{
	static const char *const digest[] = {"None", "CRC32C", NULL};
	/* With one connection a response cannot overtake another: ResponseFence holds by itself. */
	static const char *const reporting[] = {"RFC3720", "ResponseFence", NULL};

	*words = k == ISCSI_KEY_TASK_REPORTING ? reporting : digest;
	return k == ISCSI_KEY_HEADER_DIGEST ? n->digests[0]
	       : k == ISCSI_KEY_DATA_DIGEST ? n->digests[1]
					    : 3;
}

/* The first value of the initiator's list that we support, 6.2.1. */
static bool
merge_list(struct iscsi_nego *n, enum iscsi_key k, const char *value, struct iscsi_params *active,
	   char *answer)
{
	const char *const *words;
	uint8_t can = list_words(n, k, &words);
	const char *item;
	size_t len;

	while (iscsi_text_item(&value, &item, &len)) {
		for (unsigned i = 0; words[i]; i++) {
			if (!(can & 1u << i) || !iscsi_text_item_is(item, len, words[i]))
				continue;
			if (iscsi_keys[k].off != ISCSI_KEY_NOWHERE)
				*bool_at(active, k) = i;
			gw_str_copy(answer, ANSWER_MAX, words[i]);
			return true;
		}
	}
	return false;
}

/* Declarations: no answer when legal. */
static bool
declared(struct iscsi_nego *n, enum iscsi_key k, const char *value, struct iscsi_params *active)
{
	const struct iscsi_key_def *def = &iscsi_keys[k];
	uint32_t num;
	bool flag;

	if (iscsi_text_is_reply(value))
		return true;
	if (k == ISCSI_KEY_MAX_RECV_DSL)
		return iscsi_nego_max_xmit(value, n->max_xmit_dsl, active);
	if (def->kind == ISCSI_KIND_NUMBER) {
		if (!iscsi_text_u32(value, def->min, def->max, &num))
			return false;
		if (def->off != ISCSI_KEY_NOWHERE)
			*num_at(active, k) = num;
	} else if (def->kind == ISCSI_KIND_FLAG) {
		if (!iscsi_text_bool(value, &flag))
			return false;
		if (def->off != ISCSI_KEY_NOWHERE)
			*bool_at(active, k) = flag;
	}
	return true;
}

/*
 * Keys of the leading login have no business in another one; but the login goes on, so that its end
 * can tell an initiator with a TSIH of old that there is no such session, and it starts anew.
 */
static bool
irrelevant(const struct iscsi_nego *n, const struct iscsi_key_def *def,
	   const struct iscsi_params *active)
{
	return (def->use & ISCSI_USE_NORMAL && n->discovery) ||
	       (def->use & ISCSI_USE_LEADING && !n->leading) ||
	       (def->use & ISCSI_USE_ISER && !active->rdma_extensions);
}

/* One key; false only with a reason to end the login. */
static bool
negotiate(struct iscsi_nego *n, enum iscsi_key k, const char *value, struct iscsi_params *active,
	  struct iscsi_text_out *out, char *why, size_t why_size)
{
	const struct iscsi_key_def *def = &iscsi_keys[k];
	char answer[ANSWER_MAX] = "";
	bool legal = true;

	switch (def->kind) {
	case ISCSI_KIND_MINIMUM:
	case ISCSI_KIND_MAXIMUM:
		legal = merge_num(n, k, value, active, answer);
		break;
	case ISCSI_KIND_AND:
	case ISCSI_KIND_OR:
		legal = merge_bool(n, k, value, active, answer);
		break;
	case ISCSI_KIND_LIST:
		legal = merge_list(n, k, value, active, answer);
		break;
	case ISCSI_KIND_NO: /* "No" or "Reject", never NotUnderstood: 13.25 */
		gw_str_copy(answer, sizeof(answer), "No");
		break;
	case ISCSI_KIND_REJECT:
		legal = false;
		break;
	default:
		legal = declared(n, k, value, active);
		/* Who tells his own limit, knows the key: 7145 6.7 has both sides declare theirs. */
		if (legal && k == ISCSI_KEY_MAX_UNEXPECTED_PDUS)
			snprintf(answer, sizeof(answer), "%u", n->mine.max_unexpected_pdus);
		break;
	}
	if (n->offered & 1ull << k) { /* his answer to our offer: nothing to say to it */
		if (legal && strcmp(answer, value) == 0)
			return true;
		snprintf(why, why_size, "the initiator answered our %s with %.40s", def->name,
			 value);
		return false;
	}
	if (!legal)
		iscsi_text_add(out, def->name, "Reject");
	else if (answer[0])
		iscsi_text_add(out, def->name, answer);
	return true;
}

bool
iscsi_nego_step(struct iscsi_nego *n, const struct iscsi_keyset *set, uint64_t seen,
		struct iscsi_params *active, struct iscsi_text_out *out, char *why, size_t why_size)
{
	for (unsigned k = ISCSI_KEY_RDMA_EXTENSIONS; k < ISCSI_KEY_MAX; k++) {
		const char *value = set->value[k];

		if (!value)
			continue;
		if (irrelevant(n, &iscsi_keys[k], active)) {
			if (iscsi_keys[k].kind != ISCSI_KIND_TEXT && !iscsi_text_is_reply(value))
				iscsi_text_add(out, iscsi_keys[k].name, "Irrelevant");
			continue;
		}
		if (!negotiate(n, k, value, active, out, why, why_size))
			return false;
	}
	/* A FirstBurstLength agreed before a smaller MaxBurstLength stands, and is then illegal. */
	if (seen & 1ull << ISCSI_KEY_FIRST_BURST && active->first_burst > active->max_burst) {
		snprintf(why, why_size,
			 "FirstBurstLength %u was agreed before a smaller MaxBurstLength %u",
			 active->first_burst, active->max_burst);
		return false;
	}
	if (out->full)
		snprintf(why, why_size, "the answers do not fit");
	return !out->full;
}

void
iscsi_nego_declare(struct iscsi_nego *n, struct iscsi_params *active, struct iscsi_text_out *out)
{
	if (n->declared || active->rdma_extensions)
		return;
	n->declared = true;
	active->max_recv_dsl = n->mine.max_recv_dsl;
	iscsi_text_add_u32(out, iscsi_keys[ISCSI_KEY_MAX_RECV_DSL].name, active->max_recv_dsl);
}

bool
iscsi_nego_offer(struct iscsi_nego *n, uint64_t seen, struct iscsi_text_out *out)
{
	bool added = false;

	for (unsigned i = 0; i < 2; i++) {
		enum iscsi_key k = ISCSI_KEY_HEADER_DIGEST + i;

		if (n->digests[i] & DIGEST_NONE || (seen | n->offered) & 1ull << k)
			continue;
		iscsi_text_add(out, iscsi_keys[k].name, "CRC32C");
		n->offered |= 1ull << k;
		added = true;
	}
	return added;
}

bool
iscsi_nego_end(const struct iscsi_nego *n, struct iscsi_params *active, char *why, size_t why_size)
{
	bool on[2] = {active->header_digest, active->data_digest};

	if (n->iser && !n->discovery && n->leading && !active->rdma_extensions) {
		snprintf(why, why_size, "RDMAExtensions=Yes was not agreed on an RDMA connection");
		return false;
	}
	for (unsigned i = 0; i < 2; i++) {
		if (on[i] || n->digests[i] & DIGEST_NONE)
			continue;
		snprintf(why, why_size, "the target demands %s=CRC32C",
			 iscsi_keys[ISCSI_KEY_HEADER_DIGEST + i].name);
		return false;
	}
	/* The default FirstBurstLength yields to a smaller MaxBurstLength, 13.14. */
	active->first_burst = GW_MIN(active->first_burst, active->max_burst);
	/* RFC 7145 6.2: iSER has its own keys for the length of a data segment. */
	if (active->rdma_extensions) {
		active->max_recv_dsl = active->target_recv_dsl;
		active->max_xmit_dsl = active->initiator_recv_dsl;
	}
	active->max_xmit_dsl = GW_MIN(active->max_xmit_dsl, n->max_xmit_dsl);
	return true;
}
