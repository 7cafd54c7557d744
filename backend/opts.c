/* SPDX-License-Identifier: BSD-3-Clause */
/* The administrator's "key=value" strings. */
#include <errno.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "backend/backend_priv.h"
#include "gateway/base/num.h"
#include "gateway/base/str.h"

enum kind {
	KIND_PATH,
	KIND_BOOL,
	KIND_SIZE
};

static const struct {
	const char *key;
	enum kind kind;
	size_t at;
} keys[] = {
    {"path", KIND_PATH, offsetof(struct be_opts, path)},
    {"direct", KIND_BOOL, offsetof(struct be_opts, direct)},
    {"sync", KIND_BOOL, offsetof(struct be_opts, sync)},
    {"ro", KIND_BOOL, offsetof(struct be_opts, ro)},
    {"iopoll", KIND_BOOL, offsetof(struct be_opts, iopoll)},
    {"dsm", KIND_BOOL, offsetof(struct be_opts, dsm)},
    {"size", KIND_SIZE, offsetof(struct be_opts, size)},
};

int
be_refuse(char *err, unsigned err_size, int rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err, err_size, fmt, ap);
	va_end(ap);
	return rc;
}

const char *
be_open_reason(int e, char *buf, unsigned size)
{
	const struct passwd *pw;

	if (e != EACCES)
		return strerror(e);
	pw = getpwuid(geteuid());
	snprintf(buf, size, "%s for the gateway's user %s (BACKING STORES in lichgate(7))",
		 strerror(e), pw ? pw->pw_name : "without a name");
	return buf;
}

static int
find_key(const char *kv, size_t key_len)
{
	for (unsigned i = 0; i < GW_ARRAY_LEN(keys); i++)
		if (strlen(keys[i].key) == key_len && !memcmp(keys[i].key, kv, key_len))
			return (int)i;
	return -1;
}

/* What a value of that kind must be, or NULL if it is. */
static const char *
set(struct be_opts *o, unsigned i, const char *value)
{
	void *at = (char *)o + keys[i].at;

	switch (keys[i].kind) {
	case KIND_PATH:
		if (value[0] != '/')
			return "an absolute path";
		*(const char **)at = value;
		return NULL;
	case KIND_BOOL:
		if ((value[0] != '0' && value[0] != '1') || value[1])
			return "0 or 1";
		*(bool *)at = value[0] == '1';
		return NULL;
	case KIND_SIZE:
		if (!gw_str_size(value, (uint64_t *)at) || !*(uint64_t *)at ||
		    *(uint64_t *)at > INT64_MAX)
			return "a number of bytes above 0, or one with suffix k, m, g or t";
		return NULL;
	}
	return NULL;
}

int
be_opts_parse(const char *const *kv, struct be_opts *o, char *err, unsigned err_size)
{
	unsigned seen = 0;

	memset(o, 0, sizeof(*o));
	for (; kv && *kv; kv++) {
		const char *eq = strchr(*kv, '=');
		int i = eq ? find_key(*kv, (size_t)(eq - *kv)) : -1;
		const char *want;

		if (i < 0)
			return be_refuse(
			    err, err_size, -EINVAL,
			    "unknown option \"%.64s\": a backing store takes path=, direct=, "
			    "sync=, ro= and size=, and iopoll= and dsm= of nvme",
			    *kv);
		if (seen & 1u << i)
			return be_refuse(err, err_size, -EINVAL, "option %s= is given twice",
					 keys[i].key);
		seen |= 1u << i;
		want = set(o, (unsigned)i, eq + 1);
		if (want)
			return be_refuse(err, err_size, -EINVAL, "%s= must be %s, not \"%.64s\"",
					 keys[i].key, want, eq + 1);
	}
	return 0;
}
