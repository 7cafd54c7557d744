/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A raw iSER initiator over verbs (RFC 7145): every byte of a message and every right of the memory
 * that it names is the caller's to choose, legal or not. One thread.
 */
#ifndef RAW_H
#define RAW_H

#include <netinet/in.h>
#include <rdma/rdma_cma.h>
#include <stdbool.h>
#include <stdint.h>

#define RAW_HEAD      76    /* the iSER header and the iSCSI header behind it */
#define RAW_ISER      28    /* ... the first alone */
#define RAW_RECVS     64    /* posted receive buffers, usually */
#define RAW_SENDS     64    /* SENDs under way, at most */
#define RAW_RECV_SLOT 16384 /* longest message that is taken */
#define RAW_SEND_SLOT 65536 /* longest that is sent */
#define RAW_BLOCK     512
#define RAW_NONE      0xffffffffu
#define RAW_BOTH_WAYS (IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_WRITE)

enum raw_opcode {
	RAW_NOP_OUT = 0x00,
	RAW_COMMAND = 0x01,
	RAW_TMF = 0x02,
	RAW_LOGIN = 0x03,
	RAW_TEXT = 0x04,
	RAW_DATA_OUT = 0x05,
	RAW_LOGOUT = 0x06,
	RAW_SNACK = 0x10,
	RAW_NOP_IN = 0x20,
	RAW_RESPONSE = 0x21,
	RAW_LOGIN_RSP = 0x23,
	RAW_LOGOUT_RSP = 0x26,
	RAW_REJECT = 0x3f,
	RAW_IMMEDIATE = 0x40
};

/* Flags of a SCSI command, RFC 7143 11.3.1. */
#define RAW_F 0x80
#define RAW_R 0x40
#define RAW_W 0x20

struct raw_where {
	struct sockaddr_in addr;
	const char *iqn;
	unsigned lun;
};

/* Memory that a command names. */
struct raw_name {
	bool valid;
	uint32_t stag;
	uint64_t at;
};

struct raw_mem {
	uint8_t *p;
	size_t len;
	struct ibv_mr *mr;
};

/* One message. */
struct raw_msg {
	struct raw_name out, in; /* Write STag, Read STag */
	uint8_t opcode, flags;
	uint32_t itt, w20, cmdsn, tail[4];
	uint8_t cdb[16]; /* in place of tail, if it is a command */
	const void *data;
	uint32_t len;
	uint32_t dsl;      /* what the header says; len, unless lie is set */
	uint8_t ahs_words; /* that are said, and not sent */
	uint8_t iser;      /* first byte; 0: as it should be */
	bool lie;
};

struct raw_pdu {
	uint8_t opcode, flags, response, status;
	uint32_t itt, w20;
	const uint8_t *bhs, *data;
	uint32_t len;
};

enum raw_got {
	RAW_NOTHING, /* not in time */
	RAW_PDU,     /* c->pdu */
	RAW_OTHER    /* look at the state */
};

struct raw_conn {
	struct rdma_event_channel *events;
	struct rdma_cm_id *id;
	struct ibv_comp_channel *wake;
	struct ibv_cq *cq;
	struct raw_mem recv, send;
	uint64_t busy;        /* slots of send that are under way, a bit each */
	int event;            /* last one of the connection manager */
	bool up;              /* connected */
	bool refused;         /* ... was not to be */
	bool ended;           /* disconnected, by whichever side */
	bool deaf;            /* gives no receive buffer back */
	bool mute;            /* does not answer pings */
	bool able;            /* says that it takes SEND with invalidate */
	bool ask_first;       /* InitialR2T=Yes was agreed on */
	uint8_t reads;        /* RDMA Reads of the target that it takes at once */
	uint8_t recvs, sends; /* buffers */
	int failed;           /* first status of a work request that is not success */
	unsigned rdma_done;   /* RDMA requests of ours that were carried out */
	uint32_t cmdsn, exp_statsn, max_cmdsn, itt;
	unsigned lun;
	uint16_t port;
	uint8_t in[RAW_RECV_SLOT];
	struct raw_pdu pdu;
};

/* How many connections were asked for, by this process. */
extern unsigned raw_connections;
/* The first one's port, those after it count on; 0: whatever is free. */
extern uint16_t raw_port;

uint64_t raw_now_ms(void);

/* --- conn.c --- */

/* Never NULL: without RDMA there is nothing to try, and the process ends. */
struct raw_conn *raw_new(void);
/* Resolves the address, makes the queue pair. false: there is no way there. */
bool raw_open(struct raw_conn *c, const struct raw_where *w);
/* Asks for the connection; does not wait. */
bool raw_request(struct raw_conn *c, const void *private_data, uint8_t len);
/* All that, and waits for the outcome: true if it is up. */
bool raw_connect(struct raw_conn *c, const struct raw_where *w);
/* One thing that happens, until `until`. */
enum raw_got raw_step(struct raw_conn *c, uint64_t until);
/* Sends n bytes as they are, more than a slot not; false: nobody takes them. */
bool raw_send(struct raw_conn *c, const void *p, uint32_t n);
/* RDMA READ or WRITE of ours, to a place in the target. */
bool raw_rdma(struct raw_conn *c, enum ibv_wr_opcode op, struct raw_mem *m, uint32_t rkey,
	      uint64_t at);
/* Disconnects if it is up, and frees. */
void raw_close(struct raw_conn *c);
/* Frees without a word to the peer beforehand. */
void raw_drop(struct raw_conn *c);
/* Zeroed, and registered with these rights if there is a connection to register it with. */
bool raw_mem_new(struct raw_conn *c, struct raw_mem *m, size_t len, int access);
void raw_mem_free(struct raw_mem *m);

/* --- pdu.c --- */

/* The message as bytes, RAW_SEND_SLOT at most; its length. */
uint32_t raw_msg_put(const struct raw_conn *c, const struct raw_msg *m, uint8_t *p);
bool raw_msg_send(struct raw_conn *c, const struct raw_msg *m);
/* Takes a received message apart: false if it is none of iSCSI's. */
bool raw_pdu_parse(struct raw_conn *c, uint32_t n);

struct raw_name raw_name_of(const struct raw_mem *m);
/* READ(10) or WRITE(10); takes a CmdSN and a task tag. */
struct raw_msg raw_io(struct raw_conn *c, bool write, uint32_t lba, uint32_t blocks);
struct raw_msg raw_nop(struct raw_conn *c);
/* Anything else that is not immediate and takes a CmdSN, without data. */
struct raw_msg raw_plain(struct raw_conn *c, uint8_t opcode, uint8_t flags);

/* --- session.c --- */

/* Keys of a Login Request, then those of `more`, one a line; the length. */
uint32_t raw_login_keys(const struct raw_where *w, const char *more, char *text, uint32_t room);
struct raw_msg raw_login_msg(struct raw_conn *c, const char *text, uint32_t len);
/* Logs in over a connection that is up: the status class and detail, or -1 without an answer. */
int raw_login(struct raw_conn *c, const struct raw_where *w, const char *more);
/* Connects and logs in; NULL and a line on stderr if that does not work. */
struct raw_conn *raw_attach(const struct raw_where *w, const char *more);
/* The same with a connection that raw_new() made: what is set in it holds. */
struct raw_conn *raw_begin(struct raw_conn *c, const struct raw_where *w, const char *more);
/* Ends the session as one should, and waits for the end. */
bool raw_logout(struct raw_conn *c, unsigned ms);
/* Waits for the PDU that has this tag: false if there is none in time. */
bool raw_wait_itt(struct raw_conn *c, uint32_t itt, unsigned ms);
/* A NOP-Out comes back. */
bool raw_ping(struct raw_conn *c, unsigned ms);
/* A command with its data in m, to the end: its SCSI status, or -1. */
int raw_run(struct raw_conn *c, const struct raw_msg *m, unsigned ms);

/* --- steady.c --- */

/* Verified writes and reads from a block on, until SIGTERM: an exit code. */
int raw_steady(const struct raw_where *w, uint32_t lba);

/* --- cycle.c --- */

/* That many sessions, one after the other, some of them left without a logout: an exit code. */
int raw_cycles(const struct raw_where *w, uint32_t count);

#endif
