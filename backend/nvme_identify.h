/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What an NVMe namespace says it is: pure functions over bytes that come from a device. Section
 * numbers are those of the NVMe Base and NVM Command Set specifications 2.0.
 */
#ifndef BACKEND_NVME_IDENTIFY_H
#define BACKEND_NVME_IDENTIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "gateway/api/backend.h"

#define NVME_IDENTIFY_SIZE 4096u
#define NVME_DSM_RANGES    8 /* of one command of ours */

struct nvme_identity {
	uint64_t nblk;
	uint8_t shift; /* of a logical block, 9 .. 16 */
	bool volatile_cache;
	bool flushes; /* a Flush may do something */
	bool write_protected;
	bool dsm;
	bool zero;              /* Write Zeroes */
	bool zero_deallocates;  /* ... with DEAC, and what is deallocated reads as zeroes */
	uint32_t xfer_max;      /* bytes of one command's data */
	uint32_t zero_max;      /* blocks of one Write Zeroes, 1 .. 65536 */
	uint32_t dsm_ranges;    /* of one command, 1 .. NVME_DSM_RANGES */
	uint32_t dsm_range_max; /* blocks of one range */
	uint64_t dsm_max;       /* blocks of one command */
	uint32_t phys_block, unmap_align;     /* bytes */
	uint32_t atomic_max, atomic_boundary; /* bytes; 0: none */
	uint32_t sanitize_kinds; /* 1 << enum be_sanitize, of the whole NVM subsystem */
	bool shared_subsystem; /* others may have namespaces that this controller does not see */
	bool lists_allocated;  /* namespace management: the list of all namespaces can be had */
};

/*
 * ctrl, ns: 4096 bytes of Identify (5.17.2.1, NVM 4.1.5.1); nvm: those of the NVM command set's own
 * (NVM 4.1.5.2), NULL where there are none. 0 or -errno with a sentence about `path` in err.
 */
int nvme_identity_parse(const uint8_t *ctrl, const uint8_t *ns, const uint8_t *nvm,
			const char *path, struct nvme_identity *id, char *err, unsigned err_size);
/* Is nsid the only entry of a namespace list (5.17.2.2)? */
bool nvme_list_is_only(const uint8_t *list, uint32_t nsid);
/* A Sanitize Status log page (5.16.1.25), of which the first 8 bytes are looked at. */
enum be_sanitize_state nvme_sanitize_log(const uint8_t *log, uint16_t *progress);

#endif
