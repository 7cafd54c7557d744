/* SPDX-License-Identifier: BSD-3-Clause */
#include "mgmt/former.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const members[] = {"naa", "scsi_id", "serial"};

/* False for a LUN without path: what it held is gone with it. */
static bool
former_key(const struct mgmt *m, const json_t *lun, char *key, size_t size)
{
	const json_t *target = mgmt_model_target(&m->model, mgmt_int(lun, "tid", 0));

	if (!target || !mgmt_str(json_object_get(lun, "mgmt"), "path", NULL))
		return false;
	snprintf(key, size, MGMT_FORMER_PREFIX "%s/%" JSON_INTEGER_FORMAT,
		 mgmt_str(target, "iqn", ""), mgmt_int(lun, "lun", 0));
	return true;
}

int
mgmt_former_trim(const struct mgmt *m, struct mgmt_change *c)
{
	size_t count = 0, more = json_object_size(c->set), drop;
	const char *key;
	json_t *obj;

	json_object_foreach (m->model.objects, key, obj)
		count += !strncmp(key, MGMT_FORMER_PREFIX, strlen(MGMT_FORMER_PREFIX));
	drop = count + more > MGMT_FORMER_MAX ? count + more - MGMT_FORMER_MAX : 0;
	json_object_foreach (m->model.objects, key, obj) {
		if (!drop)
			break;
		if (strncmp(key, MGMT_FORMER_PREFIX, strlen(MGMT_FORMER_PREFIX)) ||
		    json_object_get(c->set, key))
			continue;
		if (mgmt_change_del(c, key))
			return -ENOMEM;
		drop--;
	}
	return 0;
}

int
mgmt_former_keep(const struct mgmt *m, struct mgmt_change *c, const json_t *lun)
{
	char key[MGMT_KEY_MAX];
	json_t *obj;

	if (!former_key(m, lun, key, sizeof(key)))
		return 0;
	/* A target with more LUNs than are remembered: the first ones are. */
	if (json_object_size(c->set) >= MGMT_FORMER_MAX)
		return 0;
	obj = json_pack("{s:s,s:O}", "key", key, "path",
			json_object_get(json_object_get(lun, "mgmt"), "path"));
	if (!obj)
		return -ENOMEM;
	for (unsigned i = 0; i < sizeof(members) / sizeof(members[0]); i++)
		json_object_set(obj, members[i], json_object_get(lun, members[i]));
	return mgmt_change_set(c, obj);
}

int
mgmt_former_use(const struct mgmt *m, struct mgmt_change *c, json_t *lun)
{
	char key[MGMT_KEY_MAX];
	json_t *was;

	if (!former_key(m, lun, key, sizeof(key)))
		return 0;
	was = mgmt_model_get(&m->model, key);
	if (!was ||
	    strcmp(mgmt_str(was, "path", ""), mgmt_str(json_object_get(lun, "mgmt"), "path", "")))
		return 0;
	for (unsigned i = 0; i < sizeof(members) / sizeof(members[0]); i++)
		json_object_set(lun, members[i], json_object_get(was, members[i]));
	return mgmt_change_del(c, key);
}
