/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Logical units, as the model makes and changes them. All calls here are the control thread's unless
 * said otherwise; those that reach all cores wait for them (gw_tour_sync).
 */
#ifndef GW_API_SCSI_DEV_H
#define GW_API_SCSI_DEV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/api/backend.h"
#include "gateway/api/model.h"

enum scsi_kind { SCSI_KIND_DISK, SCSI_KIND_CONTROLLER, SCSI_KIND_CD };

/* What a CD/DVD has, and nothing else (MMC-6 4.3): its settings are removable and readonly, too. */
#define SCSI_CD_BLOCK 2048

struct scsi_lu_conf {
	enum scsi_kind kind;
	uint32_t tid;
	uint64_t lun;
	uint32_t block_size; /* 512, 1024, 2048 or 4096 */
	uint8_t lbppbe;	     /* 2^n logical blocks per physical block; 0xff: from the backend */
	uint16_t lowest_aligned;
	uint8_t naa[16];     /* VPD 83: 16-byte NAA type 6 */
	char scsi_id[25];    /* T10 vendor designator text, as tgt's scsi_id */
	char serial[37];     /* VPD 80 */
	char vendor[9], product[17], rev[5];
	bool removable, readonly, online, thin, descriptor_sense, swp;
	bool write_cache;    /* what the administrator wants; never on where the backend has none */
	uint8_t thin_threshold; /* percent of the pool; fuller than that is told, 0: never */
	uint16_t rotation_rate; /* VPD B1: 0 unknown, 1 non-rotating */
	uint32_t opt_xfer_gran, opt_xfer_len; /* blocks; 0: from the backend */
	bool gone; /* no device because its backing store cannot be opened now: 2/0400, not 2/3A00 */
};

/* dev may be NULL: no medium (2/3A00 or, if `gone` is given, 2/0400). LU owns dev afterwards. */
int scsi_lu_new(const struct scsi_lu_conf *conf, struct be_dev *dev, struct scsi_lu **lu);
/* Changes everything but kind, tid, lun; raises 2A/01, 2A/09, 3F/03 where due on all nexuses. */
int scsi_lu_update(struct scsi_lu *lu, const struct scsi_lu_conf *conf);
/* Gives an LU without device its device, or takes it away (dev NULL): drains first. */
int scsi_lu_set_dev(struct scsi_lu *lu, struct be_dev *dev);
/*
 * Takes the device away to make way for another that scsi_lu_set_dev() brings in a moment: commands
 * end in BUSY, and new settings are shown together with the device, so that a running initiator sees
 * nothing else. scsi_lu_set_dev(lu, NULL), or settings with `gone`, say that none will come.
 */
void scsi_lu_swap_dev(struct scsi_lu *lu);
/*
 * The LU is no longer in any published model: aborts what is under way, waits for it on every core,
 * closes the channels and the device, frees all.
 */
void scsi_lu_free(struct scsi_lu *lu);
/* Many of them, in little more time than one. */
void scsi_lus_free(struct scsi_lu *const *lus, size_t n);
/* The backing store's size has changed: new capacity for all, 2A/09 on every nexus. */
void scsi_lu_resize(struct scsi_lu *lu, uint64_t bytes);
/* Now and then: how full the store of a thin LU is, and who has to know. May block. */
void scsi_lu_look_at_space(struct scsi_lu *lu);
/*
 * About once a second: what a sanitize operation and reservations that could not be read need the
 * control thread for; may block for seconds.
 */
void scsi_lu_tick(struct scsi_lu *lu);

const struct scsi_lu_conf *scsi_lu_conf(const struct scsi_lu *lu);
struct be_dev *scsi_lu_dev(const struct scsi_lu *lu);
/* Capacity as the initiators see it, bytes. */
uint64_t scsi_lu_size(const struct scsi_lu *lu);
/* Why the LU serves nobody although it has its device, NULL if it does; valid until the next tick. */
const char *scsi_lu_trouble(const struct scsi_lu *lu);
bool scsi_lu_prevented(const struct scsi_lu *lu); /* an initiator has set PREVENT MEDIUM REMOVAL */
/* An initiator has ejected the medium; setting the LU offline and online again loads it. */
bool scsi_lu_ejected(const struct scsi_lu *lu);

/*
 * Own core, called by the tour that publishes a model: the nexus's target has a new snapshot. Builds
 * its per-LUN state anew (keeping what stays), aborts commands of LUNs that went, raises 3F/0E if the
 * list of LUNs changed. -ENOMEM: the caller closes the session.
 */
int scsi_nexus_retarget(struct gw_nexus *n, const struct gw_target *target);

struct scsi_lu_stats {
	uint64_t rd_cmds, rd_bytes, wr_cmds, wr_bytes, errors, inflight;
};
/* Any thread: the LU's counters summed over all cores. */
void scsi_lu_stats(const struct scsi_lu *lu, struct scsi_lu_stats *out);

/* How a target port group gives access to the LUs of a target (SPC-4 5.15.2.4); numbers of 6.37. */
enum scsi_access {
	SCSI_ACCESS_OPTIMIZED,
	SCSI_ACCESS_NON_OPTIMIZED,
	SCSI_ACCESS_STANDBY,
	SCSI_ACCESS_UNAVAILABLE,
	SCSI_ACCESS_OFFLINE = 0x0e,
};

/* What the administrator wants of the group with that tag, which need not have a portal. */
struct scsi_alua_set {
	uint16_t tpgt;
	uint8_t state; /* enum scsi_access */
	bool preferred;
};

/* A target's states: all groups active/optimized, none preferred. NULL: no memory. */
struct scsi_alua *scsi_alua_new(void);
void scsi_alua_free(void *alua);
/*
 * The administrator's wishes, on all cores: these groups (at most GW_GROUPS_MAX, each once) and no
 * others. Initiators cannot change them; a group that is not named any more is active/optimized and
 * theirs to change. 2A/06 for every nexus of the target if one is another than before.
 */
void scsi_alua_set(struct scsi_alua *a, const struct scsi_alua_set *set, unsigned n);

/* Once at start, after gw_cores_init(): per-core state. 0 or -ENOMEM. */
int scsi_init(void);
void scsi_fini(void);

#endif
