/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What of persistent reservations survives a loss of power (APTPL, SPC-4 5.12.5): one file per LU,
 * named by its NAA, in "reservations" below the state directory. A store that several gateways
 * share would take the place of pr_store.c.
 *
 * A file is whole or not there: it is written beside the old one, brought to the disk and then
 * given its name. One that cannot be read or is damaged is an error, not "no reservations".
 */
#ifndef GW_SCSI_PR_STORE_H
#define GW_SCSI_PR_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/api/model.h"
#include "gateway/core/core.h"

/* Registrations of one LU at most. */
#define PR_STORE_REGS_MAX 8192

/* One registration: an I_T nexus by names (SPC-4 5.12.7). */
struct scsi_pr_reg {
	char initiator[GW_NAME_MAX + 1]; /* the initiator port is "name,i,0xISID" */
	uint8_t isid[6];
	uint16_t tpgt; /* the target port, of the LU's target */
	uint64_t key;
	bool holder;
	bool all_tg_pt; /* the initiator port registered with all target ports at once */
};

struct scsi_pr_saved {
	uint8_t naa[16];
	uint8_t type; /* 0: no reservation */
	bool aptpl;   /* without it nothing is kept; what is loaded has it */
	uint32_t nreg;
	struct scsi_pr_reg reg[];
};

/*
 * `state_dir` is copied, and need not be there: it is made with the first file. Starts the thread
 * that writes. 0 or -errno.
 */
int pr_store_init(const char *state_dir);
/* Nothing is being saved any more. */
void pr_store_fini(void);

/*
 * Control thread, before anyone sees the LU; the caller frees *out. 0 and NULL: nothing is stored.
 * -errno with one sentence: the LU must not serve anyone, who was kept out may not come in.
 */
int pr_store_load(const uint8_t naa[16], struct scsi_pr_saved **out, char *err, unsigned err_size);

/*
 * Durable before done(). Of one LU at a time; `what` stays as it is until then. After an error the
 * disk has the old state or the new one.
 */
struct pr_save {
	struct gw_core *core;             /* whose thread runs done(); the LU's home */
	const struct scsi_pr_saved *what; /* without registrations or APTPL: removes the file */
	int error;                        /* result: 0 or -errno */
	void (*done)(struct pr_save *s);
	struct gw_msg msg; /* private */
};
/* Home core. done() runs from its loop, never from inside the call. */
void pr_store_save(struct pr_save *s);

/* Control thread, after scsi_lus_free(): the LUN is deleted for good, or has another NAA. */
void pr_store_forget(const uint8_t naa[16]);

/* The format of a file (pr_text.c). */

/* True if a file can say it: names, keys, and as many holders as the type has. */
bool pr_text_ok(const struct scsi_pr_saved *s);
/* Bytes that pr_text_write() needs at most. */
size_t pr_text_max(uint32_t nreg);
/* Bytes written to buf, of what is ok. */
size_t pr_text_write(const struct scsi_pr_saved *s, char *buf);
/* Reads a whole file; the caller frees it. 0, -ENOMEM, or -EBADMSG for all but what was written. */
int pr_text_read(const char *text, size_t size, struct scsi_pr_saved **out);

#endif
