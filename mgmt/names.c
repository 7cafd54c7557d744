/* SPDX-License-Identifier: BSD-3-Clause */
#include "mgmt/names.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "gateway/base/str.h"
#include "mgmt/model.h"

/* Locally administered (bit 1 of the first byte), so that it is no company's. */
#define COMPANY "024c47"

static bool
name_chars(const char *s, const char *also, size_t max)
{
	size_t n = strlen(s);

	if (!n || n > max)
		return false;
	for (; *s; s++) {
		if (!isalnum((unsigned char)*s) && !strchr(also, *s))
			return false;
	}
	return true;
}

bool
mgmt_name_ok(const char *s)
{
	return name_chars(s, ":.-", MGMT_NAME_MAX);
}

bool
mgmt_initiator_ok(const char *s)
{
	return name_chars(s, ":.-_*?", MGMT_NAME_MAX);
}

bool
mgmt_account_ok(const char *s)
{
	size_t n = strlen(s);

	if (!n || n > MGMT_ACCOUNT_MAX)
		return false;
	for (; *s; s++) {
		if (!isgraph((unsigned char)*s) || *s == ',')
			return false;
	}
	return true;
}

/* Splits "[ADDR6]rest" or "ADDRrest" at the closing bracket or the first of `stops`. */
static bool
addr_split(const char *s, char stop, char *host, size_t size, const char **rest)
{
	const char *end;
	size_t n;

	if (*s == '[') {
		end = strchr(++s, ']');
		if (!end)
			return false;
		*rest = end + 1;
	} else {
		end = strchr(s, stop);
		if (!end)
			end = s + strlen(s);
		*rest = end;
	}
	n = (size_t)(end - s);
	if (!n || n >= size)
		return false;
	memcpy(host, s, n);
	host[n] = '\0';
	return true;
}

bool
mgmt_acl_ok(const char *s)
{
	char host[64];
	const char *rest;
	uint8_t raw[16];
	uint64_t bits;
	bool six;

	if (!strcmp(s, "ALL"))
		return true;
	if (!addr_split(s, '/', host, sizeof(host), &rest))
		return false;
	six = inet_pton(AF_INET6, host, raw) == 1;
	if (!six && (*s == '[' || inet_pton(AF_INET, host, raw) != 1))
		return false;
	if (!*rest)
		return true;
	return *rest == '/' && gw_str_u64(rest + 1, &bits) && bits <= (six ? 128 : 32);
}

/* One spelling for each address, or one portal could be stored, and refused, under two keys. */
static void
host_normal(char *host, size_t size, bool six)
{
	int af = six ? AF_INET6 : AF_INET;
	uint8_t raw[16];

	if (inet_pton(af, host, raw) == 1)
		(void)inet_ntop(af, raw, host, (socklen_t)size);
}

bool
mgmt_portal_parse(const char *s, struct mgmt_addr *a)
{
	const char *rest;
	uint8_t raw[16];
	uint64_t port = 3260;
	bool six = *s == '[';

	/* A bare IPv6 address has more than one colon, and no port. */
	if (!six && strchr(s, ':') != strrchr(s, ':')) {
		if (!gw_str_copy(a->host, sizeof(a->host), s))
			return false;
		rest = "";
		six = true;
	} else if (!addr_split(s, ':', a->host, sizeof(a->host), &rest)) {
		return false;
	}
	/* No zone ("%eth0"): the gateway listens on no address that needs one. */
	if (inet_pton(six ? AF_INET6 : AF_INET, a->host, raw) != 1)
		return false;
	if (*rest && (*rest != ':' || !gw_str_u64(rest + 1, &port)))
		return false;
	if (!port || port > UINT16_MAX)
		return false;
	host_normal(a->host, sizeof(a->host), six);
	a->port = (uint16_t)port;
	mgmt_portal_over(a, false);
	return true;
}

void
mgmt_portal_over(struct mgmt_addr *a, bool iser)
{
	bool six = strchr(a->host, ':') != NULL;

	a->iser = iser;
	snprintf(a->key, sizeof(a->key), "portal:%s%s%s:%u%s", six ? "[" : "", a->host,
		 six ? "]" : "", a->port, iser ? "/iser" : "");
}

bool
mgmt_portal_iser(const json_t *object)
{
	return !strcmp(mgmt_str(object, "transport", "tcp"), "iser");
}

json_t *
mgmt_portal_object(const struct mgmt_addr *a, unsigned tpgt, const char *advertise)
{
	return json_pack("{s:s,s:s,s:i,s:i,s:s?,s:s*}", "key", a->key, "host", a->host, "port",
			 (int)a->port, "tpgt", (int)tpgt, "advertise", advertise, "transport",
			 a->iser ? "iser" : NULL);
}

bool
mgmt_naa_new(char naa[33])
{
	uint8_t raw[13];
	char hex[27];

	if (getrandom(raw, sizeof(raw), 0) != (ssize_t)sizeof(raw))
		return false;
	gw_str_hex(hex, raw, sizeof(raw));
	snprintf(naa, 33, "6" COMPANY "%.25s", hex);
	return true;
}
