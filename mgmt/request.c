/* SPDX-License-Identifier: BSD-3-Clause */
#include "mgmt/request.h"

#include <string.h>

#include "gateway/base/num.h"
#include "gateway/base/str.h"
#include "mgmt/ops.h"

struct verb {
	mgmt_op_fn *fn;
	bool needs_gateway;
	const char *args; /* names of the arguments, each behind a space; NULL: fn looks at them */
	const char *list; /* this one is the last: what follows it is its list, fn looks at it */
};

#define ACL_ARGS " initiator-address initiator-name"

static const struct verb verbs[TGT_MODE_MAX][TGT_OP_MAX] = {
    [TGT_SYSTEM] = {[TGT_SHOW] = {mgmt_system_show, false},
		    [TGT_UPDATE] = {mgmt_system_update, true},
		    [TGT_STAT] = {mgmt_stat, false},
		    [TGT_DELETE] = {mgmt_system_delete, false}},
    [TGT_TARGET] = {[TGT_NEW] = {mgmt_target_new, true, " targetname"},
		    [TGT_DELETE] = {mgmt_target_delete, true},
		    [TGT_SHOW] = {mgmt_target_show, false},
		    [TGT_BIND] = {mgmt_target_bind, true, ACL_ARGS, MGMT_LUNS},
		    [TGT_UNBIND] = {mgmt_target_unbind, true, ACL_ARGS, MGMT_LUNS},
		    [TGT_UPDATE] = {mgmt_target_update, true},
		    [TGT_STAT] = {mgmt_stat, false}},
    [TGT_LUN] = {[TGT_NEW] = {mgmt_lun_new, true},
		 [TGT_DELETE] = {mgmt_lun_delete, true},
		 [TGT_UPDATE] = {mgmt_lun_update, true},
		 [TGT_STAT] = {mgmt_stat, false}},
    [TGT_PORTAL] = {[TGT_NEW] = {mgmt_portal_new, true, " portal advertise transport tpgt"},
		    [TGT_DELETE] = {mgmt_portal_delete, true, " portal advertise transport tpgt"},
		    [TGT_SHOW] = {mgmt_portal_show, false}},
    [TGT_LLD] = {[TGT_START] = {mgmt_lld_start, false},
		 [TGT_STOP] = {mgmt_lld_stop, false},
		 [TGT_SHOW] = {mgmt_lld_show, false}},
    [TGT_SESSION] = {[TGT_STAT] = {mgmt_stat, false}},
    [TGT_CONN] = {[TGT_SHOW] = {mgmt_conn_show, false},
		  [TGT_DELETE] = {mgmt_conn_delete, true},
		  [TGT_STAT] = {mgmt_stat, false}},
    [TGT_ACCOUNT] = {[TGT_NEW] = {mgmt_account_new, true, " user password"},
		     [TGT_DELETE] = {mgmt_account_delete, true, " user"},
		     [TGT_SHOW] = {mgmt_account_show, false},
		     [TGT_BIND] = {mgmt_account_bind, true, " user"},
		     [TGT_UNBIND] = {mgmt_account_unbind, true, " user"}},
};

long
mgmt_req_size(const void *buf, size_t got, struct mgmt_err *err)
{
	struct tgt_req h;

	if (got < sizeof(h))
		return 0;
	memcpy(&h, buf, sizeof(h));
	if (h.len < sizeof(h))
		return mgmt_fail(err, TGT_E_INVALID, "the request is shorter than its header");
	if (h.len > TGT_REQ_MAX)
		return mgmt_fail(err, TGT_E_INVALID, "the request is longer than %d bytes",
				 TGT_REQ_MAX);
	return h.len;
}

/* tgtadm puts a keyword before its -P text and a comma after it. */
static char *
skip_keyword(char *s)
{
	if (!strncmp(s, "targetOps ", 10) || !strncmp(s, "portalOps ", 10))
		return s + 10;
	return s;
}

static int
split_args(struct mgmt_req *r, struct mgmt_err *err)
{
	char *next = r->split, *s;

	memcpy(r->split, r->text, sizeof(r->split));
	while ((s = strsep(&next, ","))) {
		s = skip_keyword(s);
		if (!*s)
			continue;
		if (r->nargs == MGMT_ARGS_MAX)
			return mgmt_fail(err, TGT_E_INVALID, "the request has too many arguments");
		r->arg[r->nargs++] = s;
	}
	return 0;
}

int
mgmt_req_parse(const void *buf, size_t size, struct mgmt_req *r, struct mgmt_err *err)
{
	const char *format;
	size_t n;

	memset(r, 0, sizeof(*r));
	if (size < sizeof(r->h) || size > TGT_REQ_MAX)
		return mgmt_fail(err, TGT_E_INVALID, "the request has a wrong length");
	memcpy(&r->h, buf, sizeof(r->h));
	r->h.lld[TGT_LLD_NAME - 1] = '\0';
	r->lld = r->h.lld[0] ? mgmt_lld_by_name(r->h.lld) : MGMT_ISCSI;
	n = size - sizeof(r->h);
	memcpy(r->text, (const char *)buf + sizeof(r->h), n);
	if (r->h.mode >= TGT_MODE_MAX || r->h.op >= TGT_OP_MAX)
		return mgmt_fail(err, TGT_E_INVALID,
				 "the request has an unknown mode or operation");
	if (split_args(r, err))
		return -1;
	format = mgmt_req_arg(r, "format");
	r->json = (r->h.op == TGT_SHOW || r->h.op == TGT_STAT) && format && !strcmp(format, "json");
	return 0;
}

const char *
mgmt_req_arg(const struct mgmt_req *r, const char *name)
{
	size_t n = strlen(name);

	for (unsigned i = r->nargs; i-- > 0;) {
		if (!strncmp(r->arg[i], name, n) && r->arg[i][n] == '=')
			return r->arg[i] + n + 1;
	}
	return NULL;
}

unsigned
mgmt_req_list(const struct mgmt_req *r, const char *name)
{
	size_t n = strlen(name);
	unsigned i;

	for (i = 0; i < r->nargs; i++) {
		if (!strncmp(r->arg[i], name, n) && strchr("=", r->arg[i][n]))
			break;
	}
	return i;
}

bool
mgmt_req_split(const char *arg, char *name, size_t name_size, const char **value)
{
	const char *eq = strchr(arg, '=');
	size_t n = eq ? (size_t)(eq - arg) : 0;

	if (!n || n >= name_size)
		return false;
	memcpy(name, arg, n);
	name[n] = '\0';
	*value = eq + 1;
	return true;
}

bool
mgmt_req_pair(const struct mgmt_req *r, char *name, size_t name_size, const char **value)
{
	return mgmt_req_split(r->text, name, name_size, value);
}

bool
mgmt_req_needs_gateway(const struct mgmt_req *r)
{
	return verbs[r->h.mode][r->h.op].needs_gateway;
}

static int
check_driver(const struct mgmt *m, const struct mgmt_req *r, struct mgmt_err *err)
{
	if (r->lld < 0)
		return mgmt_fail(err, TGT_E_NO_DRIVER, "the drivers are iscsi and iser");
	if (m->lld_stopped[r->lld] && r->h.mode != TGT_LLD && r->h.mode != TGT_SYSTEM)
		return mgmt_fail(err, TGT_E_NO_DRIVER, "the driver %s is stopped",
				 mgmt_lld_name((enum mgmt_lld)r->lld));
	return 0;
}

/*
 * A comma in a value cuts it, for the protocol has no quotes: half a password must not become an
 * account's secret. What is cut off may be a secret too, so it is not told.
 */
static int
check_args(const struct verb *v, const struct mgmt_req *r, struct mgmt_err *err)
{
	unsigned n = v->list ? mgmt_req_list(r, v->list) : r->nargs;

	for (unsigned i = 0; v->args && i < n; i++) {
		const char *value, *at;
		char name[64] = " ";

		if (mgmt_req_split(r->arg[i], name + 1, sizeof(name) - 1, &value) &&
		    (at = strstr(v->args, name)) && strchr(" ", at[strlen(name)]))
			continue;
		return mgmt_fail(err, TGT_E_INVALID,
				 "mode %s operation %s does not take one of the arguments "
				 "(a value cannot have a comma)",
				 tgt_mode_name(r->h.mode), tgt_op_name(r->h.op));
	}
	return 0;
}

int
mgmt_req_run(struct mgmt *m, const struct mgmt_req *r, struct mgmt_text *out, struct mgmt_err *err)
{
	const struct verb *v = &verbs[r->h.mode][r->h.op];

	if (m->stopping)
		return mgmt_fail(err, TGT_E_UNKNOWN, "the management daemon is ending");
	if (check_driver(m, r, err))
		return -1;
	if (!v->fn)
		return mgmt_fail(err, TGT_E_INVALID, "mode %s has no operation %s",
				 tgt_mode_name(r->h.mode), tgt_op_name(r->h.op));
	if (check_args(v, r, err) || v->fn(m, r, out, err))
		return -1;
	if (out->failed)
		return mgmt_fail(err, TGT_E_NOMEM, "out of memory");
	return 0;
}
