/* SPDX-License-Identifier: BSD-3-Clause */
/* The load: commands go out as answers come in; what is received is parsed where it lies. */
#include "tests/bench/lean.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "gateway/base/bytes.h"
#include "gateway/base/crc32c.h"
#include "gateway/base/num.h"
#include "iscsi/proto.h"

#define HEAD_LEN   1024 /* received at once where data is discarded in the kernel */
#define SKIP_MIN   (32u << 10)
#define OP_READ16  0x88
#define OP_WRITE16 0x8a

/* Any byte of the LUN is a function of its offset: a read can be checked whoever wrote it. */
static uint64_t
pattern_word(uint64_t off)
{
	uint64_t v = (off >> 3) * 0x9e3779b97f4a7c15u + 0x6c69636867617465u;

	return v ^ v >> 29;
}

void
sess_pattern(uint8_t *p, uint64_t off, uint32_t len)
{
	for (uint32_t i = 0; i < len; i += 8) {
		uint64_t w = pattern_word(off + i);
		memcpy(p + i, &w, GW_MIN(8u, len - i));
	}
}

static bool
pattern_is(const uint8_t *p, uint64_t off, uint32_t len)
{
	while (len > 0) {
		uint64_t w = pattern_word(off);
		uint32_t at = off & 7, n = GW_MIN(8 - at, len);

		if (memcmp(p, (uint8_t *)&w + at, n) != 0)
			return false;
		p += n;
		off += n;
		len -= n;
	}
	return true;
}

void *
lean_pages(size_t n)
{
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE,
		       -1, 0);

	if (p == MAP_FAILED)
		die("no memory for buffers");
	return p;
}

void
sess_ready(struct sess *s)
{
	const struct opts *o = s->o;
	uint32_t outs = o->bs / s->tgt_mrdsl + o->bs / s->max_burst + 3;
	uint64_t span = GW_MIN(o->span ? o->span : s->capacity, s->capacity);

	s->nblocks = span / o->bs;
	if (s->nblocks == 0)
		die("the LUN has %llu bytes, fewer than one I/O of %u",
		    (unsigned long long)s->capacity, o->bs);
	if (o->bs % s->block_len)
		die("%u bytes are no multiple of the block length %u", o->bs, s->block_len);
	out_init(&s->out, o->depth * outs + 16, ISCSI_BHS_LEN + (s->hdig ? ISCSI_DIGEST_LEN : 0));
	s->slot = calloc(o->depth, sizeof(*s->slot));
	s->idle = calloc(o->depth, sizeof(*s->idle));
	if (!s->slot || !s->idle)
		die("no memory for commands");
	for (uint32_t i = 0; i < o->depth; i++) {
		s->idle[s->nidle++] = o->depth - 1 - i;
		s->slot[i].data = i && !o->verify ? s->slot[0].data : lean_pages(o->bs);
	}
	if (!o->verify)
		sess_pattern(s->slot[0].data, 0, o->bs);
	s->rng = 0x2545f4914f6cdd1du * (s->index + 1);
	/* Sequential sessions start apart, and the first pass of --verify shares the LUN out. */
	s->pos = s->nblocks * s->index / o->sessions;
	s->fill_left = s->nblocks * (s->index + 1) / o->sessions - s->pos;
}

void
sess_free(struct sess *s)
{
	for (uint32_t i = 0; i < (s->o->verify ? s->o->depth : 1); i++)
		munmap(s->slot[i].data, s->o->bs);
	free(s->slot);
	free(s->idle);
	free(s->out.head);
	free(s->out.iov);
}

bool
sess_idle(const struct sess *s)
{
	return s->nidle == s->o->depth && s->out.first == s->out.last;
}

static uint64_t
next_random(struct sess *s)
{
	s->rng ^= s->rng >> 12;
	s->rng ^= s->rng << 25;
	s->rng ^= s->rng >> 27;
	return s->rng * 0x2545f4914f6cdd1du;
}

static uint64_t
next_off(struct sess *s)
{
	uint64_t at;

	if (!s->o->seq && !s->w->filling)
		return (uint64_t)((unsigned __int128)next_random(s) * s->nblocks >> 64) * s->o->bs;
	at = s->pos;
	s->pos = s->pos + 1 == s->nblocks ? 0 : s->pos + 1;
	return at * s->o->bs;
}

static bool
next_is_write(struct sess *s)
{
	unsigned pct = s->o->read_pct;

	if (s->w->filling)
		return true;
	return pct == 0 || (pct < 100 && (next_random(s) >> 32) * 100 >> 32 >= pct);
}

/* The shared payload never changes: its digests are computed once for each place a PDU starts at.
 */
static uint32_t
data_crc(struct sess *s, const struct slot *sl, uint32_t off, uint32_t len)
{
	uint32_t i = off / s->crc_len;

	if (s->o->verify || off % s->crc_len || i >= GW_ARRAY_LEN(s->crc_val) ||
	    len != GW_MIN(s->crc_len, s->o->bs - off))
		return gw_crc32c(sl->data + off, len);
	if (s->crc_val[i] == 0)
		s->crc_val[i] = gw_crc32c(sl->data + off, len);
	return s->crc_val[i];
}

/* Data of a PDU whose header has just been queued. The LUN's blocks need no padding. */
static void
put_data(struct sess *s, uint8_t *h, const struct slot *sl, uint32_t off, uint32_t len)
{
	static _Thread_local uint32_t ring[4096];
	static _Thread_local uint32_t next;
	uint32_t *crc;

	gw_put_be24(h + ISCSI_AT_DSL, len);
	out_seal(&s->out, h);
	if (len == 0)
		return;
	out_data(&s->out, sl->data + off, len);
	if (!s->ddig)
		return;
	crc = &ring[next++ % GW_ARRAY_LEN(ring)];
	*crc = data_crc(s, sl, off, len);
	out_data(&s->out, crc, sizeof(*crc));
}

/* [off, off + len) of a write in as many Data-Outs as the target wants, RFC 7143 11.7. */
static void
put_data_out(struct sess *s, uint32_t itt, uint32_t ttt, uint32_t off, uint32_t len)
{
	const struct slot *sl = &s->slot[itt];
	uint32_t sn = 0;

	while (len > 0) {
		uint32_t n = GW_MIN(len, s->tgt_mrdsl);
		uint8_t *h = out_head(&s->out);

		h[ISCSI_AT_OPCODE] = ISCSI_OP_DATA_OUT;
		h[ISCSI_AT_FLAGS] = n == len ? ISCSI_FLAG_F : 0;
		h[ISCSI_AT_LUN + 1] = (uint8_t)s->o->lun;
		gw_put_be32(h + ISCSI_AT_ITT, itt);
		gw_put_be32(h + ISCSI_AT_TTT, ttt);
		gw_put_be32(h + ISCSI_AT_EXPSTATSN, s->exp_statsn);
		gw_put_be32(h + ISCSI_AT_DATASN, sn++);
		gw_put_be32(h + ISCSI_AT_BUFOFF, off);
		put_data(s, h, sl, off, n);
		off += n;
		len -= n;
	}
}

static void
put_command(struct sess *s, uint32_t itt)
{
	struct slot *sl = &s->slot[itt];
	uint32_t bs = s->o->bs, now = 0, first;
	uint8_t *h = out_head(&s->out);
	uint8_t *cdb = h + ISCSI_AT_CDB;

	sl->off = next_off(s);
	sl->write = next_is_write(s);
	sl->moved = 0;
	sl->began = s->w->now;
	if (sl->write && s->o->verify)
		sess_pattern(sl->data, sl->off, bs);
	h[ISCSI_AT_OPCODE] = ISCSI_OP_SCSI_CMD;
	h[ISCSI_AT_FLAGS] = 1 /* SIMPLE */ | (sl->write ? ISCSI_CMD_W : ISCSI_CMD_R);
	h[ISCSI_AT_LUN + 1] = (uint8_t)s->o->lun;
	gw_put_be32(h + ISCSI_AT_ITT, itt);
	gw_put_be32(h + ISCSI_AT_EDTL, bs);
	gw_put_be32(h + ISCSI_AT_CMDSN, s->cmdsn++);
	gw_put_be32(h + ISCSI_AT_EXPSTATSN, s->exp_statsn);
	cdb[0] = sl->write ? OP_WRITE16 : OP_READ16;
	gw_put_be64(cdb + 2, sl->off / s->block_len);
	gw_put_be32(cdb + 10, bs / s->block_len);
	if (!sl->write) {
		h[ISCSI_AT_FLAGS] |= ISCSI_FLAG_F;
		out_seal(&s->out, h);
		return;
	}
	first = GW_MIN(bs, s->first_burst);
	if (s->immediate)
		now = GW_MIN(first, s->tgt_mrdsl);
	if (s->initial_r2t || now == first)
		first = now, h[ISCSI_AT_FLAGS] |= ISCSI_FLAG_F;
	put_data(s, h, sl, 0, now);
	put_data_out(s, itt, ISCSI_RESERVED_TAG, now, first - now);
	sl->moved = first;
}

/* As many commands as there are free slots and the target's window allows. */
void
sess_issue(struct sess *s)
{
	if (s->w->seen == LOAD_END || s->o->idle)
		return;
	while (s->nidle > 0 && !gw_sn_lt(s->max_cmdsn, s->cmdsn)) {
		if (s->w->filling && s->fill_left-- == 0) {
			s->fill_left = 0;
			return;
		}
		put_command(s, s->idle[--s->nidle]);
	}
}

static void
complete(struct sess *s, uint32_t itt, uint8_t status)
{
	struct slot *sl = &s->slot[itt];
	struct count *c = &s->w->count;

	if (status != 0 || sl->moved != s->o->bs)
		c->errors++;
	sl->write ? c->writes++ : c->reads++;
	lat_add(&c->lat, s->w->now - sl->began);
	s->w->last_done = s->w->now;
	s->idle[s->nidle++] = itt;
	/* A second answer to it would be the target's error. */
	sl->began = 0;
}

static void
on_data(struct sess *s, const uint8_t *p, uint32_t n)
{
	struct slot *sl;

	if (s->pdu_slot == ISCSI_RESERVED_TAG)
		return;
	sl = &s->slot[s->pdu_slot];
	if (s->o->verify) {
		if (s->ddig)
			s->crc = gw_crc32c_add(s->crc, p, n);
		if (!pattern_is(p, sl->off + s->pdu_pos, n))
			s->w->count.errors++;
	}
	s->pdu_pos += n;
}

static void
on_tail(struct sess *s, const uint8_t *p)
{
	uint32_t pad = s->tail & 3, crc;

	if (!s->o->verify || !s->ddig || s->pdu_slot == ISCSI_RESERVED_TAG)
		return;
	crc = gw_crc32c_end(gw_crc32c_add(s->crc, p, pad));
	if (memcmp(p + pad, &crc, sizeof(crc)) != 0)
		die("a data digest of the target is wrong");
}

static void
on_nop_in(struct sess *s, const uint8_t *bhs)
{
	uint32_t ttt = gw_be32(bhs + ISCSI_AT_TTT);
	uint8_t *h;

	if (ttt == ISCSI_RESERVED_TAG)
		return;
	h = out_head(&s->out);
	h[ISCSI_AT_OPCODE] = ISCSI_OP_NOP_OUT | ISCSI_OP_IMMEDIATE;
	h[ISCSI_AT_FLAGS] = ISCSI_FLAG_F;
	memcpy(h + ISCSI_AT_LUN, bhs + ISCSI_AT_LUN, 8);
	gw_put_be32(h + ISCSI_AT_ITT, ISCSI_RESERVED_TAG);
	gw_put_be32(h + ISCSI_AT_TTT, ttt);
	gw_put_be32(h + ISCSI_AT_CMDSN, s->cmdsn);
	gw_put_be32(h + ISCSI_AT_EXPSTATSN, s->exp_statsn);
	out_seal(&s->out, h);
}

static struct slot *
slot_of(struct sess *s, const uint8_t *bhs)
{
	uint32_t itt = gw_be32(bhs + ISCSI_AT_ITT);

	if (itt >= s->o->depth || s->slot[itt].began == 0)
		die("the target answered a command that is not under way (opcode 0x%02x, tag %u)",
		    bhs[0], itt);
	return &s->slot[itt];
}

static void
on_r2t(struct sess *s, const uint8_t *bhs)
{
	struct slot *sl = slot_of(s, bhs);
	uint32_t off = gw_be32(bhs + ISCSI_AT_BUFOFF), len = gw_be32(bhs + ISCSI_AT_DDTL);

	if (!sl->write || !gw_range_ok(off, len, s->o->bs))
		die("the target asked for data outside of the command");
	put_data_out(s, (uint32_t)(sl - s->slot), gw_be32(bhs + ISCSI_AT_TTT), off, len);
	sl->moved += len;
}

static void
on_data_in(struct sess *s, const uint8_t *bhs, uint32_t len)
{
	struct slot *sl = slot_of(s, bhs);
	uint32_t off = gw_be32(bhs + ISCSI_AT_BUFOFF);

	if (sl->write || !gw_range_ok(off, len, s->o->bs))
		die("the target sent data outside of the command");
	sl->moved += len;
	s->pdu_slot = (uint32_t)(sl - s->slot);
	s->pdu_pos = off;
	s->crc = GW_CRC32C_INIT;
}

/* A header is complete: its data, if it has any, follows. */
static void
on_head(struct sess *s, const uint8_t *bhs)
{
	uint8_t op = bhs[ISCSI_AT_OPCODE] & ISCSI_OP_MASK;
	uint32_t len = gw_be24(bhs + ISCSI_AT_DSL);

	s->data_left = len;
	s->tail = iscsi_pad(len) + (s->ddig && len ? ISCSI_DIGEST_LEN : 0);
	s->pdu_slot = ISCSI_RESERVED_TAG;
	s->in_pdu = true;
	s->max_cmdsn = gw_be32(bhs + ISCSI_AT_MAXCMDSN);
	switch (op) {
	case ISCSI_OP_DATA_IN:
		on_data_in(s, bhs, len);
		break;
	case ISCSI_OP_SCSI_RSP:
		slot_of(s, bhs);
		break;
	case ISCSI_OP_R2T:
		on_r2t(s, bhs);
		break;
	case ISCSI_OP_NOP_IN:
		on_nop_in(s, bhs);
		break;
	case ISCSI_OP_ASYNC:
		break;
	default:
		die("the target sent a PDU with opcode 0x%02x, reason 0x%02x", op,
		    bhs[ISCSI_AT_RSP]);
	}
	if (op == ISCSI_OP_SCSI_RSP || (op == ISCSI_OP_DATA_IN && bhs[1] & ISCSI_DATAIN_S))
		s->exp_statsn = gw_be32(bhs + ISCSI_AT_STATSN) + 1;
	/* Status is acted on after the data. */
	memcpy(s->head, bhs, ISCSI_BHS_LEN);
}

static void
on_end(struct sess *s)
{
	const uint8_t *bhs = s->head;
	uint8_t op = bhs[ISCSI_AT_OPCODE] & ISCSI_OP_MASK;
	uint32_t itt = gw_be32(bhs + ISCSI_AT_ITT);

	s->in_pdu = false;
	if (op == ISCSI_OP_SCSI_RSP)
		complete(s, itt, bhs[ISCSI_AT_RSP] ? 0xff : bhs[ISCSI_AT_STATUS]);
	else if (op == ISCSI_OP_DATA_IN && bhs[ISCSI_AT_FLAGS] & ISCSI_DATAIN_S)
		complete(s, itt, bhs[ISCSI_AT_STATUS]);
}

/* Length of a header with its digest, checked when it is all there; 0 if it is not. */
static uint32_t
head_len(struct sess *s, const uint8_t *p, uint32_t n)
{
	uint32_t len, crc;

	if (n < ISCSI_BHS_LEN)
		return 0;
	len = ISCSI_BHS_LEN + p[ISCSI_AT_AHSLEN] * 4u;
	if (n < len + (s->hdig ? ISCSI_DIGEST_LEN : 0))
		return 0;
	if (!s->hdig)
		return len;
	if (s->o->verify) {
		crc = gw_crc32c(p, len);
		if (memcmp(p + len, &crc, sizeof(crc)) != 0)
			die("a header digest of the target is wrong");
	}
	return len + ISCSI_DIGEST_LEN;
}

/* Returns the bytes at the end that belong to a header or tail that is not complete. */
static uint32_t
parse(struct sess *s, const uint8_t *p, uint32_t n)
{
	uint32_t len;

	for (;;) {
		if (s->data_left) {
			len = GW_MIN(n, s->data_left);
			on_data(s, p, len);
			p += len;
			n -= len;
			s->data_left -= len;
			if (s->data_left)
				return 0;
		}
		if (s->in_pdu) {
			if (n < s->tail)
				return n;
			on_tail(s, p);
			p += s->tail;
			n -= s->tail;
			on_end(s);
		}
		len = head_len(s, p, n);
		if (len == 0)
			return n;
		on_head(s, p);
		p += len;
		n -= len;
	}
}

static ssize_t
got(ssize_t n)
{
	if (n == 0)
		die("the target closed the connection");
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		die("the connection broke: %s", strerror(errno));
	return n;
}

/* One receive. Large data that nobody looks at is dropped by the kernel, not copied. */
void
sess_recv(struct sess *s, int flags)
{
	bool skip = !s->o->copy && !s->o->verify;
	uint32_t room = LEAN_BUF - s->have;
	uint8_t *buf = s->w->buf;
	ssize_t n;

	if (skip && s->data_left >= SKIP_MIN) {
		n = got(recv(s->fd, NULL, s->data_left, flags | MSG_TRUNC));
		if (n <= 0)
			return;
		s->w->now = now_ns();
		s->data_left -= (uint32_t)n;
		/* It may have been the end of the answer, after which nothing need come. */
		if (!s->data_left)
			s->have = parse(s, buf, 0);
		return;
	}
	if (skip && s->o->bs >= 2 * SKIP_MIN && s->o->read_pct)
		room = GW_MIN(room, (uint32_t)HEAD_LEN);
	n = got(recv(s->fd, buf + s->have, room, flags));
	if (n <= 0)
		return;
	s->w->now = now_ns();
	memcpy(buf, s->carry, s->have);
	n += s->have;
	s->have = parse(s, buf, (uint32_t)n);
	memcpy(s->carry, buf + n - s->have, s->have);
}
