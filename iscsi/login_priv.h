/* SPDX-License-Identifier: BSD-3-Clause */
/* Between login.c (the stage machine) and login_who.c (names, access, authentication). */
#ifndef ISCSI_LOGIN_PRIV_H
#define ISCSI_LOGIN_PRIV_H

#include <stdio.h>

#include "iscsi/login.h"

/* Ends a step with a status and its reason. */
#define LOGIN_FAIL(l, status, ...)                                                                 \
	({                                                                                         \
		snprintf((l)->why, sizeof((l)->why), __VA_ARGS__);                                 \
		(enum iscsi_login_status)(status);                                                 \
	})

/* The first step: who wants to log in, and to what (RFC 7143 6.3.1). */
enum iscsi_login_status iscsi_login_identify(struct iscsi_login *l,
					     const struct iscsi_keyset *set);
/*
 * Looks the target up in the current model and checks that the initiator may (still) log in to it.
 * Each step, as the model may change during a login.
 */
enum iscsi_login_status iscsi_login_admit(struct iscsi_login *l);
/* AuthMethod and its keys (12.1). */
enum iscsi_login_status iscsi_login_security(struct iscsi_login *l,
					     const struct iscsi_keyset *set,
					     struct iscsi_text_out *out);
/* True if nothing is left to prove. */
bool iscsi_login_authentic(const struct iscsi_login *l);

#endif
