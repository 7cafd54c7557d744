/* SPDX-License-Identifier: BSD-3-Clause */
/* Full feature phase: commands as they lie in the receive buffer, answers by reference. */
#include "tests/bench/limit.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>

#include "gateway/base/bytes.h"
#include "gateway/base/num.h"
#include "iscsi/proto.h"

#define WINDOW 4096

void
conn_init(struct conn *c)
{
	c->mrdsl = ISCSI_LOGIN_DSL;
	c->max_burst = 262144;
	c->first_burst = 65536;
	c->statsn = 1;
}

uint8_t *
conn_head(struct conn *c, uint8_t opcode, uint8_t flags, const uint8_t *request)
{
	uint8_t *h = c->head[c->last];

	memset(h, 0, ISCSI_BHS_LEN);
	h[ISCSI_AT_OPCODE] = opcode;
	h[ISCSI_AT_FLAGS] = flags;
	memcpy(h + ISCSI_AT_ITT, request + ISCSI_AT_ITT, 4);
	gw_put_be32(h + ISCSI_AT_STATSN, c->statsn);
	gw_put_be32(h + ISCSI_AT_EXPCMDSN, c->cmdsn);
	gw_put_be32(h + ISCSI_AT_MAXCMDSN, c->cmdsn + WINDOW);
	c->iov[c->last].iov_base = h;
	c->iov[c->last++].iov_len = ISCSI_BHS_LEN;
	return h;
}

void
conn_data(struct conn *c, uint8_t *head, const void *p, uint32_t len)
{
	gw_put_be24(head + ISCSI_AT_DSL, len);
	c->iov[c->last].iov_base = (void *)(uintptr_t)p;
	c->iov[c->last++].iov_len = len + iscsi_pad(len);
}

/* Status in the last Data-In; a long read in as many as the initiator wants. */
static void
answer_read(struct conn *c, const uint8_t *bhs, const uint8_t *data, uint32_t len)
{
	uint32_t most = GW_MIN(c->mrdsl, c->max_burst), off = 0, sn = 0, n;

	do {
		bool end = len - off <= most;
		uint8_t *h =
		    conn_head(c, ISCSI_OP_DATA_IN, end ? ISCSI_FLAG_F | ISCSI_DATAIN_S : 0, bhs);

		n = GW_MIN(most, len - off);
		gw_put_be32(h + ISCSI_AT_TTT, ISCSI_RESERVED_TAG);
		gw_put_be32(h + ISCSI_AT_DATASN, sn++);
		gw_put_be32(h + ISCSI_AT_BUFOFF, off);
		conn_data(c, h, data + off, n);
		off += n;
	} while (off < len);
	c->statsn++;
}

static void
answer_status(struct conn *c, const uint8_t *bhs)
{
	conn_head(c, ISCSI_OP_SCSI_RSP, ISCSI_FLAG_F, bhs);
	c->statsn++;
}

/* Offset and length of READ/WRITE (10) and (16). */
static bool
is_io(const uint8_t *cdb, uint64_t *off, uint64_t *len)
{
	switch (cdb[0]) {
	case 0x28:
	case 0x2a:
		*off = (uint64_t)gw_be32(cdb + 2) * LIMIT_BLOCK;
		*len = gw_be16(cdb + 7) * LIMIT_BLOCK;
		return true;
	case 0x88:
	case 0x8a:
		*off = gw_be64(cdb + 2) * LIMIT_BLOCK;
		*len = (uint64_t)gw_be32(cdb + 10) * LIMIT_BLOCK;
		return true;
	default:
		return false;
	}
}

static void
ask_data(struct conn *c, const uint8_t *bhs, struct wait *w)
{
	uint8_t *h = conn_head(c, ISCSI_OP_R2T, ISCSI_FLAG_F, bhs);

	gw_put_be32(h + ISCSI_AT_TTT, (uint32_t)(w - c->wait));
	gw_put_be32(h + ISCSI_AT_DATASN, w->r2tsn++);
	gw_put_be32(h + ISCSI_AT_BUFOFF, w->len - w->left);
	gw_put_be32(h + ISCSI_AT_DDTL, GW_MIN(w->left, c->max_burst));
}

/* The data segment of the PDU that has just been read goes to the place of w. */
static bool
take_data(struct conn *c, struct wait *w, uint32_t len)
{
	if (len > w->left)
		return false;
	c->into = w;
	c->data_left = len;
	c->pad = iscsi_pad(len);
	c->to = c->l->file ? c->l->file + w->off + (w->len - w->left) : NULL;
	w->left -= len;
	return true;
}

/* A burst has come to its end. */
static void
data_end(struct conn *c, const uint8_t *bhs, struct wait *w)
{
	if (w->left == 0)
		answer_status(c, bhs);
	else if (bhs[ISCSI_AT_FLAGS] & ISCSI_FLAG_F)
		ask_data(c, bhs, w);
	c->into = NULL;
}

static struct wait *
wait_of(struct conn *c, uint32_t itt)
{
	for (unsigned i = 0; i < LIMIT_WRITES; i++)
		if (c->wait[i].left && c->wait[i].itt == itt)
			return &c->wait[i];
	return NULL;
}

static struct wait *
wait_new(struct conn *c)
{
	for (unsigned i = 0; i < LIMIT_WRITES; i++)
		if (!c->wait[i].left)
			return &c->wait[i];
	return NULL;
}

static bool
on_command(struct conn *c, const uint8_t *bhs, uint32_t dsl)
{
	const uint8_t *cdb = bhs + ISCSI_AT_CDB;
	struct wait *w;
	uint64_t off, len;

	c->cmdsn = gw_be32(bhs + ISCSI_AT_CMDSN) + 1;
	if (!is_io(cdb, &off, &len)) {
		uint32_t n = rare_command(c, cdb, c->text);

		n = GW_MIN(n, gw_be32(bhs + ISCSI_AT_EDTL));
		if (n > 0)
			answer_read(c, bhs, c->text, n);
		else
			answer_status(c, bhs);
		return dsl == 0;
	}
	if (!gw_range_ok(off, len, c->l->size) || len > LIMIT_IO_MAX)
		return false;
	if (!(bhs[ISCSI_AT_FLAGS] & ISCSI_CMD_W)) {
		answer_read(c, bhs, c->l->file ? c->l->file + off : c->l->mem, (uint32_t)len);
		return true;
	}
	w = wait_new(c);
	if (!w || len == 0)
		return false;
	*w = (struct wait){gw_be32(bhs + ISCSI_AT_ITT), (uint32_t)len, (uint32_t)len, 0, off};
	return take_data(c, w, dsl);
}

static bool
on_head(struct conn *c, const uint8_t *bhs, uint32_t dsl)
{
	struct wait *w;
	uint8_t *h;

	switch (bhs[ISCSI_AT_OPCODE] & ISCSI_OP_MASK) {
	case ISCSI_OP_SCSI_CMD:
		return on_command(c, bhs, dsl);
	case ISCSI_OP_DATA_OUT:
		w = wait_of(c, gw_be32(bhs + ISCSI_AT_ITT));
		return w && take_data(c, w, dsl);
	case ISCSI_OP_NOP_OUT:
		if (gw_be32(bhs + ISCSI_AT_ITT) == ISCSI_RESERVED_TAG)
			return dsl == 0;
		h = conn_head(c, ISCSI_OP_NOP_IN, ISCSI_FLAG_F, bhs);
		gw_put_be32(h + ISCSI_AT_TTT, ISCSI_RESERVED_TAG);
		c->statsn++;
		return dsl == 0;
	case ISCSI_OP_TMF_REQ:
		conn_head(c, ISCSI_OP_TMF_RSP, ISCSI_FLAG_F, bhs);
		c->statsn++;
		return true;
	case ISCSI_OP_LOGOUT_REQ:
		conn_head(c, ISCSI_OP_LOGOUT_RSP, ISCSI_FLAG_F, bhs);
		c->statsn++;
		return true;
	default:
		return false;
	}
}

/* Moves what has come of a write's data; false while some is missing. */
static bool
move_data(struct conn *c, uint8_t **p, uint32_t *n)
{
	uint32_t len = GW_MIN(*n, c->data_left);

	if (c->to) {
		memcpy(c->to, *p, len);
		c->to += len;
	}
	*p += len;
	*n -= len;
	c->data_left -= len;
	if (c->data_left || *n < c->pad)
		return false;
	*p += c->pad;
	*n -= c->pad;
	data_end(c, c->request, c->into);
	return true;
}

/* Everything that is complete; what is not moves to the front. */
static bool
parse(struct conn *c, uint32_t n)
{
	uint8_t *p = c->buf;
	uint32_t dsl, len;

	while (!c->into || move_data(c, &p, &n)) {
		if (n < ISCSI_BHS_LEN)
			break;
		if (c->last + LIMIT_IO_IOVS > LIMIT_IOVS)
			return false;
		dsl = gw_be24(p + ISCSI_AT_DSL);
		len = ISCSI_BHS_LEN + p[ISCSI_AT_AHSLEN] * 4u;
		if (!c->full_feature) {
			len += dsl + iscsi_pad(dsl);
			if (n < len)
				break;
			rare_login(c, p, p + ISCSI_BHS_LEN, dsl);
		} else if (n < len) {
			break;
		} else if (!on_head(c, p, dsl)) {
			return false;
		}
		if (c->into)
			memcpy(c->request, p, ISCSI_BHS_LEN);
		p += len;
		n -= len;
	}
	c->have = n;
	if (n)
		memmove(c->buf, p, n);
	return n < LIMIT_BUF;
}

bool
conn_recv(struct conn *c)
{
	ssize_t n = recv(c->fd, c->buf + c->have, LIMIT_BUF - c->have, MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	return n > 0 && parse(c, c->have + (uint32_t)n);
}

bool
conn_flush(struct conn *c)
{
	while (c->first < c->last) {
		struct msghdr m = {.msg_iov = c->iov + c->first,
				   .msg_iovlen = GW_MIN(c->last - c->first, (uint32_t)IOV_MAX)};
		ssize_t n = sendmsg(c->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		while (c->first < c->last && (size_t)n >= c->iov[c->first].iov_len)
			n -= (ssize_t)c->iov[c->first++].iov_len;
		if (n > 0) {
			struct iovec *v = &c->iov[c->first];

			v->iov_base = (uint8_t *)v->iov_base + n;
			v->iov_len -= (size_t)n;
		}
	}
	c->first = c->last = 0;
	return true;
}
