/* SPDX-License-Identifier: BSD-3-Clause */
/* Before and after the load, one PDU at a time, blocking: login, capacity, logout. */
#include "tests/bench/lean.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "gateway/base/bytes.h"
#include "gateway/base/crc32c.h"
#include "gateway/base/num.h"
#include "iscsi/proto.h"

#define TEXT_MAX  8192
#define ANSWER_MS 10000

struct pdu {
	uint8_t bhs[ISCSI_BHS_LEN];
	uint8_t data[TEXT_MAX + 8];
	uint32_t len;
};

static void
send_all(struct sess *s, const void *p, size_t n)
{
	const uint8_t *at = p;

	while (n > 0) {
		ssize_t k = send(s->fd, at, n, MSG_NOSIGNAL);

		if (k <= 0)
			die("the connection broke at the %s: %s", s->asked, strerror(errno));
		at += k;
		n -= (size_t)k;
	}
}

static void
recv_all(struct sess *s, void *p, size_t n)
{
	uint8_t *at = p;

	while (n > 0) {
		ssize_t k = recv(s->fd, at, n, 0);

		/* A receive that has a time to wait is not taken up again after SIGSTOP, signal(7). */
		if (k < 0 && errno == EINTR)
			continue;
		if (k == 0)
			die("the target closed the connection at the %s", s->asked);
		if (k < 0 && errno == EAGAIN)
			die("the target has not answered the %s for %d s", s->asked,
			    ANSWER_MS / 1000);
		if (k < 0)
			die("the connection broke at the %s: %s", s->asked, strerror(errno));
		at += k;
		n -= (size_t)k;
	}
}

static void
put_pdu(struct sess *s, struct pdu *p)
{
	uint32_t pad = iscsi_pad(p->len), crc;

	gw_put_be24(p->bhs + ISCSI_AT_DSL, p->len);
	send_all(s, p->bhs, ISCSI_BHS_LEN);
	crc = gw_crc32c(p->bhs, ISCSI_BHS_LEN);
	if (s->hdig)
		send_all(s, &crc, sizeof(crc));
	memset(p->data + p->len, 0, pad);
	if (p->len)
		send_all(s, p->data, p->len + pad);
	crc = gw_crc32c(p->data, p->len + pad);
	if (s->ddig && p->len)
		send_all(s, &crc, sizeof(crc));
}

static void
get_pdu(struct sess *s, struct pdu *p)
{
	uint8_t skip[ISCSI_DIGEST_LEN];

	recv_all(s, p->bhs, ISCSI_BHS_LEN);
	for (unsigned i = 0; i < p->bhs[ISCSI_AT_AHSLEN] + (s->hdig ? 1u : 0u); i++)
		recv_all(s, skip, sizeof(skip));
	p->len = gw_be24(p->bhs + ISCSI_AT_DSL);
	if (p->len > TEXT_MAX)
		die("the target sent %u bytes where a few were expected", p->len);
	recv_all(s, p->data, p->len + iscsi_pad(p->len));
	if (s->ddig && p->len)
		recv_all(s, skip, sizeof(skip));
	p->data[p->len] = 0;
	s->exp_statsn = gw_be32(p->bhs + ISCSI_AT_STATSN) + 1;
	s->max_cmdsn = gw_be32(p->bhs + ISCSI_AT_MAXCMDSN);
}

/* Login */

static void
add_key(struct pdu *p, const char *key, const char *value)
{
	p->len +=
	    (uint32_t)snprintf((char *)p->data + p->len, TEXT_MAX - p->len, "%s=%s", key, value) +
	    1;
}

static void
add_num(struct pdu *p, const char *key, uint32_t value)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", value);
	add_key(p, key, text);
}

static void
offer_security(struct sess *s, struct pdu *p)
{
	char name[64];

	snprintf(name, sizeof(name), "iqn.2026-11.org.example:lean.%u", s->index);
	add_key(p, "InitiatorName", name);
	add_key(p, "TargetName", s->o->iqn);
	add_key(p, "SessionType", "Normal");
	add_key(p, "AuthMethod", "None");
}

static void
offer_operational(struct sess *s, struct pdu *p)
{
	add_key(p, "HeaderDigest", s->o->hdig ? "CRC32C" : "None");
	add_key(p, "DataDigest", s->o->ddig ? "CRC32C" : "None");
	add_key(p, "ImmediateData", "Yes");
	add_key(p, "InitialR2T", "No");
	add_num(p, "MaxRecvDataSegmentLength", s->o->mrdsl);
	add_num(p, "FirstBurstLength", s->o->first_burst);
	add_num(p, "MaxBurstLength", 1u << 20);
	add_num(p, "MaxOutstandingR2T", 8);
	add_num(p, "MaxConnections", 1);
	add_num(p, "ErrorRecoveryLevel", 0);
	add_num(p, "DefaultTime2Wait", 2);
	add_num(p, "DefaultTime2Retain", 0);
	add_key(p, "DataPDUInOrder", "Yes");
	add_key(p, "DataSequenceInOrder", "Yes");
}

struct result {
	bool hdig, ddig;
};

static void
accept_key(struct sess *s, struct result *r, const char *key, const char *v)
{
	uint32_t n = (uint32_t)strtoul(v, NULL, 0);

	if (strcmp(key, "HeaderDigest") == 0)
		r->hdig = strcmp(v, "CRC32C") == 0;
	else if (strcmp(key, "DataDigest") == 0)
		r->ddig = strcmp(v, "CRC32C") == 0;
	else if (strcmp(key, "ImmediateData") == 0)
		s->immediate = strcmp(v, "Yes") == 0;
	else if (strcmp(key, "InitialR2T") == 0)
		s->initial_r2t = strcmp(v, "Yes") == 0;
	else if (strcmp(key, "MaxRecvDataSegmentLength") == 0 && n >= 512)
		s->tgt_mrdsl = n;
	else if (strcmp(key, "FirstBurstLength") == 0 && n >= 512)
		s->first_burst = GW_MIN(n, s->o->first_burst);
	else if (strcmp(key, "MaxBurstLength") == 0 && n >= 512)
		s->max_burst = n;
}

static void
accept_keys(struct sess *s, struct result *r, struct pdu *p)
{
	char *at = (char *)p->data, *end = at + p->len, *value;

	while (at < end) {
		char *next = at + strlen(at) + 1;

		value = strchr(at, '=');
		if (value) {
			*value++ = '\0';
			accept_key(s, r, at, value);
		}
		at = next;
	}
}

/* One request and its answer: stage 0 (security) or 1 (operational), each asking to go on. */
static void
login_step(struct sess *s, struct result *r, int stage)
{
	struct pdu p = {0};
	uint8_t next = stage == ISCSI_STAGE_SECURITY ? ISCSI_STAGE_OPERATIONAL : ISCSI_STAGE_FULL;

	stage == ISCSI_STAGE_SECURITY ? offer_security(s, &p) : offer_operational(s, &p);
	p.bhs[ISCSI_AT_OPCODE] = ISCSI_OP_LOGIN_REQ | ISCSI_OP_IMMEDIATE;
	p.bhs[ISCSI_AT_FLAGS] = ISCSI_LOGIN_T | (uint8_t)(stage << 2) | next;
	/* ISID: random format, a session each, 11.12.5. */
	p.bhs[ISCSI_AT_ISID] = 0x80;
	gw_put_be16(p.bhs + ISCSI_AT_ISID + 4, (uint16_t)s->index);
	gw_put_be32(p.bhs + ISCSI_AT_CMDSN, s->cmdsn);
	gw_put_be32(p.bhs + ISCSI_AT_EXPSTATSN, s->exp_statsn);
	put_pdu(s, &p);
	get_pdu(s, &p);
	if ((p.bhs[0] & ISCSI_OP_MASK) != ISCSI_OP_LOGIN_RSP)
		die("the target answered the login with opcode 0x%02x", p.bhs[0]);
	if (gw_be16(p.bhs + ISCSI_AT_LOGIN_STATUS))
		die("the target refused the login with status 0x%04x",
		    gw_be16(p.bhs + ISCSI_AT_LOGIN_STATUS));
	if ((p.bhs[1] & (ISCSI_LOGIN_T | ISCSI_LOGIN_NSG)) != (ISCSI_LOGIN_T | next))
		die("the target does not leave login stage %d", stage);
	accept_keys(s, r, &p);
}

static int
dial(const struct opts *o)
{
	struct addrinfo hint = {.ai_socktype = SOCK_STREAM}, *ai;
	int fd, one = 1, err;

	err = getaddrinfo(o->host, o->port, &hint, &ai);
	if (err)
		die("%s: %s", o->host, gai_strerror(err));
	fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, ai->ai_addr, ai->ai_addrlen) != 0)
		die("%s:%s: %s", o->host, o->port, strerror(errno));
	freeaddrinfo(ai);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

void
sess_patience(const struct sess *s, unsigned ms)
{
	struct timeval t = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

	if (setsockopt(s->fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t)))
		die("cannot set how long a receive waits: %s", strerror(errno));
}

/* Commands before the load */

/* Sends one and returns its SCSI status; p holds read data, if any. */
static uint8_t
command(struct sess *s, struct pdu *p, const uint8_t *cdb, uint32_t len)
{
	uint8_t *h = p->bhs;
	uint32_t got = 0;

	memset(p, 0, sizeof(*p));
	h[ISCSI_AT_OPCODE] = ISCSI_OP_SCSI_CMD;
	h[ISCSI_AT_FLAGS] = ISCSI_FLAG_F | (len ? ISCSI_CMD_R : 0) | 1;
	h[ISCSI_AT_LUN + 1] = (uint8_t)s->o->lun;
	gw_put_be32(h + ISCSI_AT_EDTL, len);
	gw_put_be32(h + ISCSI_AT_CMDSN, s->cmdsn++);
	gw_put_be32(h + ISCSI_AT_EXPSTATSN, s->exp_statsn);
	memcpy(h + ISCSI_AT_CDB, cdb, 16);
	put_pdu(s, p);
	for (;;) {
		uint8_t op;

		get_pdu(s, p);
		op = h[ISCSI_AT_OPCODE] & ISCSI_OP_MASK;
		if (op == ISCSI_OP_DATA_IN)
			got = p->len;
		if (op == ISCSI_OP_SCSI_RSP) {
			p->len = got;
			return h[ISCSI_AT_STATUS];
		}
		if (op == ISCSI_OP_DATA_IN && h[ISCSI_AT_FLAGS] & ISCSI_DATAIN_S)
			return h[ISCSI_AT_STATUS];
	}
}

/* Unit attentions of a new nexus are taken before they would count as errors. */
static void
until_ready(struct sess *s, struct pdu *p)
{
	const uint8_t tur[16] = {0};

	for (int tries = 0; command(s, p, tur, 0) != 0; tries++)
		if (tries == 20)
			die("LUN %u does not become ready", s->o->lun);
}

static void
read_capacity(struct sess *s, struct pdu *p)
{
	uint8_t cdb[16] = {0x9e, 0x10};

	cdb[13] = 32;
	if (command(s, p, cdb, 32) != 0 || p->len < 12)
		die("READ CAPACITY(16) failed");
	s->block_len = gw_be32(p->data + 8);
	if (s->block_len == 0 || s->block_len > 65536)
		die("the LUN's block length is %u", s->block_len);
	s->capacity = (gw_be64(p->data) + 1) * s->block_len;
}

void
sess_login(struct sess *s)
{
	struct result r = {0};
	struct pdu p;

	s->fd = dial(s->o);
	s->asked = "login";
	sess_patience(s, ANSWER_MS);
	s->tgt_mrdsl = ISCSI_LOGIN_DSL;
	s->max_burst = 262144;
	s->first_burst = GW_MIN(s->o->first_burst, 65536u);
	s->immediate = true;
	s->initial_r2t = true;
	s->cmdsn = 1;
	login_step(s, &r, ISCSI_STAGE_SECURITY);
	login_step(s, &r, ISCSI_STAGE_OPERATIONAL);
	if (r.hdig != s->o->hdig || r.ddig != s->o->ddig)
		die("the target does not agree to the digests");
	s->hdig = r.hdig;
	s->ddig = r.ddig;
	s->crc_len = s->tgt_mrdsl;
	s->asked = "first command";
	until_ready(s, &p);
	read_capacity(s, &p);
}

void
sess_logout(struct sess *s)
{
	struct pdu p = {0};

	/* The load waits for less at a time, to look at the clock. */
	sess_patience(s, ANSWER_MS);
	s->asked = "logout";
	p.bhs[ISCSI_AT_OPCODE] = ISCSI_OP_LOGOUT_REQ | ISCSI_OP_IMMEDIATE;
	p.bhs[ISCSI_AT_FLAGS] = ISCSI_FLAG_F;
	gw_put_be32(p.bhs + ISCSI_AT_CMDSN, s->cmdsn);
	gw_put_be32(p.bhs + ISCSI_AT_EXPSTATSN, s->exp_statsn);
	put_pdu(s, &p);
	/* A NOP-In may have been on its way. */
	do
		get_pdu(s, &p);
	while ((p.bhs[ISCSI_AT_OPCODE] & ISCSI_OP_MASK) != ISCSI_OP_LOGOUT_RSP);
	close(s->fd);
}
