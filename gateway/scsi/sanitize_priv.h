/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A sanitize operation (SBC-4 4.11), or a format, which is the same but for the answers: it belongs
 * to the LU and lives on its home core; the command that asked for it may wait for its end, but
 *need not, and resets do not concern it.
 *
 *	sanitize.c	the commands of SANITIZE
 *	format.c	FORMAT UNIT
 *	sanitize_op.c	what state the LU is in before and after
 *	sanitize_run.c	waits for the commands under way, then erases in bounded pieces
 *	sanitize_dev.c	has the device do it
 */
#ifndef GW_SCSI_SANITIZE_PRIV_H
#define GW_SCSI_SANITIZE_PRIV_H

#include "gateway/core/timer.h"
#include "gateway/scsi/scsi_priv.h"

/* An operation runs, and the LU would be ready without it. */
static inline bool
scsi_sanitize_runs(const struct scsi_view *v)
{
	return v->medium == MEDIUM_SANITIZING || v->medium == MEDIUM_FORMATTING;
}

#define SANITIZE_DEPTH 4
#define SANITIZE_MEM   (256u << 10) /* bytes of one write; a multiple of every block size */

struct scsi_sanitize_piece {
	struct be_io io;
	struct iovec iov;
	struct scsi_sanitize *op;
	bool busy;  /* submitted, or to be submitted again */
	bool again; /* the backend had no room: at the next tick */
};

enum scsi_sanitize_phase {
	PHASE_DRAIN, /* commands that began before are still under way */
	PHASE_PASS,
	PHASE_FLUSH,
	PHASE_DEV, /* the device does it */
	PHASE_END
};

struct scsi_sanitize {
	struct scsi_lu *lu;
	struct be_dev *dev;
	struct gw_cmd *cmd; /* waits for the end; NULL: nobody does, or not any more */
	uint64_t nexus;     /* id of the one that asked */
	uint64_t nblk;      /* capacity at the begin */
	struct scsi_change ch;
	struct gw_tour tour;
	struct gw_timer timer;
	uint32_t busy; /* commands that the tour has found */
	uint8_t phase; /* enum scsi_sanitize_phase */
	bool touring, refused, ok;
	bool format;
	bool exit; /* EXIT FAILURE MODE */
	bool immed, ause;
	bool by_dev, by_zero;
	bool unmap;            /* by_zero: blocks may be given back */
	bool failed;           /* an I/O has */
	bool no_space;         /* ... for want of space */
	enum be_sanitize kind; /* by_dev */
	uint8_t pass, passes;
	bool invert;
	uint64_t at, done; /* bytes of this pass: submitted, completed */
	uint32_t inflight;
	struct scsi_sanitize_piece piece[SANITIZE_DEPTH];
	uint16_t pattern_len;
	uint8_t pattern[4096];
	uint8_t *mem; /* SANITIZE_MEM bytes */
};

/* Own core: sends a checked command home, where its operation begins. */
void scsi_sanitize_go(struct gw_cmd *cmd);
/*
 * Home core: what is to be done, and whether it may be done in that state of the LU; false: the
 * command's status is set.
 */
bool scsi_sanitize_prepare(struct scsi_sanitize *op, const struct scsi_view *v);
bool scsi_format_prepare(struct scsi_sanitize *op, const struct scsi_view *v);
/* All cores refuse new commands: erases, then calls scsi_sanitize_end(). */
void scsi_sanitize_run(struct scsi_sanitize *op);
/* op->ok and the LU's new state are published, the command answered, op freed. */
void scsi_sanitize_end(struct scsi_sanitize *op);
/* Home core: gives the command back to its nexus's core, where it completes. */
void scsi_sanitize_give_back(struct gw_cmd *cmd);
/* The same with its answer. */
void scsi_sanitize_answer(struct gw_cmd *cmd, bool ok);

/* Asks the control thread to have the device do it. */
void scsi_sanitize_dev_start(struct scsi_sanitize *op);
/* True if it has ended: op->ok says how. */
bool scsi_sanitize_dev_ended(struct scsi_sanitize *op);
/* Whatever the device does now, nobody waits for it. */
void scsi_sanitize_dev_forget(struct scsi_sanitize *op);

#endif
