/* SPDX-License-Identifier: BSD-3-Clause */
#include "iscsi/chap.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "gateway/base/num.h"

/* IANA "PPP Authentication Algorithms"; in no order of preference: that is the initiator's. */
static struct {
	uint8_t alg, len;
	const char *name;
	EVP_MD *md; /* NULL where the host's policy (FIPS) forbids it */
} hashes[] = {
    {GW_CHAP_MD5, 16, "MD5", NULL},
    {GW_CHAP_SHA1, 20, "SHA1", NULL},
    {GW_CHAP_SHA256, 32, "SHA2-256", NULL},
    {GW_CHAP_SHA3_256, 32, "SHA3-256", NULL},
};
static pthread_once_t probed = PTHREAD_ONCE_INIT;
static uint32_t available;

/* An algorithm can be there and still refuse to start, so try. */
static void
probe(void)
{
	uint8_t sum[EVP_MAX_MD_SIZE];
	unsigned len;

	for (unsigned i = 0; i < GW_ARRAY_LEN(hashes); i++) {
		EVP_MD *md = EVP_MD_fetch(NULL, hashes[i].name, NULL);

		if (md && EVP_Digest("", 0, sum, &len, md, NULL) && len == hashes[i].len) {
			hashes[i].md = md;
			available |= 1u << hashes[i].alg;
		} else {
			EVP_MD_free(md);
		}
	}
}

uint32_t
iscsi_chap_available(void)
{
	pthread_once(&probed, probe);
	return available;
}

static const EVP_MD *
md_of(unsigned alg)
{
	for (unsigned i = 0; i < GW_ARRAY_LEN(hashes); i++) {
		if (hashes[i].alg == alg)
			return hashes[i].md;
	}
	return NULL;
}

unsigned
iscsi_chap_hash_len(unsigned alg)
{
	for (unsigned i = 0; i < GW_ARRAY_LEN(hashes); i++) {
		if (hashes[i].alg == alg)
			return hashes[i].len;
	}
	return 0;
}

/* hash(id | secret | challenge), RFC 1994 4.1. */
static bool
respond(unsigned alg, uint8_t id, const char *secret, const uint8_t *challenge, size_t len,
	uint8_t out[ISCSI_CHAP_HASH_MAX])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	const EVP_MD *md = md_of(alg);
	bool ok;

	ok = ctx && md && EVP_DigestInit_ex2(ctx, md, NULL) && EVP_DigestUpdate(ctx, &id, 1) &&
	     EVP_DigestUpdate(ctx, secret, strlen(secret)) &&
	     EVP_DigestUpdate(ctx, challenge, len) && EVP_DigestFinal_ex(ctx, out, NULL);
	EVP_MD_CTX_free(ctx); /* clears what it held */
	return ok;
}

static bool
random_bytes(void *p, size_t n)
{
	return getrandom(p, n, 0) == (ssize_t)n; /* up to 256 bytes are never cut short */
}

static bool
same(const void *a, size_t alen, const void *b, size_t blen)
{
	return alen == blen && CRYPTO_memcmp(a, b, alen) == 0;
}

#define REFUSE(status, ...)                           \
	do {                                          \
		snprintf(why, why_size, __VA_ARGS__); \
		return status;                        \
	} while (0)

/* CHAP_A: the first of the initiator's list that policy and host allow. */
static enum iscsi_login_status
challenge(struct iscsi_chap *chap, uint32_t mask, const char *list, struct iscsi_text_out *out,
	  char *why, size_t why_size)
{
	const char *rest = list, *item;
	size_t n;

	mask &= iscsi_chap_available();
	while (iscsi_text_item(&rest, &item, &n)) {
		char word[8] = "";
		uint32_t alg;

		if (n >= sizeof(word))
			continue;
		memcpy(word, item, n);
		if (!iscsi_text_u32(word, 0, 31, &alg) || !(mask & 1u << alg))
			continue;
		if (!random_bytes(&chap->id, 1) ||
		    !random_bytes(chap->challenge, iscsi_chap_hash_len(alg)))
			REFUSE(ISCSI_LOGIN_TARGET_ERROR, "no random bytes for a CHAP challenge");
		chap->alg = (uint8_t)alg;
		chap->state = ISCSI_CHAP_CHALLENGED;
		iscsi_text_add_u32(out, "CHAP_A", alg);
		iscsi_text_add_u32(out, "CHAP_I", chap->id);
		iscsi_text_add_bin(out, "CHAP_C", chap->challenge, iscsi_chap_hash_len(alg));
		return ISCSI_LOGIN_OK;
	}
	REFUSE(ISCSI_LOGIN_AUTH_FAILED,
	       "none of the CHAP algorithms offered (%.40s) is allowed here", list);
}

static const struct gw_account *
account(const struct iscsi_chap_accounts *accounts, const char *name)
{
	const struct gw_account *found = NULL;

	for (uint32_t i = 0; i < accounts->nin; i++) {
		if (strcmp(accounts->in[i]->name, name) == 0)
			found = accounts->in[i];
	}
	return found;
}

/* Does the response prove that account? An unknown one (NULL) costs what a wrong secret costs. */
static bool
verify(const struct iscsi_chap *chap, const struct gw_account *who, const uint8_t *response,
       size_t len)
{
	const char *secret = who ? who->secret : "no account has this";
	unsigned hash_len = iscsi_chap_hash_len(chap->alg);
	uint8_t expected[ISCSI_CHAP_HASH_MAX];
	bool ok;

	ok = respond(chap->alg, chap->id, secret, chap->challenge, hash_len, expected) &&
	     same(expected, hash_len, response, len);
	OPENSSL_cleanse(expected, sizeof(expected));
	return ok && who;
}

/* CHAP_I and CHAP_C of the initiator: we prove ourselves. */
static enum iscsi_login_status
prove(const struct iscsi_chap *chap, const struct iscsi_chap_accounts *accounts,
      const struct gw_account *peer, const struct iscsi_keyset *set, struct iscsi_text_out *out,
      char *why, size_t why_size)
{
	const struct gw_account *me = accounts->out;
	unsigned hash_len = iscsi_chap_hash_len(chap->alg);
	uint8_t his[ISCSI_TEXT_BIN_MAX], response[ISCSI_CHAP_HASH_MAX];
	uint32_t id;
	int n;

	if (!me)
		REFUSE(ISCSI_LOGIN_AUTH_FAILED, "the initiator asks for mutual CHAP, and no "
						"outgoing account is set");
	n = iscsi_text_bin(set->value[ISCSI_KEY_CHAP_C], his, sizeof(his));
	if (n < 0 || !iscsi_text_u32(set->value[ISCSI_KEY_CHAP_I], 0, 255, &id))
		REFUSE(ISCSI_LOGIN_INITIATOR_ERROR, "malformed CHAP_I or CHAP_C");
	/* Reflection: our own challenge answered by ourselves, 12.1.3 and 9.2.1. */
	if (same(his, (size_t)n, chap->challenge, hash_len))
		REFUSE(ISCSI_LOGIN_AUTH_FAILED, "the initiator sent our CHAP challenge back");
	/* The secrets of the two directions must differ, 9.2.1. */
	if (same(me->secret, strlen(me->secret), peer->secret, strlen(peer->secret)))
		REFUSE(ISCSI_LOGIN_AUTH_FAILED,
		       "accounts %.80s and %.80s have the same secret: mutual CHAP needs two",
		       peer->name, me->name);
	if (!respond(chap->alg, (uint8_t)id, me->secret, his, (size_t)n, response))
		REFUSE(ISCSI_LOGIN_TARGET_ERROR, "the crypto library failed");
	iscsi_text_add(out, "CHAP_N", me->name);
	iscsi_text_add_bin(out, "CHAP_R", response, hash_len);
	return ISCSI_LOGIN_OK;
}

static enum iscsi_login_status
answer(struct iscsi_chap *chap, const struct iscsi_chap_accounts *accounts,
       const struct iscsi_keyset *set, struct iscsi_text_out *out, char *why, size_t why_size)
{
	const char *name = set->value[ISCSI_KEY_CHAP_N];
	const struct gw_account *peer;
	uint8_t response[ISCSI_CHAP_HASH_MAX];
	enum iscsi_login_status status = ISCSI_LOGIN_OK;
	int n;

	if (!name || !set->value[ISCSI_KEY_CHAP_R] ||
	    !set->value[ISCSI_KEY_CHAP_I] != !set->value[ISCSI_KEY_CHAP_C])
		REFUSE(ISCSI_LOGIN_INITIATOR_ERROR, "CHAP_N and CHAP_R, or CHAP_I and CHAP_C, "
						    "came without each other");
	n = iscsi_text_bin(set->value[ISCSI_KEY_CHAP_R], response, iscsi_chap_hash_len(chap->alg));
	if (n < 0)
		REFUSE(ISCSI_LOGIN_INITIATOR_ERROR, "malformed CHAP_R");
	peer = account(accounts, name);
	if (!verify(chap, peer, response, (size_t)n))
		REFUSE(ISCSI_LOGIN_AUTH_FAILED,
		       peer ? "CHAP failed: wrong secret of user %.80s"
			    : "CHAP failed: no account of user %.80s here",
		       name);
	if (set->value[ISCSI_KEY_CHAP_I])
		status = prove(chap, accounts, peer, set, out, why, why_size);
	if (status == ISCSI_LOGIN_OK)
		chap->state = ISCSI_CHAP_DONE;
	OPENSSL_cleanse(chap->challenge, sizeof(chap->challenge));
	return status;
}

enum iscsi_login_status
iscsi_chap_step(struct iscsi_chap *chap, const struct iscsi_chap_accounts *accounts,
		const struct iscsi_keyset *set, struct iscsi_text_out *out, char *why,
		size_t why_size)
{
	bool any = set->value[ISCSI_KEY_CHAP_I] || set->value[ISCSI_KEY_CHAP_C] ||
		   set->value[ISCSI_KEY_CHAP_N] || set->value[ISCSI_KEY_CHAP_R];
	const char *list = set->value[ISCSI_KEY_CHAP_A];

	if (list && !any && chap->state == ISCSI_CHAP_IDLE)
		return challenge(chap, accounts->mask, list, out, why, why_size);
	if (!list && any && chap->state == ISCSI_CHAP_CHALLENGED)
		return answer(chap, accounts, set, out, why, why_size);
	if (list || any)
		REFUSE(ISCSI_LOGIN_INITIATOR_ERROR, "CHAP keys out of their order");
	return ISCSI_LOGIN_OK;
}
