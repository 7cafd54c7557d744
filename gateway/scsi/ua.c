/* SPDX-License-Identifier: BSD-3-Clause */
/* Unit attentions (SAM-5 5.14): a set of bits per nexus and LUN, reported one at a time by
 * priority. */
#include "gateway/scsi/scsi_priv.h"

#define RESETS (1u << UA_POWER_ON | 1u << UA_BUS_RESET | 1u << UA_LU_RESET | 1u << UA_NEXUS_LOSS)

static const uint16_t codes[UA_MAX] = {
    [UA_POWER_ON] = 0x2900,      [UA_BUS_RESET] = 0x2902,     [UA_LU_RESET] = 0x2903,
    [UA_NEXUS_LOSS] = 0x2907,    [UA_CLEARED] = 0x2f00,       [UA_MEDIUM] = 0x2800,
    [UA_RES_PREEMPTED] = 0x2a03, [UA_RES_RELEASED] = 0x2a04,  [UA_MODE] = 0x2a01,
    [UA_ACCESS] = 0x2a06,        [UA_REG_PREEMPTED] = 0x2a05, [UA_CAPACITY] = 0x2a09,
    [UA_TIMESTAMP] = 0x2a10,     [UA_THRESHOLD] = 0x3807,     [UA_INQUIRY] = 0x3f03,
    [UA_LUNS] = 0x3f0e,
};

/* Of several resets the initiator learns the strongest only: it has to start over anyway. */
void
scsi_ua_raise(struct scsi_itl *itl, uint32_t mask)
{
	uint32_t all = itl->ua | mask, resets = all & RESETS;

	itl->ua = (all & ~RESETS) | (resets & -resets);
}

uint16_t
scsi_ua_take(struct scsi_itl *itl)
{
	unsigned bit;

	if (!itl->ua)
		return 0;
	bit = (unsigned)__builtin_ctz(itl->ua);
	itl->ua &= itl->ua - 1;
	return codes[bit];
}

void
scsi_ua_raise_lu(struct gw_core *on, const struct scsi_lu *lu, uint32_t mask, uint64_t but)
{
	gw_list_each (n, &scsi_core_of(on)->nexuses, struct gw_nexus, node) {
		struct scsi_itl *itl = n->id == but ? NULL : scsi_itl_of(n, lu);

		if (itl)
			scsi_ua_raise(itl, mask);
	}
}

void
scsi_ua_luns_reported(struct gw_nexus *n)
{
	for (uint32_t i = 0; i < n->nitl; i++)
		n->itl[i].ua &= ~(1u << UA_LUNS);
}
