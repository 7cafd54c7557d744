/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A connection over TCP. Receiving (tcp_rx.c): headers are parsed from the chunk, and data goes to
 * where the handlers want it. Sending (tcp_tx.c): once a turn as many PDUs as fit are laid out in a
 * batch and leave in one sendmsg.
 */
#ifndef ISCSI_TCP_CONN_H
#define ISCSI_TCP_CONN_H

#include "iscsi/conn.h"

enum tcp_rx_at {
	TCP_AT_HEAD,
	TCP_AT_BEGIN,
	TCP_AT_DATA,
	TCP_AT_TAIL
};

/* Where in the stream of PDUs we are. */
struct tcp_stream {
	struct gw_op op;
	struct gw_chunk *chunk;
	uint32_t at, end;    /* bytes of the chunk not parsed yet */
	bool busy, direct;   /* an operation is under way; into a buffer */
	uint8_t state;       /* enum tcp_rx_at */
	uint32_t have, need; /* bytes of the header */
	uint32_t left;       /* ... of the data segment, to come */
	uint32_t tail_have, tail_need;
	uint32_t crc;
	uint8_t tail[8];
};

struct tcp_batch;

struct tcp_conn {
	struct iscsi_conn conn;
	int fd;
	struct tcp_stream in;
	struct gw_op tx_op;
	struct tcp_batch *batch; /* on its way */
};

static inline struct tcp_conn *
tcp_conn_of(struct iscsi_conn *c)
{
	return gw_container(c, struct tcp_conn, conn);
}

/* --- tcp_conn.c --- */

/* Home core: a connection for fd; NULL without memory (fd stays the caller's). */
struct iscsi_conn *tcp_conn_new(struct gw_core *home, int fd, const struct sockaddr_storage *peer,
				const struct sockaddr_storage *local);

/* --- tcp_rx.c --- */

void tcp_rx_start(struct tcp_conn *tc);
void tcp_rx_go_on(struct iscsi_conn *c);
bool tcp_rx_keep(struct iscsi_conn *c, struct iscsi_task *t);
void tcp_rx_unkeep(struct iscsi_task *t);
void tcp_rx_close(struct tcp_conn *tc);

/* --- tcp_tx.c --- */

void tcp_tx_start(struct tcp_conn *tc);
void tcp_tx_send(struct iscsi_conn *c);
void tcp_tx_close(struct tcp_conn *tc);
size_t tcp_batch_size(void);

/* For the builders: room for one PDU with any data segment in this batch? */
bool tcp_batch_room(const struct tcp_batch *b);
/* 48 zeroed bytes for a header, in the batch. */
uint8_t *tcp_batch_head(struct tcp_batch *b);
/* Memory for a small data segment that lives as long as the batch, right after the header. */
uint8_t *tcp_batch_small(struct tcp_batch *b, uint32_t len);
/*
 * Completes a PDU: length, digests, padding. Data: len bytes at off of iov, or the small segment
 * (iov NULL).
 */
void tcp_batch_seal(struct tcp_batch *b, uint8_t *bhs, const struct iovec *iov, uint32_t off,
		      uint32_t len, bool hdig, bool ddig);

/* The builders, each in the file of its PDU: true when all of the task is in batches. */
bool iscsi_r2t_build(struct iscsi_conn *c, struct tcp_batch *b, struct iscsi_task *t);
bool iscsi_data_in_build(struct iscsi_conn *c, struct tcp_batch *b, struct iscsi_task *t);
/* Status went with the last Data-In. */
bool iscsi_data_in_collapsed(const struct iscsi_task *t);

#endif
