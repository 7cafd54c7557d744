/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A connection, its tasks and what it sends, whatever carries its PDUs (wire.h). Home: the core that
 * it was placed on; no other thread touches it after accept. RFC 7143 with ErrorRecoveryLevel 0 and
 * one connection a session.
 *
 * Receiving: the wire leaves a header in rx.head, the handler of the opcode (ffp.c) says where the
 * data segment goes, and is called again when the whole PDU is in. Handlers return enum iscsi_rx;
 * whoever condemns the connection returns what conn_die() returned. Sending: entries wait on txq;
 * once a turn the wire sends as much of it as it can.
 */
#ifndef ISCSI_CONN_H
#define ISCSI_CONN_H

#include <sys/socket.h>

#include "gateway/api/model.h"
#include "gateway/base/pool.h"
#include "gateway/core/buf.h"
#include "gateway/core/engine.h"
#include "gateway/core/timer.h"
#include "iscsi/conn_fsm.h"
#include "iscsi/core.h"
#include "iscsi/login.h"
#include "iscsi/params.h"
#include "iscsi/pdu.h"
#include "iscsi/sn.h"
#include "iscsi/wire.h"

#define ISCSI_RX_BUDGET    64         /* PDUs of one connection in one go */
#define ISCSI_CTL_MAX      16         /* control PDUs that a connection may have under way */
#define ISCSI_IMM_MAX      8          /* immediate SCSI commands beside the window */
#define ISCSI_DATA_OUT_MS  60000      /* a peer that does not send its data is dropped */
#define ISCSI_TX_STALL_MS  60000      /* a peer that does not read is dropped */
#define ISCSI_DISCOVERY_MS 300000     /* a discovery session that asks nothing is ended */
#define ISCSI_LOGOUT_MS    10000      /* time to log out after we asked */
#define ISCSI_RECV_DSL     GW_SEG_MAX /* largest MaxRecvDataSegmentLength that we declare */
#define ISCSI_SLOTS        64         /* tasks of a connection with R2Ts outstanding */
#define ISCSI_GHOSTS_MAX   64         /* aborted tasks beyond the window whose data may come */

struct iscsi_session;
struct iscsi_task;
struct iscsi_conn;

enum iscsi_rx {
	ISCSI_RX_OK,
	ISCSI_RX_WAIT, /* short of something; rx.stop is set, the same step comes again */
	ISCSI_RX_DEAD, /* the connection is condemned */
};

/* Why a connection is not read from; a bit each. */
enum {
	ISCSI_STOP_POOL = 1,   /* no task, control entry or login object free on this core */
	ISCSI_STOP_BUF = 2,    /* no buffer free */
	ISCSI_STOP_CTL = 4,    /* the peer does not take our answers */
	ISCSI_STOP_GRANT = 8,  /* the session is being made */
	ISCSI_STOP_CLOSE = 16, /* for good */
	ISCSI_STOP_MEM = 32,   /* its own commands hold as much memory as it may have */
};

enum iscsi_tx_kind {
	ISCSI_TX_CTL,
	ISCSI_TX_RSP,
	ISCSI_TX_R2T
};

/* Something to send; embedded in its owner. */
struct iscsi_tx {
	struct gw_list node; /* conn->txq, later batch->done */
	uint8_t kind;        /* enum iscsi_tx_kind */
	bool queued;
};

/* A PDU other than those of SCSI commands. */
struct iscsi_ctl {
	struct iscsi_tx tx;
	struct iscsi_conn *conn;
	uint8_t bhs[ISCSI_BHS_LEN];
	uint8_t small[ISCSI_BHS_LEN]; /* data of a Reject or an Async Message */
	struct gw_sg sg;              /* longer data: len bytes at offset at, in one piece */
	uint32_t at, len;
	bool raw;    /* Login Response: sequence numbers are filled, digests are off */
	bool status; /* takes a StatSN */
	bool close;  /* the connection ends when this is sent */
	bool logout; /* ... by RFC 7143 11.15, not by failure */
	struct gw_tmf tmf;
};

/* One SCSI command. */
struct iscsi_task {
	struct iscsi_tx tx;
	struct gw_list node; /* conn->awaiting, conn->parked or conn->unasked */
	struct iscsi_conn *conn;
	struct iscsi_task *hash_next;
	uint32_t itt, cmdsn;

	bool begun;    /* between scsi_begin() and scsi_exec() */
	bool running;  /* between scsi_exec() and respond() */
	bool awaiting; /* announced or solicited data is to come; on conn->awaiting */
	bool unsol;    /* ... of it unsolicited */
	bool swallow;  /* the data is dropped: refused or aborted */
	bool broken;   /* its data was out of order: dropped up to the final PDU */
	bool answer;   /* a response goes out when the data is in */
	bool waits;    /* for older commands of its task set; its memory counts in conn->held */
	bool parked;   /* waits for a buffer, or to be asked for data; on conn->parked or ->unasked */
	bool immediate;
	bool counted; /* holds a place of the command window */
	bool told;    /* its status is laid out, or none is due */
	bool tagless; /* another task has its tag by now */
	bool moving;  /* an RDMA Read fills its buffer; until iscsi_task_moved() nothing frees it */

	/* Data-out; in sequence, as DataPDUInOrder and DataSequenceInOrder say (13.18, 13.19). */
	uint32_t want;     /* bytes of the stream that the command takes */
	uint32_t got;      /* bytes received: the next Buffer Offset */
	uint32_t asked;    /* end of what is announced or solicited */
	uint32_t seq_end;  /* end of the sequence under way; unsolicited: its limit */
	uint32_t data_sn;  /* next DataSN of that sequence */
	uint32_t r2t_base; /* offset of the first R2T; the others follow MaxBurstLength apart */
	uint32_t r2t_due, r2t_sent, r2t_done; /* decided on, laid out, answered */
	int16_t slot;                         /* in conn->slot; -1: none */
	uint32_t due;                         /* bytes of it that conn->due counts */
	uint64_t asked_at;                    /* core->now of the last R2T */
	uint64_t stamp;                       /* core->now when data came last */

	/* Data-in. */
	uint32_t send_len, sent, in_sn;

	struct iscsi_remote remote;
	void *kept; /* immediate data used in place: the wire's, see wire->keep() */
	struct iovec kept_iov;
	struct gw_sg sg;
	struct gw_cmd cmd;
};

enum iscsi_sink {
	ISCSI_SINK_DROP,
	ISCSI_SINK_FLAT,
	ISCSI_SINK_TASK,
	ISCSI_SINK_IN_PLACE
};

/* The PDU being received. */
struct iscsi_rxq {
	bool running; /* its handler, or the wire's parser, is on the stack */
	uint8_t stop;
	uint8_t sink;   /* enum iscsi_sink */
	uint8_t reject; /* enum iscsi_reject: answer this when the PDU is in; 0: none */
	bool ignore;    /* drop it without a word */
	uint32_t len;   /* of the data segment */
	uint32_t off;   /* TASK: where in the task's stream the segment begins */
	struct iscsi_task *task;
	uint8_t *flat;
	struct gw_sg sg; /* memory of flat when it is not the login's */
	uint8_t head[ISCSI_HEAD_MAX];
};

/* What a login in progress needs; from the core's bounded pool. */
struct iscsi_login_work {
	struct iscsi_login login;
	uint8_t data[ISCSI_LOGIN_DSL];
	struct gw_sg out; /* memory of the next response */
};

struct iscsi_conn {
	struct gw_core *core;
	struct iscsi_core *ic;
	const struct iscsi_wire *wire;
	struct iscsi_session *sess; /* NULL before the login has been granted */
	uint8_t state; /* enum iscsi_cs */
	bool full;     /* Full Feature Phase */
	bool discovery;
	bool hdig, ddig;
	bool dying, down; /* condemned; its wire is closed */
	bool placed;      /* counts where connections are placed: not dying, not for discovery */
	bool heard;       /* something came since the last tick */
	uint32_t stat_sn;
	struct iscsi_window win;
	struct iscsi_params params;

	struct iscsi_rxq rx;
	struct gw_hook rx_hook; /* receives on, after those who wait were looked at */

	struct gw_list txq;
	bool tx_busy;   /* something is on its way that the peer has not taken yet */
	bool tx_full;   /* ... and the wire takes no more until some of it has gone */
	bool tx_hungry; /* it waits for memory to send by */
	struct gw_hook tx_hook;
	uint64_t tx_stamp; /* core->now when it began */

	struct gw_list awaiting, parked, unasked;
	uint32_t r2t_bytes; /* solicited and not yet here */
	uint32_t due;       /* ... for commands that are still wanted */
	uint32_t window;    /* with so much due, no other command's data is asked for */
	uint64_t mem;       /* buffer bytes of its commands */
	uint64_t held;      /* ... of those whose turn has not come */
	uint64_t moved;     /* bytes received and sent */
	uint64_t heard_at;  /* core->now when something came last */
	uint64_t slow_at,
	    slow_moved; /* since when the core watches it, 0: it does not; moved then */
	uint32_t ntask, nctl, nimm;
	uint32_t depth;
	struct gw_waiter buf_waiter;
	struct gw_list pool_wait; /* ic->waiters */

	struct iscsi_login_work *work;
	struct gw_timer login_timer, tick;
	uint32_t unanswered; /* NOP-Ins */
	uint32_t nop_ttt;
	uint64_t logout_by;       /* ns; 0: not asked to log out */
	struct iscsi_ctl *logout; /* the response, until the nexus is closed */
	const char *why;

	struct gw_hook close_hook;
	struct gw_list node; /* ic->conns */
	uint16_t tpgt;       /* of its portal */
	struct sockaddr_storage peer, local;
	char peer_text[80];
};

struct iscsi_slot {
	struct iscsi_task *task;
	uint8_t gen;
};

/* --- conn.c: life ------------------------------------------------------------------------------
 */

/* Home core: fills a connection, whose memory is the wire's and zeroed; the wire sets tpgt. */
void iscsi_conn_init(struct iscsi_conn *c, struct gw_core *home, const struct iscsi_wire *wire,
		     const struct sockaddr_storage *peer, const struct sockaddr_storage *local);
/* Home core: begins to serve. */
void iscsi_conn_start(struct iscsi_conn *c);
/* It is no load to reckon with any more: new connections are placed without regard to it. */
void iscsi_conn_unplace(struct iscsi_conn *c);

/* Condemns the connection; `why` is a string constant for the log. Cleans up later, from the loop.
 */
enum iscsi_rx iscsi_conn_die(struct iscsi_conn *c, const char *why)
    __attribute__((warn_unused_result));
/* The same where there is nothing to return. */
void iscsi_conn_end(struct iscsi_conn *c, const char *why);
/* Asks for another look at a condemned connection: something it waits for has ended. */
void iscsi_conn_poke(struct iscsi_conn *c);
/* Period of the liveness timer. */
uint32_t iscsi_conn_tick_ms(const struct iscsi_conn *c);
/* Applies an event of conn_fsm; false if the pair is unknown (the connection is condemned). */
bool iscsi_conn_event(struct iscsi_conn *c, enum iscsi_ev ev);
/* Gives up the tasks that wait for data, for memory or to be asked for data, and all memory of them. */
void iscsi_tasks_drop(struct iscsi_conn *c);

/* --- rx.c: the PDU being received ----------------------------------------------------------------
 */

void iscsi_rx_init(struct iscsi_conn *c);
/* Ready for the next PDU. */
void iscsi_rx_reset(struct iscsi_conn *c);
/* Longest data segment that this connection has been promised (13.12). */
uint32_t iscsi_rx_dsl_max(const struct iscsi_conn *c);
/* The header is in head and len: who handles it? Again after WAIT. */
enum iscsi_rx iscsi_rx_begin(struct iscsi_conn *c);
/* Its data is where it belongs. Nothing of the PDU is touched afterwards. */
enum iscsi_rx iscsi_rx_end(struct iscsi_conn *c);
/* Where byte `done` of the data segment goes, and how many fit there in one piece; NULL: nowhere. */
uint8_t *iscsi_rx_data_at(struct iscsi_conn *c, uint32_t done, uint32_t *room);
/* So many bytes have come from the peer. */
void iscsi_rx_heard(struct iscsi_conn *c, uint32_t bytes);
/* Sets a stop bit and returns ISCSI_RX_WAIT. */
enum iscsi_rx iscsi_rx_wait(struct iscsi_conn *c, uint8_t why);
/* Clears it and reads on, later in this turn. */
void iscsi_rx_resume(struct iscsi_conn *c, uint8_t why);
/* The data segment goes to flat memory of at least its length. */
void iscsi_rx_to_flat(struct iscsi_conn *c, uint8_t *flat);
/* ... to a buffer of the core: OK or WAIT. */
enum iscsi_rx iscsi_rx_to_buf(struct iscsi_conn *c);
/* ... into the task's memory at offset off of its stream. */
void iscsi_rx_to_task(struct iscsi_conn *c, struct iscsi_task *t, uint32_t off);

/* --- tx.c: what waits to be sent -----------------------------------------------------------------
 */

void iscsi_tx_init(struct iscsi_conn *c);
/* Appends to the send queue. */
void iscsi_tx_queue(struct iscsi_conn *c, struct iscsi_tx *tx);
/* Takes back what the wire has not taken yet; true if it was queued. */
bool iscsi_tx_unqueue(struct iscsi_conn *c, struct iscsi_tx *tx);
/* For the wire: the peer has an entry that was taken. */
void iscsi_tx_sent(struct iscsi_conn *c, struct iscsi_tx *tx);
/* ... or never will: it goes back to its owner. */
void iscsi_tx_drop(struct iscsi_tx *tx);
/* Drops all that the wire has not taken. */
void iscsi_tx_purge(struct iscsi_conn *c);
/* Fills ExpCmdSN and MaxCmdSN. */
void iscsi_tx_window(const struct iscsi_conn *c, uint8_t *bhs);

/* --- control entries: reject.c and friends ------------------------------------------------------
 */

/* A control entry with a cleared header, NULL when there is none (ask iscsi_ctl_ready() first). */
struct iscsi_ctl *iscsi_ctl_get(struct iscsi_conn *c, uint8_t opcode);
void iscsi_ctl_put(struct iscsi_ctl *ctl);
void iscsi_ctl_send(struct iscsi_ctl *ctl);
/* OK if a PDU may be handled that could need a control entry, else WAIT. */
enum iscsi_rx iscsi_ctl_ready(struct iscsi_conn *c);

/* Reject of the PDU in rx.head (11.17). */
enum iscsi_rx iscsi_reject(struct iscsi_conn *c, enum iscsi_reject reason);
/* ... after which the connection ends. */
enum iscsi_rx iscsi_reject_close(struct iscsi_conn *c, enum iscsi_reject reason, const char *why);

/* --- Full Feature Phase: one pair of calls per opcode --------------------------------------------
 */

/* The header is complete: check it, choose where the data goes. ffp.c */
enum iscsi_rx iscsi_ffp_begin(struct iscsi_conn *c);
/* Data and digest are in. */
enum iscsi_rx iscsi_ffp_end(struct iscsi_conn *c);
/* Login phase, login_phase.c */
enum iscsi_rx iscsi_login_begin(struct iscsi_conn *c);
enum iscsi_rx iscsi_login_end(struct iscsi_conn *c);
void iscsi_login_free(struct iscsi_conn *c);
/* The registry has answered. */
void iscsi_login_claimed(struct iscsi_conn *c, enum iscsi_login_status st, uint16_t tsih);

/* Counts the PDU's CmdSN; sets rx.ignore when it is outside of the window (4.2.2.1). OK or DEAD. */
enum iscsi_rx iscsi_ffp_cmdsn(struct iscsi_conn *c);

enum iscsi_rx iscsi_cmd_begin(struct iscsi_conn *c);
enum iscsi_rx iscsi_cmd_end(struct iscsi_conn *c);
enum iscsi_rx iscsi_data_out_begin(struct iscsi_conn *c);
enum iscsi_rx iscsi_data_out_end(struct iscsi_conn *c);
enum iscsi_rx iscsi_tmf_end(struct iscsi_conn *c);
enum iscsi_rx iscsi_nop_begin(struct iscsi_conn *c);
enum iscsi_rx iscsi_nop_end(struct iscsi_conn *c);
enum iscsi_rx iscsi_text_begin(struct iscsi_conn *c);
enum iscsi_rx iscsi_text_end(struct iscsi_conn *c);
enum iscsi_rx iscsi_logout_end(struct iscsi_conn *c);

void iscsi_nop_ping(struct iscsi_conn *c);
void iscsi_async_logout(struct iscsi_conn *c);
/* The nexus is closed: a Logout Response that waited for it may go. */
void iscsi_logout_go(struct iscsi_conn *c);

/* --- tasks: cmd.c, r2t.c, data_in.c, response.c --- */

struct iscsi_task *iscsi_task_find(struct iscsi_conn *c, uint32_t itt);
/* Gives memory of the task's data back. */
void iscsi_task_free_data(struct iscsi_task *t);
/* Frees the task when nothing holds it any more. */
void iscsi_task_settle(struct iscsi_task *t);
/*
 * Aborted, answered as far as it is, and waiting only for data that is dropped: the initiator need
 * not send it, and may use the task tag anew.
 */
bool iscsi_task_is_ghost(const struct iscsi_task *t);
/* Ends it: what still comes for it is rejected. */
void iscsi_task_bury(struct iscsi_task *t);
/* The same for the one that has waited longest; false if there is none. */
bool iscsi_task_bury_one(struct iscsi_conn *c);
/* All announced data of the moment is in: execute, ask for more, or answer. */
void iscsi_task_advance(struct iscsi_task *t);
/* Puts the task on, or takes it off, the list of those whose data is to come. */
void iscsi_task_await(struct iscsi_task *t, bool on);
/* Serves tasks that wait for a buffer, oldest first. */
void iscsi_task_unpark(struct iscsi_conn *c);
/* Memory is short: commands that wait for older ones give theirs back, with TASK SET FULL. */
void iscsi_task_yield(struct iscsi_conn *c);

/* A buffer for all that the command moves, if it has none; false: none now, the connection waits.
 */
bool iscsi_task_need_buf(struct iscsi_task *t);
/* All that was announced to be moved by RDMA is in the task's buffer. */
void iscsi_task_moved(struct iscsi_task *t);
/* Slot or memory came free, perhaps from inside the SCSI layer: who waits for it, tries later. */
void iscsi_task_freed(struct iscsi_conn *c);
/* Solicits the rest of a task's data, now or in its turn; false: no slot or buffer now. */
bool iscsi_r2t_start(struct iscsi_task *t);
/* Asks for the data of those whose turn has come. */
void iscsi_r2t_go_on(struct iscsi_conn *c);
/* n bytes of what was asked for are here. */
void iscsi_r2t_arrived(struct iscsi_task *t, uint32_t n);
void iscsi_r2t_init(struct iscsi_conn *c);
/* A solicited sequence is complete. */
void iscsi_r2t_sequence_done(struct iscsi_task *t);
/* The task was aborted: R2Ts not sent yet stay unsent, those that are out are waited for. */
void iscsi_r2t_abort(struct iscsi_task *t);
/* Nothing is solicited any more. */
void iscsi_r2t_end(struct iscsi_task *t);
struct iscsi_task *iscsi_r2t_find(struct iscsi_conn *c, uint32_t ttt);

/* xport->respond, xport->turn */
void iscsi_respond(struct gw_cmd *cmd);
void iscsi_turn(struct gw_cmd *cmd);
/* The header of a SCSI Response (11.4), ISCSI_BHS_LEN zeroed bytes but for its DataSegmentLength. */
void iscsi_response_head(struct iscsi_conn *c, struct iscsi_task *t, uint8_t *bhs);
/* Its data segment, ISCSI_SENSE_SEGMENT bytes at most; 0: none. */
#define ISCSI_SENSE_SEGMENT (2 + GW_SENSE_MAX)
uint32_t iscsi_response_sense(const struct gw_cmd *cmd, uint8_t *p);
/* The header of a control PDU as it goes out, likewise. */
void iscsi_ctl_head(struct iscsi_conn *c, const struct iscsi_ctl *ctl, uint8_t *bhs);
/* ... and its data, ctl->len bytes. */
uint8_t *iscsi_ctl_data(struct iscsi_ctl *ctl);
/* The answer is laid out: the window opens by one, and the tag may come again. */
void iscsi_task_answered(struct iscsi_task *t);

#endif
