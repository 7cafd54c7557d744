/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/vm/raw/attack.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define QUIET_MS 1500  /* an answer, if there is to be one */
#define END_MS   90000 /* whatever a target waits for */

void
raw_note(struct raw_try *t, const char *fmt, ...)
{
	size_t n = strlen(t->said);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(t->said + n, sizeof(t->said) - n, fmt, ap);
	va_end(ap);
}

/* A few answers in words; a flood has many. */
static void
note_pdu(struct raw_try *t, const struct raw_pdu *p)
{
	if (strlen(t->said) > sizeof(t->said) / 2)
		return;
	if (p->opcode == RAW_REJECT)
		raw_note(t, " reject=%#x", p->response);
	else if (p->opcode == RAW_RESPONSE)
		raw_note(t, " status=%#x", p->status);
	else if (p->opcode == RAW_LOGIN_RSP)
		raw_note(t, " login=%#x", p->bhs[36] << 8 | p->bhs[37]);
	else
		raw_note(t, " opcode=%#x", p->opcode);
}

/* Until the end, the time, or an answer to itt: true if that came. */
static bool
listen_for(struct raw_try *t, struct raw_conn *c, uint32_t itt, unsigned ms)
{
	uint64_t until = raw_now_ms() + ms;
	enum raw_got got;

	while (!c->ended && (got = raw_step(c, until)) != RAW_NOTHING) {
		if (got != RAW_PDU)
			continue;
		note_pdu(t, &c->pdu);
		if (c->pdu.itt == itt || c->pdu.opcode == RAW_REJECT)
			return true;
	}
	return false;
}

static const char *
verdict(struct raw_try *t, struct raw_conn *c, uint32_t itt)
{
	bool answered = listen_for(t, c, itt, QUIET_MS);

	if (answered)
		(void)listen_for(t, c, RAW_NONE - 1, QUIET_MS / 3);
	if (!c->ended && !c->failed && raw_ping(c, QUIET_MS)) {
		if (!answered && itt != RAW_NONE && !listen_for(t, c, itt, END_MS) && !c->ended)
			raw_note(t, " unanswered");
		if (!c->ended)
			return "alive";
	}
	if (!c->ended)
		(void)listen_for(t, c, RAW_NONE - 1, END_MS);
	if (c->failed)
		raw_note(t, " failed=%d", c->failed);
	return c->ended ? "ended" : c->failed ? "broken" : "silent";
}

const char *
raw_verdict(struct raw_try *t, struct raw_conn *c, uint32_t itt)
{
	const char *word = verdict(t, c, itt);

	/* So that the log is about the attack alone. */
	if (!strcmp(word, "alive") && !raw_logout(c, END_MS))
		raw_note(t, " no logout");
	raw_close(c);
	return word;
}
