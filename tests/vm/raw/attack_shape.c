/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages of a wrong shape, in place of the login and after it. */
#include "tests/vm/raw/attack.h"

#include <string.h>

#define KEYS_MAX 4096
#define WHOLE    -1

struct shape {
	int send;     /* so many bytes of it; WHOLE: as many as there are */
	uint32_t len; /* of the data segment; 0: what it is */
	uint32_t dsl; /* what the header says of it; 0: the truth */
	uint8_t iser, ahs;
};

static const struct shape nothing = {0};
static const struct shape one_byte = {.send = 1};
static const struct shape no_iser_header = {.send = RAW_ISER - 1};
static const struct shape iser_header_alone = {.send = RAW_ISER};
static const struct shape no_header = {.send = RAW_HEAD - 1};
static const struct shape dsl_lies = {.send = RAW_HEAD + 4, .dsl = 8192};
static const struct shape dsl_lies_much = {.send = WHOLE, .dsl = 0xffffff};
static const struct shape ahs_lies = {.send = WHOLE, .ahs = 0xff};
static const struct shape hello = {.send = RAW_ISER, .iser = 0x20};
static const struct shape long_hello = {.send = WHOLE, .iser = 0x2f};
static const struct shape hello_reply = {.send = RAW_ISER, .iser = 0x30};
static const struct shape opcode_0 = {.send = WHOLE, .iser = 0x0c};
static const struct shape opcode_15 = {.send = WHOLE, .iser = 0xff};
static const struct shape one_too_long = {.send = WHOLE, .len = 8193};
static const struct shape too_long = {.send = WHOLE, .len = 8192 + 4096};
static const struct shape much_too_long = {.send = WHOLE, .len = RAW_SEND_SLOT - RAW_HEAD};

static uint8_t long_data[RAW_SEND_SLOT];

static bool
send_shape(struct raw_conn *c, struct raw_msg m, const struct shape *s)
{
	uint8_t p[RAW_SEND_SLOT];
	uint32_t n;

	if (s->len) {
		memcpy(long_data, m.data, m.len);
		m.data = long_data;
		m.len = s->len;
	}
	m.iser = s->iser;
	m.ahs_words = s->ahs;
	m.lie = s->dsl;
	m.dsl = s->dsl;
	n = raw_msg_put(c, &m, p);
	if (s->send != WHOLE && (uint32_t)s->send < n)
		n = (uint32_t)s->send;
	return raw_send(c, p, n);
}

static const char *
as_login(struct raw_try *t)
{
	struct raw_conn *c = raw_new();
	char text[KEYS_MAX];
	uint32_t n = raw_login_keys(t->where, "", text, sizeof(text));

	if (!raw_connect(c, t->where)) {
		raw_drop(c);
		return "refused";
	}
	c->cmdsn = 1;
	if (!send_shape(c, raw_login_msg(c, text, n), t->how))
		raw_note(t, " unsent");
	return raw_verdict(t, c, RAW_NONE);
}

static const char *
after_login(struct raw_try *t)
{
	struct raw_conn *c = raw_attach(t->where, "");
	struct raw_msg m;

	if (!c)
		return "refused";
	m = raw_nop(c);
	m.data = "sixteen letters.";
	m.len = 16;
	if (!send_shape(c, m, t->how))
		raw_note(t, " unsent");
	return raw_verdict(t, c, RAW_NONE);
}

/* clang-format off */
#define BOTH(s) {"login_" #s, as_login, &s}, {"later_" #s, after_login, &s}

const struct raw_attack raw_attacks_shape[] = {
	BOTH(nothing),
	BOTH(one_byte),
	BOTH(no_iser_header),
	BOTH(iser_header_alone),
	BOTH(no_header),
	BOTH(dsl_lies),
	BOTH(dsl_lies_much),
	BOTH(ahs_lies),
	BOTH(hello),
	BOTH(long_hello),
	BOTH(hello_reply),
	BOTH(opcode_0),
	BOTH(opcode_15),
	BOTH(one_too_long),
	BOTH(too_long),
	BOTH(much_too_long),
	{0}
};
/* clang-format on */
