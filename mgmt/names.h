/* SPDX-License-Identifier: BSD-3-Clause */
/* What may be a name, an address, a portal; and identities for new LUNs. */
#ifndef MGMT_NAMES_H
#define MGMT_NAMES_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define MGMT_NAME_MAX    223 /* bytes of an iSCSI name (RFC 7143 4.2.7.1) */
#define MGMT_ACCOUNT_MAX 255
#define MGMT_LUN_MAX     16383

/* Every address of both families. */
#define MGMT_DEFAULT_PORTAL "[::]:3260"

struct mgmt_addr {
	char host[64]; /* numeric, as getaddrinfo(3) takes it */
	uint16_t port;
	bool iser;    /* over RDMA, which has ports of its own */
	char key[96]; /* "portal:192.0.2.1:3260", "portal:[::]:3260", "portal:[::]:3260/iser" */
};

/* As tgt: letters, digits, '.', ':' and '-'; 1 to 223 bytes. */
bool mgmt_name_ok(const char *s);
/* An initiator name for an access rule: also '*' and '?'. */
bool mgmt_initiator_ok(const char *s);
/* Account names and secrets: 1 to 255 printable bytes, no comma. */
bool mgmt_account_ok(const char *s);
/* "ALL", "192.0.2.1", "192.0.2.0/24", "2001:db8::1", "[2001:db8::]/32". */
bool mgmt_acl_ok(const char *s);

/* "ADDR", "ADDR:PORT", "[ADDR6]", "[ADDR6]:PORT"; port 3260 if not given. Over TCP. */
bool mgmt_portal_parse(const char *s, struct mgmt_addr *a);
/* The same address over TCP or iSER: another portal, another key. */
void mgmt_portal_over(struct mgmt_addr *a, bool iser);
/* Is an object a portal over iSER? */
bool mgmt_portal_iser(const json_t *object);
/* New portal object for the gateway, of portal group `tpgt`; advertise may be NULL. */
json_t *mgmt_portal_object(const struct mgmt_addr *a, unsigned tpgt, const char *advertise);

/*
 * A random NAA identifier of type 6 (SPC-4 7.8.6.6.5) as 32 hex digits: the company id is a locally
 * administered one, the other 100 bits are from the system's random source. False if that failed.
 */
bool mgmt_naa_new(char naa[33]);

#endif
