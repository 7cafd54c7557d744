/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whole logins. The first line sets up the target: C (accounts), M (and an outgoing one), D
 * (accounts for discovery), N (nobody admitted), H (header digest demanded), I (iSER). Each further
 * line is one request: two hex digits of flags, a blank, the data segment with '|' for NUL. "%R"
 * becomes the right CHAP response of "user", "%C" our challenge. "@OFF BYTE" (hex) sets a byte of
 * the headers to come.
 */
#include <openssl/evp.h>

#include "gateway/base/bug.h"
#include "gateway/base/bytes.h"
#include "gateway/base/str.h"
#include "iscsi/login.h"
#include "tests/unit/iscsi/world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
set_up(struct world *w, const char *line)
{
	world_init(w);
	if (strpbrk(line, "CM"))
		w->target.nin = 2;
	if (strchr(line, 'M'))
		w->target.out = &w->out;
	if (strchr(line, 'D'))
		w->model.ndisc_in = 1;
	if (strchr(line, 'N'))
		w->target.nacl = 0;
	if (strchr(line, 'H'))
		w->target.params.header_digest = 2;
}

/* Hex of what CHAP_R must be now. */
static size_t
right_response(const struct iscsi_login *l, const char *secret, char *dst)
{
	static const char *const names[] = {"MD5", "SHA1", "SHA256", "SHA3-256"};
	uint8_t buf[128], sum[EVP_MAX_MD_SIZE];
	size_t n = strlen(secret), len = iscsi_chap_hash_len(l->chap.alg);
	unsigned sum_len = 0;

	if (!len)
		return 0;
	buf[0] = l->chap.id;
	memcpy(buf + 1, secret, n);
	memcpy(buf + 1 + n, l->chap.challenge, len);
	EVP_Digest(buf, 1 + n + len, sum, &sum_len, EVP_get_digestbyname(names[l->chap.alg - 5]),
		   NULL);
	gw_str_hex(dst, sum, sum_len);
	return 2 * sum_len;
}

/* The line's data segment; returns its length. */
static uint32_t
expand(const struct iscsi_login *l, const char *line, size_t n, char *dst, size_t max)
{
	size_t at = 0;

	for (size_t i = 0; i < n && at + 80 < max; i++) {
		if (line[i] == '%' && i + 1 < n && line[i + 1] == 'R') {
			at += right_response(l, "secret-of-user", dst + at);
			i++;
		} else if (line[i] == '%' && i + 1 < n && line[i + 1] == 'C') {
			gw_str_hex(dst + at, l->chap.challenge, 32);
			at += 64;
			i++;
		} else {
			dst[at++] = line[i] == '|' ? '\0' : line[i];
		}
	}
	return (uint32_t)at;
}

static void
check(const struct iscsi_login *l, enum iscsi_login_next next)
{
	volatile char sum = 0;

	if (next == ISCSI_LOGIN_DROP || next == ISCSI_LOGIN_REFUSE)
		BUG(!l->why[0]);
	if (next == ISCSI_LOGIN_DROP)
		return;
	BUG(l->data_len > ISCSI_LOGIN_DSL);
	BUG(next != ISCSI_LOGIN_GRANT && gw_be24(l->bhs + ISCSI_AT_DSL) != l->data_len);
	for (uint32_t i = 0; i < l->data_len; i++)
		sum = (char)(sum + l->data[i]);
	if (next != ISCSI_LOGIN_GRANT)
		return;
	BUG(!l->discovery && !l->target);
	BUG(!l->discovery && l->target->nin && l->chap.state != ISCSI_CHAP_DONE);
	BUG(l->discovery && l->env.model->ndisc_in && l->chap.state != ISCSI_CHAP_DONE);
	BUG(!l->discovery && !l->target->nacl);
	BUG(l->params.first_burst > l->params.max_burst);
	BUG(l->params.max_recv_dsl < 512 || l->params.max_recv_dsl > 262144);
	BUG(l->params.max_xmit_dsl < 512 || l->params.max_xmit_dsl > ISCSI_DSL_MAX);
	BUG(l->params.max_outstanding_r2t < 1 || l->params.max_outstanding_r2t > 4);
	BUG(l->params.erl != 0 || l->params.max_connections != 1);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world w;
	static struct iscsi_login l;
	static char text[65536], segment[9000];
	uint8_t bhs[ISCSI_BHS_LEN] = {0x43};
	struct iscsi_login_env env = {.model = &w.model, .max_recv_dsl = 262144};
	char *line, *rest = text;

	if (size >= sizeof(text))
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	line = strsep(&rest, "\n");
	set_up(&w, line);
	env.peer = w.peer;
	env.local = w.local;
	env.iser = strchr(line, 'I');
	iscsi_login_init(&l, &env);
	while ((line = strsep(&rest, "\n"))) {
		enum iscsi_login_next next;
		unsigned off, byte;
		uint8_t *exact;
		uint32_t n;

		if (sscanf(line, "@%2x %2x", &off, &byte) == 2) {
			if (off < sizeof(bhs))
				bhs[off] = (uint8_t)byte;
			continue;
		}
		if (sscanf(line, "%2x", &byte) != 1 || strlen(line) < 3)
			continue;
		bhs[ISCSI_AT_FLAGS] = (uint8_t)byte;
		n = expand(&l, line + 3, strlen(line + 3), segment, sizeof(segment));
		exact = malloc(n ? n : 1);
		memcpy(exact, segment, n);
		gw_put_be24(bhs + ISCSI_AT_DSL, n);
		next = iscsi_login_rx(&l, bhs, exact, n);
		free(exact);
		check(&l, next);
		if (next == ISCSI_LOGIN_GRANT)
			check(&l, iscsi_login_granted(&l, ISCSI_LOGIN_OK, 1, 2));
	}
	iscsi_login_fini(&l);
	return 0;
}
