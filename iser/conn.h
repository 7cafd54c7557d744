/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A connection over RDMA, a struct iscsi_conn whose PDUs are carried by SEND and whose data by RDMA
 * Read and Write. Home: the core that it was placed on.
 *
 * Receiving: a message lands in a slot of the RECV ring (ring.c), its header before a page, its data
 * in one; rx.c hands it to the handlers of iscsi/ in order. A slot is posted again when its message
 * is done with, which for immediate data that is used in place is when its command ends: the credits
 * of the command window count such slots as well. Sending (tx.c): once a turn all that waits becomes
 * one chain of work requests: the RDMA Writes of a read's data with the SEND of its response behind
 * them, RDMA Reads for a write's data. Each work request has its room in the send queue and in the
 * completion queue before it is posted.
 */
#ifndef ISER_CONN_H
#define ISER_CONN_H

#include <infiniband/verbs.h>
#include <rdma/rdma_cma.h>

#include "iscsi/conn.h"
#include "iser/cm.h"
#include "iser/dev.h"
#include "iser/life.h"
#include "iser/proto.h"

#define ISER_SQ        256u            /* work requests of the send queue */
#define ISER_SENDS     128u            /* ... SENDs among them */
#define ISER_READS     64u             /* ... commands with RDMA Reads */
#define ISER_DATA      ISCSI_LOGIN_DSL /* longest data segment of a message, either way */
#define ISER_LOGIN_SQ  24u             /* work requests of the send queue before login */
#define ISER_LOGIN_RQ  4u              /* RECVs before login */
#define ISER_DEPTH_MAX 512u
#define ISER_RQ        (ISER_LOGIN_RQ + ISER_DEPTH_MAX + ISCSI_UNEXPECTED_PDUS)
#define ISER_LEAVE_MS  1000            /* for an initiator that has logged out to disconnect */
#define ISER_DRAIN_MS  5000            /* for the device to flush what is out */

enum iser_wr_kind {
	ISER_WR_RECV,
	ISER_WR_SEND,
	ISER_WR_READ,
	ISER_WR_RDMA /* of several, or before a SEND: completes only in error */
};

/* The wr_id of a work request points to one, in what it belongs to. */
struct iser_wr {
	uint8_t kind; /* enum iser_wr_kind */
	struct iser_conn *conn;
};

/* A RECV and its memory. */
struct iser_slot {
	struct iser_wr wr;
	struct gw_list node; /* conn->inq */
	uint8_t *head;       /* ISER_HEAD_LEN bytes */
	uint8_t *data;       /* ISER_DATA bytes for what follows it, at a page's begin */
	uint32_t len;        /* what came */
	bool handled;        /* its message is being handled */
	bool kept;           /* a command uses its data */
};

struct iser_ring {
	struct iser_slot *slot;
	uint32_t n;
	struct gw_sg heads, data;
};

/* A SEND and the WRITEs before it. */
struct iser_send_wr {
	struct iser_wr wr;
	struct iser_send_wr *next; /* free */
	struct iscsi_tx *tx;       /* NULL: a Hello Reply */
	uint8_t *mem;              /* for headers and a short data segment */
	uint32_t nwr;              /* places of the send queue */
	bool last;                 /* a Hello Reply that says no */
};

/* The RDMA Reads of a command. */
struct iser_read_wr {
	struct iser_wr wr;
	struct iser_read_wr *next; /* free */
	struct iscsi_task *task;
	uint32_t nwr;
};

struct iser_conn {
	struct iscsi_conn conn;
	struct iser_cm_owner owner;
	struct rdma_cm_id *id; /* with its QP */
	struct iser_cq *cq;
	uint8_t state; /* enum iser_state */
	bool send_inv; /* the initiator takes SEND with invalidate */
	bool greeted;  /* its Hello was answered */
	uint8_t ord;   /* RDMA Reads at once, as agreed */
	uint32_t reserved[ISER_SIDES]; /* entries of the completion queues */

	struct iser_ring login_ring, ring;
	uint32_t posted; /* RECVs */
	struct gw_list inq;
	struct iser_slot *slot; /* whose header is being looked at */

	uint32_t room; /* free places of the send queue */
	uint32_t out;  /* SENDs and READs that will complete */
	struct gw_list taken; /* entries of txq that are being sent */
	struct iser_send_wr *free_send;
	struct iser_read_wr *free_read;
	struct gw_sg send_mem;
	struct iser_wr rdma_wr;
	struct iser_send_wr send[ISER_SENDS];
	struct iser_read_wr read[ISER_READS];

	struct gw_timer drain;
	struct iser_stats stats;
	struct gw_list node; /* of the core's connections */
};

static inline struct iser_conn *
iser_conn_of(struct iscsi_conn *c)
{
	return gw_container(c, struct iser_conn, conn);
}

/* Adds to the counter of a connection's QP, and of its device on this core. */
#define iser_count(ic, field, n)                           \
	do {                                               \
		gw_stat_add((ic)->stats.field, n);         \
		gw_stat_add((ic)->cq->stats.field, n);     \
	} while (0)

/* --- conn.c --- */

/*
 * Home core: accepts the connection that `id` asks for, and begins to serve it. False: it cannot be
 * had, the log says why; the id is the caller's to reject.
 */
bool iser_conn_new(struct gw_core *home, struct rdma_cm_id *id, struct iser_cm cm,
		   const struct rdma_conn_param *want, uint16_t tpgt);
/* Own core: ends those of a device, or if conn is not NULL that one, if it still has the QP of that number. */
void iser_conns_end(struct gw_core *core, const struct iser_dev *dev, const void *conn, uint32_t qp,
		    const char *why);
/* A work request has completed. */
void iser_completed(const struct ibv_wc *wc);

/* --- ring.c --- */

/*
 * I/O buffer memory for what a connection sends and receives by. All connections of a core have at most
 * half of what there is, as they keep it while they do nothing. False: none now, or no more.
 */
bool iser_mem_get(struct iser_conn *ic, uint32_t len, struct gw_sg *sg);
void iser_mem_put(struct iser_conn *ic, struct gw_sg *sg);

/* Memory for n RECVs, and posts them; false: no memory, or the queue pair takes none. */
bool iser_ring_open(struct iser_conn *ic, struct iser_ring *r, uint32_t n);
void iser_ring_close(struct iser_conn *ic, struct iser_ring *r);
/* The slot is free: it may receive again. */
void iser_ring_post(struct iser_slot *s);

/* --- rx.c --- */

void iser_rx_received(struct iser_slot *s, uint32_t len);
void iser_rx_go_on(struct iscsi_conn *c);
bool iser_rx_keep(struct iscsi_conn *c, struct iscsi_task *t);
void iser_rx_unkeep(struct iscsi_task *t);

/* --- tx.c --- */

bool iser_tx_open(struct iser_conn *ic);
void iser_tx_send(struct iscsi_conn *c);
bool iser_tx_solicit(struct iscsi_task *t);
void iser_tx_hello(struct iser_conn *ic, const struct iser_send *hello);
void iser_tx_sent(struct iser_send_wr *s, bool ok);
void iser_tx_read(struct iser_read_wr *r, bool ok);
void iser_tx_close(struct iser_conn *ic);

#endif
