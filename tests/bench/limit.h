/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_BENCH_LIMIT_H
#define TESTS_BENCH_LIMIT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#define LIMIT_BLOCK   512u
#define LIMIT_IO_MAX  (4u << 20) /* the longest read or write that is served */
#define LIMIT_BUF     (256u << 10)
#define LIMIT_WRITES  1024  /* writes of a connection whose data has not come yet */
#define LIMIT_IOVS    16384 /* a buffer full of reads, */
#define LIMIT_IO_IOVS 1024  /* and the longest read in the smallest pieces */

struct limit {
	uint64_t size;
	uint8_t *file; /* the whole LUN, or */
	uint8_t *mem;  /* what every read is answered from */
};

/* A write that waits for data. */
struct wait {
	uint32_t itt, len, left; /* left 0: free */
	uint32_t r2tsn;
	uint64_t off;
};

struct conn {
	struct limit *l;
	int fd;
	uint8_t *buf;
	uint32_t have;
	/* the write data that is being received */
	uint8_t *to; /* NULL: dropped */
	uint32_t data_left, pad;
	struct wait *into; /* NULL while no write's data comes */
	/* as negotiated */
	uint32_t mrdsl, max_burst, first_burst;
	uint8_t request[48]; /* the PDU that brings it */
	bool full_feature;
	uint32_t statsn, cmdsn;
	/* answers */
	struct iovec iov[LIMIT_IOVS];
	uint8_t head[LIMIT_IOVS][48];
	uint32_t first, last;
	uint8_t text[4096]; /* data of rare answers, until they have left */
	struct wait wait[LIMIT_WRITES];
};

void conn_init(struct conn *c);
/* One receive and the answers to all of it, queued. False: the connection is over. */
bool conn_recv(struct conn *c);
bool conn_flush(struct conn *c);

/* limit_rare.c: login, INQUIRY and the like. */
void rare_login(struct conn *c, const uint8_t *bhs, const uint8_t *data, uint32_t len);
/* Read data of a CDB that is no READ or WRITE, in c->text; its length. */
uint32_t rare_command(struct conn *c, const uint8_t *cdb, uint8_t *out);

/* A header of the answers, cleared; data may follow it. */
uint8_t *conn_head(struct conn *c, uint8_t opcode, uint8_t flags, const uint8_t *request);
void conn_data(struct conn *c, uint8_t *head, const void *p, uint32_t len);

#endif
