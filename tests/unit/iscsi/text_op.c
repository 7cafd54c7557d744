/* SPDX-License-Identifier: BSD-3-Clause */
#include "gateway/base/bytes.h"
#include "iscsi/text_op.h"
#include "tests/unit/base/suite.h"
#include "tests/unit/iscsi/world.h"

#define IQN "iqn.2026-01.org.example:disk"

struct ask {
	struct world w;
	struct iscsi_text text;
	struct iscsi_text_env env;
	struct iscsi_params params;
	uint32_t out_max;
	/* the last answer */
	bool ok;
	enum iscsi_reject reject;
	uint8_t flags;
	uint32_t ttt, len;
	char *raw, answer[8193];
};

static struct ask *
ask_new(const char *target_name)
{
	struct ask *a = calloc(1, sizeof(*a));

	world_init(&a->w);
	iscsi_params_default(&a->params);
	iscsi_text_init(&a->text);
	a->out_max = 8192;
	a->env = (struct iscsi_text_env){.model = &a->w.model,
					 .initiator = "iqn.h",
					 .target_name = target_name,
					 .peer = a->w.peer,
					 .local = a->w.local,
					 .params = &a->params};
	return a;
}

static void
ask_free(struct ask *a)
{
	iscsi_text_fini(&a->text);
	free(a->raw);
	free(a);
}

/* One request; keys are separated by spaces. The answer likewise. */
static void
ask_full(struct ask *a, uint8_t flags, uint32_t itt, uint32_t ttt, const char *keys)
{
	uint8_t bhs[ISCSI_BHS_LEN] = {ISCSI_OP_TEXT_REQ, flags}, rsp[ISCSI_BHS_LEN];
	size_t n = strlen(keys);
	char *data = malloc(n + 1);

	memcpy(data, keys, n + 1);
	for (size_t i = 0; i < n; i++) {
		if (data[i] == ' ')
			data[i] = '\0';
	}
	if (n && !(flags & ISCSI_TEXT_C))
		n++;
	gw_put_be32(bhs + ISCSI_AT_ITT, itt);
	gw_put_be32(bhs + ISCSI_AT_TTT, ttt);
	free(a->raw);
	a->raw = malloc(a->out_max); /* exactly as long, so that ASan sees what is written beyond */
	a->len = 0;
	a->answer[0] = '\0';
	a->ok = iscsi_text_rx(&a->text, &a->env, bhs, (const uint8_t *)data, (uint32_t)n, rsp,
			      a->raw, a->out_max, &a->len, &a->reject);
	free(data);
	if (!a->ok)
		return;
	ck_assert_uint_le(a->len, a->out_max);
	ck_assert_uint_eq(rsp[0], ISCSI_OP_TEXT_RSP);
	ck_assert_uint_eq(gw_be24(rsp + ISCSI_AT_DSL), a->len);
	ck_assert_uint_eq(gw_be32(rsp + ISCSI_AT_ITT), itt);
	a->flags = rsp[1];
	a->ttt = gw_be32(rsp + ISCSI_AT_TTT);
	ck_assert_int_eq(a->ttt == ISCSI_RESERVED_TAG, (a->flags & 0x80) != 0); /* 11.11.4 */
	for (uint32_t i = 0; i < a->len && i < 8192; i++)
		a->answer[i] = a->raw[i] || i + 1 == a->len ? a->raw[i] : ' ';
}

static const char *
ask(struct ask *a, const char *keys)
{
	ask_full(a, 0x80, 1, ISCSI_RESERVED_TAG, keys);
	ck_assert(a->ok);
	ck_assert_uint_eq(a->flags, 0x80);
	return a->answer;
}

#define DISK "TargetName=" IQN " TargetAddress=192.0.2.1:3260,1"

START_TEST(test_who_may_ask_what)
{
	struct ask *a = ask_new(NULL);

	ck_assert_str_eq(ask(a, "SendTargets=All"), DISK);
	ck_assert_str_eq(ask(a, "SendTargets=" IQN), DISK);
	ck_assert_str_eq(ask(a, "SendTargets=IQN.2026-01.org.example:DISK"), DISK);
	ck_assert_str_eq(ask(a, "SendTargets=iqn.other"), "");
	ck_assert_str_eq(ask(a, "SendTargets="), "SendTargets=Reject");
	ck_assert_str_eq(ask(a, "SendTargets=Alle"), "SendTargets=Reject");
	ck_assert_str_eq(ask(a, "sENDtARGETS=aLL"), "sENDtARGETS=NotUnderstood");
	ck_assert_str_eq(ask(a, "Frob=1 SendTargets=All"), "Frob=NotUnderstood " DISK);
	a->w.target.nacl = 0;
	ck_assert_str_eq(ask(a, "SendTargets=All"), "");
	ck_assert_str_eq(ask(a, "SendTargets=" IQN), "");
	a->w.target.nacl = 1;
	a->w.target.ready = false;
	ck_assert_str_eq(ask(a, "SendTargets=All"), "");
	ask_free(a);

	a = ask_new(IQN); /* a normal session knows its own target only */
	ck_assert_str_eq(ask(a, "SendTargets="), DISK);
	ck_assert_str_eq(ask(a, "SendTargets=All"), DISK);
	ck_assert_str_eq(ask(a, "SendTargets=" IQN), DISK);
	ck_assert_str_eq(ask(a, "SendTargets=iqn.other"), "SendTargets=Reject");
	ask_free(a);
}
END_TEST

START_TEST(test_addresses)
{
	static const struct {
		const char *host, *advertise, *local, *expected;
		uint16_t port;
		bool dead;
		uint16_t tpgt; /* 0: 1 */
	} rows[] = {
	    {"::", "", "192.0.2.1", "192.0.2.1:3260,1", 3260, false},
	    {"::", "", "::ffff:192.0.2.1", "192.0.2.1:3261,1", 3261, false},
	    {"::", "", "2001:db8::1", "[2001:db8::1]:3260,1", 3260, false},
	    {"0.0.0.0", "", "192.0.2.1", "192.0.2.1:3260,1", 3260, false},
	    {"0.0.0.0", "", "2001:db8::1", NULL, 3260, false},
	    {"198.51.100.7", "", "192.0.2.1", "198.51.100.7:860,9", 860, false, 9},
	    {"2001:db8::7", "", "192.0.2.1", "[2001:db8::7]:3260,1", 3260, false},
	    {"::", "203.0.113.9:13260", "192.0.2.1", "203.0.113.9:13260,65535", 3260, false, 65535},
	    {"::", "[2001:db8::9]:1", "192.0.2.1", "[2001:db8::9]:1,1", 3260, false},
	    {"192.0.2.1", "", "192.0.2.1", NULL, 3260, true},
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ask *a = ask_new(NULL);
		char expected[200];

		strcpy(a->w.portal.host, rows[i].host);
		strcpy(a->w.portal.advertise, rows[i].advertise);
		a->w.portal.port = rows[i].port;
		if (rows[i].tpgt)
			a->w.portal.tpgt = rows[i].tpgt;
		if (rows[i].dead)
			a->w.portal.priv = NULL;
		world_addr(&a->env.local, rows[i].local);
		snprintf(expected, sizeof(expected), "TargetName=" IQN "%s%s",
			 rows[i].expected ? " TargetAddress=" : "",
			 rows[i].expected ? rows[i].expected : "");
		ck_assert_str_eq(ask(a, "SendTargets=All"), expected);
		ask_free(a);
	}
}
END_TEST

/* A TCP and an iSER portal may have one address; each discovery session is told of its own kind. */
START_TEST(test_portals_of_the_same_transport)
{
	static const struct gw_xport_ops tcp = {.name = "tcp"}, iser = {.name = "iser"};
	struct ask *a = ask_new(NULL);
	struct gw_portal both[3] = {a->w.portal, a->w.portal, a->w.portal}, *list[3];

	for (unsigned i = 0; i < 3; i++)
		list[i] = both + i;
	both[0].xport = both[1].xport = &iser;
	both[1].port = 3261;
	both[2].xport = &tcp;
	a->w.model.portal = list;
	a->w.model.nportal = 3;
	a->env.xport = &tcp;
	ck_assert_str_eq(ask(a, "SendTargets=All"), DISK);
	a->env.xport = &iser;
	ck_assert_str_eq(ask(a, "SendTargets=All"), DISK " TargetAddress=192.0.2.1:3261,1");
	ck_assert_str_eq(ask(a, "SendTargets=" IQN), DISK " TargetAddress=192.0.2.1:3261,1");
	a->w.model.nportal = 2; /* none of its kind: the target is there, without an address */
	a->env.xport = &tcp;
	ck_assert_str_eq(ask(a, "SendTargets=All"), "TargetName=" IQN);
	ask_free(a);
}
END_TEST

struct crowd {
	struct gw_target *target, **list;
	struct gw_portal portal[3], *portals[3];
	char *seen; /* answers seen per target: 'n' name, then one per address */
};

#define CROWD 10000

/* Every third target is not for us; ids have gaps. */
static struct crowd *
crowd_new(struct ask *a)
{
	struct crowd *c = calloc(1, sizeof(*c));

	c->target = calloc(CROWD, sizeof(*c->target));
	c->list = calloc(CROWD, sizeof(*c->list));
	c->seen = calloc(CROWD, 1);
	for (unsigned i = 0; i < CROWD; i++) {
		struct gw_target *t = c->target + i;

		t->tid = i * 3 + 7;
		t->ready = true;
		t->acl = &a->w.acl;
		t->nacl = i % 3 != 2;
		/* names of all lengths up to the longest */
		snprintf(t->iqn, sizeof(t->iqn), "iqn.%05u%0*u", i, (int)(i % 214) + 1, 0);
		c->list[i] = t;
	}
	for (unsigned i = 0; i < 3; i++) {
		c->portal[i] = (struct gw_portal){.port = 3260, .priv = c};
		snprintf(c->portal[i].host, sizeof(c->portal[i].host), "198.51.100.%u", i);
		c->portals[i] = c->portal + i;
	}
	a->w.model.target = c->list;
	a->w.model.ntarget = CROWD;
	a->w.model.portal = c->portals;
	a->w.model.nportal = 3;
	return c;
}

static void
crowd_free(struct crowd *c)
{
	free(c->target);
	free(c->list);
	free(c->seen);
	free(c);
}

/* Takes an answer apart; *at is the target whose addresses are coming. */
static void
crowd_note(struct crowd *c, const struct ask *a, unsigned *at)
{
	for (const char *p = a->raw; p < a->raw + a->len; p += strlen(p) + 1) {
		unsigned host;

		if (sscanf(p, "TargetName=iqn.%5u", at) == 1) {
			ck_assert_uint_lt(*at, CROWD);
			ck_assert_str_eq(p + 11, c->target[*at].iqn);
			ck_assert_int_eq(c->seen[*at]++, 0);
		} else {
			ck_assert_int_eq(sscanf(p, "TargetAddress=198.51.100.%u:3260,1", &host), 1);
			ck_assert_int_eq(c->seen[*at]++, (int)host + 1);
		}
	}
}

START_TEST(test_ten_thousand_targets)
{
	static const uint32_t sizes[] = {512, 8192, 262144};

	for (unsigned s = 0; s < 3; s++) {
		struct ask *a = ask_new(NULL);
		struct crowd *c = crowd_new(a);
		unsigned at = 0, pdus = 1;

		a->out_max = sizes[s];
		ask_full(a, 0x80, 9, ISCSI_RESERVED_TAG, "SendTargets=All");
		for (;; pdus++) {
			ck_assert(a->ok);
			crowd_note(c, a, &at);
			if (a->flags & 0x80)
				break;
			ck_assert_uint_eq(a->flags, 0x40);
			ck_assert_ptr_null(a->text.in); /* nothing is held meanwhile */
			ask_full(a, 0x80, 9, a->ttt, "");
		}
		for (unsigned i = 0; i < CROWD; i++)
			ck_assert_int_eq(c->seen[i], i % 3 == 2 ? 0 : 4);
		ck_assert_uint_gt(pdus, 2);
		crowd_free(c);
		ask_free(a);
	}
}
END_TEST

/* Targets come and go while the list is being read: each that stays is told once. */
START_TEST(test_model_changes)
{
	struct ask *a = ask_new(NULL);
	struct crowd *c = crowd_new(a);
	unsigned at = 0, turn = 0;

	a->out_max = 8192;
	ask_full(a, 0x80, 9, ISCSI_RESERVED_TAG, "SendTargets=All");
	for (;;) {
		crowd_note(c, a, &at);
		if (a->flags & 0x80)
			break;
		/* some twenty from the front go, and those in their places are told already */
		if (++turn % 3 == 0 && a->w.model.ntarget > 5000) {
			a->w.model.target += 20;
			a->w.model.ntarget -= 20;
		}
		ask_full(a, 0x80, 9, a->ttt, "");
		ck_assert(a->ok);
	}
	for (unsigned i = 0; i < CROWD; i++)
		ck_assert_int_eq(c->seen[i], i % 3 == 2 ? 0 : 4);

	/* All targets go: the answer ends. */
	a->w.model.target = c->list;
	a->w.model.ntarget = CROWD;
	ask_full(a, 0x80, 9, ISCSI_RESERVED_TAG, "SendTargets=All");
	a->w.model.ntarget = 0;
	ask_full(a, 0x80, 9, a->ttt, "");
	ck_assert(a->ok);
	ck_assert_uint_eq(a->flags, 0x80);
	ck_assert_uint_eq(a->len, 0);
	crowd_free(c);
	ask_free(a);
}
END_TEST

/* Thousands of foreign targets are looked through piece by piece. */
START_TEST(test_work_is_bounded)
{
	struct ask *a = ask_new(NULL);
	struct crowd *c = crowd_new(a);
	unsigned pdus = 1;

	for (unsigned i = 0; i < CROWD; i++)
		c->target[i].nacl = 0;
	ask_full(a, 0x80, 9, ISCSI_RESERVED_TAG, "SendTargets=All");
	for (; !(a->flags & 0x80); pdus++) {
		ck_assert_uint_eq(a->len, 0);
		ask_full(a, 0x80, 9, a->ttt, "");
		ck_assert(a->ok);
	}
	ck_assert_uint_gt(pdus, 3);
	ck_assert_uint_lt(pdus, 20);
	crowd_free(c);
	ask_free(a);
}
END_TEST

START_TEST(test_max_recv_dsl)
{
	struct ask *a = ask_new(IQN);

	ck_assert_str_eq(ask(a, "MaxRecvDataSegmentLength=65536"), "");
	ck_assert_uint_eq(a->params.max_xmit_dsl, 65536);
	ck_assert_str_eq(ask(a, "MaxRecvDataSegmentLength=1048576"), "");
	ck_assert_uint_eq(a->params.max_xmit_dsl, 131072); /* the target's limit */
	ck_assert_str_eq(ask(a, "MaxRecvDataSegmentLength=511"), "MaxRecvDataSegmentLength=Reject");
	ck_assert_str_eq(ask(a, "MaxRecvDataSegmentLength=Irrelevant"), "");
	ck_assert_uint_eq(a->params.max_xmit_dsl, 131072);
	/* RFC 7145 6.2 */
	a->params.rdma_extensions = true;
	a->params.max_xmit_dsl = 128;
	ck_assert_str_eq(ask(a, "MaxRecvDataSegmentLength=65536"),
			 "MaxRecvDataSegmentLength=Irrelevant");
	ck_assert_uint_eq(a->params.max_xmit_dsl, 128);
	ask_free(a);
}
END_TEST

/* F, C and the tags: 11.10, 11.11. */
START_TEST(test_exchange_rules)
{
	struct ask *a = ask_new(NULL);
	uint32_t ttt;

	ask_full(a, 0x40, 1, ISCSI_RESERVED_TAG, "SendTa"); /* in pieces */
	ck_assert(a->ok);
	ck_assert_uint_eq(a->flags, 0);
	ck_assert_str_eq(a->answer, "");
	ttt = a->ttt;
	ask_full(a, 0x40, 1, ttt, "rgets=A");
	ck_assert_uint_eq(a->ttt, ttt);
	ask_full(a, 0x80, 1, ttt, "ll");
	ck_assert_uint_eq(a->flags, 0x80);
	ck_assert_str_eq(a->answer, DISK);

	ask_full(a, 0x00, 2, ISCSI_RESERVED_TAG, "A=1"); /* F only after F */
	ck_assert_uint_eq(a->flags, 0);
	ck_assert_str_eq(a->answer, "A=NotUnderstood");
	ask_full(a, 0x80, 2, a->ttt, "B=1");
	ck_assert_uint_eq(a->flags, 0x80);
	ck_assert_str_eq(a->answer, "B=NotUnderstood");

	ask_full(a, 0x80, 2, a->ttt + 5, "B=1"); /* a tag that we did not give */
	ck_assert(!a->ok && a->reject == ISCSI_REJECT_PROTOCOL);
	ask_full(a, 0xc0, 3, ISCSI_RESERVED_TAG, "B=1"); /* F and C */
	ck_assert(!a->ok);
	ask_full(a, 0x40, 4, ISCSI_RESERVED_TAG, "B="); /* the task tag changes */
	ttt = a->ttt;
	ask_full(a, 0x80, 5, ttt, "1");
	ck_assert(!a->ok);
	ask_full(a, 0x80, 4, ttt, "1"); /* and the exchange is over */
	ck_assert(!a->ok);
	ck_assert_ptr_null(a->text.in);

	ask_full(a, 0x40, 6, ISCSI_RESERVED_TAG, "garbage"); /* a new start forgets the old one */
	ck_assert_str_eq(ask(a, "SendTargets=All"), DISK);
	ck_assert_str_eq(ask(a, ""), "");

	ask_full(a, 0x80, 7, ISCSI_RESERVED_TAG, "InitialR2T=No"); /* only during login: 6.4 */
	ck_assert(!a->ok && a->reject == ISCSI_REJECT_PROTOCOL);
	ask_full(a, 0x80, 7, ISCSI_RESERVED_TAG, "SendTargets");
	ck_assert(!a->ok);
	ask_free(a);
}
END_TEST

START_TEST(test_limits)
{
	struct ask *a = ask_new(NULL);
	char *big = calloc(1, 8194);

	memset(big, 'x', 8193);
	ask_full(a, 0x40, 1, ISCSI_RESERVED_TAG, big); /* one byte too many */
	ck_assert(!a->ok);
	big[8192] = '\0';
	ask_full(a, 0x40, 1, ISCSI_RESERVED_TAG, big);
	ck_assert(a->ok);
	ask_full(a, 0x80, 1, a->ttt, "y");
	ck_assert(!a->ok);
	for (unsigned i = 0; i < 8188; i += 4)
		memcpy(big + i, "a=b ", 4);
	big[8187] = '\0';
	ask_full(a, 0x80, 1, ISCSI_RESERVED_TAG, big); /* 2,047 keys, and room for 500 answers */
	ck_assert(!a->ok && a->reject == ISCSI_REJECT_PROTOCOL);
	ck_assert_ptr_null(a->text.in);
	ask_free(a);
	free(big);
}
END_TEST

SUITE("iscsi text_op", test_who_may_ask_what, test_addresses, test_portals_of_the_same_transport,
      test_ten_thousand_targets, test_model_changes, test_work_is_bounded, test_max_recv_dsl,
      test_exchange_rules, test_limits)
