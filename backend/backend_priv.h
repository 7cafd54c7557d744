/* SPDX-License-Identifier: BSD-3-Clause */
/* What the backends share: options, completion, positions in an iovec, work in bounded steps. */
#ifndef BACKEND_BACKEND_PRIV_H
#define BACKEND_BACKEND_PRIV_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "gateway/api/backend.h"

struct stat;

extern const struct be_ops be_uring_ops, be_mem_ops, be_null_ops, be_nvme_ops;

/* --- opts.c: the administrator's key=value strings --- */

/* Every backend takes all of them; those that mean nothing to it change nothing. */
struct be_opts {
	const char *path; /* points into kv; NULL if not given */
	uint64_t size;	  /* bytes; 0 if not given */
	bool direct, sync, ro;
	bool iopoll, dsm; /* nvme */
};

/* 0, or -EINVAL with a sentence: unknown or repeated key, bad value. */
int be_opts_parse(const char *const *kv, struct be_opts *o, char *err, unsigned err_size);

/* Writes the sentence and returns rc, so that a refusal is one statement. */
int be_refuse(char *err, unsigned err_size, int rc, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* Why a path could not be opened; whoever has no permission is named, for it is not who asked. */
const char *be_open_reason(int e, char *buf, unsigned size);

/* --- claim.c: nobody else writes to it. Control thread. --- */

/* An open file or device of this process. */
struct be_claim {
	struct gw_list node;
	dev_t dev;
	ino_t ino;
	bool ro;
	const char *path; /* the claimant's, as long as it lasts */
};

/* Before the open: is the file that st describes a LUN of this process already? 0 or -EBUSY. */
int be_claim_check(const struct stat *st, bool ro, const char *path, char *err, unsigned err_size);
/* After it: locks fd against other processes and remembers the file. 0 or -errno. */
int be_claim(struct be_claim *c, int fd, const struct stat *st, bool ro, const char *path,
	     char *err, unsigned err_size);
void be_unclaim(struct be_claim *c);

/* --- status.c --- */

/* The one translation from errno (positive) to what the SCSI layer understands. */
enum be_st be_st_of_errno(int e);

/* --- wrap.c: completion. Own core of io's channel. --- */

/* Ends io; it is its owner's again when this returns. Never from ops->submit(). */
void be_done(struct be_io *io, enum be_st st);
/* Ends io in the kick phase of this turn; may be called from ops->submit(). Uses io->node. */
void be_done_later(struct be_io *io, enum be_st st);

/* --- thermometer.c --- */

/* Control thread. A descriptor, or -1 where nothing tells how warm the drive of path is. */
int be_thermometer_open(const char *sysfs, const char *path);
/* BE_TEMPERATURE, for every backend alike. Own core; never fails. */
void be_thermometer_read(struct be_io *io);

/* --- cursor.c: a position in io->iov --- */

struct be_cursor {
	uint32_t seg;
	size_t off; /* bytes into that segment */
};

/* The contiguous piece at c, at most max bytes. c is not at the end. */
struct iovec be_cursor_piece(const struct be_io *io, struct be_cursor *c, size_t max);
/* n bytes on. */
void be_cursor_move(const struct be_io *io, struct be_cursor *c, size_t n);
/* Copies n bytes at c from, or to, the iovec; c stays. */
void be_cursor_gather(const struct be_io *io, struct be_cursor c, void *to, size_t n);
void be_cursor_scatter(const struct be_io *io, struct be_cursor c, const void *from, size_t n);

/* --- lend.c: data that is sent from where it lies --- */

/* A mapping; it goes with its last reference. Any thread. */
struct be_map {
	uint8_t *base;
	uint64_t len; /* bytes */
	atomic_uint refs;
};

/* One reference; NULL with errno set. fd -1: anonymous memory. */
struct be_map *be_map_new(int fd, uint64_t len, int prot, int flags);
void be_map_put(struct be_map *m);

/* What one channel has lent of a mapping; outlives the channel until all is given back. */
struct be_lender {
	struct be_map *map;
	uint32_t lent;
	bool closed;
	/* What was lent could not be read; not called once the lender is closed. May be NULL. */
	void (*unreadable)(void *dev, const struct be_io *io);
	void *dev;
};

/* Takes a reference of its own; NULL without memory. map may be NULL: nothing goes away. */
struct be_lender *be_lender_new(struct be_map *map);
void be_lender_close(struct be_lender *l);
/* Answers io, a READ with BE_LEND, with the len bytes at p. */
void be_lend(struct be_lender *l, struct be_io *io, void *p);

/* --- stream.c --- */

/* memcpy() to memory that is not read again soon. */
void be_stream(void *to, const void *from, size_t n);

/* --- guard.c: copies from and to a mapped file --- */

/* Takes SIGBUS. Control thread. */
void be_guard_init(void);
/* False: a part of it is not there, and some of the rest may have been copied. */
bool be_guard_load(void *to, const void *mapped, size_t n);
bool be_guard_store(void *mapped, const void *from, size_t n);

/* --- queue.c: work of the core itself --- */

/*
 * I/O that the core itself carries out, in the kick phase, in steps of bounded cost, so no turn
 * gets long however much is submitted. One per channel.
 */
struct be_queue {
	struct gw_list ios;
	struct gw_hook hook;
	struct gw_core *core;
	/* Carries out a part of io (not FLUSH) worth about `budget` bytes of copying: adds to
	 * io->moved and returns what it cost. The queue ends io when moved has reached len, or
	 * when the step has set io->st, with which it ends. */
	uint64_t (*step)(struct be_io *io, uint64_t budget);
};

/* Where io's step stands in its memory; at the start when io is added. */
static inline struct be_cursor *
be_queue_cursor(struct be_io *io)
{
	_Static_assert(sizeof(struct be_cursor) <= sizeof(io->priv), "no room");
	return (void *)io->priv;
}

void be_queue_init(struct be_queue *q, struct gw_core *core,
		   uint64_t (*step)(struct be_io *io, uint64_t budget));
void be_queue_add(struct be_queue *q, struct be_io *io);
void be_queue_fini(struct be_queue *q);

#endif
