/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One SCSI command, from the wire to the disk and back. Embedded in the transport's task; nothing is
 * allocated on the way. Its state names its one owner:
 *
 *	transport	fills the first part                          FREE
 *	scsi_begin()	checks everything, says how much data         NEW   (transport moves data-out)
 *	scsi_exec()	runs it                                       EXEC  (SCSI layer or backend)
 *	gw_cmd_complete() exactly once per exec                       DONE
 *	xport->respond() the transport sends status and data-in and releases the task
 *
 * Parse everything before moving anything; move exactly what was parsed; execute; complete once.
 * Home: the core of its nexus. No other thread ever touches it.
 */
#ifndef GW_API_CMD_H
#define GW_API_CMD_H

#include <stdbool.h>
#include <stdint.h>

#include "gateway/api/backend.h"
#include "gateway/base/list.h"
#include "gateway/base/num.h"
#include "gateway/core/buf.h"

#define GW_CDB_MAX   32
#define GW_SENSE_MAX 64
#define GW_LUN_BAD   UINT64_MAX /* the 8-byte LUN names no logical unit that could exist here */
#define GW_LUN_REPORT 0xc101ull << 48 /* REPORT LUNS well-known logical unit (SPC-4 8.3) */

struct gw_nexus;
struct gw_xport_ops;
struct scsi_op;
struct scsi_lu;
struct scsi_lu_core;
struct scsi_itl;
struct scsi_work;
struct scsi_reset;
struct scsi_pr_saved;

enum gw_cmd_state { GW_CMD_FREE, GW_CMD_NEW, GW_CMD_EXEC, GW_CMD_DONE };
enum gw_dir { GW_DIR_NONE, GW_DIR_IN, GW_DIR_OUT };	/* IN: to the initiator */
enum gw_attr { GW_ATTR_UNTAGGED, GW_ATTR_SIMPLE, GW_ATTR_ORDERED, GW_ATTR_HEAD, GW_ATTR_ACA };

enum { /* SAM-5 5.3.1 */
	SAM_GOOD = 0x00,
	SAM_CHECK_CONDITION = 0x02,
	SAM_CONDITION_MET = 0x04,
	SAM_BUSY = 0x08,
	SAM_RESERVATION_CONFLICT = 0x18,
	SAM_TASK_SET_FULL = 0x28,
	SAM_TASK_ABORTED = 0x40,
};

/* SAM-5 8: whether older commands of its task set come first. */
enum gw_turn {
	GW_GO,	   /* not, or not any more */
	GW_WAITS,
	GW_CALLED, /* xport->turn() is about to be called */
};

enum gw_abort { GW_ABORT_NONE, GW_ABORT_QUIET, GW_ABORT_TAS /* send TASK ABORTED (SAM-5 5.3.1) */ };

struct gw_cmd {
	/* Filled by the transport before scsi_begin(). */
	struct gw_nexus *nexus;
	uint64_t lun;	 /* number from gw_lun_decode() */
	uint32_t edtl;	 /* bytes that the initiator expects to move in `want_dir` */
	uint8_t want_dir; /* enum gw_dir as the transport's header says */
	uint8_t attr;	 /* enum gw_attr */
	uint8_t cdb_len; /* valid bytes in cdb, 6 .. GW_CDB_MAX; the rest is zero */
	uint8_t cdb[GW_CDB_MAX];
	uint8_t lend; /* BE_LEND: data-in goes nowhere but into sendmsg(); or BE_LEND_CONST; or 0 */

	/* Set by scsi_begin(). */
	uint8_t state; /* enum gw_cmd_state */
	uint8_t dir;   /* enum gw_dir: what the CDB moves */
	uint8_t turn;  /* enum gw_turn: see scsi_begin() */
	uint8_t aborted; /* enum gw_abort; set by task management, read by respond() */
	uint32_t data_len; /* bytes that the CDB moves at most, 0 .. GW_XFER_MAX; buffer size to provide */
	uint32_t dma_align; /* data-out memory aligned to this is used without a copy */
	uint64_t lba, nblk;
	const struct scsi_op *op;
	struct scsi_lu *lu;
	struct scsi_lu_core *luc; /* the LU's part on this core */
	struct scsi_itl *itl;

	/*
	 * The data buffer: given by the transport before scsi_exec() if data_len > 0 and not scsi_lends(),
	 * taken back in respond(). data-in: data_len bytes to be filled. data-out: out_len bytes that
	 * arrived, min(edtl, data_len). With lend iov may be another one, io.lent, in respond(): when its
	 * data has gone, or is dropped, the transport calls gw_cmd_give_back().
	 */
	const struct iovec *iov;
	uint16_t niov;
	uint32_t out_len;

	/* The result, valid in respond(). */
	uint8_t status;	   /* SAM_* */
	uint8_t sense_len; /* bytes of sense, 0 .. GW_SENSE_MAX; > 0 only with CHECK CONDITION */
	uint8_t sense[GW_SENSE_MAX];
	uint32_t in_len;   /* data-in: bytes of iov that are valid; the transport sends min(edtl, in_len) */
	uint32_t moved;	   /* bytes that the command really wanted to move: base of the residual */

	/* SCSI layer's own. */
	struct be_io io;
	struct iovec io_iov[2];
	struct gw_list on_nexus; /* nexus->cmds, from scsi_begin() to completion */
	struct gw_list on_set;	 /* those that wait with it, or nexus->turns: task_set.c */
	struct gw_msg msg;	 /* the way to the LU's home core and back */
	uint64_t t_begin;	 /* core->now at scsi_begin() */
	uint32_t abort_seq;	 /* when it was aborted; 0: it was not */
	uint8_t blk_shift;	 /* log2 of the block size that lba and nblk count in */
	struct scsi_work *work;	 /* memory of its own for VERIFY and WRITE SAME */
	uint64_t scratch[4];
};

/*
 * Decodes and checks the whole CDB: opcode row, LUN, unit attention, reservation, reserved bits, LBA
 * range (SPC-4 4.3, SAM-5 5.x). True: provide a buffer of data_len bytes, move data-out if dir is OUT,
 * then call scsi_exec(). False: the command is complete (status, sense); the transport sends the
 * response, as respond() would, and drops what data-out is on its way.
 *
 * With cmd->turn other than GW_GO older commands of its task set come first: the transport takes the
 * data-out that comes by itself, but provides nothing else, asks for no data and does not execute
 * before xport->turn(). Then all that older commands may have changed is checked by scsi_exec().
 */
bool scsi_begin(struct gw_cmd *cmd);

/*
 * True if scsi_exec(), called before the core turns to anything else, needs no buffer: a READ whose
 * data the backend lends.
 */
bool scsi_lends(const struct gw_cmd *cmd);

/* Runs the command; ends in gw_cmd_complete() now or later. */
void scsi_exec(struct gw_cmd *cmd);

/* Called by the SCSI layer exactly once per scsi_exec(); ends in cmd->nexus->xport->respond(cmd). */
void gw_cmd_complete(struct gw_cmd *cmd);

/* Harmless where nothing was lent. The transport has set io.give_back to NULL before scsi_begin(). */
static inline void
gw_cmd_give_back(struct gw_cmd *cmd)
{
	if (cmd->io.give_back)
		cmd->io.give_back(&cmd->io);
}

/*
 * The transport gives up a command between scsi_begin() and scsi_exec() (its data never came, the
 * connection dies): the SCSI layer forgets it; respond() is not called.
 */
void scsi_forget(struct gw_cmd *cmd);

/*
 * Decodes an 8-byte LUN: single level, peripheral or flat space addressing (SAM-5 4.7), or the REPORT
 * LUNS well-known LUN. GW_LUN_BAD for anything else.
 */
uint64_t gw_lun_decode(const uint8_t lun[8]);
/* The reverse, as in REPORT LUNS: peripheral addressing below 256, flat space above. */
void gw_lun_encode(uint64_t n, uint8_t lun[8]);

/*
 * Residual count as RFC 7143 11.4.5 wants it. At most one of the two is non-zero.
 * Underflow: the initiator expected more than was moved. Overflow: the command had more.
 */
static inline void
gw_cmd_residual(const struct gw_cmd *cmd, uint32_t *under, uint32_t *over)
{
	uint32_t moved = cmd->moved;

	*under = cmd->edtl > moved ? cmd->edtl - moved : 0;
	*over = moved > cmd->edtl ? moved - cmd->edtl : 0;
}

/* --- task management --- */

enum gw_tmf_fn { /* RFC 7143 11.5.1 */
	GW_TMF_ABORT_TASK = 1,
	GW_TMF_ABORT_TASK_SET,
	GW_TMF_CLEAR_ACA,
	GW_TMF_CLEAR_TASK_SET,
	GW_TMF_LU_RESET,
	GW_TMF_TARGET_WARM_RESET,
	GW_TMF_TARGET_COLD_RESET,
	GW_TMF_TASK_REASSIGN,
	GW_TMF_QUERY_TASK,	 /* RFC 7144 */
	GW_TMF_QUERY_TASK_SET,
	GW_TMF_I_T_NEXUS_RESET,
	GW_TMF_QUERY_ASYNC_EVENT,
};

enum gw_tmf_rsp { /* RFC 7143 11.6.1 */
	GW_TMF_COMPLETE = 0,
	GW_TMF_NO_TASK = 1,
	GW_TMF_NO_LUN = 2,
	GW_TMF_STILL_ALLEGIANT = 3,
	GW_TMF_REASSIGN_UNSUPPORTED = 4,
	GW_TMF_UNSUPPORTED = 5,
	GW_TMF_AUTH_FAILED = 6,
	GW_TMF_SUCCEEDED = 7,
	GW_TMF_REJECTED = 255,
};

/* One task management function; belongs to the SCSI layer from scsi_tmf() until done(). */
struct gw_tmf {
	struct gw_nexus *nexus;
	uint64_t lun;
	uint8_t fn;		 /* enum gw_tmf_fn */
	struct gw_cmd *task;	 /* ABORT TASK, QUERY TASK: found by the transport, NULL if there is none */
	uint8_t rsp;		 /* enum gw_tmf_rsp, valid in done() */
	uint8_t info[3];	 /* QUERY ASYNC EVENT */
	void (*done)(struct gw_tmf *tmf);
	/* SCSI layer's own. */
	struct gw_tour tour;
	struct gw_msg msg;
	struct gw_list node;
	uint32_t pass;
	uint32_t seq, left; /* what it waits for on the core being visited */
	uint64_t at;	    /* TARGET RESET: the next LUN to reset */
	struct scsi_lu *lu;
	struct scsi_reset *reset;
	const struct scsi_pr_saved *preempted; /* PREEMPT AND ABORT */
};

/*
 * done() runs on the nexus's core, never from inside scsi_tmf(), when no affected command can reach the
 * medium any more (RFC 7143 4.2.3, SAM-5 7): aborted commands still in a backend are waited for.
 * Aborted commands go back to their transport through respond() with cmd->aborted set. COLD RESET also
 * closes the target's sessions, after done(). Before scsi_nexus_close() reports closed(), each function
 * of that nexus is done().
 */
void scsi_tmf(struct gw_tmf *tmf);

#endif
