/* SPDX-License-Identifier: BSD-3-Clause */
#include "iscsi/name.h"

#include <arpa/inet.h>
#include <string.h>

#include "gateway/base/str.h"

/*
 * RFC 7143 4.2.7.2 allows letters, digits, '.', '-' and ':' of ASCII. The others are in use all the
 * same (host names with '_', volume paths) and do no harm; ',' would break TransportIDs (SPC).
 */
static bool
name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c && strchr(".-:_+@/", c));
}

bool
iscsi_name_copy(char dst[GW_NAME_MAX + 1], const char *src)
{
	size_t n = 0;

	for (; src[n] && n < GW_NAME_MAX; n++) {
		dst[n] = src[n] >= 'A' && src[n] <= 'Z' ? (char)(src[n] + 'a' - 'A') : src[n];
		if (!name_char(dst[n]))
			break;
	}
	dst[n] = '\0';
	if (n > 0 && !src[n])
		return true;
	dst[0] = '\0';
	return false;
}

bool
iscsi_name_typed(const char *name)
{
	size_t n = strlen(name), hex;

	if (strncmp(name, "iqn.", 4) == 0)
		return n > 4;
	if (n < 4)
		return false;
	hex = strspn(name + 4, "0123456789abcdef");
	if (hex != n - 4)
		return false;
	return (strncmp(name, "eui.", 4) == 0 && hex == 16) ||
	       (strncmp(name, "naa.", 4) == 0 && (hex == 16 || hex == 32));
}

/* The IPv4 address within, NULL if there is none. */
static const void *
ipv4_of(const struct sockaddr_storage *ss)
{
	const struct sockaddr_in6 *in6 = (const void *)ss;

	if (ss->ss_family == AF_INET)
		return &((const struct sockaddr_in *)(const void *)ss)->sin_addr;
	if (ss->ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
		return &in6->sin6_addr.s6_addr[12];
	return NULL;
}

int
iscsi_addr_family(const struct sockaddr_storage *ss)
{
	return ipv4_of(ss) ? AF_INET : ss->ss_family == AF_INET6 ? AF_INET6 : 0;
}

void
iscsi_addr_text(const struct sockaddr_storage *ss, char dst[INET6_ADDRSTRLEN])
{
	const struct sockaddr_in6 *in6 = (const void *)ss;
	const void *ipv4 = ipv4_of(ss);

	if (ipv4)
		inet_ntop(AF_INET, ipv4, dst, INET6_ADDRSTRLEN);
	else if (ss->ss_family == AF_INET6)
		inet_ntop(AF_INET6, &in6->sin6_addr, dst, INET6_ADDRSTRLEN);
	else
		gw_str_copy(dst, INET6_ADDRSTRLEN, "?");
}
