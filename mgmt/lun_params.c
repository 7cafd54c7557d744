/* SPDX-License-Identifier: BSD-3-Clause */
#include "mgmt/lun_params.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "gateway/base/num.h"
#include "gateway/base/str.h"
#include "mgmt/model.h"
#include "mgmt/tgt_wire.h"

/* What tgt's null backing store has when nobody names a size. */
#define NULL_SIZE ((json_int_t)1 << 40)

static const struct bstype {
	const char *alias, *gateway;
	bool flags;
} bstypes[] = {
    {"null", "null", false}, {"mem", "mem", false},  {"uring", "uring", true},
    {"rdwr", "uring", true}, {"aio", "uring", true}, {"nvme", "nvme", true},
};

const char *
mgmt_bstype(const char *alias)
{
	for (size_t i = 0; i < GW_ARRAY_LEN(bstypes); i++) {
		if (!strcmp(bstypes[i].alias, alias))
			return bstypes[i].gateway;
	}
	return NULL;
}

const char *
mgmt_bstype_at(unsigned i, bool *flags)
{
	if (i >= GW_ARRAY_LEN(bstypes))
		return NULL;
	*flags = bstypes[i].flags;
	return bstypes[i].alias;
}

/* Options of nvme that are 0 or 1. */
static const char *const switches[] = {"iopoll", "dsm"};

bool
mgmt_bstype_has_path(const char *gateway)
{
	return !strcmp(gateway, "uring") || !strcmp(gateway, "nvme");
}

static void
kv_add(json_t *kv, const char *name, const char *value)
{
	char s[4200];

	snprintf(s, sizeof(s), "%s=%s", name, value);
	json_array_append_new(kv, json_string(s));
}

int
mgmt_lun_backing(json_t *lun, struct mgmt_err *err)
{
	const json_t *want = json_object_get(lun, "mgmt");
	const char *bstype = mgmt_bstype(mgmt_str(want, "bstype", "")), *path;
	const char *flags = mgmt_str(want, "bsoflags", "");
	json_int_t bytes = mgmt_int(want, "size", 0);
	json_t *kv = json_array();
	char size[24];

	if (!bstype || !kv)
		return mgmt_fail(err, TGT_E_NOMEM, "out of memory");
	path = mgmt_str(want, "path", NULL);
	if (!strcmp(bstype, "null") && !bytes)
		bytes = NULL_SIZE;
	if (mgmt_bstype_has_path(bstype)) {
		if (!path) {
			bstype = "none";
			bytes = 0;
		} else {
			kv_add(kv, "path", path);
			kv_add(kv, "direct", strstr(flags, "direct") ? "1" : "0");
			kv_add(kv, "sync", strstr(flags, "sync") ? "1" : "0");
			/* What is never written need not be writable. */
			if (mgmt_bool(lun, "readonly", false))
				kv_add(kv, "ro", "1");
			for (size_t i = 0; i < GW_ARRAY_LEN(switches); i++) {
				if (mgmt_bool(want, switches[i], false))
					kv_add(kv, switches[i], "1");
			}
		}
	}
	if (bytes) {
		snprintf(size, sizeof(size), "%" JSON_INTEGER_FORMAT, bytes);
		kv_add(kv, "size", size);
	}
	if (json_object_set_new(lun, "bstype", json_string(bstype)) ||
	    json_object_set_new(lun, "kv", kv))
		return mgmt_fail(err, TGT_E_NOMEM, "out of memory");
	return 0;
}

bool
mgmt_lun_is_cd(const json_t *lun)
{
	return !strcmp(mgmt_str(lun, "type", "disk"), "cd");
}

/* type: the gateway's backend, NULL if there is none of that name. */
static int
check_threshold(const json_t *lun, const char *type, struct mgmt_err *err)
{
	if (!mgmt_int(lun, "thin_threshold", 0))
		return 0;
	if (!mgmt_bool(lun, "thin", false))
		return mgmt_fail(err, TGT_E_INVALID,
				 "thin_threshold is for logical units with thin_provisioning=1");
	if (type && (!strcmp(type, "nvme") || !strcmp(type, "null")))
		return mgmt_fail(err, TGT_E_INVALID,
				 "thin_threshold has no effect: bstype %s does not tell how full "
				 "its store is",
				 type);
	return 0;
}

int
mgmt_lun_check(const json_t *lun, struct mgmt_err *err)
{
	const json_t *want = json_object_get(lun, "mgmt");
	const char *type = mgmt_bstype(mgmt_str(want, "bstype", ""));

	if (!mgmt_lun_is_cd(lun))
		return check_threshold(lun, type, err);
	if (!type || strcmp(type, "uring"))
		return mgmt_fail(err, TGT_E_INVALID,
				 "a CD/DVD is an image in a file or on a block device: its bstype "
				 "is rdwr, aio or uring");
	if (mgmt_int(lun, "block_size", 0) != MGMT_CD_BLOCK)
		return mgmt_fail(err, TGT_E_INVALID, "a CD/DVD has blocks of %d bytes",
				 MGMT_CD_BLOCK);
	if (!mgmt_bool(lun, "readonly", false) || !mgmt_bool(lun, "removable", false))
		return mgmt_fail(err, TGT_E_INVALID, "a CD/DVD is always read-only and removable");
	if (mgmt_bool(lun, "thin", false))
		return mgmt_fail(err, TGT_E_INVALID, "a CD/DVD is not thinly provisioned");
	if (mgmt_int(lun, "thin_threshold", 0))
		return mgmt_fail(err, TGT_E_INVALID, "a CD/DVD has no thin_threshold");
	if (mgmt_int(want, "size", 0))
		return mgmt_fail(err, TGT_E_INVALID, "the size of a CD/DVD is that of its image");
	return 0;
}

void
mgmt_lun_tgt_identity(json_t *lun)
{
	json_int_t tid = mgmt_int(lun, "tid", 0), n = mgmt_int(lun, "lun", 0);
	char s[64];

	snprintf(s, sizeof(s), "IET     %04x%04" PRIx64, (unsigned)tid, (uint64_t)n);
	json_object_set_new(lun, "scsi_id", json_string(s));
	snprintf(s, sizeof(s), "beaf%" JSON_INTEGER_FORMAT "%" JSON_INTEGER_FORMAT, tid, n);
	json_object_set_new(lun, "serial", json_string(s));
	json_object_set_new(lun, "vendor", json_string("IET"));
	json_object_set_new(lun, "product",
			    json_string(mgmt_lun_is_cd(lun) ? "VIRTUAL-CDROM" : "VIRTUAL-DISK"));
	json_object_set_new(lun, "rev", json_string("0001"));
}

int
mgmt_lun_set_flags(json_t *lun, const char *bsoflags, struct mgmt_err *err)
{
	bool sync = false, direct = false;
	char copy[64], *next = copy, *s;
	const char *text;

	if (!gw_str_copy(copy, sizeof(copy), bsoflags))
		return mgmt_fail(err, TGT_E_INVALID, "bsoflags are sync, direct or sync:direct");
	while ((s = strsep(&next, ":"))) {
		if (!strcmp(s, "sync"))
			sync = true;
		else if (!strcmp(s, "direct"))
			direct = true;
		else if (*s)
			return mgmt_fail(err, TGT_E_INVALID,
					 "bsoflags are sync, direct or sync:direct, not \"%s\"", s);
	}
	text = sync && direct ? "sync:direct" : sync ? "sync" : direct ? "direct" : "";
	json_object_set_new(json_object_get(lun, "mgmt"), "bsoflags", json_string(text));
	return 0;
}

static int
set_opt(json_t *lun, const char *opt, struct mgmt_err *err)
{
	json_t *want = json_object_get(lun, "mgmt");
	bool nvme = !strcmp(mgmt_str(want, "bstype", ""), "nvme");

	if (!strncmp(opt, "size=", 5))
		return mgmt_lun_set(lun, "size", opt + 5, err);
	for (size_t i = 0; nvme && i < GW_ARRAY_LEN(switches); i++) {
		size_t n = strlen(switches[i]);

		if (strncmp(opt, switches[i], n) || opt[n] != '=' ||
		    (strcmp(opt + n + 1, "0") && strcmp(opt + n + 1, "1")))
			continue;
		json_object_set_new(want, switches[i], json_boolean(opt[n + 1] == '1'));
		return mgmt_lun_backing(lun, err);
	}
	return mgmt_fail(err, TGT_E_INVALID,
			 "the backing store options are size=BYTES%s, not \"%s\"",
			 nvme ? ", iopoll=0|1 and dsm=0|1" : "", opt);
}

int
mgmt_lun_set_opts(json_t *lun, const char *bsopts, struct mgmt_err *err)
{
	char copy[512], *next = copy, *s;

	if (!gw_str_copy(copy, sizeof(copy), bsopts))
		return mgmt_fail(err, TGT_E_INVALID, "bsopts are too long");
	while ((s = strsep(&next, ";"))) {
		if (*s && set_opt(lun, s, err))
			return -1;
	}
	return 0;
}

/* --- the parameters ------------------------------------------------------------------------------
 */

typedef int set_fn(json_t *lun, const char *value, struct mgmt_err *err);

static int
set_path(json_t *lun, const char *value, struct mgmt_err *err)
{
	json_t *want = json_object_get(lun, "mgmt");

	if (mgmt_bool(lun, "online", true))
		return mgmt_fail(err, TGT_E_INVALID,
				 "the path can be changed while the logical unit is offline "
				 "(online=0)");
	if (!*value) {
		json_object_del(want, "path");
		return mgmt_lun_backing(lun, err);
	}
	if (*value != '/')
		return mgmt_fail(err, TGT_E_INVALID, "the path \"%s\" does not begin with /",
				 value);
	if (json_object_set_new(want, "path", json_string(value)))
		return mgmt_fail(err, TGT_E_INVALID, "the path is not valid UTF-8");
	json_object_del(want, "size");
	return mgmt_lun_backing(lun, err);
}

static int
set_size(json_t *lun, const char *value, struct mgmt_err *err)
{
	json_t *want = json_object_get(lun, "mgmt");
	json_int_t block = mgmt_int(lun, "block_size", 512);
	uint64_t bytes;

	if (!gw_str_size(value, &bytes) || !bytes || bytes > INT64_MAX)
		return mgmt_fail(err, TGT_E_INVALID,
				 "size is a number of bytes with k, m, g or t, not \"%s\"", value);
	if (bytes % (uint64_t)block)
		return mgmt_fail(err, TGT_E_INVALID,
				 "size is a multiple of the block size %" JSON_INTEGER_FORMAT,
				 block);
	if ((json_int_t)bytes < mgmt_int(want, "size", 0))
		return mgmt_fail(
		    err, TGT_E_INVALID,
		    "a logical unit can grow but not shrink; it has %" JSON_INTEGER_FORMAT " bytes",
		    mgmt_int(want, "size", 0));
	json_object_set_new(want, "size", json_integer((json_int_t)bytes));
	return mgmt_lun_backing(lun, err);
}

static int
set_readonly(json_t *lun, const char *value, struct mgmt_err *err)
{
	if ((value[0] != '0' && value[0] != '1') || value[1])
		return mgmt_fail(err, TGT_E_INVALID, "readonly is a number from 0 to 1, not \"%s\"",
				 value);
	json_object_set_new(lun, "readonly", json_boolean(value[0] == '1'));
	return mgmt_lun_backing(lun, err);
}

static int
set_naa(json_t *lun, const char *value, struct mgmt_err *err)
{
	uint8_t raw[16];

	if (!gw_str_unhex(raw, sizeof(raw), value) || *value != '6')
		return mgmt_fail(err, TGT_E_INVALID, "naa is 32 hex digits that begin with 6");
	json_object_set_new(lun, "naa", json_string(value));
	return 0;
}

static int
set_identity(json_t *lun, const char *value, struct mgmt_err *err)
{
	if (strcmp(value, "tgt"))
		return mgmt_fail(err, TGT_E_INVALID, "the only named identity is tgt");
	mgmt_lun_tgt_identity(lun);
	return 0;
}

static int
set_write_cache(json_t *lun, const char *value, struct mgmt_err *err)
{
	if (strcmp(value, "on") && strcmp(value, "off"))
		return mgmt_fail(err, TGT_E_INVALID, "write_cache is on or off");
	json_object_set_new(lun, "write_cache", json_boolean(value[1] == 'n'));
	return 0;
}

/*
 * tgt's text for a mode page: page:subpage:length:byte..., bytes after the length field of the
 * page. Of the caching page (SBC-4 6.4.6) WCE counts, of the control page (SPC-4 7.5.8) D_SENSE and
 * SWP; everything else in them is the gateway's to say.
 */
static int
set_mode_page(json_t *lun, const char *value, struct mgmt_err *err)
{
	char copy[512], *next = copy, *s;
	uint64_t field[64];
	unsigned n = 0;

	if (!gw_str_copy(copy, sizeof(copy), value))
		return mgmt_fail(err, TGT_E_INVALID, "the mode page is too long");
	while ((s = strsep(&next, ":"))) {
		if (n == GW_ARRAY_LEN(field) || !gw_str_u64(s, &field[n]) || field[n] > 255)
			return mgmt_fail(err, TGT_E_INVALID,
					 "mode_page is PAGE:SUBPAGE:LENGTH:BYTE:..., not \"%s\"",
					 value);
		n++;
	}
	if (n < 3 || n != 3 + field[2])
		return mgmt_fail(err, TGT_E_INVALID,
				 "mode_page has another number of bytes than its length says");
	if (field[0] == 0x08 && field[1] == 0 && field[2] >= 1) {
		json_object_set_new(lun, "write_cache", json_boolean(field[3] & 0x04));
		return 0;
	}
	if (field[0] == 0x0a && field[1] == 0 && field[2] >= 3) {
		json_object_set_new(lun, "sense_format", json_integer((field[3] & 0x04) != 0));
		json_object_set_new(lun, "swp", json_boolean(field[5] & 0x08));
		return 0;
	}
	return mgmt_fail(err, TGT_E_UNSUPPORTED,
			 "the mode pages that can be set are 8 (caching) and 0xa (control)");
}

static const struct lun_param {
	const char *name, *member;
	enum {
		TEXT,
		NUMBER,
		FLAG,
		SPECIAL
	} kind;
	uint64_t max; /* value, or bytes of text */
	set_fn *set;
} lun_params[] = {
    {"scsi_id", "scsi_id", TEXT, 24, NULL},
    {"scsi_sn", "serial", TEXT, 36, NULL},
    {"vendor_id", "vendor", TEXT, 8, NULL},
    {"product_id", "product", TEXT, 16, NULL},
    {"product_rev", "rev", TEXT, 4, NULL},
    {"sense_format", "sense_format", NUMBER, 1, NULL},
    {"lbppbe", "lbppbe", NUMBER, 15, NULL},
    {"la_lba", "la_lba", NUMBER, 0x3fff, NULL},
    {"optimal_xfer_gran", "opt_xfer_gran", NUMBER, 0xffff, NULL},
    {"optimal_xfer_len", "opt_xfer_len", NUMBER, UINT32_MAX, NULL},
    {"rotation_rate", "rotation_rate", NUMBER, 0xffff, NULL},
    {"removable", "removable", FLAG, 1, NULL},
    {"online", "online", FLAG, 1, NULL},
    {"thin_provisioning", "thin", FLAG, 1, NULL},
    {"thin_threshold", "thin_threshold", NUMBER, 99, NULL},
    {"swp", "swp", FLAG, 1, NULL},
    {"write_cache", NULL, SPECIAL, 0, set_write_cache},
    {"mode_page", NULL, SPECIAL, 0, set_mode_page},
    {"path", NULL, SPECIAL, 0, set_path},
    {"size", NULL, SPECIAL, 0, set_size},
    {"readonly", NULL, SPECIAL, 0, set_readonly},
    {"naa", NULL, SPECIAL, 0, set_naa},
    {"identity", NULL, SPECIAL, 0, set_identity},
};

static bool
printable(const char *s)
{
	for (; *s; s++) {
		if (!isprint((unsigned char)*s))
			return false;
	}
	return true;
}

static int
set_plain(json_t *lun, const struct lun_param *p, const char *value, struct mgmt_err *err)
{
	uint64_t n;

	if (p->kind == TEXT) {
		if (strlen(value) > p->max || !printable(value))
			return mgmt_fail(err, TGT_E_INVALID,
					 "%s has at most %" PRIu64 " printable characters", p->name,
					 p->max);
		json_object_set_new(lun, p->member, json_string(value));
		return 0;
	}
	if (!gw_str_u64(value, &n) || n > p->max)
		return mgmt_fail(err, TGT_E_INVALID,
				 "%s is a number from 0 to %" PRIu64 ", not \"%s\"", p->name,
				 p->max, value);
	json_object_set_new(lun, p->member,
			    p->kind == FLAG ? json_boolean(n) : json_integer((json_int_t)n));
	return 0;
}

int
mgmt_lun_set(json_t *lun, const char *name, const char *value, struct mgmt_err *err)
{
	if (!strcmp(name, "bsopts"))
		return mgmt_lun_set_opts(lun, value, err);
	for (size_t i = 0; i < GW_ARRAY_LEN(lun_params); i++) {
		const struct lun_param *p = &lun_params[i];

		if (strcmp(p->name, name))
			continue;
		return p->set ? p->set(lun, value, err) : set_plain(lun, p, value, err);
	}
	return mgmt_fail(err, TGT_E_INVALID, "a logical unit has no parameter \"%s\"", name);
}
