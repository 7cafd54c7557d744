/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Storage as bytes: what a backend is to the SCSI layer. No SCSI here, no iSCSI.
 *
 * A device (be_dev) is opened and closed by the control thread, which may block. For each core that
 * uses it there is a channel (be_chan); I/O goes through the core's own channel, without locks.
 * The SCSI layer calls be_submit() (backend/wrap.c), which checks the contract on both sides and
 * calls the backend. A backend moves all of a transfer or reports an error: short transfers are its
 * own to continue.
 */
#ifndef GW_API_BACKEND_H
#define GW_API_BACKEND_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "gateway/base/list.h"
#include "gateway/core/core.h"

enum be_op {
	BE_READ,
	BE_WRITE,
	BE_FLUSH, /* all writes that completed before it was submitted are durable when it is done */
	BE_UNMAP, /* a hint: reads may return old data or zeroes unless dev->unmap_zeroes */
	BE_ZERO,  /* the range reads as zeroes; BE_MAY_UNMAP allows to deallocate it */
	/*
	 * Only where dev->extents: how far from off on, within len, the medium is either mapped or not
	 * (be_io.extent, be_io.mapped). What is not mapped reads as zeroes. It knows of everything that
	 * completed before it was submitted.
	 */
	BE_EXTENT,
	/* Only where dev->thermometer, without range: how warm the drive is (be_io.celsius). */
	BE_TEMPERATURE,
	BE_OP_MAX
};

enum be_st {
	BE_OK,
	BE_EMEDIUM,  /* the device failed the transfer */
	BE_ENOSPC,   /* no space left behind a thin device or sparse file */
	BE_ERANGE,   /* beyond the end (it has shrunk) */
	BE_EROFS,    /* became read-only */
	BE_ENOTSUP,  /* this device cannot do that */
	BE_EGONE,    /* device removed or not there */
	BE_EBUSY,    /* try again: transient lack of resources */
	BE_ST_MAX
};

enum {
	BE_FUA = 1,	  /* WRITE, ZERO: durable when done */
	BE_MAY_UNMAP = 2, /* ZERO */
	/*
	 * WRITE: all of it or nothing is on the medium whatever happens, and others see all or nothing.
	 * Only where dev->atomic_max says so, and within dev's atomic_*: the backend does not split it.
	 */
	BE_ATOMIC = 4,
	/* READ: the backend may answer with memory of its own instead of filling iov: be_io.lent. */
	BE_LEND = 8,
	/* ... if nobody ever changes that memory, and everybody may read it. */
	BE_LEND_CONST = 16,
};

/* Ways to make all that was ever written to the medium unreadable. */
enum be_sanitize {
	BE_SANITIZE_BLOCK,     /* the medium's own erasure */
	BE_SANITIZE_CRYPTO,    /* its encryption key is thrown away */
	BE_SANITIZE_OVERWRITE, /* one pass of zeroes over everything, spare parts included */
	BE_SANITIZE_EXIT,      /* leaves the state that a failed one left behind */
	BE_SANITIZE_MAX
};

enum be_sanitize_state {
	BE_SANITIZED_NEVER,
	BE_SANITIZE_RUNS,
	BE_SANITIZED,
	BE_SANITIZE_FAILED,
};

/* How full a store is, bytes: estimates, and the kernel may know better a moment later. */
struct be_space {
	uint64_t used;  /* that the device itself takes */
	uint64_t avail; /* that it may still get ... */
	uint64_t total; /* ... of the pool that it is from, which others may use, too; not 0 */
};

/* What be_io.celsius says: 0 (or less) up to MAX (or more); the drive does not tell now. */
#define BE_CELSIUS_MAX	   254
#define BE_CELSIUS_UNKNOWN 255

struct be_dev;
struct be_chan;

/* One I/O, embedded in its owner; belongs to the backend from be_submit() until done(). */
struct be_io {
	uint64_t off, len;	 /* bytes; multiples of dev->io_align */
	/* READ, WRITE: sums up to len; valid until done(). NULL for a READ after be_lends(). */
	const struct iovec *iov;
	uint16_t niov;
	uint8_t op, flags;
	uint8_t st; /* enum be_st, valid in done() */
	/*
	 * READ with BE_LEND or BE_LEND_CONST, valid from done() on. Unless give_back is NULL, the data
	 * is here and iov was left alone. The memory is there until give_back(io), once, on the same
	 * core, whatever becomes of the device and the channel. With BE_LEND it is for system calls
	 * only, which fail with EFAULT when somebody cuts the file below (this process would end with
	 * SIGBUS), and it follows what is written to the medium. Whom it failed sets st before giving
	 * it back: the backend finds out the next time that the range is read.
	 */
	struct iovec lent;
	void (*give_back)(struct be_io *io);
	void *lender; /* the backend's own */
	uint64_t extent; /* EXTENT, valid in done(): bytes, 1 .. len; any number of them */
	bool mapped;
	uint8_t celsius; /* TEMPERATURE, valid in done() */
	struct be_chan *chan;			 /* set by be_submit(), NULL again in done() */
	void (*done)(struct be_io *io);		 /* on the channel's core, never from be_submit() */
	/* The backend's own, undefined when submitted. */
	uint64_t moved;
	struct gw_list node;
	uint64_t priv[16]; /* room for a struct gw_op and an iovec position */
};

struct be_ops {
	const char *name;
	/*
	 * Control thread; may block. kv is NULL-terminated "key=value" strings: path=, direct=0|1,
	 * sync=0|1, size=BYTES, ro=0|1 and the backend's own. Fills dev's description. 0, or -errno
	 * with one sentence for the administrator in err.
	 */
	int (*open)(struct be_dev *dev, const char *const *kv, char *err, unsigned err_size);
	void (*close)(struct be_dev *dev);
	/* Own core; cheap, may allocate. 0 or -errno. */
	int (*chan_open)(struct be_dev *dev, struct gw_core *core, struct be_chan **chan);
	/* Own core; nothing is in flight on the channel: from the last done() on. */
	void (*chan_close)(struct be_chan *chan);
	/* Own core; takes io until done(); never blocks, never calls done() itself. */
	void (*submit)(struct be_chan *chan, struct be_io *io);
	/* As be_lends(); NULL: never. */
	bool (*lends)(struct be_chan *chan, uint64_t off, uint64_t len, uint8_t flags);
	/* Control thread, about once a second: the device's size now, bytes; 0 if it is gone. */
	uint64_t (*size_now)(struct be_dev *dev);
	/*
	 * Control thread; may block; optional. Makes the storage that many bytes long while it is in use
	 * (`size=` has changed). dev->size stays: the caller tells the LU first. 0, or -errno with a
	 * sentence in err and nothing changed. NULL: the device is opened anew instead.
	 */
	int (*resize)(struct be_dev *dev, uint64_t bytes, char *err, unsigned err_size);
	/*
	 * Control thread; may block for seconds; NULL where dev->sanitize_kinds is always 0. Starts it
	 * and does not wait for its end. 0, or -EBUSY when one runs already, -EOPNOTSUPP, -EIO. I/O
	 * meanwhile is answered with BE_EBUSY. After a failure only EXIT or another sanitize help.
	 */
	int (*sanitize)(struct be_dev *dev, enum be_sanitize kind);
	/* Control thread; with sanitize. progress: 0 .. 65535 of 65536 while it runs. 0 or -errno. */
	int (*sanitize_state)(struct be_dev *dev, enum be_sanitize_state *state,
			      uint16_t *progress);
	/* Control thread, about once a second; may block. Where dev->counts_space. 0 or -errno. */
	int (*space)(struct be_dev *dev, struct be_space *out);
};

/* An open device. Filled by ops->open(), constant afterwards but for size. */
struct be_dev {
	const struct be_ops *ops;
	char bstype[32];	/* as the administrator named it ("rdwr", "aio", ...) */
	uint64_t size;		/* bytes, a multiple of io_align; be_dev_size(), be_dev_poll_size() */
	uint32_t io_align;	/* offsets and lengths are multiples of this: 1 for buffered files */
	uint32_t dma_align;	/* memory alignment that avoids a copy inside the backend, bytes */
	uint32_t phys_block;	/* bytes; for READ CAPACITY(16) */
	uint32_t unmap_align;	/* bytes; granularity of BE_UNMAP, 0 if it cannot */
	bool ro;
	bool volatile_cache;	/* a write may be lost until BE_FLUSH: WCE */
	bool unmap_zeroes;	/* unmapped ranges read as zeroes: LBPRZ */
	bool rotational;
	bool extents;		/* BE_EXTENT is possible */
	bool counts_space;	/* ops->space() knows: what is written takes space of a pool */
	bool thermometer;	/* BE_TEMPERATURE is possible; set by be_dev_open() */
	/*
	 * BE_ATOMIC, in bytes: largest write, 0 where there are none; offsets are multiples of align and
	 * lengths of gran; if boundary is not 0, no multiple of it lies inside the write.
	 */
	uint32_t atomic_max, atomic_align, atomic_gran, atomic_boundary;
	uint32_t sanitize_kinds; /* 1 << enum be_sanitize; all of the medium belongs to this LUN */
	int thermometer_fd;	 /* thermometer.c's own */
	void *priv;
};

/* First member of each backend's own channel struct. Home: its core. */
struct be_chan {
	struct be_dev *dev;
	struct gw_core *core;
	/* wrap.c's own: */
	uint32_t inflight;
	bool submitting;
	struct gw_list later; /* refused, waiting for the kick phase */
	struct gw_hook hook;
};

/* --- registry: backend/dev.c --- */

/* The backend for a name or alias ("uring", "rdwr", "aio", "mem", "null"), NULL if unknown. */
const struct be_ops *be_find(const char *bstype);
/* Names and aliases for `show system`; NULL-terminated. */
const char *const *be_names(void);

/*
 * Opens a device: *dev is allocated. 0, or -errno with a sentence in err that names path and reason.
 * Control thread.
 */
int be_dev_open(const char *bstype, const char *const *kv, struct be_dev **dev, char *err,
		unsigned err_size);
/* All channels are closed. Control thread. */
void be_dev_close(struct be_dev *dev);

/* The size as last seen, bytes. Any thread. */
static inline uint64_t
be_dev_size(const struct be_dev *dev)
{
	return __atomic_load_n(&dev->size, __ATOMIC_RELAXED);
}

/*
 * Looks again, remembers and returns the size; 0 (and the remembered size stays) if the device is gone.
 * I/O beyond the remembered size is answered with BE_ERANGE. Control thread.
 */
uint64_t be_dev_poll_size(struct be_dev *dev);

int be_chan_open(struct be_dev *dev, struct gw_core *core, struct be_chan **chan);
void be_chan_close(struct be_chan *chan);

/* Own core. Checks with BUG() what the caller owes (range, alignment, iov sum) and submits. */
void be_submit(struct be_chan *chan, struct be_io *io);
/*
 * True if a READ with these flags, submitted before the core turns to anything else, is answered
 * with memory of the backend's own, or fails. Own core.
 */
bool be_lends(struct be_chan *chan, uint64_t off, uint64_t len, uint8_t flags);

#endif
