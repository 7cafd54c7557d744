/* SPDX-License-Identifier: BSD-3-Clause */
/* The file and block device backend, among its own files. */
#ifndef BACKEND_URING_PRIV_H
#define BACKEND_URING_PRIV_H

#include <stdatomic.h>
#include <sys/types.h>

#include "backend/backend_priv.h"
#include "gateway/core/engine.h"

struct stat;
struct uring_chan;

/* Set at open and constant, but for the atomics, which any core may set and none clears. */
struct uring_dev {
	int fd;   /* the control thread's */
	int *fds; /* each core's own open file; NULL: fd is for all (uring_sync.c) */
	char *path;
	bool block, direct, sync;
	bool ram;             /* a file whose pages are memory: uring_ram.c */
	uint32_t range_align; /* bytes: what fallocate(2) takes whole on this device */
	uint64_t range_piece; /* most bytes of one fallocate(2) */
	uint64_t grown_to;    /* by uring_resize(), bytes; 0 if not. Control thread */
	atomic_bool lost;     /* writes may be lost: no flush can succeed any more */
	atomic_bool no_punch; /* the file system has said so */
	atomic_bool no_zero_range;
	struct be_map *map;     /* uring_map.c; NULL: all goes by system calls */
	_Atomic uint8_t *whole; /* of each chunk of it: all of its pages are there */
	uint64_t chunks;
	bool writable; /* the mapping */
	struct be_claim claim;
};

/* --- blockdev.c: what the kernel knows about a block device. Control thread. --- */

/* queue/NAME of the device, or of the disk that a partition is on. False if there is none. */
bool uring_queue_text(dev_t dev, const char *name, char *buf, size_t size);
bool uring_queue_u64(dev_t dev, const char *name, uint64_t *v);
/* Bytes; 0 if fd is no block device, or gone. Does not block: also the error path of a core. */
uint64_t uring_block_size(int fd);

/* --- uring_open.c --- */

int uring_open(struct be_dev *dev, const char *const *kv, char *err, unsigned err_size);
void uring_close(struct be_dev *dev);
uint64_t uring_size_now(struct be_dev *dev);
int uring_resize(struct be_dev *dev, uint64_t bytes, char *err, unsigned err_size);

/* --- uring_space.c --- */

int uring_space(struct be_dev *dev, struct be_space *out);

/* --- one I/O: in be_io.priv --- */

#define URING_RETRIES 16 /* of EINTR and EAGAIN in a row, then BE_EBUSY */

enum uring_method {
	URING_PUNCH,
	URING_ZERO_RANGE,
	URING_WRITE_ZEROES
};

struct uring_bounce;

struct uring_io {
	struct gw_op op;
	struct be_cursor cur;
	struct iovec part;           /* where a transfer does not start at the edge of a segment */
	struct uring_bounce *bounce; /* NULL: straight from and to the owner's memory */
	uint64_t piece;              /* UNMAP, ZERO: bytes in the fallocate under way */
	uint64_t sync_seq;           /* uring_sync.c; 0: no sync of it is under way */
	int first_errno;             /* durable write: see uring_rw.c */
	uint8_t retries;
	uint8_t method; /* enum uring_method */
	bool edge;      /* UNMAP, ZERO: zeroes are written to a part of a block */
	bool durable;   /* GOOD means on the medium */
};
_Static_assert(sizeof(struct uring_io) <= sizeof(((struct be_io *)0)->priv), "no room");

static inline struct uring_io *
uring_io(struct be_io *io)
{
	return (void *)io->priv;
}

static inline struct be_io *
uring_be_io(struct gw_op *op)
{
	return gw_container(op, struct be_io, priv);
}

static inline struct uring_dev *
uring_dev(const struct be_io *io)
{
	return io->chan->dev->priv;
}

/* The open file that io's core uses. */
static inline int
uring_fd(const struct be_io *io)
{
	const struct uring_dev *ud = uring_dev(io);

	return ud->fds ? ud->fds[io->chan->core->id] : ud->fd;
}

/* EINTR and EAGAIN, unless it has come too often. */
bool uring_again(struct uring_io *u, int e);
/* What to tell about errno e of io. */
enum be_st uring_st(const struct be_io *io, int e);

/* --- uring_rw.c, uring_range.c --- */

void uring_rw_start(struct be_io *io);
void uring_range_start(struct be_io *io);

/* --- uring_extent.c: what of a file is mapped --- */

/* Does its file system say? Control thread. */
bool uring_extents(const struct uring_dev *ud);
void uring_extent_start(struct be_io *io);

/* --- uring_sync.c: who says that data is on the medium --- */

/* The syncs of one channel; a durable write is one, too. be_io.node is in one of the lists. */
struct uring_syncs {
	struct gw_list running; /* in the order in which they began */
	struct gw_list held;    /* succeeded, and wait for those that ran beside them */
	uint64_t seq;           /* of the last that began */
};

/* The open files, after ud->fd. 0, or -errno with a sentence. Control thread. */
int uring_sync_open(struct uring_dev *ud, int flags, char *err, unsigned err_size);
void uring_sync_close(struct uring_dev *ud);
void uring_syncs_init(struct uring_syncs *s);
/* A failure lost data that had been written before: says so once and makes every later sync fail.
 */
void uring_set_lost(struct uring_dev *ud, int e);
/* False: data is lost already, and io ends with that. */
bool uring_sync_allowed(struct be_io *io);
/* Around all that can report a loss. After end() io belongs to its owner. */
void uring_sync_begin(struct be_io *io);
void uring_sync_end(struct be_io *io, enum be_st st);
void uring_flush_start(struct be_io *io);
/* The last step of a durable UNMAP or ZERO, and all of a FLUSH. */
void uring_sync_go(struct be_io *io);

/* --- uring_ram.c: files in memory --- */

/* Is that a file system whose files are memory? Control thread. */
bool uring_ram_fs(int fd);
int uring_ram_init(struct uring_chan *c, struct be_dev *dev, struct gw_core *core);
void uring_ram_fini(struct uring_chan *c);
/* READ and WRITE. */
void uring_ram_start(struct be_io *io);
bool uring_ram_lends(struct be_chan *chan, uint64_t off, uint64_t len, uint8_t flags);

/* --- uring_map.c: what can be used where it lies --- */

/* Without memory for it nothing is. Control thread. */
void uring_map_init(struct uring_dev *ud, uint64_t size, bool ro);
void uring_map_fini(struct uring_dev *ud);
/* The bytes in memory, or NULL: not all of them are known to be there. */
void *uring_map_at(struct uring_dev *ud, uint64_t off, uint64_t len);
/* Before and after a range is punched out. */
void uring_map_forget(struct uring_dev *ud, uint64_t off, uint64_t len);

/* --- uring_bounce.c: aligned memory for O_DIRECT --- */

#define URING_BOUNCES     2
#define URING_BOUNCE_SIZE (128u << 10)

struct uring_bounce {
	uint8_t *mem;
	bool used;
};

/*
 * Of each channel with O_DIRECT. The memory is the channel's own and not of the core's pool: an I/O
 * that waits for it holds pool memory already; enough of those would wait for each other for ever.
 */
struct uring_bounces {
	uint8_t *mem; /* virtual until it is needed */
	struct uring_bounce at[URING_BOUNCES];
	struct gw_list waiting; /* be_io.node */
};

struct uring_chan {
	struct be_chan chan;
	struct uring_bounces bounces;
	struct uring_syncs syncs;
	struct be_queue inline_rw; /* uring_ram.c */
	struct be_lender *lender;
};

int uring_bounces_init(struct uring_bounces *b);
void uring_bounces_fini(struct uring_bounces *b);
/* Can the kernel transfer io's memory as it is? */
bool uring_is_aligned(const struct be_io *io);
/* Gives io a bounce buffer; false: it waits for one, and uring_rw_go() gets it later. */
bool uring_bounce_get(struct be_io *io);
/* Takes io's buffer, if it has one, and gives it to the next who waits. */
void uring_bounce_put(struct be_io *io);

/* uring_rw.c: starts or continues the transfer. */
void uring_rw_go(struct be_io *io);

#endif
