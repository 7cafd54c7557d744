/* SPDX-License-Identifier: BSD-3-Clause */
#include "mgmt/model.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int
mgmt_model_init(struct mgmt_model *m)
{
	m->objects = json_object();
	m->names = json_object();
	if (m->objects && m->names)
		return 0;
	mgmt_model_fini(m);
	return -ENOMEM;
}

void
mgmt_model_fini(struct mgmt_model *m)
{
	json_decref(m->objects);
	json_decref(m->names);
	m->objects = m->names = NULL;
}

json_t *
mgmt_model_get(const struct mgmt_model *m, const char *key)
{
	return json_object_get(m->objects, key);
}

json_t *
mgmt_model_target(const struct mgmt_model *m, int64_t tid)
{
	char key[MGMT_KEY_MAX];

	snprintf(key, sizeof(key), "target:%" PRId64, tid);
	return mgmt_model_get(m, key);
}

json_t *
mgmt_model_lun(const struct mgmt_model *m, int64_t tid, uint64_t lun)
{
	char key[MGMT_KEY_MAX];

	snprintf(key, sizeof(key), "lun:%" PRId64 "/%" PRIu64, tid, lun);
	return mgmt_model_get(m, key);
}

json_t *
mgmt_model_account(const struct mgmt_model *m, const char *name)
{
	char key[MGMT_KEY_MAX];

	snprintf(key, sizeof(key), "account:%s", name);
	return mgmt_model_get(m, key);
}

/* iSCSI names are compared in lower case (RFC 3722). */
static void
name_fold(char *dst, size_t size, const char *iqn)
{
	size_t i;

	for (i = 0; iqn[i] && i < size - 1; i++)
		dst[i] = (char)tolower((unsigned char)iqn[i]);
	dst[i] = '\0';
}

int64_t
mgmt_model_tid_by_name(const struct mgmt_model *m, const char *iqn)
{
	char low[MGMT_KEY_MAX];

	name_fold(low, sizeof(low), iqn);
	return json_integer_value(json_object_get(m->names, low));
}

bool
mgmt_model_has_targets(const struct mgmt_model *m)
{
	return json_object_size(m->names) > 0;
}

static int
by_number(const void *a, const void *b)
{
	const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
	json_int_t p = mgmt_int(x, "tid", 0), q = mgmt_int(y, "tid", 0);

	if (p == q) {
		p = mgmt_int(x, "lun", 0);
		q = mgmt_int(y, "lun", 0);
	}
	return p < q ? -1 : p > q;
}

json_t *
mgmt_model_list(const struct mgmt_model *m, const char *prefix)
{
	size_t n = 0, len = strlen(prefix), total = json_object_size(m->objects);
	json_t **sorted = calloc(total + 1, sizeof(*sorted)), *list = json_array(), *obj;
	const char *key;

	if (!sorted || !list)
		goto out_free;
	json_object_foreach (m->objects, key, obj) {
		if (!strncmp(key, prefix, len))
			sorted[n++] = obj;
	}
	if (strncmp(prefix, "target:", 7) == 0 || strncmp(prefix, "lun:", 4) == 0)
		qsort(sorted, n, sizeof(*sorted), by_number);
	for (size_t i = 0; i < n; i++)
		json_array_append(list, sorted[i]);
	free(sorted);
	return list;
out_free:
	free(sorted);
	json_decref(list);
	return NULL;
}

int
mgmt_change_init(struct mgmt_change *c)
{
	memset(c, 0, sizeof(*c));
	c->set = json_object();
	c->del = json_object();
	if (c->set && c->del)
		return 0;
	mgmt_change_fini(c);
	return -ENOMEM;
}

void
mgmt_change_fini(struct mgmt_change *c)
{
	json_decref(c->set);
	json_decref(c->del);
	c->set = c->del = NULL;
}

json_t *
mgmt_change_edit(struct mgmt_change *c, const struct mgmt_model *m, const char *key)
{
	json_t *obj = json_object_get(c->set, key);

	if (obj)
		return obj;
	obj = json_deep_copy(mgmt_model_get(m, key));
	return obj && !json_object_set_new(c->set, key, obj) ? obj : NULL;
}

int
mgmt_change_set(struct mgmt_change *c, json_t *obj)
{
	const char *key = mgmt_str(obj, "key", NULL);

	if (key && !json_object_set(c->set, key, obj)) {
		json_decref(obj);
		return 0;
	}
	json_decref(obj);
	return -ENOMEM;
}

int
mgmt_change_del(struct mgmt_change *c, const char *key)
{
	json_object_del(c->set, key);
	return json_object_set_new(c->del, key, json_true()) ? -ENOMEM : 0;
}

bool
mgmt_change_visible(const struct mgmt_change *c, const struct mgmt_model *m)
{
	const char *key;
	json_t *obj;
	bool differs = false;

	json_object_foreach (c->del, key, obj)
		differs |= mgmt_key_visible(key);
	json_object_foreach (c->set, key, obj) {
		json_t *was = mgmt_model_get(m, key);
		json_t *a = was ? mgmt_gateway_form(was) : NULL, *b = mgmt_gateway_form(obj);

		differs |= mgmt_key_visible(key) && (!a || !b || !json_equal(a, b));
		json_decref(a);
		json_decref(b);
	}
	return differs;
}

static int
name_index(struct mgmt_model *m, const json_t *obj, bool add)
{
	const char *iqn = mgmt_str(obj, "iqn", NULL);
	char low[MGMT_KEY_MAX];

	if (!iqn)
		return 0;
	name_fold(low, sizeof(low), iqn);
	if (!add) {
		json_object_del(m->names, low);
		return 0;
	}
	return json_object_set_new(m->names, low, json_integer(mgmt_int(obj, "tid", 0)));
}

int
mgmt_model_commit(struct mgmt_model *m, const struct mgmt_change *c)
{
	const char *key;
	json_t *obj;
	int bad = 0;

	json_object_foreach (c->del, key, obj) {
		json_t *was = mgmt_model_get(m, key);

		if (was)
			name_index(m, was, false);
		json_object_del(m->objects, key);
	}
	json_object_foreach (c->set, key, obj) {
		bad |= json_object_set(m->objects, key, obj);
		bad |= name_index(m, obj, true);
	}
	return bad ? -ENOMEM : 0;
}

bool
mgmt_key_visible(const char *key)
{
	return strncmp(key, "former:", strlen("former:")) != 0;
}

json_t *
mgmt_gateway_form(const json_t *obj)
{
	json_t *copy = json_copy((json_t *)(uintptr_t)obj);

	if (copy)
		json_object_del(copy, "mgmt");
	return copy;
}

json_t *
mgmt_sub(json_t *o, const char *name)
{
	json_t *sub = json_object_get(o, name);

	if (!sub) {
		sub = json_object();
		json_object_set_new(o, name, sub);
	}
	return sub;
}

const char *
mgmt_str(const json_t *o, const char *name, const char *otherwise)
{
	const char *s = json_string_value(json_object_get(o, name));

	return s ? s : otherwise;
}

json_int_t
mgmt_int(const json_t *o, const char *name, json_int_t otherwise)
{
	const json_t *v = json_object_get(o, name);

	return json_is_integer(v) ? json_integer_value(v) : otherwise;
}

bool
mgmt_bool(const json_t *o, const char *name, bool otherwise)
{
	const json_t *v = json_object_get(o, name);

	return json_is_boolean(v) ? json_is_true(v) : otherwise;
}

int
mgmt_array_find(const json_t *array, const char *s)
{
	json_t *v;
	size_t i;

	json_array_foreach (array, i, v) {
		const char *t = json_string_value(v);

		if (t && !strcmp(t, s))
			return (int)i;
	}
	return -1;
}
