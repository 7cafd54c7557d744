/* SPDX-License-Identifier: BSD-3-Clause */
#include <arpa/inet.h>
#include <string.h>

#include "gateway/model/model_priv.h"
#include "tests/unit/base/suite.h"

static struct sockaddr_storage
addr(const char *text)
{
	struct sockaddr_storage ss = {0};
	struct sockaddr_in *in = (struct sockaddr_in *)&ss;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&ss;

	if (strchr(text, ':')) {
		in6->sin6_family = AF_INET6;
		ck_assert_int_eq(inet_pton(AF_INET6, text, &in6->sin6_addr), 1);
	} else {
		in->sin_family = AF_INET;
		ck_assert_int_eq(inet_pton(AF_INET, text, &in->sin_addr), 1);
	}
	return ss;
}

START_TEST(test_parse)
{
	static const struct {
		const char *text;
		bool ok;
		int family, prefix;
	} row[] = {
	    {"ALL", true, 0, 0},
	    {"all", false, 0, 0},
	    {"", false, 0, 0},
	    {"192.0.2.1", true, AF_INET, 32},
	    {"192.0.2.0/24", true, AF_INET, 24},
	    {"0.0.0.0/0", true, AF_INET, 0},
	    {"192.0.2.0/33", false, 0, 0},
	    {"192.0.2.0/", false, 0, 0},
	    {"192.0.2.0/+4", false, 0, 0},
	    {"192.0.2.0/0x8", false, 0, 0},
	    {"192.0.2.0/24 ", false, 0, 0},
	    {"192.0.2", false, 0, 0},
	    {"192.0.2.256", false, 0, 0},
	    {"[192.0.2.1]", false, 0, 0},
	    {"2001:db8::1", true, AF_INET6, 128},
	    {"[2001:db8::]/32", true, AF_INET6, 32},
	    {"2001:db8::/32", true, AF_INET6, 32},
	    {"[2001:db8::/32]", false, 0, 0},
	    {"[2001:db8::]/129", false, 0, 0},
	    {"[2001:db8::", false, 0, 0},
	    {"[]", false, 0, 0},
	    {"host.example", false, 0, 0},
	    {"2001:db8:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000/32", false, 0, 0},
	};

	for (size_t i = 0; i < GW_ARRAY_LEN(row); i++) {
		struct gw_acl acl;

		ck_assert_msg(gw_acl_parse_addr(&acl, row[i].text) == row[i].ok, "%s", row[i].text);
		if (row[i].ok && row[i].family) {
			ck_assert_int_eq(acl.family, row[i].family);
			ck_assert_int_eq(acl.prefix, row[i].prefix);
		}
	}
}
END_TEST

START_TEST(test_admits)
{
	static const struct {
		const char *addr_rule, *name_rule, *peer, *name;
		bool ok;
	} row[] = {
	    {NULL, NULL, "192.0.2.1", "iqn.a:b", false},
	    {"ALL", NULL, "192.0.2.1", "iqn.a:b", true},
	    {"ALL", NULL, "2001:db8::1", "iqn.a:b", true},
	    {"192.0.2.0/24", NULL, "192.0.2.255", "iqn.a:b", true},
	    {"192.0.2.0/24", NULL, "192.0.3.1", "iqn.a:b", false},
	    {"192.0.2.8/29", NULL, "192.0.2.15", "iqn.a:b", true},
	    {"192.0.2.8/29", NULL, "192.0.2.16", "iqn.a:b", false},
	    {"0.0.0.0/0", NULL, "203.0.113.7", "iqn.a:b", true},
	    {"0.0.0.0/0", NULL, "2001:db8::1", "iqn.a:b", false},
	    {"192.0.2.0/24", NULL, "::ffff:192.0.2.7", "iqn.a:b", true},
	    {"192.0.2.0/24", NULL, "::ffff:192.0.3.7", "iqn.a:b", false},
	    {"::ffff:192.0.2.7", NULL, "::ffff:192.0.2.7", "iqn.a:b", true},
	    {"[2001:db8::]/33", NULL, "2001:db8:7fff::1", "iqn.a:b", true},
	    {"[2001:db8::]/33", NULL, "2001:db8:8000::1", "iqn.a:b", false},
	    {NULL, "iqn.a:b", "192.0.2.1", "IQN.A:B", true},
	    {NULL, "iqn.a:b", "192.0.2.1", "iqn.a:bc", false},
	    {NULL, "iqn.a:*", "192.0.2.1", "iqn.a:", true},
	    {NULL, "iqn.a:*", "192.0.2.1", "iqn.a:x:y", true},
	    {NULL, "iqn.*:b", "192.0.2.1", "iqn.x:b:b", true},
	    {NULL, "iqn.*:b", "192.0.2.1", "iqn.x:bc", false},
	    {NULL, "iqn.?:b", "192.0.2.1", "iqn.z:b", true},
	    {NULL, "iqn.?:b", "192.0.2.1", "iqn.:b", false},
	    {NULL, "*a*a*a*a*a*a*b", "192.0.2.1", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false},
	    /* Either kind is enough. */
	    {"192.0.2.0/24", "iqn.a:b", "203.0.113.7", "iqn.a:b", true},
	    {"192.0.2.0/24", "iqn.a:b", "192.0.2.7", "iqn.other:b", true},
	    {"192.0.2.0/24", "iqn.a:b", "203.0.113.7", "iqn.other:b", false},
	};

	for (size_t i = 0; i < GW_ARRAY_LEN(row); i++) {
		struct sockaddr_storage ss = addr(row[i].peer);
		struct gw_acl acl[2];
		struct gw_target t = {.acl = acl};

		memset(acl, 0, sizeof(acl));
		if (row[i].addr_rule)
			ck_assert(gw_acl_parse_addr(&acl[t.nacl++], row[i].addr_rule));
		if (row[i].name_rule) {
			acl[t.nacl].kind = GW_ACL_NAME;
			strcpy(acl[t.nacl++].name, row[i].name_rule);
		}
		ck_assert_msg(gw_acl_admits(&t, row[i].name, (struct sockaddr *)&ss) == row[i].ok,
			      "row %zu: %s %s", i, row[i].peer, row[i].name);
	}
}
END_TEST

START_TEST(test_name_too_long_is_nobody)
{
	struct sockaddr_storage ss = addr("192.0.2.1");
	struct gw_acl acl = {.kind = GW_ACL_NAME, .name = "*"};
	struct gw_target t = {.acl = &acl, .nacl = 1};
	char name[GW_NAME_MAX + 2];

	memset(name, 'a', sizeof(name));
	name[GW_NAME_MAX + 1] = '\0';
	ck_assert(!gw_acl_admits(&t, name, (struct sockaddr *)&ss));
	name[GW_NAME_MAX] = '\0';
	ck_assert(gw_acl_admits(&t, name, (struct sockaddr *)&ss));
}
END_TEST

SUITE("acl", test_parse, test_admits, test_name_too_long_is_nobody)
