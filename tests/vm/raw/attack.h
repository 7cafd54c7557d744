/* SPDX-License-Identifier: BSD-3-Clause */
/* Things that no initiator does, by name. Each says what became of the connection. */
#ifndef RAW_ATTACK_H
#define RAW_ATTACK_H

#include "tests/vm/raw/raw.h"

#define RAW_KEYS_MAX 64

struct raw_try {
	const struct raw_where *where;
	const void *how; /* of the attack */
	char said[512];  /* words of the outcome, after the first */
	/* Of the target's memory, as far as the test knows it. */
	uint32_t keys[RAW_KEYS_MAX];
	uint64_t places[RAW_KEYS_MAX];
	unsigned nkey, nplace;
};

struct raw_attack {
	const char *name;
	/* Returns the first word of the outcome, a constant. */
	const char *(*run)(struct raw_try *t);
	const void *how;
};

extern const struct raw_attack raw_attacks_shape[], raw_attacks_login[], raw_attacks_memory[],
    raw_attacks_order[], raw_attacks_life[];

void raw_note(struct raw_try *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * Waits for what the target makes of it, and frees the connection:
 *   ended   the target has disconnected
 *   alive   it has not, and answers a ping; "unanswered" if the command with this tag was not
 *   silent  it does neither
 *   broken  our own queue pair has failed, and the target has not disconnected
 */
const char *raw_verdict(struct raw_try *t, struct raw_conn *c, uint32_t itt);

#endif
