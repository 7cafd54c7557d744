/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is going on, as JSON. The cores fill rows that the control thread has allocated: nothing is
 * allocated on a core, and if there are more sessions than rows, the tour is made again with more.
 */
#include <stdlib.h>
#include <string.h>

#include "gateway/base/bug.h"
#include "gateway/base/num.h"
#include "gateway/base/str.h"
#include "gateway/control/member.h"
#include "gateway/control/rpc.h"
#include "gateway/core/usage.h"

#define ROWS_FIRST 64

struct filter {
	uint32_t tid; /* 0: all */
};

static bool
read_filter(json_t *params, struct filter *f, struct rpc_err *err)
{
	static const struct member table[] = {
	    {.name = "tid",
	     .kind = MEMBER_UINT,
	     MEMBER_AT(struct filter, tid),
	     .min = 1,
	     .max = INT32_MAX},
	};
	struct gw_conf_err why = {0};
	struct member_ctx ctx = {.key = "params", .err = &why};

	if (!params || member_read_all(&ctx, params, table, GW_ARRAY_LEN(table), f))
		return true;
	rpc_fail(err, RPC_PARAMS, "%s", why.text);
	return false;
}

/* Names come from peers: what is no UTF-8 is shown with '?'. */
static json_t *
peer_string(const char *s)
{
	json_t *j = json_string(s);
	char *copy;

	if (j)
		return j;
	copy = strdup(s);
	for (char *p = copy; p && *p; p++)
		*p = *p & 0x80 ? '?' : *p;
	j = json_string(copy ? copy : "?");
	free(copy);
	return j;
}

/* --- sessions --- */

#define SESSION_STATS(X)                                                                      \
	X(rd_cmds)                                                                            \
	X(rd_bytes)                                                                           \
	X(wr_cmds)                                                                            \
	X(wr_bytes) X(errors) X(rx_bytes) X(tx_bytes) X(cmd_pdus) X(rsp_pdus) X(dataout_pdus) \
	    X(datain_pdus)

struct row {
	uint32_t tid;
	uint16_t tsih, cid;
	unsigned core;
	const char *xport; /* constant */
	char initiator[GW_NAME_MAX + 1], map[GW_NAME_MAX + 1], alias[GW_SECRET_MAX + 1], peer[80];
	uint8_t isid[6];
	char params[1024];
#define X(name) uint64_t name;
	SESSION_STATS(X)
#undef X
	struct gw_counter more[GW_COUNTERS_MAX]; /* the transport's own */
	unsigned nmore;
};

struct collect {
	struct gw_tour tour;
	uint32_t tid;
	struct row *row;
	uint32_t room, n; /* n may come out larger than room */
};

static void
fill_row(struct row *r, const struct gw_core *core, struct gw_nexus *n)
{
	r->tid = n->target->tid;
	r->tsih = n->tsih;
	r->cid = n->cid;
	r->core = core->id;
	r->xport = n->xport->name;
	memcpy(r->initiator, n->initiator, sizeof(r->initiator));
	memcpy(r->alias, n->alias, sizeof(r->alias));
	gw_str_copy(r->map, sizeof(r->map), n->set ? n->set->who : "");
	memcpy(r->peer, n->peer, sizeof(r->peer));
	memcpy(r->isid, n->isid, sizeof(r->isid));
	r->params[0] = '\0';
	if (n->xport->params)
		n->xport->params(n, r->params, sizeof(r->params));
#define X(name) r->name = gw_stat_get(n->stats.name);
	SESSION_STATS(X)
#undef X
	r->nmore = n->xport->counters ? n->xport->counters(n, r->more) : 0;
}

static void
collect_visit(struct gw_core *core, struct gw_tour *tour)
{
	struct collect *c = gw_container(tour, struct collect, tour);

	gw_list_each (n, gw_nexus_list(core), struct gw_nexus, node) {
		if (n->closing || !n->target || (c->tid && n->target->tid != c->tid))
			continue;
		if (c->n < c->room)
			fill_row(&c->row[c->n], core, n);
		c->n++;
	}
	gw_tour_next(tour);
}

/* "Key=Value\n" lines; numbers and yes/no as text, as in the protocol. */
static json_t *
params_json(char *lines)
{
	json_t *o = json_object();
	char *save = NULL;

	for (char *l = strtok_r(lines, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
		char *eq = strchr(l, '=');

		if (!eq)
			continue;
		*eq = '\0';
		json_object_set_new(o, l, json_string(eq + 1));
	}
	return o;
}

static void
add_counters(json_t *o, const struct gw_counter *c, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		json_object_set_new(o, c[i].name, json_integer((json_int_t)c[i].value));
}

static json_t *
row_json(struct row *r)
{
	json_t *o = json_object(), *stats = json_object();
	char isid[13];

	gw_str_hex(isid, r->isid, sizeof(r->isid));
	json_object_set_new(o, "tid", json_integer(r->tid));
	json_object_set_new(o, "sid", json_integer(r->tsih));
	json_object_set_new(o, "cid", json_integer(r->cid));
	json_object_set_new(o, "initiator", peer_string(r->initiator));
	json_object_set_new(o, "alias", peer_string(r->alias));
	json_object_set_new(o, "addr", peer_string(r->peer));
	json_object_set_new(o, "isid", json_string(isid));
	json_object_set_new(o, "map", r->map[0] ? peer_string(r->map) : json_null());
	json_object_set_new(o, "core", json_integer(r->core));
	json_object_set_new(o, "xport", json_string(r->xport));
	json_object_set_new(o, "params", params_json(r->params));
#define X(name) json_object_set_new(stats, #name, json_integer((json_int_t)r->name));
	SESSION_STATS(X)
#undef X
	add_counters(stats, r->more, r->nmore);
	json_object_set_new(o, "stats", stats);
	return o;
}

static bool
collect_all(struct collect *c)
{
	c->room = ROWS_FIRST;
	for (;;) {
		c->n = 0;
		c->row = calloc(c->room, sizeof(*c->row));
		if (!c->row)
			return false;
		gw_tour_sync(&c->tour, collect_visit);
		if (c->n <= c->room)
			return true;
		free(c->row);
		c->room = c->n + ROWS_FIRST;
	}
}

json_t *
report_sessions(struct rpc_env *env, json_t *params, struct rpc_err *err)
{
	struct filter f = {0};
	struct collect c = {0};
	json_t *list;

	if (!read_filter(params, &f, err))
		return NULL;
	c.tid = f.tid;
	if (!collect_all(&c))
		return NULL;
	list = json_array();
	for (uint32_t i = 0; i < c.n; i++)
		json_array_append_new(list, row_json(&c.row[i]));
	free(c.row);
	return json_pack("{s:o}", "sessions", list);
}

/* --- LUNs --- */

struct lun_list {
	uint32_t tid;
	json_t *array;
};

static json_t *
lun_stats(const struct scsi_lu *lu)
{
	struct scsi_lu_stats s;

	scsi_lu_stats(lu, &s);
	return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I}", "rd_cmds", (json_int_t)s.rd_cmds, "rd_bytes",
			 (json_int_t)s.rd_bytes, "wr_cmds", (json_int_t)s.wr_cmds, "wr_bytes",
			 (json_int_t)s.wr_bytes, "errors", (json_int_t)s.errors, "inflight",
			 (json_int_t)s.inflight);
}

static void
add_lun(const struct gw_conf_lun *l, struct scsi_lu *lu, void *arg)
{
	struct lun_list *list = arg;
	const char *trouble;
	json_t *o;

	if (list->tid && l->tid != list->tid)
		return;
	trouble = gw_conf_lun_trouble(l->tid, l->lun);
	o = json_object();
	json_object_set_new(o, "tid", json_integer(l->tid));
	json_object_set_new(o, "lun", json_integer((json_int_t)l->lun));
	json_object_set_new(o, "size", json_integer((json_int_t)scsi_lu_size(lu)));
	json_object_set_new(o, "online",
			    json_boolean(l->scsi.online && scsi_lu_dev(lu) != NULL &&
					 !scsi_lu_ejected(lu)));
	json_object_set_new(o, "trouble", trouble ? peer_string(trouble) : json_null());
	json_object_set_new(o, "prevented", json_boolean(scsi_lu_prevented(lu)));
	json_object_set_new(o, "stats", lun_stats(lu));
	json_array_append_new(list->array, o);
}

json_t *
report_luns(struct rpc_env *env, json_t *params, struct rpc_err *err)
{
	struct filter f = {0};
	struct lun_list list;

	if (!read_filter(params, &f, err))
		return NULL;
	list.tid = f.tid;
	list.array = json_array();
	gw_conf_each_lun(add_lun, &list);
	return json_pack("{s:o}", "luns", list.array);
}

/* --- LUNs and portals that cannot be served --- */

static void
add_degraded(const char *key, const char *reason, void *arg)
{
	json_t *o = json_object();

	json_object_set_new(o, "key", json_string(key));
	if (json_object_set_new(o, "reason", json_string(reason)) != 0)
		json_object_set_new(o, "reason", json_string("the path is not UTF-8"));
	json_array_append_new(arg, o);
}

json_t *
report_degraded(struct rpc_env *env, json_t *params, struct rpc_err *err)
{
	json_t *list = json_array();

	gw_conf_each_degraded(add_degraded, list);
	return json_pack("{s:o}", "degraded", list);
}

/* --- cores --- */

#define DEVICES_MAX 8

struct core_rows {
	struct gw_tour tour;
	struct core_row {
		uint64_t up_ns;
		uint32_t placed, busy;
		struct gw_usage usage[GW_USAGES_MAX];
		struct {
			const char *name;
			struct gw_counter counter[GW_COUNTERS_MAX];
			unsigned n;
		} device[DEVICES_MAX];
		unsigned ndevices;
	} row[GW_CORES_MAX];
};

static void
core_visit(struct gw_core *core, struct gw_tour *tour)
{
	struct core_rows *rows = gw_container(tour, struct core_rows, tour);
	struct core_row *r = &rows->row[core->id];

	r->up_ns = core->now - core->born;
	r->busy = gw_core_busy(core, core->now);
	r->placed = atomic_load_explicit(&core->load, memory_order_relaxed);
	for (unsigned i = 0; i < gw_usages(); i++)
		r->usage[i] = gw_usage_get(core, i);
	for (r->ndevices = 0; r->ndevices < DEVICES_MAX; r->ndevices++) {
		unsigned i = r->ndevices;

		r->device[i].n = gw_device_counters(core, i, &r->device[i].name,
						    r->device[i].counter);
		if (r->device[i].n == 0)
			break;
	}
	gw_tour_next(tour);
}

static json_t *
usage_json(const struct core_row *r)
{
	json_t *o = json_object();

	for (unsigned i = 0; i < gw_usages(); i++)
		json_object_set_new(o, gw_usage_name(i),
				    json_pack("{s:I,s:I}", "used", (json_int_t)r->usage[i].used,
					      "total", (json_int_t)r->usage[i].total));
	return o;
}

static json_t *
counters_json(const struct gw_core *core)
{
	json_t *o = json_object();

#define X(name, what) \
	json_object_set_new(o, #name, json_integer((json_int_t)gw_stat_get(core->stats->name)));
	GW_CORE_STATS(X)
#undef X
	return o;
}

static json_t *
devices_json(const struct core_row *r)
{
	json_t *o = json_object();

	for (unsigned i = 0; i < r->ndevices; i++) {
		json_t *device = json_object();

		add_counters(device, r->device[i].counter, r->device[i].n);
		json_object_set_new(o, r->device[i].name, device);
	}
	return o;
}

static json_t *
core_json(const struct gw_core *core, const struct core_row *r)
{
	json_t *o = json_pack("{s:i,s:i,s:i,s:I,s:i,s:i}", "id", (int)core->id, "cpu", core->cpu,
			      "node", core->node, "up_ns", (json_int_t)r->up_ns, "busy",
			      (int)r->busy, "placed", (int)r->placed);

	json_object_set_new(o, "usage", usage_json(r));
	json_object_set_new(o, "counters", counters_json(core));
	if (r->ndevices)
		json_object_set_new(o, "rdma", devices_json(r));
	return o;
}

json_t *
report_stats(struct rpc_env *env, json_t *params, struct rpc_err *err)
{
	struct core_rows *rows = calloc(1, sizeof(*rows));
	json_t *cores;

	if (!rows)
		return NULL;
	gw_tour_sync(&rows->tour, core_visit);
	cores = json_array();
	for (unsigned i = 0; i < gw_ncores(); i++)
		json_array_append_new(cores, core_json(gw_core_at(i), &rows->row[i]));
	free(rows);
	return json_pack("{s:o,s:I}", "cores", cores, "never",
			 (json_int_t)atomic_load(&gw_never_count));
}
