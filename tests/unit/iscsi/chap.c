/* SPDX-License-Identifier: BSD-3-Clause */
#include <openssl/evp.h>

#include "gateway/base/str.h"
#include "iscsi/chap.h"
#include "tests/unit/iscsi/dialogue.h"

static const struct alg {
	unsigned alg;
	const char *name;
	unsigned len;
} algs[] = {{5, "MD5", 16}, {6, "SHA1", 20}, {7, "SHA256", 32}, {8, "SHA3-256", 32}};

/* hash(id | secret | challenge) as hex with 0x, computed apart from the code under test. */
static const char *
response(const struct alg *a, unsigned id, const char *secret, const uint8_t *challenge, size_t n)
{
	static char text[2][80];
	static unsigned turn;
	uint8_t buf[2048], sum[EVP_MAX_MD_SIZE];
	size_t len = strlen(secret);
	unsigned sum_len;

	buf[0] = (uint8_t)id;
	memcpy(buf + 1, secret, len);
	memcpy(buf + 1 + len, challenge, n);
	ck_assert(EVP_Digest(buf, 1 + len + n, sum, &sum_len, EVP_get_digestbyname(a->name), NULL));
	ck_assert_uint_eq(sum_len, a->len);
	turn = !turn;
	strcpy(text[turn], "0x");
	gw_str_hex(text[turn] + 2, sum, sum_len);
	return text[turn];
}

struct challenge {
	unsigned id;
	uint8_t bytes[32];
	char text[80];
};

/* A login up to the challenge of that algorithm. */
static struct talk *
challenged(const struct alg *a, const char *offer, struct challenge *c)
{
	struct talk *t = talk_new();
	char keys[64];
	unsigned alg;

	t->w.target.nin = 2;
	t->w.target.out = &t->w.out;
	talk_open(t);
	talk_send(t, 0x81, NAMES " AuthMethod=CHAP,None");
	ck_assert_uint_eq(t->flags, 0);
	ck_assert_str_eq(t->answer, "AuthMethod=CHAP TargetPortalGroupTag=1");
	snprintf(keys, sizeof(keys), "CHAP_A=%s", offer);
	talk_send(t, 0x81, keys); /* with the T bit, as iPXE */
	ck_assert_uint_eq(t->flags, 0);
	ck_assert_int_eq(
	    sscanf(t->answer, "CHAP_A=%u CHAP_I=%u CHAP_C=%79s", &alg, &c->id, c->text), 3);
	ck_assert_uint_eq(alg, a->alg);
	ck_assert_uint_le(c->id, 255);
	ck_assert_uint_eq(strlen(c->text), 2 + 2 * a->len);
	ck_assert(gw_str_unhex(c->bytes, a->len, c->text + 2));
	return t;
}

START_TEST(test_algorithms)
{
	ck_assert_uint_eq(iscsi_chap_available(), 0x1e0);
	for (unsigned i = 0; i < 4; i++)
		ck_assert_uint_eq(iscsi_chap_hash_len(algs[i].alg), algs[i].len);
	ck_assert_uint_eq(iscsi_chap_hash_len(9), 0);
}
END_TEST

START_TEST(test_one_way)
{
	for (unsigned i = 0; i < 4; i++) {
		struct challenge c;
		char offer[2] = {(char)('0' + algs[i].alg), 0}, keys[200];
		struct talk *t = challenged(&algs[i], offer, &c);

		snprintf(keys, sizeof(keys), "CHAP_N=second CHAP_R=%s",
			 response(&algs[i], c.id, t->w.second.secret, c.bytes, algs[i].len));
		talk_send(t, 0x81, keys);
		ck_assert_uint_eq(t->status, 0);
		ck_assert_uint_eq(t->flags, 0x81);
		ck_assert_str_eq(t->answer, "");
		talk_send(t, 0x87, "");
		ck_assert_int_eq(t->next, ISCSI_LOGIN_GRANT);
		talk_free(t);
	}
}
END_TEST

START_TEST(test_mutual)
{
	static const uint8_t his[] = "a challenge of the initiator's, of a length of its own";

	for (unsigned i = 0; i < 4; i++) {
		struct challenge c;
		char offer[2] = {(char)('0' + algs[i].alg), 0}, keys[400], hex[200];
		struct talk *t = challenged(&algs[i], offer, &c);

		gw_str_hex(hex, his, sizeof(his));
		snprintf(keys, sizeof(keys), "CHAP_N=user CHAP_R=%s CHAP_I=0x2a CHAP_C=0x%s",
			 response(&algs[i], c.id, t->w.user.secret, c.bytes, algs[i].len), hex);
		talk_send(t, 0x00, keys); /* without the T bit: it checks us first */
		ck_assert_uint_eq(t->flags, 0);
		snprintf(keys, sizeof(keys), "CHAP_N=target CHAP_R=%s",
			 response(&algs[i], 0x2a, t->w.out.secret, his, sizeof(his)));
		ck_assert_str_eq(t->answer, keys);
		talk_send(t, 0x83, "");
		ck_assert_int_eq(t->next, ISCSI_LOGIN_GRANT);
		talk_free(t);
	}
}
END_TEST

/* CHAP_A is a list in the initiator's order of preference; policy and host limit it. */
START_TEST(test_algorithm_list)
{
	static const struct {
		const char *offer;
		uint32_t mask;
		unsigned alg; /* 0: refused */
	} rows[] = {
	    {"5", 0x1e0, 5},
	    {"7,5", 0x1e0, 7},
	    {"5,7", 0x1e0, 5},
	    {"5,7", 0x1c0, 7},
	    {"8,7,6,5", 0x1e0, 8},
	    {"8,7,6,5", 0x060, 6},
	    {"99,abc,,5", 0x1e0, 5},
	    {"4294967301", 0x1e0, 0},
	    {"5", 0x1c0, 0},
	    {"", 0x1e0, 0},
	    {"31", UINT32_MAX, 0},
	    {"0x7", 0x1e0, 7},
	    {"00000000000005", 0x1e0, 0},
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct talk *t = talk_new();
		char keys[64];
		unsigned alg = 0;

		t->w.target.nin = 1;
		t->w.model.chap_mask = rows[i].mask;
		talk_open(t);
		snprintf(keys, sizeof(keys), "CHAP_A=%s", rows[i].offer);
		talk_send(t, 0x00, NAMES " AuthMethod=CHAP");
		talk_send(t, 0x00, keys);
		sscanf(t->answer, "CHAP_A=%u", &alg);
		ck_assert_msg(alg == rows[i].alg, "%s: %u %s", rows[i].offer, alg, t->l.why);
		ck_assert_uint_eq(t->status, alg ? 0 : 0x0201);
		talk_free(t);
	}
}
END_TEST

/* What ends the login: %R stands for the right response, %W for a wrong one, %C for our challenge.
 */
START_TEST(test_refusals)
{
	static const struct {
		const char *keys;
		uint16_t status;
		const char *why;
	} rows[] = {
	    {"CHAP_N=user CHAP_R=%W", 0x0201, "wrong secret of user user"},
	    {"CHAP_N=nobody CHAP_R=%R", 0x0201, "no account of user nobody"},
	    {"CHAP_N=second CHAP_R=%R", 0x0201, "wrong secret"},
	    {"CHAP_N= CHAP_R=%R", 0x0201, "no account of user"},
	    {"CHAP_N=user CHAP_R=%R00", 0x0200, "malformed CHAP_R"},
	    {"CHAP_N=user CHAP_R=%R0", 0x0200, "malformed CHAP_R"},
	    {"CHAP_N=user CHAP_R=0x00", 0x0201, "wrong secret"},
	    {"CHAP_N=user CHAP_R=0x", 0x0200, "malformed CHAP_R"},
	    {"CHAP_N=user CHAP_R=0b%R", 0x0200, "malformed CHAP_R"},
	    {"CHAP_N=user CHAP_R=", 0x0200, "malformed CHAP_R"},
	    {"CHAP_N=user", 0x0200, "without each other"},
	    {"CHAP_R=%R", 0x0200, "without each other"},
	    {"CHAP_N=user CHAP_R=%R CHAP_I=1", 0x0200, "without each other"},
	    {"CHAP_N=user CHAP_R=%R CHAP_C=0x0102", 0x0200, "without each other"},
	    {"CHAP_I=1 CHAP_C=0x0102", 0x0200, "without each other"},
	    {"CHAP_N=user CHAP_R=%R CHAP_I=256 CHAP_C=0x0102", 0x0200, "malformed CHAP_I"},
	    {"CHAP_N=user CHAP_R=%R CHAP_I=-1 CHAP_C=0x0102", 0x0200, "malformed CHAP_I"},
	    {"CHAP_N=user CHAP_R=%R CHAP_I=1 CHAP_C=0x", 0x0200, "malformed CHAP_I or CHAP_C"},
	    {"CHAP_N=user CHAP_R=%R CHAP_I=1 CHAP_C=zz", 0x0200, "malformed CHAP_I or CHAP_C"},
	    {"CHAP_N=user CHAP_R=%R CHAP_I=1 CHAP_C=%C", 0x0201, "our CHAP challenge back"},
	    {"CHAP_N=user CHAP_R=%W CHAP_I=1 CHAP_C=0x0102", 0x0201, "wrong secret"},
	    {"CHAP_A=7", 0x0200, "CHAP_A came twice"},
	    {"CHAP_N=user CHAP_N=user CHAP_R=%R", 0x0200, "CHAP_N came twice"},
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct challenge c;
		struct talk *t = challenged(&algs[2], "7", &c);
		char keys[1024] = "";

		for (const char *p = rows[i].keys; *p; p++) {
			char *end = keys + strlen(keys);

			if (*p != '%')
				*end = *p;
			else if (*++p == 'C')
				strcpy(end, c.text);
			else
				strcpy(end, response(&algs[2], c.id + (*p == 'W'), "secret-of-user",
						     c.bytes, 32));
		}
		talk_send(t, 0x81, keys);
		ck_assert_msg(t->status == rows[i].status, "%s: %04x %s", rows[i].keys, t->status,
			      t->l.why);
		ck_assert_msg(strstr(t->l.why, rows[i].why) != NULL, "%s: %s", rows[i].keys,
			      t->l.why);
		ck_assert_msg(!strstr(t->l.why, "secret-of"), "a secret in the log");
		talk_send(t, 0x81, keys);
		ck_assert_int_eq(t->next, ISCSI_LOGIN_DROP);
		talk_free(t);
	}
}
END_TEST

/* A binary value of 1,024 bytes is the longest (6.1); base64 is as good as hex. */
START_TEST(test_challenge_lengths)
{
	for (unsigned n = 1023; n <= 1025; n++) {
		struct challenge c;
		struct talk *t = challenged(&algs[0], "5", &c);
		uint8_t his[1025];
		char *keys = calloc(1, 4096), *p = keys;

		memset(his, 0xa5, sizeof(his));
		p += sprintf(p, "CHAP_N=user CHAP_R=%s CHAP_I=7 CHAP_C=0x",
			     response(&algs[0], c.id, "secret-of-user", c.bytes, 16));
		gw_str_hex(p, his, n);
		talk_send(t, 0x81, keys);
		ck_assert_uint_eq(t->status, n <= 1024 ? 0 : 0x0200);
		if (n <= 1024) {
			snprintf(keys, 4096, "CHAP_N=target CHAP_R=%s",
				 response(&algs[0], 7, "secret-of-target", his, n));
			ck_assert_str_eq(t->answer, keys);
		}
		talk_free(t);
		free(keys);
	}
}
END_TEST

START_TEST(test_base64)
{
	struct challenge c;
	struct talk *t = challenged(&algs[2], "7", &c);
	uint8_t sum[32];
	char keys[256] = "CHAP_N=user CHAP_R=0b";

	ck_assert(
	    gw_str_unhex(sum, 32, response(&algs[2], c.id, "secret-of-user", c.bytes, 32) + 2));
	EVP_EncodeBlock((unsigned char *)keys + strlen(keys), sum, 32);
	talk_send(t, 0x81, keys);
	ck_assert_uint_eq(t->flags, 0x81);
	talk_free(t);
}
END_TEST

START_TEST(test_mutual_needs)
{
	struct challenge c;
	struct talk *t = challenged(&algs[2], "7", &c);
	char keys[256];

	snprintf(keys, sizeof(keys), "CHAP_N=user CHAP_R=%s CHAP_I=1 CHAP_C=0x0102",
		 response(&algs[2], c.id, "secret-of-user", c.bytes, 32));
	t->w.target.out = NULL;
	talk_send(t, 0x81, keys);
	ck_assert_uint_eq(t->status, 0x0201);
	ck_assert(strstr(t->l.why, "no outgoing account"));
	talk_free(t);

	t = challenged(&algs[2], "7", &c);
	snprintf(keys, sizeof(keys), "CHAP_N=user CHAP_R=%s CHAP_I=1 CHAP_C=0x0102",
		 response(&algs[2], c.id, "secret-of-user", c.bytes, 32));
	world_account(&t->w.out, "target", "secret-of-user");
	talk_send(t, 0x81, keys);
	ck_assert_uint_eq(t->status, 0x0201);
	ck_assert(strstr(t->l.why, "have the same secret"));
	talk_free(t);
}
END_TEST

/* Before it is authenticated, no request gets an initiator out of the security stage. */
START_TEST(test_no_way_round)
{
	struct challenge c;
	struct talk *t;

	for (unsigned i = 0; i < 3; i++) {
		t = challenged(&algs[2], "7", &c);
		talk_send(t, i ? 0x83 : 0x81, "");
		ck_assert_uint_eq(t->flags, 0);
		talk_send(t, i == 2 ? 0x87 : 0x83, "");
		if (i == 2)
			ck_assert_uint_eq(t->status, 0x0200);
		else
			ck_assert_int_eq(t->next, ISCSI_LOGIN_MORE);
		talk_free(t);
	}
}
END_TEST

START_TEST(test_challenges_differ)
{
	struct challenge a, b;

	talk_free(challenged(&algs[2], "7", &a));
	talk_free(challenged(&algs[2], "7", &b));
	ck_assert_mem_ne(a.bytes, b.bytes, 32);
}
END_TEST

SUITE("iscsi chap", test_algorithms, test_one_way, test_mutual, test_algorithm_list, test_refusals,
      test_challenge_lengths, test_base64, test_mutual_needs, test_no_way_round,
      test_challenges_differ)
