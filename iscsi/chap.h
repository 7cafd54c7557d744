/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * CHAP (RFC 7143 12.1.3, RFC 1994) of a target: one-way, and mutual when the initiator asks for it.
 * Text in, text out; no state beyond struct iscsi_chap, no secret kept after a step.
 */
#ifndef ISCSI_CHAP_H
#define ISCSI_CHAP_H

#include "gateway/api/model.h"
#include "iscsi/keys.h"

#define ISCSI_CHAP_HASH_MAX 32 /* bytes of the longest hash, and of its challenge */

enum iscsi_chap_state { ISCSI_CHAP_IDLE, ISCSI_CHAP_CHALLENGED, ISCSI_CHAP_DONE };

struct iscsi_chap {
	uint8_t state, alg, id;
	uint8_t challenge[ISCSI_CHAP_HASH_MAX]; /* as long as the hash of alg */
};

/* Who may come in, and what we prove ourselves with. */
struct iscsi_chap_accounts {
	const struct gw_account *const *in;
	uint32_t nin;
	const struct gw_account *out; /* NULL: no mutual authentication */
	uint32_t mask;		      /* bit n: algorithm n is allowed */
};

/*
 * One step: the CHAP_ keys of `set`. On ISCSI_LOGIN_OK the answer is in out (nothing, if there were no
 * such keys), and chap->state tells whether the initiator is authenticated now. Anything else ends the
 * login; why has the reason for the log.
 */
enum iscsi_login_status iscsi_chap_step(struct iscsi_chap *chap,
					const struct iscsi_chap_accounts *accounts,
					const struct iscsi_keyset *set, struct iscsi_text_out *out,
					char *why, size_t why_size);

/* One-time check of the host's crypto library: the bit mask of CHAP algorithms it offers. Any thread. */
uint32_t iscsi_chap_available(void);

/* Bytes of the hash of an algorithm, 0 if it is none of ours. */
unsigned iscsi_chap_hash_len(unsigned alg);

#endif
