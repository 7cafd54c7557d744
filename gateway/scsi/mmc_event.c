/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * GET EVENT STATUS NOTIFICATION (MMC-6 6.7), polled: how drivers learn that a disc has come or
 * gone. Each nexus has its own last event of the medium, and is told it once.
 */
#include "gateway/scsi/mmc_priv.h"

#define CDB_POLLED 0x01
#define NEA        0x80 /* no event available */

/* Notification classes, and those that there are. */
#define CLASS_POWER 2
#define CLASS_MEDIA 4
#define CLASS_BUSY  6
#define CLASSES     (1u << CLASS_POWER | 1u << CLASS_MEDIA | 1u << CLASS_BUSY)

#define MEDIA_TRAY_OPEN 0x01
#define MEDIA_PRESENT   0x02

#define POWER_ACTIVE 1

void
scsi_cd_changed(struct gw_core *on, const struct scsi_lu *lu, const struct scsi_view *was,
		const struct scsi_view *now)
{
	bool had = was->medium == MEDIUM_READY, has = now->medium == MEDIUM_READY;

	if (now->conf.kind != SCSI_KIND_CD || (had == has && was->nblk == now->nblk))
		return;
	gw_list_each (n, &scsi_core_of(on)->nexuses, struct gw_nexus, node) {
		struct scsi_itl *itl = scsi_itl_of(n, lu);

		if (itl && (had || has))
			itl->cd_event = has ? SCSI_CD_NEW : SCSI_CD_REMOVED;
	}
}

static uint8_t
media_status(const struct scsi_view *v)
{
	if (v->medium == MEDIUM_READY)
		return MEDIA_PRESENT;
	return v->medium == MEDIUM_EJECTED ? MEDIA_TRAY_OPEN : 0;
}

/* An event comes first; of several classes the lowest (MMC-6 6.7.1.4). */
static unsigned
class_of(const struct gw_cmd *cmd, unsigned asked)
{
	if ((asked & 1u << CLASS_MEDIA) && cmd->itl && cmd->itl->cd_event)
		return CLASS_MEDIA;
	return (unsigned)__builtin_ctz(asked);
}

static void
fill(const struct gw_cmd *cmd, unsigned class, uint8_t *b)
{
	if (class == CLASS_POWER) {
		b[1] = POWER_ACTIVE;
	} else if (class == CLASS_MEDIA) {
		b[0] = cmd->itl ? cmd->itl->cd_event : SCSI_CD_SAME;
		b[1] = media_status(scsi_view_of(cmd));
	}
}

void
scsi_exec_get_event(struct gw_cmd *cmd)
{
	unsigned asked = cmd->cdb[4] & CLASSES, class;
	uint8_t b[8] = {0, 2, NEA, CLASSES};

	if (!(cmd->cdb[1] & CDB_POLLED)) {
		/* Asynchronous events need a command that may wait for ever. */
		scsi_check_cdb(cmd, 1, 0);
		gw_cmd_complete(cmd);
		return;
	}
	if (!asked) {
		scsi_in(cmd, b, 4);
		return;
	}
	class = class_of(cmd, asked);
	b[1] = 6;
	b[2] = (uint8_t) class;
	fill(cmd, class, b + 4);
	/* An initiator that has room for the header only has not been told. */
	if (class == CLASS_MEDIA && cmd->itl && cmd->data_len > 4)
		cmd->itl->cd_event = SCSI_CD_SAME;
	scsi_in(cmd, b, 8);
}
