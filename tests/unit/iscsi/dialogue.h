/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Login dialogues as text. A line is one PDU: "> FLAGS keys" from the initiator, "< FLAGS keys"
 * what must come back, keys separated by spaces. FLAGS: the stage S (security) or O (operational),
 * then
 * "-O" or "-F" for the T bit with that next stage, "+" for the C bit. "< !0203" is a refusal with
 * that status (the rest of the line is part of the reason), "< drop" an end without an answer.
 */
#ifndef TESTS_UNIT_ISCSI_DIALOGUE_H
#define TESTS_UNIT_ISCSI_DIALOGUE_H

#include "gateway/base/bytes.h"
#include "iscsi/login.h"
#include "tests/unit/base/suite.h"
#include "tests/unit/iscsi/world.h"

#define IQN   "iqn.2026-01.org.example:disk"
#define NAMES "InitiatorName=iqn.2026-01.org.example:host SessionType=Normal TargetName=" IQN
#define DISC  "InitiatorName=iqn.2026-01.org.example:host SessionType=Discovery"

struct talk {
	struct world w;
	struct iscsi_login l;
	enum iscsi_login_next next;
	uint8_t flags;
	uint16_t status;
	char answer[ISCSI_LOGIN_TEXT_MAX + 1]; /* keys, separated by spaces */
	uint8_t bhs[ISCSI_BHS_LEN];            /* of requests */
	uint32_t responses;
};

static inline struct talk *
talk_new(void)
{
	struct talk *t = calloc(1, sizeof(*t));

	world_init(&t->w);
	t->bhs[0] = ISCSI_OP_LOGIN_REQ | ISCSI_OP_IMMEDIATE;
	memcpy(t->bhs + ISCSI_AT_ISID, "\x80\x12\x34\x56\x78\x9a", 6);
	gw_put_be32(t->bhs + ISCSI_AT_ITT, 0x1234);
	gw_put_be16(t->bhs + ISCSI_AT_CID, 3);
	gw_put_be32(t->bhs + ISCSI_AT_CMDSN, 0xfffffffe);
	gw_put_be32(t->bhs + ISCSI_AT_EXPSTATSN, 77);
	return t;
}

/* After changes of t->w. */
static inline void
talk_open(struct talk *t)
{
	const struct iscsi_login_env env = {.model = &t->w.model,
					    .peer = t->w.peer,
					    .local = t->w.local,
					    .tpgt = t->w.portal.tpgt,
					    .max_recv_dsl = 262144};

	iscsi_login_init(&t->l, &env);
}

static inline void
talk_free(struct talk *t)
{
	iscsi_login_fini(&t->l);
	free(t);
}

/* Checks of the header that hold for every response. */
static inline void
talk_check_header(struct talk *t)
{
	const uint8_t *b = t->l.bhs;

	ck_assert_uint_eq(b[0], ISCSI_OP_LOGIN_RSP);
	ck_assert_uint_eq(b[ISCSI_AT_VERMAX] | b[ISCSI_AT_VERMIN], 0);
	ck_assert_uint_eq(gw_be24(b + ISCSI_AT_DSL), t->l.data_len);
	ck_assert_uint_le(t->l.data_len, ISCSI_LOGIN_DSL);
	ck_assert_mem_eq(b + ISCSI_AT_ISID, t->bhs + ISCSI_AT_ISID, 6);
	ck_assert_uint_eq(gw_be32(b + ISCSI_AT_ITT), 0x1234);
	ck_assert_uint_eq(gw_be32(b + ISCSI_AT_STATSN), 77 + t->responses++);
	ck_assert_uint_eq(gw_be32(b + ISCSI_AT_EXPCMDSN), 0xfffffffe);
}

/* One request of n bytes as they are. */
static inline void
talk_send_raw(struct talk *t, uint8_t flags, const void *data, uint32_t n)
{
	uint8_t *copy =
	    malloc(n ? n : 1); /* exactly as long, so that ASan sees what is read beyond */

	memcpy(copy, data, n);
	t->bhs[ISCSI_AT_FLAGS] = flags;
	gw_put_be24(t->bhs + ISCSI_AT_DSL, n);
	t->next = iscsi_login_rx(&t->l, t->bhs, copy, n);
	free(copy);
	t->flags = 0;
	t->status = 0xffff;
	t->answer[0] = '\0';
	if (t->next == ISCSI_LOGIN_GRANT) {
		ck_assert_int_eq(iscsi_login_granted(&t->l, ISCSI_LOGIN_OK, 0x4711, 0x1f),
				 ISCSI_LOGIN_MORE);
		ck_assert_uint_eq(gw_be16(t->l.bhs + ISCSI_AT_TSIH), 0x4711);
		ck_assert_uint_eq(gw_be32(t->l.bhs + ISCSI_AT_MAXCMDSN), 0x1f);
	}
	if (t->next == ISCSI_LOGIN_DROP)
		return;
	talk_check_header(t);
	t->flags = t->l.bhs[ISCSI_AT_FLAGS];
	t->status = gw_be16(t->l.bhs + ISCSI_AT_LOGIN_STATUS);
	if (t->l.data_len) {
		memcpy(t->answer, t->l.data, t->l.data_len);
		t->answer[t->l.data_len] = '\0';
		for (uint32_t i = 0; i + 1 < t->l.data_len; i++) {
			if (!t->answer[i])
				t->answer[i] = ' ';
		}
	}
}

/* keys: separated by spaces; the last is ended by a NUL unless the C bit is set. */
static inline void
talk_send(struct talk *t, uint8_t flags, const char *keys)
{
	size_t n = strlen(keys);
	char *text = malloc(n + 1);

	memcpy(text, keys, n + 1);
	for (size_t i = 0; i < n; i++) {
		if (text[i] == ' ')
			text[i] = '\0';
	}
	talk_send_raw(t, flags, text, (uint32_t)(n ? n + !(flags & ISCSI_TEXT_C) : 0));
	free(text);
}

/* "S", "S-O", "O+" …; *rest is what follows the blank. */
static inline uint8_t
talk_flags(const char *s, const char **rest)
{
	uint8_t flags = *s++ == 'S' ? 0 : 0x04;

	if (*s == '-') {
		flags |= ISCSI_LOGIN_T | (s[1] == 'O' ? 1 : 3);
		s += 2;
	} else if (*s == '+') {
		flags |= ISCSI_TEXT_C;
		s++;
	}
	*rest = *s == ' ' ? s + 1 : s;
	return flags;
}

static inline void
talk_run(struct talk *t, const char *name, const char *const *lines)
{
	const char *rest;

	for (; *lines; lines++) {
		const char *s = *lines + 2;

		if (**lines == '>') {
			uint8_t flags = talk_flags(s, &rest);

			talk_send(t, flags, rest);
		} else if (strncmp(s, "drop", 4) == 0) {
			ck_assert_msg(t->next == ISCSI_LOGIN_DROP, "%s: %s", name, *lines);
			ck_assert(t->l.why[0]);
		} else if (*s == '!') {
			ck_assert_msg(t->next == ISCSI_LOGIN_REFUSE, "%s: %s: got %s", name, *lines,
				      t->answer);
			ck_assert_msg(t->status == strtoul(s + 1, NULL, 16), "%s: %s: got %04x %s",
				      name, *lines, t->status, t->l.why);
			ck_assert_msg(strstr(t->l.why, s[5] ? s + 6 : "") != NULL, "%s: why: %s",
				      name, t->l.why);
			ck_assert(t->l.why[0] && t->l.data_len == 0);
		} else {
			uint8_t flags = talk_flags(s, &rest);

			ck_assert_msg(t->status == 0, "%s: %s: got %04x %s", name, *lines,
				      t->status, t->l.why);
			ck_assert_msg(t->flags == flags, "%s: %s: got flags %02x", name, *lines,
				      t->flags);
			ck_assert_msg(strcmp(t->answer, rest) == 0, "%s: %s\ngot:    %s", name,
				      *lines, t->answer);
		}
	}
}

#endif
