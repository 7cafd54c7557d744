/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "gateway/control/conf_json.h"
#include "tests/unit/base/suite.h"

static struct gw_conf_change chg;
static struct gw_conf_err err;

static bool
read_text(const char *text)
{
	json_error_t where;
	json_t *j = json_loads(text, JSON_REJECT_DUPLICATES, &where);
	bool ok;

	ck_assert_msg(j != NULL, "%s: %s", where.text, text);
	ok = gw_conf_json_read(j, &chg, &err);
	json_decref(j);
	return ok;
}

#define LUN_HEAD                      \
	"{\"set\":[{\"key\":\"lun:1/" \
	"1\",\"tid\":1,\"lun\":1,\"naa\":\"60000000000000000000000000000001\""
#define TGT_HEAD "{\"set\":[{\"key\":\"target:1\",\"tid\":1,\"iqn\":\"iqn.a:b\""
/* The end of a target with one map; a map with one entry. */
#define MAPS(map)   ",\"maps\":[" map "]}]}"
#define LUNS(entry) "{\"name\":\"a\",\"luns\":[[" entry "]]}"

START_TEST(test_defaults)
{
	const struct gw_conf_target *t;
	const struct gw_conf_lun *l;

	ck_assert(read_text(
	    TGT_HEAD "},{\"key\":\"lun:1/1\",\"tid\":1,\"lun\":1,"
		     "\"naa\":\"60000000000000000000000000000001\"},"
		     "{\"key\":\"portal:[::]:3260\",\"host\":\"::\"},{\"key\":\"system\"}]}"));
	t = &chg.target[0];
	l = &chg.lun[0];
	ck_assert(!chg.full && !chg.force && t->ready);
	ck_assert_uint_eq(t->params.max_burst, 262144);
	ck_assert_uint_eq(t->params.queue_depth, 128);
	ck_assert_uint_eq(t->params.header_digest, 3);
	ck_assert_uint_eq(t->nacl, 0);
	ck_assert_uint_eq(t->nalua, 0);
	ck_assert_str_eq(l->bstype, "none");
	ck_assert_ptr_nonnull(l->kv);
	ck_assert_ptr_null(l->kv[0]);
	ck_assert_uint_eq(l->scsi.block_size, 512);
	ck_assert_uint_eq(l->scsi.lbppbe, 0xff);
	ck_assert(l->scsi.online && l->scsi.write_cache);
	ck_assert_str_eq(l->scsi.vendor, "LICHGATE");
	ck_assert_uint_eq(chg.portal[0].port, 3260);
	ck_assert_uint_eq(chg.system->chap_mask, 0x1e0);
	ck_assert_uint_eq(chg.system->login_timeout_ms, 15000);
	gw_conf_json_free(&chg);
}
END_TEST

START_TEST(test_everything_set)
{
	ck_assert(read_text(
	    "{\"full\":true,\"force\":true,\"set\":["
	    "{\"key\":\"system\",\"ready\":false,\"chap\":[7],\"login_timeout\":30,"
	    "\"discovery_in\":[\"u\"],\"discovery_out\":null},"
	    "{\"key\":\"portal:192.0.2.1:3261\",\"host\":\"192.0.2.1\",\"port\":3261,\"tpgt\":2,"
	    "\"advertise\":\"gw:1\"},"
	    "{\"key\":\"account:u\",\"name\":\"u\",\"secret\":\"s\"},"
	    "{\"key\":\"target:1\",\"tid\":1,\"iqn\":\"iqn.a:b\",\"alias\":\"a\",\"ready\":false,"
	    "\"params\":{\"MaxRecvDataSegmentLength\":8192,\"HeaderDigest\":[\"CRC32C\"],"
	    "\"InitialR2T\":true,\"MaxQueueCmd\":32,\"nop_interval\":0},"
	    "\"acl\":[\"ALL\",\"192.0.2.0/24\",\"[2001:db8::]/32\"],\"acl_names\":[\"iqn.x:*\"],"
	    "\"in\":[\"u\"],\"out\":\"u\","
	    "\"alua\":[{\"tpgt\":7,\"state\":\"offline\"},"
	    "{\"state\":\"active-optimized\",\"preferred\":true,\"tpgt\":65535}]},"
	    "{\"key\":\"lun:1/0\",\"tid\":1,\"lun\":0,\"type\":\"cd\",\"bstype\":\"uring\","
	    "\"kv\":[\"path=/srv/x\",\"direct=1\"],\"block_size\":4096,\"lbppbe\":3,\"la_lba\":7,"
	    "\"naa\":\"6000000000000000000000000000000A\",\"scsi_id\":\"i\",\"serial\":\"s\","
	    "\"vendor\":\"v\",\"product\":\"p\",\"rev\":\"r\",\"removable\":true,\"readonly\":true,"
	    "\"online\":false,\"thin\":true,\"thin_threshold\":80,"
	    "\"sense_format\":1,\"swp\":true,\"write_cache\":false,"
	    "\"rotation_rate\":1,\"opt_xfer_gran\":8,\"opt_xfer_len\":64}],\"del\":[]}"));
	ck_assert(chg.full && chg.force);
	ck_assert_uint_eq(chg.portal[0].tpgt, 2);
	ck_assert_uint_eq(chg.target[0].nacl, 4);
	ck_assert_uint_eq(chg.target[0].params.header_digest, 2);
	ck_assert_uint_eq(chg.target[0].nalua, 2);
	ck_assert_uint_eq(chg.target[0].alua[0].tpgt, 7);
	ck_assert_uint_eq(chg.target[0].alua[0].state, SCSI_ACCESS_OFFLINE);
	ck_assert(!chg.target[0].alua[0].preferred);
	ck_assert_uint_eq(chg.target[0].alua[1].tpgt, 65535);
	ck_assert_uint_eq(chg.target[0].alua[1].state, SCSI_ACCESS_OPTIMIZED);
	ck_assert(chg.target[0].alua[1].preferred);
	ck_assert_str_eq(chg.lun[0].kv[1], "direct=1");
	ck_assert_int_eq(chg.lun[0].scsi.kind, SCSI_KIND_CD);
	ck_assert_uint_eq(chg.lun[0].scsi.naa[15], 0x0a);
	ck_assert(chg.lun[0].scsi.descriptor_sense);
	ck_assert_uint_eq(chg.lun[0].scsi.thin_threshold, 80);
	ck_assert_uint_eq(chg.system->chap_mask, 1u << 7);
	gw_conf_json_free(&chg);
}
END_TEST

START_TEST(test_portal_transport)
{
	ck_assert(
	    read_text("{\"set\":[{\"key\":\"portal:[::]:3260\",\"host\":\"::\"},"
		      "{\"key\":\"portal:[::1]:3260\",\"host\":\"::1\",\"transport\":\"tcp\"},"
		      "{\"key\":\"portal:[::]:3260/iser\",\"host\":\"::\",\"transport\":\"iser\"}],"
		      "\"del\":[\"portal:192.0.2.1:3260/iser\"]}"));
	ck_assert_uint_eq(chg.nportal, 3);
	ck_assert_int_eq(chg.portal[0].transport, GW_TRANSPORT_TCP);
	ck_assert_int_eq(chg.portal[1].transport, GW_TRANSPORT_TCP);
	ck_assert_int_eq(chg.portal[2].transport, GW_TRANSPORT_ISER);
	ck_assert_int_eq(chg.del[0].kind, GW_KEY_PORTAL);
	ck_assert_str_eq(chg.del[0].name, "192.0.2.1:3260/iser");
	gw_conf_json_free(&chg);
}
END_TEST

START_TEST(test_maps)
{
	const struct gw_conf_map *m;

	ck_assert(read_text(TGT_HEAD ",\"maps\":[{\"name\":\"iqn.x:a\",\"luns\":"
				     "[[0,16383,false],[16383,1,true]]},"
				     "{\"name\":\"iqn.x:*\",\"luns\":[]},"
				     "{\"all\":\"rw\",\"name\":\"b\"},"
				     "{\"name\":\"c\",\"all\":\"ro\"}]}]}"));
	ck_assert_uint_eq(chg.target[0].nmap, 4);
	m = chg.target[0].map;
	ck_assert_str_eq(m[0].name, "iqn.x:a");
	ck_assert_uint_eq(m[0].nlun, 2);
	ck_assert_uint_eq(m[0].lun[0].own, 0);
	ck_assert_uint_eq(m[0].lun[0].lun, 16383);
	ck_assert(!m[0].lun[0].ro && m[0].lun[1].ro && !m[0].all);
	ck_assert_uint_eq(m[0].lun[1].own, 16383);
	ck_assert(!m[1].all && m[1].nlun == 0);
	ck_assert(m[2].all && !m[2].ro && m[3].all && m[3].ro);
	gw_conf_json_free(&chg);
	ck_assert(read_text(TGT_HEAD ",\"maps\":[]}]}"));
	ck_assert_uint_eq(chg.target[0].nmap, 0);
	gw_conf_json_free(&chg);
}
END_TEST

START_TEST(test_del_keys)
{
	ck_assert(read_text(
	    "{\"del\":[\"lun:1/2\",\"target:3\",\"account:a:b/c\",\"portal:[::1]:3260\"]}"));
	ck_assert_uint_eq(chg.ndel, 4);
	ck_assert_int_eq(chg.del[0].kind, GW_KEY_LUN);
	ck_assert_uint_eq(chg.del[0].tid, 1);
	ck_assert_uint_eq(chg.del[0].lun, 2);
	ck_assert_str_eq(chg.del[2].name, "a:b/c");
	ck_assert_str_eq(chg.del[3].name, "[::1]:3260");
	gw_conf_json_free(&chg);
}
END_TEST

START_TEST(test_alua_has_an_end)
{
	char text[4096];
	int n = 0;

	for (unsigned count = GW_GROUPS_MAX; count <= GW_GROUPS_MAX + 1; count++) {
		n = snprintf(text, sizeof(text), TGT_HEAD ",\"alua\":[");
		for (unsigned i = 1; i <= count; i++)
			n += snprintf(text + n, sizeof(text) - (size_t)n,
				      "%s{\"tpgt\":%u,\"state\":\"standby\"}", i > 1 ? "," : "", i);
		snprintf(text + n, sizeof(text) - (size_t)n, "]}]}");
		if (count > GW_GROUPS_MAX) {
			ck_assert(!read_text(text));
			ck_assert_ptr_nonnull(strstr(err.text, "alua"));
			continue;
		}
		ck_assert(read_text(text));
		ck_assert_uint_eq(chg.target[0].nalua, GW_GROUPS_MAX);
		gw_conf_json_free(&chg);
	}
}
END_TEST

/* What is wrong, and what the sentence must name. */
START_TEST(test_refused)
{
	static const struct {
		const char *text, *key, *names;
		int tgt_err;
	} row[] = {
	    {"{\"fuul\":true}", "params", "fuul", 23},
	    {"{\"set\":[{\"key\":\"lun:1/1\",\"type\":\"tape\"}]}", "lun:1/1", "type", 17},
	    {"{\"full\":1}", "params", "full", 17},
	    {"{\"set\":{}}", "params", "set", 17},
	    {"{\"set\":[1]}", "set", "key", 17},
	    {"{\"set\":[{}]}", "set", "key", 17},
	    {"{\"set\":[{\"key\":1}]}", "set", "key", 17},
	    {"{\"set\":[{\"key\":\"disk:1\"}]}", "disk:1", "key", 17},
	    {"{\"set\":[{\"key\":\"target:\"}]}", "target:", "key", 17},
	    {"{\"set\":[{\"key\":\"target:1x\"}]}", "target:1x", "key", 17},
	    {"{\"set\":[{\"key\":\"target:99999999999\"}]}", "target:99999999999", "key", 17},
	    {"{\"set\":[{\"key\":\"lun:1\"}]}", "lun:1", "key", 17},
	    {"{\"set\":[{\"key\":\"lun:1/16384\"}]}", "lun:1/16384", "key", 17},
	    {"{\"set\":[{\"key\":\"target:2\",\"tid\":1,\"iqn\":\"iqn.a:b\"}]}", "target:2",
	     "target:1", 17},
	    {"{\"set\":[{\"key\":\"target:1\",\"tid\":1}]}", "target:1", "iqn", 17},
	    {"{\"set\":[{\"key\":\"target:1\",\"tid\":\"1\",\"iqn\":\"a\"}]}", "target:1", "tid",
	     17},
	    {"{\"set\":[{\"key\":\"target:1\",\"tid\":1.0,\"iqn\":\"a\"}]}", "target:1", "tid", 17},
	    {TGT_HEAD ",\"colour\":1}]}", "target:1", "colour", 23},
	    {TGT_HEAD ",\"params\":{\"MaxBurstLength\":511}}]}", "target:1", "MaxBurstLength", 17},
	    {TGT_HEAD ",\"params\":{\"Max\":512}}]}", "target:1", "Max", 23},
	    {TGT_HEAD ",\"params\":[]}]}", "target:1", "object", 17},
	    {TGT_HEAD ",\"params\":{\"HeaderDigest\":[]}}]}", "target:1", "HeaderDigest", 17},
	    {TGT_HEAD ",\"params\":{\"DataDigest\":[\"MD5\"]}}]}", "target:1", "DataDigest", 17},
	    {TGT_HEAD ",\"acl\":\"ALL\"}]}", "target:1", "acl", 17},
	    {TGT_HEAD ",\"acl\":[\"ALL\",\"example.com\"]}]}", "target:1", "example.com", 17},
	    {TGT_HEAD ",\"acl\":[1]}]}", "target:1", "acl", 17},
	    {TGT_HEAD ",\"acl_names\":[\"\"]}]}", "target:1", "acl_names", 17},
	    {TGT_HEAD MAPS("1"), "target:1", "object", 17},
	    {TGT_HEAD ",\"maps\":{}}]}", "target:1", "maps", 17},
	    {TGT_HEAD MAPS("{\"luns\":[]}"), "target:1", "name", 17},
	    {TGT_HEAD MAPS("{\"name\":\"a\"}"), "target:1", "one of", 17},
	    {TGT_HEAD MAPS("{\"name\":\"a\",\"luns\":[],\"all\":\"rw\"}"), "target:1", "one of",
	     17},
	    {TGT_HEAD MAPS("{\"name\":\"a\",\"all\":true}"), "target:1", "all", 17},
	    {TGT_HEAD MAPS("{\"name\":\"a\",\"all\":\"wo\"}"), "target:1", "all", 17},
	    {TGT_HEAD MAPS("{\"name\":\"a\",\"luns\":{}}"), "target:1", "luns", 17},
	    {TGT_HEAD MAPS("{\"name\":\"a\",\"luns\":[],\"ro\":true}"), "target:1", "ro", 23},
	    {TGT_HEAD MAPS(LUNS("0,1")), "target:1", "luns", 17},
	    {TGT_HEAD MAPS(LUNS("0,1,true,1")), "target:1", "luns", 17},
	    {TGT_HEAD MAPS(LUNS("0,1,1")), "target:1", "luns", 17},
	    {TGT_HEAD MAPS(LUNS("0,1.0,true")), "target:1", "luns", 17},
	    {TGT_HEAD MAPS(LUNS("-1,1,true")), "target:1", "luns", 17},
	    {TGT_HEAD MAPS(LUNS("0,16384,true")), "target:1", "luns", 17},
	    {TGT_HEAD MAPS(LUNS("16384,0,true")), "target:1", "luns", 17},
	    {TGT_HEAD ",\"in\":[\"a\",null]}]}", "target:1", "in", 17},
	    {TGT_HEAD ",\"out\":5}]}", "target:1", "out", 17},
	    {TGT_HEAD ",\"alua\":{}}]}", "target:1", "alua", 17},
	    {TGT_HEAD ",\"alua\":[{\"tpgt\":1}]}]}", "target:1", "state", 17},
	    {TGT_HEAD ",\"alua\":[{\"state\":\"standby\"}]}]}", "target:1", "tpgt", 17},
	    {TGT_HEAD ",\"alua\":[{\"tpgt\":0,\"state\":\"standby\"}]}]}", "target:1", "tpgt", 17},
	    {TGT_HEAD ",\"alua\":[{\"tpgt\":1,\"state\":\"stand\"}]}]}", "target:1", "state", 17},
	    {TGT_HEAD ",\"alua\":[{\"tpgt\":1,\"state\":2}]}]}", "target:1", "state", 17},
	    {TGT_HEAD ",\"alua\":[{\"tpgt\":1,\"colour\":2}]}]}", "target:1", "colour", 23},
	    {LUN_HEAD ",\"lbppbe\":16}]}", "lun:1/1", "lbppbe", 17},
	    {LUN_HEAD ",\"block_size\":-1}]}", "lun:1/1", "block_size", 17},
	    {LUN_HEAD ",\"kv\":[\"path\"]}]}", "lun:1/1", "path", 17},
	    {LUN_HEAD ",\"kv\":[\"=x\"]}]}", "lun:1/1", "=x", 17},
	    {LUN_HEAD ",\"vendor\":\"NINECHARS\"}]}", "lun:1/1", "vendor", 17},
	    {LUN_HEAD ",\"online\":0}]}", "lun:1/1", "online", 17},
	    {LUN_HEAD ",\"sense_format\":2}]}", "lun:1/1", "sense_format", 17},
	    {"{\"set\":[{\"key\":\"lun:1/1\",\"tid\":1,\"lun\":1}]}", "lun:1/1", "naa", 17},
	    {"{\"set\":[{\"key\":\"lun:1/1\",\"tid\":1,\"lun\":1,\"naa\":\"60\"}]}", "lun:1/1",
	     "naa", 17},
	    {"{\"set\":[{\"key\":\"system\",\"chap\":[4]}]}", "system", "chap", 17},
	    {"{\"set\":[{\"key\":\"system\",\"login_timeout\":0}]}", "system", "login_timeout", 17},
	    {"{\"set\":[{\"key\":\"system\"},{\"key\":\"system\"}]}", "system", "twice", 17},
	    {"{\"set\":[{\"key\":\"portal:[::]:3261\",\"host\":\"::\"}]}", "portal:[::]:3261",
	     "3260", 17},
	    {"{\"set\":[{\"key\":\"portal:x\",\"host\":\"x\",\"port\":65536}]}", "portal:x", "port",
	     17},
	    {"{\"set\":[{\"key\":\"portal:[::]:3260\",\"host\":\"::\",\"transport\":\"iser\"}]}",
	     "portal:[::]:3260", "/iser", 17},
	    {"{\"set\":[{\"key\":\"portal:[::]:3260/iser\",\"host\":\"::\"}]}",
	     "portal:[::]:3260/iser", "those of portal:[::]:3260", 17},
	    {"{\"set\":[{\"key\":\"portal:[::]:3260\",\"host\":\"::\",\"transport\":\"ib\"}]}",
	     "portal:[::]:3260", "neither \"tcp\" nor \"iser\"", 17},
	    {"{\"set\":[{\"key\":\"portal:[::]:3260\",\"host\":\"::\",\"transport\":null}]}",
	     "portal:[::]:3260", "transport", 17},
	    {"{\"set\":[{\"key\":\"account:a\",\"name\":\"b\",\"secret\":\"s\"}]}", "account:a",
	     "account:b", 17},
	    {"{\"set\":[{\"key\":\"account:a\",\"name\":\"a\"}]}", "account:a", "secret", 17},
	    {"{\"del\":[1]}", "params", "del", 17},
	    {"{\"del\":[\"system\"]}", "params", "system", 17},
	    {"{\"del\":[\"account:\"]}", "params", "account:", 17},
	};

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		ck_assert_msg(!read_text(row[i].text), "row %zu: %s", i, row[i].text);
		ck_assert_msg(!strcmp(err.key, row[i].key), "row %zu: %s: %s", i, err.key,
			      err.text);
		ck_assert_msg(strstr(err.text, row[i].names) != NULL, "row %zu: %s", i, err.text);
		ck_assert_msg(err.tgt_err == row[i].tgt_err, "row %zu: %d", i, err.tgt_err);
		ck_assert_uint_eq(chg.ntarget + chg.nlun + chg.ndel, 0);
	}
}
END_TEST

SUITE("conf_json", test_defaults, test_everything_set, test_portal_transport, test_maps,
      test_alua_has_an_end, test_del_keys, test_refused)
