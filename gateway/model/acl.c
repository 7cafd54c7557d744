/* SPDX-License-Identifier: BSD-3-Clause */
#include <arpa/inet.h>
#include <string.h>

#include "gateway/base/str.h"
#include "gateway/model/model_priv.h"

/* Shell-like match of '*' and '?', in time linear in both for one star and bounded for many. */
bool
gw_name_matches(const char *pat, const char *s)
{
	const char *star = NULL, *resume = NULL;

	while (*s) {
		if (*pat == '*') {
			star = pat++;
			resume = s;
		} else if (*pat == '?' || *pat == *s) {
			pat++;
			s++;
		} else if (star) {
			/* Let the last star swallow one more byte; earlier stars never need to. */
			pat = star + 1;
			s = ++resume;
		} else {
			return false;
		}
	}
	while (*pat == '*')
		pat++;
	return *pat == '\0';
}

static bool
prefix_equal(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	unsigned bytes = bits / 8, rest = bits % 8;

	if (memcmp(a, b, bytes) != 0)
		return false;
	return rest == 0 || ((a[bytes] ^ b[bytes]) & (uint8_t)(0xff00u >> rest)) == 0;
}

/* A peer's address in up to two forms: an IPv4-mapped one (RFC 4291 2.5.5.2) is an IPv4 host too.
 */
struct peer_addr {
	const uint8_t *v4, *v6;
};

static struct peer_addr
peer_addr(const struct sockaddr *sa)
{
	struct peer_addr p = {0};

	if (sa->sa_family == AF_INET) {
		p.v4 = (const uint8_t *)&((const struct sockaddr_in *)(const void *)sa)->sin_addr;
	} else if (sa->sa_family == AF_INET6) {
		const struct in6_addr *a =
		    &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr;

		p.v6 = a->s6_addr;
		if (IN6_IS_ADDR_V4MAPPED(a))
			p.v4 = a->s6_addr + 12;
	}
	return p;
}

static bool
addr_admits(const struct gw_acl *acl, struct peer_addr p)
{
	const uint8_t *a = acl->family == AF_INET ? p.v4 : p.v6;

	return a && prefix_equal(acl->addr, a, acl->prefix);
}

bool
gw_acl_admits(const struct gw_target *t, const char *initiator, const struct sockaddr *peer)
{
	struct peer_addr p = peer_addr(peer);
	char name[GW_NAME_MAX + 1];

	if (!gw_name_normal(name, initiator))
		return false;
	for (uint32_t i = 0; i < t->nacl; i++) {
		const struct gw_acl *acl = &t->acl[i];

		switch (acl->kind) {
		case GW_ACL_ALL:
			return true;
		case GW_ACL_ADDR:
			if (addr_admits(acl, p))
				return true;
			break;
		case GW_ACL_NAME:
			if (gw_name_matches(acl->name, name))
				return true;
			break;
		}
	}
	return false;
}

/* Decimal without sign, at most max. */
static bool
parse_prefix(const char *text, unsigned max, uint8_t *out)
{
	uint64_t v;

	if (strspn(text, "0123456789") != strlen(text) || !gw_str_u64(text, &v) || v > max)
		return false;
	*out = (uint8_t)v;
	return true;
}

bool
gw_acl_parse_addr(struct gw_acl *acl, const char *text)
{
	char host[INET6_ADDRSTRLEN + 2], *h = host;
	const char *slash = strchr(text, '/');
	size_t n = slash ? (size_t)(slash - text) : strlen(text);

	memset(acl, 0, sizeof(*acl));
	if (strcmp(text, "ALL") == 0) {
		acl->kind = GW_ACL_ALL;
		return true;
	}
	if (n == 0 || n >= sizeof(host))
		return false;
	memcpy(host, text, n);
	host[n] = '\0';
	if (host[0] == '[') {
		if (n < 3 || host[n - 1] != ']' || !strchr(host, ':'))
			return false;
		host[n - 1] = '\0';
		h++;
	}
	acl->kind = GW_ACL_ADDR;
	acl->family = strchr(h, ':') ? AF_INET6 : AF_INET;
	acl->prefix = acl->family == AF_INET6 ? 128 : 32;
	if (inet_pton(acl->family, h, acl->addr) != 1)
		return false;
	return !slash || parse_prefix(slash + 1, acl->prefix, &acl->prefix);
}
