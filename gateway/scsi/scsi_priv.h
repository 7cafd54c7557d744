/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Inside the SCSI layer: the logical unit, what each core knows of it, what each nexus keeps of it,
 * and the helpers that the commands share.
 */
#ifndef GW_SCSI_SCSI_PRIV_H
#define GW_SCSI_SCSI_PRIV_H

#include "gateway/api/cmd.h"
#include "gateway/api/scsi_dev.h"
#include "gateway/base/bug.h"
#include "gateway/base/bytes.h"
#include "gateway/scsi/op_priv.h"

/* Limits that VPD B0 announces. */
#define SCSI_WS_BLOCKS_MAX  0xffff /* one WRITE SAME: what WRITE SAME(10) can name */
#define SCSI_UNMAP_DESC_MAX 256    /* descriptors of one UNMAP */
#define SCSI_CAW_BLOCKS_MAX 128u   /* one COMPARE AND WRITE, if they fit the work memory */
#define SCSI_RANGE_STEP \
	(1ull << 30) /* bytes of one BE_ZERO or BE_UNMAP: an abort waits for one at most */

struct scsi_pr_saved;

/* Unit attentions (SAM-5 5.14): bit n of scsi_itl.ua; the lowest is reported first. */

enum scsi_ua {
	UA_POWER_ON,      /* 29/00 */
	UA_BUS_RESET,     /* 29/02: target reset */
	UA_LU_RESET,      /* 29/03 */
	UA_NEXUS_LOSS,    /* 29/07 */
	UA_CLEARED,       /* 2F/00: commands cleared by another initiator */
	UA_MEDIUM,        /* 28/00: not ready to ready change */
	UA_RES_PREEMPTED, /* 2A/03 */
	UA_RES_RELEASED,  /* 2A/04 */
	UA_REG_PREEMPTED, /* 2A/05 */
	UA_MODE,          /* 2A/01 */
	UA_ACCESS,        /* 2A/06 */
	UA_CAPACITY,      /* 2A/09 */
	UA_TIMESTAMP,     /* 2A/10 */
	UA_THRESHOLD,     /* 38/07 */
	UA_INQUIRY,       /* 3F/03 */
	UA_LUNS,          /* 3F/0E */
	UA_MAX
};

/* What an I_T nexus is to a reservation. */
enum scsi_role {
	SCSI_STRANGER,
	SCSI_REGISTRANT,
	SCSI_HOLDER
};

struct scsi_view;

/*
 * The task set of a nexus at an LU (task_set.c): what its ORDERED and HEAD OF QUEUE commands make the
 * others wait for. Without such commands all is zero but for `front`, which means nothing then.
 */
struct scsi_set {
	uint32_t ordered, heads; /* so many of them */
	uint32_t front; /* with ordered: commands that have their turn, but for HEAD OF QUEUE */
	bool alone;     /* one of them is ORDERED: it is the only one */
	struct gw_cmd *first; /* of those that wait, a ring in order of arrival */
};

/* What a nexus keeps for one LUN. Home: the nexus's core. */
struct scsi_itl {
	struct scsi_lu *lu;
	uint32_t ua; /* pending, 1 << enum scsi_ua */
	uint16_t lun; /* by what number the nexus knows it */
	uint8_t pr;  /* enum scsi_role, in persistent reservations as this core knows them */
	uint8_t cd_event : 2; /* enum scsi_cd_event, not told yet */
	uint8_t ro : 1;       /* for this nexus, whatever it is for others */
	struct scsi_set set;
};
_Static_assert(GW_LUN_MAX <= UINT16_MAX, "a LUN number fits");

/* Of a CD/DVD drive's medium, as GET EVENT STATUS NOTIFICATION tells them (MMC-6 6.7.2.5). */
enum scsi_cd_event {
	SCSI_CD_SAME = 0,
	SCSI_CD_NEW = 2,
	SCSI_CD_REMOVED = 3
};

void scsi_ua_raise(struct scsi_itl *itl, uint32_t mask);
/* Takes the first pending one: its ASC and ASCQ, 0 if there is none. */
uint16_t scsi_ua_take(struct scsi_itl *itl);
/* Raises on all nexuses of this core that see the LU, but for the one with that id. */
void scsi_ua_raise_lu(struct gw_core *on, const struct scsi_lu *lu, uint32_t mask, uint64_t but);
/* As SPC-4 6.33 wants it when REPORT LUNS has told the nexus. */
void scsi_ua_luns_reported(struct gw_nexus *n);
/* One view has replaced the other on this core: what its nexuses learn if the LU is a drive. */
void scsi_cd_changed(struct gw_core *on, const struct scsi_lu *lu, const struct scsi_view *was,
		     const struct scsi_view *now);

/* Logical unit. */

enum scsi_medium {
	MEDIUM_READY,
	MEDIUM_NONE,
	MEDIUM_EJECTED,
	MEDIUM_OFFLINE,
	MEDIUM_GONE,
	MEDIUM_SWAP,       /* another device is on its way: BUSY */
	MEDIUM_SANITIZING, /* until it is done nobody sees the medium */
	MEDIUM_UNSANITIZED, /* a sanitize operation has failed */
	MEDIUM_FORMATTING,  /* the same for FORMAT UNIT */
	MEDIUM_UNFORMATTED
};

/* SBC-4 4.11: what a sanitize operation makes of an LU. */
enum scsi_sanitize_state {
	SANITIZE_NONE,
	SANITIZE_RUNS,
	SANITIZE_FAILED
};

#define SCSI_TOKENS 16 /* that stand for data of one LU */
struct scsi_token;

/* What all cores know of an LU; constant while a core may read it, replaced by a scsi_change. */
struct scsi_view {
	struct scsi_lu_conf conf;
	struct be_dev *dev;
	uint64_t nblk;
	uint64_t holder; /* id of the nexus that holds the SPC-2 reservation, 0: none */
	const struct scsi_pr_saved *pr; /* pr_priv.h; NULL: nobody is registered */
	uint32_t pr_generation;
	uint8_t shift;   /* log2 of the block size */
	uint8_t medium;  /* enum scsi_medium */
	uint8_t lbppbe;
	bool ejected;
	bool unfenced; /* who was kept out by reservations cannot be known: never online */
	bool last; /* the LU is about to end */
	bool swap; /* no device, but all else stays as it was until there is another */
	bool wce, d_sense, swp; /* current mode parameters */
	bool lbpme, lbprz;
	uint32_t unmap_blocks; /* granularity */
	bool counts_space; /* thin, and the device knows how full its pool is */
	bool lbpere;       /* current mode parameter: 6/3807 may be reported */
	uint64_t pool;     /* bytes of the pool, 0: not known */
	uint32_t atomic_max;   /* blocks of one WRITE ATOMIC, 0: not offered */
	uint32_t atomic_align, atomic_gran, atomic_boundary; /* blocks; boundary 0: none */
	uint8_t sanitize; /* enum scsi_sanitize_state */
	bool format;      /* it is a format, not a sanitize operation */
	bool ause;        /* the sanitize operation may be given up if it fails */
	bool clock_set;   /* SET TIMESTAMP: `clock` ms are added to the counted ones */
	int64_t clock;
	bool erase, crypto; /* SANITIZE: BLOCK ERASE, CRYPTOGRAPHIC ERASE are offered */
	/* What POPULATE TOKEN has made of it. */
	struct scsi_token *token[SCSI_TOKENS];
	uint8_t ntoken;
};

/* An LU on one core; home: that core. Counters are read by anyone. */
struct scsi_lu_core {
	_Alignas(GW_CACHELINE) const struct scsi_view *view;
	struct scsi_lu *lu;
	struct be_chan *chan;  /* opened by the first command that needs it */
	struct scsi_drain *drain; /* goes on when nothing is inflight or pinned any more */
	struct gw_hook drain_hook;
	/* Task management functions of this core's nexuses that name the LU; at home commands that
	 * take turns and a sanitize operation. */
	uint32_t pins;
	uint32_t sanitizes; /* SANITIZE commands of this core's nexuses that are at home */
	_Atomic uint32_t inflight; /* commands in state EXEC */
	_Atomic uint64_t rd_cmds, rd_bytes, wr_cmds, wr_bytes, errors;
};

/*
 * A change of an LU's view. scsi_change_start() is called on the home core with lu, edit and done
 * set; changes run one at a time. edit() fills *next, a copy of the newest view, and says whether
 * it changed; then the new view goes round all cores, raising `ua` on all nexuses but `but`. done()
 * runs on the home core when every core has it, and owns the change again. What has to be durable
 * before anyone sees it goes to the disk in between: save(), unless NULL, ends in
 * scsi_change_saved(), which gives the new view up where it failed.
 */
struct scsi_change {
	struct scsi_lu *lu;
	bool (*edit)(struct scsi_change *ch, struct scsi_view *next);
	void (*save)(struct scsi_change *ch);
	void (*done)(struct scsi_change *ch);
	void *arg;
	uint32_t ua;
	uint32_t ua_lost, ua_kept; /* for nexuses that were registered, and are not now or still are */
	uint64_t but;
	struct gw_list node;
	struct gw_tour tour;
	const struct scsi_view *next;
};

struct scsi_lu {
	struct gw_core *home;
	const struct scsi_view *view; /* home core: the newest */
	struct scsi_view views[2];    /* it, and the one being made */
	struct scsi_change *changing; /* home core: the one under way */
	struct gw_list changes;       /* home core: those that wait for it */
	struct gw_list on_held;       /* home core: list of LUs with a reservation or prevention */
	struct gw_list prevents;      /* home core: struct scsi_prevent */
	struct gw_cmd *turn;          /* home core: whose turn it is (turn.c) */
	struct gw_list turns;         /* home core: gw_cmd.io.node, those that wait for theirs */
	struct scsi_sanitize *sanitize; /* home core: the one under way */
	bool dev_failed;                /* home core: it was the device's own that failed */
	_Atomic uint32_t progress;      /* of the sanitize operation, of 65536 */
	_Atomic uint32_t dev_sanitize;  /* of the device's own: sanitize_dev.c */
	_Atomic uint32_t nprevent;
	_Atomic uint64_t bytes;   /* capacity, for reports */
	_Atomic bool ejected;     /* for reports */
	_Atomic uint64_t space_used, space_avail; /* bytes, as last seen; where counts_space */
	uint64_t size;            /* control thread: of the backing store, bytes */
	uint64_t pool;            /* control thread: as in the view */
	bool low;                 /* control thread: less of it is left than there should be */
	bool cannot_count;        /* control thread: and that was said */
	uint64_t id; /* no other LU has it or had it */
	struct scsi_change end;   /* home core: scsi_lus_free() */
	struct scsi_lu_conf conf; /* control thread */
	struct be_dev *dev;       /* control thread */
	bool swapping;            /* control thread */
	bool unfenced;            /* control thread: as in the view */
	char *why_unfenced; /* control thread; NULL also where there was no memory for it */
	_Atomic uint32_t ntoken; /* of the newest view */
	struct scsi_lu_core core[];
};

/* A nexus that has PREVENT MEDIUM REMOVAL set (SPC-4 6.16). */
struct scsi_prevent {
	struct gw_list node;
	uint64_t nexus;
};

/* What each core has in GW_SLOT_SCSI. */
struct scsi_core {
	struct gw_core *core;
	struct gw_list nexuses;
	struct gw_list
	    held; /* LUs of this home with a reservation or prevention (scsi_lu.on_held) */
	struct gw_list tmf_waits; /* gw_tmf.node: wait for aborted commands of this core */
	uint32_t abort_seq; /* counts what they may wait for: aborts, and pieces of copies */
	struct gw_list works;      /* free struct scsi_work */
	struct gw_list work_waits; /* gw_cmd.io.node: commands that wait for one */
	struct gw_hook work_hook;
	struct scsi_copy_core *copy;
};

static inline struct scsi_core *
scsi_core_of(const struct gw_core *core)
{
	return core->slot[GW_SLOT_SCSI];
}

static inline const struct scsi_view *
scsi_view_of(const struct gw_cmd *cmd)
{
	return cmd->luc->view;
}

void scsi_change_start(struct scsi_change *ch);
/* Home core, not from inside save(). */
void scsi_change_saved(struct scsi_change *ch, bool ok);
/* From the control thread: the same, waiting for it. */
void scsi_change_sync(struct scsi_change *ch);
/* Works out what follows from conf, dev and the mode parameters: nblk, medium, lbpme ... */
void scsi_view_derive(struct scsi_view *v, uint64_t bytes);
/* Mode parameters as after power on. */
void scsi_view_defaults(struct scsi_view *v);
/* Home core: puts the LU on the core's held list, or takes it off, as due. */
void scsi_lu_hold(struct scsi_lu *lu, bool reserved);
/* Home core: forgets PREVENT of that nexus, of all with id 0. */
void scsi_prevent_drop(struct scsi_lu *lu, uint64_t nexus);

/* Reservations (res_matrix.c, pr.c). */

/*
 * Any core, with a view that it may read: whether the nexus may do on that LU what a command of that
 * class (enum scsi_res, up to RES_RELEASE) does. For commands that reach other LUs than their own.
 */
bool scsi_reservation_allows(const struct gw_nexus *n, const struct scsi_view *v, uint8_t class);
/* Own core: the same for the command and its LU. */
bool scsi_res_check(const struct gw_cmd *cmd);
/* enum scsi_role of the nexus, by names where the reservation is persistent. Any core. */
uint8_t scsi_role_of(const struct scsi_view *v, const struct gw_nexus *n);
/* The same where there are persistent reservations only. */
uint8_t scsi_pr_role(const struct scsi_pr_saved *pr, const struct gw_nexus *n);
/*
 * Control thread (pr_load.c). For a new LU: takes what was saved into its first view. If that cannot
 * be known, nobody is served, and scsi_pr_tick() looks again.
 */
void scsi_pr_load(struct scsi_lu *lu, struct scsi_view *v);
void scsi_pr_tick(struct scsi_lu *lu);
/* Control thread: the LU has another NAA now, and what is to be kept is kept under that one. */
void scsi_pr_rename(struct scsi_lu *lu);
/* A tour has brought that change to this core, and the registrations are others: itl.pr, ua_*. */
void scsi_pr_shown(struct gw_core *on, const struct scsi_change *ch);

/* The core whose part of the LU it is. */
static inline struct gw_core *
scsi_luc_core(const struct scsi_lu_core *luc)
{
	return gw_core_at((unsigned)(luc - luc->lu->core));
}

/* Control thread: waits until the LUs are idle on all cores, closes their channels. */
void scsi_lus_drain(struct scsi_lu *const *lus, size_t n);
void scsi_lu_drained(struct gw_hook *hook);
/* Own core: fewer users of the LU here; a drain that waits for the last goes on. */
void scsi_lu_left(struct scsi_lu_core *luc);

/* Commands at home. */

/* Sends the command to its LU's home core, where fn runs; it ends in scsi_home_end(). */
void scsi_home_begin(struct gw_cmd *cmd, void (*fn)(struct gw_cmd *cmd));
/* Home core: sends the command back to its nexus's core, where it completes. */
void scsi_home_end(struct gw_cmd *cmd);
/*
 * Home core: changes the view on behalf of a command, which then goes home and completes with the
 * status that is set. edit() may set another (scsi_check). BUSY if there is no memory.
 */
void scsi_home_change(struct gw_cmd *cmd, bool (*edit)(struct scsi_change *, struct scsi_view *));
static inline struct gw_cmd *
scsi_change_cmd(const struct scsi_change *ch)
{
	return ch->arg;
}

/* Task management marks a command on its own core; this may be asked on any. */
static inline bool
scsi_is_aborted(const struct gw_cmd *cmd)
{
	return __atomic_load_n(&cmd->aborted, __ATOMIC_RELAXED) != GW_ABORT_NONE;
}

/* Turns (turn.c). */

/* Home core: true: I/O is under way, which ends in scsi_turn_end(); false: the status is set. */
typedef bool scsi_turn_fn(struct gw_cmd *cmd);
/*
 * Sends the command home, where fn runs when nothing else does that reads the medium to write it.
 * It has work memory then. Uses scratch[0], [1] and [3] until fn runs. The command may be aborted
 * at any time (scsi_is_aborted), and is not run any more then.
 */
void scsi_turn_begin(struct gw_cmd *cmd, scsi_turn_fn *fn);
/* Home core: the status is set; the command goes back and completes. */
void scsi_turn_end(struct gw_cmd *cmd);

/* Task sets (task_set.c): one for each nexus and LU; own core. */

void scsi_sets_open(struct gw_nexus *n);
/* Whether older commands may come before the one that begins. */
bool scsi_set_holds(const struct gw_cmd *cmd);
/* A command with an LU begins, and is not in nexus->cmds yet: sets its turn. */
void scsi_set_join(struct gw_cmd *cmd);
/* It has ended, whichever way. */
void scsi_set_part(struct gw_cmd *cmd);
static inline void
scsi_set_enter(struct gw_cmd *cmd)
{
	if (GW_UNLIKELY(cmd->nexus->tagged || cmd->attr > GW_ATTR_SIMPLE) && cmd->itl)
		scsi_set_join(cmd);
}
static inline void
scsi_set_leave(struct gw_cmd *cmd)
{
	if (GW_UNLIKELY(cmd->nexus->tagged || cmd->turn != GW_GO))
		scsi_set_part(cmd);
}

/* Nexus and aborting. */

/* The itl of that LUN number, NULL if the nexus does not see it. Own core. */
struct scsi_itl *scsi_itl_find(const struct gw_nexus *n, uint64_t lun);
/* The first with that number or a higher one. */
struct scsi_itl *scsi_itl_from(const struct gw_nexus *n, uint64_t lun);
/* The itl of that LU, whatever its number is for this nexus. */
struct scsi_itl *scsi_itl_of(const struct gw_nexus *n, const struct scsi_lu *lu);
/* Own core: what a nexus that begins sees of its target. 0 or -ENOMEM. */
int scsi_itls_open(struct gw_nexus *n);
/* Own core: takes back what the nexus, which sees it no more, holds of the LU. 0 or -ENOMEM. */
int scsi_itl_lost(const struct gw_nexus *n, struct scsi_lu *lu);
/* Own core. What is not yet executing goes back at once. */
void scsi_cmd_abort(struct gw_cmd *cmd, enum gw_abort how);
/* Own core: an aborted command has left the backend. */
void scsi_tmf_cmd_gone(struct scsi_core *sc, const struct gw_cmd *cmd);
/*
 * Home core of tmf->lu, for PREEMPT AND ABORT; nexus, lun, lu, task (the command itself), preempted
 * and done are set. done() runs here when no command of the preempted nexuses can reach the medium.
 */
void scsi_tmf_preempt(struct gw_tmf *tmf);
/* Own core: a nexus that closes goes on if nothing of it is left. */
void scsi_nexus_left(struct gw_nexus *n);

/* Sense (sense.c). */

/* Sense key and ASC/ASCQ in one number: SENSE(5, 0x2400). */
#define SENSE(key, ascq) ((uint32_t)(key) << 16 | (ascq))

#define SENSE_INVALID_OPCODE  SENSE(0x5, 0x2000)
#define SENSE_LBA_RANGE       SENSE(0x5, 0x2100)
#define SENSE_CDB_FIELD       SENSE(0x5, 0x2400)
#define SENSE_LUN_UNSUPPORTED SENSE(0x5, 0x2500)
#define SENSE_PARAM_FIELD     SENSE(0x5, 0x2600)
#define SENSE_PARAM_LENGTH    SENSE(0x5, 0x1a00)
#define SENSE_NO_SAVING       SENSE(0x5, 0x3900)
#define SENSE_PREVENTED       SENSE(0x5, 0x5302)
#define SENSE_MESSAGE         SENSE(0x5, 0x4900)
#define SENSE_CIU_FIELD       SENSE(0x5, 0x0e03)
#define SENSE_STANDBY         SENSE(0x2, 0x040b)
#define SENSE_UNAVAILABLE     SENSE(0x2, 0x040c)
#define SENSE_OFFLINE         SENSE(0x2, 0x0412)
#define SENSE_NO_MEDIUM       SENSE(0x2, 0x3a00)
#define SENSE_NO_DISC         SENSE(0x2, 0x3a01)
#define SENSE_TRAY_OPEN       SENSE(0x2, 0x3a02)
#define SENSE_NOT_READY       SENSE(0x2, 0x0400)
#define SENSE_MANUAL          SENSE(0x2, 0x0403)
#define SENSE_WRITE_PROTECTED SENSE(0x7, 0x2700)
#define SENSE_SW_PROTECTED    SENSE(0x7, 0x2702)
#define SENSE_NO_SPACE        SENSE(0x7, 0x2707)
#define SENSE_READ_ERROR      SENSE(0x3, 0x1100)
#define SENSE_WRITE_ERROR     SENSE(0x3, 0x0c00)
#define SENSE_SELF_TEST       SENSE(0x4, 0x3e03)
#define SENSE_THRESHOLD       SENSE(0x6, 0x3807)
#define SENSE_SANITIZING      SENSE(0x2, 0x041b)
#define SENSE_UNSANITIZED     SENSE(0x3, 0x3103)
#define SENSE_FORMATTING      SENSE(0x2, 0x0404)
#define SENSE_UNFORMATTED     SENSE(0x3, 0x3101)
#define SENSE_BAD_RELEASE     SENSE(0x5, 0x2604)
#define SENSE_NO_REGISTRATIONS SENSE(0x5, 0x5504)
#define SENSE_TARGET_FAILURE  SENSE(0x4, 0x4400)
#define SENSE_MISCOMPARE      SENSE(0xe, 0x1d00)
#define SENSE_DISC_FORMAT     SENSE(0x5, 0x3002)
#define SENSE_TRACK_MODE      SENSE(0x5, 0x6400)

#define SCSI_SENSE_MAX 32 /* bytes of the longest that is ever built */

/*
 * Writes sense data of either format to buf (SCSI_SENSE_MAX bytes); bytes written. progress: of
 * 65536, or negative.
 */
uint8_t scsi_sense_build(uint8_t *buf, bool descriptor, uint32_t sense, int progress);

/*
 * The command ends in CHECK CONDITION; nothing was moved. They do not complete it. Those that return
 * something return false, for whoever found a mistake to pass on.
 */
bool scsi_check(struct gw_cmd *cmd, uint32_t sense);
void scsi_check_info(struct gw_cmd *cmd, uint32_t sense, uint64_t info);
/* 5/2400 with a pointer to the CDB's byte and, unless negative, the field's highest bit. */
bool scsi_check_cdb(struct gw_cmd *cmd, unsigned byte, int bit);
/* 5/2600, the same for the parameter list. */
bool scsi_check_param(struct gw_cmd *cmd, unsigned byte, int bit);
/* The same for a byte of which the bits of `wrong`, one at least, ought to be zero. */
bool scsi_check_param_bits(struct gw_cmd *cmd, unsigned byte, uint8_t wrong);
/* A segment descriptor of EXTENDED COPY is at fault, in that byte of it. */
void scsi_check_segment(struct gw_cmd *cmd, uint32_t sense, uint16_t segment, unsigned byte);
/*
 * The command has the status (and sense) of an LU that it copied from or, by_dst, to: it goes into
 * the copy manager's own sense data.
 */
void scsi_check_copied(struct gw_cmd *cmd, uint32_t sense, uint16_t segment, bool by_dst);
/* The answer for an error of the backend; st is not BE_OK. */
void scsi_check_be(struct gw_cmd *cmd, uint8_t be_op, uint8_t st, uint64_t lba);
/* The status of an LU that is not ready; true if it is. Does not complete the command. */
bool scsi_check_medium(struct gw_cmd *cmd);
/* The same for that state of the LU, which may be newer than what this core knows. */
bool scsi_check_view(struct gw_cmd *cmd, const struct scsi_view *v);
/*
 * The status of a command that does not touch the medium, but that a sanitize operation keeps out
 * nevertheless (SBC-4 4.11.2); true if it does not.
 */
bool scsi_check_sanitize(struct gw_cmd *cmd);
/* The progress to tell beside that sense, negative if there is none to tell. */
int scsi_progress(const struct scsi_lu *lu, uint32_t sense);
/* The sense of an LU that is not ready; 0 if it is, or will be in a moment. */
uint32_t scsi_medium_sense(const struct scsi_view *v);

/* Data and backend (data.c). */

/* Copies n bytes to offset off of the data-in buffer; what does not fit is cut. */
void scsi_in_put(const struct gw_cmd *cmd, uint64_t off, const void *src, size_t n);
/* Completes with GOOD and the first `avail` bytes, which are in the buffer as far as they fit. */
void scsi_in_done(struct gw_cmd *cmd, uint64_t avail);
/* Both for a small answer. */
void scsi_in(struct gw_cmd *cmd, const void *src, size_t n);
/* Reads n bytes of the data-out at off; false if they did not all arrive. */
bool scsi_out_get(const struct gw_cmd *cmd, uint64_t off, void *dst, size_t n);
/* Compares n bytes of the data-out at off with p: the offset of the first that differs, n if none. */
size_t scsi_out_compare(const struct gw_cmd *cmd, uint64_t off, const void *p, size_t n);
/* GOOD without data-in; for data-out `moved` is data_len. Completes. */
void scsi_good(struct gw_cmd *cmd);
/* Completes with what scsi_check() has set. */
void scsi_fail(struct gw_cmd *cmd, uint32_t sense);

/*
 * Submits one I/O of the command (cmd->io): the range is checked against the newest view, the
 * channel opened if need be. done() runs later unless false: the command has been completed with a
 * sense. flags: BE_FUA is added where the write cache is off.
 */
bool scsi_io(struct gw_cmd *cmd, uint8_t op, uint8_t flags, uint64_t off, uint64_t len,
	     const struct iovec *iov, unsigned niov, void (*done)(struct be_io *io));
/*
 * The same in two steps for those that do not complete here: what is false has the status set. The
 * channel is that of the core that cmd->luc belongs to.
 */
bool scsi_io_start(struct gw_cmd *cmd, uint8_t op, uint8_t flags, uint64_t off, uint64_t len,
		   const struct iovec *iov, unsigned niov, void (*done)(struct be_io *io));
/*
 * Asks how warm the LU's drive is, whatever state the medium is in: cmd->io.celsius in done(). False
 * if nobody can tell; the command goes on as it was.
 */
bool scsi_io_temperature(struct gw_cmd *cmd, void (*done)(struct be_io *io));
bool scsi_io_ok(struct gw_cmd *cmd);
/*
 * In done(): true if the I/O has failed or the command was aborted; it is then completed. lba is
 * what goes into INFORMATION.
 */
bool scsi_io_failed(struct gw_cmd *cmd);

/* Opens the LU's channel on this core unless it is. Own core; false if that fails. */
bool scsi_chan_open(struct scsi_lu_core *luc, struct be_dev *dev);

/*
 * Writes the whole blocks that arrived of the data-out, then calls then(cmd); scsi_good() if there
 * are none. An error or an abort completes the command.
 */
void scsi_write_then(struct gw_cmd *cmd, uint8_t flags, void (*then)(struct gw_cmd *cmd));

static inline struct gw_cmd *
scsi_cmd_of_io(struct be_io *io)
{
	return gw_container(io, struct gw_cmd, io);
}

/* Work memory (work.c). */

#define SCSI_WORK_SIZE (128u << 10)

struct scsi_work {
	struct gw_list node;
	uint8_t *mem; /* SCSI_WORK_SIZE bytes, page-aligned */
	struct iovec iov;
};

/*
 * Gives cmd->work, of the core that cmd->luc belongs to. False: none is free; when one is, run(cmd)
 * is called with it, even if the command was aborted meanwhile. It goes back at completion, or with
 * scsi_work_put() on the same core.
 */
bool scsi_work_get(struct gw_cmd *cmd, void (*run)(struct gw_cmd *cmd));
void scsi_work_put(struct gw_cmd *cmd);
/* Blocks that one COMPARE AND WRITE may name: it compares in one piece. */
static inline uint32_t
scsi_caw_max(uint8_t shift)
{
	return GW_MIN(SCSI_CAW_BLOCKS_MAX, SCSI_WORK_SIZE >> shift);
}
int scsi_works_init(struct scsi_core *sc);
void scsi_works_fini(struct scsi_core *sc);

/* WRITE ATOMIC and SANITIZE. */

/* Control thread: what the device's own sanitize needs it for. */
void scsi_sanitize_tick(struct scsi_lu *lu);

/* What the device promises, in blocks. */
void scsi_atomic_derive(struct scsi_view *v);
/* Which ways to sanitize there are. */
void scsi_sanitize_derive(struct scsi_view *v);
/* There is no device now; for_good: and that is as the administrator wants it. */
void scsi_sanitize_no_dev(struct scsi_view *v, bool for_good);

/* Thin provisioning thresholds (space.c). */

#define SCSI_LBP_DESCRIPTOR 16 /* where it is in mode page 1Ch/02h */

/* log2 of the blocks of a threshold set. */
uint8_t scsi_lbp_exponent(const struct scsi_view *v);
/* Whole threshold sets. */
uint32_t scsi_lbp_sets(const struct scsi_view *v, uint64_t bytes);
/* What is to be left of the pool, threshold sets; 0: there is no threshold. */
uint32_t scsi_lbp_threshold(const struct scsi_view *v);
/* Control thread: the LU is new, or has another device: finds out lu->pool. May block. */
void scsi_space_begin(struct scsi_lu *lu);

/* The copy manager: the rest is in copy_priv.h. */
struct scsi_copy_core;
int scsi_copy_init(struct scsi_core *sc);
void scsi_copy_fini(struct scsi_core *sc);
/* Own core, before a write of these bytes begins: tokens that stand for them are revoked. */
void scsi_tokens_touched(const struct scsi_view *v, uint64_t off, uint64_t len);
/*
 * At home the newest view counts: a command that came here may have left its core after that has
 * seen the token's list, and be written before this core does.
 */
static inline void
scsi_tokens_written(const struct scsi_lu_core *luc, uint64_t off, uint64_t len)
{
	const struct scsi_lu *lu = luc->lu;
	const struct scsi_view *v = scsi_luc_core(luc) == lu->home ? lu->view : luc->view;

	if (GW_UNLIKELY(v->ntoken))
		scsi_tokens_touched(v, off, len);
}
void scsi_tokens_revoke(const struct scsi_view *v);
/* A core sees the tokens of that view, which will be its own, for the first time. */
void scsi_tokens_seen(struct gw_core *on, const struct scsi_lu *lu, const struct scsi_view *v);
/* Control thread, about once a second: forgets those that are of no use any more. */
void scsi_tokens_tick(struct scsi_lu *lu);
/* No core knows the LU any more. */
void scsi_tokens_free(struct scsi_lu *lu);
/* The third-party copy page without its header; its length. */
unsigned scsi_copy_vpd(const struct gw_cmd *cmd, uint8_t *b);

/* Asymmetric logical unit access (alua.c). */

#define SCSI_PORTS_MAX       (GW_GROUPS_MAX + 1)
#define SCSI_PORT_GROUPS_MAX 512 /* bytes of REPORT TARGET PORT GROUPS */

/*
 * The target ports of the nexus's target, ascending; its own is there even if its portal is not.
 * The number is the portal group tag, the relative target port and the target port group. How many.
 */
unsigned scsi_ports(const struct gw_nexus *n, uint16_t tag[SCSI_PORTS_MAX]);
/* Own core: the state of a nexus that begins. */
void scsi_alua_open(struct gw_nexus *n);
/* A command on a path in standby or worse: false, with sense, if it does not run there. */
bool scsi_alua_check(struct gw_cmd *cmd);

/* VPD and INQUIRY. */

#define SCSI_INQUIRY_MAX 9216 /* VPD 88: all ports of a target with a long name */

/* Fills page (SCSI_INQUIRY_MAX zeroed bytes); its length, 0 if the page does not exist. */
unsigned scsi_vpd_page(const struct gw_cmd *cmd, uint8_t code, uint8_t *page);
/* Peripheral qualifier and device type for the LUN that the command names. */
uint8_t scsi_peripheral(const struct gw_cmd *cmd);

#endif
