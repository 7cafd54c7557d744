/* SPDX-License-Identifier: BSD-3-Clause */
/* Connections, and the counters of everything. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "mgmt/ops.h"

#define STAT_HEAD                                                                  \
	"tgt lun sid rd_subm(bytes,cmds) rd_done(bytes,cmds) wr_subm(bytes,cmds) " \
	"wr_done(bytes,cmds) errs\n"
#define RDMA_HEAD \
	"core device        qps        recvs        sends    read bytes written bytes   errors\n"
#define RDMA_ROW                                                                            \
	"%4d %-12s %5" JSON_INTEGER_FORMAT " %12" JSON_INTEGER_FORMAT " %12" JSON_INTEGER_FORMAT \
	" %13" JSON_INTEGER_FORMAT " %13" JSON_INTEGER_FORMAT " %8" JSON_INTEGER_FORMAT "\n"
#define CORE_HEAD                                                                  \
	"core cpu node busy(%%) conns sessions cmds rx_bytes tx_bytes turns "      \
	"enters slow buffers(used,all,waits) chunks(used,all,waits)\n"
#define CONN_HEAD "sid cid rxdata_octets txdata_octets dataout_pdus datain_pdus cmd_pdus rsp_pdus\n"

int
mgmt_conn_show(struct mgmt *m, const struct mgmt_req *r, struct mgmt_text *out,
	       struct mgmt_err *err)
{
	json_t *list, *s;
	char host[80];
	size_t i;

	if (!mgmt_need_target(m, r, err))
		return -1;
	list = mgmt_ask_sessions(m, r->h.tid);
	if (r->json) {
		mgmt_text_json(out, json_pack("{s:o}", "sessions", list));
		return 0;
	}
	json_array_foreach (list, i, s) {
		mgmt_host_of(mgmt_str(s, "addr", ""), host, sizeof(host));
		mgmt_text_addf(out,
			       "Session: %" JSON_INTEGER_FORMAT
			       "\n    Connection: %" JSON_INTEGER_FORMAT
			       "\n        Initiator: %s\n        %sIP Address: %s\n",
			       mgmt_int(s, "sid", 0), mgmt_int(s, "cid", 0),
			       mgmt_str(s, "initiator", ""), mgmt_rdma_mark(s), host);
	}
	json_decref(list);
	return 0;
}

int
mgmt_conn_delete(struct mgmt *m, const struct mgmt_req *r, struct mgmt_text *out,
		 struct mgmt_err *err)
{
	if (!mgmt_need_target(m, r, err))
		return -1;
	/* Both are 16 bits on the wire (RFC 7143 11.12.6, 11.12.7). */
	if (r->h.sid > UINT16_MAX)
		return mgmt_fail(err, TGT_E_NO_SESSION,
				 "target %" PRId32 " has no session %" PRIu64, r->h.tid, r->h.sid);
	if (r->h.cid > UINT16_MAX)
		return mgmt_fail(err, TGT_E_NO_CONN,
				 "session %" PRIu64 " has no connection %" PRIu32, r->h.sid,
				 r->h.cid);
	return mgmt_link_call(&m->link, "close",
			      json_pack("{s:i,s:I,s:I}", "tid", (int)r->h.tid, "sid",
					(json_int_t)r->h.sid, "cid", (json_int_t)r->h.cid),
			      10000, NULL, err);
}

static void
stat_row(struct mgmt_text *out, json_int_t tid, json_int_t lun, json_int_t sid, const json_t *st)
{
	uint64_t rb = (uint64_t)mgmt_int(st, "rd_bytes", 0);
	uint64_t wb = (uint64_t)mgmt_int(st, "wr_bytes", 0);
	unsigned rc = (unsigned)mgmt_int(st, "rd_cmds", 0);
	unsigned wc = (unsigned)mgmt_int(st, "wr_cmds", 0);

	mgmt_text_addf(out,
		       "%3d %3" PRIu64 " %3" PRIu64 " %12" PRIu64 " %6u %12" PRIu64
		       " %6u %12" PRIu64 " %6u %12" PRIu64 " %6u %4u\n",
		       (int)tid, (uint64_t)lun, (uint64_t)sid, rb, rc, rb, rc, wb, wc, wb, wc,
		       (unsigned)mgmt_int(st, "errors", 0));
}

static void
conn_row(struct mgmt_text *out, const json_t *s)
{
	const json_t *st = json_object_get(s, "stats");

	mgmt_text_addf(
	    out, "%3d %3d %13" PRIu64 " %13" PRIu64 " %12u %11u %8u %8u\n",
	    (int)mgmt_int(s, "sid", 0), (int)mgmt_int(s, "cid", 0),
	    (uint64_t)mgmt_int(st, "rx_bytes", 0), (uint64_t)mgmt_int(st, "tx_bytes", 0),
	    (unsigned)mgmt_int(st, "dataout_pdus", 0), (unsigned)mgmt_int(st, "datain_pdus", 0),
	    (unsigned)mgmt_int(st, "cmd_pdus", 0), (unsigned)mgmt_int(st, "rsp_pdus", 0));
}

/* One session: its totals over all LUNs, then its connection. */
static int
session_stat(struct mgmt *m, const struct mgmt_req *r, struct mgmt_text *out, struct mgmt_err *err)
{
	json_t *list = mgmt_ask_sessions(m, r->h.tid), *s = NULL, *it;
	size_t i;

	json_array_foreach (list, i, it) {
		if ((uint64_t)mgmt_int(it, "sid", 0) == r->h.sid)
			s = it;
	}
	if (!s) {
		json_decref(list);
		return mgmt_fail(err, TGT_E_NO_SESSION,
				 "target %" PRId32 " has no session %" PRIu64, r->h.tid, r->h.sid);
	}
	if (r->json) {
		mgmt_text_json(out, json_pack("{s:O}", "session", s));
	} else {
		if (r->h.mode != TGT_CONN) {
			mgmt_text_addf(out, STAT_HEAD);
			stat_row(out, r->h.tid, 0, (json_int_t)r->h.sid,
				 json_object_get(s, "stats"));
			mgmt_text_addf(out, "\n");
		}
		mgmt_text_addf(out, CONN_HEAD);
		conn_row(out, s);
	}
	json_decref(list);
	return 0;
}

/* LUNs of one target or of all; the session column is 0: the counters are of the LUN. */
static int
lun_stat(struct mgmt *m, int64_t tid, uint64_t only, const struct mgmt_req *r,
	 struct mgmt_text *out)
{
	json_t *list = mgmt_ask_luns(m, tid), *wanted = json_array(), *l;
	size_t i;

	json_array_foreach (list, i, l) {
		if (only == TGT_NO_LUN || (uint64_t)mgmt_int(l, "lun", 0) == only)
			json_array_append(wanted, l);
	}
	json_decref(list);
	if (r->json) {
		mgmt_text_json(out, json_pack("{s:o}", "luns", wanted));
		return 0;
	}
	mgmt_text_addf(out, STAT_HEAD);
	json_array_foreach (wanted, i, l)
		stat_row(out, mgmt_int(l, "tid", 0), mgmt_int(l, "lun", 0), 0,
			 json_object_get(l, "stats"));
	json_decref(wanted);
	return 0;
}

static uint64_t
member(const json_t *o, const char *inner, const char *name)
{
	return (uint64_t)mgmt_int(json_object_get(o, inner), name, 0);
}

static void
core_row(struct mgmt_text *out, const json_t *c)
{
	const json_t *usage = json_object_get(c, "usage");

	mgmt_text_addf(
	    out,
	    "%4d %3d %4d %5.1f %6" PRIu64 " %8" PRIu64 " %12" PRIu64 " %14" PRIu64 " %14" PRIu64
	    " %12" PRIu64 " %12" PRIu64 " %5" PRIu64 " %12" PRIu64 " %12" PRIu64 " %6" PRIu64
	    " %6" PRIu64 " %6" PRIu64 " %6" PRIu64 "\n",
	    (int)mgmt_int(c, "id", 0), (int)mgmt_int(c, "cpu", 0), (int)mgmt_int(c, "node", -1),
	    (double)mgmt_int(c, "busy", 0) / 10, member(c, "counters", "conns_live"),
	    member(c, "counters", "sessions"), member(c, "counters", "cmds"),
	    member(c, "counters", "rx_bytes"), member(c, "counters", "tx_bytes"),
	    member(c, "counters", "turns"), member(c, "counters", "enters"),
	    member(c, "counters", "slow_turns"), member(usage, "buffer_bytes", "used"),
	    member(usage, "buffer_bytes", "total"), member(c, "counters", "buf_waits"),
	    member(usage, "chunks", "used"), member(usage, "chunks", "total"),
	    member(c, "counters", "chunk_waits"));
}

/* RDMA devices, each on each core that has used it. */
static void
rdma_rows(struct mgmt_text *out, const json_t *cores)
{
	const char *device;
	bool first = true;
	json_t *c, *d;
	size_t i;

	json_array_foreach (cores, i, c) {
		json_object_foreach (json_object_get(c, "rdma"), device, d) {
			if (first)
				mgmt_text_addf(out, "\n" RDMA_HEAD);
			first = false;
			mgmt_text_addf(out, RDMA_ROW, (int)mgmt_int(c, "id", 0), device,
				       mgmt_int(d, "qps", 0), mgmt_int(d, "recvs", 0),
				       mgmt_int(d, "sends", 0), mgmt_int(d, "rdma_read_bytes", 0),
				       mgmt_int(d, "rdma_write_bytes", 0),
				       mgmt_int(d, "rdma_errors", 0));
		}
	}
}

/* `-n cores`: what each loop of the gateway has done, and has. */
static int
core_stat(struct mgmt *m, const struct mgmt_req *r, struct mgmt_text *out)
{
	json_t *list = mgmt_ask_cores(m), *c;
	size_t i;

	if (r->json) {
		mgmt_text_json(out, json_pack("{s:o}", "cores", list));
		return 0;
	}
	mgmt_text_addf(out, CORE_HEAD);
	json_array_foreach (list, i, c)
		core_row(out, c);
	rdma_rows(out, list);
	json_decref(list);
	return 0;
}

int
mgmt_stat(struct mgmt *m, const struct mgmt_req *r, struct mgmt_text *out, struct mgmt_err *err)
{
	if (r->h.mode == TGT_SYSTEM && mgmt_req_arg(r, "cores"))
		return core_stat(m, r, out);
	if (r->h.mode == TGT_SYSTEM)
		return lun_stat(m, 0, TGT_NO_LUN, r, out);
	if (!mgmt_need_target(m, r, err))
		return -1;
	if (r->h.mode == TGT_SESSION || r->h.mode == TGT_CONN || r->h.sid)
		return session_stat(m, r, out, err);
	if (r->h.mode == TGT_TARGET)
		return lun_stat(m, r->h.tid, TGT_NO_LUN, r, out);
	if (r->h.lun && !mgmt_model_lun(&m->model, r->h.tid, r->h.lun))
		return mgmt_fail(err, TGT_E_NO_LUN, "target %" PRId32 " has no LUN %" PRIu64,
				 r->h.tid, r->h.lun);
	return lun_stat(m, r->h.tid, r->h.lun, r, out);
}
