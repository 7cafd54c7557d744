/* SPDX-License-Identifier: BSD-3-Clause */
/* The NVMe backend among its own files. Section numbers are those of the NVMe Base and NVM Command
 * Set specifications 2.0. */
#ifndef BACKEND_NVME_PRIV_H
#define BACKEND_NVME_PRIV_H

#include <liburing.h>
#include <linux/nvme_ioctl.h>
#include <stdatomic.h>

#include "backend/backend_priv.h"
#include "backend/nvme_identify.h"
#include "gateway/core/engine.h"
#include "gateway/core/fixed.h"
#include "gateway/core/timer.h"

enum nvme_opcode {
	NVME_FLUSH = 0x00,
	NVME_WRITE = 0x01,
	NVME_READ = 0x02,
	NVME_WRITE_ZEROES = 0x08,
	NVME_DSM = 0x09,
};

/* --- nvme_status.c: the answers of device and kernel --- */

enum nvme_retry {
	NVME_NO_RETRY,
	NVME_RETRY_FEW,  /* the device's verdict: it may have been a passing one */
	NVME_RETRY_LONG, /* nobody's verdict: a reset, a path, no resources */
};

struct nvme_verdict {
	enum be_st st;
	enum nvme_retry retry;
};

/* res as the kernel gives it: 0, -errno, or the status field of the completion (4.2.3). */
struct nvme_verdict nvme_verdict(int res);
/* How long to wait before the try after `tries` failures, ms; 0: enough tries. */
uint32_t nvme_retry_ms(enum nvme_retry retry, unsigned tries);

/* --- a device --- */

/* Set at open and constant, but for the atomics, which any core may set and none clears. */
struct nvme_dev {
	int fd;       /* /dev/ngXnY */
	int block_fd; /* /dev/nvmeXnY, held so that nobody else uses it; -1: it has none */
	uint32_t nsid;
	char *path;
	struct nvme_identity id;
	uint32_t piece;       /* bytes of one command's data, a power of 2, at least a block */
	bool polled;          /* I/O is looked for (IOPOLL), no interrupts */
	bool fixed;           /* registered memory works */
	bool sync;            /* every write is durable */
	bool hints;           /* UNMAP is a Deallocate, which promises nothing */
	uint64_t kernel_size; /* the block device's, as last seen; control thread */
	atomic_bool lost;     /* a flush has failed */
	atomic_bool no_zero, no_deallocate; /* Write Zeroes, its DEAC: the device has said so */
	struct be_claim claim;
};

extern const struct be_ops be_nvme_ops;

/* --- nvme_open.c; control thread --- */

int nvme_open(struct be_dev *dev, const char *const *kv, char *err, unsigned err_size);
void nvme_close(struct be_dev *dev);
uint64_t nvme_size_now(struct be_dev *dev);
/* Any thread, cheap: the kernel has removed the device. */
bool nvme_gone(const struct nvme_dev *nd);

/* --- nvme_path.c: names of namespaces. Control thread. --- */

struct nvme_names {
	char generic[64]; /* /dev/ngXnY */
	char block[64];   /* /dev/nvmeXnY; empty: the kernel has none */
};

/* path is a namespace's generic or block device. 0 or -errno with a sentence. */
int nvme_names_of(const char *path, struct nvme_names *n, char *err, unsigned err_size);

/* --- nvme_admin.c: commands of the control thread --- */

/* 0, -errno, or the device's status. */
int nvme_identify(int fd, uint32_t nsid, uint32_t cns, uint8_t *page);
int nvme_write_cache(int fd, bool *on);
/* Which kinds of sanitize touch this namespace and no other. */
uint32_t nvme_sanitize_kinds(const struct nvme_dev *nd);
int nvme_sanitize(struct be_dev *dev, enum be_sanitize kind);
int nvme_sanitize_state(struct be_dev *dev, enum be_sanitize_state *state, uint16_t *progress);

/* --- nvme_ring.c: where commands of a core go --- */

/*
 * Memory is registered twice. The kernel counts all segments of a registration that an I/O lies in:
 * with more than some drivers take it refuses, and with more than one it goes the long way through
 * the driver, which costs as much as the device. So: pages for small I/O, pieces for the rest.
 */
#define NVME_PAGE_SHIFT	 12
#define NVME_PIECE_SHIFT 18

/*
 * The core's own ring, with what all namespaces of a core share. A ring beside it for those that
 * are polled (IOPOLL takes nothing else), and where the core's engine is not io_uring.
 */
struct nvme_ring {
	struct io_uring *ring; /* the core's, or &own */
	struct gw_core *core;
	struct nvme_ring **home;
	unsigned users;
	bool file[GW_URING_FILES]; /* in use */
	struct gw_fixed page, piece;
	struct gw_hook hook;

	/* nvme_cmd.c */
	struct nvme_cmd *cmds;
	struct gw_list free, later, starved;
	struct gw_timer timer;

	/* nvme_own.c */
	struct io_uring own;
	bool polled, told;
	unsigned inflight;
	struct gw_op watch; /* of the own ring's descriptor by the core's engine */
};

/* Own core. Shared by all who ask for the same kind. 0 or -errno. */
int nvme_ring_get(struct gw_core *core, bool polled, struct nvme_ring **ring);
void nvme_ring_put(struct nvme_ring *ring);
/* fd's index among the ring's files, so that cores share no reference count; -1: it has none. */
int nvme_ring_add_file(struct nvme_ring *ring, int fd);
void nvme_ring_del_file(struct nvme_ring *ring, int file);
/* Nothing of r is under way any more. */
void nvme_ring_free(struct nvme_ring *r);

/* --- nvme_own.c: a ring beside the core's own --- */

int nvme_own_setup(struct io_uring *ring, unsigned entries, bool polled);
int nvme_own_open(struct nvme_ring *r);
void nvme_own_close(struct nvme_ring *r);
/* An entry for cmd, cleared but for its user_data. Never NULL. */
struct io_uring_sqe *nvme_own_sqe(struct nvme_ring *r, struct nvme_cmd *cmd);
/* Frees r, now or when its ring's descriptor is no longer watched. */
void nvme_own_retire(struct nvme_ring *r);
void nvme_own_kick(struct nvme_ring *r);

static inline bool
nvme_ring_is_own(const struct nvme_ring *r)
{
	return r->ring == &r->own;
}

/* --- nvme_cmd.c: commands under way --- */

#define NVME_IOVS     8   /* what the kernel takes without allocating */
#define NVME_COMMANDS 512 /* of a ring: fewer than its completion queue holds */

struct nvme_chan;

/* A Dataset Management range (NVM 3.2.3, figure 44), little-endian. */
struct nvme_dsm_range {
	uint32_t attributes, nblk;
	uint64_t slba;
};

/* One NVMe command under way; of its ring's pool. */
struct nvme_cmd {
	struct gw_op op;
	struct gw_list node; /* free, or waiting to be tried again */
	struct nvme_chan *chan;
	struct be_io *io;   /* whose part it is; NULL: DSM */
	struct gw_list ios; /* DSM: whose ranges, be_io.node */
	uint64_t len;       /* bytes of io that this is */
	uint64_t due;       /* ns: when to try again */
	uint16_t niov;      /* 0: no data, 1: c.addr itself */
	uint8_t tries;
	struct nvme_uring_cmd c;
	union {
		struct iovec iov[NVME_IOVS];
		struct nvme_dsm_range range[NVME_DSM_RANGES];
	};
};

int nvme_cmds_init(struct nvme_ring *r);
void nvme_cmds_fini(struct nvme_ring *r);
/* A cleared command of this channel, NULL when all are under way. */
struct nvme_cmd *nvme_cmd_get(struct nvme_chan *chan);
void nvme_cmd_put(struct nvme_cmd *cmd);
/* io waits for a command: nvme_io_go() when there is one. */
void nvme_cmd_wait(struct nvme_chan *chan, struct be_io *io);
/* Submitted at the end of this turn; ends in nvme_cmd_done(). */
void nvme_cmd_send(struct nvme_cmd *cmd);
/* The same, that many ms from now. */
void nvme_cmd_send_later(struct nvme_cmd *cmd, uint32_t ms);
/* sqe is cleared. fixed: the registered buffer that holds the data, or -1. */
void nvme_prep(struct io_uring_sqe *sqe, const struct nvme_uring_cmd *c, bool vec, int fixed);

/* --- nvme_trial.c --- */

/* Reads a block as later I/O will be; sets nd->fixed. Control thread; 0 or -errno. */
int nvme_trial(struct nvme_dev *nd, char *err, unsigned err_size);

/* --- nvme_io.c: from an I/O to commands and back --- */

#define NVME_WINDOW 16 /* commands of one I/O at a time */

enum nvme_step {
	NVME_MOVE,
	NVME_DEALLOCATE, /* nvme_dsm.c */
	NVME_ZERO_DEALLOCATE,
	NVME_ZERO,
	NVME_ZERO_WRITE,
	NVME_SYNC
};

/* One I/O: in be_io.priv. */
struct nvme_io {
	uint64_t next;        /* bytes given to commands */
	struct be_cursor cur; /* of next, in io->iov */
	uint16_t out;         /* commands under way */
	uint8_t step;         /* enum nvme_step */
	uint8_t st;           /* the first failure */
	bool fua;
	bool flush; /* afterwards: the command has no FUA */
	bool again; /* from the start by another way, when out is 0 */
};
_Static_assert(sizeof(struct nvme_io) <= sizeof(((struct be_io *)0)->priv), "no room");

struct nvme_chan {
	struct be_chan chan;
	struct nvme_ring *ring;
	/*
	 * For commands without data, which the kernel cannot poll for: 6.1 takes what is left in the
	 * place of such a command's memory for it, and falls.
	 */
	struct nvme_ring *bare;
	int file, bare_file;   /* of each ring */
	struct gw_hook hook;   /* deallocations of this turn go in one command */
	struct gw_list unmaps; /* be_io.node */
};

static inline struct nvme_io *
nvme_io(struct be_io *io)
{
	return (void *)io->priv;
}

static inline struct nvme_dev *
nvme_dev(const struct be_io *io)
{
	return io->chan->dev->priv;
}

static inline struct nvme_chan *
nvme_chan(struct be_chan *chan)
{
	return gw_container(chan, struct nvme_chan, chan);
}

static inline struct nvme_dev *
nvme_cmd_dev(const struct nvme_cmd *cmd)
{
	return cmd->chan->chan.dev->priv;
}

void nvme_io_start(struct be_io *io);
/* Sends what can be sent. */
void nvme_io_go(struct be_io *io);
/* io's step has ended, with what x->st says. Never from submit. */
void nvme_io_end(struct be_io *io);
/* cmd is done, and the ring's no more. */
void nvme_cmd_done(struct nvme_cmd *cmd, int res);

/* --- nvme_piece.c: what goes into one command --- */

/*
 * Makes cmd move the next part of io's data: at most `max` bytes, whole blocks, at most NVME_IOVS
 * pieces of memory, no gap that would have the kernel copy. Moves *cur on. False: not even one
 * block fits.
 */
bool nvme_piece(struct nvme_cmd *cmd, const struct be_io *io, struct be_cursor *cur, uint64_t at,
		uint32_t max, uint32_t block);
/* LBA and number of blocks, in the place that READ, WRITE and WRITE ZEROES have them. */
void nvme_set_range(struct nvme_uring_cmd *c, uint64_t off, uint64_t len, uint8_t shift);

/* --- nvme_dsm.c: deallocation --- */

/* Fills cmd's ranges with what fits of a range; returns the bytes of it that do. */
uint64_t nvme_dsm_add(struct nvme_cmd *cmd, unsigned *n, uint64_t *total, uint64_t off,
		      uint64_t len, const struct nvme_identity *id);
void nvme_dsm_start(struct be_io *io);
void nvme_dsm_kick(struct gw_hook *hook);
/* With what its tries have come to. */
void nvme_dsm_done(struct nvme_cmd *cmd, enum be_st st);

#endif
