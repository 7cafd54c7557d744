/* SPDX-License-Identifier: BSD-3-Clause */
/* The lean load generator: one thread drives its sessions, everything in place, nothing allocated.
 */
#ifndef TESTS_BENCH_LEAN_H
#define TESTS_BENCH_LEAN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#define LEAN_THREADS_MAX 16
#define LEAN_HEAD        1088 /* more than the longest header with its digest */
#define LEAN_BUF	 (512u << 10)

struct opts {
	char host[256], port[16], iqn[224];
	unsigned lun, sessions, depth, threads, read_pct;
	uint32_t bs;
	uint64_t span;        /* bytes of the LUN that the load touches; 0: all */
	uint32_t mrdsl;       /* MaxRecvDataSegmentLength that is declared */
	uint32_t first_burst; /* FirstBurstLength that is offered */
	double seconds, warmup;
	int cpu[LEAN_THREADS_MAX];
	unsigned ncpu;
	pid_t pid; /* the target's process, whose CPU time is measured; 0: none */
	bool seq, sleep, hdig, ddig, json, verify, copy, idle;
};

/* Latencies: 64 buckets per power of two, 1.6 % wide. */
#define LAT_SUB     64
#define LAT_BUCKETS (LAT_SUB * 40)
struct lat {
	uint64_t count[LAT_BUCKETS];
	uint64_t n, sum, max;
};

struct slot {
	uint64_t off, began;
	uint32_t moved; /* bytes of read data that have come, or of write data asked for so far */
	bool write;
	uint8_t *data; /* what writes send: of its own with --verify, else shared */
};

enum load {
	LOAD_WARMUP,
	LOAD_MEASURE,
	LOAD_END
};

/* What one thread has counted; of the measured window once that is open. */
struct count {
	uint64_t reads, writes, errors;
	struct lat lat;
};

struct out {
	uint8_t *head; /* ring of header copies, `heads` of `stride` bytes */
	uint32_t heads, next;
	uint32_t stride;   /* 48, or 52 with a header digest */
	struct iovec *iov; /* [first, last) is not sent yet */
	uint32_t first, last, iovs;
};

struct sess {
	const struct opts *o;
	struct worker *w;
	int fd;
	unsigned index;
	const char *asked; /* what the target owes an answer to, before and after the load */
	/* as negotiated */
	uint32_t tgt_mrdsl, max_burst, first_burst;
	bool immediate, initial_r2t, hdig, ddig;
	uint64_t capacity, nblocks; /* bytes of the LUN; I/O positions of the load */
	uint32_t block_len;
	/* sequence numbers, host order */
	uint32_t cmdsn, max_cmdsn, exp_statsn;
	/* what is coming in */
	uint8_t carry[LEAN_HEAD]; /* the start of a header that is not complete, */
	uint32_t have;            /* so long */
	uint32_t data_left;       /* of the PDU that is being read */
	uint32_t tail;            /* its padding and data digest */
	uint32_t pdu_slot, pdu_pos, crc;
	uint8_t head[48];
	bool in_pdu;
	/* what is going out */
	struct out out;
	/* slots without a command; all of them when idle */
	struct slot *slot;
	uint32_t *idle;
	uint32_t nidle;
	uint64_t pos, rng;
	uint64_t fill_left; /* I/Os of --verify's first pass that are not issued yet */
	uint32_t crc_len, crc_val[64];
};

struct worker {
	const struct opts *o;
	unsigned index;
	struct sess *sess; /* `nsess` in a row */
	unsigned nsess;
	uint8_t *buf; /* what every session receives into */
	int epoll;
	uint64_t now, last_done;
	enum load seen;
	bool filling;
	struct count count;
};

/* CPU time around the measured window, ns. */
struct cpu {
	uint64_t wall, self, target, busy, softirq, steal;
	bool have_target;
	uint64_t rss; /* bytes of the target, at the sample */
};

extern _Atomic int lean_load;

uint64_t now_ns(void);
/* Ends the process with one sentence. */
_Noreturn void die(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* lean_login.c: blocking, before and after the load. */
/* How long a receive waits at most. */
void sess_patience(const struct sess *s, unsigned ms);
void sess_login(struct sess *s);
void sess_logout(struct sess *s);

/* lean_load.c */
void sess_ready(struct sess *s);
void sess_free(struct sess *s);
/* Pages at an address of their own, touched: the first seconds are not spent in faults. */
void *lean_pages(size_t n);
void sess_issue(struct sess *s);
void sess_recv(struct sess *s, int flags);
bool sess_idle(const struct sess *s);
void sess_pattern(uint8_t *p, uint64_t off, uint32_t len);

/* lean_out.c */
void out_init(struct out *q, uint32_t heads, uint32_t stride);
/* A header of the ring, already queued; valid until the next call. out_data() follows it. */
uint8_t *out_head(struct out *q);
void out_data(struct out *q, const void *p, uint32_t len);
/* The header that out_head() gave is complete: its digest. */
void out_seal(struct out *q, uint8_t *head);
/* False while something is left because the socket is full. */
bool out_flush(struct out *q, int fd);

/* lean_cpu.c */
void cpu_sample(struct cpu *c, pid_t target);
void cpu_since(struct cpu *c, const struct cpu *begin);

/* lean_lat.c */
void lat_add(struct lat *l, uint64_t ns);
void lat_merge(struct lat *to, const struct lat *from);
double lat_quantile_us(const struct lat *l, double q);

#endif
