/* SPDX-License-Identifier: BSD-3-Clause */
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "gateway/base/str.h"
#include "gateway/model/model_priv.h"

/* Numbers of tgtadm's errors, docs/control-protocol.md. */
enum {
	TGT_INVALID = 17
};

int
conf_fail(struct gw_conf_err *err, int tgt_err, const char *key, const char *fmt, ...)
{
	va_list ap;

	err->tgt_err = tgt_err;
	snprintf(err->key, sizeof(err->key), "%s", key);
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	return -1;
}

static int
check_range(struct gw_conf_err *err, const char *key, const char *name, uint64_t v, uint64_t min,
	    uint64_t max)
{
	if (v >= min && v <= max)
		return 0;
	return conf_fail(err, TGT_INVALID, key,
			 "%s: %s=%" PRIu64 " is not within %" PRIu64 "..%" PRIu64, key, name, v,
			 min, max);
}

int
check_account(const struct gw_account *a, struct gw_conf_err *err)
{
	char key[CONF_KEY_MAX];

	snprintf(key, sizeof(key), "account:%s", a->name);
	if (!a->name[0])
		return conf_fail(err, TGT_INVALID, key, "an account needs a name");
	if (!a->secret[0])
		return conf_fail(err, TGT_INVALID, key, "%s: the secret is empty", key);
	return 0;
}

int
check_portal(const struct gw_conf_portal *p, struct gw_conf_err *err)
{
	struct gw_portal named = {.port = p->port, .xport = m_xport(p->transport)};
	char key[CONF_KEY_MAX];
	uint8_t addr[16];

	gw_str_copy(named.host, sizeof(named.host), p->host);
	m_portal_key(&named, key, sizeof(key));
	if (inet_pton(strchr(p->host, ':') ? AF_INET6 : AF_INET, p->host, addr) != 1)
		return conf_fail(err, TGT_INVALID, key, "%s: %s is not a numeric address", key,
				 p->host);
	return check_range(err, key, "port", p->port, 1, 65535) ||
		       check_range(err, key, "tpgt", p->tpgt, 1, 65535)
		   ? -1
		   : 0;
}

bool
check_name(const char *s, const char *also)
{
	if (!*s)
		return false;
	for (; *s; s++) {
		bool alnum = (*s >= '0' && *s <= '9') || ((*s | 0x20) >= 'a' && (*s | 0x20) <= 'z');

		if (!alnum && !(*s & 0x80) && !strchr(also, *s))
			return false;
	}
	return true;
}

static int
check_params(const struct gw_target_params *p, const char *key, struct gw_conf_err *err)
{
	const struct {
		const char *name;
		uint64_t v, min, max;
	} row[] = {
	    /* RFC 7143 13.12, 13.13, 13.14, 13.17, 13.15, 13.16 */
	    {"MaxRecvDataSegmentLength", p->max_recv_dsl, 512, 16777215},
	    {"MaxXmitDataSegmentLength", p->max_xmit_dsl, 512, 16777215},
	    {"MaxBurstLength", p->max_burst, 512, 16777215},
	    {"FirstBurstLength", p->first_burst, 512, 16777215},
	    {"MaxOutstandingR2T", p->max_outstanding_r2t, 1, 65535},
	    {"DefaultTime2Wait", p->default_time2wait, 0, 3600},
	    {"DefaultTime2Retain", p->default_time2retain, 0, 3600},
	    {"MaxQueueCmd", p->queue_depth, 1, 1024},
	    {"nop_interval", p->nop_interval, 0, 86400},
	    {"nop_count", p->nop_count, 0, 1000},
	    {"HeaderDigest", p->header_digest, 1, 3},
	    {"DataDigest", p->data_digest, 1, 3},
	};

	for (size_t i = 0; i < GW_ARRAY_LEN(row); i++) {
		if (check_range(err, key, row[i].name, row[i].v, row[i].min, row[i].max))
			return -1;
	}
	return 0;
}

static int
check_alua(const struct gw_conf_target *t, const char *key, struct gw_conf_err *err)
{
	if (check_range(err, key, "number of portal groups with a state", t->nalua, 0,
			GW_GROUPS_MAX))
		return -1;
	for (uint32_t i = 0; i < t->nalua; i++) {
		const struct scsi_alua_set *s = &t->alua[i];

		if (check_range(err, key, "tpgt", s->tpgt, 1, 65535))
			return -1;
		if (s->state > SCSI_ACCESS_UNAVAILABLE && s->state != SCSI_ACCESS_OFFLINE)
			return conf_fail(err, TGT_INVALID, key,
					 "%s: portal group %u has a state that is none", key,
					 s->tpgt);
		for (uint32_t k = 0; k < i; k++) {
			if (t->alua[k].tpgt == s->tpgt)
				return conf_fail(err, TGT_INVALID, key,
						 "%s: portal group %u has two states", key,
						 s->tpgt);
		}
	}
	return 0;
}

int
check_target(const struct gw_conf_target *t, struct gw_conf_err *err)
{
	char key[CONF_KEY_MAX];

	snprintf(key, sizeof(key), "target:%" PRIu32, t->tid);
	if (check_range(err, key, "tid", t->tid, 1, INT32_MAX))
		return -1;
	if (!check_name(t->iqn, ".:-_"))
		return conf_fail(err, TGT_INVALID, key, "%s: \"%s\" is not a target name", key,
				 t->iqn);
	for (uint32_t i = 0; i < t->nacl; i++) {
		if (t->acl[i].kind == GW_ACL_NAME && !check_name(t->acl[i].name, ".:-_*?"))
			return conf_fail(err, TGT_INVALID, key,
					 "%s: \"%s\" is not an initiator name", key,
					 t->acl[i].name);
	}
	return check_maps(t, key, err) || check_params(&t->params, key, err) ||
		       check_alua(t, key, err)
		   ? -1
		   : 0;
}

/* SPC-4 4.4.1: ASCII fields have graphic characters and spaces only. */
static int
check_ascii(struct gw_conf_err *err, const char *key, const char *name, const char *s)
{
	for (const char *p = s; *p; p++) {
		if (*p < 0x20 || *p > 0x7e)
			return conf_fail(err, TGT_INVALID, key,
					 "%s: %s has a byte that is not printable ASCII", key,
					 name);
	}
	return 0;
}

static int
check_kind(const struct scsi_lu_conf *s, const char *key, struct gw_conf_err *err)
{
	if (s->kind == SCSI_KIND_DISK)
		return 0;
	if (s->kind != SCSI_KIND_CD)
		return conf_fail(err, TGT_INVALID, key, "%s: the type is neither disk nor cd", key);
	if (s->block_size != SCSI_CD_BLOCK)
		return conf_fail(err, TGT_INVALID, key,
				 "%s: a CD/DVD has blocks of %d bytes, not %" PRIu32, key,
				 SCSI_CD_BLOCK, s->block_size);
	if (!s->removable || !s->readonly)
		return conf_fail(err, TGT_INVALID, key, "%s: a CD/DVD is removable and readonly",
				 key);
	return 0;
}

static int
check_scsi(const struct scsi_lu_conf *s, const char *key, struct gw_conf_err *err)
{
	if (s->block_size != 512 && s->block_size != 1024 && s->block_size != 2048 &&
	    s->block_size != 4096)
		return conf_fail(err, TGT_INVALID, key,
				 "%s: block_size=%" PRIu32 " is not 512, 1024, 2048 or 4096", key,
				 s->block_size);
	if (check_kind(s, key, err))
		return -1;
	if (s->lbppbe != 0xff && check_range(err, key, "lbppbe", s->lbppbe, 0, 15))
		return -1;
	/* SBC-3 5.16.2: 14 bits */
	if (check_range(err, key, "la_lba", s->lowest_aligned, 0, 0x3fff))
		return -1;
	/* SPC-4 7.8.6.6.5: NAA IEEE Registered Extended */
	if (s->naa[0] >> 4 != 6)
		return conf_fail(err, TGT_INVALID, key, "%s: naa does not begin with 6", key);
	return check_ascii(err, key, "scsi_id", s->scsi_id) ||
		       check_ascii(err, key, "serial", s->serial) ||
		       check_ascii(err, key, "vendor", s->vendor) ||
		       check_ascii(err, key, "product", s->product) ||
		       check_ascii(err, key, "rev", s->rev)
		   ? -1
		   : 0;
}

int
check_lun(const struct gw_conf_lun *l, struct gw_conf_err *err)
{
	char key[CONF_KEY_MAX];

	snprintf(key, sizeof(key), "lun:%" PRIu32 "/%" PRIu64, l->tid, l->lun);
	if (check_range(err, key, "tid", l->tid, 1, INT32_MAX) ||
	    check_range(err, key, "lun", l->lun, 0, GW_LUN_MAX))
		return -1;
	if (!l->bstype[0])
		return conf_fail(err, TGT_INVALID, key, "%s: bstype is empty", key);
	if (strcmp(l->bstype, "none") == 0 && l->kv && l->kv[0])
		return conf_fail(err, TGT_INVALID, key, "%s: a LUN without medium takes no %s", key,
				 l->kv[0]);
	return check_scsi(&l->scsi, key, err);
}

int
check_system(const struct gw_conf_system *s, struct gw_conf_err *err)
{
	return check_range(err, "system", "login_timeout", s->login_timeout_ms / 1000, 1, 600);
}
