/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a nexus leaves behind on an LU that it sees no more, though both go on: a reservation
 * (SPC-2) and a prevention of medium removal that nobody could take back but by a reset.
 */
#include <errno.h>
#include <stdlib.h>

#include "gateway/scsi/scsi_priv.h"

struct lost {
	struct gw_msg msg;
	struct scsi_change ch;
	struct scsi_lu_core *luc; /* pinned */
	uint64_t nexus;
};

static void
back(struct gw_core *on, struct gw_msg *msg)
{
	struct lost *l = gw_container(msg, struct lost, msg);

	l->luc->pins--;
	scsi_lu_left(l->luc);
	free(l);
}

static void
changed(struct scsi_change *ch)
{
	struct lost *l = gw_container(ch, struct lost, ch);

	l->msg.fn = back;
	gw_send(scsi_luc_core(l->luc), &l->msg);
}

static bool
edit(struct scsi_change *ch, struct scsi_view *next)
{
	const struct lost *l = gw_container(ch, struct lost, ch);

	scsi_prevent_drop(ch->lu, l->nexus);
	if (next->holder != l->nexus)
		return false;
	next->holder = 0;
	scsi_lu_hold(ch->lu, false);
	return true;
}

static void
at_home(struct gw_core *on, struct gw_msg *msg)
{
	struct lost *l = gw_container(msg, struct lost, msg);

	l->ch = (struct scsi_change){.lu = l->luc->lu, .edit = edit, .done = changed};
	scsi_change_start(&l->ch);
}

int
scsi_itl_lost(const struct gw_nexus *n, struct scsi_lu *lu)
{
	struct lost *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	l->luc = &lu->core[n->core->id];
	l->nexus = n->id;
	l->luc->pins++;
	l->msg.fn = at_home;
	gw_send(lu->home, &l->msg);
	return 0;
}
